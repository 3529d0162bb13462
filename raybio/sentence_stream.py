"""Annotated corpora as a stream of sentences: plain for scoring, a Ray Dataset for training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raybio.config import OTHER_LANGUAGES, CorpusSection
from raybio.corpora import names, read_corpus, sample
from raybio.corpora.sentences import split_document, window_document
from raybio.entities import Document, Sentence
from raybio.errors import FormatError
from raybio.iob2 import spans_from_tags, tags_from_spans

if TYPE_CHECKING:
    import ray.data

_BLOCK_SENTENCES = 1024
SENTENCES = pa.schema(
    [
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("words", pa.list_(pa.string())),
        ("tags", pa.list_(pa.string())),
        ("member", pa.int32()),
    ]
)
"""A row a sentence; tags are null where nobody annotated it, and so is, then, the number (from 0) of the
corpus of a union that it is of."""


def read_documents(corpus: CorpusSection, split: str) -> Iterator[Document]:
    """Yield the documents of one split ("train", "dev" or "test") of a configured corpus."""
    yield from islice(_own_documents(corpus, split), corpus.document_limit(split))
    if split == "train" and corpus.train_with_dev:
        yield from islice(_whole_split(corpus, "dev"), corpus.max_documents)


def _own_documents(corpus: CorpusSection, split: str) -> Iterator[Document]:
    share = corpus.train_from_dev
    if not share or split == "test":
        return _whole_split(corpus, split)
    dev = list(_whole_split(corpus, "dev"))
    seam = round(share * len(dev))
    return iter(dev[:seam] if split == "train" else dev[seam:])


def split_labels(corpus: CorpusSection) -> dict[str, str]:
    """Return how reports call what stands for train and dev: "rebuilt train", "the first 75% of dev".

    Raises:
        UsageError, InputError: as `names.split_path` does.
    """
    if share := corpus.train_from_dev:
        return {"train": f"the first {share:.0%} of dev", "dev": f"the last {1 - share:.0%} of dev"}
    labels = {split: _label(corpus, split) for split in ("train", "dev")}
    if corpus.train_with_dev:
        labels["train"] += f" and {labels['dev']}"
    return labels


def _label(corpus: CorpusSection, split: str) -> str:
    if corpus.name is None or corpus.name == "sample":
        return split
    return names.split_label(corpus.name, split, corpus.data)


def _whole_split(corpus: CorpusSection, split: str) -> Iterator[Document]:
    if corpus.name == "sample":
        return read_corpus(sample.sample_split(split, corpus.data))
    if corpus.name is not None:
        return names.read_split(corpus.name, split, corpus.data, corpus.protocol)
    return read_corpus(getattr(corpus, split), corpus.format)


def read_sentences(corpus: CorpusSection, split: str) -> Iterator[Sentence]:
    """Yield the annotated sentences of one split.

    Raises:
        FormatError: a document has no annotation to learn from or to score against.
    """
    return annotated_sentences(corpus, split, read_documents(corpus, split))


def annotated_sentences(
    corpus: CorpusSection, split: str, documents: Iterable[Document]
) -> Iterator[Sentence]:
    """Yield the sentences of `documents`, which are of this split.

    Raises:
        FormatError: as `read_sentences` has it.
    """
    for document in documents:
        for sentence in _instances(corpus, document):
            if sentence.gold is None:
                raise FormatError(
                    corpus.name or str(getattr(corpus, split)),
                    f"document {document.id}",
                    f"the {split} split has text without annotations",
                    "Give annotated documents; where a file's name tells another format than it has (.txt is "
                    "plain text), name that one as corpus.format",
                )
            if sentence.words:
                yield sentence


def read_text(paths: Iterable[str], max_documents: int | None = None) -> Iterator[Sentence]:
    """Yield the sentences of files, the first documents of each, whose annotations are left alone.

    Passages that bulk tagging skips by default, those in other languages, are skipped here too.

    Raises:
        UsageError: a file's format cannot be recognised by its name, or not be read.
        InputError: a file, or a record of it, cannot be read.
    """
    for path in paths:
        for document in islice(read_corpus(path), max_documents):
            yield from text_sentences(document)


def check_text(paths: Iterable[str]) -> None:
    """See that files of text are there and can be read, by the first document of each.

    Raises:
        UsageError, InputError: as `read_text` does.
    """
    for path in paths:
        next(read_text([path], 1), None)


def text_sentences(document: Document) -> Iterator[Sentence]:
    """Yield the sentences of one document as text: without annotations, nor what is in other languages."""
    for sentence in split_document(replace(document, mentions=None), OTHER_LANGUAGES):
        if sentence.words:
            yield replace(sentence, gold=None)


def _instances(corpus: CorpusSection, document: Document) -> Sequence[Sentence]:
    """Return what is learned and scored as one piece: sentences, or windows where they are asked for."""
    if corpus.instance_words and not document.sentences:
        return window_document(document, corpus.instance_words)
    return split_document(document)


def dataset_of(tables: Callable[[], Iterator[pa.Table]]) -> ray.data.Dataset:
    """Return what `tables` yields as a Ray Dataset, in order.

    One task calls it. It asks for no CPU of its own, since on a small machine the training workers may
    hold them all. Every process of Ray's that the dataset reaches imports the file in which `tables` is
    written: where that needs torch, each begins seconds later.
    """
    import ray.data  # here, since training steps run without Ray too

    def read(_: Any) -> Iterator[pa.Table]:
        yield from tables()

    return ray.data.from_items([0]).map_batches(read, num_cpus=0)


def sentence_tables(sentences: Iterable[tuple[int | None, Sentence]]) -> Iterator[pa.Table]:
    """Yield sentences, each with the number of its corpus, as tables of the form of `SENTENCES`."""
    stream = iter(sentences)
    while block := [_row(*each) for each in islice(stream, _BLOCK_SENTENCES)]:
        yield pa.Table.from_pylist(block, schema=SENTENCES)


def rows(batches: Iterable[pa.Table]) -> Iterator[dict[str, Any]]:
    """Yield the rows of Arrow batches as plain dicts."""
    for batch in batches:
        yield from batch.to_pylist()


def sentence_of(row: dict[str, Any]) -> Sentence:
    """Return the sentence of a dataset row; its words are taken to stand one space apart."""
    words = tuple(row["words"])
    starts = [0]
    for word in words[:-1]:
        starts.append(starts[-1] + len(word) + 1)
    gold = None if row["tags"] is None else tuple(spans_from_tags(row["tags"]))
    return Sentence(row["id"], words, tuple(starts), row["document_id"], gold)


def gold_tags(sentence: Sentence) -> list[str]:
    """Return the IOB2 tags of an annotated sentence."""
    return tags_from_spans(sentence.gold or (), len(sentence))


def _row(member: int | None, sentence: Sentence) -> dict[str, Any]:
    return {
        "id": sentence.id,
        "document_id": sentence.document_id,
        "words": list(sentence.words),
        "tags": None if sentence.gold is None else gold_tags(sentence),
        "member": member,
    }
