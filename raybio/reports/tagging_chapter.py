"""A tagged output -> its chapter: what is in it, how fast it went, what it looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from raybio.corpora.losses import loss_lines
from raybio.entities import Document
from raybio.reports import tables
from raybio.reports.blocks import Block, Chapter, Figure, Headline, Piece, Section, Table, TaggedText
from raybio.reports.sources import Tagging

_SHOWN_CHARACTERS = 1500


def tagging_chapter(tagging: Tagging) -> Chapter:
    """Say all about one tagged output."""
    sections = (
        Section("How tagging went", tuple(_went(tagging))),
        Section("Tagged documents", tuple(_shown(tagging))),
    )
    return Chapter(tagging.path.name, tuple(_facts(tagging)), sections)


def _facts(tagging: Tagging) -> Iterator[tuple[str, str]]:
    environment = (tagging.summary or {}).get("environment", {})
    yield "Model", str(tagging.provenance.get("model", "unknown"))
    yield "Model fingerprint", str(tagging.provenance.get("model_fingerprint", "unknown"))
    kept = (tagging.provenance.get("config") or {}).get("entities", {})
    if chosen := [f"{option} {_listed(value)}" for option, value in kept.items() if value]:
        yield "Entities", "; ".join(chosen)
    if environment:
        yield "Machine", f"{environment.get('platform', 'unknown')}, {environment.get('cpus', '?')} CPUs"
        yield "Commit", str(environment.get("commit") or "unknown")


def _listed(value: object) -> str:
    """Return the value of an option in a line: "Chemical, Disease", or "Chemical=Drug"."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _went(tagging: Tagging) -> Iterator[Block]:
    if tagging.summary is None:
        yield "There are no counts: the output has no summary.json. The job still runs, or it stopped early."
    else:
        yield _headline(tagging.summary)
        yield tables.tagging_table(tagging.summary)
        yield tables.mention_table(tagging.summary)
        for name, lost in tagging.summary.get("lost", {}).items():
            yield from loss_lines(name, lost)
    if tagging.rejected:
        yield _rejected_table(tagging)


def _headline(summary: Mapping[str, Any]) -> Headline:
    counts = summary["counts"]
    figures = [
        Figure("Documents", f"{counts['documents']:,}", f"input files: {summary['files']:,}"),
        Figure("Mentions", f"{counts['mentions']:,}", f"in {counts['sentences']:,} sentences"),
        Figure("Rejected", f"{counts['rejected']:,}", "records, kept in rejected.jsonl"),
    ]
    documents, seconds = summary["documents_this_run"], summary["tagging_seconds"]
    if documents and seconds:
        whole = f"{summary['seconds']:,.1f} s with start-up"
        took = f"measured: {documents:,} in {seconds:,.1f} s of tagging, {whole}"
        figures.insert(1, Figure("Documents a second", f"{documents / seconds:,.2f}", took))
    return Headline(tuple(figures))


def _rejected_table(tagging: Tagging) -> Table:
    fields = ("source", "place", "document_id", "reason", "remedy")
    rows = tuple(tuple(str(record.get(field, "")) for field in fields) for record in tagging.rejected)
    header = ("source", "place", "document", "reason", "remedy")
    return Table("The first rejected records", header, rows, words=len(header))


def _shown(tagging: Tagging) -> Iterator[Block]:
    if not tagging.documents:
        yield (
            "There are no documents to show: none with a mention was found in a jsonl/ or pubtator/ folder "
            "of the output. Ask for one of these formats (formats=[parquet,jsonl]) to have the text kept."
        )
    for document in tagging.documents:
        yield tagged_text(f"Document {document.id}", document)


def tagged_text(caption: str, document: Document) -> TaggedText:
    """Return the text of a document with its mentions apart, up to a length."""
    return TaggedText(caption, tuple(_pieces(document)))


def _pieces(document: Document) -> Iterator[Piece]:
    """Yield the text with mentions apart, up to a length; of overlapping mentions, the first and longest."""
    at, end = 0, len(document.text)
    mentions = sorted(document.mentions or (), key=lambda mention: (mention.start, -mention.end))
    for mention in mentions:
        if mention.start < at:
            continue
        if mention.end > _SHOWN_CHARACTERS:
            end = min(end, max(at, _SHOWN_CHARACTERS), mention.start)
            break
        yield Piece(document.text[at : mention.start])
        yield Piece(mention.text, mention.label)
        at = mention.end
    end = min(end, max(at, _SHOWN_CHARACTERS))
    yield Piece(document.text[at:end])
    if end < len(document.text):
        yield Piece(f" … ({len(document.text) - end:,} more characters)")
