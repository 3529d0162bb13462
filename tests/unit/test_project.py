"""Files of the project that must agree with the package."""

from pathlib import Path

from raybio.model_sources import BUNDLED

ROOT = Path(__file__).resolve().parents[2]


def test_requirements_of_models_are_those_that_the_package_knows():
    lines = (ROOT / "requirements-models.txt").read_text("utf-8").splitlines()
    required = {line for line in lines if line and not line.startswith("#")}
    assert {bundled.requirement for bundled in BUNDLED.values()} <= required
