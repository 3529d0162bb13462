"""The outcome of each entity of a scored split, and examples of what went wrong.

Entities are paired as the corrected scorer pairs them for its strict measure, so that the counts
add up to that scorer's: correct, incorrect (three kinds of it here), missed and spurious.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from raybio.entities import Span
from raybio.evaluation.semeval import overlap, pair_sentence, same_label, same_words
from raybio.iob2 import spans_from_tags
from raybio.reports.blocks import Example, Piece
from raybio.reports.sources import TaggedSentence

_CONTEXT = 8


class Outcome(StrEnum):
    """The outcome of an entity."""

    CORRECT = "correct"
    BOUNDARY = "wrong boundary"
    LABEL = "wrong label"
    BOTH = "wrong boundary and label"
    MISSED = "missed"
    SPURIOUS = "spurious"


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair of entities of sentence `sentence` (its index); None where one has no partner."""

    sentence: int
    gold: Span | None
    predicted: Span | None
    outcome: Outcome


def judge_sentences(sentences: Sequence[TaggedSentence]) -> list[Judged]:
    """Pair and judge the entities of all sentences, in order of sentences."""
    judged = []
    for index, sentence in enumerate(sentences):
        gold, predicted = spans_from_tags(sentence.gold), spans_from_tags(sentence.predicted)
        for ours, theirs in pair_sentence(gold, predicted, overlap, once=True):
            judged.append(Judged(index, ours, theirs, _outcome(ours, theirs)))
    return judged


def _outcome(gold: Span | None, predicted: Span | None) -> Outcome:
    if gold is None:
        return Outcome.SPURIOUS
    if predicted is None:
        return Outcome.MISSED
    if same_words(gold, predicted):
        return Outcome.CORRECT if same_label(gold, predicted) else Outcome.LABEL
    return Outcome.BOUNDARY if same_label(gold, predicted) else Outcome.BOTH


def choose_examples(judged: Iterable[Judged], outcome: Outcome, count: int) -> list[Judged]:
    """Return up to `count` of an outcome, evenly spaced and each from a sentence of its own."""
    by_sentence = {each.sentence: each for each in judged if each.outcome is outcome}
    found = list(by_sentence.values())
    step = max(1, len(found) / count)
    return [found[int(i * step)] for i in range(min(count, len(found)))]


def frequent_texts(
    sentences: Sequence[TaggedSentence], judged: Iterable[Judged], outcome: Outcome, count: int
) -> list[tuple[str, str, int]]:
    """Return the (text, label, number) most often missed or spurious, most frequent first."""
    texts: Counter[tuple[str, str]] = Counter()
    for each in judged:
        span = each.gold or each.predicted
        if each.outcome is outcome and span:
            words = sentences[each.sentence].words[span.start : span.end]
            texts[" ".join(words), span.label] += 1
    ranked = sorted(texts.items(), key=lambda item: (-item[1], item[0]))
    return [(text, label, number) for (text, label), number in ranked[:count]]


def verdict(judged: Judged) -> str:
    """Return the remark at an entity: what is wrong with it, or ""."""
    return "" if judged.outcome is Outcome.CORRECT else judged.outcome.value


def example(sentences: Sequence[TaggedSentence], judged: Sequence[Judged], shown: Judged) -> Example:
    """Return the words around an error, gold and predicted, each entity with its verdict."""
    here = [each for each in judged if each.sentence == shown.sentence]
    gold = [(each.gold, verdict(each)) for each in here if each.gold]
    return show_sides(sentences[shown.sentence].words, shown, gold, [("predicted", here)])


def show_sides(
    words: Sequence[str],
    shown: Judged,
    gold: Sequence[tuple[Span, str]],
    others: Sequence[tuple[str, Sequence[Judged]]],
) -> Example:
    """Return the words around an error: gold with its remarks, then what each of `others` predicts there."""
    sides = [("gold", gold)]
    sides += [(name, [(j.predicted, verdict(j)) for j in judged if j.predicted]) for name, judged in others]
    around = [span for span in (shown.gold, shown.predicted) if span]
    start, end = _window(around, [span for _, side in sides for span, _ in side], len(words))
    return Example(tuple((name, tuple(_pieces(words, side, start, end))) for name, side in sides))


def _window(spans: Iterable[Span], others: Iterable[Span], length: int) -> tuple[int, int]:
    """Return the words to show: those around `spans`, and no entity of `others` cut in two."""
    start = max(0, min(span.start for span in spans) - _CONTEXT)
    end = min(length, max(span.end for span in spans) + _CONTEXT)
    for span in sorted(others):
        if span.start < end < span.end:
            end = span.end
    for span in sorted(others, reverse=True):
        if span.start < start < span.end:
            start = span.start
    return start, end


def _pieces(
    words: Sequence[str], entities: Iterable[tuple[Span, str]], start: int, end: int
) -> Iterator[Piece]:
    """Yield the words `[start, end)` as pieces, entities apart, with marks where words are left out."""
    at = start
    if start > 0:
        yield Piece("… ")
    for span, remark in sorted(entities):
        if span.start < at or span.end > end:
            continue
        if span.start > at:
            yield Piece(" ".join(words[at : span.start]) + " ")
        yield Piece(" ".join(words[span.start : span.end]), span.label, remark)
        if span.end < len(words):
            yield Piece(" ")
        at = span.end
    if at < end:
        yield Piece(" ".join(words[at:end]) + (" " if end < len(words) else ""))
    if end < len(words):
        yield Piece("…")
