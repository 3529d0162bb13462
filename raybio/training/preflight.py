"""What an LLM's fine-tuning will take, and why it would fail, before anything is started.

The model is built on torch's meta device: shapes without weights, in no memory and on no GPU. The study's
models need no network for it; what only a tokenizer tells is left out where the hub is out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import ceil
from typing import Any

import ray
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer
from transformers.pytorch_utils import Conv1D

from raybio.config import TrainConfig, TrainDecoderConfig, TrainEncoderConfig, WorkersSection
from raybio.errors import AccessError, ConfigError, ModelError, RaybioError, UsageError, first_line
from raybio.model_sources import hub_answers
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.taggers.both_ways import check_attention
from raybio.taggers.decoding import Tokens
from raybio.taggers.decoding.readable import check_readable
from raybio.taggers.hugging_face import read_tokenizer, tag_options
from raybio.taggers.language_model import check_writer
from raybio.taggers.twin import twin
from raybio.training.adapter import add_adapter
from raybio.training.decoder_steps import CompletionMaker, add_tag_tokens, wording
from raybio.training.deepspeed import takes_paged
from raybio.training.memory import Memory, Sizes, memory
from raybio.training.shapes import shape_of, source_of
from raybio.training.splits import SHUFFLE_BUFFER
from raybio.training.steps import Example, Passes, batches, passes_of, shuffled

_LINEAR = (torch.nn.Linear, Conv1D)  # GPT-2's layers are of the second kind
_PACKAGES = ("deepspeed", "peft", "bitsandbytes")
_UNKNOWN_LABELS = ("Entity",)  # where no corpus says them: only a tag head has another size for others


@dataclass(frozen=True, slots=True)
class CorpusFigures:
    """The training split in this model's tokens: `longest` is of a prompt with its completion.

    None is what cannot be told without the model's tokenizer. A token classifier has neither prompts nor
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
            yield f"rejected as longer than max_tokens: {self.corpus.rejected:,}"
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
    architecture = shape_of(config.model, config.allow_pickle)
    labels, rows, no_corpus, corpus_faults = training_split(config)
    text = config.head == "text"  # else it has no prompts that a tokenizer is needed for
    tokenizer, no_tokens, tokenizer_faults = local_tokenizer(config) if text else (None, "", [])
    found = estimate(config, architecture, tokenizer, labels, rows, [*corpus_faults, *tokenizer_faults])
    return replace(found, no_corpus=no_corpus, no_tokens=no_tokens)


def estimate(
    config: TrainDecoderConfig,
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
    gpu = on_gpu(config.workers)
    maker, new_tokens, wording_faults = _maker(config, tokenizer, labels)
    figures = _corpus_figures(config, maker, rows)
    faults = [
        *_missing_packages(),
        *faults,
        *refusals(config, architecture, gpu),
        *wording_faults,
        *_all_rejected(config, figures),
    ]
    if faults:
        raise ConfigError(f"train-decoder with {config.model}", faults)
    sizes = count_parameters(config, architecture, labels, sorted(new_tokens))
    passes = figures.passes if figures else None
    needed = memory(
        config,
        architecture,
        sizes,
        _number_bytes(config, gpu),
        takes_paged(config, gpu),
        tokens=passes.rows * passes.longest if passes else None,
        gpu=gpu,
    )
    return Preflight(sizes, needed, figures)


def refusals(config: TrainDecoderConfig, architecture: Any, gpu: bool) -> list[str]:
    """Return why a model of this Hugging Face config cannot be trained so; what needs no file of its own."""
    return [*_model_faults(config, architecture), *_machine_faults(config, gpu)]


def count_parameters(
    config: TrainDecoderConfig, architecture: Any, labels: Sequence[str], new_tokens: Sequence[int] = ()
) -> Sizes:
    """Count what a run trains and what it holds frozen, from a model's Hugging Face config alone."""
    model = _shapes(config, architecture, labels)
    if new_tokens and max(new_tokens) >= model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(max(new_tokens) + 1, mean_resizing=False)
    linear = {
        id(module.weight): module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, _LINEAR) and not name.endswith(("lm_head", "score"))
    }
    base = sum(parameter.numel() for parameter in model.parameters())
    with torch.device("meta"):
        adapted = add_adapter(model, config, new_tokens)
    learning = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    quantizable = sum(linear.values())
    return Sizes(learning, quantizable, base - quantizable)


def _shapes(config: TrainDecoderConfig, architecture: Any, labels: Sequence[str]) -> Any:
    """Return the model without weights."""
    with torch.device("meta"):
        if config.head == "text":
            return AutoModelForCausalLM.from_config(architecture)
        headed = deepcopy(architecture)
        headed.num_labels = tag_options(labels)["num_labels"]
        return AutoModelForTokenClassification.from_config(headed)


