"""A job's config stops at the job's door: below it, functions take sections of it, or nouns made of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import raybio.config
from raybio.config import JobConfig

PACKAGE = Path(raybio.config.__file__).parents[1]
WHOLE = {"TrainConfig", "Rehearsable"} | {
    name
    for name, each in vars(raybio.config).items()
    if isinstance(each, type) and issubclass(each, JobConfig)
}

OUTSIDE = ("cli", "config", "study")
"""Where configs are read, made and compared."""

DOORS = {
    "bulk_tagging/pipeline.py": {"tag_corpus"},
    "model_scoring.py": {"score_model"},
    "serving/benchmark.py": {"benchmark_serve"},
    "serving/ingress.py": {"served", "serve_models"},
    "training/adaptation.py": {"adapt_encoder"},
    "training/decoder.py": {"train_decoder"},
    "training/encoder.py": {"train_encoder"},
    "training/encoder_preflight.py": {"preflight_encoder"},
    "training/preflight.py": {"preflight"},
    "training/rehearsal.py": {"rehearse", "_rehearse", "_loading"},
    "training/rehearsed_job.py": {"rehearsed_config"},
    "training/sweep.py": {"train_sweep", "train_point"},
    # What a door makes its nouns with.
    "bulk_tagging/recipe.py": {"of"},
    "submission/identity.py": {"work_name"},
    "training/recipes.py": {"of", "tagging_recipe"},
    # It looks at every path that there is in a config.
    "submission/places.py": {"check_places"},
    # A run folder keeps the whole config, and one that is resumed is compared by it.
    "training/trainer.py": {"begin_run", "begun"},
}


def takers() -> Iterator[tuple[str, str]]:
    """Yield each function that takes a whole config: its file and its name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        if file.split("/")[0] in OUTSIDE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = node.args
                for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    found = ast.walk(each.annotation) if each.annotation else ()
                    if any(isinstance(name, ast.Name) and name.id in WHOLE for name in found):
                        yield file, node.name


def test_below_the_doors_nothing_takes_a_whole_config():
    beyond = [(file, name) for file, name in takers() if name not in DOORS.get(file, ())]
    assert beyond == []


def test_no_other_name_stands_for_a_whole_config():
    found = [
        f"{path.name}: {node.target.id}"
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in OUTSIDE
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias" and node.value
        if isinstance(node.target, ast.Name) and node.target.id not in WHOLE
        if any(isinstance(name, ast.Name) and name.id in WHOLE for name in ast.walk(node.value))
    ]
    assert found == []


def test_every_door_is_one():
    assert {(file, name) for file, names in DOORS.items() for name in names} <= set(takers())
