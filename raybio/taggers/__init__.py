"""Taggers: sentences in, one IOB2 tag a word out. `load_tagger` reads any model folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raybio import plugins
from raybio.model_sources import whole_classifier
from raybio.taggers.base import Effort, Tagger, Tags, place_mentions
from raybio.taggers.checking import check_tagger, kind_for

if TYPE_CHECKING:
    from raybio.taggers.decoder import DecoderTagger

__all__ = ["Effort", "Tagger", "Tags", "check_tagger", "load_tagger", "place_mentions"]


def load_tagger(
    folder: Path,
    *,
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8", "4bit"] = "auto",
    threads: int | None = None,
    max_batch_tokens: int | None = None,
    decoding: Mapping[str, Any] | None = None,
    labels: Mapping[str, str | None] | None = None,
    device: str = "auto",
    **options: Any,
) -> Tagger:
    """Load the tagger in a model folder, whatever its kind.

    `device` is where it computes ("auto": a GPU where there is one; int8 is for CPUs), `threads` bounds its
    computing threads on a CPU, and `max_batch_tokens` what it reads in one pass; they hold for each model
    of several (a cascade's, or an LLM's and its drafter). `decoding` is for LLMs that write tags: the
    mode, the draft, the folder of the encoder that drafts (`draft_model`), and `constrained_decoding`.
    `labels` is for token classifiers: what their outputs stand for (see `label_schemes.recognise`).

    Raises:
        ModelError: the folder holds nothing that raybio can tag with, or not at this precision.
    """
    folder = whole_classifier(folder)
    kind = kind_for(folder, precision, decoding or {}, labels)
    if kind in plugins.names(plugins.TAGGERS):
        tagger: Tagger = plugins.load(plugins.TAGGERS, kind)(folder)
        return tagger
    import torch

    if threads:
        torch.set_num_threads(threads)
    bounds = {"threads": threads, "max_batch_tokens": max_batch_tokens, "device": device}
    if kind == "cascade":
        return _load_cascade(folder, precision, decoding or {}, bounds, options)
    if kind == "decoder":
        return _load_decoder(folder, precision, decoding or {}, bounds, options)
    if precision == "int8":
        from raybio.taggers.encoder_int8 import load_int8

        return load_int8(folder, threads=threads, max_batch_tokens=max_batch_tokens, labels=labels, **options)
    from raybio.taggers.encoder import EncoderTagger

    assert precision != "4bit", "refused above"
    return EncoderTagger.load(
        folder,
        precision=precision,
        device=device,
        max_batch_tokens=max_batch_tokens,
        labels=labels,
        **options,
    )


def _load_cascade(
    folder: Path,
    precision: Any,
    decoding: Mapping[str, Any],
    bounds: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Tagger:
    from raybio.model_sources import model_folder
    from raybio.taggers.cascade import Cascade, CascadeTagger

    cascade = Cascade.read(folder)
    # Each at what it can do: the encoder has the int8 path, the LLM that of 4 bits.
    first = load_tagger(
        model_folder(cascade.encoder), precision="auto" if precision == "4bit" else precision, **bounds
    )
    of_decoder = "auto" if precision == "int8" else precision
    second = _load_decoder(model_folder(cascade.decoder), of_decoder, decoding, bounds, options)
    return CascadeTagger(first, second, cascade.threshold)


def _load_decoder(
    folder: Path,
    precision: str,
    decoding: Mapping[str, Any],
    bounds: Mapping[str, Any],
    options: Mapping[str, Any],
) -> DecoderTagger:
    from raybio.model_sources import model_folder
    from raybio.taggers.decoder import DecoderTagger

    rest = dict(decoding)
    draft_model = rest.pop("draft_model", None)
    drafter = load_tagger(model_folder(draft_model), **bounds) if draft_model else None
    return DecoderTagger.load(
        folder,
        precision=precision,
        drafter=drafter,
        max_batch_tokens=bounds["max_batch_tokens"],
        device=bounds["device"],
        **rest,
        **options,
    )
