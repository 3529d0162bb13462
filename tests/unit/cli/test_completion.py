"""The completion that `raybio completion` prints, asked in bash."""

import shutil
import subprocess

import pytest


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    from contextlib import redirect_stdout
    from io import StringIO

    from raybio.cli import main

    printed = StringIO()
    with redirect_stdout(printed):
        assert main(["completion", "bash"]) == 0
    file = tmp_path_factory.mktemp("completion") / "raybio.bash"
    file.write_text(printed.getvalue())
    return file


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash is here")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("corpus st", {"stats"}),
        ("study ", {"plan", "run", "status", "report"}),
        ("tag --replay", {"--replay"}),
        ("train-encoder mine", {"mine.yaml"}),
    ],
)
def test_bash_is_offered_commands_options_and_files(script, tmp_path, typed, offered):
    (tmp_path / "mine.yaml").touch()
    code = (
        f"source {script}; COMP_WORDS=(raybio {typed}); [[ '{typed}' == *' ' ]] && COMP_WORDS+=(''); "
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _shtab_raybio; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert offered <= set(done.stdout.split())


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script_too(raybio, shell):
    outcome = raybio("completion", shell)
    assert outcome.code == 0 and "train-encoder" in outcome.out
