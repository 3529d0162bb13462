from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import documents

from raybio.corpora import brat, pubtator
from raybio.corpora.standoff import in_order
from raybio.entities import Document, Mention, Passage, Rejected, Relation
from raybio.errors import FormatError, InputError, OffsetError, UsageError

TEXT = "β-Blockers 😀 cause heart\nand kidney failure."
DOCUMENT = Document(
    "8701013",
    TEXT,
    (Passage(0, 44, "text"),),
    (
        Mention(0, 10, "Chemical", "β-Blockers", 0.98, "MESH:D000319", "T1"),
        Mention(11, 12, "Thing", "😀", concept="no database", id="T2"),
        Mention(19, 35, "Organ", "heart\nand kidney", id="T3"),
        Mention(19, 24, "Disease", "heart", 0.5, "D006333", "T4"),
        Mention(36, 43, "Disease", "failure", 0.5, "D006333", "T4"),
    ),
    relations=(Relation("CID", (("Arg1", "T1"), ("Arg2", "T4")), "R1"),),
)
ANN = """\
T1\tChemical 0 10\tβ-Blockers
N1\tReference T1 MESH:D000319\tβ-Blockers
#2\tScore T1\t0.98
T2\tThing 11 12\t😀
#3\tConcept T2\tno database
T4\tDisease 19 24;36 43\theart failure
#4\tConcept T4\tD006333
#5\tScore T4\t0.5
T3\tOrgan 19 24;25 35\theart and kidney
R1\tCID Arg1:T1 Arg2:T4
"""


def write(folder: Path, *found: Document) -> Path:
    brat.write_folder(found, str(folder))
    return folder


def read(folder: Path) -> list:
    return list(brat.read_folder(str(folder)))


def read_ann(folder: Path, ann: str, text: str = TEXT) -> list:
    (folder / "1.txt").write_bytes(text.encode())
    (folder / "1.ann").write_bytes(ann.encode())
    return read(folder)


def test_a_document_is_written_as_brat_has_it(tmp_path):
    write(tmp_path, DOCUMENT)
    assert (tmp_path / "8701013.txt").read_bytes().decode() == TEXT
    assert (tmp_path / "8701013.ann").read_bytes().decode() == ANN


def test_and_read_back_as_it_was(tmp_path):
    assert read(write(tmp_path, DOCUMENT)) == [replace(DOCUMENT, mentions=in_order(DOCUMENT.mentions))]


def test_not_annotated_differs_from_nothing_found(tmp_path):
    whole = (Passage(0, 1, "text"),)
    nobody, nothing = Document("1", "x", whole), Document("2", "x", whole, ())
    assert read(write(tmp_path, nobody, nothing)) == [nobody, nothing]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/passwd",
        ".",
        "..",
        ".hidden",
        "a b",
        "a/b\\c:d",
        "100%",
        "%2E",
        "naïve β",
        "a\0b",
        "a.ann",
    ],
)
def test_no_id_leaves_the_folder(tmp_path, name):
    folder = tmp_path / "deep" / "folder"
    assert [document.id for document in read(write(folder, Document(name, "x", mentions=())))] == [name]
    assert sorted(file.suffix for file in folder.iterdir()) == [".ann", ".txt"]
    assert [file.name for file in tmp_path.rglob("*") if file.is_dir()] == ["deep", "folder"]


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_file_names_are_plain_and_give_the_id_back(name):
    with TemporaryDirectory() as folder:
        (document,) = read(write(Path(folder), Document(name, "")))
        assert document.id == name
        (file,) = Path(folder).iterdir()
        assert file.name.isascii()
        assert not set(file.name) & set("/\\:")


def held_by_brat(document: Document) -> Document:
    """What brat keeps of a document, its mentions' names aside."""
    text = document.text
    mentions = document.mentions
    return Document(
        document.id,
        text,
        (Passage(0, len(text), "text"),) if text else (),
        None if mentions is None else in_order(replace(mention, id="", infons={}) for mention in mentions),
    )


