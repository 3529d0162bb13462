"""The study's five corpora by name: their labels, their splits, and where the files lie.

A data folder holds a folder for each corpus (`BC5CDR`, in letters of any case), with the
files that `CORPORA` names. BioRED's public PubTator release has one file of 500 documents
for training and development; its last 100 documents, in the file's order, are "dev" here and
the 400 before them "train".
"""

from __future__ import annotations

import difflib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raybio.corpora import read_corpus
from raybio.entities import Document
from raybio.errors import AccessError, UsageError
from raybio.iob2 import unknown_label

DATA_VARIABLE = "RAYBIO_DATA"
"""The environment variable that names the data folder where a call does not."""

BIORED_DEV = 100
"""Documents at the end of `BioRED_TrainDev.PubTator` that are "dev"."""

_BOTH = "BioRED_TrainDev.PubTator"
_REBUILT = "train.rebuilt.tsv"


@dataclass(frozen=True, slots=True)
class NamedCorpus:
    """A corpus: its labels, its format, and for each split its possible file names, best first.

    BioRED's labels are written in full in some releases and short in others; `aliases` leads
    from the full to the short ones. Nothing is renamed on reading; a label that is neither is
    an error.
    """

    name: str
    labels: tuple[str, ...]
    format: str
    files: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    how_to_get: str

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        return tuple(self.files)


def _columns(*rebuilt: str) -> dict[str, tuple[str, ...]]:
    return {
        "train": ("train.tsv", "train.txt", *rebuilt),
        "dev": ("dev.tsv", "devel.tsv", "dev.txt"),
        "test": ("test.tsv", "test.txt"),
    }


def _fetched(name: str) -> str:
    return f"Run: raybio corpus fetch {name}"


CORPORA: dict[str, NamedCorpus] = {
    corpus.name: corpus
    for corpus in (
        NamedCorpus("BC5CDR", ("Chemical", "Disease"), "iob2", _columns(), {}, _fetched("BC5CDR")),
        NamedCorpus(
            "JNLPBA",
            ("DNA", "RNA", "cell_line", "cell_type", "protein"),
            "iob2",
            _columns(_REBUILT),
            {},
            _fetched("JNLPBA"),
        ),
        NamedCorpus(
            "ChemProt",
            ("CHEMICAL", "GENE"),
            "chemprot",
            {split: (f"{split}.json",) for split in ("train", "dev", "test")},
            {},
            _fetched("ChemProt"),
        ),
        NamedCorpus(
            "BioRED",
            ("CellLine", "Chemical", "Disease", "Gene", "Species", "Variant"),
            "pubtator",
            {
                "train": ("Train.PubTator", _BOTH),
                "dev": ("Dev.PubTator", _BOTH),
                "test": ("Test.PubTator", "BioRED_Test.PubTator"),
            },
            {
                "GeneOrGeneProduct": "Gene",
                "DiseaseOrPhenotypicFeature": "Disease",
                "ChemicalEntity": "Chemical",
                "SequenceVariant": "Variant",
                "OrganismTaxon": "Species",
            },
            _fetched("BioRED"),
        ),
        NamedCorpus(
            "Reddit-Impacts",
            ("ClinicalImpacts", "SocialImpacts"),
            "iob2",
            _columns(),
            {},
            "Its authors give it on request; put their two-column files there",
        ),
    )
}
"""Every corpus of the study by name."""


def corpus_named(name: str) -> NamedCorpus:
    """Return the corpus called `name`, letters of any case.

    Raises:
        UsageError: there is none; the message offers the nearest name.
    """
    by_lower = {known.lower(): corpus for known, corpus in CORPORA.items()}
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f" Did you mean {by_lower[near[0]].name}?" if near else ""
    raise UsageError(f"unknown corpus {name!r}.{hint} Corpora: {', '.join(CORPORA)}")


def split_path(name: str, split: str, data: str | None = None) -> str:
    """Return the path of the file that holds a split, in the folder `data` or else in `$RAYBIO_DATA`.

    Raises:
        UsageError: there is no such corpus or split, or no data folder was named.
        AccessError: the folder or file is not there; the message says what was looked for.
    """
    corpus = corpus_named(name)
    if split not in corpus.files:
        raise UsageError(f"{corpus.name} has no split {split!r}. Splits: {', '.join(corpus.splits)}")
    root = data or os.environ.get(DATA_VARIABLE)
    if not root:
        raise UsageError(
            f"no data folder: name one (corpus.data=FOLDER or --data FOLDER), or set {DATA_VARIABLE} to the "
            f"folder that holds {name}. raybio corpus fetch {name} --data FOLDER gets it, or says how"
        )
    folder = _folder(Path(root), corpus)
    for candidate in corpus.files[split]:
        if (folder / candidate).is_file():
            return str(folder / candidate)
    looked_for = " or ".join(corpus.files[split])
    problem = f"the {split} split of {corpus.name} is not here (looked for {looked_for})"
    raise AccessError(str(folder), "", problem, corpus.how_to_get)


def split_label(name: str, split: str, data: str | None = None) -> str:
    """Return how reports call a split: by its name, and "rebuilt train" where the file is the rebuilt one.

    Raises:
        UsageError, AccessError: as `split_path` does.
    """
    rebuilt = Path(split_path(name, split, data)).name == _REBUILT
    return f"rebuilt {split}" if rebuilt else split


def read_split(
    name: str, split: str, data: str | None = None, protocol: str = "corrected"
) -> Iterator[Document]:
    """Yield the documents of a split; `protocol` ("corrected" or "study") is how ChemProt is read.

    Raises:
        UsageError, AccessError: as `split_path` does (at the call).
        InputError: for the first record at fault.
    """
    corpus = corpus_named(name)
    path = split_path(name, split, data)
    options: dict[str, Any] = {"protocol": protocol} if corpus.format == "chemprot" else {}
    if corpus.format == "iob2":
        options["labels"] = corpus.labels
    documents = _checked(read_corpus(path, corpus.format, **options), corpus, path)
    return _part(documents, split) if Path(path).name == _BOTH else documents


def _folder(root: Path, corpus: NamedCorpus) -> Path:
    if not root.is_dir():
        raise AccessError(
            str(root), "", "the data folder does not exist", f"Create it, or set {DATA_VARIABLE}"
        )
    for entry in sorted(root.iterdir()):
        if entry.name.lower() == corpus.name.lower() and entry.is_dir():
            return entry
    raise AccessError(str(root), "", f"there is no folder {corpus.name} in it", corpus.how_to_get)


def _checked(documents: Iterable[Document], corpus: NamedCorpus, path: str) -> Iterator[Document]:
    """Yield `documents` while their labels are the corpus's; iob2's reader has checked its own, by line.

    Raises:
        TagError: names the first document with another label.
    """
    known = {*corpus.labels, *corpus.aliases}
    for document in documents:
        for mention in document.mentions or ():
            if mention.label not in known:
                raise unknown_label(mention.label, known, path, f"document {document.id}")
        yield document


def _part(documents: Iterable[Document], split: str) -> Iterator[Document]:
    """Yield the last `BIORED_DEV` documents for "dev", and those before them for "train"."""
    last: deque[Document] = deque()
    for document in documents:
        last.append(document)
        if len(last) > BIORED_DEV:
            before = last.popleft()
            if split == "train":
                yield before
    if split == "dev":
        yield from last
