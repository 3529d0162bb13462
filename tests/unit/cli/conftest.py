"""How tests of the command call it."""

from typing import NamedTuple

import pytest

from raybio.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def raybio(capsys, monkeypatch, tmp_path):
    """Run one command line in an empty folder: `raybio("corpus", "stats", ...)`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAYBIO_DATA", raising=False)

    def run(*words):
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(raybio):
    """Run a command line that must be refused with one message, and return the message."""

    def run(*words, code=2):
        outcome = raybio(*words)
        assert (outcome.code, outcome.out) == (code, "")
        assert "Traceback" not in outcome.err
        (message,) = [line for line in outcome.err.splitlines() if line.startswith("raybio")]
        return message

    return run
