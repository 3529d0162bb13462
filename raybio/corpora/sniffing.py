"""What a file holds, by its first bytes: PubTator is saved as `.txt` too, and BioC as `.xml`."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from itertools import chain

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f]")
LOOKED_AT = 4_096
"""Bytes that tell what a file holds."""

_COLUMNS = re.compile(r"-DOCSTART-|\S+(\s+\S+){0,2}\s+(O|[BI]-\S+)\s*$")
_FEWEST_LINES = 3
_PUBTATOR = re.compile(r"[^|\t\r\n]+\|t\|")
_MEDLINE = re.compile(r"PMID- ?\d")
_PUBMED = re.compile(r"<(?:PubmedArticleSet|PubmedArticle|PubmedBookArticle|DeleteCitation)\b")
_BIOC = re.compile(r"<collection\b|BioC\.dtd")
_HEADER = re.compile(r"\w[\w .-]*([\t,;|])\w[\w .-]*(?:\1\w[\w .-]*)*")
IDS = ("id", "document_id", "pmid")
TEXTS = (("text",), ("title", "abstract"))
"""Names of columns, in order of preference, that hold a table's ids, and its texts."""

_BINARY = {b"PAR1": "parquet", b"ARROW1": "arrow"}

# What a file of a tool begins with, what it is, and what that tool exports that can be read.
_TOOLS = (
    (r"#FORMAT=WebAnno TSV", "WebAnno TSV, as INCEpTION exports it", "Export CoNLL 2003 there"),
    (r"#\s*(newdoc|newpar|sent_id|global\.columns)\b", "CoNLL-U, which has no entities", "Give IOB2 columns"),
    (r"(?s)<[^>]*>?\s*<xmi:XMI\b|<xmi:XMI\b", "a UIMA CAS in XMI", "Export BioC, or CoNLL 2003"),
    (
        r'(?s)\[\s*\{(?=.*"annotations")(?=.*"result")',
        "JSON of Label Studio",
        "Export CONLL2003 there, and name the file .conll",
    ),
    (r"TY  - ", "RIS, as reference managers export it", "Save it as PubMed (.nbib) or as a table (CSV)"),
    (r"@[A-Za-z]+\{", "BibTeX", "Save it as PubMed (.nbib) or as a table (CSV)"),
    (r"(?i)<!doctype html|<html\b", "a web page", "Save its text as .txt"),
    (r"\{\\rtf", "rich text (RTF)", "Save its text as .txt"),
    (r"%PDF-", "a PDF", "Save its text as .txt"),
    (
        r"PK\x03\x04",
        "a zip archive, as .docx and .xlsx are",
        "Unpack it, or save its text as .txt or CSV",
    ),
    (
        r"\ufffd\ufffd\x11",
        "a document of Microsoft Office",
        "Save its text as .txt, or its table as CSV",
    ),
    (r"BZh\d|\ufffd7zXZ|\(\ufffd/\ufffd|7z\ufffd\ufffd", "packed otherwise than by gzip", "Unpack it"),
)


def format_inside(beginning: bytes) -> str:
    """Return the format that a file which begins so has; "" where nothing tells."""
    if binary := next((name for mark, name in _BINARY.items() if beginning.startswith(mark)), ""):
        return binary
    text = _decoded(beginning).lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return "pubmed" if _PUBMED.search(text) else "bioc-xml" if _BIOC.search(text) else ""
    if text[:1] in "{[":
        return _kind_of_json(text)
    if _PUBTATOR.match(text):
        return "pubtator"
    if _MEDLINE.match(text):
        return "medline"
    whole = text if len(beginning) < LOOKED_AT else text.rpartition("\n")[0]  # its last line may be cut off
    lines = [line for line in whole.splitlines() if line.strip()]
    if _is_header(lines):
        return "csv"
    return "iob2" if len(lines) >= _FEWEST_LINES and all(map(_COLUMNS.match, lines)) else ""


def tool_of(beginning: bytes) -> tuple[str, str] | None:
    """Return what a file of another tool is and what to export there instead; None of other files."""
    text = _decoded(beginning).lstrip("\ufeff \t\r\n")
    return next(((tool, export) for pattern, tool, export in _TOOLS if re.match(pattern, text)), None)


def is_list_of_objects(beginning: bytes) -> bool:
    """Say whether a file that begins so is a JSON list of objects, such as the rows of a table."""
    return re.match(r"\s*\[\s*\{", _decoded(beginning).lstrip("\ufeff")) is not None


def utf16_of_text(beginning: bytes) -> str:
    """Return the name of UTF-16 as bytes have it; "" of any other, and of XML, which says it itself."""
    encoding = _utf16_of(beginning)
    return "" if _decoded(beginning).lstrip("\ufeff \t\r\n").startswith("<") else encoding


def _utf16_of(beginning: bytes) -> str:
    """Return the name of UTF-16 as bytes have it, by their mark or because every other byte is 0."""
    if beginning.startswith(_MARKS):
        return "utf-16"
    whole = beginning[: len(beginning) // 2 * 2]
    for encoding, zeros in (("utf-16-le", whole[1:4:2]), ("utf-16-be", whole[:4:2])):
        if zeros == b"\0\0" and not _NO_TEXT.search(whole.decode(encoding, "replace")):
            return encoding
    return ""


def _is_header(lines: Sequence[str]) -> bool:
    """Say whether the first of `lines` names the columns of a table that hold ids and texts."""
    header = _HEADER.fullmatch(lines[0].replace('"', "")) if len(lines) > 1 else None
    names = header[0].lower().split(header[1]) if header else ()
    return any(name in names for name in IDS) and any(name in names for name in chain(*TEXTS))


def _kind_of_json(text: str) -> str:
    if ('"passages"' in text and '"offset"' in text) or '"PubTator3"' in text:
        return "bioc-json"
    if '"ner"' in text and '"sentences"' in text:
        return "chemprot"
    return "jsonl" if text.startswith("{") and '"text"' in text and '"id"' in text else ""


def _decoded(beginning: bytes) -> str:
    return beginning.decode(_utf16_of(beginning) or "utf-8", "replace")
