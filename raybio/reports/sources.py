"""Reading what a report is about: run folders and tagged outputs.

What is not there is None or empty, since a run may have stopped early or have no test split;
what is there and cannot be read is a FormatError.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from raybio.config import corpus_title, with_present_names
from raybio.corpora import read_corpus
from raybio.entities import Document, Rejected
from raybio.errors import FormatError, UsageError
from raybio.json_lines import read_json_lines
from raybio.run_folder import PROVENANCE_FILES, SPLITS_FILE, RunFolder, short_name

SHOWN_DOCUMENTS = 3
SHOWN_REJECTED = 5
_REMEDY = "Fix or remove the file, then run the report again"


class TaggedSentence(NamedTuple):
    """A scored sentence: as many gold and predicted tags as words."""

    words: tuple[str, ...]
    gold: tuple[str, ...]
    predicted: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """What a run folder holds; see `run_folder` for the files.

    `scores` and `predictions` are keyed by split; `scores` is empty when the run wrote none.
    `metrics` has one row an epoch, the last where an epoch was done again. `splits` says what stood for
    the splits that the model was made with.
    """

    path: Path
    config_text: str
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...]
    scores: Mapping[str, Mapping[str, Any]]
    predictions: Mapping[str, tuple[TaggedSentence, ...]]
    splits: Mapping[str, str]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def corpus(self) -> Mapping[str, Any]:
        """The configuration's corpus section, empty where it has none, or several."""
        section = self.config.get("corpus")
        return section if isinstance(section, dict) else {}

    @property
    def corpora(self) -> Sequence[Mapping[str, Any]]:
        """The sections of all corpora that it learned from."""
        sections = self.config.get("corpus")
        return sections if isinstance(sections, list) else [self.corpus]

    @property
    def model_name(self) -> str:
        """The model as the configuration names it; a folder by its last part, a run's model by the run's."""
        return short_name(str(self.config.get("model", "a model")))

    @property
    def tags(self) -> bool:
        """Whether its model is to tag; one whose pretraining was continued is to be fine-tuned first."""
        return self.config.get("job") != "adapt-encoder"

    @property
    def corpus_name(self) -> str:
        """What its corpus is called; text is by the number of its files."""
        if not self.tags:
            files = len(self.config["text"]["files"])
            return "text of 1 file" if files == 1 else f"text of {files} files"
        return ", ".join(corpus_title(section) or "an unnamed corpus" for section in self.corpora)

    @property
    def learned_from(self) -> str:
        """What stood for the training split, "train" where it was the corpus's own: "rebuilt train"."""
        name, own = self.splits.get("train", "train"), self.corpus.get("max_train_documents")
        if not own:  # `max_documents` bounds every split
            return name
        return f"the first {min(own, self.corpus.get('max_documents') or own):,} documents of {name}"

    @property
    def split(self) -> str | None:
        """The split whose scores speak for the run: test, else another that was scored."""
        return "test" if "test" in self.scores else next(iter(self.scores), None)

    @property
    def kept_epoch(self) -> int | None:
        """The epoch whose model was kept, where the configuration tells; the first of equals."""
        training = self.config.get("training") or {}
        keep = training.get("keep_checkpoint")
        metric = training.get("metric_for_best_model", "dev_strict_f1")
        rows = [row for row in self.metrics if metric in row or keep == "last"]
        if not rows or keep not in ("best", "last"):
            return None
        chosen = max(rows, key=lambda row: row[metric]) if keep == "best" else rows[-1]
        return int(chosen["epoch"])


@dataclass(frozen=True)
class Tagging:
    """What a tagged output holds: how it was made, how it went, and some of its documents.

    `summary` is None while no run over the output has ended. `documents` are a few with mentions,
    from outputs that keep the text (jsonl, pubtator); `rejected` are the first few of its rejected
    records.
    """

    path: Path
    provenance: Mapping[str, Any]
    summary: Mapping[str, Any] | None
    documents: tuple[Document, ...]
    rejected: tuple[Mapping[str, Any], ...]


