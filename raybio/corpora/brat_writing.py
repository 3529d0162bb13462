"""Mentions, relations and kept lines -> the lines of an `.ann` file; `brat_lines` reads them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count

from raybio.corpora.brat_lines import DATABASE_ID, LINE_BREAKS
from raybio.corpora.losses import parts_of, unheld_passages
from raybio.corpora.standoff import annotation_parts, cannot_hold, in_order
from raybio.entities import Document, Mention, Relation

_NOTE = "note"
_ONE_WORD = re.compile(r"\S+")
_LINE = re.compile(r"[^\r\n]+")
_OWN_ID = re.compile(r"T[0-9]+")
_HELD = (
    "mentions", "scores of mentions", "concepts of mentions", "discontinuous mentions",
    "relations", "roles of relations", "ids of relations", "passages",
)  # fmt: skip


def lines_of(document: Document) -> list[str]:
    """Return the lines of a document's `.ann` file.

    Raises:
        FormatError: brat cannot hold a label, role, concept or place.
    """
    return _Lines(document).all()


def losses(document: Document) -> Counter[str]:
    """Count what `lines_of` and the text leave out of a document, by kind."""
    found = parts_of(document, _HELD)
    written = _Lines(document)
    whole = {(0, len(document.text), "text")} if document.text else set()
    found["passages"] = unheld_passages(document, whole)
    found["ids of mentions"] = sum(
        bool(each.id) and not _OWN_ID.fullmatch(each.id) for each in document.mentions or ()
    )
    found["relations"] = len(document.relations) - len(written.relations)
    found["notes of relations"] = sum(len(relation.arguments) > 2 for relation, _ in written.relations)
    found["events, attributes and notes"] -= len(written.kept)
    return +found


class _Lines:
    """A document's annotations under the names that they are written with."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.groups = annotation_parts(in_order(document.mentions or ()))
        ids = [parts[0].id for parts in self.groups]
        self.names = _names("T", ids)
        # Where mentions of one id differ in label, the first keeps the name, as with one concept.
        self.named: dict[str, str] = {}
        for name, parts in zip(self.names[::-1], self.groups[::-1], strict=True):
            self.named[parts[0].concept] = name
        for name, parts in zip(self.names[::-1], self.groups[::-1], strict=True):
            self.named[parts[0].id] = name
        self.named.pop("", None)
        own = {name for name, each in zip(self.names, ids, strict=True) if name == each}
        concepts = {name: parts[0].concept for name, parts in zip(self.names, self.groups, strict=True)}
        lines = [line for line in document.extra.get("brat", ()) if isinstance(line, str)]
        stale = _stale_normalisations(lines, concepts)
        lines = [line for line in lines if line not in stale]
        related = {each.id for each in document.relations}
        self.kept = _still_true(lines, own | related)
        self.events = {_name_of(line) for line in self.kept}
        self.relations = list(self._relations())

    def all(self) -> list[str]:
        """Return every line."""
        return [*self._mention_lines(), *self._relation_lines(), *self.kept]

    def _mention_lines(self) -> Iterator[str]:
        normalised = {_references(line)[0] for line in self.kept if line[0] == "N"}
        numbers = (str(number) for number in count(1) if not {f"N{number}", f"#{number}"} & self.events)
        for name, parts in zip(self.names, self.groups, strict=True):
            first = parts[0]
            fragments = [fragment for part in parts for fragment in _cut(self.document, part)]
            places = ";".join(f"{start} {end}" for start, end in fragments)
            said = " ".join(self.document.text[start:end] for start, end in fragments)
            yield f"{name}\t{_word(self.document, first.label)} {places}\t{said}"
            if name not in normalised and DATABASE_ID.fullmatch(first.concept):
                yield f"N{next(numbers)}\tReference {name} {first.concept}\t{said}"
            elif name not in normalised and first.concept:
                yield f"#{next(numbers)}\tConcept {name}\t{_line(self.document, first.concept)}"
            if first.score is not None:
                yield f"#{next(numbers)}\tScore {name}\t{first.score!r}"

    def _relations(self) -> Iterator[tuple[Relation, list[tuple[str, str]]]]:
        """Yield the relations of two annotations (and a note, maybe), and those with their roles."""
        for relation in self.document.relations:
            ends = [
                (role or f"Arg{place}", reference if reference in self.events else self.named[reference])
                for place, (role, reference) in enumerate(relation.arguments[:2], start=1)
                if reference in self.events or reference in self.named
            ]
            if len(ends) == 2 and all(role == _NOTE for role, _ in relation.arguments[2:]):
                yield relation, ends

    def _relation_lines(self) -> Iterator[str]:
        names = _names("R", [relation.id for relation, _ in self.relations])
        for name, (relation, ends) in zip(names, self.relations, strict=True):
            said = " ".join(f"{_word(self.document, role, ':')}:{reference}" for role, reference in ends)
            yield f"{name}\t{_word(self.document, relation.label)} {said}"


def _name_of(line: str) -> str:
    return line.split("\t", 1)[0]


def _references(line: str) -> list[str]:
    """Return the names of what a line of another kind is about."""
    body = [*line.split("\t"), ""][1].split()
    if line[0] == "E":
        return [word.partition(":")[2] for word in body]
    return body[1:] if line[0] == "*" else body[1:2]


def _still_true(lines: Sequence[str], known: set[str]) -> list[str]:
    """Return the lines all of whose references are `known`, or names of such lines."""
    kept = list(lines)
    while True:
        names = known | {_name_of(line) for line in kept}
        good = [line for line in kept if names.issuperset(_references(line))]
        if len(good) == len(kept):
            return good
        kept = good


def _stale_normalisations(lines: Sequence[str], concepts: dict[str, str]) -> set[str]:
    """Return the normalisations among `lines` that are no longer a mention's concept."""
    said: dict[str, list[str]] = {}
    for line in lines:
        words = [*line.split("\t"), ""][1].split(" ")
        if line[0] == "N" and len(words) == 3 and words[1] in concepts:
            said.setdefault(words[1], []).append(line)
    return {
        line
        for name, found in said.items()
        if "|".join(each.split("\t")[1].split(" ")[2] for each in found) != concepts[name]
        for line in found
    }


def _names(letter: str, ids: list[str]) -> list[str]:
    """Keep the ids that are names in brat ("T7"), each once, and number the others around them."""
    own = re.compile(rf"{letter}[0-9]+")
    taken = set(ids)
    free = (name for i in count(1) if (name := f"{letter}{i}") not in taken)
    given: set[str] = set()
    names = []
    for name in ids:
        names.append(name if own.fullmatch(name) and name not in given else next(free))
        given.add(name)
    return names


def _cut(document: Document, mention: Mention) -> Iterator[tuple[int, int]]:
    """Cut a mention into the fragments that lie in one line each."""
    if mention.text[0] in "\r\n" or mention.text[-1] in "\r\n":
        problem = f"a mention that begins or ends with a line break, {mention.text!r}"
        raise cannot_hold("brat", document, problem, "Trim the mention")
    return (match.span() for match in _LINE.finditer(document.text, mention.start, mention.end))


def _word(document: Document, word: str, forbidden: str = "") -> str:
    if _ONE_WORD.fullmatch(word) and not (forbidden and forbidden in word):
        return word
    raise cannot_hold("brat", document, f"{word!r} as a label or role", "Use one word, roles without ':'")


def _line(document: Document, line: str) -> str:
    if LINE_BREAKS.search(line):
        raise cannot_hold("brat", document, f"the concept {line!r}", "Use a concept without line breaks")
    return line
