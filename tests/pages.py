"""The documentation as its tests read it: pages, their blocks, and how a page is followed to the letter.

What a block's first line says after its language:

    ```sh run             executed by a unit test, in a folder of the page's own
    ```sh ray             executed by a test with Ray, after the blocks before it
    ```sh checked: WHY    not executed; each command parses, and its config loads with its overrides
    ```sh not run: WHY    holds commands of others; ours among them are checked all the same
    ```python run         executed after the blocks before it, whose names it knows
    ```yaml file=NAME     (any language) is that file of the folder
    ```text output        what the block before prints to stdout
    ```text said          what the `sh` block before reports, on stderr
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[1]

_BLOCK = re.compile(r"^```([^\s`]+)[ \t]*([^\n`]*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


class Printed(Protocol):
    """What was printed to stdout and to stderr, as `capsys.readouterr()` returns it."""

    @property
    def out(self) -> str:
        """Stdout."""

    @property
    def err(self) -> str:
        """Stderr."""


Run = Callable[[Sequence[str]], Printed]
"""Runs the words of a `raybio` command, without `raybio`, and returns what it printed."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what its first line says besides, and the text between the fences."""

    language: str
    says: str
    text: str

    @property
    def file(self) -> str:
        """The file that the block is, or "" where it is none."""
        return self.says.removeprefix("file=") if self.says.startswith("file=") else ""

    def commands(self) -> list[str]:
        """The block's lines without comments and blank ones."""
        lines = (re.split(r"(?:^|\s\s)#", line)[0].strip() for line in self.text.splitlines())
        return [line for line in lines if line]


@dataclass(frozen=True)
class Page:
    """A page by its path in the repository."""

    path: str

    @property
    def text(self) -> str:
        """The page's Markdown."""
        return (ROOT / self.path).read_text(encoding="utf-8")

    def blocks(self) -> list[Block]:
        """The page's fenced blocks, in order."""
        return [Block(*found) for found in _BLOCK.findall(self.text)]

    def files(self) -> dict[str, str]:
        """The files that the page shows, by name."""
        return {block.file: block.text for block in self.blocks() if block.file}

    def commands(self) -> Iterator[tuple[Block, str]]:
        """Yield each shell command with its block."""
        for block in self.blocks():
            if block.language == "sh":
                yield from ((block, command) for command in block.commands())

    @property
    def needs_ray(self) -> bool:
        """Whether a block is to be run with Ray."""
        return any(block.says == "ray" for block in self.blocks())

    @property
    def is_followed(self) -> bool:
        """Whether there is anything to run."""
        return any(block.says in ("run", "ray") for block in self.blocks())


PAGES = [Page("README.md"), *(Page(f"docs/{path.name}") for path in sorted((ROOT / "docs").glob("*.md")))]


def follow(page: Page, run: Run, printed: Callable[[], Printed]) -> None:
    """Do in the current folder what the page says, from top to bottom, and compare what it shows.

    `printed` returns what was printed since it was called last.
    """
    output = said = ""
    names: dict[str, object] = {"__name__": "page"}
    for block in page.blocks():
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text, encoding="utf-8")
        elif block.says == "output":
            assert output == block.text, f"{page.path} shows another output than this:\n{output}"
        elif block.says == "said":
            assert said == block.text, f"{page.path} shows other reports than these:\n{said}"
        elif block.language == "sh" and block.says in ("run", "ray"):
            results = [run(_words(command)) for command in block.commands()]
            output, said = ("".join(part) for part in zip(*((r.out, r.err) for r in results), strict=True))
        elif block.language == "python" and block.says == "run":
            printed()
            exec(compile(block.text, page.path, "exec"), names)
            output = printed().out


def _words(command: str) -> list[str]:
    program, *words = shlex.split(command)
    assert program == "raybio", f"only raybio's commands are run: {command}"
    return words
