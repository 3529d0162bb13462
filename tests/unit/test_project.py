"""Files of the project that must agree with the package."""

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import raybio
from raybio.bundled_models import BUNDLED

ROOT = Path(__file__).resolve().parents[2]


def test_requirements_of_models_are_those_that_the_package_knows():
    lines = (ROOT / "requirements-models.txt").read_text("utf-8").splitlines()
    required = {line for line in lines if line and not line.startswith("#")}
    assert {bundled.requirement for bundled in BUNDLED.values()} <= required


def test_nervaluate_is_said_and_required_in_the_one_version_that_the_corrected_scorer_equals():
    (required,) = re.findall(r"nervaluate>=([\d.]+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    pages = [*(ROOT / "raybio").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    said = [
        (page.name, version)
        for page in pages
        for version in re.findall(r"nervaluate\S*\s([\d.]+)\s+and\s+later", page.read_text("utf-8"))
    ]
    assert len(said) >= 5
    assert {version for _, version in said} == {required}, said


# The lock ---------------------------------------------------------------------------------------

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCKED_FOR = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64"}


def pins(file: str) -> dict[str, Version]:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and line[0] not in "#-")
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def required(*extras: str) -> Iterator[Requirement]:
    """Yield what raybio needs with these extras on the machine of the lock, and what these extras name."""
    of_extras = (PROJECT["optional-dependencies"][extra] for extra in extras)
    for requirement in map(Requirement, chain(PROJECT["dependencies"], *of_extras)):
        if requirement.name == "raybio":
            yield from required(*requirement.extras)
        elif requirement.marker is None or requirement.marker.evaluate(LOCKED_FOR):
            yield requirement


@pytest.mark.parametrize("requirement", sorted(set(required("dev", "int8", "llm")), key=str), ids=str)
def test_the_lock_has_what_is_required(requirement: Requirement):
    locked = pins("requirements-cpu.lock").get(canonicalize_name(requirement.name))
    assert locked, f"{requirement} is not locked: run `make lock`"
    assert locked in requirement.specifier, f"{requirement.name} is locked at {locked}: run `make lock`"


def test_the_lock_keeps_to_the_constraints():
    locked = pins("requirements-cpu.lock")
    found = {name: locked[name].public for name in pins("constraints.txt")}
    assert found == {name: str(version) for name, version in pins("constraints.txt").items()}
    assert str(locked["torch"]).endswith("+cpu")


@pytest.mark.parametrize("requirement", sorted(set(required("gs", "int8", "llm", "s3")), key=str), ids=str)
def test_the_lock_of_gpu_nodes_has_what_is_required(requirement: Requirement):
    locked = pins("requirements-cuda.lock").get(canonicalize_name(requirement.name))
    assert locked, f"{requirement} is not locked: run `make lock`"
    assert locked in requirement.specifier, f"{requirement.name} is locked at {locked}: run `make lock`"


def test_both_locks_have_the_same_versions():
    cpu, cuda = pins("requirements-cpu.lock"), pins("requirements-cuda.lock")
    both = cpu.keys() & cuda.keys()
    assert {"ray", "torch", "transformers", "deepspeed", "s3fs"} <= both
    assert {name: cuda[name].public for name in both} == {name: cpu[name].public for name in both}
    assert cuda["torch"].local is None and any(name.startswith("nvidia-cublas") for name in cuda)


def test_ci_tests_what_is_locked():
    workflows = [
        (ROOT / ".github/workflows" / name).read_text("utf-8") for name in ("test.yml", "release.yml")
    ]
    assert all("requirements-cpu.lock" in text for text in workflows)


# What a release and a contributor rely on -------------------------------------------------------


def test_the_version_is_one_and_dated_in_changelog_and_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert str(citation["version"]) == raybio.__version__
    heading = f"## [{raybio.__version__}] - {citation['date-released']}"
    assert heading in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()


def made_targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))


def runs(file: Path) -> list[str]:
    workflow = yaml.safe_load(file.read_text("utf-8"))
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def test_ci_hooks_and_dev_container_call_targets_of_make():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    called = {hook["stages"][0]: hook["entry"] for hook in hooks}
    assert called == {"pre-commit": "make lint", "pre-push": "make check"}
    commands = [hook["entry"] for hook in hooks]
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        commands += runs(file)
    commands.append((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    targets = re.findall(r"\bmake ([a-z-]+)", "\n".join(commands))
    assert {"test", "check", "install", "unit"} <= set(targets) <= made_targets()


def test_ci_runs_each_python_that_is_promised_and_a_release_checks_before_it_publishes():
    test = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))["jobs"]
    matrix = test["linux"]["strategy"]["matrix"]["include"]
    assert [each["python"] for each in matrix] == ["3.11", "3.12", "3.13"]
    assert all((ROOT / each["constraints"]).is_file() for each in matrix)
    assert test["macos"]["runs-on"].startswith("macos")
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))
    assert release[True]["push"]["tags"] == ["v*"]  # YAML 1.1 reads `on` as true
    assert release["jobs"]["publish"]["needs"] == "check"
    publish = [step.get("run", step.get("uses")) for step in release["jobs"]["publish"]["steps"]]
    assert publish.index("python -m build") < publish.index("python -m twine check --strict dist/*")
    assert publish[-1].startswith("pypa/gh-action-pypi-publish@")


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_an_issue_form_is_one_that_github_takes(form):
    asked = yaml.safe_load(form.read_text("utf-8"))
    assert asked["name"] and asked["description"]
    assert all(each["type"] == "textarea" and each["attributes"]["label"] for each in asked["body"])
    assert any(each.get("validations", {}).get("required") for each in asked["body"])
