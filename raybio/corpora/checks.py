"""Whether a Document keeps the promises of `raybio.entities`, for formats that can hold one that does not."""

from __future__ import annotations

from raybio.corpora.limits import shown
from raybio.entities import Document, Sentence

LARGEST_VERSION = 2**31 - 1
"""Of a document; tables hold versions in 32 bits."""


def fault_of(document: Document) -> str:
    """Return what is wrong with `document` in one clause, or "" where nothing is.

    Looked at: mentions have a label, they and words cover their text, passages lie inside it, gold spans lie
    inside their sentence, scores are probabilities, and tables can hold the version.
    """
    if not 0 <= document.version <= LARGEST_VERSION:
        return f"version {document.version} is not in [0, {LARGEST_VERSION}]"
    for mention in document.misplaced():
        found = shown(document.text[mention.start : mention.end])
        place = f"[{mention.start}, {mention.end})"
        return f"mention {shown(mention.text)} is not at {place}: there stands {found}"
    for mention in document.mentions or ():
        if mention.start < 0 or (mention.score is not None and not 0 <= mention.score <= 1):
            return f"mention {shown(mention.text)} has start {mention.start} and score {mention.score}"
        # A slice forgives what lies past the text.
        if mention.end != mention.start + len(mention.text) or mention.end > len(document.text):
            return f"mention {shown(mention.text)} does not fill [{mention.start}, {mention.end})"
        if mention.start == mention.end:
            return f"a mention at {mention.start} is empty"
        if not mention.label:
            return f"mention {shown(mention.text)} has no label"
    for passage in document.passages:
        if not 0 <= passage.start <= passage.end <= len(document.text):
            return f"{passage.kind[:80]} [{passage.start}, {passage.end}) is not inside the text"
    return next(filter(None, (_fault_of_sentence(document, sentence) for sentence in document.sentences)), "")


def _fault_of_sentence(document: Document, sentence: Sentence) -> str:
    if len(sentence.words) != len(sentence.starts):
        counts = f"{len(sentence.words)} words and {len(sentence.starts)} starts"
        return f"sentence {sentence.id[:80]} has {counts}"
    for word, start in zip(sentence.words, sentence.starts, strict=True):
        if start < 0 or not document.text.startswith(word, start):
            return f"word {shown(word)} of sentence {sentence.id[:80]} is not at {start}"
    for span in sentence.gold or ():
        if not 0 <= span.start < span.end <= len(sentence):
            return f"{shown(span)} is not inside sentence {sentence.id[:80]}"
    return ""
