"""What an LLM's fine-tuning will take, and why it would fail, before anything is started.

The model is built on torch's meta device: shapes without weights, in no memory and on no GPU. The study's
models need no network for it; what only a tokenizer tells is left out where the hub is out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import ray
import torch
from transformers import AutoTokenizer

from raybio.config import CorpusSection, MemberSection, TrainDecoderConfig, WorkersSection
from raybio.errors import AccessError, ConfigError, ModelError, RaybioError, UsageError, first_line
from raybio.model_sources import hub_answers
from raybio.sentence_stream import gold_tags
from raybio.taggers.decoding import Tokens
from raybio.taggers.hugging_face import read_tokenizer
from raybio.training.adapter_faults import missing_packages, refusals
from raybio.training.adapter_shapes import count_parameters, number_bytes
from raybio.training.decoder_steps import CompletionMaker, add_tag_tokens, wording
from raybio.training.memory import Memory, Sizes, memory
from raybio.training.recipes import AdapterRecipe, EncoderRecipe
from raybio.training.shapes import shape_of, source_of
from raybio.training.splits import SHUFFLE_BUFFER
from raybio.training.steps import Example, Passes, batches, passes_of, shuffled
from raybio.training.union import members_of

_UNKNOWN_LABELS = ("Entity",)  # where no corpus says them: only a tag head has another size for others


@dataclass(frozen=True, slots=True)
class CorpusFigures:
    """The training split in this model's tokens: `longest` is of a prompt with its completion.

    None is what is unknown without the model's tokenizer. A token classifier has neither prompts nor
    completions, and reads long sentences in windows: of it, `longest` and `rejected` are None.
    """

    sentences: int
    rejected: int | None = None
    longest: int | None = None
    steps_per_epoch: int | None = None
    passes: Passes | None = None


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a run will take; `memory` is that of each worker.

    `corpus` is None where the corpus is not at hand, and `no_corpus` says why; `no_tokens` says why
    the model's tokenizer is not at hand.
    """

    sizes: Sizes
    memory: Memory
    corpus: CorpusFigures | None
    no_corpus: str = ""
    no_tokens: str = ""

    def lines(self) -> list[str]:
        """Return it all for a person to read."""
        frozen = [f"base model: {self.sizes.base:,} parameters, frozen"] if self.sizes.base else []
        return [
            *frozen,
            f"trainable parameters: {self.sizes.learning:,}",
            f"memory per worker, estimated and not measured: {gib(self.memory.total)}",
            *(f"  {name}: {gib(size)}" for name, size in self.memory.parts().items()),
            *self._corpus_lines(),
            *([f"token figures not at hand: {self.no_tokens}"] if self.no_tokens else []),
        ]

    def _corpus_lines(self) -> Iterator[str]:
        if self.corpus is None:
            yield f"the corpus is not at hand: {self.no_corpus}"
            return
        yield f"training sentences: {self.corpus.sentences:,}"
        if self.corpus.longest is not None:
            yield f"longest prompt with its completion: {self.corpus.longest:,} tokens"
        if self.corpus.rejected is not None:
            yield f"rejected as longer than max_length: {self.corpus.rejected:,}"
        if self.corpus.steps_per_epoch is not None:
            yield f"steps per epoch: {self.corpus.steps_per_epoch:,}"
        if passes := self.corpus.passes:
            yield f"tokens per epoch and worker, with padding: {passes.tokens:,}"
            yield f"largest forward pass: {passes.rows:,} x {passes.longest:,} tokens"


def preflight(config: TrainDecoderConfig) -> Preflight:
    """Estimate a run of an LLM, and refuse what is known to fail.

    Raises:
        ConfigError: holds every reason why this run would fail, each with what to change.
        ModelError: there is no such model.
    """
    recipe = AdapterRecipe.of(config)
    architecture = shape_of(config.model, config.allow_pickle)
    labels, rows, no_corpus, corpus_faults = training_split(config.corpus)
    tokenizer, no_tokens = None, ""
    tokenizer_faults: list[str] = []
    if recipe.head == "text":  # else it has no prompts that a tokenizer is needed for
        tokenizer, no_tokens, tokenizer_faults = local_tokenizer(config.model, config.allow_pickle)
        if no_tokens and recipe.wording.tag_tokens:
            no_tokens += ". The rows that prompt.tag_tokens trains are not counted"
    faults = [*corpus_faults, *tokenizer_faults]
    found = estimate(recipe, config.workers, architecture, tokenizer, labels, rows, faults)
    return replace(found, no_corpus=no_corpus, no_tokens=no_tokens)