def read_run(path: Path) -> Run:
    """Read a run folder.

    Raises:
        UsageError: there is none at `path`.
        FormatError: one of its files cannot be read.
    """
    folder = RunFolder.existing(path)
    config_text = (folder.path / "config.yaml").read_text(encoding="utf-8")
    try:
        config = yaml.safe_load(config_text)
    except yaml.YAMLError as error:
        raise FormatError(f"{path}/config.yaml", "", f"not YAML: {error}", _REMEDY) from error
    if not isinstance(config, dict):
        raise FormatError(f"{path}/config.yaml", "", "it holds no options", _REMEDY)
    by_epoch = {row["epoch"]: row for row in folder.metrics() if "epoch" in row}
    return Run(
        path=folder.path,
        config_text=config_text,
        config=with_present_names(config),
        environment=read_json(folder.path / "environment.json") or {},
        metrics=tuple(by_epoch[epoch] for epoch in sorted(by_epoch)),
        scores=read_json(folder.path / "scores.json") or {},
        predictions={
            file.stem: tuple(read_tagged_sentences(file))
            for file in sorted((folder.path / "predictions").glob("*.tsv"))
        },
        splits=read_json(folder.path / SPLITS_FILE) or {},
    )


def on_corpus(run: Run, title: str) -> Run:
    """Return a run over several corpora as one over that which is called `title`: its scores and predictions.

    A split in which that corpus has no sentence is not in it.
    """
    scores, predictions = {}, {}
    for split, of_all in run.scores.items():
        first = 0
        for name, figures in of_all.get("corpora", {}).items():
            if name == title:
                scores[split] = figures
                if split in run.predictions:
                    predictions[split] = run.predictions[split][first : first + figures["sentences"]]
            first += figures["sentences"]
    own = next(each for each in run.corpora if title.removesuffix("-study") == corpus_title(each))
    return replace(run, config={**run.config, "corpus": own}, scores=scores, predictions=predictions)


def is_tagging(path: Path) -> bool:
    """Say whether `path` is a tagged output: it has a ledger, and says what made it."""
    return any((path / name).is_file() for name in PROVENANCE_FILES) and (path / "ledger").is_dir()


def read_tagging(path: Path) -> Tagging:
    """Read a tagged output (a local folder).

    Raises:
        UsageError: there is none at `path`.
        FormatError: one of its files cannot be read.
    """
    records = (read_json(path / name) for name in PROVENANCE_FILES)
    provenance = next((record for record in records if record is not None), None)
    if provenance is None:
        raise UsageError(f"{path} is not a tagged output: it has no {PROVENANCE_FILES[0]}")
    rejected = islice(read_json_lines(path / "rejected.jsonl"), SHOWN_REJECTED)
    documents = tuple(islice(_documents(path), SHOWN_DOCUMENTS))
    return Tagging(path.absolute(), provenance, read_json(path / "summary.json"), documents, tuple(rejected))


def read_tagged_sentences(path: Path) -> Iterator[TaggedSentence]:
    """Yield the sentences of a file that `RunFolder.write_predictions` wrote.

    Raises:
        FormatError: a line has other than three columns.
    """
    rows: list[list[str]] = []
    # Not str.splitlines: words may hold U+2028 and its kind.
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        cells = line.split("\t")
        if len(cells) == 3:
            rows.append(cells)
        elif line:
            problem = f"{len(cells)} columns in place of word, gold tag and predicted tag"
            raise FormatError(str(path), f"line {number}", problem, _REMEDY)
        elif rows:
            yield TaggedSentence(*(tuple(column) for column in zip(*rows, strict=True)))
            rows = []


def _documents(path: Path) -> Iterator[Document]:
    """Yield the first document with mentions of each shard that keeps the text."""
    for name in ("jsonl", "pubtator"):
        shards = sorted((path / name).glob("*"))
        for shard in shards:
            with_mentions = (d for d in read_corpus(str(shard), name, pass_over) if d.mentions and d.text)
            yield from islice(with_mentions, 1)
        if shards:
            return


def pass_over(record: Rejected) -> None:
    """Take a record that cannot be shown as an example; others will do."""


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or None where there is no file.

    Raises:
        FormatError: it is not JSON.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(str(path), "", f"not JSON: {error}", _REMEDY) from error
