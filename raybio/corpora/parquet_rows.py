"""Document <-> one row of the documents table of `corpora.parquet`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from raybio.corpora.json_text import parsed
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
                "infons": _json(relation.infons),
            }
            for relation in document.relations
        ],
        "attributes": [_attribute(name, value) for name, value in document.attributes.items()],
        "extra": _json(document.extra),
    }


def _columns(noun: Passage | Mention | Sentence | Span) -> dict[str, Any]:
    # dataclasses.asdict copies every field deeply, which costs ten times as much.
    found = {name: getattr(noun, name) for name in noun.__slots__}
    return found | {"infons": _json(found["infons"])} if "infons" in found else found


def _json(infons: Mapping[str, Any]) -> str:
    """Return infons, which are of any shape, as a string: "" for none."""
    return json.dumps(infons, ensure_ascii=False) if infons else ""


def _infons(row: Mapping[str, Any], name: str = "infons") -> dict[str, Any]:
    """Return the fields of a row for `name`, whose column is missing in older files."""
    found = parsed(row[name]) if row.get(name) else {}
    if not isinstance(found, dict):
        raise ValueError(f"{name} is no JSON object")
    return found


def _attribute(name: str, value: AttributeValue) -> dict[str, Any]:
    one = isinstance(value, str)
    return {"name": name, "value": value if one else None, "values": None if one else list(value)}


def fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Say whether the values of a column of the type `found` are those of one of the type `wanted`.

    Widths may differ, and a struct may hold more.
    """
    if pa.types.is_struct(wanted):
        return pa.types.is_struct(found) and all(
            fits(found.field(at).type, field.type)
            if (at := found.get_field_index(field.name)) >= 0
            else field.name == "infons"  # files of before have none
            for field in wanted
        )
    if pa.types.is_list(wanted):
        lists = pa.types.is_list(found) or pa.types.is_large_list(found) or pa.types.is_fixed_size_list(found)
        return bool(lists) and fits(found.value_type, wanted.value_type)
    if pa.types.is_string(wanted):
        return bool(
            pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
        )
    same = pa.types.is_integer if pa.types.is_integer(wanted) else pa.types.is_floating
    return bool(same(found) or pa.types.is_null(found))


def as_far_as_it_reads(row: pa.RecordBatch) -> tuple[dict[str, Any], list[str]]:
    """Return the values of the one row of `row`, and what is wrong with those that Python cannot hold.

    Such a string is given as its bytes, any other value as what Arrow prints of it.
    """
    values: dict[str, Any] = {}
    faults = []
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            values[name] = column[0].as_py()
        except (ValueError, ArithmeticError, pa.ArrowException) as error:
            faults.append(f"the value of {name} cannot be read ({error})")
            is_bytes = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            values[name] = column[0].as_buffer().to_pybytes() if is_bytes else f"{column.type}"
    return values, faults


def document_of(row: Mapping[str, Any]) -> Document:
    """Return the Document of a row that `row_of` made; what is missing has its default.

    Raises:
        ValueError: there is a null where none may be.
    """
    mentions = row.get("mentions")
    nulls = [name for name in row if row[name] is None and name != "mentions"]
    if nulls:
        raise ValueError(f"{' and '.join(nulls)} must not be null")
    return Document(
        row["id"],
        row["text"],
        tuple(Passage(**passage | {"infons": _infons(passage)}) for passage in row.get("passages", ())),
        None if mentions is None else tuple(Mention(**m | {"infons": _infons(m)}) for m in mentions),
        tuple(_sentence(sentence) for sentence in row.get("sentences", ())),
        tuple(
            Relation(
                relation["label"],
                tuple((argument["role"], argument["reference"]) for argument in relation["arguments"]),
                relation["id"],
                _infons(relation),
            )
            for relation in row.get("relations", ())
        ),
        row.get("version", 1),
        {
            attribute["name"]: attribute["value"]
            if attribute["values"] is None
            else tuple(attribute["values"])
            for attribute in row.get("attributes", ())
        },
        _infons(row, "extra"),
    )


def _sentence(row: Mapping[str, Any]) -> Sentence:
    gold = None if row["gold"] is None else tuple(Span(**span) for span in row["gold"])
    return Sentence(row["id"], tuple(row["words"]), tuple(row["starts"]), row["document_id"], gold)
