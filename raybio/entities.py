"""The nouns that travel: Document, Passage, Sentence, Span, Mention, and a record's other fates.

Positions are half-open everywhere. A `Span` counts words; a `Mention` counts Unicode code
points of its document's text, so that `document.text[mention.start:mention.end]` is always
`mention.text`. All are immutable, hashable where their fields are, and cheap to pickle.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from raybio.safe_text import without_secrets

AttributeValue: TypeAlias = "str | tuple[str, ...]"
Infons: TypeAlias = Mapping[str, Any]
"""What a format says of a passage, mention or relation besides its fields: values as JSON has them."""

_NO_INFONS: Infons = {}


def _no_infons() -> Infons:
    # One for all: millions of mentions would have an empty dict each.
    return _NO_INFONS


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Words `[start, end)` of one sentence, with a label such as "Disease"."""

    start: int
    end: int
    label: str

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Mention:
    """Characters `[start, end)` of a document's text, with a label.

    `score` is the tagger's probability in [0, 1], or None where nobody gave one. `concept`
    is a database identifier ("MESH:D003693"). `id` names the annotation in formats that
    name them; mentions of one document that share a non-empty `id` are the parts of one
    discontinuous annotation. `infons` is what its format says of it besides (a column after the
    concept, the species of a gene); it travels untouched, and writers use what they have room for.
    """

    start: int
    end: int
    label: str
    text: str
    score: float | None = None
    concept: str = ""
    id: str = ""
    infons: Infons = field(default_factory=_no_infons, hash=False)


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation between annotations or concepts: `arguments` are (role, reference) pairs.

    A reference is the `id` or the `concept` of a mention. `infons` are as a mention's.
    """

    label: str
    arguments: tuple[tuple[str, str], ...]
    id: str = ""
    infons: Infons = field(default_factory=_no_infons, hash=False)


@dataclass(frozen=True, slots=True)
class Passage:
    """Characters `[start, end)` of a document's text that belong together.

    `kind` is "title", "abstract", "vernacular_title", "other_abstract", "text", or what a BioC or JSONL
    file calls it ("fig_caption"); `label` is a section's own heading ("METHODS"); `language` an ISO 639-2
    code where known ("eng"). `infons` are as a mention's.
    """

    start: int
    end: int
    kind: str
    label: str = ""
    language: str = ""
    infons: Infons = field(default_factory=_no_infons, hash=False)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words in order, with where each starts in the document's text (code points).

    A word is an exact piece of that text: word i covers `[starts[i], starts[i] + len(words[i]))`.
    `gold` holds the annotated spans, or None where nobody annotated the sentence.
    """

    id: str
    words: tuple[str, ...]
    starts: tuple[int, ...]
    document_id: str = ""
    gold: tuple[Span, ...] | None = None

    def __len__(self) -> int:
        return len(self.words)

    def characters(self, span: Span) -> tuple[int, int]:
        """Return the `[start, end)` characters that `span`'s words cover in the document."""
        last = span.end - 1
        return self.starts[span.start], self.starts[last] + len(self.words[last])


@dataclass(frozen=True, slots=True)
class Document:
    """One text with its passages and what is annotated in it.

    `text` is the whole text; passages are pieces of it, in order, and need not cover it.
    `mentions` is None where nobody annotated the document, and empty where somebody found
    nothing. `sentences` is filled by formats that bring their own words (IOB2, ChemProt);
    others leave it empty and `corpora.sentences` finds them. `attributes` carries what a
    format knows besides (journal, year, MeSH terms), as strings or tuples of strings, and `extra`,
    by the name of the format, what it says that is none of all these (brat's events, a collection's
    infons), as JSON has it: its writer puts that back where it stood.
    """

    id: str
    text: str
    passages: tuple[Passage, ...] = ()
    mentions: tuple[Mention, ...] | None = None
    sentences: tuple[Sentence, ...] = ()
    relations: tuple[Relation, ...] = ()
    version: int = 1
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=_no_infons)

    def passage_text(self, passage: Passage) -> str:
        """Return the characters of `passage`."""
        return self.text[passage.start : passage.end]

    def with_labels(self, names: Mapping[str, str | None]) -> Document:
        """Return the document with the labels that `names` has replaced in its mentions and gold spans.

        What has a label that becomes None is left out.
        """

        def renamed(annotations: Iterable[Any]) -> tuple[Any, ...]:
            labels = ((each, names.get(each.label, each.label)) for each in annotations)
            return tuple(replace(each, label=label) for each, label in labels if label is not None)

        mentions = None if self.mentions is None else renamed(self.mentions)
        sentences = tuple(
            sentence if sentence.gold is None else replace(sentence, gold=renamed(sentence.gold))
            for sentence in self.sentences
        )
        return replace(self, mentions=mentions, sentences=sentences)

    def marked(self) -> str:
        """Return the text with each mention in brackets: "[Naloxone|Chemical] reverses ..."."""
        return self._with_marks(str, lambda text, mention: f"[{text}|{mention.label}]")

    def _repr_html_(self) -> str:
        """Return the text with its mentions marked, for a notebook."""

        def mark(text: str, mention: Mention) -> str:
            score = "" if mention.score is None else f" {mention.score:.2f}"
            label = html.escape(mention.label)
            return (
                f'<mark title="{mention.start} to {mention.end}{score}">{text} <small>{label}</small></mark>'
            )

        marked = self._with_marks(html.escape, mark)
        return f'<div style="white-space: pre-wrap; line-height: 1.7">{marked}</div>'

    def _with_marks(self, plain: Callable[[str], str], mark: Callable[[str, Mention], str]) -> str:
        """Return the text, `plain` between mentions; of those that overlap, the first is marked."""
        pieces, at = [], 0
        for mention in sorted(self.mentions or (), key=lambda each: (each.start, -each.end)):
            if mention.start >= at:
                pieces += [plain(self.text[at : mention.start])]
                pieces += [mark(plain(self.text[mention.start : mention.end]), mention)]
                at = mention.end
        return "".join([*pieces, plain(self.text[at:])])

    def misplaced(self) -> Iterator[Mention]:
        """Yield the mentions whose offsets do not cover their text (there should be none)."""
        for mention in self.mentions or ():
            if self.text[mention.start : mention.end] != mention.text:
                yield mention


@dataclass(frozen=True, slots=True)
class Rejected:
    """An input record that could not be read or tagged, kept so that it can be replayed.

    `place` is the line, byte or record number in `source`; `raw` is the record as it stood,
    decoded as far as it can be; `remedy` says what its owner can do. A URL's credentials are left out
    of all but `raw`, since rejected records are written into files.
    """

    source: str
    place: str
    reason: str
    remedy: str = ""
    document_id: str = ""
    raw: str = ""

    def __post_init__(self) -> None:
        for name in ("source", "place", "reason", "remedy"):
            object.__setattr__(self, name, without_secrets(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Deletion:
    """A notice that a document was withdrawn (PubMed's `DeleteCitation`)."""

    document_id: str
    version: int = 1


Record: TypeAlias = "Document | Rejected | Deletion"
