"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _beside(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT.parent / "shared" / name))
    if not folder.is_dir():
        pytest.skip(f"real data is not here: set {variable} to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real corpora (BC5CDR, JNLPBA, ...), where this machine has one."""
    return _beside("RAYBIO_TEST_CORPORA", "corpora")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of known answers, where this machine has one."""
    return _beside("RAYBIO_TEST_GOLDEN", "golden")
