"""The label scheme of a file of words and tags, by the tags that are in it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from raybio.iob2 import OUTSIDE, is_tag, tags_from_spans
from raybio.label_schemes import SchemeName, UnknownSchemeError, recognise, spans_of, told_apart

# Of some hundred tags not all pairs occur; a file of more has something else in its last column.
_MAX_PAIRS = 100_000
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileScheme:
    """How the tags of a file are read: its scheme, and the tag of each that is not written as IOB2 has it."""

    name: SchemeName = "IOB2"
    tag_of: Mapping[str, str] | None = None

    def as_iob2(self, tags: list[str]) -> list[str]:
        """Return a sentence's tags as IOB2; those of an IOB2 file as they stand, legal or not."""
        if self.tag_of is None:
            return tags
        return tags_from_spans(spans_of([self.tag_of[tag] for tag in tags]), len(tags))


def scheme_of_file(sentences: Iterable[Sequence[str]], source: str, repair: bool) -> FileScheme:
    """Return the scheme of a file, by the tags of its sentences.

    IOB2 is also what is of no scheme: its reader names the first tag that does not fit. With `repair` an I-
    that begins an entity is a fault of IOB2, and never a sign of IOB1.
    """
    pairs: dict[tuple[str, str], None] = {}
    for tags in sentences:
        pairs.update(dict.fromkeys(pairwise(["", *tags])))
        if len(pairs) > _MAX_PAIRS:
            return FileScheme()
    names = list(dict.fromkeys(name for pair in pairs for name in pair if name))
    try:
        found = recognise(names)
    except UnknownSchemeError:
        return FileScheme()
    tag_of = dict(zip(names, found.tags, strict=True))
    name = found.name
    if name in ("IOB2", "IOB1") or (name == "IO" and all(map(is_tag, names))):
        name = told_apart((tag_of.get(before, OUTSIDE), tag_of[tag]) for before, tag in pairs)
        if name == "IOB2" or repair:
            return FileScheme("IOB2", None if all(map(is_tag, names)) else tag_of)
        logger.warning(
            "%s: the tags are read as IOB1: an I- begins an entity, and no B- does but right after one of "
            "its label. Where that is IOB2 with faults, convert it with --repair",
            source,
        )
    return FileScheme(name, tag_of)
