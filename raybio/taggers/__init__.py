"""Taggers: sentences in, one IOB2 tag a word out. `load_tagger` reads any model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from raybio.taggers.base import Tagger, Tags, place_mentions

__all__ = ["Tagger", "Tags", "load_tagger", "place_mentions"]


def load_tagger(
    folder: Path,
    *,
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto",
    threads: int | None = None,
    **options: Any,
) -> Tagger:
    """Load the tagger in a model folder; `threads` bounds its computing threads on a CPU.

    Raises:
        ModelError: the folder holds nothing that raybio can tag with.
    """
    import torch

    if threads:
        torch.set_num_threads(threads)
    if precision == "int8":
        from raybio.taggers.encoder_int8 import load_int8

        return load_int8(folder, threads=threads, **options)
    from raybio.taggers.encoder import EncoderTagger

    return EncoderTagger.load(folder, precision=precision, **options)
