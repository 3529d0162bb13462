"""How an encoder is read: its card in `raybio.json`, and what its outputs stand for by its `id2label`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from raybio.alignment import Spacing
from raybio.errors import ModelError
from raybio.label_schemes import LabelScheme, UnknownSchemeError, recognise
from raybio.model_files import read_object
from raybio.taggers.aggregation import AggregationStrategy
from raybio.taggers.card import read_card, write_card
from raybio.taggers.hugging_face import read_config
from raybio.taggers.positions import positions_of

_DEFAULT_TOKENS = 512  # of a model without a card


@dataclass(frozen=True)
class EncoderCard:
    """What raybio must know of a model besides its Hugging Face files; kept in `raybio.json`."""

    labels: list[str]
    max_length: Annotated[int, Field(ge=8)]
    stride: Annotated[int, Field(ge=0)]
    label_subwords: str
    aggregation_strategy: AggregationStrategy
    constrained_decoding: bool = False
    # What logits are divided by for scores, not for tags: fitted on dev. 1 where it was not.
    temperature: Annotated[float, Field(gt=0)] = 1.0
    # What a card of before does not say: words were read one by one, with nothing between them.
    spacing: Spacing = "glued"
    # Of an LLM with a tag head: those of its blocks, by number from 0, that are not causal.
    blocks_both_ways: list[Annotated[int, Field(ge=0)]] = field(default_factory=list)
    base_model: str = ""
    trained_on: str = ""
    kind: str = "encoder"
    raybio: str = ""

    def but(self, **changes: Any) -> EncoderCard:
        """Return the card with those `changes` that are not None."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def write(self, folder: Path) -> None:
        """Write the card into a model folder."""
        write_card(folder, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> EncoderCard | None:
        """Return the card of a model folder, or None where the model is not one of ours.

        Raises:
            ModelError: it has a card, but not an encoder's.
        """
        return read_card(folder, cls)


def description_of(
    folder: Path, labels: Mapping[str, str | None] | None = None
) -> tuple[LabelScheme, EncoderCard]:
    """Return the label scheme of the classifier in a folder, and how it is to be read.

    A classifier that was trained elsewhere has no card: it is read plainly.

    Raises:
        ModelError: it is no classifier, or of tags of no scheme, or its card or config cannot be used.
    """
    config = read_config(folder)
    scheme = _scheme_of(config, folder, labels)
    card = EncoderCard.read(folder)
    longest = positions_of(config, folder)
    if card is None:
        size = min(longest or _DEFAULT_TOKENS, _DEFAULT_TOKENS)
        known = list(scheme.labels)
        return scheme, EncoderCard(known, size, min(64, size // 8), "first", "first", spacing="as-written")
    size = min(card.max_length, longest or card.max_length)
    return scheme, card.but(max_length=size, stride=min(card.stride, size // 2))


def _scheme_of(config: Any, folder: Path, labels: Mapping[str, str | None] | None) -> LabelScheme:
    """Return the label scheme of a classifier's outputs, by `id2label` and what `labels` says of them.

    Raises:
        ModelError: outputs have no name, or the names are of no scheme; it names those that do not fit.
    """
    names = _output_names(config, folder)
    try:
        return recognise(names, labels)
    except UnknownSchemeError as error:
        raise ModelError(
            f"{folder} gives tags that cannot be read, {', '.join(error.misfits)}: {error.problem}. Say what "
            "they stand for in `model_labels`, such as {LABEL_1: B-Disease, OTHER: O}"
        ) from error


def _output_names(config: Any, folder: Path) -> list[str]:
    """Return the name of each output of a classifier, by its number."""
    source = folder / "config.json"
    # Names that transformers would give them itself it leaves out.
    id2label = read_object(source).get("id2label", {str(i): name for i, name in config.id2label.items()})
    if not isinstance(id2label, dict) or not id2label:
        raise ModelError(f"id2label in {source} is not an object that names outputs. Correct it")
    wanted = [str(i) for i in range(len(id2label))]
    if set(id2label) != set(wanted):
        raise ModelError(
            f"id2label in {source} numbers its {len(id2label)} outputs "
            f"{', '.join(sorted(id2label)[:8])}, not 0 "
            f"to {len(id2label) - 1}. Correct it by the model's training code"
        )
    names = [id2label[i] for i in wanted]
    for name in names:
        if not isinstance(name, str):
            raise ModelError(f"id2label in {source} names an output {name!r}, which is no text. Correct it")
    if len(names) != config.num_labels:
        raise ModelError(
            f"{source} is of a classifier with {config.num_labels} outputs, and its id2label names "
            f"{len(names)}. "
            "Fetch the model again"
        )
    return names
