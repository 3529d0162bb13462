"""Which column of a table is what, and tables as lines of JSON."""

import json

import pytest

from raybio.corpora import input_format, read_corpus
from raybio.corpora.table import Columns, RowReader
from raybio.entities import Document, Passage, Rejected
from raybio.errors import ColumnsError, FormatError, UsageError


def json_lines(tmp_path, *rows, name="a.jsonl"):
    path = tmp_path / name
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return str(path)


def read(path, **options):
    rejected = []
    return list(read_corpus(path, on_rejected=rejected.append, **options)), rejected


@pytest.mark.parametrize("identity", ["id", "document_id", "pmid", "PMID", "Id"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["text"], ["text"]),
        (["Title", "ABSTRACT"], ["Title", "ABSTRACT"]),
        (["abstract", "title", "journal"], ["title", "abstract"]),
        (["abstract"], ["abstract"]),
        (["title"], ["title"]),
        (["title", "text", "abstract"], ["text"]),
    ],
)
def test_columns_are_found_by_plain_names(identity, names, expected):
    reader = RowReader([identity, *names], Columns(keep=()), "a.csv")
    assert reader.columns == [*expected, identity]


@pytest.mark.parametrize(
    ("names", "columns", "problem"),
    [
        (
            ["pmid", "titel"],
            Columns(),
            "no column is called text, title or abstract (there are: pmid, titel)",
        ),
        (["key", "title"], Columns(), "no column is called id or document_id or pmid"),
        (["id", "text"], Columns(("titel",)), "there is no column 'titel' (there are: id, text)"),
        (["id", "text"], Columns(id="pmid"), "there is no column 'pmid' (there are: id, text)"),
        (["id", "text"], Columns(keep=("year",)), "there is no column 'year'"),
        (["id", "text", "text"], Columns(), "there are two columns called text"),
    ],
)
def test_columns_that_are_not_there_are_refused_with_those_that_are(names, columns, problem):
    with pytest.raises(ColumnsError, match=r"^a\.csv: ") as caught:
        RowReader(names, columns, "a.csv")
    assert problem in str(caught.value)


def test_the_nearest_column_is_offered():
    with pytest.raises(ColumnsError, match="Did you mean 'abstract'"):
        RowReader(["id", "abstract"], Columns(("abstrct",)), "a.csv")


def test_each_column_is_a_passage_in_the_order_named_with_one_blank_between():
    columns = Columns(("title", "Results", "abstract"), "key")
    row = {"key": 7, "abstract": "An abstract.", "title": "A title", "Results": "R 😀"}
    document = RowReader([*row], columns, "a.csv").document(row, 1)
    assert document.text == "A title R 😀 An abstract."
    assert [(document.passage_text(p), p.kind, p.label) for p in document.passages] == [
        ("A title", "title", ""),
        ("R 😀", "text", "Results"),
        ("An abstract.", "abstract", ""),
    ]


@pytest.mark.parametrize("nothing", [None, "", float("nan"), [], [None]])
def test_what_is_empty_has_no_passage(nothing):
    row = {"id": "1", "title": nothing, "abstract": "Ab."}
    assert RowReader([*row], Columns(), "").document(row, 1) == Document(
        "1", "Ab.", (Passage(0, 3, "abstract"),)
    )
    row["abstract"] = nothing
    assert RowReader([*row], Columns(), "").document(row, 1) == Document("1", "")


def test_a_list_of_strings_has_a_passage_for_each():
    row = {"id": "1", "abstract": ["Aim.", "End."]}
    document = RowReader([*row], Columns(), "").document(row, 1)
    assert [document.passage_text(p) for p in document.passages] == ["Aim.", "End."]


