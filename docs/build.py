"""`make docs`: what pages in git have from elsewhere; a test keeps it up to date.

The map in docs/architecture.md is of the first line of each module's docstring, figures and pictures are of
the committed results. What else is made from the code is not kept in git: see hooks.py, and `make site`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from measured import filled
from picture import pictures

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
QUOTING = (ROOT / "README.md", ROOT / "docs" / "figures.md", ROOT / "docs" / "all_results.md")
"""The pages that quote figures of committed results."""

# Rooms by floor, from the ground up, as the import contracts in pyproject.toml have them.
FLOORS = [
    ["safe_text.py", "entities.py", "errors.py", "progress.py", "special_files.py", "plugins.py"],
    [
        "iob2.py",
        "joining.py",
        "label_schemes.py",
        "filesystems.py",
        "stopping.py",
        "storage.py",
        "json_lines.py",
        "versioned.py",
        "word_cache.py",
        "config/",
    ],
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
        "model_fetching.py",
        "classifier_adapters.py",
        "bundled_models.py",
        "model_sources.py",
    ],
    ["taggers/"],
    [
        "cluster.py",
        "waiting.py",
        "on_demand.py",
        "ray_messages.py",
        "refusals.py",
        "model_metrics.py",
        "sentence_stream.py",
        "members.py",
        "text_tagger.py",
        "model_scoring.py",
    ],
    ["training/", "bulk_tagging/", "serving/", "reports/", "submission/", "dataset.py"],
    ["demo.py", "study/"],
    ["cli/", "__main__.py"],
]


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


def _says(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def built() -> Iterator[tuple[Path, str]]:
    """Yield each file that is made, or has a part that is, as it should be."""
    yield ARCHITECTURE, architecture(ARCHITECTURE.read_text(encoding="utf-8"))
    yield from ((page, filled(page.read_text(encoding="utf-8"))) for page in QUOTING)
    yield from pictures().items()


if __name__ == "__main__":
    for file, text in built():
        file.write_text(text, encoding="utf-8")
