"""`make docs`: what the documentation says of the code is made from the code.

Writes docs/configuration.md from the configs' classes, and the map of the house in README.md
from the first line of each module's docstring. A test holds both up to date.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from raybio.config import JOBS, describe

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "docs" / "configuration.md"
README = ROOT / "README.md"

# Rooms by floor, from the ground up, as the import contracts in pyproject.toml have them.
FLOORS = [
    ["entities.py", "errors.py"],
    ["iob2.py", "stopping.py", "config/"],
    [
        "corpora/",
        "alignment.py",
        "evaluation/",
        "cost.py",
        "run_folder.py",
        "prompts.py",
        "bio_output.py",
        "model_sources.py",
    ],
    ["taggers/"],
    ["cluster.py", "sentence_stream.py"],
    ["training/", "bulk_tagging/", "serving/", "reports/", "submission/"],
    ["demo.py", "study/"],
    ["cli/"],
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


def readme(text: str) -> str:
    """Return the README with its map made anew."""
    return re.sub(r"(?s)(```text\n)floor 0\n.*?(```)", lambda m: f"{m[1]}{house_map()}\n{m[2]}", text)


def _says(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


if __name__ == "__main__":
    CONFIGURATION.write_text(configuration(), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