def unnamed(document: Document) -> Document:
    """A document without names, nor mentions that brat cannot hold."""
    kept = tuple(
        replace(m, id="", infons={})
        for m in document.mentions or ()
        if not {m.text[0], m.text[-1]} & set("\r\n")
    )
    return replace(document, mentions=None if document.mentions is None else kept)


@given(documents().map(unnamed))
@example(Document("1", "\ufeffa\n\r\nb", mentions=(Mention(0, 6, "X", "\ufeffa\n\r\nb"),)))
def test_written_and_read_again_is_what_brat_holds(document):
    with TemporaryDirectory() as folder:
        (back,) = read(write(Path(folder), document))
    names = [mention.id for mention in back.mentions or ()]
    assert len(set(names)) == len(names)
    assert held_by_brat(back) == held_by_brat(document)


def test_names_are_kept_where_brat_could_have_given_them(tmp_path):
    mentions = tuple(Mention(i, i + 1, "A", TEXT[i], id=name) for i, name in enumerate(("T2", "", "x", "T7")))
    other = Mention(5, 6, "B", TEXT[5], id="T2")  # the same name for another label
    linked = Relation("R", (("", "x"), ("", "T7")))
    (back,) = read(write(tmp_path, Document("1", TEXT, mentions=(*mentions, other), relations=(linked,))))
    assert [mention.id for mention in back.mentions] == ["T2", "T1", "T3", "T7", "T4"]
    assert back.relations == (Relation("R", (("Arg1", "T3"), ("Arg2", "T7")), "R1"),)


def test_real_mentions_come_back(tmp_path, corpora):
    with (corpora / "BioRED" / "BioRED_Test.PubTator").open("rb") as stream:
        found = {document.id: document for document in pubtator.read(stream, "BioRED")}
    back = read(write(tmp_path, *found.values()))
    assert [held_by_brat(document) for document in back] == [held_by_brat(found[d.id]) for d in back]
    assert sum(len(document.mentions) for document in back) == 3535


def test_other_peoples_files_are_read(tmp_path):
    ann = (
        "\ufeffT1\tChemical 0 10\tβ-Blockers\r\nT2\tOrgan 19 35\theart and kidney\r\n\r\n"
        "E1\tCause:T1 Theme:T2\nA1\tNegated E1\nM1\tSure T1\n*\tEquiv T1 T2\n"
        "#1\tAnnotatorNotes T1\tcheck this\nN1\tReference T1 MESH:D1\tx\nN2\tReference T1 OMIM:2\ty\n"
        "R1\tCID Arg1:T1 Arg2:T2\t\n"
    )
    (document,) = read_ann(tmp_path, ann)
    assert document.mentions == (
        Mention(0, 10, "Chemical", "β-Blockers", concept="MESH:D1|OMIM:2", id="T1"),
        Mention(19, 35, "Organ", "heart\nand kidney", id="T2"),
    )
    assert document.relations == (Relation("CID", (("Arg1", "T1"), ("Arg2", "T2")), "R1"),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("T2\tDisease 19 24\tliver", "the mention at 19-24 says 'liver' but the text there is 'heart'"),
        ("T2\tDisease -1 24\tliver", "a mention starts at -1, before the text"),
        ("T2\tDisease 24 19\tliver", "a mention at 24-19 does not end after it starts"),
        ("T2\tDisease 19 240\theart", "a mention at 19-240 reaches past the end of the text at 44"),
        ("T2\tDisease 19 x\theart", "end 'x' is not an integer"),
        ("T2\tDisease\theart", "start '' is not an integer"),
        ("T2\tDisease 19 24;\theart", "start '' is not an integer"),
        ("T2\t 19 24\theart", "the annotation T2 has no label"),
        ("T1\tDisease 19 24\theart", "there are two annotations T1"),
        ("T2", "start '' is not an integer"),
        ("R1\tCID T1 T1", "the argument 'T1' does not read ROLE:NAME"),
        ("R1\tCID Arg1:T1", "'R1\\tCID Arg1:T1' is not a line of brat's"),
        ("hello", "'hello' is not a line of brat's"),
        ("#1\tScore T1\t7", "the score '7' is not in [0, 1]"),
        ("#1\tScore T9\t0.7", "T9 has a concept or score but no annotation"),
    ],
)
def test_a_faulty_line_rejects_its_document_only(tmp_path, line, reason):
    ann = f"T1\tChemical 0 10\tβ-Blockers\n{line}\n"
    write(tmp_path, replace(DOCUMENT, id="2"))
    bad, good = read_ann(tmp_path, ann)
    remedy = "Fix the .ann file: offsets count the code points of the .txt file"
    assert bad == Rejected(str(tmp_path / "1.ann"), "line 2", reason, remedy, "1", ann)
    assert good.id == "2"


