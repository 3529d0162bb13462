"""What training any tagger begins and ends with on the driver: its corpus, read once, and its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import ray.data

from raybio.config import CorpusSection
from raybio.errors import TrainingError
from raybio.evaluation.label_sets import check_labels
from raybio.run_folder import RunFolder
from raybio.sentence_stream import read_sentences, sentence_dataset, split_labels
from raybio.taggers.calibration import write_calibration
from raybio.training import steps
from raybio.training.model_card import write_model_card
from raybio.training.recipes import Scoring
from raybio.training.scoring import score_splits, scored_splits
from raybio.training.splits import SHUFFLE_BUFFER

_CALIBRATION_SENTENCES = 64
_RENAME = "Where they mean the same, rename them: raybio corpus convert FILE OTHER --rename OLD=NEW"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A finished run: its folder, its best epoch (from 1), and the scores per split."""

    run: RunFolder
    best_epoch: int
    scores: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OpenCorpus:
    """A corpus that was read to its end without a fault.

    `labels` are those of its training split, in order; `scored` are the splits that a model of it is scored
    on, and `split_labels` what reports call what stands for a split.
    """

    section: CorpusSection
    labels: tuple[str, ...]
    scored: tuple[str, ...]
    split_labels: dict[str, str]

    @property
    def title(self) -> str:
        """What run folders and models' cards call it."""
        return self.section.called

    def dataset(self, split: str) -> ray.data.Dataset:
        """Return the sentences of "train" or "dev" as rows."""
        return sentence_dataset(self.section, split)


def open_corpus(section: CorpusSection, test: bool, progress: Callable[[str], None] = print) -> OpenCorpus:
    """Read all splits, so that a fault in any is reported before hours of training and not after them.

    Without `test` that split is not scored, nor read. `progress` is called with labels that train lacks.

    Raises:
        InputError: a split cannot be read.
        UsageError: train has no label in common with one that is scored.
        TrainingError: there is nothing to learn.
    """
    scored = scored_splits(section, test)
    labels = _labels(section, "train")
    if not labels:
        raise TrainingError("the training split has no entity to learn from. Check its file and format")
    for split in scored:
        if warning := check_labels(labels, _labels(section, split), "train", split, _RENAME):
            progress(f"{warning}. Entities of it count as missed")
    return OpenCorpus(section, tuple(sorted(labels)), tuple(scored), split_labels(section))


def _labels(section: CorpusSection, split: str) -> set[str]:
    return {span.label for sentence in read_sentences(section, split) for span in sentence.gold or ()}


def scored_model(run: RunFolder, epoch: int, scoring: Scoring | None, corpus: OpenCorpus) -> TrainedModel:
    """Return the run whose model is that of `epoch`, scored where `scoring` says how."""
    run.say(f"kept epoch {epoch}")
    scores = score_splits(scoring, run, corpus.scored) if scoring else {}
    run.write_json("scores.json", scores)
    write_model_card(run)
    return TrainedModel(run, epoch, scores)


def leave_calibration(corpus: CorpusSection, seed: int, model: Path) -> None:
    """Write into the folder of a trained token classifier what its int8 form needs."""
    stream = steps.shuffled(read_sentences(corpus, "train"), SHUFFLE_BUFFER, seed)
    write_calibration(model, list(islice(stream, _CALIBRATION_SENTENCES)))
