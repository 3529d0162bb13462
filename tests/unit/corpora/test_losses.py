"""What formats say they lose is what they lose: documents written and read again have all the rest."""

import io
import json
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from strategies import documents

from raybio.corpora import bioc_json, format_named, pubtator
from raybio.corpora.losses import parts_of
from raybio.corpora.sentences import with_sentences
from raybio.entities import Document, Mention, Passage, Relation

LOSSY = ("pubtator", "brat", "bioc-json")


def without_line_breaks_at_ends(document: Document) -> bool:
    """Whether brat can hold the mentions at all."""
    return not any({each.text[0], each.text[-1]} & set("\r\n") for each in document.mentions or ())


@given(documents().filter(without_line_breaks_at_ends), st.sampled_from(LOSSY))
def test_what_is_not_counted_as_lost_is_there_again(document, name):
    chosen = format_named(name)
    with TemporaryDirectory() as folder:
        path = f"{folder}/out" if chosen.takes_path else f"{folder}/out.x"
        chosen.write_path([document], path)
        (back,) = chosen.read_path(path)
    before, after, lost = parts_of(document), parts_of(back), chosen.losses(document)
    for kind in ("attributes of documents", "relations", "mentions", "scores of mentions", "passages"):
        assert after[kind] + lost[kind] >= before[kind], kind
    assert all(lost[kind] <= before[kind] for kind in lost if not kind.startswith("line breaks"))


def test_infons_that_became_a_field_are_not_lost():
    mention = Mention(0, 1, "A", "x", concept="D1", infons={"MESH": "D1", "kind": "A", "species": "9606"})
    relation = Relation(
        "CID", (("Chemical", "D1"), ("Disease", "D1")), infons={"Chemical": "D1", "relation": "CID"}
    )
    found = pubtator.losses(Document("1", "x", mentions=(mention,), relations=(relation,)))
    assert found == {"infons of mentions": 1, "roles of relations": 2}


def test_sentences_inside_passages_and_names_beside_biocs_own_are_counted():
    fever = {"id": "0", "infons": {"type": "D"}, "text": "Fever", "locations": [{"offset": 0, "length": 5}]}
    passage = {
        "offset": 0,
        "infons": {},
        "meta": "m",
        "sentences": [
            {"offset": 0, "infons": {"zone": "OBJ"}, "text": "Fever.", "annotations": [fever]},
            {"offset": 7, "infons": {}, "text": "Cold."},
        ],
    }
    (document,) = bioc_json.read(io.BytesIO(json.dumps({"id": "1", "passages": [passage]}).encode()), "x")
    for name in ("pubtator", "brat", "iob2", "csv"):
        assert format_named(name).losses(document)["parts of BioC files"] == 4, name


def test_columns_of_words_hold_no_parts_of_one_mention_and_no_text_outside_of_sentences():
    parts = tuple(Mention(*place, "D", text, id="T1") for *place, text in [(0, 1, "A"), (5, 6, "C")])
    document = Document("1", "A b, C. Rest of it", (Passage(0, 7, "text"),), mentions=parts)
    (document,) = with_sentences([document])
    found = format_named("iob2").losses(document)
    assert found["discontinuous mentions"] == 1
    assert found["characters outside of sentences"] == len("Restofit")


def test_a_third_argument_that_is_no_note_loses_its_role_in_pubtator():
    mention = Mention(0, 1, "A", "x", concept="D1")
    for role, lost in (("note", 0), ("site", 1)):
        relation = Relation("CID", (("", "D1"), ("", "D1"), (role, "D1")))
        document = Document("1", "x", (Passage(0, 1, "title"),), (mention,), relations=(relation,))
        assert pubtator.losses(document)["roles of relations"] == lost


def test_whole_files_are_held_by_lossless_formats(corpora):
    content = (corpora / "BioRED" / "BioRED_Test.PubTator").read_bytes()
    found = list(pubtator.read(io.BytesIO(content), "x"))
    for name in ("pubtator", "bioc-xml", "bioc-json", "jsonl", "parquet"):
        assert not any(map(format_named(name).losses, found)), name
