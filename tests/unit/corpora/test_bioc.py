"""What both BioC formats promise; see test_bioc_json.py and test_bioc_xml.py for each one's own."""

import io
import json
import re
from dataclasses import fields, is_dataclass, replace
from types import ModuleType

import bconv
import bioc as bioc_library
import pytest
from bioc import biocjson, biocxml
from hypothesis import given
from strategies import documents

from raybio.corpora import bioc_json, bioc_xml, pubtator
from raybio.corpora.standoff import in_order
from raybio.entities import Document, Mention, Passage, Rejected, Relation
from raybio.errors import FormatError, OffsetError

FORMATS = pytest.mark.parametrize("bioc", [bioc_json, bioc_xml], ids=["json", "xml"])

# Greek, beyond the BMP, a combining accent, a heading no passage covers, line breaks, markup.
TEXT = "β-Blockers 😀𝔻 & e\u0301mesis.\nMETHODS: rats <5\r\nwith heart and kidney failure. "
AWKWARD = Document(
    "1",
    TEXT,
    (Passage(0, 24, "title"), Passage(34, 73, "abstract", "METHODS", "eng")),
    (
        Mention(0, 10, "Chemical", "β-Blockers", 0.1, "MESH:D000319", "T1"),
        Mention(11, 12, "Thing", "😀"),
        Mention(12, 13, "Thing", "𝔻", 1.0),
        Mention(16, 23, "Disease", "e\u0301mesis"),
        Mention(25, 32, "Heading", "METHODS"),
        Mention(48, 53, "Disease", "heart", id="T2"),
        Mention(65, 72, "Disease", "failure", id="T2"),
    ),
    relations=(Relation("CID", (("cause", "T1"), ("effect", "T2")), "R1"),),
    version=2,
    attributes={"journal": "J & K", "mesh": ("a", "b"), "looks like a list": '["a"]', "none": ()},
)


def write(bioc: ModuleType, *found: Document) -> bytes:
    stream = io.BytesIO()
    bioc.write(found, stream)
    return stream.getvalue()


def read(bioc: ModuleType, content: bytes) -> list:
    return list(bioc.read(io.BytesIO(content), "x.bioc"))


@FORMATS
def test_an_awkward_document_comes_back_as_it_was(bioc):
    assert not list(AWKWARD.misplaced())
    assert read(bioc, write(bioc, AWKWARD, AWKWARD)) == [AWKWARD, AWKWARD]


@FORMATS
def test_not_annotated_differs_from_nothing_found(bioc):
    nobody, nothing = Document("1", "x"), Document("2", "x", mentions=())
    assert read(bioc, write(bioc, nobody, nothing)) == [nobody, nothing]


def held_by_bioc(document: Document) -> Document:
    """What BioC keeps of a document."""
    mentions = None if document.mentions is None else in_order(document.mentions)
    return replace(document, sentences=(), mentions=mentions)


def has_no_reserved_attribute(document: Document) -> bool:
    return "raybio" not in document.attributes


@given(documents().filter(has_no_reserved_attribute))
def test_json_read_again_is_what_bioc_holds(document):
    assert read(bioc_json, write(bioc_json, document)) == [held_by_bioc(document)]


ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def legal_in_xml(value):
    """Put "?" for each character that XML cannot hold, wherever in `value` it stands."""
    if isinstance(value, str):
        return ILLEGAL.sub("?", value)
    if isinstance(value, tuple):
        return tuple(map(legal_in_xml, value))
    if isinstance(value, dict):
        return {legal_in_xml(key): legal_in_xml(item) for key, item in value.items()}
    if is_dataclass(value):
        return replace(value, **{f.name: legal_in_xml(getattr(value, f.name)) for f in fields(value)})
    return value


@given(documents().map(legal_in_xml).filter(has_no_reserved_attribute))
def test_xml_read_again_is_what_bioc_holds(document):
    assert read(bioc_xml, write(bioc_xml, document)) == [held_by_bioc(document)]


# Other people's readers ------------------------------------------------------------------------


