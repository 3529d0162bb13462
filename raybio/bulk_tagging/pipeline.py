"""Bulk tagging on Ray Data: read files -> cut text -> tag and commit shards -> count.

A row of the dataset is a whole shard, so nothing depends on how Ray Data cuts its blocks. Few
shards are in flight at a time, whatever the size of the input. Text is cut into sentences and words
in tasks of its own, in processes without a model: in a tagger's it would keep the model waiting, and a
thread beside the model would hold the interpreter that the model's own calls go through.
"""

from __future__ import annotations

import gc
import pickle
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError
from ray.util.annotations import RayDeprecationWarning

from raybio.bulk_tagging.ledger import CommittedShard, Ledger, Provenance
from raybio.bulk_tagging.progress_tracker import (
    ProgressTracker,
    TaggedCorpus,
    check_anything_tagged,
    summarize,
)
from raybio.bulk_tagging.recipe import Recipe
from raybio.bulk_tagging.replay import check_inputs, rejected_shards
from raybio.bulk_tagging.shards import (
    EndOfFile,
    InputFile,
    Shard,
    Unread,
    check_columns,
    find_inputs,
    read_shards,
)
from raybio.bulk_tagging.tagging import cut
from raybio.bulk_tagging.worker import Worker
from raybio.cluster import connected, settle_data
from raybio.config import EntitiesSection, TagCorpusConfig, TaggersSection, config_hash, resolved
from raybio.corpora import format_named
from raybio.corpora.limits import MAX_RECORD_BYTES
from raybio.corpora.table import Columns
from raybio.errors import ClusterError, CommitError, RaybioError, UsageError, first_line
from raybio.model_identity import earlier_fingerprint, fingerprint
from raybio.model_sources import ModelReference
from raybio.run_folder import environment
from raybio.safe_text import data_without_secrets
from raybio.stopping import resume_hint
from raybio.taggers import check_tagger
from raybio.taggers.checking import check_selection
from raybio.taggers.selection import Selection
from raybio.versioned import versioned

Row = dict[str, Any]

# What decides the content of a shard's files: a change here is another output.
_DECISIVE = ("format", "formats", "skip_passages", "shard_documents", "precision", "decoding")
# Larger than a handful of documents, smaller than a usual shard: one shard makes one block.
_BLOCK_BYTES = 256 * 1024
# Each dead worker brings the document that kills it nearer (see `attempts`); so many are a broken machine.
_MAX_DEATHS = 100
# Readers and cutters have no such marks: what is too large for them is so every time.
_MAX_RETRIES = 10
# Files whose reader or cutter died so often all the same are left, and the others continue; so many are,
# again, a broken machine.
_MAX_BROKEN_FILES = 10
_DEATHS = (WorkerCrashedError, OutOfMemoryError, NodeDiedError, RayActorError)
CUTTERS_FOR_A_GPU = 4
"""Processes that cut text for each tagger that has a GPU, some 2,000 abstracts a second each; where
that is more than the tagger takes, they wait."""


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
    ledger, provenance = _claim(config.output, provenance, folder, anew=config.on_change == "new-generation")
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
            with resume_hint("Run the same command again to resume: what is committed stays"), connected():
                settle_data()
                pool = _had(config.taggers)
                for result in _run(recipe, config.taggers, todo):
                    if isinstance(result, RaybioError):
                        raise result
                    tracker.see(result)
                pool = {name: max(had, pool[name]) for name, had in _had(config.taggers).items()}
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


def _claim(output: str, provenance: Provenance, model: Path, anew: bool) -> tuple[Ledger, Provenance]:
    """Return the ledger of the output, or with `anew` of a generation in it, and what makes it.

    An output that has the fingerprint of before for this very model is resumed, and keeps it.
    """
    earlier = replace(provenance, model_fingerprint=earlier_fingerprint(model))
    ledger = Ledger(output)
    others = ledger.has_other_provenance(provenance) and ledger.has_other_provenance(earlier)
    if anew and others:
        begun = Ledger(f"{ledger.output}/generation-{earlier.identity}")
        ledger = begun if begun.provenance() else Ledger(f"{ledger.output}/generation-{provenance.identity}")
    held = ledger.provenance()
    if held is not None and held.model_fingerprint == earlier.model_fingerprint:
        provenance = earlier
    ledger.claim(provenance)
    return ledger, provenance


def _run(
    recipe: Recipe, taggers: TaggersSection, todo: Sequence[tuple[InputFile, set[int]]]
) -> Iterator[CommittedShard | EndOfFile | Unread | RaybioError]:
    """Yield what was committed as it is, in no order, how files ended, and why a worker cannot continue."""
    context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = _BLOCK_BYTES
    context.max_errored_blocks = _MAX_BROKEN_FILES
    with ray.data.DataContext.current(context):
        results = _results(recipe, taggers, todo)
    try:
        for batch in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from _items(batch)
    except _DEATHS as error:
        reason = first_line(error)
        raise ClusterError(
            f"processes that read, cut or tag the input died again and again: {reason}. What is committed "
            "stays; run the same command again where they live, with more memory for each, say"
        ) from error


