"""The steps of bulk tagging on Ray Data: read files -> cut text -> tag and commit shards.

A row of the dataset is a whole shard, so nothing depends on how Ray Data cuts its blocks. Few
shards are in flight at a time, whatever the size of the input. Text is cut into sentences and words
in tasks of its own, in processes without a model: in a tagger's it would keep the model waiting, and a
thread beside the model would hold the interpreter that the model's own calls go through.
"""

from __future__ import annotations

import gc
import pickle
import uuid
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError
from ray.util.annotations import RayDeprecationWarning

from raybio.bulk_tagging.events import log_as_json
from raybio.bulk_tagging.ledger import CommittedShard, Todo
from raybio.bulk_tagging.metrics import WorkerMetrics
from raybio.bulk_tagging.nodes import Nodes, Unfit, loading, without_cpus
from raybio.bulk_tagging.pool import follow_taggers, pool_size, shards_at_most
from raybio.bulk_tagging.recipe import Recipe
from raybio.bulk_tagging.shards import EndOfFile, Shard, Unread, read_shards
from raybio.bulk_tagging.tagging import cut
from raybio.bulk_tagging.worker import Worker
from raybio.config import TaggersSection
from raybio.errors import ClusterError, RaybioError, first_line

Row = dict[str, Any]
Result: TypeAlias = CommittedShard | EndOfFile | Unread | Unfit
"""What a run yields: a shard that is committed, how a file ended, or a node that cannot continue."""

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
SHARDS_AT_A_TIME = 2
"""Of a tagger: one is tagged while another is committed."""


def run(recipe: Recipe, taggers: TaggersSection, nodes: Nodes, todo: Todo) -> Generator[Result]:
    """Yield each shard that is committed, how files ended and what failed, in no order.

    Raises:
        RaybioError: taggers can start on no node; says why.
        ClusterError: processes died again and again.
    """
    context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = _BLOCK_BYTES
    context.max_errored_blocks = _MAX_BROKEN_FILES
    context.max_consecutive_actor_init_deaths = -1  # `nodes` says when there have been enough
    follow_taggers(context)
    with ray.data.DataContext.current(context):
        results = _results(recipe, taggers, nodes, todo)
    try:
        for batch in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from _items(batch)
    except _DEATHS as error:
        reason = first_line(error)
        raise ClusterError(
            f"processes that read, cut or tag the input died again and again: {reason}. What is committed "
            "stays; run the same command again where they live, with more memory for each, say"
        ) from error


def _results(recipe: Recipe, taggers: TaggersSection, nodes: Nodes, todo: Todo) -> ray.data.Dataset:
    """Return what will read, cut, tag and commit, as its rows are asked for."""
    size = pool_size(taggers, ray.cluster_resources(), shards_at_most(todo, recipe.shard_documents))
    sources = ray.data.from_items(_rows(todo), override_num_blocks=len(todo))
    # Reading and cutting ask for no CPU: they are a small part of the work, and on a small machine
    # the taggers hold all the CPUs there are. Where there are as many files as taggers without a
    # GPU, Ray Data makes one step of the two.
    elsewhere: dict[str, Any] = {"num_cpus": 0, "label_selector": without_cpus()}
    with warnings.catch_warnings():
        # Deprecated without another way to bound retries (ray 2.60).
        warnings.simplefilter("ignore", RayDeprecationWarning)
        shards = sources.map_batches(
            _read,  # type: ignore[arg-type]  # Ray's types forget fn_kwargs
            fn_kwargs={"size": recipe.shard_documents, "max_record_bytes": recipe.max_record_bytes},
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.TaskPoolStrategy(size=min(size.most, len(todo))),
            max_retries=_MAX_RETRIES,
            **elsewhere,
        ).map_batches(
            _cut,  # type: ignore[arg-type]
            fn_kwargs={"skipped": recipe.skip_passages},
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.TaskPoolStrategy(size=size.most * (CUTTERS_FOR_A_GPU if taggers.gpus else 1)),
            max_retries=_MAX_RETRIES,
            **elsewhere,
        )
        return shards.map_batches(
            _TagAndCommit,
            fn_constructor_args=(recipe, uuid.uuid4().hex, nodes.board),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=taggers.cpus,
            num_gpus=taggers.gpus,
            compute=ray.data.ActorPoolStrategy(
                min_size=size.at_once,
                max_size=size.most,
                max_concurrent_calls_per_actor=SHARDS_AT_A_TIME,
                enable_true_multi_threading=True,
            ),
            # Ray's default is to retry without end what kills its worker every time.
            ray_remote_args_fn=lambda: {
                "max_task_retries": _MAX_DEATHS,
                "max_restarts": _MAX_DEATHS,
                "label_selector": nodes.label_selector(),
            },
        )


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

    Where it cannot start, Ray Data starts another one, elsewhere by what the board then says. What goes
    wrong later is a row too: raised there, it would reach the driver as Ray's own, with nothing left of ours.
    """

    def __init__(self, recipe: Recipe, run: str, board: Any) -> None:
        log_as_json(run)
        try:
            with loading(board):
                self._worker = Worker(recipe, run, lambda entry: self._metrics.committed(entry))
            # Once it has loaded, its labels are known: their counters begin at 0.
            self._metrics = WorkerMetrics(recipe.provenance.model, self._worker.labels)
        except Exception as error:  # of whatever library: a node without a driver for its GPU, say
            ray.get(board.add.remote(Unfit.here(error)))
            raise

    def __call__(self, batch: pa.Table) -> pa.Table:
        return pa.Table.from_pylist(_rows(map(self._done, _items(batch))))

    def _done(self, item: Shard | EndOfFile | Unread) -> Result:
        if not isinstance(item, Shard):
            return item
        try:
            return self._worker.commit(item)
        except (RaybioError, OSError) as error:  # no space for a temporary file, say
            return Unfit.here(error)
