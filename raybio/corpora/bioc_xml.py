r"""BioC XML, read and written document by document, in memory that does not grow with the file.

XML is mapped onto BioC JSON's tree; `bioc` says what a document holds. XML 1.0 cannot hold control
characters other than tab, line feed and carriage return ("\r" is written as `&#13;`, or parsers
would make it "\n").
Format: the BioC DTD, version 1.0, https://bioc.sourceforge.net/BioC.dtd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

from lxml import etree

from raybio.corpora import bioc
from raybio.corpora.bioc_nodes import Node, collection_of, header_of, keys_as_infon
from raybio.corpora.bioc_tree import tree
from raybio.corpora.infons import text_of
from raybio.corpora.limits import MAX_RECORD_BYTES
from raybio.corpora.standoff import cannot_hold
from raybio.corpora.xml_records import REMEDY, Element, Grammar, read_records
from raybio.entities import Document, Record, Rejected

_DOCTYPE = '<!DOCTYPE collection SYSTEM "BioC.dtd">'
_GRAMMAR = Grammar(
    ("document",),
    {
        "collection": "source date key infon document*",
        # The DTD has annotations in passages and sentences only, but BioC's own libraries write these too.
        "document": "id infon passage* annotation* relation*",
        "passage": "infon offset text sentence* annotation* relation*",
        "sentence": "infon offset text annotation* relation*",
        "annotation": "infon location* text",
        "relation": "infon node*",
        **dict.fromkeys(("id", "offset", "text"), "#PCDATA"),
    },
)


def read(stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield the documents of a BioC XML file; one that is not as BioC says is Rejected.

    Raises:
        FormatError: the XML is broken or a document too large (those before it are yielded), it declares
            entities, or holds no document.
    """
    number = 0
    collection: Node = {}
    for found in read_records(stream, source, _GRAMMAR, "BioC document", _called, max_record_bytes):
        if isinstance(found, Rejected):
            yield found
        else:
            number += 1
            if number == 1 and (around := next(found.iterancestors("collection"), None)) is not None:
                collection = header_of(_collection_node(around))
            yield _record(found, source, f"document {number}", max_record_bytes, collection)


def write(documents: Iterable[Document], stream: BinaryIO) -> None:
    """Write `documents` as one BioC collection, UTF-8.

    Raises:
        FormatError: BioC or XML cannot hold a document.
        OffsetError: a mention does not cover its text.
    """
    remaining = iter(documents)
    first = next(remaining, None)
    head = collection_of(first)
    with etree.xmlfile(stream, encoding="utf-8") as xml:
        xml.write_declaration()
        xml.write_doctype(_DOCTYPE)
        with xml.element("collection"):
            for name in "source", "date", "key":
                xml.write(_element(name, text_of(head.pop(name))))
            for element in _infon_elements(keys_as_infon(head, "collection")):
                xml.write(element)
            for document in () if first is None else chain([first], remaining):
                node = tree(document)
                try:
                    xml.write(_document_element(node), pretty_print=True)
                except ValueError as error:  # lxml checks each string it is given.
                    problem = "a control character, lone surrogate or non-character"
                    raise cannot_hold("XML", document, problem, "Take it out of the document") from error


# Reading ---------------------------------------------------------------------------------------


def _called(element: Element) -> str:
    return f"document {_said(element, 'id')}"


def _record(
    element: Element, source: str, place: str, max_record_bytes: int, collection: Mapping[str, Any]
) -> Record:
    raw = partial(etree.tostring, element, encoding="unicode", with_tail=False)
    entity = next(element.iter(etree.Entity), None)
    if entity is not None:
        reason = f"the entity {entity.text} is not declared"
        return Rejected(source, place, reason, "Write the character itself", _said(element, "id"), raw())
    if fault := _GRAMMAR.fault_of(element):
        return Rejected(source, place, fault, REMEDY, _said(element, "id"), raw())
    return bioc.read_document(_document_node(element), source, place, raw, max_record_bytes, collection)


def _collection_node(element: Element) -> Node:
    names = [name for name in ("source", "date", "key") if element.find(name) is not None]
    return {**{name: _said(element, name) for name in names}, "infons": _infons(element)}


