"""LLM fine-tuning on Ray Train: QLoRA under DeepSpeed, Ray Data in, an adapter and its scores out."""

from __future__ import annotations

import json
import shutil
from collections import ChainMap
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

import raybio
from raybio.cluster import connected
from raybio.config import DevSection, TrainDecoderConfig
from raybio.entities import Rejected
from raybio.errors import TrainingError
from raybio.model_sources import ModelReference, base_folder, model_folder
from raybio.run_folder import SPLITS_FILE, RunFolder
from raybio.storage import replace_folder
from raybio.taggers import Tagger, check_tagger, load_tagger
from raybio.taggers.decoder import DecoderCard, DecoderTagger, default_budget
from raybio.taggers.decoding import Reader, Tokens
from raybio.taggers.hugging_face import check_base, read_config, read_tokenizer, tag_options
from raybio.taggers.language_model import FourBit, load_base
from raybio.training import steps
from raybio.training.adapter import grow_vocabulary, merge_adapter
from raybio.training.adapter_learner import AdapterLearner
from raybio.training.classifier import new_head_line
from raybio.training.decoder_steps import CompletionMaker, add_tag_tokens, by_member, wording
from raybio.training.epochs import train_tagger
from raybio.training.fit import TrainedModel, leave_calibration, open_corpus, scored_model
from raybio.training.preflight import preflight
from raybio.training.recipes import AdapterRecipe, Scoring, Task
from raybio.training.splits import TrainingBatches, dev_split
from raybio.training.tag_head import train_tag_head
from raybio.training.temperature import leave_temperature
from raybio.training.trainer import begun, fit
from raybio.training.workers import Workers, begin

TrainedDecoder = TrainedModel


def train_decoder(
    config: TrainDecoderConfig, progress: Callable[[str], None] = print, *, score: bool = True
) -> TrainedDecoder:
    """Fine-tune an adapter, keep the best epoch by strict F1 on dev, score it, fill the run folder.

    `progress` is called with a line of text now and then. Training sentences that do not fit in
    `training.max_length` are left out, counted, and written to `rejected.jsonl`. Without `score` the
    kept model is not scored.

    Raises:
        ConfigError: the preflight knows why this run would fail.
        ModelError, InputError: what the run was given cannot be used.
        UsageError: a run of that name exists and `resume` is false, or the reverse.
        TrainingError: no sentence fits, or the workers failed more often than
            `workers.max_failures`.
    """
    work = _work if config.head == "text" else train_tag_head
    corpus = open_corpus(config.corpus, config.test, progress, config.corpus_temperature)
    with connected():
        for line in preflight(config).lines():
            progress(line)
        base = base_folder(config.model, allow_pickle=config.allow_pickle)
        kind = AutoModelForCausalLM if config.head == "text" else AutoModelForTokenClassification
        check_base(kind, base)
        if config.dev.draft_model:
            check_tagger(model_folder(config.dev.draft_model))
        with begun(config, corpus.title, progress) as run:
            run.write_json(SPLITS_FILE, corpus.split_labels)
            if config.head == "tags" and (new_head := new_head_line(base, corpus.labels)):
                run.say(new_head)
            recipe = AdapterRecipe.of(config)
            task = Task(
                run,
                ModelReference.of(config.model, allow_pickle=config.allow_pickle),
                base,
                recipe,
                config.workers,
                corpus.labels,
                corpus.members,
                corpus.source,
                config.dev_sentences,
            )

            scoring = Scoring.of(config)

            def finish(model: Path) -> None:
                if config.merge != "none" or config.head == "tags":
                    _merge(task, model)
                if config.head == "tags":
                    leave_calibration(corpus, config.seed, model)
                    leave_temperature(run, scoring, corpus.members, model)

            epoch = fit(
                task,
                work,
                corpus.train,
                corpus.tables("dev"),
                config.logging,
                keep_best=config.training.keep_checkpoint == "best",
                finish=finish,
            )
            return scored_model(run, epoch, scoring if score else None, corpus)


def _merge(task: Task[AdapterRecipe], model: Path) -> None:
    """Make the trained `model` a plain one, which whatever reads its kind can read.

    The adapter moves to the run's `adapter/`.
    """
    adapter = task.run.path / "adapter"
    with replace_folder(adapter) as draft:
        for path in model.glob("adapter_*"):
            shutil.move(path, draft / path.name)
    merge_adapter(_whole_base(task, adapter), adapter).save_pretrained(model)


