"""An encoder learns and tags in bf16; the tags are those of fp32 but for near ties."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification

from gpu.alone import Alone
from gpu.checks import CheckFailedError, Figures
from gpu.models import encoder_base
from gpu.setting import Setting
from raybio.config import TrainingSection
from raybio.evaluation import evaluate
from raybio.iob2 import tags_from_spans
from raybio.taggers import Tags
from raybio.taggers.encoder import EncoderTagger
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import read_config, read_model, read_tokenizer, tag_options
from raybio.training import steps
from raybio.training.encoder_learner import EncoderLearner
from raybio.training.encoder_steps import ExampleMaker, window_of

_NEAR_TIE = 0.6
"""A tag with less probability than this has a rival that rounding may prefer."""


def learns_and_tags(setting: Setting) -> list[Figures]:
    """Train in fp32 and in bf16 from the same weights, then tag with what bf16 learned in both."""
    rows = [_trained(setting, precision)[0] for precision in ("fp32", "bf16")]
    for row in rows:
        if not row["last_loss"] < row["first_loss"]:
            raise CheckFailedError(f"the loss did not fall in {row['precision']}", rows)
    base = encoder_base(setting)
    # A base that is a tagger already is compared too: its tags vary more than those of a few steps.
    taggers = {"trained": _trained_folder(setting, "bf16") / "model"}
    if EncoderCard.read(base):
        taggers["base"] = base
    return rows + [row for name, folder in taggers.items() for row in _compared(setting, name, folder, rows)]


def _trained(setting: Setting, precision: str) -> tuple[Figures, EncoderLearner]:
    base = encoder_base(setting)
    training = TrainingSection(
        precision=precision,
        batch_size=8 if setting.small else 32,
        learning_rate=1e-2 if setting.small else 1e-4,
    )
    size, overlap = window_of(base, training)
    card = EncoderCard(list(setting.labels), size, overlap, "all", "mean", spacing="blank")
    tokenizer = read_tokenizer(base)
    maker = ExampleMaker.of(card, tokenizer)
    torch.manual_seed(0)
    config = read_config(base, **tag_options(card.labels))
    model = read_model(AutoModelForTokenClassification, base, config=config, new_head=True)
    count = 20 if setting.small else 60
    learner = _Classifier(training, model, tokenizer, Alone(setting.device), count, card)
    examples = [
        example
        for sentence in setting.train
        for example in maker.examples(sentence.words, tags_from_spans(sentence.gold or (), len(sentence)))
    ]
    batches = (
        batch for epoch in range(count) for batch in steps.batches(examples, training.batch_size, epoch)
    )
    losses, seconds = [], []
    for batch in islice(batches, count):
        labelled = steps.labelled(batch)
        started = time.perf_counter()
        parts = list(steps.micro_batches(batch, training.max_batch_tokens))
        losses.append(learner.step(parts, labelled) / labelled)
        seconds.append(time.perf_counter() - started)
    folder = _trained_folder(setting, precision)
    folder.mkdir()
    learner.save(folder)
    row = {
        "precision": precision,
        "steps": count,
        "first_loss": sum(losses[:5]) / 5,
        "last_loss": sum(losses[-5:]) / 5,
        "seconds_a_step": sorted(seconds)[len(seconds) // 2],
    }
    return row, learner


def _trained_folder(setting: Setting, precision: str) -> Path:
    return setting.scratch / f"encoder-{precision}"


def _compared(setting: Setting, name: str, folder: Path, measured: Sequence[Figures]) -> list[Figures]:
    sentences = setting.test_sentences(small=8, full=1000)
    gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in sentences]
    rows, answers = [], {}
    for precision in ("fp32", "bf16"):
        tagger = EncoderTagger.load(folder, precision=precision, device=setting.device.type)
        tagger.tag(sentences[:8])  # what is done once is not a sentence's cost
        started = time.perf_counter()
        answers[precision] = tagger.tag(sentences)
        seconds = time.perf_counter() - started
        rows.append(
            {
                "model": name,
                "tagged_in": precision,
                "sentences": len(sentences),
                "sentences_a_second": len(sentences) / seconds,
                "strict_f1": evaluate(gold, [list(tags.tags) for tags in answers[precision]]).strict_f1,
            }
        )
    rows.append({"model": name} | differences(answers["fp32"], answers["bf16"]))
    if rows[-1]["different_words"] != rows[-1]["near_ties"]:
        raise CheckFailedError(
            "bf16 gives other tags than fp32 to words that are no near ties", [*measured, *rows]
        )
    return rows


def differences(fp32: Sequence[Tags], bf16: Sequence[Tags]) -> Figures:
    """Count the words whose tags differ, and how many of those fp32 was unsure of."""
    words = [
        (one, score, other)
        for a, b in zip(fp32, bf16, strict=True)
        for one, score, other in zip(a.tags, a.scores, b.tags, strict=True)
    ]
    different = [score for one, score, other in words if one != other]
    return {
        "words": len(words),
        "different_words": len(different),
        "near_ties": sum(score < _NEAR_TIE for score in different),
    }


class _Classifier(EncoderLearner):
    """A token classifier, as `raybio.training.encoder` trains it."""

    def __init__(
        self,
        training: TrainingSection,
        model: Any,
        tokenizer: Any,
        workers: Alone,
        total: int,
        card: EncoderCard,
    ) -> None:
        super().__init__(training, model, tokenizer, workers, total)
        self._card = card

    def _loss(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return steps.summed_loss(self._model, tensors)

    def _write(self, folder: Path) -> None:
        self._finished.save_pretrained(folder)
        self._card.write(folder)

    def _read(self, folder: Path) -> dict[str, torch.Tensor]:
        return read_model(AutoModelForTokenClassification, folder).state_dict()
