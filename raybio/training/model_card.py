"""The Hugging Face model card of a trained model: `README.md` in its folder, for `hf upload`.

All of it is read from the run folder: what was trained on what and how, and the scores that the run has by
then. Neither paths of this machine nor sentences of a corpus are in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

import raybio
from raybio.bundled_models import BUNDLED
from raybio.config import corpus_title
from raybio.model_files import CARD, is_adapter, read_object
from raybio.prompts import Prompts
from raybio.run_folder import RunFolder
from raybio.storage import write_text
from raybio.taggers.decoder import DecoderCard
from raybio.taggers.decoding.tokens import chat_template
from raybio.taggers.hugging_face import read_tokenizer

README = "README.md"
_EXAMPLE = "Naloxone reverses the antihypertensive effect of clonidine."
_AGGREGATION = {"mean": "average"}
"""How transformers calls what decides a word; "first" is what is nearest to the others."""
_SECTIONS = ("training", "lora", "quantization")
_MEASURES = ("precision", "recall", "f1")
_HUB_SPLITS = {"dev": "validation"}


def write_model_card(run: RunFolder) -> None:
    """Write the model card of a run's model, as far as the run is by now.

    Raises:
        ModelError: the model's own card cannot be read.
    """
    config = yaml.safe_load((run.path / "config.yaml").read_text("utf-8"))
    card = read_object(run.model / CARD) if (run.model / CARD).is_file() else {}
    scores = run.read_json("scores.json") if (run.path / "scores.json").is_file() else {}
    kind = card.get("kind", "masked")
    adapter = is_adapter(run.model)
    corpora = [corpus_title(section) for section in _sections(config)]
    corpus = ", ".join(corpora)
    base = str(config["model"])
    bundled = BUNDLED.get(base.removeprefix("bundled:")) if base.startswith("bundled:") else None
    data = ModelCardData(
        language="en",
        license=bundled.license if bundled else None,
        base_model=_hub_id(base),
        library_name="peft" if adapter else "transformers",
        pipeline_tag={"encoder": "token-classification", "decoder": "text-generation"}.get(kind, "fill-mask"),
        tags=[
            "biomedical",
            "raybio",
            *(["named-entity-recognition"] if card else []),
            *(["lora"] if adapter else []),
        ],
        datasets=corpora or None,
        metrics=["precision", "recall", "f1"] if scores else None,
        model_name=run.path.name,
        eval_results=list(_results(scores, corpus)) or None,
    )
    parts = [
        f"# {run.path.name}",
        _about(kind, adapter, corpus, _hub_id(base) or Path(base).name, card),
        *_labels(card),
        *_scores(scores),
        *_use(run.model, kind, card),
        *_training(config),
    ]
    write_text(
        run.model / README, str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"))
    )


def _hub_id(model: str) -> str | None:
    """Return the id that a model has on the hub; None of a folder, which others do not have."""
    if model.startswith("bundled:"):
        return BUNDLED[model.removeprefix("bundled:")].hub
    is_place = Path(model).exists() or model.startswith(("/", ".", "~")) or "://" in model
    return None if is_place or model.count("/") > 1 else model


def _results(scores: Mapping[str, Any], corpus: str) -> Iterator[EvalResult]:
    for split, of_split in scores.items():
        strict = of_split["corrected"]["overall"]["strict"]
        for measure in _MEASURES:
            yield EvalResult(
                task_type="token-classification",
                task_name="Named entity recognition",
                dataset_type=corpus.lower().replace(" ", "-"),
                dataset_name=corpus,
                dataset_split=_HUB_SPLITS.get(split, split),
                metric_type=measure,
                metric_value=round(float(strict[measure]), 4),
                metric_name=f"Strict {measure} of entities",
            )


def _about(kind: str, adapter: bool, corpus: str, base: str, card: Mapping[str, Any]) -> str:
    what = {
        "encoder": "A token classifier that tags biomedical entities",
        "decoder": "An LLM that writes the tags of biomedical entities",
    }.get(kind, "An encoder after continued pretraining on biomedical text; it fills in hidden words")
    how = "LoRA adapter on" if adapter else "Trained from"
    learned = f", fine-tuned on {corpus}" if corpus else ""
    version = card.get("raybio") or raybio.__version__
    return f"{what}. {how} {base}{learned} with raybio {version}."


def _labels(card: Mapping[str, Any]) -> Iterator[str]:
    if card:
        yield "## Labels"
        yield "\n".join(f"- {label}" for label in card["labels"])
        yield "Tags are IOB2: `B-LABEL` opens an entity, `I-LABEL` continues it, `O` is outside of any."


def _scores(scores: Mapping[str, Any]) -> Iterator[str]:
    if not scores:
        return
    rows = ["| split | precision | recall | F1 | F1, 95 % interval | ECE |", "|---|---|---|---|---|---|"]
    for split, of_split in scores.items():
        corrected = of_split["corrected"]
        strict, drawn = corrected["overall"]["strict"], (corrected["intervals"] or {}).get("f1")
        cells = [f"{100 * strict[measure]:.2f}" for measure in _MEASURES]
        between = f"{100 * drawn['low']:.2f} to {100 * drawn['high']:.2f}" if drawn else "–"
        error = of_split.get("reliability")
        cells += [between, f"{100 * error['ece']:.2f}" if error else "–"]
        rows.append(f"| {split} | {' | '.join(cells)} |")
    yield "## Scores"
    yield "\n".join(rows)
    yield (
        "In percent, strict: an entity counts where its words and its label are those of gold (as nervaluate "
        "has it); intervals are of a bootstrap. ECE is the expected calibration error of entities' scores."
    )


def _use(model: Path, kind: str, card: Mapping[str, Any]) -> Iterator[str]:
    yield "## How to use it"
    if card:
        yield "With raybio, which reads long text in windows and gives exact offsets and calibrated scores:"
        yield _code(f'import raybio\n\nner = raybio.load("OWNER/NAME")\nner("{_EXAMPLE}").mentions')
    if kind == "encoder" and card.get("blocks_both_ways"):
        yield (
            "transformers alone would read it from left to right: some of its blocks read both ways, which "
            "raybio.json lists and raybio does."
        )
    elif kind == "encoder":
        strategy = _AGGREGATION.get(str(card["aggregation_strategy"]), "first")
        yield "With transformers:"
        yield _code(
            "from transformers import pipeline\n\n"
            f'ner = pipeline("token-classification", model="OWNER/NAME", aggregation_strategy="{strategy}")\n'
            f'ner("{_EXAMPLE}")'
        )
    elif kind == "decoder":
        style = DecoderCard.read(model).style
        prompts = Prompts(style, chat_template(read_tokenizer(model)))
        prompt = prompts.prompt(_EXAMPLE.replace(".", " .").split())
        yield (
            "With transformers (and peft, if it is an adapter); it answers a line `word:TAG` for each word:"
        )
        yield _code(
            "from transformers import pipeline\n\n"
            'write = pipeline("text-generation", model="OWNER/NAME")\n'
            f"write({prompt!r}, max_new_tokens=100, return_full_text=False)"
        )
    else:
        yield _code(
            "from transformers import pipeline\n\n"
            'fill = pipeline("fill-mask", model="OWNER/NAME")\n'
            'fill(f"Naloxone reverses the effect of {fill.tokenizer.mask_token}.")'
        )
        yield "To tag, it is fine-tuned first: `raybio train-encoder CONFIG model=OWNER/NAME`."


def _sections(config: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the sections of the corpora that it was trained on: one, those of a union, or none."""
    found = config.get("corpus", [])
    return found if isinstance(found, list) else [found]


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _training(config: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        f"| {section}.{name} | {value} |"
        for section in _SECTIONS
        for name, value in (config.get(section) or {}).items()
        if value is not None
    ]
    sections = _sections(config)
    read = [
        f"{limit} {section[limit]}" + (f" of {corpus_title(section)}" if len(sections) > 1 else "")
        for section in sections
        for limit in ("max_documents", "max_train_documents", "max_eval_documents", "train_from_dev")
        if section.get(limit)
    ]
    yield "## Training"
    if read:
        yield f"Only a part of the corpus was read: {', '.join(read)}."
    if any(section.get("train_with_dev") for section in sections):
        yield "It learned dev too."
    yield "\n".join(["| option | value |", "|---|---|", *rows, f"| seed | {config.get('seed')} |"])