def _whole_base(task: Task[AdapterRecipe], adapter: Path) -> Any:
    """Return the base model in its own precision, in the shape and roundings that the adapter knew."""
    options: dict[str, Any] = {
        "dtype": read_config(task.base).dtype or torch.float32,
        "device": torch.device("cpu"),
        "rounded": FourBit.read(adapter),
    }
    if task.recipe.head == "tags":
        headed = read_config(task.base, **tag_options(task.labels))
        return load_base(AutoModelForTokenClassification, task.base, config=headed, new_head=True, **options)
    model = load_base(AutoModelForCausalLM, task.base, **options)
    tokenizer = read_tokenizer(task.base)
    grow_vocabulary(model, add_tag_tokens(tokenizer, wording(task.recipe, task.labels, tokenizer)))
    return model


# What follows runs in the workers.


def _work(task: Task[AdapterRecipe]) -> None:
    recipe, training = task.recipe, task.recipe.training
    workers = begin(recipe.seed, task.workers)
    tokenizer = read_tokenizer(task.base)
    prompts = wording(recipe, task.labels, tokenizer)
    new_tokens = add_tag_tokens(tokenizer, prompts)
    tokens = Tokens(tokenizer, prompts)
    maker = CompletionMaker(tokens, training, task.trained_on, by_member(tokens, tokenizer, task.members))
    batches = TrainingBatches(task, workers, lambda row, _: maker.examples(row))
    found = workers.each((maker.rejected, maker.cut))
    if workers.rank == 0:
        rejected = dict(ChainMap(*(rejected for rejected, _ in found)))
        _tell_rejected(rejected.values(), len(batches), task.run)
        if cut := set().union(*(cut for _, cut in found)):
            task.run.say(f"cut {len(cut)} sentences longer than training.max_length")
    learner = _DecoderLearner(task, tokens, tokenizer, new_tokens, workers, len(batches) * training.epochs)
    train_tagger(task, workers, batches, learner, dev_split(task.dev_sentences, task.members))


def _tell_rejected(rejected: Iterable[Rejected], batches: int, run: RunFolder) -> None:
    """Leave the rejected sentences in the run folder, and say how many there are.

    Raises:
        TrainingError: nothing else is left to learn from.
    """
    lines = [json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in rejected]
    if lines:
        path = run.write_text("rejected.jsonl", "".join(lines))
        run.say(f"rejected {len(lines)} sentences longer than training.max_length: see {path}")
    if not batches:
        raise TrainingError("no training sentence fits in training.max_length. Raise it")


class _DecoderLearner(AdapterLearner):
    """An LLM that learns to write tags."""

    def __init__(
        self,
        task: Task[AdapterRecipe],
        tokens: Tokens,
        tokenizer: Any,
        new_tokens: dict[int, list[int]],
        workers: Workers,
        total: int,
    ) -> None:
        # Padding is masked and carries no label: any token will do where a tokenizer has none for it.
        padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        card = _card(task, tokens)
        super().__init__(task, workers, card, tokenizer, padding, steps.causal_loss, total, new_tokens)
        self._tokens = tokens
        self._drafter = _drafter(self.recipe.dev)

    def tagger(self, model: Any) -> DecoderTagger:
        """Return what tags by real decoding."""
        dev = self.recipe.dev
        return DecoderTagger(
            Reader(model),  # a new one: it remembers what the model read before it learned more
            self._tokens,
            mode=dev.mode,
            drafter=self._drafter,
            previous=dev.draft == "previous",
            constrained_decoding=dev.constrained_decoding,
            max_length=self.recipe.training.max_length,
            max_batch_tokens=default_budget(self.device),
        )


def _card(task: Task[AdapterRecipe], tokens: Tokens) -> DecoderCard:
    return DecoderCard(
        labels=list(task.labels),
        base_model=task.recipe.model,
        style=replace(tokens.prompts.style, order_seed=None),  # whoever tags later knows no drawn order
        max_length=task.recipe.training.max_length,
        trained_on=task.trained_on,
        raybio=raybio.__version__,
    )


def _drafter(dev: DevSection) -> Tagger | None:
    return load_tagger(model_folder(dev.draft_model)) if dev.draft_model else None
