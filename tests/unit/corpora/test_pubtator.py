import io
from dataclasses import replace

import bconv
import pytest
from hypothesis import given
from strategies import documents

from raybio.corpora import pubtator
from raybio.entities import Document, Mention, Passage, Rejected, Relation
from raybio.errors import FormatError, OffsetError

TWO = """\
1|t|β-Blockers 😀 in rats.
1|a|They cause e\u0301mesis.
1\t0\t10\tβ-Blockers\tChemical\tD000319
1\t33\t40\te\u0301mesis\tDisease\tD014839|D009325
1\tCID\tD000319\tD014839
1\tAssociation\tD000319\tD014839\tNovel

2|t|No abstract here.
2|a|
2\t3\t11\tabstract\tThing\t-
"""


def read(text: str) -> list:
    return list(pubtator.read(io.BytesIO(text.encode()), "x.PubTator"))


def write(*found: Document) -> str:
    stream = io.BytesIO()
    pubtator.write(found, stream)
    return stream.getvalue().decode()


def test_reads_text_mentions_and_relations():
    first, second = read(TWO)
    assert first.text == "β-Blockers 😀 in rats. They cause e\u0301mesis."
    assert first.passages == (Passage(0, 21, "title"), Passage(22, 41, "abstract"))
    assert first.mentions == (
        Mention(0, 10, "Chemical", "β-Blockers", concept="D000319"),
        Mention(33, 40, "Disease", "e\u0301mesis", concept="D014839|D009325"),
    )
    assert first.relations == (
        Relation("CID", (("", "D000319"), ("", "D014839"))),
        Relation("Association", (("", "D000319"), ("", "D014839"), ("note", "Novel"))),
    )
    assert second.text == "No abstract here."
    assert second.passages == (Passage(0, 17, "title"),)
    assert second.mentions == (Mention(3, 11, "Thing", "abstract"),)


def test_what_it_read_it_writes_back():
    assert write(*read(TWO)) == TWO + "\n"


def test_line_endings_and_missing_lines_do_not_matter():
    expected = read(TWO)
    assert read(TWO.replace("\n", "\r\n")) == expected
    assert read("\ufeff\n\n" + TWO.replace("2|a|\n", "")) == expected
    assert read(TWO.replace("\n\n", "\n")) == expected, "a title line starts a document"


def test_only_line_feeds_end_lines():
    (document,) = read("1|t|a\u2028b\u0085c\x0bd\n1|a|\n")
    assert document.text == "a\u2028b\u0085c\x0bd"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1\t3\t7\tcats\tChemical\tD1", "the mention at 3-7 says 'cats' but the text there is 'rats'"),
        ("1\t-1\t7\trats\tChemical\tD1", "a mention starts at -1, before the text"),
        ("1\t7\t3\trats\tChemical\tD1", "a mention at 7-3 does not end after it starts"),
        ("1\t3\t3\t\tChemical\tD1", "a mention at 3-3 does not end after it starts"),
        ("1\t3\t99\trats\tChemical\tD1", "a mention at 3-99 reaches past the end of the text at 8"),
        ("1\t3\tx7\trats\tChemical\tD1", "end 'x7' is not an integer"),
        ("1\tthree\t7\trats\tChemical\tD1", "start 'three' is not an integer"),
        ("1\t3\t7\trats\t\tD1", "the mention 'rats' has no label"),
        ("1\t3\t7\trats", "a mention has at least 5 columns separated by tabs; here are 4"),
        ("9\t3\t7\trats\tChemical\tD1", "the line belongs to no title line: its id is '9'"),
        ("1|a|In rats.", "the line belongs to no title line: its id is '1|a|In rats.'"),
    ],
)
def test_a_faulty_line_rejects_its_document_only(line, reason):
    good = "1\t3\t7\trats\tChemical\tD1"
    bad, after = read(f"1|t|In\n1|a|rats.\n{good}\n{line}\n\n{TWO[TWO.index('2|t|') :]}")
    assert bad == Rejected(
        "x.PubTator",
        "line 4",
        reason,
        "Fix the line: offsets count the code points of title + ' ' + abstract",
        "1",
        f"1|t|In\n1|a|rats.\n{good}\n{line}",
    )
    assert after.id == "2"