def check_library(collection: bioc_library.BioCCollection, expected: list[Document]) -> int:
    """Check each annotation against the text of its passage, as the format means it; count them."""
    checked = 0
    for theirs, ours in zip(collection.documents, expected, strict=True):
        assert theirs.id == ours.id
        for passage in theirs.passages:
            assert ours.text.startswith(passage.text, passage.offset)
        for passage in theirs.passages:
            for annotation in passage.annotations:
                covered = [ours.text[at.offset : at.end] for at in annotation.locations]
                assert " ".join(covered) == annotation.text
                first = annotation.locations[0].offset - passage.offset
                assert passage.text[first : first + annotation.locations[0].length] == covered[0]
                checked += len(covered)
    return checked


def mentions_of(found: list[Document]) -> int:
    return sum(len(document.mentions) for document in found)


@pytest.fixture(scope="module")
def biored(corpora) -> list[Document]:
    with (corpora / "BioRED" / "BioRED_Test.PubTator").open("rb") as stream:
        return list(pubtator.read(stream, "BioRED"))


def test_the_bioc_library_reads_the_awkward_document():
    in_json = biocjson.loads(write(bioc_json, AWKWARD).decode())
    in_xml = biocxml.load(io.BytesIO(write(bioc_xml, AWKWARD)))
    assert check_library(in_json, [AWKWARD]) == check_library(in_xml, [AWKWARD]) == 7


def test_the_bioc_library_reads_a_corpus(biored):
    in_json = biocjson.loads(write(bioc_json, *biored).decode())
    in_xml = biocxml.load(io.BytesIO(write(bioc_xml, *biored)))
    assert check_library(in_json, biored) == check_library(in_xml, biored) == mentions_of(biored) == 3535


@FORMATS
def test_what_the_bioc_library_writes_is_read(bioc):
    collection = biocjson.loads(write(bioc_json, AWKWARD).decode())
    theirs = biocjson.dumps(collection) if bioc is bioc_json else biocxml.dumps(collection)
    assert read(bioc, theirs.encode()) == [AWKWARD]


@FORMATS
def test_bconv_reads_a_corpus_at_the_same_offsets(bioc, biored):
    name = "bioc_json" if bioc is bioc_json else "bioc_xml"
    some = biored[:25]
    found = bconv.load(io.BytesIO(write(bioc, *some)), fmt=name, byte_offsets=False)
    for theirs, ours in zip(found, some, strict=True):
        spans = sorted((e.start, e.end, e.text) for e in theirs.iter_entities())
        assert spans == sorted((m.start, m.end, m.text) for m in ours.mentions)


@FORMATS
def test_bconv_reads_awkward_characters_at_the_same_offsets(bioc):
    name = "bioc_json" if bioc is bioc_json else "bioc_xml"
    (theirs,) = bconv.load(io.BytesIO(write(bioc, AWKWARD)), fmt=name, byte_offsets=False)
    spans = sorted(span for e in theirs.iter_entities() for span in e.spans)
    assert spans == sorted((m.start, m.end) for m in AWKWARD.mentions)


@FORMATS
def test_a_corpus_comes_back_as_it_was(bioc, biored):
    assert read(bioc, write(bioc, *biored)) == [held_by_bioc(document) for document in biored]


# What is not BioC ------------------------------------------------------------------------------


def tree_of(document: Document) -> dict:
    return json.loads(write(bioc_json, document))["documents"][0]


def reject(change) -> Rejected:
    """Read one document with `change` made to its tree, and a sound one after it."""
    node = tree_of(AWKWARD)
    change(node)
    bad, good = read(bioc_json, json.dumps([node, tree_of(AWKWARD)]).encode())
    assert good == AWKWARD
    assert isinstance(bad, Rejected)
    assert (bad.source, bad.place, json.loads(bad.raw)) == ("x.bioc", "document 1", node)
    return bad


