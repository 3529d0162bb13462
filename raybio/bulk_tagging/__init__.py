"""Bulk tagging: each input shard is in the output once, whatever dies; a re-run is the resume.

shards.py     input files -> shards, fixed ranges of records: the unit of work and of commit
ledger.py     what was committed, and by which model; what is left to do
tagging.py    a shard's documents -> the same with mentions, those a tagger fails on rejected
attempts.py   which documents workers died of
commit.py     a tagged shard -> output files
worker.py     one worker: tag a shard, commit it
metrics.py    the metrics that Prometheus reads of committed shards
events.py     what workers log, as lines of JSON
output_folder.py  files of an output, written whole or not at all
replay.py     rejected records -> the shards to tag again
decisive.py   which record decides about a document
compaction.py a tagged baseline and its updates -> one current set
pipeline.py   all of it on Ray Data: read -> tag and commit -> count
"""

import os

# Ray's default is to try for ever what was killed for want of memory, whatever else bounds its retries;
# it looks here once, when it is loaded.
os.environ.setdefault("RAY_task_oom_retries", "10")

from raybio.bulk_tagging.pipeline import tag_corpus
from raybio.bulk_tagging.progress_tracker import TaggedCorpus

__all__ = ["TaggedCorpus", "tag_corpus"]
