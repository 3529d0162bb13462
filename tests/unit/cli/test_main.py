"""The command as a whole: a quick start, help everywhere, exit codes."""

import subprocess
import sys
from pathlib import Path

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
    "configs",
    "configs list",
    "configs copy",
    "doctor",
    "completion",
    "evaluate",
    "score",
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


def test_help_begins_with_what_raybio_is_in_one_sentence(raybio):
    about = raybio("--help").out.partition("\n\n")[2].partition("\n\n")[0]
    assert " ".join(about.split()) == (
        "raybio: biomedical named entity recognition at scale on Ray, encoders and LLMs on equal terms."
    )


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


def fails_with(monkeypatch, error):
    def fail(options):
        raise error

    monkeypatch.setattr(corpus, "_sample", fail)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("no file is named"), "OSError: no file is named"),
        (ValueError("not a model.\n\nIf this is private, log in."), "ValueError: not a model"),
        (RuntimeError(), "RuntimeError: RuntimeError"),
    ],
)
def test_an_error_that_nobody_expected_is_one_line_and_keeps_its_traceback(refused, monkeypatch, error, line):
    fails_with(monkeypatch, error)
    message = refused("corpus", "sample", "x", code=FAILURE)
    said, _, kept = message.partition(". The traceback is in ")
    assert said == f"raybio: {line}"
    trace = Path(kept.partition(";")[0])
    assert "in fail\n" in trace.read_text()
    trace.unlink()


def test_debug_shows_the_traceback(raybio, monkeypatch):
    fails_with(monkeypatch, ValueError("no luck"))
    outcome = raybio("corpus", "sample", "x", "--debug")
    assert outcome.code == FAILURE and outcome.err.startswith("Traceback (most recent call last)")
    assert outcome.err.endswith("\nraybio: ValueError: no luck\n")


def test_what_fails_in_a_task_of_ray_is_said_as_it_was_there(refused, monkeypatch):
    from ray.exceptions import RayTaskError

    ours = RejectedError("too many")
    fails_with(monkeypatch, RayTaskError("tag", "Traceback ...", ours).as_instanceof_cause())
    assert refused("corpus", "sample", "x", code=RejectedError.exit_code) == "raybio: too many"
    theirs = RayTaskError("tag", "Traceback ...", KeyError("label")).as_instanceof_cause()
    fails_with(monkeypatch, theirs)
    assert refused("corpus", "sample", "x", code=FAILURE).startswith(
        "raybio: KeyError: 'label'. The traceback"
    )


def test_secrets_of_a_traceback_are_kept_nowhere(refused, monkeypatch):
    fails_with(monkeypatch, ValueError("https://user:hunter2@example.org/x is gone"))
    message = refused("corpus", "sample", "x", code=FAILURE)
    trace = Path(message.partition("The traceback is in ")[2].partition(";")[0])
    assert "hunter2" not in message + trace.read_text()
    trace.unlink()


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


@pytest.mark.parametrize(
    ("line", "usage", "hint"),
    [
        ("trian-encoder minilm_bc5cdr", "raybio", "Did you mean train-encoder?"),
        ("corpus convrt a b", "raybio corpus", "Did you mean convert?"),
        ("tag a.txt --modle m --output o", "raybio tag", "Did you mean --mode or --model?"),
        ("tag a.txt --modle=m --output o", "raybio tag", "Did you mean --mode or --model?"),
        ("train-encoder minilm_bc5cdr --name bad", "raybio train-encoder", "name=VALUE"),
        ("train-encoder minilm_bc5cdr --seed=7", "raybio train-encoder", "seed=7"),
        (
            "evaluate a.tsv b.tsv --quite-another",
            "raybio evaluate",
            "unrecognized arguments: --quite-another\n",
        ),
    ],
)
def test_what_is_misspelt_is_refused_with_the_nearest(line, usage, hint, raybio):
    outcome = raybio(*line.split())
    assert outcome.code == 2
    assert f"usage: {usage} [-h]" in outcome.err and hint in outcome.err
