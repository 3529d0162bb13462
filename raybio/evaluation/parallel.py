"""Check that gold and predicted tags stand side by side before anything is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from raybio.entities import Span
from raybio.errors import InputError
from raybio.iob2 import is_tag, not_a_tag, spans_from_tags

TagLists: TypeAlias = Sequence[Sequence[str]]


def read_parallel(gold: TagLists, predicted: TagLists) -> tuple[list[list[Span]], list[list[Span]]]:
    """Return the entities of each gold and each predicted sentence; an orphan `I-X` starts one.

    Raises:
        InputError: another number of sentences, or of words in one of them; names its index.
        TagError: a tag outside IOB2; names the index of its sentence and word. All indices are from 0.
    """
    _check_lengths(gold, predicted)
    _check_tags("gold", gold)
    _check_tags("predicted", predicted)
    return [spans_from_tags(tags) for tags in gold], [spans_from_tags(tags) for tags in predicted]


def check_documents(documents: Sequence[str], sentences: int) -> None:
    """Refuse document ids that are not one for each sentence.

    Raises:
        InputError: names the index of the first sentence without an id, or id without a sentence.
    """
    if len(documents) != sentences:
        raise InputError(
            "documents",
            f"sentence index {min(len(documents), sentences)}",
            f"{len(documents)} document ids for {sentences} sentences",
            "Give one document id for each sentence, or none at all",
        )


def _check_lengths(gold: TagLists, predicted: TagLists) -> None:
    if len(gold) != len(predicted):
        raise InputError(
            "predicted",
            f"sentence index {min(len(gold), len(predicted))}",
            f"{len(predicted)} predicted sentences for {len(gold)} gold sentences",
            "Predict every gold sentence once, in the same order and with the same sentence breaks",
        )
    for index, (ours, theirs) in enumerate(zip(gold, predicted, strict=True)):
        if len(ours) != len(theirs):
            raise InputError(
                "predicted",
                f"sentence index {index}",
                f"{len(theirs)} predicted tags for {len(ours)} gold words",
                "Predict one tag for each word of the gold sentence",
            )


def _check_tags(source: str, sentences: TagLists) -> None:
    wrong = {tag for tag in set().union(*sentences) if not is_tag(tag)}
    if not wrong:
        return
    index, word, tag = next(
        (index, word, tag)
        for index, tags in enumerate(sentences)
        for word, tag in enumerate(tags)
        if tag in wrong
    )
    raise not_a_tag(tag, source, f"sentence index {index}, word index {word}")