def _missing_packages() -> Iterator[str]:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        names = " ".join(missing)
        yield f"training an LLM needs {', '.join(missing)}, not installed here. Run `pip install {names}`"


def _model_faults(config: TrainDecoderConfig, architecture: Any) -> Iterator[str]:
    """Yield why this model cannot be trained as the config says."""
    try:
        check_writer(architecture, config.model)
    except ModelError as error:
        yield f"not a causal language model: {error}"
        return
    if getattr(architecture, "quantization_config", None):
        yield (
            "merge into quantized weights: this model is quantized already, and an adapter fits the "
            "full-precision one only. Name that, and let quantization.bits hold it in fewer bits"
        )
    if config.head == "text":
        try:
            check_readable(architecture, config.model)
        except ModelError as error:
            yield str(error)
            return
    else:
        try:
            check_attention(config.attention, architecture)
        except ModelError as error:
            yield str(error)
            return
    longest = getattr(architecture, "max_position_embeddings", None)
    if longest and config.training.max_tokens > longest:
        yield (
            f"length over the model's limit: training.max_tokens is {config.training.max_tokens}, and this "
            f"model reads {longest} tokens at most. Set training.max_tokens={longest}"
        )
    targets = list(_target_faults(config, architecture))
    yield from targets or _step_faults(config, architecture)


def _step_faults(config: TrainDecoderConfig, architecture: Any) -> Iterator[str]:
    """Yield why the adapter, or the tag head, cannot learn on this architecture: one step on its twin."""
    make = AutoModelForCausalLM if config.head == "text" else AutoModelForTokenClassification
    lora = config.lora.model_copy(update={"rank": 2})
    ids = torch.arange(1, 9)[None]
    try:
        learner = add_adapter(twin(make, architecture), config.model_copy(update={"lora": lora}), ())
        loss = learner(input_ids=ids, labels=ids % 2).loss
        loss.backward()
    except ModelError as error:
        yield str(error)
        return
    except Exception as error:  # each architecture fails in its own way
        problem = first_line(error)
        yield (
            f"a small {architecture.model_type} model cannot be trained so ({type(error).__name__}: "
            f"{problem}). Name a model of another architecture (such as Llama, Mistral or Qwen)"
        )
        return
    if not torch.isfinite(loss):
        yield f"a small {architecture.model_type} model has no loss that can be learned from: {loss.item()}"


def _target_faults(config: TrainDecoderConfig, architecture: Any) -> Iterator[str]:
    """Yield what is wrong with the layers to adapt."""
    causal = config.model_copy(update={"head": "text"})
    names = [
        name
        for name, module in _shapes(causal, architecture, _UNKNOWN_LABELS).named_modules()
        if isinstance(module, _LINEAR)
    ]
    lacking = [t for t in config.lora.targets if not any(n == t or n.endswith(f".{t}") for n in names)]
    if lacking:
        has = ", ".join(sorted({name.rpartition(".")[2] for name in names}))
        yield f"targets that the model lacks: lora.targets names {', '.join(lacking)}. It has {has}"
    if config.prompt.tag_tokens and "lm_head" in config.lora.targets:
        yield (
            "tag tokens with an adapted head: prompt.tag_tokens trains the head's new rows themselves. "
            "Remove lm_head from lora.targets"
        )
    if config.prompt.tag_tokens and config.deepspeed.zero_stage == 3:
        yield "tag tokens with ZeRO-3: it spreads the rows that are to be trained. Set deepspeed.zero_stage=2"


def _machine_faults(config: TrainDecoderConfig, gpu: bool) -> Iterator[str]:
    """Yield what does not go together on the machine at hand; the config alone may leave it open."""
    if takes_paged(config, gpu) and not gpu:
        yield "paged optimizer on CPU: paged-adamw-8bit needs a GPU. Set training.optimizer=adamw"
    held = config.quantization
    computes = {2: "bfloat16", 4: "float32"}[_number_bytes(config, gpu)]
    if config.deepspeed.zero_stage == 3 and held.bits == 4 and held.storage not in ("auto", computes):
        yield (
            f"ZeRO-3 with mismatched quant storage: 4-bit weights are packed as {held.storage}, and computed "
            f"with as {computes} here. Set quantization.storage=auto"
        )


def on_gpu(workers: WorkersSection) -> bool:
    """Say whether workers will get a GPU, as far as this process can see."""
    if workers.accelerator != "auto":
        return workers.accelerator == "gpu"
    return torch.cuda.is_available() or (ray.is_initialized() and ray.cluster_resources().get("GPU", 0) > 0)