def _results(
    recipe: Recipe, taggers: TaggersSection, todo: Sequence[tuple[InputFile, set[int]]]
) -> ray.data.Dataset:
    """Return what will read, cut, tag and commit, as its rows are asked for."""
    least, most = _pool(taggers)
    sources = ray.data.from_items(_rows(todo), override_num_blocks=len(todo))
    # Reading and cutting ask for no CPU: they are a small part of the work, and on a small machine
    # the taggers hold all the CPUs there are. Where there are as many files as taggers without a
    # GPU, Ray Data makes one step of the two.
    with warnings.catch_warnings():
        # Deprecated without another way to bound retries (ray 2.60).
        warnings.simplefilter("ignore", RayDeprecationWarning)
        shards = sources.map_batches(
            _read,  # type: ignore[arg-type]  # Ray's types forget fn_kwargs
            fn_kwargs={"size": recipe.shard_documents, "max_record_bytes": recipe.max_record_bytes},
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=0,
            compute=ray.data.TaskPoolStrategy(size=min(most, len(todo))),
            max_retries=_MAX_RETRIES,
        ).map_batches(
            _cut,  # type: ignore[arg-type]
            fn_kwargs={"skipped": recipe.skip_passages},
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=0,
            compute=ray.data.TaskPoolStrategy(size=most * (CUTTERS_FOR_A_GPU if taggers.gpus else 1)),
            max_retries=_MAX_RETRIES,
        )
        return shards.map_batches(
            _TagAndCommit,
            fn_constructor_args=(recipe, uuid.uuid4().hex),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=taggers.cpus,
            num_gpus=taggers.gpus,
            compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
            ray_remote_args_fn=_bounded_retries,
        )


def _bounded_retries() -> dict[str, Any]:
    """Ray's default is to retry for ever what kills its worker every time."""
    return {"max_task_retries": _MAX_DEATHS, "max_restarts": _MAX_DEATHS}


def _pool(taggers: TaggersSection) -> tuple[int, int]:
    """Return the least and most taggers: as configured, or as many as the cluster has room for."""
    resources = ray.cluster_resources()
    room = resources.get("GPU", 0) / taggers.gpus if taggers.gpus else resources.get("CPU", 1) / taggers.cpus
    least = taggers.count or max(1, min(int(room), taggers.max_count or int(room)))
    return least, taggers.max_count or least


def _had(taggers: TaggersSection) -> dict[str, float]:
    """Return how many taggers the pool may have, at most, and what the cluster has for them."""
    resources = ray.cluster_resources()
    return {
        "taggers": _pool(taggers)[1],
        "cluster_cpus": resources.get("CPU", 0.0),
        "cluster_gpus": resources.get("GPU", 0.0),
    }


def _rows(items: Iterable[Any]) -> list[Row]:
    """Return dataset rows that carry `items` as they are."""
    return [{"item": pickle.dumps(item)} for item in items]


def _items(batch: Any) -> Iterator[Any]:
    for item in batch.column("item").to_pylist():
        yield unpack(item)


def unpack(packed: bytes) -> Any:
    """Return what a row carries.

    Python looks for circles among new objects again and again; in a shard's hundred thousand there
    are none, and to look takes about as long as to unpack them.
    """
    looks = gc.isenabled()
    gc.disable()
    try:
        return pickle.loads(packed)  # noqa: S301 - written by `_rows` in this same job
    finally:
        if looks:
            gc.enable()


def _read(batch: Any, size: int, max_record_bytes: int) -> Iterator[pa.Table]:
    """Turn rows of (file, done) into rows of shards and of how files ended."""
    for file, done in _items(batch):
        for shard in read_shards(file, size, done, max_record_bytes):
            yield pa.Table.from_pylist(_rows([shard]))


def _cut(batch: pa.Table, skipped: Sequence[str]) -> pa.Table:
    """Cut the text of each shard; what else comes passes."""
    return pa.Table.from_pylist(
        _rows(
            replace(item, cut=cut(item.documents, skipped)) if isinstance(item, Shard) else item
            for item in _items(batch)
        )
    )


class _TagAndCommit:
    """A worker of the pool, as Ray Data calls it: rows of shards in, rows of what was committed out.

    What goes wrong is such a row too: raised here, it would reach the driver as Ray's own, with
    nothing left of ours.
    """

    def __init__(self, recipe: Recipe, run: str) -> None:
        self._worker: Worker | RaybioError
        try:
            self._worker = Worker(recipe, run)
        except RaybioError as error:  # a model that cannot be used, say
            self._worker = error

    def __call__(self, batch: pa.Table) -> pa.Table:
        return pa.Table.from_pylist(_rows(map(self._done, _items(batch))))

    def _done(self, item: Shard | EndOfFile | Unread) -> CommittedShard | EndOfFile | Unread | RaybioError:
        if not isinstance(item, Shard):
            return item
        if isinstance(self._worker, RaybioError):
            return self._worker
        try:
            return self._worker.commit(item)
        except RaybioError as error:
            return error
