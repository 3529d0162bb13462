"""The study's figures are those of its tables."""

import csv
from pathlib import Path

from raybio.evaluation.by_length import GROUPS
from raybio.reports.published import ENTITY_LENGTHS, INSTANCES, RELAXED, SECONDS_PER_INSTANCE, STRICT

CORPORA = ["JNLPBA", "BioRED", "ChemProt", "BC5CDR", "Reddit-Impacts"]


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def test_every_corpus_has_every_model():
    for table, models in ((STRICT, 6), (SECONDS_PER_INSTANCE, 4), (RELAXED, 6)):
        assert {corpus: len(table[corpus]) for corpus in table} == dict.fromkeys(CORPORA, models)


def test_f1_is_the_harmonic_mean_of_its_row():
    """A slip of a digit would show: figures are rounded to 0.01, so F1 is known to about 0.02."""
    overall = [(each.overall, each.model) for corpus in STRICT.values() for each in corpus]
    relaxed = [(ratios, model) for corpus in RELAXED.values() for model, ratios in corpus.items()]
    for (precision, recall, f1), model in overall + relaxed:
        assert abs(2 * precision * recall / (precision + recall) - f1) < 0.02, model


def test_table_1(paper):
    ours = [[corpus, each.train, each.dev, each.test] for corpus, each in INSTANCES.items()]
    assert ours == [[corpus, *map(int, counts)] for corpus, *counts in rows(paper / "table1_instances.csv")]


def test_table_2(paper):
    ours = [
        [corpus, each.total, *(each.by_length[group] for group in GROUPS)]
        for corpus, each in ENTITY_LENGTHS.items()
    ]
    theirs = rows(paper / "table2_entity_lengths.csv")
    assert ours == [[corpus, *map(int, counts)] for corpus, *counts in theirs]
    assert all(sum(each.by_length.values()) == each.total for each in ENTITY_LENGTHS.values())


def test_table_3(paper):
    ours = [
        [corpus, each.model, *each.overall, *(figure for group in GROUPS for figure in each.by_length[group])]
        for corpus, scores in STRICT.items()
        for each in scores
    ]
    theirs = rows(paper / "table3_strict.csv")
    assert ours == [[corpus, model, *map(float, figures)] for corpus, model, *figures in theirs]


def test_table_4(paper):
    ours = [
        [corpus, model, seconds]
        for corpus, each in SECONDS_PER_INSTANCE.items()
        for model, seconds in each.items()
    ]
    theirs = rows(paper / "table4_seconds_per_instance.csv")
    assert ours == [[corpus, model, float(seconds)] for corpus, model, seconds in theirs]


def test_table_5(paper):
    ours = [[corpus, model, *ratios] for corpus, each in RELAXED.items() for model, ratios in each.items()]
    theirs = rows(paper / "table5_relaxed.csv")
    assert ours == [[corpus, model, *map(float, figures)] for corpus, model, *figures in theirs]
