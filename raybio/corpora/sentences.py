"""Documents -> their sentences in words, with exact offsets; and annotated mentions -> gold spans."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import attrgetter
from typing import Literal, NamedTuple

from raybio.corpora.splitting import WORD, split_sentences, split_words
from raybio.entities import Document, Mention, Passage, Sentence, Span
from raybio.iob2 import flatten_spans


@dataclass(frozen=True, slots=True)
class Misalignment:
    """A mention that words and sentences do not fit, and whether a gold span stands for it all the same."""

    mention: Mention
    reason: Literal["off word boundaries", "across sentences", "outside sentences", "overlapped"]
    kept: bool


def split_document(
    document: Document,
    skipped: Collection[str] = (),
    on_misaligned: Callable[[Misalignment], None] | None = None,
) -> tuple[Sentence, ...]:
    """Return the sentences of `document`, passage by passage; offsets count in `document.text`.

    Sentences that the document brings along are returned as they are. Otherwise each passage is
    split on its own (a document without passages is one passage of kind "text"), and where the
    document is annotated its mentions become gold spans by the rules of `align_mentions`, which
    tells `on_misaligned` of those that do not fit. Passages of the `skipped` kinds have none.
    Sentence ids are "DOCUMENT:N", N from 0.
    """
    if document.sentences:
        return document.sentences
    passages = document.passages or (Passage(0, len(document.text), "text"),)
    pieces = (
        (passage.start + start, passage.start + end)
        for passage in passages
        if passage.kind not in skipped
        for start, end in split_sentences(document.passage_text(passage))
    )
    sentences = tuple(_sentence(document, number, *piece) for number, piece in enumerate(pieces))
    if document.mentions is None:
        return sentences
    return align_mentions(document.mentions, sentences, on_misaligned)


def with_sentences(
    documents: Iterable[Document],
    skipped: Collection[str] = (),
    on_misaligned: Callable[[Misalignment], None] | None = None,
) -> Iterator[Document]:
    """Yield `documents` with the sentences of `split_document`, which columns of words need; else none."""
    for document in documents:
        if sentences := split_document(document, skipped, on_misaligned):
            yield replace(document, sentences=sentences)


def with_mentions(document: Document, mentions: Iterable[Mention]) -> Document:
    """Return `document` with `mentions` in place of its own, and as the spans of sentences that it brings.

    Its relations, which were between the mentions that it had, are left out.
    """
    found = tuple(mentions)
    return replace(
        document, mentions=found, sentences=align_mentions(found, document.sentences), relations=()
    )


def window_document(
    document: Document, words: int, on_misaligned: Callable[[Misalignment], None] | None = None
) -> tuple[Sentence, ...]:
    """Return `document` in windows of `words` words, the last one shorter; passages do not count.

    The study cut BioRED by a rule that it did not publish. Windows of 145 words come nearest to its
    Table I: 273 for test, as printed, and 1,326 for train and dev together, where 1,320 are. Mentions
    become gold spans as in `split_document`: one across a seam is lost, and passed to `on_misaligned`.
    """
    found = split_words(document.text)
    cuts = [(found[i][0], found[min(i + words, len(found)) - 1][1]) for i in range(0, len(found), words)]
    pieces = tuple(_sentence(document, number, *cut) for number, cut in enumerate(cuts))
    return pieces if document.mentions is None else align_mentions(document.mentions, pieces, on_misaligned)


def align_mentions(
    mentions: Iterable[Mention],
    sentences: Sequence[Sentence],
    on_misaligned: Callable[[Misalignment], None] | None = None,
) -> tuple[Sentence, ...]:
    """Return `sentences`, which are in order of text, with the gold spans of `mentions`.

    A span takes every word that its mention touches, so a mention that begins or ends inside a
    word grows to the whole word. A mention across two sentences, or in none, gives no span. Of
    spans that overlap, `iob2.flatten_spans` keeps the longest. Mentions of the same words and
    label (one name, two concepts) share one span; each part of a discontinuous annotation has
    its own. `on_misaligned` hears of every mention that gave no span or one of other characters.
    """
    report = on_misaligned or (lambda _: None)
    words = [
        _Word(start, start + len(word), number, position)
        for number, sentence in enumerate(sentences)
        for position, (word, start) in enumerate(zip(sentence.words, sentence.starts, strict=True))
    ]
    placed: list[dict[Mention, Span]] = [{} for _ in sentences]
    for mention in mentions:
        first = bisect_right(words, mention.start, key=_end)
        last = bisect_left(words, mention.end, key=_start) - 1
        if first > last or mention.start >= mention.end:
            report(Misalignment(mention, "outside sentences", kept=False))
        elif words[first].sentence != words[last].sentence:
            report(Misalignment(mention, "across sentences", kept=False))
        else:
            span = Span(words[first].position, words[last].position + 1, mention.label)
            placed[words[first].sentence][mention] = span
    return tuple(_with_gold(*pair, report) for pair in zip(sentences, placed, strict=True))


class _Word(NamedTuple):
    start: int
    end: int
    sentence: int
    position: int


_start, _end = attrgetter("start"), attrgetter("end")


def _with_gold(
    sentence: Sentence, placed: Mapping[Mention, Span], report: Callable[[Misalignment], None]
) -> Sentence:
    kept, overlapped = flatten_spans(placed.values())
    dropped = set(overlapped)
    for mention, span in placed.items():
        if span in dropped:
            report(Misalignment(mention, "overlapped", kept=False))
        elif sentence.characters(span) != (mention.start, mention.end):
            report(Misalignment(mention, "off word boundaries", kept=True))
    return replace(sentence, gold=tuple(kept))


def _sentence(document: Document, number: int, start: int, end: int) -> Sentence:
    # White space, word, white space, word, ..., white space; and where each of them starts, and all end.
    pieces = WORD.split(document.text[start:end])
    positions = tuple(accumulate(map(len, pieces), initial=start))
    return Sentence(
        id=f"{document.id}:{number}",
        words=tuple(pieces[1::2]),
        starts=positions[1:-1:2],
        document_id=document.id,
    )
