"""Small inputs, tagged in the job's own process: to start Ray would take longer than to tag them.

One shard after the other, by what Ray's tasks and workers call too (`read_shards`, `Worker`), so that the
output is the same, and what one began the other resumes.
"""

from __future__ import annotations

import uuid

from raybio.bulk_tagging.ledger import Ledger, Todo
from raybio.bulk_tagging.progress_tracker import ProgressTracker
from raybio.bulk_tagging.recipe import Recipe
from raybio.bulk_tagging.shards import Shard, read_shards
from raybio.bulk_tagging.worker import Worker
from raybio.config import SMALL_BYTES, TaggersSection
from raybio.joining import is_connected, joins_a_cluster


def suits(taggers: TaggersSection, shard_timeout_s: float | None, ledger: Ledger, todo: Todo) -> bool:
    """Say whether what is left is tagged without Ray: where nobody asks for Ray, and it is small.

    A shard that was begun and not committed may hold a document that kills its process. On Ray that costs
    the document; here it would end each run.
    """
    if taggers.on_ray is not None:
        return not taggers.on_ray
    if joins_a_cluster() or is_connected():
        return False
    if taggers.count or taggers.max_count or taggers.gpus or shard_timeout_s:
        return False
    sizes = [file.size for file, _ in todo]
    small = None not in sizes and sum(size or 0 for size in sizes) <= SMALL_BYTES
    return small and not any(ledger.interrupted(file, done) for file, done in todo)


def tag(recipe: Recipe, todo: Todo, tracker: ProgressTracker) -> dict[str, float]:
    """Tag what is left; return how many taggers that took.

    Raises:
        RaybioError: the model cannot be loaded, or the output not be written.
    """
    worker = Worker(recipe, uuid.uuid4().hex)
    for file, done in todo:
        for item in read_shards(file, recipe.shard_documents, done, recipe.max_record_bytes):
            tracker.see(worker.commit(item) if isinstance(item, Shard) else item)
    return {"taggers": 1}
