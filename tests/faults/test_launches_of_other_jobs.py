"""Spot nodes that the cloud refuses to a training job and to a served model, with Ray's own autoscaler."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_cloud import NO_CAPACITY, launches, node_type
from ray_head import Head, ray_head
from samples import training_config
from tiny_bert import write_tiny_bert
from transformers import AutoTokenizer

from raybio.config import TrainingSection, WorkersSection, to_yaml
from raybio.corpora.sample import generate_sample
from raybio.model_sources import model_folder

_CPUS = 3
"""More than the head has."""
_SERVE = f"""
import sys
from raybio.cluster import connected
from raybio.config import ServedModelSection
from raybio.serving.deployment import deploy, undeploy

section = ServedModelSection(
    name="m", model=sys.argv[1], replicas=2, cpus={_CPUS}, precision="fp32", spot_timeout_s=4
)
with connected():
    deploy(section, progress=lambda line: print(line, file=sys.stderr))
    undeploy("m")
"""


@pytest.fixture
def head() -> Iterator[Head]:
    """A head of each test's own: no node is left from another."""
    types = {
        "spot": node_type(4, 1, {"refused": NO_CAPACITY}, CPU=_CPUS),
        "on_demand": node_type(4, CPU=_CPUS, on_demand_CPU=_CPUS),
    }
    with ray_head(types) as started:
        yield started


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(model_folder("bundled:minilm"))
    return write_tiny_bert(tmp_path_factory.mktemp("model") / "m", tokenizer, ["Chemical"], 128, 16)


def run(head: Head, *words: object) -> "subprocess.CompletedProcess[str]":
    """Run Python on the cluster, as a driver on its head."""
    # So Ray takes the loopback address for what it is.
    joined = {"RAY_ADDRESS": head.gcs, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env={**os.environ, **head.environment, **joined},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    print(done.stderr)
    return done


def check_on_demand(head: Head, said: str) -> None:
    """See that each of two processes got an on-demand node, and that the log says why."""
    assert "nodes that have on_demand_CPU are asked for too" in said
    # Ray's autoscaler may ask for one itself, before it counts those that are on their way.
    came = Counter(launches(head.folder, "on_demand"))
    assert 2 <= came["up"] <= came["asked"] <= 3
    assert set(launches(head.folder, "spot")) == {"asked"}


def test_a_training_job(head: Head, tiny_model: Path, tmp_path: Path) -> None:
    workers = WorkersSection(num_workers=2, cpus_per_worker=_CPUS, accelerator="cpu", spot_timeout_s=4)
    training = TrainingSection(epochs=1, learning_rate=2e-3, batch_size=8, stride=16)
    sample = generate_sample(tmp_path / "sample", train=40, dev=20, test=10, citations=1)
    config = training_config(
        sample, tmp_path, "run", model=str(tiny_model), workers=workers, training=training, test=False
    )
    (tmp_path / "run.yaml").write_text(to_yaml(config))
    done = run(head, "-m", "raybio", "train-encoder", tmp_path / "run.yaml")
    assert done.returncode == 0
    check_on_demand(head, done.stderr)


def test_a_served_model(head: Head, tiny_model: Path) -> None:
    done = run(head, "-c", _SERVE, tiny_model)
    assert done.returncode == 0
    check_on_demand(head, done.stderr)
