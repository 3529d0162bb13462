import dataclasses
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import documents

from raybio.corpora.jsonl import document_from_json, document_to_json, read, write
from raybio.entities import Document, Mention, Passage, Rejected, Sentence, Span
from raybio.errors import FormatError


def written(*found: Document) -> bytes:
    stream = io.BytesIO()
    write(found, stream)
    return stream.getvalue()


@given(st.lists(documents(), min_size=1, max_size=2))
def test_documents_go_round(drawn):
    content = written(*drawn)
    assert list(read(io.BytesIO(content), "a")) == drawn
    assert len(content.decode().splitlines()) == len(drawn)


@given(documents())
def test_a_line_is_json_with_documented_fields(document):
    fields = json.loads(document_to_json(document))
    assert (fields["id"], fields["text"]) == (document.id, document.text)
    assert [m["text"] for m in fields.get("mentions", ())] == [m.text for m in document.mentions or ()]
    assert ("mentions" in fields) == (document.mentions is not None)
    assert fields.keys() <= {field.name for field in dataclasses.fields(Document)}


def test_text_is_not_escaped_but_line_ends_are():
    assert written(Document("1", "é😀\u2028\u2029\u0085\n")) == (
        '{"id":"1","text":"é😀\\u2028\\u2029\\u0085\\n"}\n'.encode()
    )


def test_never_annotated_is_not_the_same_as_nothing_found():
    for mentions in (None, ()):
        for gold in (None, ()):
            sentence = Sentence("1:0", ("a",), (0,), "1", gold)
            document = Document("1", "a", mentions=mentions, sentences=(sentence,))
            assert document_from_json(document_to_json(document)) == document


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("{", "Invalid JSON"),
        ('"text"', "Input should be"),
        ('{"id": "1", "text": "\\ud800"}', "Invalid JSON"),
        ('{"id": "1", "text": "lost", "text": "a"}', "an object names 'text' twice"),
        ({"id": "1"}, "text: Field required"),
        ({"id": 1, "text": ""}, "id: Input should be a valid string"),
        ({"id": "1", "text": "", "journal": "x"}, "unknown field 'journal'"),
        ({"id": "1", "text": "ab", "mentions": [{"start": 0, "end": 1}]}, "mentions.0.label: Field required"),
        (
            {"id": "1", "text": "ab", "mentions": [{"start": 0, "end": 1, "label": "X", "text": "b"}]},
            r"mention 'b' is not at \[0, 1\): there stands 'a'",
        ),
        (
            {"id": "1", "text": "a", "mentions": [{"start": 0, "end": 1, "label": "X", "text": "a", "p": 1}]},
            "unknown field 'p'",
        ),
        (
            {"id": "1", "text": "a", "passages": [{"start": 0, "end": 2, "kind": "title"}]},
            "not inside the text",
        ),
        (
            {"id": "1", "text": "a", "sentences": [{"id": "s", "words": ["b"], "starts": [0]}]},
            "word 'b' of sentence s is not at 0",
        ),
        (
            {"id": "1", "text": "a", "sentences": [{"id": "s", "words": ["a"], "starts": []}]},
            "1 words and 0 starts",
        ),
    ],
)
def test_a_line_at_fault_is_rejected_alone(fields, reason):
    line = fields if isinstance(fields, str) else json.dumps(fields)
    content = f'{{"id":"0","text":""}}\n\n{line}\n{{"id":"2","text":""}}\n'
    first, rejected, last = read(io.BytesIO(content.encode()), "a.jsonl")
    assert (first, last) == (Document("0", ""), Document("2", ""))
    assert isinstance(rejected, Rejected)
    assert (rejected.source, rejected.place, rejected.raw) == ("a.jsonl", "line 3", line)
    with pytest.raises(ValueError, match=reason):
        document_from_json(line)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (Document("1", "\ud800"), "cannot be written as UTF-8"),
        (Document("1", "a", mentions=(Mention(0, 1, "X", "b"),)), "mention 'b' is not at"),
        (Document("1", "a", mentions=(Mention(0, 1, "X", "a", score=float("nan")),)), "score nan"),
        (Document("1", "a", passages=(Passage(1, 0, "text"),)), "not inside the text"),
        (
            Document("1", "a", sentences=(Sentence("s", ("a",), (0,), gold=(Span(0, 2, "X"),)),)),
            "not inside sentence s",
        ),
    ],
)
def test_a_document_that_breaks_its_promises_is_not_written(document, problem):
    with pytest.raises(FormatError, match=problem):
        written(document)
