"""What the study published: its Tables I to V, as facts to compare with.

Source: "Do LLMs Surpass Encoders for Biomedical NER?", IEEE International Conference on Healthcare
Informatics (ICHI), 2025. Scores are percent on each corpus's test split, by the study's own scorer
(`evaluation` calls it "paper"); models are named as each table names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

SOURCE = "“Do LLMs Surpass Encoders for Biomedical NER?”, IEEE ICHI 2025"


class Ratios(NamedTuple):
    """Precision, recall and F1 in percent."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class StrictScores:
    """A model's row of Table III; `by_length` is keyed as in `evaluation.by_length.GROUPS`."""

    model: str
    overall: Ratios
    by_length: dict[str, Ratios]


@dataclass(frozen=True, slots=True)
class Instances:
    """A corpus's row of Table I: how many instances (sentences) each split has."""

    train: int
    dev: int
    test: int


@dataclass(frozen=True, slots=True)
class EntityLengths:
    """A corpus's row of Table II: entities of the test split, by length as `GROUPS` names it."""

    total: int
    by_length: dict[str, int]


def _rows(number: int, named: int) -> Iterator[tuple[list[str], list[float]]]:
    """Yield the lines of a table: what its first `named` columns say, and its figures."""
    text = (files("raybio.reports") / "published_tables" / f"table_{number}.tsv").read_text(encoding="utf-8")
    for line in text.splitlines()[1:]:
        columns = line.split("\t")
        yield columns[:named], [float(figure) for figure in columns[named:]]


def _strict_scores(model: str, figures: list[float]) -> StrictScores:
    overall, one, two, more = (Ratios(*figures[start : start + 3]) for start in range(0, 12, 3))
    return StrictScores(model, overall, {"length_1": one, "length_2": two, "length_3plus": more})


def _entity_lengths(figures: list[float]) -> EntityLengths:
    total, *by_length = map(int, figures)
    return EntityLengths(total, dict(zip(("length_1", "length_2", "length_3plus"), by_length, strict=True)))


INSTANCES: dict[str, Instances] = {
    corpus: Instances(*map(int, figures)) for (corpus,), figures in _rows(1, named=1)
}
"""Table I: instances of each split, by corpus."""

ENTITY_LENGTHS: dict[str, EntityLengths] = {
    corpus: _entity_lengths(figures) for (corpus,), figures in _rows(2, named=1)
}
"""Table II: entities of the test split by length, by corpus."""

STRICT: dict[str, tuple[StrictScores, ...]] = {}
"""Table III: strict scores of each model, by corpus."""

SECONDS_PER_INSTANCE: dict[str, dict[str, float]] = {}
"""Table IV: seconds for one instance, by corpus and model, on the study's hardware."""

RELAXED: dict[str, dict[str, Ratios]] = {}
"""Table V: relaxed scores, by corpus and model."""

for (_corpus, _model), _figures in _rows(3, named=2):
    STRICT[_corpus] = (*STRICT.get(_corpus, ()), _strict_scores(_model, _figures))
for (_corpus, _model), _figures in _rows(4, named=2):
    SECONDS_PER_INSTANCE.setdefault(_corpus, {})[_model] = _figures[0]
for (_corpus, _model), _figures in _rows(5, named=2):
    RELAXED.setdefault(_corpus, {})[_model] = Ratios(*_figures)
