"""The shapes BioC JSON comes in; test_bioc.py has what is in a document."""

import io
import json

import pytest

from raybio.corpora import bioc_json, read_corpus
from raybio.entities import Document, Mention, Passage, Rejected, Relation
from raybio.errors import FormatError

ONE = {
    "id": "10021369",
    "infons": {},
    "passages": [
        {
            "infons": {"type": "title", "journal": "J"},
            "offset": 0,
            "text": "Drosophila EYES ABSENT.",
            "sentences": [],
            "annotations": [
                {
                    "id": "2",
                    "infons": {"identifier": "7227", "type": "Species", "valid": True, "score": None},
                    "text": "Drosophila",
                    "locations": [{"offset": 0, "length": 10}],
                }
            ],
            "relations": [],
        },
        {"infons": {"type": "abstract"}, "offset": 24, "text": "Abc.", "annotations": [], "relations": []},
    ],
    "relations": [
        {"id": "R1", "infons": {"type": "A", "score": "0.9"}, "nodes": [{"refid": "2", "role": "2,0"}]}
    ],
    "authors": ["A", "B"],
}
EXPECTED = Document(
    "10021369",
    "Drosophila EYES ABSENT. Abc.",
    (Passage(0, 23, "title", infons={"journal": "J"}), Passage(24, 28, "abstract")),
    (
        Mention(
            0,
            10,
            "Species",
            "Drosophila",
            concept="7227",
            id="2",
            infons={"identifier": "7227", "type": "Species", "valid": True, "score": None},
        ),
    ),
    relations=(Relation("A", (("2,0", "2"),), "R1", {"score": "0.9"}),),
    extra={"bioc": {"keys": {"authors": ["A", "B"]}}},
)


def read(content: bytes | str) -> list:
    raw = content.encode() if isinstance(content, str) else content
    return list(bioc_json.read(io.BytesIO(raw), "x.json"))


LINE = json.dumps(ONE)


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (LINE, 1),
        (f"\n\n{LINE}\n\n{LINE}\n", 2),
        (f"\ufeff{LINE}\r\n{LINE}", 2),
        (json.dumps([ONE, ONE, ONE], indent=2), 3),
        (json.dumps({"source": "", "documents": [ONE, ONE]}), 2),
        (json.dumps({"source": "", "documents": [ONE, ONE]}, indent=1), 2),
        ("\ufeff" + json.dumps({"documents": [ONE, ONE]}, indent=1), 2),
        (json.dumps({"PubTator3": [ONE, ONE]}), 2),
        (json.dumps({"PubTator3": [ONE]}) + "\n" + json.dumps({"PubTator3": [ONE]}), 2),
    ],
)
def test_every_shape_is_read(content, count):
    assert read(content) == [EXPECTED] * count


def test_sentences_of_a_passage_are_its_text():
    annotation = ONE["passages"][0]["annotations"][0]
    sentences = [
        {"offset": 0, "text": "Drosophila.", "annotations": [annotation], "infons": {}, "relations": []},
        {"offset": 13, "text": "Two.", "annotations": [], "infons": {}, "relations": []},
    ]
    (document,) = read(json.dumps({"id": 7, "passages": [{"infons": None, "sentences": sentences}]}))
    assert (document.id, document.text) == ("7", "Drosophila.  Two.")
    said = {"sentences": [{"offset": 0, "length": 11}, {"offset": 13, "length": 4}]}
    assert document.passages == (Passage(0, 17, "text", infons={"raybio": said}),)
    assert [mention.text for mention in document.mentions] == ["Drosophila"]


def test_a_passage_with_text_and_sentences_must_hold_what_they_say():
    def with_sentence(text: str) -> str:
        sentence = {"offset": 0, "text": text, "annotations": []}
        return json.dumps(ONE | {"passages": [ONE["passages"][0] | {"sentences": [sentence]}]})

    (good,) = read(with_sentence("Drosophila EYES"))
    assert good.text == "Drosophila EYES ABSENT."
    (bad,) = read(with_sentence("Lost words."))
    assert bad.reason == "the passage's text has not the words of its sentence 'Lost words.'"


def test_a_line_that_names_something_twice_is_rejected():
    twice = LINE.replace('"text": "Abc."', '"text": "Lost.", "text": "Abc."')
    bad, good = read(f"{twice}\n{LINE}")
    assert bad.reason == "the line cannot be read as JSON in UTF-8 (an object names 'text' twice)"
    assert bad.raw == twice
    assert good == EXPECTED


def test_lists_among_a_documents_infons_are_tuples():
    infons = {"a": ["x", 1], "b": None, "c": 2, "d": "[]"}
    (document,) = read(json.dumps({"id": "1", "infons": infons, "passages": []}))
    assert document.attributes == {"a": ("x", "1"), "b": "", "c": "2", "d": "[]"}


