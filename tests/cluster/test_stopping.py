"""Every long job on a cluster of its own, asked to stop in the middle of its work: in time, with one line."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ray_head import ROOT
from samples import tagging_config, training_config

from raybio.config import ServeConfig, ServedModelSection, TrainingSection, to_yaml
from raybio.corpora.sample import SampleFiles, generate_sample
from raybio.errors import STOPPED

pytestmark = [pytest.mark.soak, pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])]

SECONDS = 3.0
_BUSY_SECONDS = 240


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    return generate_sample(tmp_path_factory.mktemp("sample"), train=200, dev=40, test=40, citations=30)


def stop(
    job: str, config: str, folder: Path, number: signal.Signals, busy: Callable[[], bool]
) -> tuple[float, str]:
    """Run the job's script until it is `busy`, stop it; return the seconds that took, and what it said."""
    file = folder / f"{job}.yaml"
    file.write_text(config)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("RAY_ADDRESS", None)
    with (folder / "said.txt").open("w+") as said:
        command = [sys.executable, str(ROOT / "jobs" / f"{job}.py"), str(file)]
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
        until = time.monotonic() + _BUSY_SECONDS
        while not busy() and time.monotonic() < until:
            assert process.poll() is None, (folder / "said.txt").read_text()
            time.sleep(0.05)
        started = time.monotonic()
        process.send_signal(number)
        code = process.wait(timeout=120)
        seconds = time.monotonic() - started
    text = (folder / "said.txt").read_text()
    assert code == STOPPED, text
    assert text.count("raybio: stopped") == 1
    assert "Traceback" not in text
    return seconds, text


def test_tagging(tiny_model: Path, many_documents: Path, tmp_path: Path, number: signal.Signals) -> None:
    config = to_yaml(tagging_config(tiny_model, many_documents, tmp_path / "out"))
    seconds, text = stop(
        "tag_corpus", config, tmp_path, number, lambda: any((tmp_path / "out/ledger").rglob("0*.json"))
    )
    assert seconds < SECONDS
    assert "raybio: stopped. Run the same command again to resume: what is committed stays\n" in text


def test_training(sample: SampleFiles, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "runs" / "stopped"
    learning = TrainingSection(epochs=30, learning_rate=3e-4, batch_size=4, precision="fp32")
    config = to_yaml(training_config(sample, tmp_path / "runs", "stopped", training=learning))
    seconds, text = stop("train_encoder", config, tmp_path, number, (run / "metrics.jsonl").exists)
    assert seconds < SECONDS
    assert "To resume after its last epoch: the same command with name=stopped resume=true\n" in text


def test_serving(tiny_model: Path, tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    model = ServedModelSection(name="tiny", model=str(tiny_model))
    config = to_yaml(ServeConfig(job="serve", port=port, models=(model,)))
    _, text = stop(
        "serve", config, tmp_path, number, lambda: "serving tiny" in (tmp_path / "said.txt").read_text()
    )
    assert "raybio: stopped. The same command serves again\n" in text
