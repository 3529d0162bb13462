"""Files of the project that must agree with the package."""

import re
from pathlib import Path

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
