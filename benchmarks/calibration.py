"""How far scores of entities are off on test, before and after calibration on dev, on each corpus.

    python benchmarks/calibration.py --data DATA --json FILE [--corpora BC5CDR BioRED JNLPBA ChemProt]
        [--train N] [--sentences N] [--epochs N] [--seed N] [--threads N]

MiniLM learns each corpus with the inner steps of training, without Ray; one temperature is fitted on dev, as
training does it; the expected calibration error of the entities found in test is taken at temperature 1 and
at that one. `--train` and `--sentences` draw so many sentences of train, and of dev and test (0: all); a
model of few sentences is weaker than one of all, and its scores are worse. Intervals (95 %) are of a
bootstrap over the predicted entities. The JSON file is written anew after each corpus; what is in it is not
learned again.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForTokenClassification

from raybio.config import CorpusSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.reliability import entities_of, reliability
from raybio.label_schemes import LabelScheme
from raybio.model_sources import base_folder
from raybio.run_folder import environment
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.storage import write_json
from raybio.taggers.encoder import EncoderTagger
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import read_config, read_model, read_tokenizer, tag_options
from raybio.taggers.temperature import fit_temperature
from raybio.training import steps
from raybio.training.encoder_steps import ExampleMaker

MODEL = "bundled:minilm"
CORPORA = ("BC5CDR", "BioRED", "JNLPBA", "ChemProt")
FROM_DEV = {"ChemProt": 0.75}
"""ChemProt's public files have no train split: this share of dev is learned, and the rest is dev."""
BATCH, BATCH_TOKENS, LEARNING_RATE, WARMUP = 16, 2048, 3e-4, 0.1
DRAWS = 1_000


def main() -> None:
    """Train, calibrate and measure on each corpus."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--train", type=int, default=0)
    parser.add_argument("--sentences", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = {name: getattr(options, name) for name in ("train", "sentences", "epochs", "seed")}
    found: dict[str, Any] = {"environment": environment(), "settings": settings, "corpora": {}}
    if options.json.exists():
        found = json.loads(options.json.read_text("utf-8"))
        if found["settings"] != settings:
            raise SystemExit(f"{options.json} is of other settings: {found['settings']}. Name another file")
    for name in options.corpora:
        if name not in found["corpora"]:
            found["corpora"][name] = measure(name, options)
            write_json(options.json, found)


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what one corpus came to."""
    started = time.process_time()
    section = CorpusSection(name=name, data=options.data, train_from_dev=FROM_DEV.get(name))
    train = drawn(section, "train", options.train, options.seed)
    dev, test = (drawn(section, split, options.sentences, options.seed) for split in ("dev", "test"))
    tagger = learned(train, options)
    temperature = fit_temperature(tagger, dev)
    gold = [gold_tags(sentence) for sentence in test]
    tagged = tagger.read(test).tags(temperature)
    predicted = [list(one.tags) for one in tagged]
    scores = evaluate(gold, predicted, [one.document_id for one in test], DRAWS).to_dict()["corrected"]
    found = {
        "sentences": {"train": len(train), "dev": len(dev), "test": len(test)},
        "strict_f1": scores["overall"]["strict"]["f1"],
        "interval": scores["intervals"]["f1"],
        "entities": sum(tag.startswith("B-") for tags in predicted for tag in tags),
        "temperature": temperature,
        "before": error_of(gold, predicted, [one.uncalibrated or one.scores for one in tagged]),
        "after": error_of(gold, predicted, [one.scores for one in tagged]),
        "cpu_seconds": round(time.process_time() - started, 1),
    }
    errors = ", ".join(f"{when} {100 * found[when]['ece']:.2f}" for when in ("before", "after"))
    print(f"{name}: F1 {100 * found['strict_f1']:.1f}, temperature {temperature}, ECE {errors}", flush=True)
    return found


def drawn(section: CorpusSection, split: str, count: int, seed: int) -> list[Sentence]:
    """Return `count` sentences of a split drawn at random, in order; all where there are no more."""
    every = [sentence for sentence in read_sentences(section, split) if sentence.words]
    chosen = random.Random(seed).sample(range(len(every)), min(count or len(every), len(every)))
    return [every[i] for i in sorted(chosen)]


def learned(train: Sequence[Sentence], options: argparse.Namespace) -> EncoderTagger:
    """Return the tagger of MiniLM after the last epoch, uncalibrated."""
    base = base_folder(MODEL)
    labels = sorted({span.label for sentence in train for span in sentence.gold or ()})
    card = EncoderCard(labels, 256, 32, "all", "mean", constrained_decoding=True, spacing="blank")
    tokenizer = read_tokenizer(base)
    torch.manual_seed(options.seed)
    model = read_model(
        AutoModelForTokenClassification,
        base,
        config=read_config(base, **tag_options(labels)),
        new_head=True,
        dtype=torch.float32,
    ).train()
    maker = ExampleMaker.of(card, tokenizer)
    examples = [one for s in train for one in maker.examples(s.words, gold_tags(s))]
    total = options.epochs * -(-len(examples) // BATCH)
    optimizer = steps.optimizer_for(model.parameters(), LEARNING_RATE, 0.01)
    schedule = steps.schedule_for(optimizer, "linear", total, int(total * WARMUP))
    for epoch in range(1, options.epochs + 1):
        seed = options.seed * 1_000 + epoch
        torch.manual_seed(seed)
        for batch in steps.batches(steps.shuffled(examples, len(examples), seed), BATCH, seed):
            for part in steps.micro_batches(batch, BATCH_TOKENS):
                loss = steps.summed_loss(model, steps.collate(part, tokenizer.pad_token_id, model.device))
                (loss / max(1, steps.labelled(batch))).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return EncoderTagger.of_model(base, LabelScheme.iob2(labels), card, model.eval(), BATCH_TOKENS)


def error_of(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scores: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """Return the expected calibration error with its interval, and the bins."""
    values, right = entities_of(gold, predicted, scores)
    random_ = np.random.default_rng(0)
    draws = (random_.integers(0, len(values), len(values)) for _ in range(DRAWS))
    low, high = np.quantile([reliability(values[draw], right[draw]).ece for draw in draws], [0.025, 0.975])
    return {
        **asdict(reliability(values, right)),
        "interval": [float(low), float(high)],
    }


if __name__ == "__main__":
    main()
