"""What training any tagger begins and ends with on the driver: its corpus, read once, and its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from raybio.config import CorpusSection, MemberSection
from raybio.entities import Sentence
from raybio.errors import TrainingError
from raybio.evaluation.label_sets import check_labels
from raybio.members import Member, interleaved, labels_of_splits, split_tables, with_draws
from raybio.run_folder import RunFolder
from raybio.taggers.calibration import write_calibration
from raybio.training import steps
from raybio.training.model_card import write_model_card
from raybio.training.parts import TrainRows
from raybio.training.recipes import Scoring
from raybio.training.scoring import score_splits, scored_splits
from raybio.training.splits import SHUFFLE_BUFFER
from raybio.training.union import left_out_lines, members_of

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
    """One corpus, or a union of several, that was read to its end without a fault.

    `labels` are those of training, in order; `scored` are the splits that a model of it is scored on, and
    `split_labels` what reports call what stands for a split. `members` know how many sentences they have.
    """

    members: tuple[Member, ...]
    labels: tuple[str, ...]
    scored: tuple[str, ...]
    split_labels: dict[str, str]

    @property
    def title(self) -> str:
        """What a run folder is called after."""
        return "-".join(member.title for member in self.members)

    @property
    def source(self) -> str:
        """What a model's card says it was trained on."""
        return ", ".join(member.title for member in self.members)

    def tables(self, split: str) -> Callable[[], Iterator[pa.Table]]:
        """Return what yields the sentences of "train" or "dev" as rows."""
        return partial(split_tables, self.members, split)

    @property
    def train(self) -> TrainRows:
        """What is learned from."""
        return TrainRows(self.tables("train"), sum(member.sentences for member in self.members))


def open_corpus(
    corpus: CorpusSection | Sequence[MemberSection],
    test: bool,
    progress: Callable[[str], None] = print,
    temperature: float | None = None,
) -> OpenCorpus:
    """Read all splits, so that a fault in any is reported before hours of training and not after them.

    Without `test` that split is not scored, nor read, but in a union, which leaves what others are scored on
    out of training. `progress` is called with labels that train lacks, and with what is left out;
    `temperature` is the config's.

    Raises:
        InputError: a split cannot be read.
        UsageError: train has no label in common with one that is scored.
        ConfigError: holds all faults of a union's labels.
        TrainingError: there is nothing to learn.
    """
    members = members_of(corpus)
    for line in left_out_lines(members):
        progress(line)
    scored = scored_splits(members[0].section.train_with_dev, test)
    opened, labels = [], set()
    for member in members:
        of = f" of {member.title}" if len(members) > 1 else ""
        own, count = _labels(member.read("train"))
        if not own:
            raise TrainingError(
                f"the training split{of} has no entity to learn from. Check its file and format"
            )
        for split in scored:
            found, _ = _labels(member.read(split))
            if warning := check_labels(own, found, f"train{of}", f"{split}{of}", _RENAME):
                progress(f"{warning}. Entities of it count as missed")
        opened.append(replace(member, sentences=count))
        labels |= own
    drawn = with_draws(opened, temperature or 1.0)
    return OpenCorpus(drawn, tuple(sorted(labels)), tuple(scored), labels_of_splits(members))


def _labels(sentences: Iterable[Sentence]) -> tuple[set[str], int]:
    """Return the labels of sentences, and how many sentences there are."""
    labels, count = set(), 0
    for sentence in sentences:
        labels |= {span.label for span in sentence.gold or ()}
        count += 1
    return labels, count


def scored_model(run: RunFolder, epoch: int, scoring: Scoring | None, corpus: OpenCorpus) -> TrainedModel:
    """Return the run whose model is that of `epoch`, scored where `scoring` says how."""
    run.say(f"kept epoch {epoch}")
    scores = score_splits(scoring, corpus.members, run, corpus.scored) if scoring else {}
    run.write_json("scores.json", scores)
    write_model_card(run)
    return TrainedModel(run, epoch, scores)


def leave_calibration(corpus: OpenCorpus, seed: int, model: Path) -> None:
    """Write into the folder of a trained token classifier what its int8 form needs."""
    train = (sentence for _, sentence in interleaved(corpus.members, "train"))
    stream = steps.shuffled(train, SHUFFLE_BUFFER, seed)
    write_calibration(model, list(islice(stream, _CALIBRATION_SENTENCES)))
