"""One worker of the pool: takes a shard, leaves its files and its ledger entry, says what it did."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from raybio.bulk_tagging.attempts import Attempt, Range
from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.ledger import CommittedShard, Ledger, ShardEntry
from raybio.bulk_tagging.recipe import Recipe
from raybio.bulk_tagging.shards import Shard
from raybio.bulk_tagging.tagging import TaggedDocuments, joined, killer, tag_documents
from raybio.taggers import load_tagger

logger = logging.getLogger(__name__)


class Worker:
    """Holds a tagger for the length of a run; `run` names the run, and `committed` sees each entry.

    Several threads may commit shards at a time. The tagger has a thread of its own, and tags one shard
    while others are written.
    """

    def __init__(
        self, recipe: Recipe, run: str, committed: Callable[[ShardEntry], None] = lambda entry: None
    ) -> None:
        self._recipe = recipe
        self._run = run
        # One thread: no tagger is made for two at a time, and torch has settings that are a thread's own.
        self._thread = ThreadPoolExecutor(1)
        self._tagger = self._thread.submit(load_tagger, recipe.model.folder(), **recipe.loading).result()
        recipe.selection.check(self._tagger.labels)
        provenance = recipe.provenance
        self._files = ShardFiles(
            recipe.output,
            recipe.formats,
            provenance.model,
            provenance.config_hash,
            recipe.keep,
            recipe.skip_passages,
        )
        self._ledger = Ledger(recipe.output)
        self._committed = committed
        self.labels = recipe.selection.names(self._tagger.labels)
        """Those that the output may have, sorted."""

    def commit(self, shard: Shard) -> CommittedShard:
        """Tag a shard and commit it, unless that was done since the run began.

        Raises:
            CommitError: the output cannot be written.
        """
        before = self._ledger.committed(shard.file, shard.number)
        entry = before or self._tag_and_write(shard)
        return CommittedShard(shard.file.key, shard.number, entry)

    def _tag_and_write(self, shard: Shard) -> ShardEntry:
        attempt = Attempt(self._ledger, shard, self._run, self._recipe.shard_timeout_s)
        started, work, tagged = self._thread.submit(self._tag, shard, attempt).result()
        attempt.tagged()
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
            work=work,
            files=written.files,
            started=started,
            finished=time.time(),
            attempts=attempt.count,
            lost=written.lost,
        )
        self._ledger.commit(shard.file, shard.number, entry)
        self._committed(entry)
        fields = {name: getattr(entry, name) for name in ("shard", "documents", "rejected", "attempts")}
        logger.info("shard committed", extra={**fields, "seconds": round(entry.finished - entry.started, 3)})
        return entry

    def _tag(self, shard: Shard, attempt: Attempt) -> tuple[float, dict[str, int], TaggedDocuments]:
        """Return when the shard's tagging began, what the tagger counted on it, and the shard tagged."""
        started, before = time.time(), Counter(self._tagger.counts)
        source = shard.file.path
        parts: dict[Range, TaggedDocuments] = {
            (culprit, culprit + 1): killer(shard.documents[culprit], source) for culprit in attempt.culprits
        }
        for documents in attempt.ranges:
            with attempt.holding(documents):
                here = slice(*documents)
                parts[documents] = tag_documents(
                    shard.documents[here],
                    self._tagger,
                    self._recipe.skip_passages,
                    source,
                    self._recipe.selection,
                    shard.cut[here],
                )
        work = dict(Counter(self._tagger.counts) - before)
        return started, work, joined([parts[documents] for documents in sorted(parts)])
