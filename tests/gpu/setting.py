"""What checks work on: a device, models, and sentences of BC5CDR or of the sample corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from raybio.corpora import read_corpus
from raybio.corpora.names import read_split
from raybio.corpora.sample import generate_sample
from raybio.entities import Document, Sentence


@dataclass(frozen=True)
class Setting:
    """One run of the checks.

    `small` takes tiny models instead of full sizes. `encoder`, `decoder` and `tag_head` are trained model
    folders, where there are any; without them weights are random, which says nothing of F1. Checks write
    below `scratch`. `train_file`, `dev_file` and `test_file` hold the sample corpus, for jobs.
    """

    device: torch.device
    small: bool
    scratch: Path
    train: Sequence[Sentence]
    test: Sequence[Sentence]
    train_file: Path
    dev_file: Path
    test_file: Path
    encoder: Path | None = None
    decoder: Path | None = None
    tag_head: Path | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the training sentences."""
        return tuple(sorted({span.label for sentence in self.train for span in sentence.gold or ()}))

    @property
    def texts(self) -> list[str]:
        """The training sentences with their prompt's parts, for a tokenizer to learn from."""
        return [" ".join(sentence.words) for sentence in self.train] + [
            "\n".join(s.words) for s in self.train
        ]

    def test_sentences(self, small: int, full: int) -> list[Sentence]:
        """Return so many test sentences: the shortest ones, or some at even distances."""
        if self.small:
            return sorted(self.test, key=len)[:small]
        count = min(full, len(self.test))
        return [self.test[i * len(self.test) // count] for i in range(count)]


def make_setting(
    device: str,
    small: bool,
    scratch: Path,
    data: str | None,
    encoder: Path | None,
    decoder: Path | None,
    tag_head: Path | None,
) -> Setting:
    """Return a setting with the sentences of BC5CDR under `data`, or of the sample corpus without it."""
    files = generate_sample(scratch / "sample", train=120 if small else 600, dev=20, test=40, citations=10)
    if data:
        train, test = (_sentences(read_split("BC5CDR", split, data)) for split in ("train", "test"))
    else:
        train, test = (_sentences(read_corpus(str(path))) for path in (files.train, files.test))
    return Setting(
        torch.device(device),
        small,
        scratch,
        train,
        test,
        files.train,
        files.dev,
        files.test,
        encoder,
        decoder,
        tag_head,
    )


def _sentences(documents: object) -> list[Sentence]:
    return [
        s for document in documents if isinstance(document, Document) for s in document.sentences if s.words
    ]
