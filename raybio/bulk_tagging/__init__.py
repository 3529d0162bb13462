"""Bulk tagging: each input shard is in the output once, whatever dies; a re-run is the resume.

On Ray Data (`stages.py`): read shards, tag and commit each. `pool.py` says how many, and `nodes.py` where.
"""

import os

# Ray's default is to retry without end what was killed for want of memory, whatever else bounds its retries;
# it looks here once, when it is loaded.
os.environ.setdefault("RAY_task_oom_retries", "10")

from raybio.bulk_tagging.pipeline import tag_corpus
from raybio.bulk_tagging.progress_tracker import TaggedCorpus

__all__ = ["TaggedCorpus", "tag_corpus"]
