"""What BioC's key-value pairs mean: a mention's label, concept and score, a relation's label and arguments.

BioC names no keys, and its tools differ: a concept stands under `identifier` (PubTator, BioRED), `MESH`
(BC5CDR), `NCBI Gene identifier` (GNormPlus), and a relation's arguments under `entity1` and `entity2`
(BioRED), `role1` and `role2` (PubTator 3), or keys of its own such as `Chemical` and `Disease` (BC5CDR).

All that a field of `raybio.entities` does not say again stays in the noun's `infons`, under the keys it
came with. Whatever is derived here is derived again when it is written, so that what was read is what is
written, and a field that was changed in between is written under the first of its keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from raybio.corpora.json_text import parsed
from raybio.corpora.standoff import probability
from raybio.entities import Infons

OURS = "raybio"
"""The infon that holds what BioC has no place for, as JSON."""

_MENTION_LABELS = ("type", "label", "kind", "class", "category", "entity_type", "semantic_type")
_RELATION_LABELS = ("type", "relation", "relation_type", "label")
# As `_plain` spells them, in the order of preference.
_CONCEPTS = (
    "identifier", "conceptid", "mesh", "meshid", "ncbigeneidentifier", "ncbigene", "ncbigeneid",
    "geneid", "entrezgeneid", "omim", "dbsnp", "rsid", "chebi", "ncbitaxonomy", "ncbitaxonomyid",
    "ncbitaxid", "taxonomyid", "cellosaurus", "umls", "umlscui", "cui", "ncbihomologene", "homologene",
)  # fmt: skip
_POSITIONS = (("entity1", "entity2"), ("role1", "role2"), ("arg1", "arg2"))
_ROLE_PAIRS = (("Chemical", "Disease"), ("Chemical", "Gene"), ("Gene", "Disease"))
_NOTES = ("note", "novel")
_NOT_PLAIN = re.compile(r"[\W_]")

Arguments = tuple[tuple[str, str], ...]


def text_of(value: object) -> str:
    """Return `value` if it is a string, "" for None, and its JSON otherwise (a number for an id)."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def mention_fields(infons: Infons) -> tuple[str, str, float | None]:
    """Return the label, concept and score among a mention's infons; "" and None for what is not there.

    Raises:
        ValueError: the score is no probability.
    """
    score = text_of(infons.get("score"))
    return _first(infons, _MENTION_LABELS), _concept(infons), probability(score) if score else None


def written_mention(infons: Infons, label: str, concept: str, score: float | None) -> dict[str, Any]:
    """Return `infons` with what it takes for `mention_fields` to find these three."""
    said = "" if score is None else repr(score)
    found = {"type": label} if label and _first(infons, _MENTION_LABELS) != label else {}
    if _concept(infons) != concept:
        found["identifier"] = concept
    if said and _score(infons) != score:
        found["score"] = said
    return {**found, **{key: value for key, value in infons.items() if key not in found}}


def left_of_mention(infons: Infons, label: str, concept: str, score: float | None) -> dict[str, Any]:
    """Return what `written_mention` needs of `infons` to give them again."""
    rest = {key: value for key, value in infons.items() if key not in ("type", "identifier", "score")}
    return rest if written_mention(rest, label, concept, score) == infons else dict(infons)


def relation_label(infons: Infons) -> str:
    """Return the label among a relation's infons, or ""."""
    return _first(infons, _RELATION_LABELS)


def written_relation(infons: Infons, label: str) -> dict[str, Any]:
    """Return `infons` with what it takes for `relation_label` to find this one."""
    found = {"type": label} if label and relation_label(infons) != label else {}
    return {**found, **{key: value for key, value in infons.items() if key not in found}}


def left_of_relation(infons: Infons, label: str) -> dict[str, Any]:
    """Return what `written_relation` needs of `infons` to give them again."""
    rest = {key: value for key, value in infons.items() if key != "type"}
    return rest if written_relation(rest, label) == infons else dict(infons)


def arguments_of(nodes: Arguments, infons: Infons, known: Collection[str]) -> Arguments:
    """Return a relation's arguments: its nodes, or what its infons name where those lead nowhere.

    `known` are the ids and concepts of the document's mentions.
    """
    if nodes and all(reference in known for _, reference in nodes):
        return nodes
    return _named(infons, known) or nodes


def positional(arguments: Arguments) -> dict[str, str]:
    """Return the infons of arguments without roles (and with a note, maybe); none where they have some."""
    roles = [role for role, _ in arguments]
    keys = (*_POSITIONS[0], _NOTES[0])
    plain = roles in (["", ""], ["", "", _NOTES[0]])
    return {key: reference for key, (_, reference) in zip(keys, arguments, strict=False)} if plain else {}


def _named(infons: Infons, known: Collection[str]) -> Arguments:
    """Return the arguments among a relation's infons: those of known keys, or all that name a mention."""
    for pair in _POSITIONS:
        if all(key in infons for key in pair):
            notes = [("note", note) for key in _NOTES if (note := text_of(infons.get(key)))]
            return (*(("", _reference(infons[key], known)) for key in pair), *notes[:1])
    for pair in _ROLE_PAIRS:
        if all(key in infons for key in pair):
            return tuple((key, _reference(infons[key], known)) for key in pair)
    found = tuple((key, name) for key, value in infons.items() if (name := _known(value)) in known)
    return found if len(found) > 1 else ()


def _reference(value: object, known: Collection[str]) -> str:
    """Return the concept or the mention, one of those `known` maybe, that an infon names.

    PubTator 3 gives it as an object with an `identifier`, and in XML as "Chemical|MESH:D003911".
    """
    if isinstance(value, str) and value.startswith("{"):  # such an object, written as XML
        with suppress(ValueError):
            value = parsed(value)
    if isinstance(value, Mapping):
        return text_of(value.get("identifier"))
    reference = text_of(value)
    concept = reference.partition("|")[2]
    return concept if concept in known and reference not in known else reference


def _first(infons: Infons, keys: Iterable[str]) -> str:
    return next((value for key in keys if isinstance(value := infons.get(key), str) and value), "")


def _concept(infons: Infons) -> str:
    found = {_NOT_PLAIN.sub("", key).lower(): _known(value) for key, value in infons.items()}
    return next((found[key] for key in _CONCEPTS if found.get(key)), "")


def _known(value: object) -> str:
    """Return a concept as a string; "-" says that there is none."""
    is_one = isinstance(value, str | int) and not isinstance(value, bool)
    return text_of(value) if is_one and value != "-" else ""


def _score(infons: Infons) -> float | None:
    try:
        return probability(text_of(infons.get("score")))
    except ValueError:
        return None
