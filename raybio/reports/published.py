"""What the study published: its Tables I to V, as facts to compare with.

Source: "Do LLMs Surpass Encoders for Biomedical NER?", IEEE International Conference on Healthcare
Informatics (ICHI), 2025. Scores are percent on each corpus's test split, by the study's own scorer
(`evaluation` calls it "paper"); models are named as each table names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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


# Instances of the train, dev and test splits.
_TABLE_1 = """
JNLPBA         | 16807 1739 3856
BioRED         |  1051  269  273
ChemProt       | 13305 3360 8179
BC5CDR         |  4560 4581 4797
Reddit-Impacts |   842  258  278
"""

# Entities of the test split: all, then those of 1 word, 2 words, and 3 or more.
_TABLE_2 = """
JNLPBA         | 8662 3466 2620 2576
BioRED         | 3503 2525  411  567
ChemProt       | 2984 1348  613 1023
BC5CDR         | 9809 7407 1438  964
Reddit-Impacts |   80   28    7   45
"""

# Precision, recall and F1: all entities, then those of 1 word, 2 words, and 3 or more.
_TABLE_3 = """
[JNLPBA]
BERT (large-uncased) (336M)       | 67.77 74.29 70.88 50.22 82.03 62.30 87.80 81.30 84.42 65.64 69.88 67.69
BERT (large-cased) (336M)         | 67.71 75.78 71.52 48.79 83.53 61.60 88.05 82.98 85.44 65.89 70.88 68.29
BiomedBERT (large-uncased) (336M) | 69.70 76.83 73.09 51.53 84.74 64.08 88.91 82.33 85.49 67.82 72.95 70.29
DeBERTa (v3-large) (435M)         | 69.88 77.70 73.59 51.05 86.56 64.22 88.28 82.79 85.44 66.65 71.26 68.88
Mistral (7B-Instruct-v0.3) (341M) | 72.18 79.52 75.67 53.02 88.32 66.26 91.67 85.65 88.56 68.78 72.78 70.72
Llama (3.1-8B-Instruct) (353M)    | 71.11 78.99 74.85 49.43 88.08 63.32 91.51 85.19 88.24 70.18 73.84 71.96
[BioRED]
BERT (large-uncased) (336M)       | 82.05 85.37 83.68 85.26 92.79 88.87 77.49 78.42 77.95 61.89 69.28 65.38
BERT (large-cased) (336M)         | 81.22 86.89 83.96 82.34 94.02 87.80 81.92 83.69 82.80 61.67 72.16 66.51
BiomedBERT (large-uncased) (336M) | 87.33 90.90 89.08 88.09 96.08 91.91 85.99 86.81 86.40 72.23 80.38 76.09
DeBERTa (v3-large) (435M)         | 87.57 90.23 88.88 88.05 95.09 91.43 88.24 86.33 87.27 75.00 79.41 77.14
Mistral (7B-Instruct-v0.3) (341M) | 88.81 88.12 88.46 84.96 94.18 89.33 85.18 81.29 83.19 80.53 80.67 80.60
Llama (3.1-8B-Instruct) (353M)    | 88.94 88.21 88.58 88.86 96.04 92.31 83.93 78.90 81.33 76.35 75.95 76.15
[ChemProt]
BERT (large-uncased) (336M)       | 49.61 37.97 43.02 27.22 48.22 34.80 83.47 45.02 58.49 48.10 34.08 39.90
BERT (large-cased) (336M)         | 54.49 36.66 43.83 35.77 45.33 39.99 72.53 41.09 52.46 46.78 31.03 37.31
BiomedBERT (large-uncased) (336M) | 68.41 40.32 50.74 38.82 47.26 42.62 85.80 45.62 59.57 63.38 37.87 47.41
DeBERTa (v3-large) (435M)         | 50.40 41.59 45.57 31.33 50.59 38.70 79.74 45.77 58.16 50.93 38.29 43.72
Mistral (7B-Instruct-v0.3) (341M) | 73.74 40.68 52.43 53.99 48.66 51.19 83.00 44.26 57.73 70.12 35.72 47.33
Llama (3.1-8B-Instruct) (353M)    | 71.73 42.06 53.03 47.65 48.89 48.26 82.77 47.89 60.67 74.24 39.07 51.20
[BC5CDR]
BERT (large-uncased) (336M)       | 83.10 87.26 85.13 75.52 94.03 83.76 91.55 88.11 89.79 76.05 75.66 75.86
BERT (large-cased) (336M)         | 85.56 88.59 87.05 79.98 94.83 86.77 88.55 84.98 86.73 79.22 79.38 79.30
BiomedBERT (large-uncased) (336M) | 85.88 91.10 88.42 78.39 96.46 86.49 91.24 89.85 90.54 84.27 85.14 84.70
DeBERTa (v3-large) (435M)         | 87.06 90.73 88.86 80.34 95.94 87.45 92.87 89.71 91.26 84.19 82.80 83.49
Mistral (7B-Instruct-v0.3) (341M) | 90.42 91.05 90.73 84.42 96.45 90.04 93.91 87.97 90.84 83.60 79.88 81.70
Llama (3.1-8B-Instruct) (353M)    | 89.52 89.44 89.48 84.88 95.88 90.05 91.71 86.16 88.85 81.31 76.01 78.57
[Reddit-Impacts]
BERT (large-uncased) (336M)       | 15.14 31.11 20.36  9.09 89.29 16.50 85.71 85.71 85.71 16.42 20.00 18.03
BERT (large-cased) (336M)         | 17.46 26.19 20.95 16.81 71.43 27.21 50.00 57.14 53.33  8.33 10.20  9.17
BiomedBERT (large-uncased) (336M) | 21.57 26.51 23.78 19.23 71.43 30.30 66.67 57.14 61.54  6.98  6.25  6.59
DeBERTa (v3-large) (435M)         | 18.49 25.29 21.36 15.60 78.57 26.04 66.67 57.14 61.54 15.79 17.31 16.51
Mistral (7B-Instruct-v0.3) (341M) | 37.29 27.50 31.65 25.32 71.43 37.38 100.0 71.43 83.33 23.81 11.11 15.15
Llama (3.1-8B-Instruct) (353M)    | 30.67 28.75 29.68  5.04 64.29  9.35 83.33 71.43 76.92 62.50 33.33 43.48
"""

# Seconds for one instance.
_TABLE_4 = """
[JNLPBA]
BERT-Family (Avg)  |  0.0274
DeBERTa-v3-Large   |  0.0493
Mistral-7B         |  2.0897
Llama-8B           |  1.7097
[BioRED]
BERT-Family (Avg)  |  0.0441
DeBERTa-v3-Large   |  0.0669
Mistral-7B         | 11.5464
Llama-8B           |  9.6395
[ChemProt]
BERT-Family (Avg)  |  0.0265
DeBERTa-v3-Large   |  0.0493
Mistral-7B         |  2.2937
Llama-8B           |  2.1018
[BC5CDR]
BERT-Family (Avg)  |   0.026
DeBERTa-v3-Large   |  0.0477
Mistral-7B         |  2.0953
Llama-8B           |  1.8434
[Reddit-Impacts]
BERT-Family (Avg)  |  0.0268
DeBERTa-v3-Large   |  0.0496
Mistral-7B         |  1.9446
Llama-8B           |  1.8815
"""

# Precision, recall and F1, relaxed.
_TABLE_5 = """
[JNLPBA]
BERT-Large-Uncased | 75.68 82.96 79.15
BERT-Large-Cased   | 75.27 84.25 79.51
BiomedBERT-Large   | 76.75 84.60 80.49
DeBERTa-v3-Large   | 77.26 85.91 81.36
Mistral-7B         | 78.93 86.96 82.75
Llama-8B           | 78.00 86.65 82.10
[BioRED]
BERT-Large-Uncased | 86.91 90.43 88.64
BERT-Large-Cased   | 85.88 91.87 88.77
BiomedBERT-Large   | 90.37 94.07 92.19
DeBERTa-v3-Large   | 91.37 94.15 92.74
Mistral-7B         | 91.76 91.06 91.41
Llama-8B           | 91.33 90.58 90.96
[ChemProt]
BERT-Large-Uncased | 56.82 43.50 49.27
BERT-Large-Cased   | 62.17 41.83 50.01
BiomedBERT-Large   | 74.50 43.91 55.26
DeBERTa-v3-Large   | 56.22 46.39 50.83
Mistral-7B         | 78.35 43.22 55.71
Llama-8B           | 76.31 44.75 56.41
[BC5CDR]
BERT-Large-Uncased | 84.63 88.86 86.69
BERT-Large-Cased   | 86.63 89.69 88.13
BiomedBERT-Large   | 86.99 92.28 89.56
DeBERTa-v3-Large   | 87.90 91.61 89.71
Mistral-7B         | 91.04 91.67 91.35
Llama-8B           | 90.28 90.20 90.24
[Reddit-Impacts]
BERT-Large-Uncased | 27.30 56.11 36.73
BERT-Large-Cased   | 28.97 43.45 34.76
BiomedBERT-Large   | 32.84 40.36 36.22
DeBERTa-v3-Large   | 34.87 47.70 40.29
Mistral-7B         | 44.92 33.12 38.13
Llama-8B           | 42.67 40.00 41.29
"""


def _rows(table: str) -> Iterator[tuple[str, str, list[float]]]:
    """Yield (corpus, name, figures) of each line: below a [corpus] the name is a model, else the corpus."""
    corpus = ""
    for line in table.strip().splitlines():
        if line.startswith("["):
            corpus = line[1:-1]
        else:
            name, figures = line.split("|")
            yield corpus or name.strip(), name.strip(), [float(figure) for figure in figures.split()]


def _strict_scores(model: str, figures: list[float]) -> StrictScores:
    overall, one, two, more = (Ratios(*figures[start : start + 3]) for start in range(0, 12, 3))
    return StrictScores(model, overall, {"length_1": one, "length_2": two, "length_3plus": more})


def _entity_lengths(figures: list[float]) -> EntityLengths:
    total, *by_length = map(int, figures)
    return EntityLengths(total, dict(zip(("length_1", "length_2", "length_3plus"), by_length, strict=True)))


INSTANCES: dict[str, Instances] = {
    corpus: Instances(*map(int, figures)) for corpus, _, figures in _rows(_TABLE_1)
}
"""Table I: instances of each split, by corpus."""

ENTITY_LENGTHS: dict[str, EntityLengths] = {
    corpus: _entity_lengths(figures) for corpus, _, figures in _rows(_TABLE_2)
}
"""Table II: entities of the test split by length, by corpus."""

STRICT: dict[str, tuple[StrictScores, ...]] = {}
"""Table III: strict scores of each model, by corpus."""

SECONDS_PER_INSTANCE: dict[str, dict[str, float]] = {}
"""Table IV: seconds for one instance, by corpus and model, on the study's hardware."""

RELAXED: dict[str, dict[str, Ratios]] = {}
"""Table V: relaxed scores, by corpus and model."""

for _corpus, _model, _figures in _rows(_TABLE_3):
    STRICT[_corpus] = (*STRICT.get(_corpus, ()), _strict_scores(_model, _figures))
for _corpus, _model, _figures in _rows(_TABLE_4):
    SECONDS_PER_INSTANCE.setdefault(_corpus, {})[_model] = _figures[0]
for _corpus, _model, _figures in _rows(_TABLE_5):
    RELAXED.setdefault(_corpus, {})[_model] = Ratios(*_figures)
