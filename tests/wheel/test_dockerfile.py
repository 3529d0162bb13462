"""The Dockerfile's own steps in an empty environment; there is no container engine here."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from dockerfile import instructions

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.wheel
@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_steps_leave_an_image_that_runs_jobs(tmp_path):
    steps = list(instructions(ROOT / "Dockerfile"))
    image, work = tmp_path / "image", tmp_path / "work"
    venv.create(image, with_pip=True)
    work.mkdir()
    # The build of torch without CUDA will do: constraints.txt pins it for machines such as this.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RAYBIO"))}
    inside = {
        **clean,
        "PATH": f"{image / 'bin'}:{clean['PATH']}",
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
    }
    (base,) = (rest for word, rest in steps if word == "FROM")
    version = re.search(r":(\d+\.\d+\.\d+)-py(\d)(\d+)-", base)
    assert version and sys.version_info[:2] == (int(version[2]), int(version[3]))
    run(f"pip install --quiet ray=={version[1]}", work, inside)
    for word, rest in steps:
        if word == "COPY":
            *sources, target = [part for part in rest.split() if not part.startswith("--")]
            for source in sources:
                copy(ROOT / source, work / target)
        elif word == "RUN":
            run(rest, work, inside)
        elif word == "ENV":
            inside |= dict(pair.split("=") for pair in rest.split())
    assert f"{version[1]}\n" == run("python -c 'import ray; print(ray.__version__)'", work, inside)
    assert "job: tag-corpus" in run("raybio check --no-files configs/tag_corpus/pubmed.yaml", work, inside)
    run("python jobs/tag_corpus.py --help", work, inside)
    run(
        "python -c \"from raybio.model_sources import model_folder; model_folder('bundled:minilm')\"",
        work,
        inside,
    )


def copy(source, target):
    if source.name == "requirements-cuda.lock":
        # Without what only a GPU needs, which is gigabytes: the same versions as on this machine.
        here = {line.split("==")[0] for line in (ROOT / "requirements-cpu.lock").read_text().splitlines()}
        lines = source.read_text("utf-8").splitlines(keepends=True)
        (target / source.name).write_text("".join(line for line in lines if line.split("==")[0] in here))
    elif source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    else:
        shutil.copy(source, target)


def run(command, work, inside):
    done = subprocess.run(
        ["sh", "-c", command], cwd=work, env=inside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
