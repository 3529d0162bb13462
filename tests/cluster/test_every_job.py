"""`ray job submit --working-dir . -- python jobs/NAME.py configs/...` for every job, on a real head."""

import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from ray_head import OPENER, Head
from tiny_llama import write_tiny_llama

from raybio.config import JOBS
from raybio.corpora.sample import SampleFiles, generate_sample

pytestmark = pytest.mark.soak

CONFIGS = {
    "adapt-encoder": "configs/adapt_encoder/minilm_bc5cdr.yaml",
    "train-encoder": "configs/train_encoder/minilm_bc5cdr.yaml",
    "train-decoder": "configs/train_decoder/smollm2_bc5cdr.yaml",
    "tag-corpus": "configs/tag_corpus/cpu_int8.yaml",
    "benchmark-serve": "configs/benchmark_serve/smoke.yaml",
    "run-study": "configs/study/smoke.yaml",
    "serve": "configs/serve/minilm.yaml",
}
_SERVED_SECONDS = 120


@pytest.fixture(scope="module")
def options(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, object]]:
    """What makes each shipped config small: a tiny model, a sample, one epoch."""
    folder = tmp_path_factory.mktemp("work")
    sample = generate_sample(folder / "sample", train=60, dev=20, test=20, citations=20)
    texts = sample.train.read_text(encoding="utf-8").replace("\t", ":").splitlines()
    served = {"name": "tiny", "model": tiny_model}
    training = {
        "corpus": corpus(sample),
        "output": folder / "runs",
        "training.epochs": 1,
        "workers.cpus_per_worker": 1,
        "test": "false",
        "bootstrap": 0,
    }
    return {
        "adapt-encoder": {
            "model": tiny_model,
            "text": f"{{files: [{sample.train}], decontaminate_against: [{sample.dev}], "
            "validation_fraction: 0.1}",
            "output": folder / "runs",
            "name": "adapted",
            "training.epochs": 1,
            "workers.cpus_per_worker": 1,
        },
        "train-encoder": training | {"name": "encoder"},
        "train-decoder": training
        | {
            "name": "decoder",
            "model": write_tiny_llama(folder / "llama", texts),
            "training.max_length": 1024,
            "dev.sentences": 4,
        },
        "tag-corpus": {
            "model": tiny_model,
            "input": f"[{sample.dump}]",
            "output": folder / "tagged",
            "precision": "fp32",
            "taggers.count": 1,
        },
        "benchmark-serve": {
            "models": shown([served | {"precision": "fp32"}]),
            "corpora": f"[{corpus(sample)}]",
            "output": folder / "runs",
            "name": "benchmark",
            "scaling.replicas": "[]",
        },
        "run-study": {
            "corpora": f"[{corpus(sample)}]",
            "models": "[{name: tiny, config: configs/train_encoder/minilm_bc5cdr.yaml, "
            f"options: {{model: {tiny_model}, training.epochs: 1, training.stride: 16}}}}]",
            "output": folder / "studies",
            "seeds": "[1]",
        },
        "serve": {"models": shown([served]), "port": free_port()},
    }


def corpus(sample: SampleFiles) -> str:
    return f"{{train: {sample.train}, dev: {sample.dev}, test: {sample.test}}}"


def shown(models: list[dict[str, object]]) -> str:
    one = ["{" + ", ".join(f"{key}: {value}" for key, value in model.items()) + "}" for model in models]
    return f"[{', '.join(one)}]"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def submit(head: Head, job: str, options: Mapping[str, object], *more: str) -> str:
    """Submit the job with Ray's own command; return what that printed."""
    script = f"jobs/{job.replace('-', '_')}.py"
    entrypoint = ["python", script, CONFIGS[job], *(f"{key}={value}" for key, value in options.items())]
    ray = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", head.address]
    words = [*ray, "--submission-id", job, "--working-dir", ".", *more, "--", *entrypoint]
    done = head.run(*words, timeout=540)
    return done.stdout + done.stderr


@pytest.mark.parametrize("job", [job for job in JOBS if job != "serve"])
def test_a_job_that_ends(head: Head, options: Mapping[str, Mapping[str, object]], job: str) -> None:
    said = submit(head, job, options[job])
    assert head.ask(f"/api/jobs/{job}")["driver_exit_code"] == 0, said


def test_a_job_that_serves_until_it_is_stopped(
    head: Head, options: Mapping[str, Mapping[str, object]]
) -> None:
    address = f"http://127.0.0.1:{options['serve']['port']}"
    submit(head, "serve", options["serve"], "--no-wait")
    until = time.monotonic() + _SERVED_SECONDS
    while not (found := answer(f"{address}/health")) and time.monotonic() < until:
        time.sleep(0.5)
    assert b'"tiny":"running"' in found, head.ask("/api/jobs/serve/logs")["logs"]
    head.ask("/api/jobs/serve/stop", "POST")
    # What was served goes with its job, though the cluster stays.
    while answer(f"{address}/health") and time.monotonic() < until:
        time.sleep(0.5)
    assert not answer(f"{address}/health")
    assert "raybio: stopped. The same command serves again\n" in head.ask("/api/jobs/serve/logs")["logs"]


def answer(url: str) -> bytes:
    try:
        with OPENER.open(url, timeout=5) as reply:
            content: bytes = reply.read()
            return content
    except OSError:
        return b""
