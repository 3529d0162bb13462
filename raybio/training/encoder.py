"""Encoder fine-tuning on Ray Train: Ray Data in, a Hugging Face folder and its scores out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification

import raybio
from raybio.config import TrainEncoderConfig
from raybio.entities import Sentence
from raybio.label_schemes import LabelScheme
from raybio.model_sources import ModelReference, base_folder
from raybio.run_folder import SPLITS_FILE
from raybio.taggers.both_ways import blocks_of, check_attention, read_both_ways
from raybio.taggers.encoder import EncoderTagger, default_budget
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import check_base, read_config, read_model, read_tokenizer, tag_options
from raybio.taggers.special_tokens import add_token_types
from raybio.training import steps
from raybio.training.classifier import new_head_line, read_classifier
from raybio.training.encoder_learner import EncoderLearner, check_precision
from raybio.training.encoder_steps import ExampleMaker, cut_sentences, window_of
from raybio.training.epochs import train_tagger
from raybio.training.fit import TrainedModel, leave_calibration, open_corpus, scored_model
from raybio.training.recipes import EncoderRecipe, Scoring, Task
from raybio.training.splits import TrainingBatches, dev_split
from raybio.training.teachers import check_teachers, taught_rows
from raybio.training.temperature import leave_temperature
from raybio.training.trainer import begun, fit
from raybio.training.workers import Workers, begin

TrainedEncoder = TrainedModel


def train_encoder(
    config: TrainEncoderConfig, progress: Callable[[str], None] = print, *, score: bool = True
) -> TrainedEncoder:
    """Fine-tune, keep the best epoch by strict F1 on dev, score it, and fill the run folder.

    `progress` is called with a line of text now and then. Without `score` the kept model is not scored.

    Raises:
        ConfigError, ModelError, InputError: what the run was given cannot be used.
        UsageError: a run of that name exists and `resume` is false, or the reverse.
        TrainingError: the workers failed more often than `workers.max_failures`, or a teacher has other
            labels.
    """
    base = base_folder(config.model, allow_pickle=config.allow_pickle)
    check_base(AutoModelForTokenClassification, base)
    architecture = read_config(base)
    check_precision(architecture, base, config.training.precision)
    check_attention(config.attention, architecture)
    teachers = check_teachers(config.distillation, config.allow_pickle)
    corpus = open_corpus(config.corpus, config.test, progress, config.corpus_temperature)
    with begun(config, corpus.title, progress) as run:
        run.write_json(SPLITS_FILE, corpus.split_labels)
        if line := new_head_line(base, corpus.labels):
            run.say(line)
        task = Task(
            run,
            ModelReference.of(config.model, allow_pickle=config.allow_pickle),
            base,
            EncoderRecipe.of(config),
            config.workers,
            corpus.labels,
            corpus.members,
            corpus.source,
            config.dev_sentences,
        )
        train = corpus.train
        if teachers:
            train = taught_rows(
                teachers, config.distillation, corpus.members, corpus.labels, run, config.workers
            )
        scoring = Scoring.of(config)

        def finish(model: Path) -> None:
            leave_calibration(corpus, config.seed, model)
            leave_temperature(run, scoring, corpus.members, model)

        epoch = fit(
            task,
            _work,
            train,
            corpus.tables("dev"),
            config.logging,
            keep_best=config.training.keep_checkpoint == "best",
            finish=finish,
        )
        return scored_model(run, epoch, scoring if score else None, corpus)


# What follows runs in the workers.


def _work(task: Task[EncoderRecipe]) -> None:
    training = task.recipe.training
    workers = begin(task.recipe.seed, task.workers)
    tokenizer = read_tokenizer(task.base)
    card = _card(task)
    maker = ExampleMaker.of(card, tokenizer, training.long_inputs == "cut", task.members)
    batches = TrainingBatches(task, workers, lambda row, _: maker.of_row(row))
    learner = _ClassifierLearner(task, card, tokenizer, workers, len(batches) * training.epochs)
    dev = dev_split(task.dev_sentences, task.members)
    if training.long_inputs == "cut":
        dev = [(member, list(cut_sentences(sentences, tokenizer, card))) for member, sentences in dev]
    train_tagger(task, workers, batches, learner, dev)


def _card(task: Task[EncoderRecipe]) -> EncoderCard:
    recipe, training = task.recipe, task.recipe.training
    size, overlap = window_of(task.base, training)
    return EncoderCard(
        labels=list(task.labels),
        max_length=size,
        stride=overlap,
        label_subwords=training.label_subwords,
        aggregation_strategy=training.aggregation_strategy,
        constrained_decoding=training.constrained_decoding,
        spacing="blank",
        blocks_both_ways=blocks_of(recipe.attention, read_config(task.base)),
        base_model=recipe.model,
        trained_on=task.trained_on,
        raybio=raybio.__version__,
    )


class _ClassifierLearner(EncoderLearner):
    """A token classifier."""

    def __init__(
        self, task: Task[EncoderRecipe], card: EncoderCard, tokenizer: Any, workers: Workers, total: int
    ) -> None:
        training = task.recipe.training
        self._base, self._card = task.base, card
        config = read_config(
            task.base, **tag_options(card.labels), **_dropouts(read_config(task.base), training.dropout)
        )
        # Weights that learn are fp32, whatever the folder's are in.
        model = read_classifier(task.base, task.labels, config=config, dtype=torch.float32)
        read_both_ways(model, card.blocks_both_ways)
        super().__init__(
            training,
            add_token_types(model, tokenizer),
            tokenizer,
            workers,
            total,
            ema_decay=training.ema_decay,
            layer_decay=training.layer_decay,
        )

    def _loss(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return steps.summed_loss(self._model, tensors)

    def tags(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        """Tag sentences as the finished model would, each worker its share."""
        tagger = EncoderTagger.of_model(
            self._base,
            LabelScheme.iob2(self._card.labels),
            self._card,
            self._finished.eval(),
            default_budget(self._workers.device),
        )

        def tag() -> list[list[str]]:
            return [list(tags.tags) for tags in tagger.tag(self._workers.share(sentences))]

        try:
            with self._autocast():
                return self._workers.gather(tag)
        finally:
            self._finished.train()

    def _write(self, folder: Path) -> None:
        self._finished.save_pretrained(folder)
        self._card.write(folder)

    def _read(self, folder: Path) -> dict[str, torch.Tensor]:
        weights: dict[str, torch.Tensor] = read_model(AutoModelForTokenClassification, folder).state_dict()
        return weights


def _dropouts(config: Any, dropout: float | None) -> dict[str, float]:
    """Return the options that set every dropout of a model, whatever its architecture calls them."""
    if dropout is None:
        return {}
    return {
        name: dropout
        for name, value in config.to_dict().items()
        if ("dropout" in name or "pdrop" in name) and _is_rate(value)
    }


def _is_rate(value: object) -> bool:
    """Say whether a config's value can be a dropout; None stands for another one's."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
