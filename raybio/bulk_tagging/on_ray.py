"""What is left of an input, tagged on Ray: again without a node, where one has failed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

from raybio.bulk_tagging.ledger import CommittedShard, Todo
from raybio.bulk_tagging.nodes import Nodes, Unfit
from raybio.bulk_tagging.pool import had
from raybio.bulk_tagging.progress_tracker import ProgressTracker
from raybio.bulk_tagging.recipe import Recipe
from raybio.bulk_tagging.stages import Result, run
from raybio.cluster import connected, settle_data
from raybio.config import TaggersSection
from raybio.waiting import Wait, waiting


def tag_on_ray(
    recipe: Recipe,
    taggers: TaggersSection,
    left: Callable[[], Todo],
    tracker: ProgressTracker,
    progress: Callable[[str], None],
) -> dict[str, float]:
    """Tag what is `left`; return how many taggers the pool had at most, and what the cluster had for them.

    Raises:
        RaybioError: taggers can start on no node; says why.
        ClusterError: processes died again and again.
    """
    with connected():
        settle_data()
        pool = had(taggers)
        nodes = Nodes(taggers, progress)
        with waiting(
            taggers.of_each, taggers.start_timeout_s, progress, spot_timeout_s=taggers.spot_timeout_s
        ) as wait:
            while unfit := _see_results(run(recipe, taggers, nodes, left()), tracker, wait):
                nodes.avoid(unfit)
                tracker.begin_again(left())
        return {name: max(most, pool[name]) for name, most in had(taggers).items()}


def _see_results(results: Generator[Result], tracker: ProgressTracker, wait: Wait) -> Unfit | None:
    """Let `tracker` see all results, or those before a node fails: then return that node."""
    with closing(results):
        for result in results:
            if isinstance(result, Unfit):
                return result
            if isinstance(result, CommittedShard):
                wait.seen()
            tracker.see(result)
    return None
