"""`make docs`: what the documentation says of the code is made from the code.

Writes docs/configuration.md from the configs' classes, docs/api.md from the docstrings of public
names, and the map of the house in docs/architecture.md from the first line of each module's docstring. A test
holds them up to date.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from raybio.config import JOBS, describe

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "docs" / "configuration.md"
API = ROOT / "docs" / "api.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"

# Rooms by floor, from the ground up, as the import contracts in pyproject.toml have them.
FLOORS = [
    ["safe_text.py", "entities.py", "errors.py", "progress.py", "special_files.py", "plugins.py"],
    ["iob2.py", "label_schemes.py", "stopping.py", "storage.py", "versioned.py", "word_cache.py", "config/"],
    [
        "corpora/",
        "alignment.py",
        "evaluation/",
        "cost.py",
        "run_folder.py",
        "prompts.py",
        "bio_output.py",
        "model_files.py",
        "model_identity.py",
        "model_conversion.py",
        "classifier_adapters.py",
        "model_sources.py",
    ],
    ["taggers/"],
    ["cluster.py", "sentence_stream.py", "text_tagger.py"],
    ["training/", "bulk_tagging/", "serving/", "reports/", "submission/", "dataset.py"],
    ["demo.py", "study/"],
    ["cli/", "__main__.py"],
]

# What a researcher calls from Python, floor by floor: modules with all their public names, and rooms with
# those of their `__all__`. The jobs' configs have a page of their own.
PUBLIC = [
    "text_tagger",
    "dataset",
    "entities",
    "errors",
    "iob2",
    "label_schemes",
    "corpora",
    "corpora.sentences",
    "corpora.names",
    "corpora.sample",
    "alignment",
    "evaluation",
    "evaluation.semeval",
    "evaluation.by_length",
    "evaluation.disagreements",
    "evaluation.significance",
    "evaluation.latency",
    "cost",
    "run_folder",
    "prompts",
    "bio_output",
    "model_identity",
    "model_sources",
    "taggers",
    "training.adaptation",
    "training.encoder",
    "training.decoder",
    "training.cascade",
    "training.soup",
    "bulk_tagging",
    "reports",
    "submission",
]


def configuration() -> str:
    """Return docs/configuration.md."""
    sections = [f"## job: {name}\n\n{job.__doc__}\n\n{describe(job)}" for name, job in JOBS.items()]
    return (
        "# Configuration\n\n"
        "A job is a YAML file whose `job:` names one of the following. Nested options have dotted names, "
        "on the command line too: `training.epochs=3`. Numbers may be written `3e-5`; only `true` and "
        "`false` are truth values. Every fault is reported at once, with its line.\n\n"
        "`make docs` writes this page.\n\n" + "\n\n".join(section.rstrip() for section in sections) + "\n"
    )


def house_map() -> str:
    """Return the map: one line for each file of the package, floor by floor."""
    lines = []
    for floor, rooms in enumerate(FLOORS):
        lines.append(f"floor {floor}")
        lines += [line for room in rooms for line in _lines(ROOT / "raybio" / room, 1)]
    return "\n".join(lines)


def _lines(path: Path, depth: int) -> Iterator[str]:
    """Yield the map's line for a file; for a room, its line and those of what is in it."""
    indent = "  " * depth
    if path.is_file():
        yield f"{indent}{path.name:{24 - len(indent)}} {_says(path)}"
        return
    yield f"{indent}{path.name + '/':{24 - len(indent)}} {_says(path / '__init__.py')}"
    inside = [p for p in path.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()]
    for each in sorted(inside, key=lambda p: (p.is_dir(), p.name)):
        if each.name != "__init__.py":
            yield from _lines(each, depth + 1)


def architecture(text: str) -> str:
    """Return docs/architecture.md with its map made anew."""
    return re.sub(r"(?s)(```text\n)floor 0\n.*?(```)", lambda m: f"{m[1]}{house_map()}\n{m[2]}", text)


