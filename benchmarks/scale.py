"""What bounds tagging at 1, 8, 64 and 512 GPUs: unit costs measured here, the rest of it simulated.

    python benchmarks/scale.py --json FILE

Measured on this machine, in seconds of a core, the fastest of three rounds, over a generated dump: reading
the XML into shards, cutting text into sentences and words, what a tagger does beside its model, writing
a shard's tables, and what the driver does for each shard; on its way from process to process a shard is
packed and unpacked, which counts too. Given (they depend on what is rented): how many documents a GPU
tags a second, and how long an object store takes for a request. The simulation then moves the shards of
a dump through readers, cutters, taggers and the driver, as the job does: a file is read by one reader,
as many of them as there are taggers; four cutters for each tagger; a tagger reads and writes its shards'
marks, tables and entry; the driver sees one result at a time, and folds the entries of a file that is
done into one, several files at a time.
"""

from __future__ import annotations

import argparse
import heapq
import json
import pickle
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.inputs import find_inputs
from raybio.bulk_tagging.ledger import CommittedShard, Ledger, ShardEntry
from raybio.bulk_tagging.output_folder import ASKED_AHEAD
from raybio.bulk_tagging.progress_tracker import FINISHERS, ProgressTracker
from raybio.bulk_tagging.shards import Shard, read_shards
from raybio.bulk_tagging.stages import CUTTERS_FOR_A_GPU, unpack
from raybio.bulk_tagging.tagging import TaggedDocuments, cut, tag_documents
from raybio.corpora.sample import generate_dump
from raybio.entities import Sentence
from raybio.evaluation.tables import align
from raybio.run_folder import environment
from raybio.taggers import Tags

_REQUESTS_OF_A_SHARD = 8
"""Its entry, its mark and two files that an earlier attempt may have left are asked for; mark, mentions,
documents and entry are written."""
_REQUESTS_TO_FINISH = 5
"""Beside one for each shard's entry: the file's own is written; its folder is looked for, listed, removed."""
_REQUESTS_OF_AN_INPUT = 4
"""Its kind, size, beginning and end, `ASKED_AHEAD` at a time; so all entries are read in the end."""


@dataclass(frozen=True)
class Units:
    """Seconds of one core, but for `shard_bytes`."""

    read_document: float
    cut_document: float
    take_document: float
    write_shard: float
    driver_shard: float
    finish_shard: float
    shard_bytes: int


@cache
def _tags(length: int) -> Tags:
    return Tags(("B-Name",) + ("O",) * (length - 1), (1.0,) * length)


