r"""BioC XML, read and written document by document, in memory that does not grow with the file.

XML is mapped onto BioC JSON's tree; `bioc` says what a document holds. XML 1.0 cannot hold control
characters other than tab, line feed and carriage return ("\r" is written as `&#13;`, or parsers
would make it "\n").
Format: the BioC DTD, version 1.0, https://bioc.sourceforge.net/BioC.dtd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import BinaryIO

from lxml import etree

from raybio.corpora import bioc
from raybio.corpora.bioc_tree import tree
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
    for found in read_records(stream, source, _GRAMMAR, "BioC document", _called, max_record_bytes):
        if isinstance(found, Rejected):
            yield found
        else:
            number += 1
            yield _record(found, source, f"document {number}", max_record_bytes)


def write(documents: Iterable[Document], stream: BinaryIO) -> None:
    """Write `documents` as one BioC collection, UTF-8.

    Raises:
        FormatError: BioC or XML cannot hold a document.
        OffsetError: a mention does not cover its text.
    """
    with etree.xmlfile(stream, encoding="utf-8") as xml:
        xml.write_declaration()
        xml.write_doctype(_DOCTYPE)
        with xml.element("collection"):
            for name, text in ("source", "raybio"), ("date", ""), ("key", ""):
                xml.write(_element(name, text))
            for document in documents:
                node = tree(document)
                try:
                    xml.write(_document_element(node), pretty_print=True)
                except ValueError as error:  # lxml checks each string it is given.
                    problem = "a control character, lone surrogate or non-character"
                    raise cannot_hold("XML", document, problem, "Take it out of the document") from error


# Reading ---------------------------------------------------------------------------------------


def _called(element: Element) -> str:
    return f"document {_said(element, 'id')}"


def _record(element: Element, source: str, place: str, max_record_bytes: int) -> Record:
    raw = partial(etree.tostring, element, encoding="unicode", with_tail=False)
    entity = next(element.iter(etree.Entity), None)
    if entity is not None:
        reason = f"the entity {entity.text} is not declared"
        return Rejected(source, place, reason, "Write the character itself", _said(element, "id"), raw())
    if fault := _GRAMMAR.fault_of(element):
        return Rejected(source, place, fault, REMEDY, _said(element, "id"), raw())
    return bioc.read_document(_document_node(element), source, place, raw, max_record_bytes)


def _document_node(element: Element) -> bioc.Node:
    return {"id": _said(element, "id"), "passages": _each(element, "passage", _passage_node)} | _shared(
        element
    )


def _passage_node(element: Element) -> bioc.Node:
    return _sentence_node(element) | {"sentences": _each(element, "sentence", _sentence_node)}


def _sentence_node(element: Element) -> bioc.Node:
    return {"offset": _said(element, "offset").strip(), "text": _said(element, "text")} | _shared(element)


def _shared(element: Element) -> bioc.Node:
    """Return what documents, passages and sentences all may hold."""
    return {
        "infons": _infons(element),
        "annotations": _each(element, "annotation", _annotation_node),
        "relations": _each(element, "relation", _relation_node),
    }


def _annotation_node(element: Element) -> bioc.Node:
    return {
        "id": element.get("id"),
        "infons": _infons(element),
        "text": _said(element, "text"),
        "locations": _each(element, "location", _attributes),
    }


def _relation_node(element: Element) -> bioc.Node:
    nodes = _each(element, "node", _attributes)
    return {"id": element.get("id"), "infons": _infons(element), "nodes": nodes}


def _attributes(element: Element) -> bioc.Node:
    return dict(element.attrib)


def _infons(element: Element) -> dict[str, str]:
    return {infon.get("key", ""): "".join(infon.itertext()) for infon in element.iterchildren("infon")}


def _said(element: Element, tag: str) -> str:
    """Return all the text inside the first child named `tag`, or "" without one."""
    child = element.find(tag)
    return "" if child is None else "".join(child.itertext())


def _each(element: Element, tag: str, node_of: Callable[[Element], bioc.Node]) -> list[bioc.Node]:
    return [node_of(child) for child in element.iterchildren(tag)]


# Writing (children in the DTD's order) -----------------------------------------------------------


def _element(tag: str, text: str = "", children: Iterable[Element] = (), **attributes: str) -> Element:
    element = etree.Element(tag, attributes)
    if text:
        element.text = text
    element.extend(children)
    return element


def _document_element(node: bioc.Node) -> Element:
    children = [
        _element("id", node["id"]),
        *_infon_elements(node),
        *map(_passage_element, node["passages"]),
        *map(_relation_element, node["relations"]),
    ]
    return _element("document", children=children)


def _passage_element(node: bioc.Node) -> Element:
    children = [
        *_infon_elements(node),
        _element("offset", str(node["offset"])),
        _element("text", node["text"]),
        *map(_annotation_element, node["annotations"]),
    ]
    return _element("passage", children=children)


def _annotation_element(node: bioc.Node) -> Element:
    places = [{key: str(value) for key, value in location.items()} for location in node["locations"]]
    children = [
        *_infon_elements(node),
        *(_element("location", **place) for place in places),
        _element("text", node["text"]),
    ]
    return _element("annotation", children=children, id=node["id"])


def _relation_element(node: bioc.Node) -> Element:
    children = [*_infon_elements(node), *(_element("node", **end) for end in node["nodes"])]
    return _element("relation", children=children, id=node["id"])


def _infon_elements(node: bioc.Node) -> Iterator[Element]:
    return (_element("infon", text, key=key) for key, text in node["infons"].items())
