"""Bulk tagging: a config -> what is left of its input, tagged and committed shard by shard.

On Ray (`on_ray`), or what is small in this very process (`in_process`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from raybio.bulk_tagging import in_process
from raybio.bulk_tagging.inputs import find_inputs
from raybio.bulk_tagging.ledger import Ledger
from raybio.bulk_tagging.progress_tracker import (
    ProgressTracker,
    TaggedCorpus,
    check_anything_tagged,
    summarize,
)
from raybio.bulk_tagging.provenance import Provenance
from raybio.bulk_tagging.recipe import Recipe
from raybio.bulk_tagging.replay import check_inputs, rejected_shards
from raybio.bulk_tagging.shards import check_columns
from raybio.config import EntitiesSection, TagCorpusConfig, config_hash, resolved
from raybio.corpora import format_named
from raybio.corpora.limits import MAX_RECORD_BYTES
from raybio.corpora.table import Columns
from raybio.errors import CommitError, UsageError
from raybio.joining import say_starting
from raybio.model_identity import earlier_fingerprint, fingerprint
from raybio.model_sources import ModelReference
from raybio.run_folder import environment
from raybio.safe_text import data_without_secrets
from raybio.stopping import resume_hint
from raybio.taggers import check_tagger
from raybio.taggers.checking import check_selection
from raybio.taggers.selection import Selection
from raybio.versioned import versioned

# What decides the content of a shard's files: a change here is another output.
_DECISIVE = ("format", "formats", "skip_passages", "shard_documents", "precision", "decoding")


def tag_corpus(
    config: TagCorpusConfig, progress: Callable[[str], None] = print, replay: str | None = None
) -> TaggedCorpus:
    """Tag what is left of the input; say how it goes to `progress`, a line at a time.

    `replay` is a file of rejected records, as a run leaves it: their shards are tagged again.

    Raises:
        UsageError: the input names nothing, or not all files that are to be replayed; or the model has no
            label that `entities` names.
        AccessError: input files could not be reached, or not be read to their end; all else is tagged.
        FormatError: `replay` is no file of rejected records.
        ModelError: there is no such model, or it cannot be used, or not at this precision.
        CommitError: the output was made with another model or config, cannot be written, or another
            run took back what this one had committed.
        ClusterError: processes died again and again.
        RejectedError: more records than `max_rejected` were rejected, or all; what is done stays done.
    """
    started = time.perf_counter()
    for name in config.formats:
        if not format_named(name).can_write:
            raise UsageError(f"formats: {name} can be read but not written. Leave it out")
    model = ModelReference.of(config.model, allow_pickle=config.allow_pickle)
    folder = model.folder()
    check_tagger(
        folder,
        precision=config.precision,
        decoding=config.decoding.asked(),
        labels=config.model_labels,
    )
    check_selection(folder, Selection(**config.entities.model_dump()), config.model_labels)
    columns = Columns(**config.input.columns.model_dump(exclude_none=True))
    files = find_inputs(config.input.files, config.format, config.output, columns)
    check_columns(files)
    recorded = data_without_secrets(resolved(config))
    # These are decisive only where they are given: outputs made before there were such options are resumed.
    # The bound is, since a record that is rejected or not moves where shards end.
    limited = config.max_record_bytes != MAX_RECORD_BYTES
    decisive = (
        *_DECISIVE,
        *(["model_labels"] * bool(config.model_labels)),
        *(["max_record_bytes"] * limited),
        *(["input.columns"] * (columns != Columns())),
        *(["entities"] * (config.entities != EntitiesSection())),
    )
    provenance = Provenance(recorded["model"], fingerprint(folder), config_hash(config, *decisive), recorded)
    ledger, provenance = _claim(
        config.output, provenance, folder, new_generation=config.on_change == "new-generation"
    )
    recipe = Recipe.of(config, model, provenance, ledger.output)
    if replay is not None:
        shards = rejected_shards(replay)
        check_inputs(shards, files)
        progress(f"{ledger.reopen(shards)} shards with rejected records are tagged again")
    todo = ledger.todo(files)
    progress(f"{len(files)} input files, {len(files) - len(todo)} of them done before")
    tracker = ProgressTracker(ledger, files, todo, progress, config.max_rejected)
    pool: dict[str, float] = {}
    try:
        tracker.check_rejected()
        if todo:
            with resume_hint("Run the same command again to resume: what is committed stays"):
                if in_process.suits(config.taggers, config.shard_timeout_s, ledger, todo):
                    progress("tagging in this process, without Ray ...")
                    pool = in_process.tag(recipe, todo, tracker)
                else:
                    say_starting(progress)
                    from raybio.bulk_tagging.on_ray import tag_on_ray  # here, since to import Ray takes long

                    pool = tag_on_ray(recipe, config.taggers, lambda: ledger.todo(files), tracker, progress)
        tracker.check_finished()
    except Exception:
        # Where the disk is full, say, the first error is the one that tells why.
        with suppress(CommitError):
            summarize(ledger, tracker, time.perf_counter() - started)
        raise
    summary = summarize(ledger, tracker, time.perf_counter() - started)
    ledger.write_json(
        "summary.json", versioned({**asdict(summary), "pool": pool, "environment": environment()})
    )
    check_anything_tagged(summary)
    return summary


def _claim(
    output: str, provenance: Provenance, model: Path, new_generation: bool
) -> tuple[Ledger, Provenance]:
    """Return the ledger of the output, or with `new_generation` of one in it, and what makes it.

    An output that has the fingerprint of before for this very model is resumed, and keeps it.
    """
    earlier = replace(provenance, model_fingerprint=earlier_fingerprint(model))
    ledger = Ledger(output)
    others = ledger.has_other_provenance(provenance) and ledger.has_other_provenance(earlier)
    if new_generation and others:
        begun = Ledger(f"{ledger.output}/generation-{earlier.identity}")
        ledger = begun if begun.provenance() else Ledger(f"{ledger.output}/generation-{provenance.identity}")
    held = ledger.provenance()
    if held is not None and held.model_fingerprint == earlier.model_fingerprint:
        provenance = earlier
    ledger.claim(provenance)
    return ledger, provenance