def estimate(
    recipe: AdapterRecipe,
    workers: WorkersSection,
    architecture: Any,
    tokenizer: Any,
    labels: Sequence[str],
    rows: Sequence[Row],
    faults: Sequence[str] = (),
) -> Preflight:
    """Return what a run with this model, tokenizer (None where it is not at hand) and training split takes.

    Raises:
        ConfigError: holds the `faults` that are known already, and all others.
    """
    gpu = on_gpu(workers)
    maker, new_tokens, wording_faults = _maker(recipe, tokenizer, labels)
    figures = _corpus_figures(recipe, workers, maker, rows)
    faults = [
        *missing_packages(),
        *faults,
        *refusals(recipe, architecture, gpu),
        *wording_faults,
        *_all_rejected(recipe.training.max_length, figures),
    ]
    if faults:
        raise ConfigError(f"train-decoder with {recipe.model}", faults)
    sizes = count_parameters(recipe, architecture, labels, sorted(new_tokens))
    passes = figures.passes if figures else None
    needed = memory(
        recipe,
        architecture,
        sizes,
        number_bytes(recipe, gpu),
        workers=workers.num_workers,
        tokens=passes.rows * passes.longest if passes else None,
        gpu=gpu,
    )
    return Preflight(sizes, needed, figures)


def on_gpu(workers: WorkersSection) -> bool:
    """Say whether workers will get a GPU, as far as this process can see."""
    if workers.accelerator != "auto":
        return workers.accelerator == "gpu"
    return torch.cuda.is_available() or (ray.is_initialized() and ray.cluster_resources().get("GPU", 0) > 0)


Row = Mapping[str, Any]


def training_split(
    corpus: CorpusSection | Sequence[MemberSection],
) -> tuple[Sequence[str], list[Row], str, list[str]]:
    """Return the labels and rows of the training split, why they are not at hand, and what is wrong there."""
    try:
        sentences = [sentence for member in members_of(corpus) for sentence in member.read("train")]
    except ConfigError as error:
        return _UNKNOWN_LABELS, [], "", error.faults
    except (RaybioError, OSError) as error:
        # No folder or file here, not a faulty one: the corpus may well be where the workers are.
        if isinstance(error, (AccessError, UsageError, OSError)):
            return _UNKNOWN_LABELS, [], str(error), []
        return _UNKNOWN_LABELS, [], "", [str(error)]
    labels = sorted({span.label for sentence in sentences for span in sentence.gold or ()})
    rows: list[Row] = [
        {"id": s.id, "document_id": s.document_id, "words": s.words, "tags": gold_tags(s)} for s in sentences
    ]
    faults = [] if rows else ["nothing to learn from: the training split has no sentences"]
    return labels or _UNKNOWN_LABELS, rows, "", faults


def local_tokenizer(model: str, allow_pickle: bool) -> tuple[Any, str, list[str]]:
    """Return the model's tokenizer, why it is not at hand, and what is wrong with it."""
    source = source_of(model, allow_pickle)
    try:
        if source.is_dir():
            return read_tokenizer(source), "", []
        tokenizer = AutoTokenizer.from_pretrained(
            source, local_files_only=not hub_answers(), trust_remote_code=False
        )
    except OSError as error:
        # The hub may be out of reach here, or keep the model for others: the workers may see more.
        return None, first_line(error), []
    except (ModelError, ValueError) as error:
        return None, "", [str(error)]
    return tokenizer, "", []


def _maker(
    recipe: AdapterRecipe, tokenizer: Any, labels: Sequence[str]
) -> tuple[CompletionMaker | None, Mapping[int, Sequence[int]], list[str]]:
    """Return what makes examples, the tokens it adds to the vocabulary, and what keeps it from doing so."""
    if tokenizer is None:
        return None, {}, []
    try:
        prompts = wording(recipe, labels, tokenizer)
        new_tokens = add_tag_tokens(tokenizer, prompts)
        return CompletionMaker(Tokens(tokenizer, prompts), recipe.training, ""), new_tokens, []
    except (ModelError, OSError, ValueError) as error:
        return None, {}, [str(error)]


def _corpus_figures(
    recipe: AdapterRecipe, workers: WorkersSection, maker: CompletionMaker | None, rows: Sequence[Row]
) -> CorpusFigures | None:
    if not rows:
        return None
    batch = recipe.training.batch_size
    if maker is None:
        return CorpusFigures(
            len(rows), steps_per_epoch=ceil(len(rows) / batch) if recipe.head == "tags" else None
        )
    if recipe.training.loss_on == "padded":  # up to the longest, which is known once all are read
        for row in rows:
            maker.examples(row)
    passes = epoch_passes(
        recipe, workers.num_workers, [example for row in rows for example in maker.examples(row)]
    )
    return CorpusFigures(len(rows), len(maker.rejected), maker.longest, passes.steps, passes)


def epoch_passes(recipe: EncoderRecipe | AdapterRecipe, workers: int, examples: Sequence[Example]) -> Passes:
    """Return what one of the workers reads of the first epoch."""
    training = recipe.training
    seed = recipe.seed * 1_000 + 1
    mixed = shuffled(examples, SHUFFLE_BUFFER, seed)
    cut = batches(mixed, training.batch_size, seed, training.group_by_length)
    return passes_of(cut, training.max_batch_tokens, workers)


def _all_rejected(max_length: int, figures: CorpusFigures | None) -> Iterator[str]:
    if figures and figures.rejected == figures.sentences:
        yield (
            f"nothing left to learn from: all {figures.sentences:,} training sentences take more than "
            f"training.max_length={max_length}, the longest {figures.longest:,}. Raise it"
        )


def gib(size: int) -> str:
    """Return a number of bytes for a person to read."""
    return f"{size / 2**30:,.2f} GiB"
