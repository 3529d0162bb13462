"""What formats say they lose is what they lose: documents written and read again have all the rest."""

import io
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from strategies import documents

from raybio.corpora import format_named, pubtator
from raybio.corpora.losses import parts_of
from raybio.entities import Document, Mention, Relation

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


def test_whole_files_are_held_by_lossless_formats(corpora):
    content = (corpora / "BioRED" / "BioRED_Test.PubTator").read_bytes()
    found = list(pubtator.read(io.BytesIO(content), "x"))
    for name in ("pubtator", "bioc-xml", "bioc-json", "jsonl", "parquet"):
        assert not any(map(format_named(name).losses, found)), name
