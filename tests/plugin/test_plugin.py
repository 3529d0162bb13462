"""A package that adds a format and a kind of tagger, installed and used through raybio's commands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
Raybio = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the package in."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "raybio_example.py"):
        (source / name).write_bytes((HERE / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder), str(source)], check=True)
    return folder


@pytest.fixture
def raybio(installed: Path, tmp_path: Path) -> Raybio:
    """Run a raybio command in an empty folder where the package is installed."""
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "raybio", *map(str, words)]
        environment["PYTHONPATH"] = path
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    folder = tmp_path / "lexicon"
    folder.mkdir()
    (folder / "raybio.json").write_text('{"kind": "lexicon", "label": "Chemical"}')
    (folder / "words.txt").write_text("naloxone clonidine")
    return folder


def test_its_format_is_read_by_suffix_and_by_name(raybio: Raybio, tmp_path: Path) -> None:
    (tmp_path / "notes.psv").write_text("id|text\n7|Some naloxone, then\n8\n")
    done = raybio("corpus", "convert", "notes.psv", "notes.jsonl", "--rejected", "rejected.jsonl")
    assert done.returncode == 0, done.stderr
    [document] = map(json.loads, (tmp_path / "notes.jsonl").read_text().splitlines())
    assert (document["id"], document["text"]) == ("7", "Some naloxone, then")
    assert "no text" in (tmp_path / "rejected.jsonl").read_text()
    assert raybio("corpus", "stats", "notes.psv", "--format", "psw").stderr.count("Did you mean psv?") == 1


def test_its_tagger_tags_a_corpus_into_its_format(raybio: Raybio, lexicon: Path, tmp_path: Path) -> None:
    rows = [f"{number}|I take naloxone with clonidine." for number in range(30)]
    (tmp_path / "notes.psv").write_text("\n".join(["id|text", *rows]))
    words = ("--output", "tagged", "--formats", "psv", "--taggers", 1, "--shard-documents", 10)
    done = raybio("tag", "notes.psv", "--model", "lexicon", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    written = sorted((tmp_path / "tagged" / "psv").iterdir())
    assert len(written) == 3
    assert '"[[7, 15, ""Chemical""], [21, 30, ""Chemical""]]"' in written[0].read_text()


def test_options_that_its_tagger_does_not_have_are_refused(
    raybio: Raybio, lexicon: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.psv").write_text("id|text\n1|a\n")
    done = raybio("tag", "notes.psv", "--model", "lexicon", "--output", "tagged", "--precision", "int8")
    assert done.returncode != 0 and "is a lexicon model of another package" in done.stderr