def _number_bytes(config: TrainDecoderConfig, gpu: bool) -> int:
    half = config.training.precision == "bf16" or (config.training.precision == "auto" and gpu)
    return 2 if half else 4


Row = Mapping[str, Any]


def training_split(config: TrainConfig) -> tuple[Sequence[str], list[Row], str, list[str]]:
    """Return the labels and rows of the training split, why they are not at hand, and what is wrong there."""
    try:
        sentences = list(read_sentences(config.corpus, "train"))
    except (RaybioError, OSError) as error:
        if _elsewhere(error):
            return _UNKNOWN_LABELS, [], str(error), []
        return _UNKNOWN_LABELS, [], "", [str(error)]
    labels = sorted({span.label for sentence in sentences for span in sentence.gold or ()})
    rows: list[Row] = [
        {"id": s.id, "document_id": s.document_id, "words": s.words, "tags": gold_tags(s)} for s in sentences
    ]
    faults = [] if rows else ["nothing to learn from: the training split has no sentences"]
    return labels or _UNKNOWN_LABELS, rows, "", faults


def _elsewhere(error: RaybioError | OSError) -> bool:
    """Say whether a corpus may well be where the workers are: no folder or file here, not a faulty one."""
    return isinstance(error, (AccessError, UsageError, OSError))


def local_tokenizer(config: TrainEncoderConfig | TrainDecoderConfig) -> tuple[Any, str, list[str]]:
    """Return the model's tokenizer, why it is not at hand, and what is wrong with it."""
    source = source_of(config.model, config.allow_pickle)
    try:
        if source.is_dir():
            return read_tokenizer(source), "", []
        tokenizer = AutoTokenizer.from_pretrained(
            source, local_files_only=not hub_answers(), trust_remote_code=False
        )
    except OSError as error:
        # The hub may be out of reach here, or keep the model for others: the workers may see more.
        return None, _out_of_reach(config, error), []
    except (ModelError, ValueError) as error:
        return None, "", [str(error)]
    return tokenizer, "", []


def _out_of_reach(config: TrainEncoderConfig | TrainDecoderConfig, error: OSError) -> str:
    reason = first_line(error)
    tag_tokens = isinstance(config, TrainDecoderConfig) and config.prompt.tag_tokens
    left_out = ". The rows that prompt.tag_tokens trains are not counted" if tag_tokens else ""
    return f"{reason}{left_out}"


def _maker(
    config: TrainDecoderConfig, tokenizer: Any, labels: Sequence[str]
) -> tuple[CompletionMaker | None, Mapping[int, Sequence[int]], list[str]]:
    """Return what makes examples, the tokens it adds to the vocabulary, and what keeps it from doing so."""
    if tokenizer is None:
        return None, {}, []
    try:
        prompts = wording(config, labels, tokenizer)
        new_tokens = add_tag_tokens(tokenizer, prompts)
        return CompletionMaker(Tokens(tokenizer, prompts), config), new_tokens, []
    except (ModelError, OSError, ValueError) as error:
        return None, {}, [str(error)]


def _corpus_figures(
    config: TrainDecoderConfig, maker: CompletionMaker | None, rows: Sequence[Row]
) -> CorpusFigures | None:
    if not rows:
        return None
    batch = config.training.batch_sentences
    if maker is None:
        return CorpusFigures(
            len(rows), steps_per_epoch=ceil(len(rows) / batch) if config.head == "tags" else None
        )
    if config.training.loss_on == "padded":  # up to the longest, which is known once all are read
        for row in rows:
            maker.examples(row)
    passes = epoch_passes(config, [example for row in rows for example in maker.examples(row)])
    return CorpusFigures(len(rows), len(maker.rejected), maker.longest, passes.steps, passes)


def epoch_passes(config: TrainEncoderConfig | TrainDecoderConfig, examples: Sequence[Example]) -> Passes:
    """Return what one worker reads of the first epoch."""
    training = config.training
    seed = config.seed * 1_000 + 1
    mixed = shuffled(examples, SHUFFLE_BUFFER, seed)
    cut = batches(mixed, training.batch_sentences, seed, training.batch_order == "sorted")
    return passes_of(cut, training.max_batch_tokens, config.workers.count)


def _all_rejected(config: TrainDecoderConfig, figures: CorpusFigures | None) -> Iterator[str]:
    if figures and figures.rejected == figures.sentences:
        yield (
            f"nothing left to learn from: all {figures.sentences:,} training sentences take more than "
            f"training.max_tokens={config.training.max_tokens}, the longest {figures.longest:,}. Raise it"
        )


def gib(size: int) -> str:
    """Return a number of bytes for a person to read."""
    return f"{size / 2**30:,.2f} GiB"
