"""An LLM with a tag head, causal or reading both ways, all else equal: strict F1 on dev or test.

    python benchmarks/both_ways.py --data DATA --json FILE [--corpus NAME] [--model NAME]
        [--attention causal upper-half bidirectional 0-14,29] [--train N] [--epochs N]
        [--split dev] [--sentences N] [--weights all|lora] [--aggregation-strategy last|mean|first]
        [--learning-rate R] [--batch N] [--seed N] [--threads N]

Each attention begins with the same weights, learns the same sentences (N of the train split, drawn by the
seed) in the same order with the inner steps of training, without Ray, and tags the same sentences. Beside
strict F1 stands its interval, and that of the difference from the first, by a bootstrap over documents.
The JSON file is written anew after each; what is in it already is not learned again. The whole of it, for a
free machine of two cores and some ten hours, or a GPU:

    python benchmarks/both_ways.py --data DATA --json one.json --epochs 1 --threads 2
    python benchmarks/both_ways.py --data DATA --json three.json --epochs 3 --threads 2
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification

from raybio.config import CorpusSection, LoraSection, TrainDecoderConfig
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.significance import paired_difference
from raybio.label_schemes import LabelScheme
from raybio.model_sources import base_folder
from raybio.run_folder import environment
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.storage import write_json
from raybio.taggers.both_ways import blocks_of, check_attention, read_both_ways
from raybio.taggers.devices import pick_device
from raybio.taggers.encoder import EncoderTagger, default_budget, torch_forward
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import read_config, read_model, read_tokenizer, tag_options
from raybio.training import steps
from raybio.training.adapter import add_adapter
from raybio.training.encoder_steps import ExampleMaker
from raybio.training.recipes import AdapterRecipe

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
BATCH_TOKENS = 2048
WARMUP = 0.1
SETTINGS = ["model", "corpus", "train", "epochs", "split", "sentences", "weights", "aggregation_strategy"]
SETTINGS += ["learning_rate", "batch", "seed"]


def main() -> None:
    """Learn, tag and compare."""
    options = _options()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    settings = {name: getattr(options, name) for name in SETTINGS}
    held = json.loads(options.json.read_text()) if options.json.is_file() else {}
    if held.get("settings", settings) != settings:
        raise SystemExit(f"{options.json} holds results of other settings: {held['settings']}")
    results = held.get("results", [])
    train = _drawn(options, "train", options.train)
    scored = _drawn(options, options.split, options.sentences)
    for attention in options.attention:
        if attention not in [result["attention"] for result in results]:
            results.append({"attention": attention, **_result(options, attention, train, scored)})
            compared = [_compared(result, results[0], scored) for result in results]
            write_json(
                options.json, {"settings": settings, "environment": environment(), "results": compared}
            )
            print(json.dumps({key: each for key, each in compared[-1].items() if key != "predicted"}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--corpus", default="BC5CDR")
    parser.add_argument("--model", default="bundled:smollm2")
    parser.add_argument("--attention", nargs="+", default=["causal", "upper-half", "bidirectional"])
    parser.add_argument("--train", type=int, help="sentences to learn; default: all")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--split", choices=("dev", "test"), default="dev")
    parser.add_argument("--sentences", type=int, help="sentences to tag; default: all")
    parser.add_argument("--weights", choices=("all", "lora"), default="all")
    parser.add_argument("--aggregation-strategy", choices=("mean", "first", "last"), default="last")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _drawn(options: argparse.Namespace, split: str, count: int | None) -> list[Sentence]:
    corpus = CorpusSection(name=options.corpus, data=options.data)
    every = [sentence for sentence in read_sentences(corpus, split) if sentence.words]
    chosen = random.Random(options.seed).sample(range(len(every)), min(count or len(every), len(every)))
    return [every[i] for i in sorted(chosen)]


def _result(
    options: argparse.Namespace, attention: str, train: Sequence[Sentence], scored: Sequence[Sentence]
) -> dict[str, Any]:
    """Return the losses of the epochs, the seconds, and the tags of the scored sentences."""
    base = base_folder(options.model)
    blocks = attention if attention[0].isalpha() else _listed(attention)
    check_attention(blocks, read_config(base))
    labels = sorted({span.label for sentence in train for span in sentence.gold or ()})
    decision = options.aggregation_strategy
    card = EncoderCard(
        labels,
        512,
        64,
        "all" if decision == "mean" else decision,
        decision,
        spacing="blank",
        blocks_both_ways=blocks_of(blocks, read_config(base)),
    )
    tokenizer = read_tokenizer(base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    torch.manual_seed(options.seed)
    device = torch.device(pick_device("auto"))
    model = _model(options, base, card).to(device)
    started = time.perf_counter()
    losses = _learn(options, model, ExampleMaker.of(card, tokenizer), train, tokenizer.pad_token_id)
    learned = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        scheme, budget = LabelScheme.iob2(labels), default_budget(device)
        tagger = EncoderTagger(Path(folder), scheme, card, torch_forward(model.eval()), budget)
    return {
        "blocks_both_ways": card.blocks_both_ways,
        "losses": losses,
        "train_seconds": learned - started,
        "predicted": [list(tags.tags) for tags in tagger.tag(scored)],
        "tag_seconds": time.perf_counter() - learned,
    }


def _listed(attention: str) -> tuple[int | str, ...]:
    return tuple(int(each) if each.isdigit() else each for each in attention.split(","))


def _model(options: argparse.Namespace, base: Path, card: EncoderCard) -> Any:
    """Return the token classifier whose weights, all or those of an adapter, learn."""
    model = read_model(
        AutoModelForTokenClassification,
        base,
        config=read_config(base, **tag_options(card.labels)),
        new_head=True,
        dtype=torch.float32,
    )
    read_both_ways(model, card.blocks_both_ways)
    if options.weights == "all":
        return model.train()
    lora = LoraSection(r=32, alpha=64, dropout=0.0, target_modules=TARGETS)
    corpus = CorpusSection(name=options.corpus)
    config = TrainDecoderConfig(
        job="train-decoder", model=options.model, head="tags", corpus=corpus, lora=lora
    )
    return add_adapter(model, AdapterRecipe.of(config), ()).train()


def _learn(
    options: argparse.Namespace, model: Any, maker: ExampleMaker, train: Sequence[Sentence], padding: int
) -> list[float]:
    """Let the model learn; return the mean loss per label of each epoch."""
    examples = [one for s in train for one in maker.examples(s.words, gold_tags(s))]
    total = options.epochs * -(-len(examples) // options.batch)
    optimizer = steps.optimizer_for(model.parameters(), options.learning_rate, 0.01)
    schedule = steps.schedule_for(optimizer, "linear", total, int(total * WARMUP))
    losses = []
    for epoch in range(1, options.epochs + 1):
        seed, summed, counted = options.seed * 1_000 + epoch, 0.0, 0
        torch.manual_seed(seed)
        mixed = steps.shuffled(examples, len(examples), seed)
        for batch in steps.batches(mixed, options.batch, seed):
            labelled = steps.labelled(batch)
            for part in steps.micro_batches(batch, BATCH_TOKENS):
                loss = steps.summed_loss(model, steps.collate(part, padding, model.device))
                (loss / max(1, labelled)).backward()
                summed += loss.item()
            torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            counted += labelled
        losses.append(summed / counted)
        print(f"epoch {epoch}: loss {losses[-1]:.4f}", flush=True)
    return losses


def _compared(result: dict[str, Any], first: dict[str, Any], scored: Sequence[Sentence]) -> dict[str, Any]:
    """Return a result with its scores, and their difference from those of the first."""
    gold, documents = [gold_tags(one) for one in scored], [one.document_id for one in scored]
    own, other = result["predicted"], first["predicted"]
    scores = evaluate(gold, own, documents, bootstrap=1000).to_dict()["corrected"]
    found = {
        **result,
        "strict_f1": scores["overall"]["strict"]["f1"],
        "interval": scores["intervals"]["f1"],
    }
    if result["attention"] != first["attention"]:
        found["difference"] = paired_difference(gold, own, other, documents).to_dict()
    return found


if __name__ == "__main__":
    main()
