"""Bulk tagging on Ray Data: read files -> tag and commit shards -> count.

A row of the dataset is a whole shard, so nothing depends on how Ray Data cuts its blocks. Few
shards are in flight at a time, whatever the size of the input.
"""

from __future__ import annotations

import pickle
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.util.annotations import RayDeprecationWarning

from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.ledger import CommittedShard, Ledger, Making, ShardEntry
from raybio.bulk_tagging.shards import EndOfFile, InputFile, Shard, find_inputs, read_shards
from raybio.bulk_tagging.tagging import tag_documents
from raybio.bulk_tagging.watch import TaggedCorpus, Watch, gather_rejected, summarize
from raybio.cluster import connected, quiet_data
from raybio.config import TagCorpusConfig, config_hash, resolved
from raybio.model_sources import fingerprint, model_folder
from raybio.run_folder import environment
from raybio.stopping import way_on
from raybio.taggers import load_tagger

Row = dict[str, Any]

# What decides the content of a shard's files: a change here is another output.
_DECISIVE = ("format", "formats", "passages", "shard_documents", "precision", "decoding")
# Larger than a handful of documents, smaller than a usual shard: one shard makes one block.
_BLOCK_BYTES = 256 * 1024
_RETRIES = 3


def tag_corpus(config: TagCorpusConfig, progress: Callable[[str], None] = print) -> TaggedCorpus:
    """Tag what is left of the input; say how it goes to `progress`, a line at a time.

    Raises:
        UsageError: the input names nothing.
        ModelError: there is no such model.
        CommitError: the output was made with another model or config.
        RejectedError: more records than `max_rejected` were rejected; what is done stays done.
    """
    started = time.perf_counter()
    folder = model_folder(config.model, allow_pickle=config.allow_pickle)
    files = find_inputs(config.input, config.format)
    making = Making(config.model, fingerprint(folder), config_hash(config, *_DECISIVE), resolved(config))
    ledger = _claim(config, making)
    todo = [(file, done) for file in files if (done := ledger.done(file)) is not None]
    progress(f"{len(files)} input files, {len(files) - len(todo)} of them done before")
    watch = Watch(config, ledger, todo, progress)
    try:
        if todo:
            with way_on("Run the same command again to go on: what is committed stays"), connected():
                quiet_data()
                for result in _run(config, folder, making, ledger.output, todo):
                    watch.see(result)
    finally:
        gather_rejected(ledger)
    summary = summarize(ledger, watch, time.perf_counter() - started)
    ledger.write_json("summary.json", {**asdict(summary), "environment": environment()})
    return summary


def _claim(config: TagCorpusConfig, making: Making) -> Ledger:
    ledger = Ledger(config.output)
    if config.on_change == "new-generation" and ledger.made_by_another(making):
        ledger = Ledger(f"{ledger.output}/generation-{making.identity}")
    ledger.claim(making)
    return ledger


def _run(
    config: TagCorpusConfig,
    folder: Path,
    making: Making,
    output: str,
    todo: Sequence[tuple[InputFile, set[int]]],
) -> Iterator[CommittedShard | EndOfFile]:
    """Yield what was committed as it is, in no order, and the ends of files."""
    ray.data.DataContext.get_current().target_max_block_size = _BLOCK_BYTES
    taggers = config.taggers
    least, most = _pool(config)
    sources = ray.data.from_items(_rows(todo), override_num_blocks=len(todo))
    # Reading asks for no CPU: it is a small part of the work, and on a small machine the
    # taggers hold all the CPUs there are.
    shards = sources.map_batches(
        _read,  # type: ignore[arg-type]  # Ray's types forget fn_kwargs
        fn_kwargs={"size": config.shard_documents},
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=0,
        compute=ray.data.TaskPoolStrategy(size=min(most, len(todo))),
    )
    with warnings.catch_warnings():
        # Deprecated without another way to bound retries (ray 2.60).
        warnings.simplefilter("ignore", RayDeprecationWarning)
        results = shards.map_batches(
            _TagAndCommit,
            fn_constructor_args=(config, folder, making, output),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=taggers.cpus,
            num_gpus=taggers.gpus,
            compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
            ray_remote_args_fn=_bounded_retries,
        )
    for batch in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from _items(batch)


def _bounded_retries() -> dict[str, Any]:
    """Ray's default is to retry for ever what kills its worker every time."""
    return {"max_task_retries": _RETRIES}


def _pool(config: TagCorpusConfig) -> tuple[int, int]:
    """Return the least and most taggers: as configured, or as many as the cluster has room for."""
    taggers = config.taggers
    resources = ray.cluster_resources()
    room = resources.get("GPU", 0) / taggers.gpus if taggers.gpus else resources.get("CPU", 1) / taggers.cpus
    least = taggers.count or max(1, min(int(room), taggers.max_count or int(room)))
    return least, taggers.max_count or least


def _rows(items: Iterable[Any]) -> list[Row]:
    """Return dataset rows that carry `items` as they are."""
    return [{"item": pickle.dumps(item)} for item in items]


def _items(batch: Any) -> Iterator[Any]:
    for item in batch.column("item").to_pylist():
        yield pickle.loads(item)  # noqa: S301 - written by `_rows` in this same job


def _read(batch: Any, size: int) -> Iterator[pa.Table]:
    """Turn rows of (file, done) into rows of shards and ends of files."""
    for file, done in _items(batch):
        for shard in read_shards(file, size, done):
            yield pa.Table.from_pylist(_rows([shard]))


class _TagAndCommit:
    """One tagger of the pool: takes a shard, leaves its files and ledger entry, returns what it did."""

    def __init__(self, config: TagCorpusConfig, folder: Path, making: Making, output: str) -> None:
        self._kinds = config.passages
        self._tagger = load_tagger(
            folder,
            precision=config.precision,
            threads=config.taggers.threads,
            max_batch_tokens=config.max_batch_tokens,
            decoding=config.decoding.asked(),
        )
        self._files = ShardFiles(output, config.formats, config.model, making.config_hash)
        self._ledger = Ledger(output)

    def __call__(self, batch: pa.Table) -> pa.Table:
        results = [item if isinstance(item, EndOfFile) else self._commit(item) for item in _items(batch)]
        return pa.Table.from_pylist(_rows(results))

    def _commit(self, shard: Shard) -> CommittedShard:
        started = time.time()
        before = Counter(self._tagger.counts)
        tagged = tag_documents(shard.documents, self._tagger, self._kinds, shard.file.path)
        written = self._files.write(shard, tagged)
        entry = ShardEntry(
            shard=shard.name,
            documents=len(tagged.documents),
            without_text=sum(not document.text for document in tagged.documents),
            rejected=written.rejected,
            deleted=len(shard.deletions),
            sentences=tagged.sentences,
            words=tagged.words,
            mentions=dict(Counter(m.label for d in tagged.documents for m in d.mentions or ())),
            work=dict(Counter(self._tagger.counts) - before),
            files=written.files,
            started=started,
            finished=time.time(),
        )
        self._ledger.commit(shard.file, shard.number, entry)
        return CommittedShard(shard.file.key, shard.number, entry)
