"""The documentation keeps its word: its map and options are those of the code, its commands are commands."""

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from raybio.cli import command_line_parser

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLUSTER = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build", ROOT / "docs" / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README + CLUSTER, flags=re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_the_page_of_options_is_up_to_date() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert page == build().configuration(), "run `make docs`"


def test_the_map_of_the_house_is_up_to_date() -> None:
    assert build().readme(README) == README, "run `make docs`"


def test_the_map_has_every_file_and_each_says_what_it_is() -> None:
    files = [path for path in (ROOT / "raybio").rglob("*.py") if path.name != "__init__.py"]
    lines = [line.split(maxsplit=1) for line in build().house_map().splitlines()]
    assert sorted(words[0] for words in lines if words[0].endswith(".py")) == sorted(f.name for f in files)
    assert all(len(words) == 2 for words in lines)


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("raybio ")])
def test_every_raybio_command_parses(command: str) -> None:
    words = shlex.split(command)[1:]
    assert command_line_parser().parse_args(words).run
    assert all((ROOT / word).is_file() for word in words if word.endswith(".yaml"))


def test_every_make_target_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [command.split()[1] for command in commands() if command.startswith("make ")]
    assert {"demo", "test"} <= set(targets)
    assert all(f"\n{target}:" in makefile for target in targets)
