"""One tagger of several corpora against one of each, the same steps per corpus: strict F1 on each test split.

    python benchmarks/all_types.py [key=value ...] --json FILE [--data DATA] [--config minilm_all_types]
        [--seeds 1 2] [--max-documents N] [--threads N]

The union, and each of its corpora alone, learn with the inner steps of training, without Ray, as the config
has it, but for its last epoch's model and without temperature: an epoch has each sentence once, so that the
union takes the steps of all others together, and each corpus as many as alone. Alone a corpus learns its
labels under their common names from the same documents as in the union; where that leaves some out, which
other corpora are scored on, "whole train" learns all. Each corpus scores on the labels that it annotates.

Beside each F1 stands its interval by a bootstrap over documents, and beside the union that of its difference
from the corpus alone, all seeds together. The JSON file is written anew after each model; what is in it is
not learned again. The whole of it takes a free machine of two cores some ten hours:

    python benchmarks/all_types.py --data DATA --json all_types.json --threads 2
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification

from raybio.config import TrainEncoderConfig, load_job
from raybio.entities import Sentence, Span
from raybio.evaluation import evaluate
from raybio.evaluation.significance import mean_difference
from raybio.iob2 import spans_from_tags, tags_from_spans
from raybio.label_schemes import LabelScheme
from raybio.members import Member, interleaved, with_draws
from raybio.model_sources import base_folder
from raybio.run_folder import environment
from raybio.sentence_stream import gold_tags
from raybio.storage import write_json
from raybio.taggers.devices import pick_device
from raybio.taggers.encoder import EncoderTagger, default_budget
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import read_config, read_model, read_tokenizer, tag_options
from raybio.training import steps
from raybio.training.encoder_steps import ExampleMaker, window_of
from raybio.training.fit import open_corpus
from raybio.training.splits import SHUFFLE_BUFFER, drawn_rows

UNION, WHOLE = "union", "whole train"
DRAWS = 1000
Result = dict[str, Any]


def main() -> None:
    """Learn, tag and compare."""
    options = _options()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    config = _config(options)
    chosen = config.model_dump(mode="json", exclude={"output", "workers"})
    settings = {"config": chosen, "seeds": options.seeds}
    held = json.loads(options.json.read_text()) if options.json.is_file() else {}
    if held.get("settings", settings) != settings:
        raise SystemExit(f"{options.json} holds results of other settings: {held['settings']}")
    results: list[Result] = held.get("results", [])
    corpus = open_corpus(config.corpus, test=True)
    done = {(result["learned"], result["seed"]) for result in results}
    for learned, members in _learned(corpus.members):
        for seed in options.seeds:
            if (learned, seed) not in done:
                print(f"{learned}, seed {seed}", flush=True)
                found = _result(config, members, corpus.members, seed)
                results.append({"learned": learned, "seed": seed, **found})
                compared = _compared(results, corpus.members)
                write_json(
                    options.json,
                    {
                        "settings": settings,
                        "environment": environment(),
                        "compared": compared,
                        "results": results,
                    },
                )
                print(json.dumps(compared, indent=2), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the config")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--config", default="minilm_all_types", help="config of a union, by name or file")
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--max-documents", type=int, help="of each split, for a smoke run; default: all")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _config(options: argparse.Namespace) -> TrainEncoderConfig:
    config = load_job(TrainEncoderConfig, options.config, options.overrides)
    changes = {"max_documents": options.max_documents, **({"data": options.data} if options.data else {})}
    sections = tuple(section.model_copy(update=changes) for section in config.corpus)
    return config.model_copy(update={"corpus": sections, "corpus_temperature": None})


def _learned(members: Sequence[Member]) -> list[tuple[str, Sequence[Member]]]:
    """Return what is learned, by name: the union, each alone, and those whole of which it leaves some out."""
    whole = [replace(member, left_out={}) for member in members if member.left_out]
    return [
        (UNION, members),
        *((member.title, [member]) for member in members),
        *((f"{member.title}, {WHOLE}", [member]) for member in whole),
    ]


def _result(
    config: TrainEncoderConfig, members: Sequence[Member], scored: Sequence[Member], seed: int
) -> Result:
    """Return losses, seconds, and the spans that the model finds in test of each corpus that it learned."""
    device, base = torch.device(pick_device("auto")), base_folder(config.model)
    counted = [replace(each, sentences=sum(1 for _ in each.read("train"))) for each in members]
    sentences = [(number, sentence) for number, sentence in interleaved(counted, "train")]
    labels = sorted({span.label for _, sentence in sentences for span in sentence.gold or ()})
    size, overlap = window_of(base, config.training)
    card = EncoderCard(
        labels=labels,
        max_length=size,
        stride=overlap,
        label_subwords=config.training.label_subwords,
        aggregation_strategy=config.training.aggregation_strategy,
        constrained_decoding=config.training.constrained_decoding,
        spacing="blank",
    )
    tokenizer = read_tokenizer(base)
    torch.manual_seed(seed)
    headed = read_config(base, **tag_options(labels))
    model = read_model(
        AutoModelForTokenClassification, base, config=headed, new_head=True, dtype=torch.float32
    ).to(device)
    # Alone, nothing is silent: there are no other labels.
    maker = ExampleMaker.of(card, tokenizer, members=members)
    rows = [
        {"member": number, "examples": maker.of_row({**_row(sentence), "member": number})}
        for number, sentence in sentences
    ]
    started = time.perf_counter()
    losses = _learn(config, model.train(), rows, with_draws(counted, 1.0), tokenizer.pad_token_id, seed)
    seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        tagger = EncoderTagger.of_model(
            Path(folder), LabelScheme.iob2(labels), card, model.eval(), default_budget(device)
        )
    titles = {member.title for member in members}
    spans = {
        member.title: [
            [[span.start, span.end, span.label] for span in spans_from_tags(member.own(tags.tags))]
            for tags in tagger.tag(list(member.read("test")))
        ]
        for member in scored
        if member.title in titles
    }
    return {"losses": losses, "train_sentences": len(rows), "train_seconds": seconds, "spans": spans}


def _row(sentence: Sentence) -> Mapping[str, Any]:
    return {"words": sentence.words, "tags": gold_tags(sentence)}


def _learn(
    config: TrainEncoderConfig,
    model: Any,
    rows: Sequence[dict[str, Any]],
    members: Sequence[Member],
    padding: int,
    seed: int,
) -> list[float]:
    """Let the model learn; return the mean loss per label of each epoch."""
    training = config.training

    def epoch_of(number: int) -> Any:
        order = seed * 1_000 + number
        mixed = steps.shuffled(drawn_rows(rows, members, order), SHUFFLE_BUFFER, order)
        examples = (example for row in mixed for example in row["examples"])
        return steps.batches(examples, training.batch_size, order, training.group_by_length)

    total = training.epochs * sum(1 for _ in epoch_of(0))
    optimizer = steps.optimizer_for(model.parameters(), training.learning_rate, training.weight_decay)
    schedule = steps.schedule_for(
        optimizer, training.lr_scheduler_type, total, int(total * training.warmup_ratio)
    )
    losses = []
    for number in range(1, training.epochs + 1):
        summed, counted = 0.0, 0
        torch.manual_seed(seed * 1_000 + number)
        for batch in epoch_of(number):
            labelled = steps.labelled(batch)
            for part in steps.micro_batches(batch, training.max_batch_tokens):
                loss = steps.summed_loss(model, steps.collate(part, padding, model.device))
                (loss / max(1, labelled)).backward()
                summed += loss.item()
            if training.max_grad_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), training.max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            counted += labelled
        losses.append(summed / counted)
        print(f"epoch {number}: loss {losses[-1]:.4f}", flush=True)
    return losses


def _compared(results: Sequence[Result], members: Sequence[Member]) -> list[Result]:
    """Return strict F1 of each result on each corpus, with intervals and differences from the union."""
    compared = []
    for member in members:
        sentences = list(member.read("test"))
        gold, documents = [member.gold(each) for each in sentences], [each.document_id for each in sentences]
        by_name: dict[str, list[list[list[str]]]] = {}
        for result in results:
            if member.title in result["spans"]:
                tags = _tags(result["spans"][member.title], sentences)
                by_name.setdefault(result["learned"], []).append(tags)
        for learned, predicted in by_name.items():
            f1s = [evaluate(gold, each, documents, DRAWS) for each in predicted]
            row: Result = {
                "corpus": member.title,
                "learned": learned,
                "strict_f1": [each.strict_f1 for each in f1s],
                "intervals": [each.to_dict()["corrected"]["intervals"]["f1"] for each in f1s],
            }
            if learned != UNION and len(predicted) == len(by_name[UNION]):
                found = mean_difference(gold, by_name[UNION], predicted, documents, DRAWS)
                row["union_better_by"] = {
                    "f1": found.f1,
                    "low": found.interval.low,
                    "high": found.interval.high,
                    "p": found.p_value,
                    "unit": found.unit,
                }
            compared.append(row)
    return compared


def _tags(spans: Sequence[Sequence[Sequence[Any]]], sentences: Sequence[Sentence]) -> list[list[str]]:
    return [
        tags_from_spans([Span(*span) for span in found], len(sentence))
        for found, sentence in zip(spans, sentences, strict=True)
    ]


if __name__ == "__main__":
    main()
