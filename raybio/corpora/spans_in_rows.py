"""Annotations that stand in a row beside its text, as exports of annotation tools have them.

    doccano    {"id": 1, "text": "...", "label": [[0, 7, "Chemical"]]}, or "labels", or with relations
               {"id": 1, "text": "...", "entities": [{"start_offset": 0, "end_offset": 7, "label": "Drug"}]}
    Prodigy    {"text": "...", "spans": [{"start": 0, "end": 7, "label": "Chemical"}], "answer": "accept"}

Offsets count Unicode code points of the one text, as these tools count them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raybio.corpora.limits import shown
from raybio.entities import Mention

_KEYS = ("label", "labels", "entities", "spans")
_STARTS = ("start", "start_offset")
_ENDS = ("end", "end_offset")


def spans_key(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the key under which rows have spans with labels, or "" where none has."""
    found = (
        key for row in rows for key in _KEYS if isinstance(row.get(key), list) and any(map(_span, row[key]))
    )
    return next(found, "")


def spans_of(row: Mapping[str, Any], key: str, text: str) -> tuple[Mention, ...]:
    """Return the mentions that a row has under `key`; none where it is null or not there.

    Raises:
        ValueError: it is no list of spans with labels inside the text, or the annotator did not accept it.
    """
    if (answer := row.get("answer", "accept")) != "accept":
        raise ValueError(f"the annotator's answer was {shown(answer)}, so that nobody says what is in it")
    mentions = []
    for each in row.get(key) or ():
        span = _span(each)
        if span is None:
            raise ValueError(f"{key}: {shown(each)} is no start, end and label")
        start, end, label = span
        if not 0 <= start < end <= len(text):
            raise ValueError(
                f"{key}: {start} to {end} is no part of the text, which has {len(text)} characters"
            )
        mentions.append(Mention(start, end, label, text[start:end]))
    return tuple(sorted(mentions, key=lambda mention: (mention.start, mention.end)))


def _span(value: object) -> tuple[int, int, str] | None:
    parts: Sequence[Any]
    if isinstance(value, Mapping):
        starts, ends = ([value[key] for key in keys if key in value] for keys in (_STARTS, _ENDS))
        parts = [*starts[:1], *ends[:1], value.get("label")]
    else:
        parts = value if isinstance(value, list) else ()
    match parts:
        case [int(start), int(end), str(label)] if label and bool not in (type(start), type(end)):
            return start, end, label
    return None
