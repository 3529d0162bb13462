"""What needs Ray: two models that share a GPU in Serve, training jobs, and a rehearsal at full size."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from gpu.checks import CheckFailedError, Figures
from gpu.models import encoder_base, llm_shape, random_encoder, random_llm
from gpu.setting import Setting
from raybio.config import TrainDecoderConfig, TrainEncoderConfig, job_of
from raybio.entities import Sentence
from raybio.taggers import load_tagger

_COMMAND = [sys.executable, "-c", "import sys; from raybio.cli import main; sys.exit(main())"]
_LLAMA = Path(__file__).parents[2] / "configs" / "train_decoder" / "llama_8b_1gpu.yaml"


def shares_a_gpu(setting: Setting) -> list[Figures]:
    """Serve two models with half a GPU each; what they answer is what they answer unserved."""
    from raybio.cluster import connected
    from raybio.config import ServedModelSection
    from raybio.serving.deployment import deploy, undeploy

    share = 0.5 if setting.device.type == "cuda" else 0.0
    folder = setting.encoder or random_encoder(setting)
    sentences = setting.test_sentences(small=8, full=256)
    expected = [tags.tags for tags in load_tagger(folder, precision="fp32").tag(sentences)]
    rows = []
    with connected():
        for name in ("first", "second"):
            section = ServedModelSection(name=name, model=str(folder), precision="fp32", cpus=0.5, gpus=share)
            started = time.perf_counter()
            handle = deploy(section)
            up = time.perf_counter()
            found = asyncio.run(_asked(handle, sentences))
            seconds = time.perf_counter() - up
            different = sum(one != other for one, other in zip(found, expected, strict=True))
            rows.append(
                {
                    "model": name,
                    "gpus": share,
                    "seconds_to_start": up - started,
                    "sentences": len(sentences),
                    "sentences_a_second": len(sentences) / seconds,
                    "different_sentences": different,
                }
            )
        for name in ("first", "second"):
            undeploy(name)
    if any(row["different_sentences"] for row in rows):
        raise CheckFailedError("a served model answers otherwise than the same model in this process", rows)
    return rows


async def _asked(handle: object, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
    """Send each sentence as a request of its own, all at once."""
    from raybio.serving.client import Client

    client = Client(handle)
    served = await asyncio.gather(*(client.tag([sentence]) for sentence in sentences))
    return [one.answer.tags[0].tags for one in served]


def trains_as_jobs(setting: Setting) -> list[Figures]:
    """Run `train-encoder` and `train-decoder` (4 bits, DeepSpeed) as a user would, an epoch each."""
    from raybio.cluster import connected
    from raybio.training.decoder import train_decoder
    from raybio.training.encoder import train_encoder

    accelerator = "gpu" if setting.device.type == "cuda" else "cpu"
    shared = {
        "corpus": {
            "train": str(setting.train_file),
            "dev": str(setting.dev_file),
            "test": str(setting.test_file),
        },
        "output": str(setting.scratch / "runs"),
        "workers": {"accelerator": accelerator},
        "bootstrap": 20,
    }
    encoder = {
        "job": "train-encoder",
        "name": "encoder",
        "model": str(encoder_base(setting)),
        "training": {"epochs": 1},
    }
    decoder = {
        "job": "train-decoder",
        "name": "decoder",
        "model": str(_small_llm(setting)),
        "lora": {"r": 8, "alpha": 16},
        "training": {"epochs": 1, "max_length": 1000, "max_batch_tokens": 4096},
        "dev": {"sentences": 8},
        "test": False,
    }
    rows = []
    with connected():
        for train, kind, job in (
            (train_encoder, TrainEncoderConfig, encoder),
            (train_decoder, TrainDecoderConfig, decoder),
        ):
            started = time.perf_counter()
            done = train(job_of(kind, {**job, **shared}, job["name"]), lambda line: None)
            rows.append(
                {
                    "job": job["job"],
                    "seconds": time.perf_counter() - started,
                    "train_loss": done.run.metrics()[-1]["train_loss"],
                    "labels_read_back": len(load_tagger(done.run.model).labels),
                }
            )
    return rows


def _small_llm(setting: Setting) -> Path:
    """Return a tiny LLM: a job's way is the same for any size."""
    from dataclasses import replace

    tiny = replace(setting, small=True)
    return random_llm(tiny, "job-llm", llm_shape(tiny))


def rehearses(setting: Setting) -> list[Figures]:
    """Run `raybio preflight --rehearse` on the study's Llama-3.1-8B (small: on a tiny Llama)."""
    out = setting.scratch / "rehearsal.json"
    command = [*_COMMAND, "preflight", str(_rehearsed(setting)), "--rehearse", "3", "--json", str(out)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CheckFailedError(f"the rehearsal ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    found = json.loads(out.read_text(encoding="utf-8"))
    return [{"seconds": time.perf_counter() - started, **found}]


def _rehearsed(setting: Setting) -> Path:
    if not setting.small:
        return _LLAMA
    config = setting.scratch / "rehearsed.yaml"
    corpus = {"train": str(setting.train_file), "dev": str(setting.dev_file), "test": str(setting.test_file)}
    job = {
        "job": "train-decoder",
        "model": str(_small_llm(setting)),
        "corpus": corpus,
        "lora": {"r": 8},
        "training": {"max_length": 1000},
    }
    config.write_text(yaml.safe_dump(job), encoding="utf-8")
    return config
