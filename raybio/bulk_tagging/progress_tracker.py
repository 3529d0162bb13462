"""What a tagging run did: its progress as it goes, what it rejected, and its summary at the end."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import CommittedShard, Ledger, ShardEntry, Todo
from raybio.bulk_tagging.output_folder import ahead
from raybio.bulk_tagging.shards import EndOfFile, Unread
from raybio.corpora.reasons import Reason, Reasons, reason_lines
from raybio.errors import AccessError, ClusterError, CommitError, RejectedError
from raybio.progress import Progress

REJECTED = "rejected.jsonl"
"""What an output has of all its rejected records: one file, that can be replayed."""

_PROGRESS_SECONDS = 5.0
_MAX_NAMED = 5
FINISHERS = 8
"""Files that are closed at a time: a store takes long to answer, and results wait meanwhile."""


@dataclass(frozen=True)
class TaggedCorpus:
    """What is in the output now, from the ledger, and what this run did for it.

    `counts` has shards, documents, without_text, rejected, deleted, sentences, words, mentions,
    subwords, subwords_dropped and malformed (the lines in the folder of that name). `reasons` are the most
    frequent ones for which records were rejected, and `lost` is what each format has no place for, by kind.
    `seconds` is the whole run; `tagging_seconds` reaches from the first shard's tagging to the last
    commit, without start-up.
    """

    output: str
    files: int
    counts: dict[str, int]
    mentions_by_label: dict[str, int]
    shards_this_run: int
    documents_this_run: int
    seconds: float
    tagging_seconds: float
    reasons: list[Reason] = field(default_factory=list)
    lost: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def documents_per_second(self) -> float | None:
        """Documents tagged per second of tagging; None where this run had nothing left to do."""
        return self.documents_this_run / self.tagging_seconds if self.tagging_seconds else None


class ProgressTracker:
    """Sees every result: reports progress, closes finished files, stops a job that goes wrong."""

    def __init__(
        self,
        ledger: Ledger,
        files: Sequence[InputFile],
        todo: Todo,
        progress: Callable[[str], None],
        max_rejected: int | None = None,
    ) -> None:
        self._max_rejected = max_rejected
        # Those of the runs before count, or the same command would stop once and then continue.
        self._rejected_before = 0 if max_rejected is None else ledger.rejected(files)
        self._ledger = ledger
        self._progress = progress
        self.begin_again(todo)
        self._finishers = ThreadPoolExecutor(FINISHERS)
        self._finishing: dict[str, Future[bool]] = {}
        self._files = len(todo)
        self._reported = time.monotonic()
        self.shards = self.documents = self.mentions = self.rejected = self.begun_again = 0
        self.first_start, self.last_finish = float("inf"), 0.0

    def begin_again(self, todo: Todo) -> None:
        """Expect the results of what is left, whatever was expected before."""
        self._open = {file.key: (file, set(done)) for file, done in todo}
        self._ends: dict[str, EndOfFile] = {}
        self._unread: list[AccessError] = []

    @property
    def tagging_seconds(self) -> float:
        """Seconds from the first shard's tagging to the last commit; 0 where there was none."""
        return max(0.0, self.last_finish - self.first_start)

    def see(self, result: CommittedShard | EndOfFile | Unread) -> None:
        """Take account of one result.

        Raises:
            RejectedError: more records are rejected now than may be.
        """
        if isinstance(result, Unread):
            self._unread.append(result.error)
            self._progress(f"{result.error}; the other files continue")
        elif isinstance(result, EndOfFile):
            self._ends[result.key] = result
            if result.error is not None:
                self._progress(f"{result.error}. It was read up to there; the other files are read on")
        else:
            self._open[result.key][1].add(result.number)
            self._count(result.entry)
        self._close(result.key)
        if not self._open or time.monotonic() - self._reported > _PROGRESS_SECONDS:
            self._reported = time.monotonic()
            self._progress(self._line())

    def _count(self, entry: ShardEntry) -> None:
        self.shards += 1
        self.documents += entry.documents
        self.mentions += sum(entry.mentions.values())
        self.rejected += entry.rejected
        self.begun_again += entry.attempts > 1
        self.first_start = min(self.first_start, entry.started)
        self.last_finish = max(self.last_finish, entry.finished)
        self.check_rejected()

    def check_rejected(self) -> None:
        """See that no more records of the input are rejected than may be, by this run and those before.

        Raises:
            RejectedError: they are more.
        """
        rejected = self._rejected_before + self.rejected
        if self._max_rejected is not None and rejected > self._max_rejected:
            raise RejectedError(
                f"{rejected} records were rejected, more than max_rejected={self._max_rejected}. See "
                f"{self._ledger.output}/{REJECTED} for the reasons; committed shards stay. Allow "
                "more, or replay that file once they can be read"
            )

    def check_finished(self) -> None:
        """See that every file was read to its end, and that what was committed has stayed so.

        Raises:
            AccessError: there are files that could not be read to their end.
            ClusterError: shards of a file did not arrive.
            CommitError: another run on the same output has taken shards back, or it cannot be written.
        """
        self._finishers.shutdown()
        left = [key for key, finished in self._finishing.items() if not finished.result()]
        if self._unread:
            raise _unread(self._unread)
        if self._open:
            raise ClusterError(
                f"{_named(self._open)}: processes that read, cut or tag it died again and again, or failed, "
                "as the log above says. All else is tagged; run the same command again where they live, with "
                "more memory for each, say"
            )
        if left:
            raise CommitError(
                f"{self._ledger.output}: another run has taken back shards of {_named(left)} while this one "
                "worked. Run the same command again to resume"
            )

    def _close(self, key: str) -> None:
        end = self._ends.get(key)
        file, committed = self._open[key]
        if end is not None and committed == set(range(end.shards)):
            self._finishing[key] = self._finishers.submit(self._ledger.finish, file, end.shards, end.broken)
            del self._open[key], self._ends[key]

    def _line(self) -> str:
        """Return how far the run is: in shards once it is known how many there are, in files until then."""
        rate = self.documents / self.tagging_seconds if self.tagging_seconds else 0.0
        note = (
            f"documents {self.documents:,} ({rate:.0f}/s), mentions {self.mentions:,}, "
            f"rejected {self.rejected:,}"
        )
        if self.begun_again:  # a tagger died of it or was taken away, or an earlier run was stopped
            note += f", begun again {self.begun_again:,}"
        if self._open.keys() <= self._ends.keys():
            left = sum(end.shards - len(self._open[key][1]) for key, end in self._ends.items())
            return str(Progress("tagging", "shard", self.shards, self.shards + left, note))
        done = self._files - len(self._open)
        return str(Progress("tagging", "file", done, self._files, f"shards {self.shards:,}, {note}"))


