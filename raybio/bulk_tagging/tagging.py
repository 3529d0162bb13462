"""A shard's documents -> the same cut into sentences -> the same with mentions, or rejected."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from raybio.bio_output import Malformed
from raybio.corpora.sentences import split_document, with_mentions
from raybio.entities import Document, Rejected, Sentence, Span
from raybio.taggers import Tagger, place_mentions
from raybio.taggers.selection import ALL, Selection

logger = logging.getLogger(__name__)

Sentences: TypeAlias = "tuple[Sentence, ...]"
Split: TypeAlias = "tuple[Document, Sentences]"
_Result: TypeAlias = "Document | Rejected | MalformedLine"

_LONGEST_CUT = 1_000_000
"""Characters; abstracts have some 1,500, whole articles 50,000."""


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """What an LLM wrote that gives no word its tag, or words that it wrote no line for.

    `text` is `[start, end)` of the document's text, without entities because of it; where a line
    is one too many there is no such text, and both are where the sentence starts.
    """

    document_id: str
    reason: str
    written: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class TaggedDocuments:
    """Documents with their mentions, those that no tagger could take, and the text that was read.

    `malformed` is what of an LLM's answers could not be read.
    """

    documents: list[Document]
    rejected: list[Rejected]
    sentences: int
    words: int
    malformed: Sequence[MalformedLine] = ()


def cut(documents: Sequence[Document], skipped: Collection[str]) -> tuple[Sentences | None, ...]:
    """Return the sentences in which `tag_documents` tags each of `documents`.

    None stands for those of a document that is long enough to be a danger to memory: it is left to the
    tagger, whose death by it would be counted against it.
    """
    return tuple(
        None if len(document.text) > _LONGEST_CUT else _sentences(document, skipped) for document in documents
    )


def tag_documents(
    documents: Sequence[Document],
    tagger: Tagger,
    skipped: Collection[str],
    source: str,
    selection: Selection = ALL,
    cut: Sequence[Sentences | None] = (),
) -> TaggedDocuments:
    """Tag each document but for its passages of `skipped` kinds; mentions it came with are replaced.

    Of the tagger's mentions those of `selection` are kept. Words and sentences that a document brings are
    kept too; others, which `cut` may have given, are not. Relations go: they were between those mentions.

    All sentences go to the tagger at once, so that it can batch them by length. When that
    fails, the documents are halved until the ones it fails on are found; they are rejected.
    """
    split = [
        (document, _sentences(document, skipped) if given is None else given)
        for document, given in zip(documents, cut or [None] * len(documents), strict=True)
    ]
    results = [
        with_mentions(result, selection.of(result.mentions or ())) if isinstance(result, Document) else result
        for result in _tag(split, tagger, source)
    ]
    return TaggedDocuments(
        [result for result in results if isinstance(result, Document)],
        [result for result in results if isinstance(result, Rejected)],
        sum(len(sentences) for _, sentences in split),
        sum(len(sentence) for _, sentences in split for sentence in sentences),
        [result for result in results if isinstance(result, MalformedLine)],
    )


def _sentences(document: Document, skipped: Collection[str]) -> Sentences:
    return split_document(replace(document, mentions=None), skipped)


def _tag(split: Sequence[Split], tagger: Tagger, source: str) -> Iterator[_Result]:
    if not split:
        return
    try:
        tagged = _tag_all(split, tagger)
    except Exception as error:  # a tagger may fail in any way; what it fails on is kept as rejected
        if len(split) == 1:
            logger.warning("document %s could not be tagged: %s", split[0][0].id, error)
            reason = f"the tagger failed on it: {type(error).__name__}: {error}"
            yield reject(split[0][0], source, reason, "Replay it alone to see the whole error")
        else:
            half = len(split) // 2
            yield from _tag(split[:half], tagger, source)
            yield from _tag(split[half:], tagger, source)
        return
    yield from tagged


def _tag_all(split: Sequence[Split], tagger: Tagger) -> list[Document | MalformedLine]:
    sentences = [sentence for _, sentences in split for sentence in sentences]
    results = tagger.tag(sentences)
    if [len(result.tags) for result in results] != [len(sentence) for sentence in sentences]:
        raise ValueError("the tagger did not give one tag to each word")
    left = iter(results)
    tagged: list[Document | MalformedLine] = []
    for document, own in split:
        tags = [next(left) for _ in own]
        mentions = tuple(place_mentions(document, own, tags))
        tagged.append(replace(document, mentions=mentions))
        for sentence, each in zip(own, tags, strict=True):
            tagged += (_line(document, sentence, fault) for fault in each.malformed)
    return tagged


def _line(document: Document, sentence: Sentence, fault: Malformed) -> MalformedLine:
    start = end = sentence.starts[0]
    if fault.words:
        start, end = sentence.characters(Span(fault.words.start, fault.words.stop, ""))
    return MalformedLine(document.id, fault.reason, fault.written, start, end, document.text[start:end])


def reject(document: Document, source: str, reason: str, remedy: str) -> Rejected:
    """Return the record of a document of `source` that was read, but could not be passed on."""
    return Rejected(
        source=source,
        place=f"document {document.id}",
        reason=reason,
        remedy=remedy,
        document_id=document.id,
        raw=document.text,
    )


def killer(document: Document, source: str) -> TaggedDocuments:
    """Return the rejected record of a document that killed every worker which had it alone."""
    reason = "two workers died of it, one after the other: killed, out of memory or over shard_timeout_s"
    remedy = "Replay it where there is more memory or time"
    return TaggedDocuments([], [reject(document, source, reason, remedy)], 0, 0)


def joined(parts: Sequence[TaggedDocuments]) -> TaggedDocuments:
    """Return several results as one."""
    return TaggedDocuments(
        [document for part in parts for document in part.documents],
        [record for part in parts for record in part.rejected],
        sum(part.sentences for part in parts),
        sum(part.words for part in parts),
        [line for part in parts for line in part.malformed],
    )
