"""How an output is made: what every worker of a job needs to know of its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raybio.bulk_tagging.provenance import Provenance
from raybio.config import TagCorpusConfig
from raybio.model_sources import ModelReference, name_anywhere
from raybio.taggers.selection import Selection


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model, how it is loaded (`load_tagger`'s options), what is read of the input and what is written."""

    model: ModelReference
    loading: Mapping[str, Any]
    provenance: Provenance
    output: str
    formats: tuple[str, ...]
    keep: tuple[str, ...]
    selection: Selection
    skip_passages: tuple[str, ...]
    shard_documents: int
    max_record_bytes: int
    shard_timeout_s: float | None

    @classmethod
    def of(
        cls, config: TagCorpusConfig, model: ModelReference, provenance: Provenance, output: str
    ) -> Recipe:
        """Return what a job's config says; `output` may be a generation below the config's own."""
        drafter = config.decoding.draft_model
        decoding = config.decoding.model_copy(update={"draft_model": drafter and name_anywhere(drafter)})
        return cls(
            model=model,
            loading={
                "precision": config.precision,
                "threads": config.taggers.threads,
                "max_batch_tokens": config.max_batch_tokens,
                "decoding": decoding.asked(),
                "device": "auto" if config.taggers.gpus else "cpu",
                "labels": config.model_labels,
            },
            provenance=provenance,
            output=output,
            formats=config.formats,
            keep=config.input.columns.keep or (),
            selection=Selection(**config.entities.model_dump()),
            skip_passages=config.skip_passages,
            shard_documents=config.shard_documents,
            max_record_bytes=config.max_record_bytes,
            shard_timeout_s=config.shard_timeout_s,
        )
