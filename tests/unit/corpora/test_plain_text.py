import io
from itertools import pairwise

import pytest
from hypothesis import given
from strategies import texts

from raybio.corpora.plain_text import paragraphs, read, write
from raybio.entities import Document, Mention, Passage
from raybio.errors import FormatError


def written(*documents: Document) -> bytes:
    stream = io.BytesIO()
    write(documents, stream)
    return stream.getvalue()


def test_text_stays_as_it_stands():
    content = "A title\r\n\r\nFirst line\r\nsecond é.\u2028still\r\n \r\n\r\n  Last.  \r\n"
    (found,) = read(io.BytesIO(content.encode()), "x/12345.txt.gz")
    assert found.id == "12345"
    assert found.text == content
    assert [found.passage_text(p) for p in found.passages] == [
        "A title",
        "First line\r\nsecond é.\u2028still",
        "Last.",
    ]
    assert {p.kind for p in found.passages} == {"text"}


@given(texts(min_size=1))
def test_any_text_goes_round(text):
    (found,) = read(io.BytesIO(written(Document("a", text))), "a.txt")
    assert found.text == text


@given(texts())
def test_paragraphs_cover_all_that_is_not_white_space(text):
    found = paragraphs(text)
    pieces = [text[p.start : p.end] for p in found]
    assert all(piece and piece == piece.strip() for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(not line.strip() for a, b in pairwise(found) for line in text[a.end : b.start].split("\n"))
    assert not any(not line.strip() for piece in pieces for line in piece.split("\n"))


@pytest.mark.parametrize(
    "line", ["Aspirin\tB-Chemical", "helps O", "Number\tNN\tO\tB-protein", "of\tIN\tO\tO\r"]
)
def test_columns_of_words_and_tags_are_no_prose(line):
    columns = f"-DOCSTART-\tO\n\n{line}\n{line}\n"
    with pytest.raises(FormatError, match=r"a\.4col\.txt: this is no text but .* \(--from iob2\)"):
        list(read(io.BytesIO(columns.encode()), "a.4col.txt"))
    list(read(io.BytesIO(f"{columns}Blood groups are A, B and 0.\n".encode()), "a.txt"))


def test_wrong_encoding_names_line_and_byte():
    with pytest.raises(FormatError, match=r"a\.txt, line 2, byte 6: byte 0xE9 is not UTF-8"):
        list(read(io.BytesIO("ab\ncafé".encode("latin-1")), "a.txt"))
    with pytest.raises(FormatError, match="line 1, byte 3: byte 0xE9"):
        list(read(io.BytesIO(b"\xef\xbb\xbf\xe9"), "a.txt"))


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([], "there is no text to write"),
        ([Document("1", "a"), Document("2", "b")], "document 2: is not the only one"),
        ([Document("1", "a", mentions=(Mention(0, 1, "X", "a"),))], "is annotated"),
        ([Document("1", "\ud800")], "cannot be written as UTF-8"),
    ],
)
def test_what_a_text_file_cannot_hold_is_refused(documents, problem):
    with pytest.raises(FormatError, match=problem):
        written(*documents)


def test_passages_found_in_one_line():
    assert paragraphs("a b") == (Passage(0, 3, "text"),)
