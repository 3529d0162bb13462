"""Whether a Document keeps the promises of `raybio.entities`, for formats that can hold one that does not."""

from __future__ import annotations

from raybio.entities import Document, Sentence

LARGEST_VERSION = 2**31 - 1
"""Of a document; tables hold versions in 32 bits."""


def fault_of(document: Document) -> str:
    """Return what is wrong with `document` in one clause, or "" where nothing is.

    Looked at: mentions and words cover their text, passages lie inside it, gold spans lie
    inside their sentence, scores are probabilities, and tables can hold the version.
    """
    if not 0 <= document.version <= LARGEST_VERSION:
        return f"version {document.version} is not in [0, {LARGEST_VERSION}]"
    for mention in document.misplaced():
        found = document.text[mention.start : mention.end]
        return f"mention {mention.text!r} is not at [{mention.start}, {mention.end}): there stands {found!r}"
    for mention in document.mentions or ():
        if mention.start < 0 or (mention.score is not None and not 0 <= mention.score <= 1):
            return f"mention {mention.text!r} has start {mention.start} and score {mention.score}"
    for passage in document.passages:
        if not 0 <= passage.start <= passage.end <= len(document.text):
            return f"{passage.kind} [{passage.start}, {passage.end}) is not inside the text"
    return next(filter(None, (_fault_of_sentence(document, sentence) for sentence in document.sentences)), "")


def _fault_of_sentence(document: Document, sentence: Sentence) -> str:
    if len(sentence.words) != len(sentence.starts):
        return f"sentence {sentence.id} has {len(sentence.words)} words and {len(sentence.starts)} starts"
    for word, start in zip(sentence.words, sentence.starts, strict=True):
        if start < 0 or not document.text.startswith(word, start):
            return f"word {word!r} of sentence {sentence.id} is not at {start}"
    for span in sentence.gold or ():
        if not 0 <= span.start < span.end <= len(sentence):
            return f"{span} is not inside sentence {sentence.id}"
    return ""
