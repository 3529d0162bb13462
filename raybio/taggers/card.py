"""The card of a model folder: what raybio must know besides the Hugging Face files, in `raybio.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from raybio.bundled_models import name_of
from raybio.errors import ModelError
from raybio.model_files import CARD, added_kind, is_adapter, read_object
from raybio.storage import write_json
from raybio.versioned import check_version, read_record, versioned

WRITERS = ("CausalLM", "LMHead")
"""What transformers calls the architectures that write: LlamaForCausalLM, GPT2LMHeadModel."""

_NO_TAGS = re.compile(
    "(Model|MaskedLM|PreTraining|SequenceClassification|QuestionAnswering|MultipleChoice|SentencePrediction)$"
)
"""How the names of architectures end that have no head, or one that does not tag words: BertModel."""

_REMEDY = "Train the model again"
_TRAIN = (
    "Train it, for a first look on the generated corpus: `raybio {} model={} corpus.name=sample name=first`; "
    "then tag with --model runs/first/model"
)

_RENAMED = {
    "max_tokens": "max_length",
    "window_overlap": "stride",
    "subword_labels": "label_subwords",
    "word_decision": "aggregation_strategy",
    "legal": "constrained_decoding",
}
"""Fields that had other names in cards of schema version 1."""

SomeCard = TypeVar("SomeCard")


def write_card(folder: Path, card: Mapping[str, Any], name: str = CARD) -> None:
    """Write a card, which says its `kind` among other things, into a model folder."""
    write_json(folder / name, versioned(card))


def read_card(folder: Path, card: type[SomeCard], name: str = CARD) -> SomeCard | None:
    """Return the `card`, a dataclass, of a model folder, or None where the model is not one of ours.

    Raises:
        ModelError: the card cannot be read, or only by a later raybio, or it is another model's.
    """
    path = folder / name
    if not path.is_file():
        return None
    held = _held(path)
    if isinstance(held, dict):
        held = {_RENAMED.get(name, name): value for name, value in held.items()}
    return read_record(card, held, str(path), ModelError, _REMEDY)


def kind_of(folder: Path) -> str:
    """Return the kind of model in a folder: as its card says, or "encoder" where it has none.

    It is "encoder" or "decoder", or one that an installed package adds.

    Raises:
        ModelError: its card cannot be read, or is of a kind that this raybio does not know; or it has none
            and is an LLM or an adapter, of which nothing else says how they tag, or a base model that has
            no head that tags.
    """
    path = folder / CARD
    if not path.is_file():
        _refuse_without_card(folder)
        return "encoder"
    if (added := added_kind(folder)) is not None:
        return added
    kind = check_version(_held(path), str(path), ModelError, _REMEDY).get("kind", "encoder")
    if kind not in ("encoder", "decoder"):
        raise ModelError(
            f"{path} is of a model of kind {kind!r}, which this raybio cannot read. Use a later raybio, or "
            "install the package that adds it"
        )
    return str(kind)


def _held(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON ({error}). {_REMEDY}") from error


def _refuse_without_card(folder: Path) -> None:
    if is_adapter(folder):
        raise ModelError(
            f"{folder} holds an adapter, and no {CARD} says how its model tags. Train one with `raybio "
            "train-decoder`; or, if its base model is a token classifier, say so with task_type TOKEN_CLS in "
            "its adapter_config.json"
        )
    config = read_object(folder / "config.json") if (folder / "config.json").is_file() else {}
    named = config.get("architectures")
    if not isinstance(named, list) or not named:
        return
    name = name_of(folder)
    if any(sign in str(one) for one in named for sign in WRITERS):
        raise ModelError(
            f"{name} is a {named[0]}, an LLM that writes text, and no {CARD} says how it is prompted to tag. "
            f"{_TRAIN.format('train-decoder smollm2_bc5cdr', name)}"
        )
    if all(_NO_TAGS.search(str(one)) for one in named):
        raise ModelError(
            f"{name} is a base model ({named[0]}), without a head that tags words: it was not yet trained on "
            f"annotated text. {_TRAIN.format('train-encoder minilm_bc5cdr', name)}"
        )
