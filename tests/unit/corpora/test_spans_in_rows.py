"""Exports of annotation tools, in JSON lines: their spans are mentions, and what is none is rejected."""

import io
import json

import pytest

from raybio.corpora import jsonl
from raybio.corpora.table import Columns
from raybio.entities import Document, Rejected

TEXT = "β-Naloxone 😀 reverses clonidine."
SPANS = [(0, 10, "Chemical"), (22, 31, "Chemical")]
DOCCANO = {"id": 7, "text": TEXT, "Comments": ["a"]}


def read(*rows, columns=None):
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return list(jsonl.read(io.BytesIO(content), "export.jsonl", columns=columns))


def found(document):
    assert isinstance(document, Document)
    assert all(document.text[each.start : each.end] == each.text for each in document.mentions)
    return [(each.start, each.end, each.label) for each in document.mentions]


@pytest.mark.parametrize(
    "row",
    [
        {**DOCCANO, "label": SPANS},
        {**DOCCANO, "labels": [list(span) for span in reversed(SPANS)]},
        {
            **DOCCANO,
            "entities": [
                {"id": number, "label": label, "start_offset": start, "end_offset": end}
                for number, (start, end, label) in enumerate(SPANS)
            ],
            "relations": [],
        },
        {
            **DOCCANO,
            "spans": [
                {"start": start, "end": end, "label": label, "token_start": 0} for start, end, label in SPANS
            ],
            "tokens": [],
            "answer": "accept",
        },
    ],
    ids=["doccano's label", "doccano's labels", "doccano with relations", "Prodigy"],
)
def test_spans_are_mentions(row):
    assert found(*read(row)) == SPANS


def test_a_row_without_spans_was_annotated_all_the_same():
    first, second, third = read({**DOCCANO, "label": SPANS}, {**DOCCANO, "label": []}, {"id": 8, "text": "x"})
    assert (found(first), found(second), found(third)) == (SPANS, [], [])


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ([22, 99, "Chemical"], "22 to 99 is no part of the text, which has 32 characters"),
        ([5, 5, "Chemical"], "5 to 5 is no part"),
        ([-3, 5, "Chemical"], "-3 to 5 is no part"),
        ([0, 5], "is no start, end and label"),
        ([0, 5, ""], "is no start, end and label"),
        ([True, 5, "Chemical"], "is no start, end and label"),
        ({"start": 0, "label": "Chemical"}, "is no start, end and label"),
    ],
)
def test_what_is_no_span_of_the_text_is_rejected(span, said):
    good, bad = read({**DOCCANO, "label": SPANS}, {**DOCCANO, "label": [span]})
    assert found(good) == SPANS
    assert isinstance(bad, Rejected) and bad.place == "line 2" and said in bad.reason


@pytest.mark.parametrize("answer", ["reject", "ignore"])
def test_what_an_annotator_did_not_accept_is_rejected(answer):
    rows = [{**DOCCANO, "spans": [dict(zip(("start", "end", "label"), span, strict=True)) for span in SPANS]}]
    good, bad = read({**rows[0], "answer": "accept"}, {**rows[0], "answer": answer})
    assert found(good) == SPANS
    assert isinstance(bad, Rejected) and answer in bad.reason


@pytest.mark.parametrize("label", [3, "Chemical", ["Chemical", "Disease"], [], None])
def test_labels_of_whole_texts_are_attributes(label):
    (document,) = read({**DOCCANO, "label": label})
    assert document.mentions is None
    assert ("label" in document.attributes) == (label not in ([], None))


def test_spans_beside_several_texts_are_not_guessed_at():
    row = {"id": 7, "title": "Naloxone", "abstract": "It acts.", "label": [[0, 8, "Chemical"]]}
    (document,) = read(row, columns=Columns())
    assert document.mentions is None and "Chemical" in str(document.attributes["label"])
