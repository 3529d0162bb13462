"""Which of a tagger's entities are wanted, and what they are called in the output."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from raybio.entities import Mention
from raybio.errors import UsageError


@dataclass(frozen=True, slots=True)
class Selection:
    """Chooses among mentions by the model's own labels, and renames what is kept, last of all.

    `labels` are those kept, or all where there are none; `min_score` is the least score in [0, 1], one for
    all or one by label (0 for a label that it lacks).
    """

    labels: tuple[str, ...] = ()
    min_score: float | Mapping[str, float] = 0.0
    rename: Mapping[str, str] = field(default_factory=dict)

    def of(self, mentions: Iterable[Mention]) -> Iterator[Mention]:
        """Yield those wanted of `mentions`, in order, under the names that they are to have."""
        for mention in mentions:
            if self._wants(mention):
                name = self.rename.get(mention.label)
                yield mention if name is None else replace(mention, label=name)

    def names(self, known: Iterable[str]) -> tuple[str, ...]:
        """Return the labels that the output may have of a model with the labels `known`, sorted."""
        kept = [label for label in known if not self.labels or label in self.labels]
        return tuple(sorted({self.rename.get(label, label) for label in kept}))

    def check(self, known: Collection[str]) -> None:
        """Refuse labels that the model does not have, and scores that are no probabilities.

        Raises:
            UsageError: names the first, and the labels that there are.
        """
        scores = self.min_score if isinstance(self.min_score, Mapping) else {}
        for label in (*self.labels, *scores, *self.rename):
            if label not in known:
                near = difflib.get_close_matches(label, known, n=1)
                hint = f"Did you mean {near[0]!r}? " if near else ""
                raise UsageError(
                    f"the model has no label {label!r}. {hint}Its labels: {', '.join(sorted(known))}"
                )
        for score in scores.values() if scores else [self.min_score]:
            if isinstance(score, float | int) and not 0 <= score <= 1:
                raise UsageError(f"the least score {score} is not a probability. Give one from 0 to 1")

    def _wants(self, mention: Mention) -> bool:
        if self.labels and mention.label not in self.labels:
            return False
        least = self.min_score
        if isinstance(least, Mapping):
            least = least.get(mention.label, 0.0)
        return mention.score is None or mention.score >= least


ALL = Selection()
"""Everything, under the model's own names."""