def _named(keys: Collection[str]) -> str:
    """Return the first few of `keys` in words, and how many there are besides."""
    more = f" and {len(keys) - _MAX_NAMED} more" if len(keys) > _MAX_NAMED else ""
    return f"{', '.join([*keys][:_MAX_NAMED])}{more}"


def _unread(errors: Sequence[AccessError]) -> AccessError:
    first, more = errors[0], len(errors) - 1
    others = f"; so were {more} other files, named above" if more else ""
    remedy = f"{first.remedy}. All else is tagged; run the same command again to resume"
    return AccessError(first.source, first.place, f"{first.problem}{others}", remedy)


def summarize(ledger: Ledger, watch: ProgressTracker, seconds: float) -> TaggedCorpus:
    """Return what is in the output, from its ledger, and what the watched run did for it.

    All that is rejected is written into one replayable file on the way, in order of shards.

    Raises:
        CommitError: that file cannot be written.
    """
    totals: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    lost: defaultdict[str, Counter[str]] = defaultdict(Counter)
    reasons = Reasons()

    def with_rejected() -> Iterator[str]:
        for entry in ledger.entries():
            _add(entry, totals, labels)
            for name, kinds in entry.lost.items():
                lost[name].update(kinds)
            if entry.rejected:
                yield entry.shard

    with ledger.writing(REJECTED) as stream:
        for lines in ahead(lambda shard: _rejected_of(ledger, shard), with_rejected()):
            stream.write(lines)
            for line in lines.splitlines():
                record = json.loads(line)
                reasons.add(*(record[name] for name in ("source", "place", "reason", "remedy")))
    return TaggedCorpus(
        output=ledger.output,
        files=len(ledger.keys()),
        counts=dict(totals),
        mentions_by_label=dict(sorted(labels.items())),
        shards_this_run=watch.shards,
        documents_this_run=watch.documents,
        seconds=seconds,
        tagging_seconds=watch.tagging_seconds,
        reasons=reasons.most_frequent(),
        lost={name: dict(kinds) for name, kinds in sorted(lost.items())},
    )


def check_anything_tagged(tagged: TaggedCorpus) -> None:
    """See that not all there was has been rejected: a run that tagged nothing is not done.

    Raises:
        RejectedError: says the first reasons, and where all are.
    """
    if tagged.counts.get("rejected") and not tagged.counts["documents"]:
        reasons = "\n".join(f"  - {line}" for line in reason_lines(tagged.reasons))
        raise RejectedError(
            f"no document was tagged: all {tagged.counts['rejected']:,} records were rejected. "
            f"{tagged.output}/{REJECTED} has each\n{reasons}"
        )


def _rejected_of(ledger: Ledger, shard: str) -> bytes:
    try:
        return ledger.read_bytes(f"rejected/{shard}.jsonl")
    except FileNotFoundError:  # another run has replayed the shard in this moment
        return b""


def _add(entry: ShardEntry, totals: Counter[str], labels: Counter[str]) -> None:
    totals.update(
        shards=1,
        documents=entry.documents,
        without_text=entry.without_text,
        rejected=entry.rejected,
        deleted=entry.deleted,
        sentences=entry.sentences,
        words=entry.words,
        mentions=sum(entry.mentions.values()),
        **{name: entry.work.get(name, 0) for name in ("subwords", "subwords_dropped", "malformed")},
    )
    labels.update(entry.mentions)
