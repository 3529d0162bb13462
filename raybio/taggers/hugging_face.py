"""The one door to transformers: configs, tokenizers and models, read from a folder that was inspected.

Whatever a folder says, only safetensors are opened, code that comes with it is neither run nor asked for,
and nothing is fetched. What the library would let pass (weights that are missing and so drawn at random, a
tokenizer without words) or end with an error of its own is a ModelError of one line.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils.tqdm import enable_progress_bars
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging as transformers_logging

from raybio.errors import ModelError, RaybioError, first_line
from raybio.iob2 import tag_set
from raybio.model_files import inspect_model, is_adapter
from raybio.taggers.card import WRITERS

if not sys.stderr.isatty():
    # A bar is for a terminal; in a log each of its states would be a line. Those of downloads stay.
    transformers_logging.disable_progress_bar()
    enable_progress_bars()

_CLOSED: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
_SHOWN_NAMES = 3
_KINDS = {
    "AutoModelForTokenClassification": ("classify tokens", "a model such as BERT, RoBERTa or Llama"),
    "AutoModelForCausalLM": ("write text", "a causal language model such as Llama or Mistral"),
    "AutoModelForMaskedLM": ("fill in words", "an encoder such as BERT"),
}


def read_config(folder: Path, **changes: Any) -> Any:
    """Return the Hugging Face config of a model folder, with those `changes`.

    Raises:
        ModelError: it is damaged, or of an architecture that transformers has no code of its own for.
    """
    inspect_model(folder)
    if is_adapter(folder):
        raise ModelError(
            f"{folder} holds an adapter, not a whole model. Name its base model, or merge it into that"
        )
    with one_line(folder, "its config.json cannot be read"):
        config = AutoConfig.from_pretrained(folder, **_CLOSED, **changes)
    if config.model_type == "big_bird":
        # Its block-sparse attention depends on the batch that a text is in; transformers too leaves it for
        # this one, which it approximates, with texts of up to 704 tokens.
        config.attention_type = "original_full"
    complete_classifiers(config)
    return config


def complete_classifiers(config: Any) -> None:
    """Let transformers make a token classifier of this config's architecture, where raybio has one for it."""
    if config.model_type == "gemma3_text":
        from raybio.taggers import gemma3  # which takes a second

        gemma3.register()


def read_tokenizer(folder: Path) -> Any:
    """Return the fast tokenizer in a model folder.

    Raises:
        ModelError: its files are missing or damaged.
    """
    with one_line(folder, "its tokenizer cannot be read"), _quiet():
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, **_CLOSED)
    if not _words(tokenizer):
        raise ModelError(
            f"{folder} has no tokenizer: no tokenizer.json, and no vocabulary that one could be made "
            "of. Copy the "
            "tokenizer's files into it from the model that it was made of"
        )
    return tokenizer


def read_model(make: Any, folder: Path, *, config: Any = None, new_head: bool = False, **options: Any) -> Any:
    """Return the model of `make` (an Auto class of transformers) in a folder, with all of its weights.

    `config` replaces the one in the folder; `options` are of `from_pretrained`.

    `new_head` allows for a head that the folder has no weights of, or of another size: a new one is made.

    Raises:
        ModelError: weights are missing or do not fit, or the folder holds no such model.
    """
    config = config or read_config(folder)
    with one_line(folder, "its model cannot be loaded"), _quiet():
        model, found = make.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, in one line
            **_CLOSED,
            **options,
        )
    body = f"{model.base_model_prefix}."
    for problem, names in (
        ("has no weights of", found["missing_keys"]),
        (
            "has weights of another size than its config.json says of",
            [name for name, *_ in found["mismatched_keys"]],
        ),
    ):
        wrong = sorted(name for name in names if not new_head or name.startswith(body))
        if wrong:
            raise ModelError(_lacking(folder, type(model).__name__, problem, wrong, body))
    return model


def architecture_of(config: Any) -> str:
    """Return what transformers calls the model of a config, such as LlamaForCausalLM."""
    return " ".join(map(str, config.architectures or [config.model_type]))


