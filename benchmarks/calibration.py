"""How far scores of entities are off on test, before and after calibration on dev, on each corpus.

    python benchmarks/calibration.py --data DATA --json FILE [--corpora BC5CDR BioRED JNLPBA ChemProt]
        [--whole] [--epochs N] [--threads N] [--runs FOLDER]

Each corpus is learned by MiniLM as `raybio train-encoder` does it, which fits one temperature on dev and
scores test. Without `--whole` beginnings of the splits are read, some 600 to 700 sentences each: the models
are weak then, and their scores worse than those of whole corpora. Intervals (95 %) are of a bootstrap over
the predicted entities. The JSON file is written anew after each corpus; what is in it is not learned again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from raybio.cluster import connected
from raybio.config import CorpusSection, TrainEncoderConfig, TrainingSection, WorkersSection
from raybio.evaluation.reliability import BINS
from raybio.run_folder import environment
from raybio.storage import write_json
from raybio.taggers.encoder import EncoderCard
from raybio.training.encoder import train_encoder

BEGINNINGS: dict[str, dict[str, Any]] = {
    "BC5CDR": {"max_train_documents": 700, "max_eval_documents": 600},
    "BioRED": {"max_train_documents": 60, "max_eval_documents": 55},
    "JNLPBA": {"max_train_documents": 700, "max_eval_documents": 60},
    "ChemProt": {"max_train_documents": 110, "max_eval_documents": 100},
}
"""About as many sentences of each; in columns a sentence is a document where nothing else says."""

OWN: dict[str, dict[str, Any]] = {"ChemProt": {"train_from_dev": 0.75}}
"""ChemProt's public files have no train split."""

DRAWS = 1_000


def main() -> None:
    """Train, calibrate and measure on each corpus."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--json", required=True, type=Path)
    parser.add_argument("--corpora", nargs="+", default=list(BEGINNINGS), choices=list(BEGINNINGS))
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", default=tempfile.mkdtemp())
    options = parser.parse_args()
    settings = {"whole": options.whole, "epochs": options.epochs, "bins": BINS, "draws": DRAWS}
    found: dict[str, Any] = {"environment": environment(), "settings": settings, "corpora": {}}
    if options.json.exists():
        before = json.loads(options.json.read_text("utf-8"))
        if before["settings"] != settings:
            raise SystemExit(f"{options.json} is of other settings: {before['settings']}. Name another file")
        found = before
    with connected():
        for name in options.corpora:
            if name not in found["corpora"]:
                found["corpora"][name] = measure(name, options)
                print(json.dumps({name: found["corpora"][name]}), flush=True)
                write_json(options.json, found)


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what one corpus came to."""
    limits = {} if options.whole else BEGINNINGS[name]
    config = TrainEncoderConfig(
        job="train-encoder",
        model="bundled:minilm",
        corpus=CorpusSection(name=name, data=options.data, **limits, **OWN.get(name, {})),
        training=TrainingSection(
            epochs=options.epochs,
            learning_rate=3e-4,
            batch_size=16,
            aggregation_strategy="mean",
            constrained_decoding=True,
            precision="fp32",
        ),
        workers=WorkersSection(accelerator="cpu", threads=options.threads),
        bootstrap=200,
        output=options.runs,
        name=f"{name}-{os.getpid()}",
    )
    started = time.monotonic()
    trained = train_encoder(config)
    card = EncoderCard.read(trained.run.model)
    assert card is not None
    scores = trained.scores["test"]
    after = scores["reliability"]
    corrected = scores["corrected"]
    return {
        "limits": limits,
        "seconds": round(time.monotonic() - started, 1),
        "test_sentences": scores["sentences"],
        "strict_f1": corrected["overall"]["strict"]["f1"],
        "interval": corrected["intervals"]["f1"],
        "temperature": card.temperature,
        "entities": sum(one["entities"] for one in after["bins"]),
        "ece_before": after["uncalibrated"]["ece"],
        "ece_after": after["ece"],
        "ece_before_interval": ece_interval(after["uncalibrated"]["bins"]),
        "ece_after_interval": ece_interval(after["bins"]),
        "reliability": after,
    }


def ece_interval(bins: list[dict[str, float]]) -> tuple[float, float]:
    """Return the 95 % interval of the error; how many are in each bin is drawn, and how many are right."""
    random = np.random.default_rng(0)
    counts = np.array([one["entities"] for one in bins])
    scores, right = (np.array([one[key] for one in bins]) for key in ("score", "right"))
    drawn = random.multinomial(counts.sum(), counts / counts.sum(), size=DRAWS)
    hits = random.binomial(drawn, right)
    errors = np.abs(hits - drawn * scores).sum(axis=1) / counts.sum()
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