def api() -> str:
    """Return docs/api.md."""
    modules = [_module(name) for name in PUBLIC]
    return (
        "# Python interface\n\n"
        "What may be imported, by module, with its docstring. Other names may change without notice. "
        "[Errors](#raybioerrors) are a tree of their own; the configs' options have "
        "[a page](configuration.md).\n\n"
        "`make docs` writes this page.\n\n" + "\n".join(modules)
    )


def _module(name: str) -> str:
    """Return the section of a module or room."""
    path = _file_of(name)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = [f"## raybio.{name}", _prose(ast.get_docstring(tree))]
    parts += [part for node in _public(tree) for part in _entry(node, f"raybio.{name}")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _file_of(name: str) -> Path:
    path = ROOT / "raybio" / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


_Entry = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _public(tree: ast.Module) -> Iterator[_Entry]:
    """Yield the public classes and functions of a module: by its `__all__`, where it has one."""
    here = {node.name: node for node in tree.body if isinstance(node, _Entry)}
    exported = _exported(tree)
    if exported is None:
        yield from (node for name, node in here.items() if not name.startswith("_"))
        return
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("raybio."):
            source = ast.parse(_file_of(statement.module.removeprefix("raybio.")).read_text(encoding="utf-8"))
            there = {node.name: node for node in source.body if isinstance(node, _Entry)}
            here |= {alias.name: there[alias.name] for alias in statement.names if alias.name in there}
    yield from (here[name] for name in exported if name in here)


def _exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def _entry(node: _Entry, module: str) -> Iterator[str]:
    """Yield the paragraphs of a class or function: its signature, its docstring, and a class's methods."""
    yield f"### {node.name}"
    yield f"```python\n{_signature(node)}\n```"
    yield _prose(ast.get_docstring(node))
    if isinstance(node, ast.ClassDef):
        yield "\n".join(_members(node))


def _signature(node: _Entry) -> str:
    if not isinstance(node, ast.ClassDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({ast.unparse(node.args)}){returns}"
    bases = ", ".join(map(ast.unparse, node.bases))
    fields = [
        f"    {ast.unparse(line)}"
        for line in node.body
        if isinstance(line, ast.AnnAssign) and not ast.unparse(line.target).startswith("_")
    ]
    return "\n".join([f"class {node.name}" + (f"({bases})" if bases else ""), *fields])


def _members(node: ast.ClassDef) -> Iterator[str]:
    """Yield a list item for each public method and property: its signature and its first line."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and not member.name.startswith("_"):
            is_property = any(ast.unparse(each) == "property" for each in member.decorator_list)
            shown = (
                member.name if is_property else re.sub(r"\((self|cls)(, )?", "(", _signature(member), count=1)
            )
            says = (ast.get_docstring(member) or "").partition("\n")[0]
            yield f"- `{shown}`: {says}"


def _prose(docstring: str | None) -> str:
    """Return a docstring as Markdown: what is set in columns stays so, and `Raises:` is a list."""
    text, _, raised = (docstring or "").partition("Raises:\n")
    paragraphs = [_set(paragraph) for paragraph in re.split(r"\n{2,}", text.rstrip())]
    if raised:
        items = re.sub(r"\n {8,}", " ", raised.rstrip()).splitlines()
        paragraphs += ["Raises:", "\n".join(re.sub(r"^ +([\w, ]+): ", r"- `\1`: ", item) for item in items)]
    return "\n\n".join(paragraphs)


def _set(paragraph: str) -> str:
    columns = re.search(r"\S {2,}\S", paragraph) or paragraph.startswith("    ")
    return f"```text\n{paragraph}\n```" if columns else paragraph


def _says(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


if __name__ == "__main__":
    CONFIGURATION.write_text(configuration(), encoding="utf-8")
    API.write_text(api(), encoding="utf-8")
    ARCHITECTURE.write_text(architecture(ARCHITECTURE.read_text(encoding="utf-8")), encoding="utf-8")
