"""Text for corpora that bring only words: words joined by one space, sentences by one newline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raybio.entities import Mention, Sentence


def lay_out(sentences: Iterable[Sequence[str]]) -> tuple[str, list[tuple[int, ...]]]:
    """Return the text of some sentences' words, and for each sentence where its words start in it."""
    lines: list[str] = []
    starts: list[tuple[int, ...]] = []
    position = 0
    for words in sentences:
        line_starts = []
        for word in words:
            line_starts.append(position)
            position += len(word) + 1
        starts.append(tuple(line_starts))
        lines.append(" ".join(words))
    return "\n".join(lines), starts


def gold_mentions(text: str, sentences: Iterable[Sentence]) -> tuple[Mention, ...]:
    """Return the gold spans of `sentences` as mentions of `text`, in order."""
    mentions = []
    for sentence in sentences:
        for span in sentence.gold or ():
            start, end = sentence.characters(span)
            mentions.append(Mention(start, end, span.label, text[start:end]))
    return tuple(mentions)