def test_files_that_are_missing_or_not_utf8_are_rejected(tmp_path):
    (tmp_path / "1.ann").write_text("")
    (tmp_path / "2.txt").write_bytes("é".encode("latin-1"))
    (tmp_path / "3.txt").write_text("x")
    (tmp_path / "3.ann").write_bytes("T1\té".encode("latin-1"))
    alone, text, ann = read(tmp_path)
    assert (alone.document_id, alone.reason) == ("1", "its text, 1.txt, is missing")
    assert (text.source, text.place) == (str(tmp_path / "2.txt"), "byte 0")
    assert (ann.source, ann.place) == (str(tmp_path / "3.ann"), "line 1, byte 3")


def test_a_folder_that_is_missing_or_empty_is_an_error(tmp_path):
    with pytest.raises(FormatError, match="holds no brat document"):
        read(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("url", ["memory://b/x/", "s3://b/x"])
def test_a_url_is_refused(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"{url}: brat is read and written in local folders only"):
        brat.write_folder([DOCUMENT], url)
    with pytest.raises(UsageError, match="Name a local folder"):
        list(brat.read_folder(url))
    assert not list(tmp_path.iterdir())


def test_no_document_is_written_over(tmp_path):
    with pytest.raises(FormatError, match=r"two documents of one id in a folder, and '1\.txt' is there"):
        write(tmp_path, Document("1", "x", mentions=()), Document("1", "y", mentions=()))
    assert not list(tmp_path.iterdir()), "what failed is not in the way of the next"
    write(tmp_path, Document("1", "x", mentions=()))
    with pytest.raises(FormatError, match=r"'1\.txt' is there"):
        write(tmp_path, Document("1", "y", mentions=()))
    assert (tmp_path / "1.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": ""}, "an id of 0 characters"),
        ({"id": "x" * 241}, "an id of 241 characters"),
        ({"id": "\ud800"}, "a lone surrogate"),
        ({"text": "\ud800"}, "a lone surrogate"),
        ({"mentions": (Mention(1, 3, "A", "x\n"),)}, "a mention that begins or ends with a line break"),
        ({"mentions": (Mention(1, 2, "two words", "x"),)}, "'two words' as a label"),
        ({"mentions": (Mention(1, 2, "", "x"),)}, "'' as a label"),
        ({"mentions": (Mention(1, 2, "A", "x", concept="a\nb"),)}, "the concept 'a\\\\nb'"),
        (
            {
                "mentions": (Mention(1, 2, "A", "x", id="T1"),),
                "relations": (Relation("R", (("a:b", "T1"), ("", "T1"))),),
            },
            "'a:b' as a label or role",
        ),
    ],
)
def test_what_brat_cannot_hold_is_an_error(tmp_path, changes, said):
    with pytest.raises(FormatError, match=f"cannot hold ({said})"):
        write(tmp_path, replace(Document("1", "\nx\n"), **changes))


def test_a_misplaced_mention_is_not_written(tmp_path):
    with pytest.raises(OffsetError, match="document '1'"):
        write(tmp_path, Document("1", "x", mentions=(Mention(0, 1, "A", "y"),)))
    assert not list(tmp_path.iterdir())


A1, A2 = "T1\tProtein 0 3\tIL2\n", "T2\tUp 9 11\tup\nE1\tUp:T2 Theme:T1\nM1\tNegation E1\n"