def annotation(**changes):
    return lambda node: node["passages"][0]["annotations"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            annotation(text="Blockers"),
            "the mention at 0-10 says 'Blockers' but the text there is 'β-Blockers'",
        ),
        (annotation(locations=[{"offset": -1, "length": 2}]), "starts at -1, before the text"),
        (annotation(locations=[{"offset": 5, "length": -2}]), "at 5-3 does not end after it starts"),
        (
            annotation(locations=[{"offset": 5, "length": 900}]),
            "at 5-905 reaches past the end of the text at",
        ),
        (annotation(locations=[{"offset": "x", "length": 2}]), "offset 'x' is not an integer"),
        (annotation(locations=[{"offset": 2}]), "length None is not an integer"),
        (annotation(infons={"type": "A", "score": "1.5"}), "the score '1.5' is not in [0, 1]"),
        (annotation(infons={"type": "A", "score": "nan"}), "the score 'nan' is not in [0, 1]"),
        (annotation(infons=["x"]), "infons is list, where BioC has an object"),
        (
            lambda n: n["passages"][1].update(offset=20),
            "a passage begins at 20, where the text before it ends",
        ),
        (lambda n: n["passages"][1].update(offset=10**12), "a passage begins at 1000000000000, where"),
        (lambda n: n["passages"][0].update(offset=-1), "a passage begins at -1, where the text"),
        (lambda n: n["passages"][0].pop("offset"), "offset None is not an integer"),
        (lambda n: n.update(passages={"a": 1}), "'passages' is dict, where BioC has a list"),
        (lambda n: n.update(passages=[1]), "one of 'passages' is int, where BioC has an object"),
        (
            lambda n: n["infons"].update(raybio='{"lists": 1}'),
            "infon 'raybio' names the lists with int, not a",
        ),
        (lambda n: n["infons"].update(raybio='{"version": "x"}'), "version 'x' is not an integer"),
        (lambda n: n["infons"].update(raybio="[" * 100_000), "nested too deeply"),
    ],
)
def test_a_document_that_is_not_bioc_is_rejected(change, reason):
    bad = reject(change)
    assert reason in bad.reason
    assert bad.document_id == "1"


def test_half_a_surrogate_pair_is_no_json():
    bad = reject(lambda node: node["passages"][0].update(text="\ud83d"))
    assert "a string holds half a surrogate pair" in bad.reason
    assert '"id": "1"' in bad.raw


def test_offsets_in_bytes_are_rejected():
    def as_bytes(node):
        node["passages"][0]["annotations"][3]["locations"][0]["offset"] += 8

    assert "says 'e\u0301mesis'" in reject(as_bytes).reason


@FORMATS
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"passages": (Passage(0, 5, "title"), Passage(4, 6, "text"))}, "the passage at 4-6, which overlaps"),
        ({"passages": (Passage(0, 99, "title"),)}, "the passage at 0-99, which overlaps or leaves the text"),
        ({"passages": (Passage(0, 1, "raybio-between"),)}, "a passage of kind 'raybio-between'"),
        ({"attributes": {"raybio": "x"}}, "an attribute named 'raybio'"),
        ({"text": "\ud800", "mentions": ()}, "a"),
    ],
)
def test_what_bioc_cannot_hold_is_an_error(bioc, changes, said):
    with pytest.raises(FormatError, match=f"document '7': .* cannot hold {said}"):
        write(bioc, replace(Document("7", "some text"), **changes))


@FORMATS
def test_a_misplaced_mention_is_not_written(bioc):
    with pytest.raises(
        OffsetError, match="document '7': the mention at 0-1 says 'y' but the text there is 'x'"
    ):
        write(bioc, Document("7", "x", mentions=(Mention(0, 1, "A", "y"),)))


@FORMATS
def test_a_file_without_documents_is_an_error(bioc):
    with pytest.raises(FormatError, match=r"x\.bioc: the file holds no BioC document"):
        read(bioc, write(bioc))


def test_names_made_up_for_mentions_avoid_their_own():
    mentions = (Mention(0, 1, "A", "x"), Mention(0, 1, "B", "x", id="raybio-1"))
    linked = Relation("same", (("", "raybio-1"), ("", "raybio-2")))
    document = Document("1", "x", mentions=mentions, relations=(linked,))
    ids = [node["id"] for node in tree_of(document)["passages"][0]["annotations"]]
    assert ids == ["raybio-3", "raybio-1"]
    assert read(bioc_json, write(bioc_json, document)) == [document]