def _document_node(element: Element) -> Node:
    return {"id": _said(element, "id"), "passages": _each(element, "passage", _passage_node)} | _shared(
        element
    )


def _passage_node(element: Element) -> Node:
    return _sentence_node(element) | {"sentences": _each(element, "sentence", _sentence_node)}


def _sentence_node(element: Element) -> Node:
    text = None if element.find("text") is None else _said(element, "text")
    return {"offset": _said(element, "offset").strip(), "text": text} | _shared(element)


def _shared(element: Element) -> Node:
    """Return what documents, passages and sentences all may hold."""
    return {
        "infons": _infons(element),
        "annotations": _each(element, "annotation", _annotation_node),
        "relations": _each(element, "relation", _relation_node),
    }


def _annotation_node(element: Element) -> Node:
    return {
        "id": element.get("id"),
        "infons": _infons(element),
        "text": _said(element, "text"),
        "locations": _each(element, "location", _attributes),
    }


def _relation_node(element: Element) -> Node:
    nodes = _each(element, "node", _attributes)
    return {"id": element.get("id"), "infons": _infons(element), "nodes": nodes}


def _attributes(element: Element) -> Node:
    return dict(element.attrib)


def _infons(element: Element) -> dict[str, Any]:
    """Return the infons of an element; one that stands there several times is a list."""
    found: dict[str, Any] = {}
    for each in element.iterchildren("infon"):
        key, value = each.get("key", ""), "".join(each.itertext())
        found[key] = [*_listed(found[key]), value] if key in found else value
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _said(element: Element, tag: str) -> str:
    """Return all the text inside the first child named `tag`, or "" without one."""
    child = element.find(tag)
    return "" if child is None else "".join(child.itertext())


def _each(element: Element, tag: str, node_of: Callable[[Element], Node]) -> list[Node]:
    return [node_of(child) for child in element.iterchildren(tag)]


# Writing (children in the DTD's order) -----------------------------------------------------------


def _element(tag: str, text: str = "", children: Iterable[Element] = (), **attributes: str) -> Element:
    element = etree.Element(tag, attributes)
    if text:
        element.text = text
    element.extend(children)
    return element


def _document_element(node: Node) -> Element:
    children = [
        _element("id", node["id"]),
        *_infon_elements(keys_as_infon(node, "document")),
        *map(_passage_element, node["passages"]),
        *_annotated_elements(node),
    ]
    return _element("document", children=children)


def _passage_element(node: Node) -> Element:
    children = [
        *_infon_elements(keys_as_infon(node, "passage")),
        _element("offset", str(node["offset"])),
        *([_element("text", node["text"])] if "text" in node else []),
        *map(_sentence_element, node["sentences"]),
        *_annotated_elements(node),
    ]
    return _element("passage", children=children)


def _sentence_element(node: Node) -> Element:
    children = [
        *_infon_elements(keys_as_infon(node, "sentence")),
        _element("offset", str(node["offset"])),
        _element("text", node["text"]),
        *_annotated_elements(node),
    ]
    return _element("sentence", children=children)


def _annotated_elements(node: Node) -> Iterator[Element]:
    yield from map(_annotation_element, node.get("annotations", ()))
    yield from map(_relation_element, node.get("relations", ()))


def _annotation_element(node: Node) -> Element:
    places = [{key: text_of(value) for key, value in at.items()} for at in node.get("locations") or ()]
    children = [
        *_infon_elements(keys_as_infon(node, "annotation")),
        *(_element("location", **place) for place in places),
        _element("text", text_of(node.get("text"))),
    ]
    return _element("annotation", children=children, **_name(node))


def _relation_element(node: Node) -> Element:
    ends = [{key: text_of(value) for key, value in end.items()} for end in node["nodes"]]
    children = [*_infon_elements(keys_as_infon(node, "relation")), *(_element("node", **end) for end in ends)]
    return _element("relation", children=children, **_name(node))


def _name(node: Node) -> dict[str, str]:
    return {} if node.get("id") is None else {"id": text_of(node["id"])}


def _infon_elements(infons: Mapping[str, Any]) -> Iterator[Element]:
    for key, value in infons.items():
        for each in _listed(value):
            yield _element("infon", text_of(each), key=key)
