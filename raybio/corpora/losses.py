"""What documents hold besides their text, counted by kind: what a format may have no place for.

A format's module says of a document what it would lose there: a function `losses(document)` that returns
a Counter, from `parts_of` without the kinds that the format holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from raybio.corpora.infons import OURS
from raybio.corpora.standoff import annotation_parts
from raybio.entities import Document, Mention, Passage, Relation

_EXTRA = {"bioc": "parts of BioC files", "brat": "events, attributes and notes"}


def parts_of(document: Document, held: Collection[str] = ()) -> Counter[str]:
    """Return how often `document` has each kind of part, those that are `held` left out."""
    passages, mentions = document.passages, document.mentions or ()
    nouns: list[Passage | Mention | Relation] = [*passages, *mentions, *document.relations]
    found = {
        "attributes of documents": len(document.attributes),
        "versions of documents": document.version != 1,
        "passages": len(passages),
        "labels of passages": sum(bool(each.label) for each in passages),
        "languages of passages": sum(bool(each.language) for each in passages),
        "infons of passages": sum(map(_infons, passages)),
        "mentions": len(mentions),
        "scores of mentions": sum(each.score is not None for each in mentions),
        "concepts of mentions": sum(bool(each.concept) for each in mentions),
        "ids of mentions": sum(bool(each.id) for each in mentions),
        "infons of mentions": sum(_infons(each, each.label, each.concept) for each in mentions),
        "discontinuous mentions": sum(len(parts) > 1 for parts in annotation_parts(mentions)),
        "relations": len(document.relations),
        "roles of relations": sum(
            bool(role) for relation in document.relations for role, _ in relation.arguments
        ),
        "ids of relations": sum(bool(each.id) for each in document.relations),
        "infons of relations": sum(
            _infons(each, each.label, *(reference for _, reference in each.arguments))
            for each in document.relations
        ),
        "sentences and words": len(document.sentences),
        **{_EXTRA.get(name, f"what {name} says besides"): len(said) for name, said in document.extra.items()},
    }
    counts = Counter({kind: int(count) for kind, count in found.items()})
    counts[_EXTRA["bioc"]] += sum(map(_parts_of_bioc, nouns))
    return Counter({kind: count for kind, count in counts.items() if count and kind not in held})


def loss_lines(format_name: str, lost: Mapping[str, int]) -> Iterator[str]:
    """Yield what is said of all that was left out in a format, a line a kind."""
    for kind, count in sorted(lost.items()):
        yield f"{format_name} holds no {kind}: {count:,} left out"


def unheld_passages(document: Document, held: Collection[tuple[int, int, str]]) -> int:
    """Return how many passages are none of those that a format gives back, as (start, end, kind)."""
    return sum((each.start, each.end, each.kind) not in held for each in document.passages)


def _parts_of_bioc(noun: Passage | Mention | Relation) -> int:
    """Count the sentences inside a passage with their infons, and a noun's names beside BioC's own."""
    ours = noun.infons.get(OURS)
    if not isinstance(ours, Mapping):
        return 0
    sentences = ours.get("sentences", ())
    return len(ours.get("keys", ())) + sum(1 + len(each.get("infons", ())) for each in sentences)


def _infons(noun: Passage | Mention | Relation, *said: str) -> int:
    """Count the infons of a noun that are none of its fields' values again (`said`)."""
    return sum(key != OURS and value not in said for key, value in noun.infons.items())
