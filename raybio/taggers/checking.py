"""What a driver refuses before it starts workers: whatever `load_tagger` would refuse in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from raybio import plugins
from raybio.alignment import SubwordEncoder
from raybio.errors import ModelError
from raybio.model_files import CARD, is_adapter, is_cascade, read_object
from raybio.model_identity import checked_once
from raybio.model_sources import model_folder, whole_classifier
from raybio.taggers.calibration import read_calibration
from raybio.taggers.card import kind_of
from raybio.taggers.selection import ALL, Selection

Labels = Mapping[str, str | None]


def check_tagger(
    folder: Path,
    *,
    precision: str = "auto",
    decoding: Mapping[str, Any] | None = None,
    labels: Labels | None = None,
) -> None:
    """Refuse what `load_tagger` would refuse of a folder and these options; int8 alone reads its weights.

    A folder that was found good is remembered until a file of it changes, so that neither transformers nor
    torch is imported for it again. Packages that are not installed here are left to the workers.

    Raises:
        ModelError: as `load_tagger` does.
    """
    folder = whole_classifier(folder)
    kind = kind_for(folder, precision, decoding or {}, labels)
    folders = [folder]
    if kind == "cascade":
        from raybio.taggers.cascade import Cascade

        cascade = Cascade.read(folder)
        folders = [model_folder(cascade.encoder), model_folder(cascade.decoder)]
    if draft_model := (decoding or {}).get("draft_model"):
        folders.append(model_folder(draft_model))
    for each in folders:
        _check_one(each, labels if each == folder else None)
    if kind == "encoder" and precision == "int8" and not (folder / "int8").is_dir():
        read_calibration(folder)
        if find_spec("openvino"):
            checked_once([folder], lambda: _check_int8(folder, labels), ("int8", labels))


def check_selection(folder: Path, selection: Selection, labels: Labels | None = None) -> None:
    """Refuse a selection among the labels of a tagger in a folder that names one which it does not have.

    The labels of a kind that another package adds are known to its workers alone.

    Raises:
        UsageError: names the label, and those that there are.
    """
    if selection != ALL and (known := _known_labels(folder, labels)):
        selection.check(known)


def _known_labels(folder: Path, labels: Labels | None) -> set[str]:
    if is_cascade(folder):
        from raybio.taggers.cascade import Cascade

        cascade = Cascade.read(folder)
        models = map(model_folder, (cascade.encoder, cascade.decoder))
        return set().union(*(_known_labels(model, None) for model in models))
    kind = kind_of(folder)
    if kind in plugins.names(plugins.TAGGERS):
        return set()
    if kind == "decoder":
        from raybio.taggers.decoder import DecoderCard

        return set(DecoderCard.read(folder).labels)
    from raybio.taggers.encoder_card import description_of

    return set(description_of(whole_classifier(folder), labels)[0].labels)


def kind_for(folder: Path, precision: str, decoding: Mapping[str, Any], labels: Labels | None) -> str:
    """Return the kind of model in a folder; refuse the options that such a model does not have.

    It is "cascade", "decoder" or "encoder", or one that an installed package adds.

    Raises:
        ModelError: names the option to leave out.
    """
    kind = "cascade" if is_cascade(folder) else kind_of(folder)
    if kind in plugins.names(plugins.TAGGERS) and (decoding or labels or precision in ("int8", "4bit")):
        raise ModelError(
            f"{folder} is a {kind} model of another package, which has no such options. Leave `precision`, "
            "`decoding` and `model_labels` out"
        )
    if labels and kind != "encoder":
        raise ModelError(
            f"{folder} is no token classifier: its labels are in its card. Leave `model_labels` out"
        )
    if kind == "cascade" and (decoding.get("draft", "outside") != "outside" or decoding.get("draft_model")):
        raise ModelError(
            f"{folder} is a cascade: its LLM verifies the tags of its own encoder. "
            "Leave `draft` and `draft_model` out"
        )
    if kind == "decoder" and precision == "int8":
        raise ModelError("int8 is for encoders. Hold an LLM in 4 bits with `precision: 4bit`")
    if kind == "encoder" and decoding:
        raise ModelError(f"{folder} is no LLM that writes tags: it has no decode mode. Leave `decoding` out")
    if kind == "encoder" and precision == "4bit":
        raise ModelError("4bit is for LLMs that write tags. Hold an encoder in bf16, or in int8 on a CPU")
    return kind


def _check_one(folder: Path, labels: Labels | None) -> None:
    parts = [folder]
    if is_adapter(folder):
        parts.append(model_folder(str(read_object(folder / CARD).get("base_model"))))
    kind = kind_of(folder)
    if kind in plugins.names(plugins.TAGGERS):
        plugins.load(plugins.TAGGERS, kind)
    elif kind == "decoder":
        checked_once(parts, lambda: _check_decoder(*parts))
    else:
        checked_once(parts, lambda: _check_encoder(folder, labels), labels)


def _check_encoder(folder: Path, labels: Labels | None) -> None:
    from transformers import AutoModelForTokenClassification

    from raybio.taggers.both_ways import read_both_ways
    from raybio.taggers.encoder_card import description_of
    from raybio.taggers.hugging_face import check_model, check_vocabulary, read_tokenizer

    _, card = description_of(folder, labels)
    model = check_model(AutoModelForTokenClassification, folder)
    read_both_ways(model, card.blocks_both_ways)
    tokenizer = read_tokenizer(folder)
    SubwordEncoder(tokenizer, card.spacing)
    check_vocabulary(tokenizer, model, folder)


def _check_int8(folder: Path, labels: Labels | None) -> None:
    from raybio.taggers.encoder_int8 import check_int8

    check_int8(folder, labels)


def _check_decoder(folder: Path, base: Path | None = None) -> None:
    from raybio.taggers.decoder import DecoderCard
    from raybio.taggers.hugging_face import read_tokenizer
    from raybio.taggers.language_model import check_language_model

    DecoderCard.read(folder)
    check_language_model(folder, base or folder, read_tokenizer(folder))