def test_files_of_the_shared_tasks_are_read_and_events_kept(tmp_path, caplog):
    (tmp_path / "PMC-1.txt").write_text("IL2 gene up")
    (tmp_path / "PMC-1.a1").write_text(A1)
    (tmp_path / "PMC-1.a2").write_text(A2)
    (tmp_path / "train").mkdir()
    (tmp_path / "LICENSE").write_text("x")
    (document,) = read(tmp_path)
    assert [(mention.id, mention.text) for mention in document.mentions] == [("T1", "IL2"), ("T2", "up")]
    assert "not read, as no document of this folder: LICENSE, train" in caplog.text
    copy = write(tmp_path / "copy", document)
    assert (copy / "PMC-1.ann").read_text() == A1 + A2
    assert read(copy) == [document]


def test_folders_inside_are_named_where_there_is_nothing_else(tmp_path):
    (tmp_path / "dev").mkdir()
    with pytest.raises(FormatError, match="there are folders in it, dev: name one of those"):
        read(tmp_path)


OTHERS = """\
E1\tCause:T1 Theme:T2
A1\tNegated E1
*\tEquiv T1 T2
#1\tAnnotatorNotes T1\tcheck this
N1\tReference T1 MESH:D1\tx
N2\tReference T1 OMIM:2\ty
"""


def test_lines_of_other_kinds_come_back_while_what_they_name_is_there(tmp_path):
    mentions = "T1\tChemical 0 10\tβ-Blockers\nT2\tDisease 19 24\theart\n"
    (document,) = read_ann(tmp_path, mentions + OTHERS)
    assert document.mentions[0].concept == "MESH:D1|OMIM:2"
    copy = write(tmp_path / "copy", document)
    assert (copy / "1.ann").read_text() == mentions + OTHERS
    assert not brat.losses(document)
    tagged = replace(document, mentions=tuple(replace(m, id="", concept="") for m in document.mentions))
    again = write(tmp_path / "again", tagged)
    assert (again / "1.ann").read_text() == mentions
    assert brat.losses(tagged) == {"events, attributes and notes": 6}


def test_a_changed_concept_replaces_its_normalisations(tmp_path):
    (document,) = read_ann(tmp_path, "T1\tChemical 0 10\tβ-Blockers\n" + OTHERS.replace("T2", "T1"))
    changed = replace(document, mentions=(replace(document.mentions[0], concept="MESH:D9"),))
    copy = write(tmp_path / "copy", changed)
    lines = (copy / "1.ann").read_text().splitlines()
    assert [line for line in lines if line[0] == "N"] == ["N2\tReference T1 MESH:D9\tβ-Blockers"]


def test_relations_of_concepts_become_those_of_mentions(tmp_path):
    mentions = (Mention(0, 1, "A", TEXT[0], concept="D1"), Mention(5, 6, "B", TEXT[5], concept="D2"))
    linked = (
        Relation("CID", (("", "D1"), ("", "D2"), ("note", "Novel"))),
        Relation("R", (("", "D9"), ("", "D1"))),
    )
    document = Document("1", TEXT, mentions=mentions, relations=linked)
    (back,) = read(write(tmp_path, document))
    assert back.relations == (Relation("CID", (("Arg1", "T1"), ("Arg2", "T2")), "R1"),)
    assert brat.losses(document) == {"relations": 1, "notes of relations": 1}


@pytest.mark.parametrize(
    ("text", "place", "said", "mention"),
    [
        ("Renal failure\r\nwith", "0 14;15 19", "Renal failure\r with", "Renal failure\r\nwith"),
        ("Renal failure\r\nwith", "0 13;15 19", "Renal failure with", "Renal failure\r\nwith"),
        ("a\r\nRenal failure\r\n", "2 15", "Renal failure", "Renal failure"),
        ("a\rRenal failure", "2 15", "Renal failure", "Renal failure"),
    ],
)
def test_carriage_returns_count_as_their_tools_count_them(tmp_path, text, place, said, mention):
    (document,) = read_ann(tmp_path, f"T1\tDisease {place}\t{said}\n", text)
    assert [each.text for each in document.mentions] == [mention]
    assert not list(document.misplaced())