def test_a_record_without_a_title_is_rejected():
    (bad,) = read("1\t3\t7\trats\tChemical\n")
    assert (bad.place, bad.document_id) == ("line 1", "1")
    assert bad.reason.startswith("a document begins with ID|t|TITLE")


@pytest.mark.parametrize("empty", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_an_error(empty):
    with pytest.raises(FormatError, match=r"x\.PubTator: the file holds no PubTator document"):
        read(empty)


def test_wrong_encoding_costs_its_document():
    content = "1|t|x\n1|é\n\n2|t|y\n".encode("latin-1")
    rejected, document = pubtator.read(io.BytesIO(content), "x.PubTator")
    assert (rejected.place, rejected.reason) == ("line 2, byte 8", "byte 0xE9 is not UTF-8")
    assert (rejected.document_id, rejected.raw) == ("1", "1|t|x\n1|\\xe9")
    assert document.id == "2"


TITLE, REST = Passage(0, 5, "title"), Passage(6, 9, "abstract")


@pytest.mark.parametrize(
    ("text", "passages", "lines"),
    [
        ("Title abc", (TITLE, REST), "1|t|Title\n1|a|abc"),
        ("Title\nabc\td", (TITLE,), "1|t|Title\n1|a|abc d"),
        ("Title: abc", (TITLE,), "1|t|Title: abc\n1|a|"),  # no space to cut at
        ("Title\u00a0abc", (TITLE,), "1|t|Title\u00a0abc\n1|a|"),
        ("Title ", (TITLE,), "1|t|Title \n1|a|"),
        ("Title  ", (TITLE,), "1|t|Title\n1|a| "),
        ("Title", (TITLE,), "1|t|Title\n1|a|"),
        ("Title abc", (), "1|t|Title abc\n1|a|"),
        ("Title abc", (Passage(0, 5, "abstract"),), "1|t|Title abc\n1|a|"),
        (" abc", (Passage(1, 4, "abstract"),), "1|t|\n1|a|abc"),
        ("  ", (), "1|t|\n1|a| "),
        (" ", (), "1|t| \n1|a|"),
        ("", (), "1|t|\n1|a|"),
    ],
)
def test_the_cut_into_title_and_abstract_moves_no_offset(text, passages, lines):
    written = write(Document("1", text, passages))
    assert written == lines + "\n\n"
    (back,) = read(written)
    assert back.text == text.replace("\n", " ").replace("\t", " ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "a|b"}, "this id"),
        ({"id": ""}, "this id"),
        ({"id": "a\tb"}, "this id"),
        ({"id": "\ufeffa"}, "this id"),
        ({"text": "\ud800", "mentions": None}, "a lone surrogate"),
        ({"mentions": (Mention(0, 1, "a\tb", "x"),)}, "the column 'a\\\\tb'"),
        ({"mentions": (Mention(0, 1, "", "x"),)}, "the column ''"),
        ({"mentions": (Mention(0, 1, "A", "x", concept="\n"),)}, "the column '\\\\n'"),
    ],
)
def test_what_it_cannot_hold_is_an_error(changes, said):
    with pytest.raises(FormatError, match=f"cannot hold {said}"):
        write(replace(Document("1", "x", mentions=()), **changes))


MENTIONS = (Mention(0, 1, "A", "x", concept="D1", id="T1"), Mention(0, 1, "A", "x", id="T2"))


