"""The command as a whole: a quick start, help everywhere, exit codes."""

import subprocess
import sys

import pytest

import raybio as package
from raybio.cli import corpus
from raybio.corpora import formats
from raybio.errors import FAILURE, STOPPED, RejectedError

HEAVY = {
    "torch",
    "transformers",
    "ray",
    "pydantic",
    "pydantic_core",
    "lxml",
    "numpy",
    "pyarrow",
    "fsspec",
    "yaml",
}
COMMANDS = [
    "",
    "demo",
    "check",
    "adapt-encoder",
    "train-encoder",
    "tag",
    "tag-corpus",
    "corpus",
    "corpus stats",
    "corpus convert",
    "corpus fetch",
    "corpus sample",
    "submit",
    "jobs",
    "models",
    "models install",
    "evaluate",
    "report",
]


def test_help_loads_nothing_heavy():
    code = (
        "import sys, raybio.cli\n"
        "try: raybio.cli.main(['--help'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "train-encoder" in done.stdout
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(raybio, command):
    outcome = raybio(*command.split(), "--help")
    assert outcome.code == 0
    assert f"usage: raybio {command}".strip() in outcome.out
    assert outcome.err == ""


def test_help_names_every_format_to_write(raybio):
    outcome = raybio("corpus", "convert", "--help")
    assert all(name in outcome.out for name in formats())


def test_version(raybio):
    assert raybio("--version") == (0, f"raybio {package.__version__}\n", "")


@pytest.mark.parametrize("command", ["", "corpus", "tag-everything", "corpus stats", "demo --out x"])
def test_a_line_that_is_no_command_is_refused(raybio, command):
    outcome = raybio(*command.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert "usage: raybio" in outcome.err


def test_each_error_has_its_exit_code(refused, monkeypatch):
    def stop(options):
        raise RejectedError("too many")

    monkeypatch.setattr(corpus, "_sample", stop)
    assert refused("corpus", "sample", "x", code=RejectedError.exit_code) == "raybio: too many"


def test_ctrl_c(refused, monkeypatch):
    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus, "_sample", stop)
    assert refused("corpus", "sample", "x", code=STOPPED) == "raybio: stopped"


def test_an_error_of_ours_keeps_its_traceback(raybio, monkeypatch):
    def fail(options):
        raise OSError("no file is named: a fault of the program")

    monkeypatch.setattr(corpus, "_sample", fail)
    outcome = raybio("corpus", "sample", "x")
    assert outcome.code == FAILURE and outcome.err.startswith("Traceback (most recent call last)")
    assert outcome.err.endswith("OSError: no file is named: a fault of the program\n")


def test_a_file_that_cannot_be_written_is_one_message(refused, tmp_path):
    (tmp_path / "taken").write_text("")
    assert refused("corpus", "sample", "taken/below", code=1).endswith("taken/below: Not a directory")


def test_a_reader_that_leaves_is_no_fault(tmp_path):
    gold = tmp_path / "gold.tsv"
    gold.write_text("a\tO\n")
    code = "import sys, raybio.cli; sys.exit(raybio.cli.main())"
    command = f"{sys.executable} -c '{code}' evaluate {gold} {gold}"
    pipe = f'{{ {command}; echo "code $?" >&2; }} | true'
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=True)
    assert done.stderr == "code 141\n"
