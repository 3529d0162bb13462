"""The nodes of BioC's tree, which `bioc` describes: what stands in one, and which one something stands in."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from raybio.corpora.infons import OURS, text_of
from raybio.corpora.json_text import parsed
from raybio.entities import Document

Node: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[int, ...]
"""Where something stands: () in the document, else the offsets of its passage and sentence."""

BETWEEN = "raybio-between"
MADE_UP = "raybio-"

_SHARED = {"infons", "annotations", "relations", "bioctype"}
_KNOWN = {
    "document": _SHARED | {"id", "passages"},
    "passage": _SHARED | {"offset", "text", "sentences"},
    "sentence": _SHARED | {"offset", "text"},
    "annotation": {"id", "infons", "text", "locations", "bioctype"},
    "relation": {"id", "infons", "nodes", "bioctype"},
    "collection": {"source", "date", "key", "infons", "bioctype"},
}
_HEADER: Node = {"source": "raybio", "date": "", "key": "", "infons": {}}


class Unit(NamedTuple):
    """A part of a document that annotations and relations may stand in."""

    path: Path
    node: Mapping[str, Any]


class Home(NamedTuple):
    """A passage or sentence `[start, end)`, with its sentences where annotations stand in those."""

    start: int
    end: int
    sentences: Sequence[Home] = ()


def home_of(homes: Sequence[Home], ends: Sequence[int], offset: int) -> Path:
    """Return the path of the passage (and sentence) that holds the character at `offset`.

    By the DTD a passage has its annotations itself, or in its sentences where those have the text. `ends`
    are those of `homes`; a character between two belongs to the latter.
    """
    if not homes:
        return ()
    home = homes[min(bisect_right(ends, offset), len(homes) - 1)]
    inner = home_of(home.sentences, [each.end for each in home.sentences], offset)
    return (home.start, *inner)


def infons_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the infons of a node.

    Raises:
        ValueError: they are no object.
    """
    return mapping(node.get("infons") or {}, "infons")


def infon(node: Mapping[str, Any], key: str) -> str:
    """Return one infon of a node as text; "" where it is not there."""
    return text_of(infons_of(node).get(key))


def split_infons(node: Mapping[str, Any], kind: str) -> tuple[Node, Node]:
    """Return the infons of a node, and what is ours among them, "keys" (names beside BioC's own) included.

    Raises:
        ValueError: the infons, or ours, are no object.
    """
    infons = dict(infons_of(node))
    ours = dict(mapping(as_json(infons.pop(OURS, "{}")), f"infon {OURS!r}"))
    if keys := keys_of(node, kind):
        ours["keys"] = {**ours.get("keys", {}), **keys}
    return infons, ours


def keys_of(node: Mapping[str, Any], kind: str) -> Node:
    """Return what stands in a node under names beside BioC's own."""
    return {key: value for key, value in node.items() if key not in _KNOWN[kind]}


def as_json(value: object) -> object:
    """Return what a string says as JSON; another value as it is."""
    return parsed(value) if isinstance(value, str) else value


def with_ours(infons: Mapping[str, Any], ours: Mapping[str, Any]) -> Node:
    """Return `infons` with what is ours, if anything is."""
    return {**infons, OURS: dict(ours)} if ours else dict(infons)


def mapping(value: object, name: str) -> Mapping[str, Any]:
    """Return `value`, an object.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {type(value).__name__}, where BioC has an object")
    return value


def items(node: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects listed under `key`; none where it is missing.

    Raises:
        ValueError: it is no list of objects.
    """
    found = node.get(key) or []
    if not isinstance(found, list):
        raise ValueError(f"{key!r} is {type(found).__name__}, where BioC has a list")
    return [mapping(item, f"one of {key!r}") for item in found]


def keys_as_infon(node: Mapping[str, Any], kind: str) -> Node:
    """Return the infons of a node with names beside BioC's own among what is ours, for XML to hold."""
    infons = dict(node.get("infons") or {})
    if keys := keys_of(node, kind):
        ours = {**mapping(as_json(infons.get(OURS, "{}")), OURS), "keys": keys}
        infons[OURS] = json.dumps(ours, ensure_ascii=False)
    return infons


def header_of(collection: Mapping[str, Any]) -> Node:
    """Return what stands around the documents of a collection, for their `extra`; {} for raybio's own."""
    infons, ours = split_infons(collection, "collection")
    said = {key: value for key, value in collection.items() if key in _HEADER}
    found = {**said, **ours.pop("keys", {}), "infons": with_ours(infons, ours)}
    header = {key: value for key, value in found.items() if value}
    # The bioc library writes a version into every collection.
    nothing = {"source": _HEADER["source"]}, {"source": _HEADER["source"], "version": "1.0"}
    return {} if header in nothing else header


def collection_of(document: Document | None) -> Node:
    """Return what stands around the documents of a collection whose first one this is."""
    said = {} if document is None else document.extra.get("bioc", {}).get("collection", {})
    return {**_HEADER, **({"source": "", **said} if said else {})}