def writes_text(config: Any) -> bool:
    """Say whether a config is of a model that writes text: LlamaForCausalLM, GPT2LMHeadModel."""
    return any(sign in architecture_of(config) for sign in WRITERS)


def check_model(make: Any, folder: Path, *, new_head: bool = False, **options: Any) -> Any:
    """Return the model as `read_model` does and refuse what it would, without its weights in memory."""
    return read_model(make, folder, new_head=new_head, device_map="meta", **options)


def check_base(make: Any, base: Path) -> None:
    """Refuse a folder that no model of `make` can be trained from.

    Raises:
        ModelError: its weights or its tokenizer are missing or damaged, or it is of another kind.
    """
    check_vocabulary(read_tokenizer(base), check_model(make, base, new_head=True), base)


def check_vocabulary(tokenizer: Any, model: Any, folder: Path) -> None:
    """Refuse a tokenizer with words that its model has no embedding of: it is another model's.

    Raises:
        ModelError: names both sizes.
    """
    highest = max(_words(tokenizer).values())
    held = model.get_input_embeddings().num_embeddings
    if highest >= held:
        raise ModelError(
            f"{folder} has the tokenizer of another model: its words have numbers up to {highest:,}, "
            "and the model "
            f"has embeddings for {held:,}. Copy the tokenizer's files into it from the model that it "
            "was made of"
        )


def tag_options(labels: Sequence[str]) -> dict[str, Any]:
    """Return what the config of a token classifier says of its tags."""
    tags = tag_set(labels)
    return {
        "num_labels": len(tags),
        "id2label": dict(enumerate(tags)),
        "label2id": {tag: i for i, tag in enumerate(tags)},
    }


def _words(tokenizer: Any) -> dict[str, int]:
    """Return a tokenizer's vocabulary without what was added to it by hand."""
    added = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    return {word: number for word, number in tokenizer.get_vocab().items() if word not in added}


def _lacking(folder: Path, kind: str, problem: str, names: list[str], body: str) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES]) + (
        f" and {len(names) - _SHOWN_NAMES} more" if names[_SHOWN_NAMES:] else ""
    )
    if any(name.startswith(body) for name in names):
        return f"{folder} {problem} {shown}, which a {kind} needs. Fetch the model again"
    return (
        f"{folder} {problem} {shown}: its head was never trained, and would be drawn at random. Train it, or "
        "name a trained model"
    )


@contextmanager
def one_line(folder: object, problem: str) -> Iterator[None]:
    """Make a ModelError of whatever a library says of a folder: somebody else's files lead to any error."""
    try:
        yield
    except (RaybioError, MemoryError, torch.OutOfMemoryError):
        raise
    except ImportError as error:
        raise ModelError(f"{folder}: {problem}: {first_line(error)}. Install what it names") from error
    except Exception as error:  # its loaders raise what their own parsers do
        if "Unrecognized configuration class" in str(error):
            raise ModelError(f"{folder} is of an architecture that {_other_kind(str(error))}") from error
        if "remote_code" in str(error) or "custom code" in str(error):
            raise ModelError(
                f"{folder} needs code that comes with it, which is never run. Take a model of an "
                "architecture that "
                "transformers itself has"
            ) from error
        raise ModelError(
            f"{folder}: {problem}: {first_line(error)}. Fetch or save the model again"
        ) from error


def _other_kind(message: str) -> str:
    """Return what a model is not, of transformers' message, which names the class that was wanted."""
    wanted = next((kind for kind in _KINDS if kind in message), None)
    does, instead = _KINDS.get(wanted or "", ("be used so", "another model"))
    return f"cannot {does}. Name {instead}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's report on missing and left-over weights: those that matter are errors here."""
    handled = transformers_logging.get_logger("transformers").handlers
    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here  # other threads load models too

    for handler in handled:
        handler.addFilter(elsewhere)
    try:
        yield
    finally:
        for handler in handled:
            handler.removeFilter(elsewhere)
