"""Document <-> one row of the documents table of `corpora.parquet`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raybio.entities import AttributeValue, Document, Mention, Passage, Relation, Sentence, Span


def row_of(document: Document) -> dict[str, Any]:
    """Return the row of `document`, of plain dicts, lists, strings and numbers."""
    mentions = document.mentions
    return {
        "id": document.id,
        "version": document.version,
        "text": document.text,
        "passages": [_columns(passage) for passage in document.passages],
        "mentions": None if mentions is None else [_columns(mention) for mention in mentions],
        "sentences": [
            _columns(sentence)
            | {"gold": None if sentence.gold is None else [_columns(span) for span in sentence.gold]}
            for sentence in document.sentences
        ],
        "relations": [
            {
                "label": relation.label,
                "arguments": [{"role": role, "reference": target} for role, target in relation.arguments],
                "id": relation.id,
            }
            for relation in document.relations
        ],
        "attributes": [_attribute(name, value) for name, value in document.attributes.items()],
    }


def _columns(noun: Passage | Mention | Sentence | Span) -> dict[str, Any]:
    # dataclasses.asdict copies every field deeply, which costs ten times as much.
    return {name: getattr(noun, name) for name in noun.__slots__}


def _attribute(name: str, value: AttributeValue) -> dict[str, Any]:
    one = isinstance(value, str)
    return {"name": name, "value": value if one else None, "values": None if one else list(value)}


def document_of(row: Mapping[str, Any]) -> Document:
    """Return the Document of a row that `row_of` made."""
    mentions = row["mentions"]
    return Document(
        row["id"],
        row["text"],
        tuple(Passage(**passage) for passage in row["passages"]),
        None if mentions is None else tuple(Mention(**mention) for mention in mentions),
        tuple(_sentence(sentence) for sentence in row["sentences"]),
        tuple(
            Relation(
                relation["label"],
                tuple((argument["role"], argument["reference"]) for argument in relation["arguments"]),
                relation["id"],
            )
            for relation in row["relations"]
        ),
        row["version"],
        {
            attribute["name"]: attribute["value"]
            if attribute["values"] is None
            else tuple(attribute["values"])
            for attribute in row["attributes"]
        },
    )


def _sentence(row: Mapping[str, Any]) -> Sentence:
    gold = None if row["gold"] is None else tuple(Span(**span) for span in row["gold"])
    return Sentence(row["id"], tuple(row["words"]), tuple(row["starts"]), row["document_id"], gold)
