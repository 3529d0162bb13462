r"""The lines of brat's `.ann`, `.a1` and `.a2` files <-> mentions, relations, and lines of other kinds.

Events, attributes, notes, equivalences, and normalisations that say more than a mention's concept are
kept as the lines they are. They name annotations ("T7"), so that each is written again as long as all
that it names is, under the same name.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter

from raybio.corpora.standoff import check_inside, disagreement, integer, joined_as, probability
from raybio.entities import Mention, Relation

_KEPT = "EAM*"
DATABASE_ID = re.compile(r"[^\s:]+:\S+")
"""A concept as brat's normalisations have it."""
LINE_BREAKS = re.compile(r"[\r\n]+")
_BREAK_AS_SPACE = str.maketrans("\r\n", "  ")
Fragments = list[tuple[int, int]]


@dataclass
class Annotations:
    """What the annotation files of one text say, by the name of each annotation ("T1")."""

    text: str
    places: dict[str, tuple[str, Fragments, str]] = field(default_factory=dict)
    concepts: dict[str, list[str]] = field(default_factory=dict)
    normalisations: dict[str, list[str]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def read(self, line: str) -> None:
        """Take the next line.

        Raises:
            ValueError: it is none of brat's, or names a place that is not in the text.
        """
        if not line.strip():
            return
        name, body, said = [*line.split("\t", 2), "", ""][:3]
        words = body.split(" ")
        if line[0] in _KEPT:
            self.kept.append(line)
        elif name[0] == "T":
            if name in self.places:
                raise ValueError(f"there are two annotations {name}")
            fragments = _fragments(" ".join(words[1:]), said, self.text)
            if not words[0]:
                raise ValueError(f"the annotation {name} has no label")
            self.places[name] = words[0], fragments, said
        elif name[0] == "N" and len(words) == 3:
            self.kept.append(line)
            if words[1].startswith("T"):
                self.concepts.setdefault(words[1], []).append(words[2])
                self.normalisations.setdefault(words[1], []).append(line)
        elif name[0] == "R" and len(words) == 3:
            self.relations.append(Relation(words[0], (_argument(words[1]), _argument(words[2])), name))
        elif name[0] == "#" and len(words) == 2:
            self._note(line, words[0], words[1], said)
        else:
            raise ValueError(f"{line[:80]!r} is not a line of brat's")

    def mentions(self) -> Iterator[Mention]:
        """Yield the mentions: one for each fragment of an annotation.

        Raises:
            ValueError: a concept or score is of no annotation.
        """
        for name in {**self.concepts, **self.scores}:
            if name not in self.places:
                raise ValueError(f"{name} has a concept or score but no annotation")
        breaks = [match.span() for match in LINE_BREAKS.finditer(self.text)]
        for name, (label, fragments, _) in self.places.items():
            score, concept = self.scores.get(name), "|".join(self.concepts.get(name, ()))
            for start, end in _joined(fragments, breaks):
                yield Mention(start, end, label, self.text[start:end], score, concept, name)

    def other_lines(self) -> list[str]:
        """Return the lines that mentions and relations do not say again."""
        said_again = {
            lines[0]
            for name, lines in self.normalisations.items()
            if len(lines) == 1 and _is_ours(lines[0], self.places[name][2])
        }
        return [line for line in self.kept if line not in said_again]

    def _note(self, line: str, kind: str, name: str, said: str) -> None:
        if kind == "Concept":
            self.concepts[name] = [said]
        elif kind == "Score":
            self.scores[name] = probability(said)
        else:
            self.kept.append(line)


def _is_ours(line: str, said: str) -> bool:
    """Say whether a normalisation is as `brat_writing` writes it, its number aside."""
    _, body, words = [*line.split("\t", 2), "", ""][:3]
    kind, _, concept = body.split(" ")
    return kind == "Reference" and words == said and DATABASE_ID.fullmatch(concept) is not None


def _fragments(places: str, said: str, text: str) -> Fragments:
    """Read "0 5;16 23" and check it against the words it is said to cover."""
    fragments: Fragments = []
    for place in places.split(";"):
        start, _, end = place.partition(" ")
        fragments.append((integer(start, "start"), integer(end, "end")))
        check_inside(text, *fragments[-1])
    # A carriage return within a fragment is a space in some files, and itself in others.
    if not any(joined_as(said, text, fragments, " ", changed) for changed in (_BREAK_AS_SPACE, None)):
        first, last = fragments[0][0], fragments[-1][1]
        raise disagreement(first, last, said, " ".join(text[start:end] for start, end in fragments[:1]))
    return fragments


def _argument(word: str) -> tuple[str, str]:
    role, colon, reference = word.partition(":")
    if not colon:
        raise ValueError(f"the argument {word!r} does not read ROLE:NAME")
    return role, reference


def _joined(fragments: Fragments, breaks: Fragments) -> Fragments:
    """Join the fragments that only line breaks part: they are one mention over several lines."""
    joined = fragments[:1]
    for start, end in fragments[1:]:
        before = joined[-1][1]
        run = bisect_right(breaks, before, key=itemgetter(0)) - 1
        if before < start and run >= 0 and start <= breaks[run][1]:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined
