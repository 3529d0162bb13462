"""The documentation keeps its word: what it says of the code is made from it, and its commands work."""

import ast
import importlib.util
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from pages import PAGES, ROOT, Block, Page, Printed, follow

from raybio.cli import command_line_parser, main, tagging
from raybio.config import JOBS, load_config, load_job
from raybio.evaluation import evaluate

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    pytest.param(page, block, command, id=f"{page.path}: {command[:60]}")
    for page in PAGES
    for block, command in page.commands()
]
OURS = ("raybio", "python", "make")
FOLLOWED = [page for page in PAGES if page.is_followed and not page.needs_ray]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.insert(0, str(ROOT / "docs"))  # where `python docs/build.py` finds what it imports
build = script("build")
MADE = {
    ROOT / "docs" / name for name in script("hooks").generated()
}  # by `make site`, whose test follows their anchors


@pytest.mark.parametrize(("file", "text"), build.built(), ids=lambda part: getattr(part, "name", ""))
def test_what_a_page_has_from_code_and_results_is_up_to_date(file: Path, text: str) -> None:
    assert file.read_text(encoding="utf-8") == text, "run `make docs`"


def test_the_map_has_every_file_and_each_says_what_it_is() -> None:
    files = [path for path in (ROOT / "raybio").rglob("*.py") if path.name != "__init__.py"]
    lines = [line.split(maxsplit=1) for line in build.house_map().splitlines()]
    assert sorted(words[0] for words in lines if words[0].endswith(".py")) == sorted(f.name for f in files)
    assert all(len(words) == 2 for words in lines)


def test_the_readme_is_one_screen_whose_figures_are_inserted_from_results() -> None:
    assert len(README.splitlines()) <= 200
    inserted = re.sub(r"(?s)<!--= [\w.-]+ -->.*?<!--/-->", "", README)
    typed = re.sub(r"\]\([^)]*\)", "]", inserted)  # addresses have figures of their own
    bullets = re.findall(r"(?ms)^- \*\*.*?(?=^- |^$)", typed.partition("\n## ")[0])
    results = typed.partition("\n## Results\n")[2].partition("\n## ")[0]
    figures = [row.split("|")[2] for row in results.splitlines() if row.startswith("| ")][1:]
    assert len(bullets) == 4 and 1 <= len(figures) <= 6
    assert [text for text in (*bullets, *figures) if re.search(r"(?<![\w])\d", text)] == []


def test_the_picture_is_there_for_light_and_dark() -> None:
    shown = re.findall(r'(?:srcset|src)="([^"]+)"', README)
    assert [Path(name).stem.rpartition("-")[2] for name in shown] == ["dark", "light"]
    assert {ROOT / name for name in shown} == set(build.pictures())


# Every command: run where the page says so, else checked against the real command line and configs.


@pytest.mark.parametrize(("page", "block", "command"), COMMANDS)
def test_every_block_of_commands_says_what_is_done_with_it(page: Page, block: Block, command: str) -> None:
    assert re.fullmatch(r"run|ray|(checked|not run): \S.*", block.says), "say `run`, `ray` or why not"
    if not block.says.startswith("not run: "):
        assert command.split()[0] in OURS, "a command of others cannot be checked: say `not run: WHY`"


