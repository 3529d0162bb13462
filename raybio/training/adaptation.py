"""Going on with an encoder's pretraining on text of the field (Gururangan et al., 2020), on Ray Train.

What comes out is a Hugging Face folder like the one that went in, to fine-tune as any other.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForMaskedLM

from raybio.config import AdaptEncoderConfig, TextSection
from raybio.corpora import read_corpus
from raybio.corpora.shared_passages import Passages
from raybio.entities import Sentence
from raybio.errors import TrainingError
from raybio.model_sources import ModelReference, base_folder
from raybio.run_folder import RunFolder
from raybio.sentence_stream import SENTENCES, check_text, sentence_tables, text_sentences
from raybio.taggers.hugging_face import check_base, read_config, read_model, read_tokenizer
from raybio.taggers.special_tokens import add_token_types
from raybio.training import steps
from raybio.training.encoder_learner import EncoderLearner, check_precision
from raybio.training.encoder_steps import window_of
from raybio.training.epochs import Judge, Verdict, train_epochs
from raybio.training.masking import MaskedExampleMaker
from raybio.training.model_card import write_model_card
from raybio.training.parts import TrainRows
from raybio.training.recipes import MaskingRecipe, Task
from raybio.training.rows_file import count_rows, read_share, write_rows
from raybio.training.splits import TrainingBatches, split_rows
from raybio.training.steps import IGNORED
from raybio.training.trainer import begun, fit
from raybio.training.workers import Workers, begin

_TEXT = "text.parquet"
_LEFT_OUT = "left_out.jsonl"


@dataclass(frozen=True, slots=True)
class AdaptedEncoder:
    """An encoder after continued pretraining, in its run folder.

    Of the sentences that were held out, after the last epoch: the loss per hidden subword (in nats), and
    the share of hidden subwords that were found; None where the scoring failed.
    """

    run: RunFolder
    held_out_loss: float | None
    held_out_found: float | None


def adapt_encoder(config: AdaptEncoderConfig, progress: Callable[[str], None] = print) -> AdaptedEncoder:
    """Train an encoder to fill in hidden words of text, and keep what it is after the last epoch.

    Documents that share a passage with those of `text.decontaminate_against` are left out, counted and
    listed.

    Raises:
        ModelError, InputError: what the run was given cannot be used.
        UsageError: a run of that name exists and `resume` is false, or the reverse; or a file's format
            cannot be recognised.
        TrainingError: there is too little text, or the workers failed more often than
            `workers.max_failures`.
    """
    base = base_folder(config.model, allow_pickle=config.allow_pickle)
    check_base(AutoModelForMaskedLM, base)
    check_precision(read_config(base), base, config.training.precision)
    check_text((*config.text.files, *config.text.decontaminate_against))
    with begun(config, "adapted", progress) as run:
        path, share = _text(config.text, run), config.text.validation_fraction
        sentences = count_rows(path)
        learned = sentences - int(sentences * share)
        train = TrainRows(partial(read_share, path, share, held_out=False), learned)
        held_out = partial(read_share, path, share, held_out=True)
        model = ModelReference.of(config.model, allow_pickle=config.allow_pickle)
        task = Task(run, model, base, MaskingRecipe.of(config), config.workers)
        fit(task, _work, train, held_out, config.logging, keep_best=False)
        write_model_card(run)
    last = run.metrics()[-1]
    return AdaptedEncoder(run, last.get("held_out_loss"), last.get("held_out_found"))


def _text(text: TextSection, run: RunFolder) -> Path:
    """Return the file of all sentences to read, written before the first epoch."""
    path = run.path / _TEXT
    if path.exists() and (run.path / _LEFT_OUT).exists():
        return path
    left_out: list[dict[str, str]] = []
    count = write_rows(sentence_tables((None, each) for each in _sentences(text, left_out)), path, SENTENCES)
    run.write_text(_LEFT_OUT, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in left_out))
    run.say(f"text of {count:,} sentences; documents left out, see {_LEFT_OUT}: {len(left_out):,}")
    if int(count * text.validation_fraction) in (0, count):
        path.unlink()
        raise TrainingError(
            f"of {count:,} sentences none would be held out, or none trained on. Give more text, or another "
            "text.validation_fraction"
        )
    return path


def _sentences(text: TextSection, left_out: list[dict[str, str]]) -> Iterator[Sentence]:
    """Yield the sentences of the text, and add to `left_out` what is not to be read."""
    unseen = Passages(document for path in text.decontaminate_against for document in read_corpus(path))
    for path in text.files:
        for document in islice(read_corpus(path), text.max_documents):
            if passage := unseen.shared_with(document):
                left_out.append({"file": path, "document": document.id, "passage": passage})
            else:
                yield from text_sentences(document)


# What follows runs in the workers.


def _work(task: Task[MaskingRecipe]) -> None:
    seed, training = task.recipe.seed, task.recipe.training
    workers = begin(seed, task.workers)
    tokenizer = read_tokenizer(task.base)
    maker = MaskedExampleMaker(tokenizer, training.mlm_probability, *window_of(task.base, training))

    def examples_of(row: dict[str, Any], epoch: int) -> list[steps.Example]:
        return maker.examples(row["words"], random.Random(f"{seed} {epoch} {row['id']}"))  # noqa: S311

    batches = TrainingBatches(task, workers, examples_of)
    own = islice(split_rows("dev"), workers.rank, None, workers.world)
    held_out = sorted((example for row in own for example in examples_of(row, 0)), key=lambda e: len(e.ids))
    learner = _FillingLearner(task, tokenizer, workers, len(batches) * training.epochs)
    train_epochs(task, workers, batches, learner, learner.judge(held_out))


class _FillingLearner(EncoderLearner):
    """A masked-language model."""

    def __init__(self, task: Task[MaskingRecipe], tokenizer: Any, workers: Workers, total: int) -> None:
        training = task.recipe.training
        self._budget = training.max_batch_tokens
        super().__init__(
            training,
            _HiddenPlaces(
                add_token_types(read_model(AutoModelForMaskedLM, task.base, new_head=True), tokenizer)
            ),
            tokenizer,
            workers,
            total,
        )

    def _loss(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        logits = self._model(**tensors)
        return torch.nn.functional.cross_entropy(logits.float(), _hidden(tensors), reduction="sum")

    def judge(self, held_out: Sequence[steps.Example]) -> Judge:
        """Return what tells how well examples are filled in; each worker gives its own, sorted by length."""

        def judge() -> Verdict:
            loss, right, count = self._fill_in(held_out)
            figures = {"held_out_loss": loss / count, "held_out_found": right / count}
            words = f", held out {loss / count:.4f}, {100 * right / count:.1f} % of hidden subwords found"
            return Verdict(figures, -loss, words)

        return judge

    @torch.no_grad()
    def _fill_in(self, examples: Sequence[steps.Example]) -> tuple[float, float, float]:
        """Return the summed loss, how many hidden subwords were found, and how many there are."""
        model = self._finished.eval()

        def fill_in() -> list[tuple[float, float, int]]:
            summed = right = 0.0
            for part in steps.micro_batches(examples, self._budget):
                tensors = steps.collate(part, self.padding, self._workers.device)
                with self._autocast():
                    logits = model(**tensors).float()
                hidden = _hidden(tensors)
                summed += torch.nn.functional.cross_entropy(logits, hidden, reduction="sum").item()
                right += (logits.argmax(dim=-1) == hidden).sum().item()
            return [(summed, right, steps.labelled(examples))]

        try:
            found = self._workers.gather(fill_in)
        finally:
            model.train()
        loss, right, count = map(sum, zip(*found, strict=True))
        return loss, right, max(1, count)

    def _write(self, folder: Path) -> None:
        self._finished.model.save_pretrained(folder)

    def _read(self, folder: Path) -> dict[str, torch.Tensor]:
        return _HiddenPlaces(read_model(AutoModelForMaskedLM, folder)).state_dict()


class _HiddenPlaces(torch.nn.Module):
    """A masked-language model that is asked of labelled places alone: (places, vocabulary) logits.

    Its head, as wide as the vocabulary, would else cost more than all its layers.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._places: torch.Tensor | None = None
        model.base_model.register_forward_hook(self._only_places)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of the places where `labels` has any, in reading order."""
        self._places = labels != IGNORED
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits

    def _only_places(self, _module: torch.nn.Module, _given: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[self._places]
        return output


def _hidden(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return tensors["labels"][tensors["labels"] != IGNORED]
