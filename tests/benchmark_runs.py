"""Makes benchmark-serve run folders for tests. Every figure is made up, and says nothing of any model."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from raybio.evaluation import evaluate
from raybio.evaluation.latency import summarize
from raybio.run_folder import RunFolder

GOLD = [
    ("aspirin eased the severe headache", "B-Chemical O O O B-Disease"),
    ("acute renal failure after cisplatin therapy", "B-Disease I-Disease I-Disease O B-Chemical O"),
    ("no rash was seen", "O B-Disease O O"),
    ("cocaine induced myocardial infarction", "B-Chemical O B-Disease I-Disease"),
]  # fmt: skip
Sentence = tuple[Sequence[str], Sequence[str]]
SENTENCES: list[Sentence] = [(words.split(" "), tags.split(" ")) for words, tags in GOLD] * 25


@dataclass(frozen=True)
class Made:
    """A made-up model: its name, how it is served, its usual seconds a sentence, and how often it errs."""

    name: str
    kind: str = "encoder"
    seconds: float = 0.02
    errs: float = 0.1
    cpus: float = 1.0
    gpus: float = 0.0
    mode: str | None = None
    equal: bool = True
    unanswered: int = 0


ENCODER = Made("minilm")
DECODER = Made("smol", "decoder", seconds=0.8, errs=0.2, mode="verified-tags")


def make_benchmark(
    path: Path,
    models: Sequence[Made] = (ENCODER, DECODER),
    corpora: Sequence[str] = ("BC5CDR",),
    sentences: Sequence[Sentence] = SENTENCES,
    scenarios: Sequence[str] = ("single-stream", "server", "offline", "scaling", "paper"),
    limit: int | None = None,
) -> Path:
    """Write a run folder as `job: benchmark-serve` leaves it, with every scenario named."""
    config = {
        "job": "benchmark-serve",
        "corpora": [{"name": corpus, "max_documents": limit} for corpus in corpora],
    }
    run = RunFolder.create(path, yaml.safe_dump(config))
    rows: list[dict[str, Any]] = []
    results = []
    for model in models:
        for corpus in corpora:
            drawn = random.Random(f"{model.name} {corpus}")
            predicted = [_predict(tags, model.errs, drawn) for _, tags in sentences]
            run.write_predictions(
                f"{model.name}/{corpus}",
                [
                    (list(words), list(gold), tags)
                    for (words, gold), tags in zip(sentences, predicted, strict=True)
                ],
            )
            measured = [found for name in scenarios for found in _scenario(name, model, sentences, drawn)]
            rows += [
                {"model": model.name, "corpus": corpus, "scenario": each["scenario"], "point": point} | row
                for each, requests in measured
                for point in [", ".join(f"{name} {value:.4g}" for name, value in each["point"].items())]
                for row in requests
            ]
            results.append(
                {
                    "model": model.name,
                    "corpus": corpus,
                    "split": "test",
                    "sentences": len(sentences),
                    "words": sum(len(words) for words, _ in sentences),
                    "accuracy": _accuracy(model, sentences, predicted),
                    "scenarios": [each for each, _ in measured],
                }
            )
    served = {model.name: _served(model) for model in models}
    run.write_json("benchmark.json", {"version": 1, "models": served, "results": results})
    table = pa.Table.from_pylist(
        rows, pa.schema([*_COLUMNS, ("seconds", pa.float64()), ("error", pa.string())])
    )
    pq.write_table(table, run.path / "requests.parquet")
    return run.path


_COLUMNS = [(name, pa.string()) for name in ("model", "corpus", "scenario", "point")]


def _predict(gold: Sequence[str], errs: float, drawn: random.Random) -> list[str]:
    """Return the gold tags, with an error in some places: dropped, relabelled, too long or invented."""
    tags = list(gold)
    for at, tag in enumerate(gold):
        if drawn.random() > errs:
            continue
        if tag.startswith("B-"):
            inside = at + 1 < len(gold) and gold[at + 1].startswith("I-")
            other = "Disease" if tag.endswith("Chemical") else "Chemical"
            tags[at] = "O" if not inside and drawn.random() < 0.6 else f"B-{other}"
            if inside:
                tags[at], tags[at + 1] = "O", f"B-{tag[2:]}"
        elif tag == "O" and drawn.random() < 0.1 and not (at + 1 < len(gold) and gold[at + 1][0] == "I"):
            tags[at] = "B-Chemical"
    return tags


def _served(model: Made) -> dict[str, Any]:
    return {
        "model": f"runs/{model.name}/model",
        "kind": model.kind,
        "precision": "fp32",
        "mode": model.mode,
        "cpus": model.cpus,
        "gpus": model.gpus,
        "threads": 1,
    }


def _accuracy(model: Made, sentences: Sequence[Sentence], predicted: Sequence[list[str]]) -> dict[str, Any]:
    gold = [tags for _, tags in sentences]
    scores = evaluate(gold, predicted, bootstrap=50)
    figures = scores.to_dict()
    return {
        "served_strict_f1": scores.strict_f1,
        "offline_strict_f1": scores.strict_f1,
        "equal": model.equal and not model.unanswered,
        "different_sentences": 0 if model.equal else 3,
        "unanswered_sentences": model.unanswered,
        "corrected": figures["corrected"],
        "paper": figures["paper"],
    }


def _scenario(
    name: str, model: Made, sentences: Sequence[Sentence], drawn: random.Random
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    base = 1 / model.seconds
    if name == "single-stream":
        return [_latencies(name, {}, model, drawn, 400, 1.0)]
    if name == "server":
        points = [(0.5, 1.4), (0.8, 3.0)]
        return [_latencies(name, {"rate": share * base}, model, drawn, 400, slow) for share, slow in points]
    if name == "offline":
        return [(_throughput(name, {}, model, len(sentences), 1.0), [])]
    if name == "paper":
        return [(_throughput(name, {}, model, len(sentences), 0.7), [])]
    return [
        (
            _throughput(name, {"replicas": count}, model, len(sentences), count * share)
            | {"efficiency": share},
            [],
        )
        for count in (1, 2, 4)
        for share in [1 / (1 + (count - 1) * min(0.2, 0.002 / model.seconds))]
    ]


def _latencies(
    name: str, point: dict[str, float], model: Made, drawn: random.Random, requests: int, slow: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    seconds = [model.seconds * slow * drawn.lognormvariate(0, 0.25) for _ in range(requests)]
    rows: list[dict[str, Any]] = [{"seconds": each, "error": None} for each in seconds]
    rows.append({"seconds": 99.0, "error": "the replica died"})
    latency = summarize(seconds).to_dict()
    mean = latency["mean"]
    figures = _throughput(name, point, model, requests, 0.5) | {
        "requests": requests + 1,
        "errors": 1,
        "retries": 2,
        "latency": latency,
        "seconds": {"client": mean, "replica": mean - 0.003, "model": mean - 0.005},
        "goodput": {"target_seconds": 1.0, "fraction": 0.98, "per_second": 10.0} if point else None,
    }
    return figures, rows


def _throughput(
    name: str, point: dict[str, float], model: Made, sentences: int, times: float
) -> dict[str, Any]:
    rate = times * 1.6 / model.seconds
    return {
        "scenario": name,
        "point": point,
        "requests": sentences,
        "errors": 0,
        "retries": 0,
        "wall_seconds": sentences / rate,
        "sentences_per_second": rate,
        "words_per_second": 5 * rate,
        "latency": None,
        "seconds": {"client": None, "replica": None, "model": None},
        "batch_sentences_mean": 12.5,
        "goodput": None,
        "efficiency": None,
    }