@pytest.mark.parametrize(("page", "block", "command"), COMMANDS)
def test_every_command_of_ours_is_one(
    page: Page, block: Block, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    furnish(page)
    program, *words = shlex.split(command)
    if program == "raybio":
        check_raybio(words, monkeypatch)
    elif program == "python" and words[0].startswith("jobs/"):
        load_config(words[1], words[2:])
    elif program == "python" and words[0].startswith("benchmarks/"):
        check_benchmark(*words)
    elif program == "make":
        assert f"\n{words[0]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


def furnish(page: Page) -> None:
    """Put into the current folder what commands may name: a checkout's folders, and files of the page."""
    for name in ("benchmarks", "configs", "jobs", "cluster.yaml"):
        Path(name).symlink_to(ROOT / name)
    for name, text in page.files().items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    for _, command in page.commands():
        if command.startswith("raybio configs copy"):
            assert main(shlex.split(command)[1:]) == 0


def check_raybio(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse a command; load its config with its overrides, or make one of its options."""
    try:
        options = command_line_parser().parse_args(words)
    except SystemExit as stop:
        assert stop.code == 0, "no such command line"
        return
    if "config" in options:
        job = getattr(options, "job", words[0])
        if job in JOBS:
            load_job(JOBS[job], options.config, options.overrides)
        else:
            load_config(options.config, options.overrides)
    elif words[0] == "tag" and not options.replay and (options.input or options.text is None):
        checked: list[Namespace] = []
        monkeypatch.setattr(tagging, "_tag_configured", lambda config, *rest: checked.append(config))
        options.run(options)
        assert checked
    assert all(Path(word).is_file() for word in words if word.endswith(".yaml"))


def check_benchmark(script: str, *words: str) -> None:
    """Look for a benchmark's options among those that it declares; running `--help` would load torch."""
    declared = {
        argument.value
        for call in ast.walk(ast.parse(Path(script).read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".add_argument")
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }
    assert {word for word in words if word.startswith("--")} <= declared


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.is_followed and not p.needs_ray], ids=lambda p: p.path
)
def test_a_page_followed_to_the_letter_works(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAYBIO_DATA", raising=False)

    printed = capsys.readouterr

    def run(words: Sequence[str]) -> Printed:
        printed()
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code
        assert code == 0
        return printed()

    Path("configs").symlink_to(ROOT / "configs")
    follow(page, run, printed)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        folder = (ROOT / page.path).parent
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.text):
            there = folder / target if target else ROOT / page.path
            there = there.resolve()
            assert there.exists() or there in MADE, f"{page.path} links to {target}"
            if anchor and there not in MADE:
                assert anchor in anchors(there), f"{page.path} links to {target}#{anchor}"


def test_every_test_that_a_page_names_is_there() -> None:
    named = {
        name
        for page in (ROOT / "docs").glob("*.md")
        for name in re.findall(r"`([\w/]+\.py::test_\w+)`", page.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    for name in named:
        file, test = name.split("::")
        assert f"def {test}(" in (ROOT / "tests/unit" / file).read_text(encoding="utf-8"), name


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\w[^):#]*)\)", index))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} | {
        "configuration.md",
        "command_line.md",
        "api.md",
    }
    assert linked == pages - {"README.md"}


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# The examples of docs/scorers.md: three columns of words and tags, and tables of what each scorer counts.

SCORERS = (ROOT / "docs" / "scorers.md").read_text(encoding="utf-8")
EXAMPLES = [part for part in re.split(r"^## ", SCORERS, flags=re.MULTILINE) if "```text example\n" in part]
GROUPS = {"1": "length_1", "2": "length_2", "3+": "length_3plus"}


@pytest.mark.parametrize("part", EXAMPLES, ids=lambda part: part.partition("\n")[0])
def test_an_example_of_the_scorers_counts_as_the_page_says(part: str) -> None:
    scores = evaluate(*(([tags]) for tags in example_tags(part))).to_dict()
    rows = claims(part)
    assert rows
    for (scorer, measure, *words), figures in rows:
        counted = scores[scorer][GROUPS[words[0]] if words else "overall"][measure]
        assert figures["F1"] == f"{100 * counted['f1']:.2f}"
        counts = {name: str(counted[name]) for name in figures if name != "F1"}
        assert figures == {**counts, "F1": figures["F1"]}


def test_each_way_in_which_the_scorers_differ_has_an_example() -> None:
    from raybio.evaluation.disagreements import Quirk, find_disagreements
    from raybio.iob2 import spans_from_tags

    shown = set()
    for part in EXAMPLES:
        gold, predicted = ([spans_from_tags(tags)] for tags in example_tags(part))
        shown |= {reason for place in find_disagreements(gold, predicted) for reason in place.reasons}
    assert shown == set(Quirk)


def example_tags(part: str) -> tuple[list[str], list[str]]:
    """Return the gold and the predicted tags of a section's example; `x N` repeats a line."""
    (text,) = re.findall(r"```text example\n(.*?)```", part, flags=re.DOTALL)
    lines = [line.split() for line in text.splitlines()[1:]]
    rows = [line for line in lines for _ in range(int(line[4]) if len(line) > 3 else 1)]
    return [row[1] for row in rows], [row[2] for row in rows]


def claims(part: str) -> list[tuple[list[str], dict[str, str]]]:
    """Return the rows of a section's tables: ["paper", "strict"], and the figures by name."""
    found = []
    header: list[str] = []
    for line in part.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and cells[0].startswith("scorer"):
            header = cells
        elif cells and not cells[0].startswith("---"):
            found.append((cells[0].split(", "), dict(zip(header[1:], cells[1:], strict=True))))
    return found
