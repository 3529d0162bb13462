import io
import json
from collections import Counter

import pytest

from raybio.corpora import read_corpus
from raybio.corpora.chemprot_json import read
from raybio.entities import Document, Mention, Rejected, Relation, Span
from raybio.errors import UsageError

WORDS = [["Aspirin", "acts", "."], ["It", "blocks", "COX", "-", "2", "."]]
NER = [[[0, 0, "CHEMICAL"]], [[5, 5, "GENE"], [5, 7, "GENE"]]]
FIELDS = {"doc_key": "7", "sentences": WORDS, "ner": NER, "relations": [[], [[0, 0, 5, 7, "CPR:4"]]]}


def records(*lines: object, **options):
    content = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    return list(read(io.BytesIO(content.encode()), "a.json", **options))


def lengths(documents: list[Document]) -> Counter[int]:
    return Counter(min(len(span), 3) for d in documents for s in d.sentences for span in s.gold)


def test_corrected_maps_offsets_of_the_document_into_sentences():
    (found,) = records(FIELDS)
    assert found.text == "Aspirin acts .\nIt blocks COX - 2 ."
    assert found.mentions == (
        Mention(0, 7, "CHEMICAL", "Aspirin", id="T1"),
        Mention(25, 28, "GENE", "COX", id="T2"),
        Mention(25, 32, "GENE", "COX - 2", id="T3"),
    )
    assert [s.gold for s in found.sentences] == [(Span(0, 1, "CHEMICAL"),), (Span(2, 5, "GENE"),)]
    assert [s.id for s in found.sentences] == ["7:0", "7:1"]
    assert found.attributes == {"flattened_spans": "1"}
    assert found.relations == (Relation("CPR:4", (("Arg1", "T1"), ("Arg2", "T3"))),)


def test_study_reads_them_as_offsets_into_each_sentence_cut_at_its_end():
    (found,) = records(FIELDS, protocol="study")
    assert [s.gold for s in found.sentences] == [(Span(0, 1, "CHEMICAL"),), (Span(5, 6, "GENE"),)]
    assert [m.text for m in found.mentions] == ["Aspirin", "."]


def test_study_gives_the_rest_of_an_overwritten_entity_to_the_one_before():
    ner = [[[0, 2, "CHEMICAL"], [0, 0, "GENE"]], [[3, 4, "GENE"], [4, 4, "CHEMICAL"]]]
    (found,) = records({**FIELDS, "ner": ner, "relations": []}, protocol="study")
    assert [s.gold for s in found.sentences] == [
        (Span(0, 3, "GENE"),),
        (Span(3, 4, "GENE"), Span(4, 5, "CHEMICAL")),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        {**FIELDS, "doc_key": 7},
        {**FIELDS, "sentences": "words"},
        {**FIELDS, "sentences": [["a", ""], ["b"]]},
        {**FIELDS, "ner": NER[:1]},
        {**FIELDS, "ner": [[], [[5, 9, "GENE"]]]},
        {**FIELDS, "ner": [[], [[-1, 0, "GENE"]]]},
        {**FIELDS, "ner": [[], [[2, 3, "GENE"]]]},
        {**FIELDS, "ner": [[], [[5, "GENE"]]]},
        {**FIELDS, "ner": [5, 6]},
        {**FIELDS, "relations": [[], [[0, 0, 5, 6, "CPR:4"]]]},
        {**FIELDS, "relations": None},
        json.dumps({**FIELDS, "doc_key": "\ud800"}),
        json.dumps(FIELDS).replace('"ner"', '"ner": [["lost", "words"]], "ner"'),
    ],
)
def test_a_line_at_fault_is_rejected_alone(line):
    first, rejected, last = records(FIELDS, line, FIELDS)
    assert first == last == records(FIELDS)[0]
    assert isinstance(rejected, Rejected)
    assert (rejected.source, rejected.place) == ("a.json", "line 2")
    assert "not a ChemProt document (" in rejected.reason
    assert json.loads(rejected.raw) == line if not isinstance(line, str) else rejected.raw == line


def test_an_unknown_protocol_is_refused():
    with pytest.raises(UsageError, match="Protocols: corrected, study"):
        records(FIELDS, protocol="studied")


def test_wrong_encoding_costs_its_line():
    (rejected,) = read(io.BytesIO('{"doc_key": "é"}'.encode("latin-1")), "a")
    assert (rejected.place, rejected.reason) == ("line 1, byte 13", "byte 0xE9 is not UTF-8")


def test_real_corrected(corpora):
    documents = list(read_corpus(str(corpora / "ChemProt/test.json")))
    assert sum(len(d.sentences) for d in documents) == 8179
    assert sum(len(d.mentions) for d in documents) == 20759
    assert not any(True for d in documents for _ in d.misplaced())
    assert lengths(documents) == {1: 9910, 2: 3431, 3: 6046}
    assert sum(int(d.attributes.get("flattened_spans", 0)) for d in documents) == 20759 - 9910 - 3431 - 6046


def test_real_study_equals_the_tables(corpora):
    test = list(read_corpus(str(corpora / "ChemProt/test.json"), protocol="study"))
    dev = list(read_corpus(str(corpora / "ChemProt/dev.json"), protocol="study"))
    assert lengths(test) == {1: 1348, 2: 613, 3: 1023}
    assert [sum(len(d.sentences) for d in split) for split in (dev, test)] == [3360, 8179]
