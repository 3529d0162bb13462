"""Bulk tagging: each input shard is in the output once, whatever dies; a re-run is the resume.

shards.py     input files -> shards, fixed ranges of records: the unit of work and of commit
ledger.py     what was committed, and by which model; what is left to do
commit.py     a tagged shard -> output files and its ledger entry
tagging.py    the worker's part: a shard's documents -> the same with mentions, culprits rejected
pipeline.py   all of it on Ray Data: read -> tag and commit -> count
"""

from raybio.bulk_tagging.pipeline import tag_corpus
from raybio.bulk_tagging.watch import TaggedCorpus

__all__ = ["TaggedCorpus", "tag_corpus"]