def test_a_bad_line_is_rejected_and_the_next_is_read():
    first, second, third, last = read(b'{"id": oops}\n{"id": "\xff"}\n[1]\n' + LINE.encode())
    assert (first.place, first.raw) == ("line 1", '{"id": oops}')
    assert first.reason.startswith("the line cannot be read as JSON in UTF-8 (Expecting value")
    assert (second.place, second.raw) == ("line 2", '{"id": "\\xff"}')
    assert third == Rejected(
        "x.json",
        "line 3, document 1",
        "a document is int, where BioC has an object",
        "Fix the document: offsets count Unicode code points of the whole document",
        "",
        "1",
    )
    assert last == EXPECTED


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"documents": [\n{"id": "1"},\n', "x.json, line 2: the JSON is broken (it ends before the list"),
        (
            b'{"documents": [\n{"id": "1"},\n{"id',
            "x.json, line 3: the JSON is broken (it ends inside",
        ),
        (b'{"documents":\n[{}], oops\n}', "x.json, line 3: the JSON is broken"),
        (b"not json", "x.json, line 1, column 1: the JSON is broken"),
        (
            b'{"documents": [\n], "documents": []}',
            "x.json, line 2: the JSON is broken (an object names 'documents' twice",
        ),
        (b"[" * 200_000, "x.json, line 1: the JSON is broken (it ends inside document 1"),
        (b"", "x.json: the file holds no BioC document"),
        (b"\n \n", "x.json: the file holds no BioC document"),
        (b"[]", "x.json: the file holds no BioC document"),
    ],
)
def test_a_broken_file_is_an_error(content, said):
    with pytest.raises(FormatError) as error:
        read(content)
    assert str(error.value).startswith(said)


def test_a_document_stands_on_one_line():
    stream = io.BytesIO()
    bioc_json.write([EXPECTED, EXPECTED], stream)
    head, *lines, tail = stream.getvalue().decode().splitlines()
    assert head.startswith('{"source": "raybio"')
    assert [json.loads(line.rstrip(","))["id"] for line in lines] == ["10021369", "10021369"]
    assert tail == "]}"


@pytest.mark.parametrize(
    ("key", "reason"),
    [("passages", "the document has no 'passages'"), ("text", "at offset 0 has no 'text'")],
)
def test_a_misspelt_key_loses_no_text(key, reason):
    whole = '{"id": "1", "passages": [{"offset": 0, "infons": {"type": "title"}, "text": "Aspirin helps"}]}'
    (found,) = bioc_json.read(io.BytesIO(whole.replace(f'"{key}"', f'"{key}x"').encode()), "a.json")
    assert isinstance(found, Rejected)
    assert reason in found.reason and "Aspirin helps" in found.raw


def test_a_misspelt_list_loses_no_mention():
    mention = '{"id": "T1", "infons": {"type": "X"}, "text": "As", "locations": [{"offset": 0, "length": 2}]}'
    whole = f'{{"id": "1", "passages": [{{"offset": 0, "text": "Aspirin", "anotations": [{mention}]}}]}}'
    (found,) = bioc_json.read(io.BytesIO(whole.encode()), "a.json")
    assert isinstance(found, Rejected)
    assert found.reason == "'anotations' is no part of BioC. Did you mean 'annotations'?"


def test_parts_of_pubtators_own_are_let_be():
    own = '"_id": "1|None", "relations_display": [], "meta": {}, "journal": "J", "authors": ["A"]'
    whole = f'{{"id": "1", {own}, "relations": [], "passages": [{{"offset": 0, "text": "Aspirin"}}]}}'
    (found,) = bioc_json.read(io.BytesIO(whole.encode()), "a.json")
    assert isinstance(found, Document) and found.text == "Aspirin"


def test_a_list_of_collections_is_their_documents_with_what_stands_around_each(tmp_path):
    """As NCBI's BioC of PubMed and PMC comes."""

    def collection(source, *ids):
        passages = [{"offset": 0, "infons": {"type": "title"}, "text": "Pain.", "annotations": []}]
        return {"source": source, "key": "k", "documents": [{"id": i, "passages": passages} for i in ids]}

    path = tmp_path / "a.json"
    broken = collection("PMC", "3")
    broken["documents"].append({"id": "4"})
    path.write_text(json.dumps([collection("PubMed", "1", "2"), broken]))
    rejected = []
    found = list(read_corpus(str(path), on_rejected=rejected.append))
    assert [(each.id, each.text, each.extra["bioc"]["collection"]["source"]) for each in found] == [
        *(("1", "Pain.", "PubMed"), ("2", "Pain.", "PubMed"), ("3", "Pain.", "PMC"))
    ]
    assert [record.place for record in rejected] == ["collection 2, document 2"]
