"""What a file holds, by its first bytes: PubTator is saved as `.txt` too, and BioC as `.xml`."""

from __future__ import annotations

import codecs
import re

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
LOOKED_AT = 4_096
"""Bytes that tell what a file holds."""

_COLUMNS = re.compile(r"-DOCSTART-|\S+(\s+\S+){0,2}\s+(O|[BI]-\S+)\s*$")
_FEWEST_LINES = 3
_PUBTATOR = re.compile(r"[^|\t\r\n]+\|t\|")
_MEDLINE = re.compile(r"PMID- ?\d")
_PUBMED = re.compile(r"<(?:PubmedArticleSet|PubmedArticle|PubmedBookArticle|DeleteCitation)\b")
_BIOC = re.compile(r"<collection\b|BioC\.dtd")


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
)


def format_inside(beginning: bytes) -> str:
    """Return the format that a file which begins so has; "" where nothing tells."""
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
    return "iob2" if len(lines) >= _FEWEST_LINES and all(map(_COLUMNS.match, lines)) else ""


def tool_of(beginning: bytes) -> tuple[str, str] | None:
    """Return what a file of another tool is and what to export there instead; None of other files."""
    text = _decoded(beginning).lstrip("\ufeff \t\r\n")
    return next(((tool, export) for pattern, tool, export in _TOOLS if re.match(pattern, text)), None)


def is_list_of_objects(beginning: bytes) -> bool:
    """Say whether a file that begins so is a JSON list of objects, such as the rows of a table."""
    return re.match(r"\s*\[\s*\{", _decoded(beginning).lstrip("\ufeff")) is not None


def is_utf16_text(beginning: bytes) -> bool:
    """Say whether bytes are UTF-16 and no XML, which declares its encoding itself."""
    marked = beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return marked and not _decoded(beginning).lstrip("\ufeff \t\r\n").startswith("<")


def _kind_of_json(text: str) -> str:
    if ('"passages"' in text and '"offset"' in text) or '"PubTator3"' in text:
        return "bioc-json"
    if '"ner"' in text and '"sentences"' in text:
        return "chemprot"
    return "jsonl" if text.startswith("{") and '"text"' in text and '"id"' in text else ""


def _decoded(beginning: bytes) -> str:
    encoding = next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), "utf-8")
    return beginning.decode(encoding, "replace")