@pytest.mark.parametrize(
    ("relation", "line"),
    [
        (Relation("CID", (("", "D7"), ("", "D8"))), "1\tCID\tD7\tD8"),
        (Relation("CID", (("a", "T1"), ("b", "D8"), ("note", "No"))), "1\tCID\tD1\tD8\tNo"),
        (Relation("CID", (("", "D1"),)), ""),
        (Relation("CID", (("", "T1"), ("", "T2"))), ""),
        (Relation("1st", (("", "D1"), ("", "D2"))), ""),
        (Relation("CID", (("", "D\t1"), ("", "D2"))), ""),
    ],
)
def test_relations_name_concepts_and_those_that_cannot_are_counted(relation, line):
    document = Document("1", "x", mentions=MENTIONS, relations=(relation,))
    assert write(document).splitlines()[4:-1] == [line][: bool(line)]
    assert pubtator.losses(document)["relations"] == (not line)


def test_columns_after_the_concept_are_kept():
    text = "1|t|p53 V600E\n1|a|\n1\t4\t9\tV600E\tVariant\tc|SUB|V|600|E\tRS:1\t\t673\n\n"
    (document,) = read(text)
    assert document.mentions[0].infons == {"column 7": "RS:1", "column 8": "", "column 9": "673"}
    assert write(document) == text


def test_byte_order_marks_between_files_that_were_put_together_do_not_count():
    assert read(TWO + "\ufeff" + TWO) == [*read(TWO), *read(TWO)]


@pytest.mark.parametrize(
    "mention", [Mention(0, 1, "A", "y"), Mention(-1, 1, "A", ""), Mention(0, 2, "A", "x")]
)
def test_a_misplaced_mention_is_not_written(mention):
    with pytest.raises(OffsetError, match="document '1'"):
        write(Document("1", "x", mentions=(mention,)))


def held_by_pubtator(document: Document) -> Document:
    """What PubTator keeps of a document, apart from its passages."""
    text = document.text.translate(dict.fromkeys(map(ord, "\t\r\n"), " "))
    return Document(
        document.id,
        text,
        mentions=tuple(
            Mention(
                m.start,
                m.end,
                m.label,
                text[m.start : m.end],
                concept=m.concept,
                infons={key: m.infons[key] for key in ("column 7",) if key in m.infons},
            )
            for m in document.mentions or ()
        ),
        relations=tuple(
            Relation(r.label, tuple(zip(("", "", "note"), (name for _, name in r.arguments), strict=False)))
            for r in document.relations
        ),
    )


def with_binary_relations(document: Document) -> Document:
    return replace(document, relations=tuple(r for r in document.relations if len(r.arguments) >= 2))


@given(documents().map(with_binary_relations))
def test_written_and_read_again_is_what_the_format_holds(document):
    (back,) = read(write(document))
    assert replace(back, passages=()) == held_by_pubtator(document)


COUNTS = {
    "BC5CDR/BC5CDR_TrainDev.PubTator": (1000, 18974),
    "BC5CDR/BC5CDR_Test.PubTator": (500, 9796),
    "BioRED/BioRED_TrainDev.PubTator": (500, 16884),
    "BioRED/BioRED_Test.PubTator": (100, 3535),
}


@pytest.mark.parametrize("name", COUNTS)
def test_real_corpora_are_read_whole_and_written_back_byte_for_byte(corpora, name):
    content = (corpora / name).read_bytes()
    found = list(pubtator.read(io.BytesIO(content), name))
    assert not [record for record in found if isinstance(record, Rejected)]
    assert (len(found), sum(len(document.mentions) for document in found)) == COUNTS[name]
    assert not [mention for document in found for mention in document.misplaced()]
    assert write(*found).encode() == content


def test_bconv_reads_the_same_mentions():
    found = read(TWO.replace("1\tAssociation\tD000319\tD014839\tNovel\n", ""))  # bconv knows no fifth column
    for theirs, ours in zip(bconv.loads(write(*found), fmt="pubtator"), found, strict=True):
        spans = [(e.start, e.end, e.text, e.metadata["type"]) for e in theirs.iter_entities()]
        assert spans == [(m.start, m.end, m.text, m.label) for m in ours.mentions]