class OneName:
    """A tagger that costs next to nothing: it finds a name at the start of each sentence."""

    labels = ("Name",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def tag(self, sentences: list[Sentence]) -> list[Tags]:
        """Return the tags."""
        return [_tags(len(sentence)) for sentence in sentences]


def measure(folder: Path, citations: int, shard_documents: int) -> Units:
    """Measure what the steps around the model cost."""
    dump = folder / "dump.xml.gz"
    generate_dump(dump, citations)
    [file] = find_inputs([str(dump)])
    reading, packed = timed(
        lambda: [pickle.dumps(s) for s in read_shards(file, shard_documents, ()) if isinstance(s, Shard)]
    )
    cutting, travelling = timed(lambda: [pickle.dumps(cut_shard(unpack(one))) for one in packed])
    taking, tagged = timed(lambda: [tag_shard(unpack(one)) for one in travelling])
    shards = [pickle.loads(one) for one in packed]
    files = ShardFiles(str(folder / "out"), (), "m", "c")
    writing, _ = timed(lambda: [files.write(s, t) for s, t in zip(shards, tagged, strict=True)])
    rows = [pickle.dumps(committed(s, t)) for s, t in zip(shards, tagged, strict=True)]
    watch = ProgressTracker(Ledger(str(folder / "out")), [file], [(file, set())], lambda _: None)
    seeing, _ = timed(lambda: [watch.see(pickle.loads(row)) for row in rows], rounds=1)
    ledger = Ledger(str(folder / "out"))
    for row in rows:
        ledger.commit(file, pickle.loads(row).number, pickle.loads(row).entry)
    finishing, _ = timed(lambda: ledger.finish(file, len(rows), False), rounds=1)
    return Units(
        read_document=reading / citations,
        cut_document=cutting / citations,
        take_document=taking / citations,
        write_shard=writing / len(shards),
        driver_shard=seeing / len(shards),
        finish_shard=finishing / len(shards),
        shard_bytes=sum(map(len, travelling)) // len(shards),
    )


def committed(shard: Shard, tagged: TaggedDocuments) -> CommittedShard:
    """Return what a worker would report."""
    counts = (len(tagged.documents), 0, 0, 0, tagged.sentences, tagged.words)
    entry = ShardEntry(shard.name, *counts, {"Name": tagged.sentences}, {}, {}, 0.0, 1.0)
    return CommittedShard(shard.file.key, shard.number, entry)


def cut_shard(shard: Shard) -> Shard:
    """Return the shard as cutters hand it on."""
    return replace(shard, documents=cut(shard.documents, ()))


def tag_shard(shard: Shard) -> TaggedDocuments:
    """Return what a tagger whose model takes no time makes of a shard that was cut."""
    return tag_documents(shard.documents, OneName(), (), "")


def timed(step: Any, rounds: int = 3) -> tuple[float, Any]:
    """Return the CPU seconds that a step takes in the fastest of some rounds, and its result."""
    fastest = float("inf")
    for _ in range(rounds):
        result = None  # of the round before: memory is not to grow
        started = time.process_time()
        result = step()
        fastest = min(fastest, time.process_time() - started)
    return fastest, result


@dataclass(frozen=True)
class Job:
    """A dump, and what is rented for it."""

    files: int
    shards_of_a_file: int
    shard_documents: int
    documents_per_second: float
    request_seconds: float


def simulate(job: Job, units: Units, gpus: int) -> dict[str, Any]:
    """Move all shards through readers, cutters, taggers and driver; return throughput and who was busy."""
    cutting = job.shard_documents * units.cut_document
    tagging = job.shard_documents * (1 / job.documents_per_second + units.take_document)
    commit = units.write_shard + _REQUESTS_OF_A_SHARD * job.request_seconds
    cutters = [0.0] * (gpus * CUTTERS_FOR_A_GPU)
    taggers = [0.0] * gpus
    driver = 0.0
    finish = _round_trips(job.shards_of_a_file) * job.request_seconds
    finishers = [0.0] * FINISHERS
    left = [job.shards_of_a_file] * job.files
    for read, file in _read(job, units, min(gpus, job.files)):
        ready = max(read, heapq.heappop(cutters)) + cutting
        heapq.heappush(cutters, ready)
        begun = max(ready, heapq.heappop(taggers))
        done = begun + tagging + commit
        heapq.heappush(taggers, done)
        driver = max(driver, done) + units.driver_shard
        left[file] -= 1
        if not left[file]:
            heapq.heappush(finishers, max(driver, heapq.heappop(finishers)) + finish)
    listing = job.files * (_REQUESTS_OF_AN_INPUT + 1) / ASKED_AHEAD * job.request_seconds
    seconds = max(driver, *finishers) + listing
    shards = job.files * job.shards_of_a_file
    documents = shards * job.shard_documents
    alone = gpus * job.documents_per_second
    requests = shards * (_REQUESTS_OF_A_SHARD + 1) + job.files * _REQUESTS_TO_FINISH
    return {
        "gpus": gpus,
        "seconds": seconds,
        "start_and_end_seconds": listing,
        "documents_per_second": documents / seconds,
        "of_the_gpus_alone": documents / seconds / alone,
        "readers_busy_cores": documents * units.read_document / seconds,
        "cutters_busy_cores": documents * units.cut_document / seconds,
        "driver_busy": shards * (units.driver_shard + units.finish_shard) / seconds,
        "finishers_busy": job.files * finish / seconds / FINISHERS,
        "requests_per_second": requests / seconds,
        "megabytes_per_second": shards * units.shard_bytes / seconds / 1e6,
        "commit_share": commit / (tagging + commit),
    }


def _round_trips(shards: int) -> int:
    """Return how often one waits for the store while a file of `shards` is finished."""
    return -(-shards // ASKED_AHEAD) + _REQUESTS_TO_FINISH


def _read(job: Job, units: Units, readers: int) -> Iterator[tuple[float, int]]:
    """Yield when each shard is there to be tagged, and of which file, in order of time.

    Readers take file after file.
    """
    seconds = job.shard_documents * units.read_document
    waiting = [(seconds, file, 1) for file in range(readers)]
    following = iter(range(readers, job.files))
    while waiting:
        now, file, done = heapq.heappop(waiting)
        yield now, file
        if done < job.shards_of_a_file:
            heapq.heappush(waiting, (now + seconds, file, done + 1))
        elif (another := next(following, None)) is not None:
            heapq.heappush(waiting, (now + seconds, another, 1))


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--citations", type=int, default=5_000, help="of the dump that is measured")
    parser.add_argument("--shard-documents", type=int, default=1_000)
    parser.add_argument("--files", type=int, default=1_300, help="of the dump that is simulated")
    parser.add_argument("--shards-of-a-file", type=int, default=30)
    parser.add_argument(
        "--documents-per-second", type=float, default=500.0, help="of one GPU, without waiting"
    )
    parser.add_argument("--request-seconds", type=float, default=0.05, help="of the object store")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64, 512])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        units = measure(Path(folder), arguments.citations, arguments.shard_documents)
    job = Job(
        arguments.files,
        arguments.shards_of_a_file,
        arguments.shard_documents,
        arguments.documents_per_second,
        arguments.request_seconds,
    )
    rows = [simulate(job, units, gpus) for gpus in arguments.gpus]
    print("\n".join(f"{name}: {value:.6g}" for name, value in asdict(units).items()))
    header = (
        "GPUs",
        "documents/s",
        "of the GPUs alone",
        "reading cores",
        "cutting cores",
        "driver busy",
        "finishing",
        "requests/s",
        "MB/s",
    )
    table = [
        (
            f"{row['gpus']}",
            f"{row['documents_per_second']:,.0f}",
            f"{row['of_the_gpus_alone']:.1%}",
            f"{row['readers_busy_cores']:.1f}",
            f"{row['cutters_busy_cores']:.1f}",
            f"{row['driver_busy']:.1%}",
            f"{row['finishers_busy']:.1%}",
            f"{row['requests_per_second']:,.0f}",
            f"{row['megabytes_per_second']:,.1f}",
        )
        for row in rows
    ]
    print("\n".join(align(header, table, words=0)))
    if arguments.json:
        figures = {"units": asdict(units), "job": asdict(job), "rows": rows, "environment": environment()}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