@pytest.mark.parametrize(
    ("value", "identity"), [(7, "7"), (7.0, "7"), ("007", "007"), (7.5, "7.5"), (2**70, str(2**70))]
)
def test_ids_are_of_any_type(value, identity):
    row = {"id": value, "text": "a"}
    assert RowReader([*row], Columns(), "").document(row, 1).id == identity


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"id": None, "text": "a"}, "the id (column id) is empty"),
        ({"id": "", "text": "a"}, "the id (column id) is empty"),
        ({"id": float("nan"), "text": "a"}, "the id (column id) is empty"),
        ({"id": 1, "text": 5}, "the value of text is no text: 5"),
        ({"id": 1, "text": {"a": "b"}}, "the value of text is no text: {'a': 'b'}"),
    ],
)
def test_a_row_without_an_id_or_with_another_thing_for_its_text_is_at_fault(row, problem):
    with pytest.raises(ValueError) as caught:
        RowReader([*row], Columns(), "").document(row, 1)
    assert str(caught.value) == problem


def test_rows_may_be_numbered_in_place_of_an_id():
    reader = RowReader(["text"], Columns(id="#"), "")
    assert [reader.document({"text": "a"}, number).id for number in (1, 2)] == ["1", "2"]


def test_what_is_kept_travels_as_attributes():
    row = {"id": 1, "text": "a", "year": 1999.0, "mesh": ["X", "Y"], "more": {"a": 1}, "journal": None}
    named = RowReader([*row], Columns(keep=("year", "mesh", "more", "journal")), "").document(row, 1)
    assert named.attributes == {"year": "1999", "mesh": ("X", "Y"), "more": '{"a": 1}', "journal": ""}
    assert RowReader([*row], Columns(keep=()), "").document(row, 1).attributes == {}
    unnamed = RowReader([*row], Columns(), "", strings=["journal", "year"]).document(row, 1)
    assert unnamed.attributes == {"year": "1999"}


def test_json_lines_of_any_keys_are_a_table(tmp_path):
    rows = [{"pmid": 1, "title": "T"}, {"pmid": 2, "abstract": "Ab.", "year": 2001}]
    found, rejected = read(json_lines(tmp_path, *rows, "no json", "[1]", {"title": "T"}))
    assert found == [
        Document("1", "T", (Passage(0, 1, "title"),)),
        Document("2", "Ab.", (Passage(0, 3, "abstract"),), attributes={"year": "2001"}),
    ]
    assert [(r.place, r.reason.partition(" (")[0]) for r in rejected] == [
        ("line 3", "the line is not JSON"),
        ("line 4", "the line is no JSON object"),
        ("line 5", "the id"),
    ]


@pytest.mark.parametrize(
    "line", [{"id": "1", "text": "ab"}, {"id": "1", "text": "ab", "mentions": [], "wrong": 1}, "no json"]
)
def test_raybios_own_documents_are_no_table(tmp_path, line):
    """A fault in one of them is named as such."""
    found, rejected = read(json_lines(tmp_path, line))
    assert len(found) + len(rejected) == 1
    for record in rejected:
        assert (
            isinstance(record, Rejected)
            and record.remedy == "Compare the line with the fields of the jsonl format"
        )


def test_columns_make_a_table_of_raybios_own_documents(tmp_path):
    path = json_lines(tmp_path, {"id": "1", "text": "ab", "attributes": {}})
    [document], _ = read(path, columns=Columns(("text",), "#", ()))
    assert document == Document("1", "ab", (Passage(0, 2, "text"),))


def test_a_key_that_comes_late_is_a_column_and_one_that_never_comes_is_none(tmp_path):
    path = json_lines(tmp_path, *[{"k": n, "t": "a"} for n in range(50)], {"k": 50, "t": "a", "late": "b"})
    found, _ = read(path, columns=Columns(("t", "late"), "k"))
    assert [found[0].text, found[-1].text] == ["a", "a b"]
    with pytest.raises(FormatError, match="there is no column 'never'"):
        read(path, columns=Columns(("t", "never"), "k"))


def test_columns_are_of_tables_alone(tmp_path):
    with pytest.raises(UsageError, match="is read as pubtator, which has no columns to name"):
        input_format("a.pubtator", Columns(("title",)))
    assert input_format("a.pubtator", Columns(keep=("journal",))) == "pubtator"
