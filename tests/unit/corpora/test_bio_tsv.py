import gzip
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import tagged_sentences

from raybio.corpora import read_corpus
from raybio.corpora.bio_tsv import read, read_tagged_sentences, write
from raybio.corpora.word_layout import gold_mentions, lay_out
from raybio.entities import Document, Mention, Passage, Rejected, Sentence, Span
from raybio.errors import FormatError
from raybio.iob2 import tags_from_spans


def records(content: str, **options):
    return list(read(io.BytesIO(content.encode()), "x/a.tsv", **options))


def written(*documents: Document) -> str:
    stream = io.BytesIO()
    write(documents, stream)
    return stream.getvalue().decode()


def document(*sentences: tuple[list[str], tuple[Span, ...]], name: str = "d") -> Document:
    text, starts = lay_out(words for words, _ in sentences)
    made = tuple(
        Sentence(f"{name}:{i}", tuple(words), where, name, gold)
        for i, ((words, gold), where) in enumerate(zip(sentences, starts, strict=True))
    )
    passages = (Passage(0, len(text), "text"),)
    return Document(name, text, passages, gold_mentions(text, made), made)


def content_of(found: Document) -> tuple[str, list[tuple[tuple[str, ...], tuple[Span, ...] | None]]]:
    return found.text, [(s.words, s.gold) for s in found.sentences]


def test_two_columns():
    first, second = records("Type\tB-Disease\n2\tI-Disease\ndiabetes\tI-Disease\n\n\nHelp\tO\n")
    assert first == Document(
        "a:1",
        "Type 2 diabetes",
        passages=(Passage(0, 15, "text"),),
        mentions=(Mention(0, 15, "Disease", "Type 2 diabetes"),),
        sentences=(Sentence("a:1", ("Type", "2", "diabetes"), (0, 5, 7), "a:1", (Span(0, 3, "Disease"),)),),
    )
    assert (second.id, second.mentions) == ("a:6", ())


@pytest.mark.parametrize(
    "content", ["IL-2\tNN\tB-NP\tB-protein", "IL-2  NN B-NP   B-protein ", "IL-2 B-protein"]
)
def test_any_number_of_columns_with_tabs_or_spaces(content):
    (found,) = records(content)
    assert content_of(found) == ("IL-2", [(("IL-2",), (Span(0, 1, "protein"),))])


def test_docstart_begins_a_document_of_several_sentences():
    found = records(
        "lone\tO\n\n-DOCSTART-\tO\n\na\tO\nb\tB-X\n\nc\tB-X\n-DOCSTART- -X- O O\nd\tO\n\n-DOCSTART-\tO\n"
    )
    assert [(d.id, d.text, [s.id for s in d.sentences]) for d in found] == [
        ("a:1", "lone", ["a:1"]),
        ("a:5", "a b\nc", ["a:5", "a:8"]),
        ("a:10", "d", ["a:10"]),
    ]
    assert found[1].mentions == (Mention(2, 3, "X", "b"), Mention(4, 5, "X", "c"))


def test_carriage_returns_and_byte_order_mark():
    assert records("\ufeffa\tB-X\r\nb\tI-X\r\n\r\nc\tO\r\n") == records("a\tB-X\nb\tI-X\n\nc\tO\n")


@pytest.mark.parametrize("word", ["a\u2028b", "a\u0085b", "a\u00a0b", "\u200b", "a b"])
def test_a_word_keeps_its_odd_characters(word):
    (found,) = records(f"{word}\tB-X\nc\tO\n")
    assert found.sentences[0].words == (word, "c")
    assert found.mentions == (Mention(0, len(word), "X", word),)


@pytest.mark.parametrize(
    ("line", "reason", "remedy"),
    [
        ("word", "'word' is not a word and a tag", "Write the word, a tab and the tag"),
        ("\tO", r"'\tO' is not a word and a tag", "Write the word, a tab and the tag"),
        ("word\t", r"'word\t' is not a word and a tag", "Write the word, a tab and the tag"),
        ("wo\trd\tO", r"'wo\trd\tO' has 3 columns, where this file's first line has 2", "Give all lines"),
        ("word\tX_Disease", "'X_Disease' is not an IOB2 tag", "Write O, B-LABEL or I-LABEL"),
        ("word\tI-Disease", "'I-Disease' continues no entity", "Write B-Disease there"),
    ],
)
@pytest.mark.parametrize("start", ["", "-DOCSTART-\tO\n"])
def test_a_sentence_at_fault_is_rejected_alone(line, reason, remedy, start):
    shift = start.count("\n")
    found = records(f"{start}good\tB-Disease\n\nso\tO\n{line}\nfar\tO\n\nfine\tO\n")
    (rejected,) = [record for record in found if isinstance(record, Rejected)]
    assert (rejected.source, rejected.place) == ("x/a.tsv", f"line {4 + shift}")
    assert rejected.reason == reason
    assert remedy in rejected.remedy
    assert rejected.raw == f"so\tO\n{line}\nfar\tO"
    documents = [record for record in found if isinstance(record, Document)]
    assert "\n".join(d.text for d in documents) == "good\nfine"


def test_the_error_without_a_taker_names_file_line_and_remedy(tmp_path):
    path = tmp_path / "b.tsv"
    path.write_text("c\tB-X\na\tO\nb\tI-X\n")
    with pytest.raises(FormatError, match=r"b\.tsv, line 3: 'I-X' continues no entity\. Write B-X there"):
        list(read_corpus(str(path)))


def test_repair_fixes_orphans_and_counts_them():
    found = records("a\tI-X\nb\tI-X\nc\tI-Y\n\nd\tO\n\ne\tQ\n", repair=True)
    assert found[0].sentences[0].gold == (Span(0, 2, "X"), Span(2, 3, "Y"))
    assert found[0].attributes == {"repaired_tags": "2"}
    assert found[1].attributes == {}
    assert isinstance(found[2], Rejected)


def test_tags_as_written():
    stream = io.BytesIO(b"-DOCSTART-\tO\n\na x I-X\nb y weird\n\nc z O\n")
    assert list(read_tagged_sentences(stream, "a")) == [
        (3, ["a", "b"], ["I-X", "weird"], 1),
        (6, ["c"], ["O"], 1),
    ]
    with pytest.raises(FormatError, match="a, line 2: 'c' is not a word and a tag"):
        list(read_tagged_sentences(io.BytesIO(b"a O\nc\n"), "a"))
    with pytest.raises(FormatError, match="holds no sentence"):
        list(read_tagged_sentences(io.BytesIO(b"\n"), "a"))


def test_wrong_encoding_costs_its_sentence():
    content = "a\tO\ncaf\xe9\tO\n\nb\tO\n".encode("latin-1")
    rejected, document = read(io.BytesIO(content), "a")
    assert (rejected.place, rejected.reason) == ("line 2, byte 7", "byte 0xE9 is not UTF-8")
    assert rejected.raw == "a\tO\ncaf\\xe9\tO"
    assert document.text == "b"
    with pytest.raises(FormatError, match="a, line 2, byte 7: byte 0xE9 is not UTF-8"):
        list(read_tagged_sentences(io.BytesIO(content), "a"))


@pytest.mark.parametrize("opening", ["", "-DOCSTART-\tO\n\n"])
def test_the_sentence_before_what_cannot_be_read_is_kept(opening):
    class Ends(io.BytesIO):
        def readline(self, size=-1):
            if line := super().readline(size):
                return line
            raise FormatError("a", "", "the place breaks off", "")

    records = read(Ends(f"{opening}a\tO\n\nb\tO\n\n".encode()), "a")
    found = []
    with pytest.raises(FormatError, match="breaks off"):
        found += records  # what came before the error stays
    assert [sentence.words for each in found for sentence in each.sentences] == [("a",), ("b",)]


def test_truncated_gzip_ends_the_reading_after_what_is_whole(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"".join(b"word%d\tO\n\n" % i for i in range(20_000)))[:-9_000])
    documents = read_corpus(str(path))
    assert next(documents).text == "word0"
    with pytest.raises(FormatError, match="gzip data are broken or end early"):
        list(documents)


def test_docstart_is_written_from_the_first_document_that_needs_it():
    one, two = (["a"], ()), (["b", "c"], (Span(0, 2, "X"),))
    assert written(document(one), document(two)) == "a\tO\n\nb\tB-X\nc\tI-X\n\n"
    assert written(document(one), document(one, two), document(one)) == (
        "a\tO\n\n-DOCSTART-\tO\n\na\tO\n\nb\tB-X\nc\tI-X\n\n-DOCSTART-\tO\n\na\tO\n\n"
    )


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (Document("d", "text"), "has no sentences"),
        (document((["a b"], ())), "'a b' has no place in columns"),
        (document((["-DOCSTART-"], ())), "has no place in columns"),
        (document((["a"], (Span(0, 1, "big one"),))), "'big one' has no place in columns"),
        (document((["a", "b"], (Span(0, 2, "X"), Span(1, 2, "X")))), "overlaps another span"),
        (Document("d", "a", sentences=(Sentence("d:0", ("a",), (0,)),)), "was never annotated"),
        (document(([], ())), "has no words"),
    ],
)
def test_what_columns_cannot_hold_is_refused(found, problem):
    with pytest.raises(FormatError, match=problem):
        written(found)


@given(st.lists(st.lists(tagged_sentences(), min_size=1, max_size=2), min_size=1, max_size=3))
def test_documents_go_round(drawn):
    documents = [document(*sentences) for sentences in drawn]
    text = written(*documents)
    found = records(text)
    assert [content_of(d) for d in found] == [content_of(d) for d in documents]
    assert [d.mentions for d in found] == [d.mentions for d in documents]
    assert written(*found) == text
    lines = text.split("\n")
    for one in found:
        assert not list(one.misplaced())
        for sentence in one.sentences:
            assert lines[int(sentence.id.removeprefix("a:")) - 1].startswith(sentence.words[0] + "\t")
    assert len({d.id for d in found}) == len(found)


@given(tagged_sentences())
def test_words_lie_where_their_starts_say(drawn):
    words, gold = drawn
    (found,) = records(written(document(drawn)))
    (sentence,) = found.sentences
    assert all(found.text[s : s + len(w)] == w for w, s in zip(sentence.words, sentence.starts, strict=True))
    assert all(b == a + len(w) + 1 for (a, b), w in zip(pairwise(sentence.starts), words, strict=False))
    first, *_ = read_tagged_sentences(io.BytesIO(written(found).encode()), "a")
    assert first.tags == tags_from_spans(gold, len(words))


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("BC5CDR/train.tsv", 4560),
        ("BC5CDR/dev.tsv", 4581),
        ("BC5CDR/test.tsv", 4797),
        ("JNLPBA/dev.tsv", 1739),
        ("JNLPBA/test.tsv", 3856),
    ],
)
def test_real_corpora_hold_the_sentences_of_table_one(corpora, name, sentences):
    documents = list(read_corpus(str(corpora / name)))
    assert sum(len(d.sentences) for d in documents) == sentences
    assert not any(True for d in documents for _ in d.misplaced())


def test_four_columns_hold_what_two_hold(corpora):
    two = read_corpus(str(corpora / "JNLPBA/test.tsv"))
    four = read_corpus(str(corpora / "JNLPBA/test.4col.txt"), "iob2")
    assert [content_of(d) for d in two] == [content_of(d) for d in four]


# Other label schemes ----------------------------------------------------------------------------

SPANS = (Span(0, 1, "Disease"), Span(1, 3, "Disease"), Span(4, 5, "Gene"))
WRITTEN = {
    "IOB1": "I-Disease B-Disease I-Disease O I-Gene",
    "BIOES": "S-Disease B-Disease E-Disease O S-Gene",
    "BILOU": "U-Disease B-Disease L-Disease O U-Gene",
    "IOB2": "Disease_b Disease_b Disease_i o Gene_b",
}


def columns(tags):
    return "".join(f"w{i}\t{tag}\n" for i, tag in enumerate(tags.split()))


@pytest.mark.parametrize("scheme", WRITTEN)
def test_files_of_other_schemes_are_read_and_say_so(scheme):
    (found,) = records(columns(WRITTEN[scheme]))
    assert found.sentences[0].gold == SPANS
    assert found.attributes == ({} if scheme == "IOB2" else {"tag_scheme": scheme})


@pytest.mark.parametrize("tags", ["Disease Disease O Gene", "Disease Disease 0 Gene"])
def test_labels_alone_are_io(tags):
    (found,) = records(columns(tags))
    assert found.sentences[0].gold == (Span(0, 2, "Disease"), Span(3, 4, "Gene"))
    assert found.attributes == {"tag_scheme": "IO"}


def test_bare_parts_have_a_label_of_their_own():
    (found,) = records(columns("B I O B"))
    assert found.sentences[0].gold == (Span(0, 2, "Entity"), Span(3, 4, "Entity"))


def test_iob1_is_said_and_repair_reads_it_as_iob2(caplog):
    (found,) = records(columns("O I-X B-X"))
    assert found.sentences[0].gold == (Span(1, 2, "X"), Span(2, 3, "X"))
    assert "x/a.tsv: the tags are read as IOB1" in caplog.text
    caplog.clear()
    (found,) = records(columns("O I-X B-X"), repair=True)
    assert found.attributes == {"repaired_tags": "1"} and not caplog.text


def test_what_is_of_no_scheme_is_rejected_where_it_stands():
    found = records("a\tNN\n\nb\tVB\n")
    assert [(one.place, one.reason) for one in found] == [
        ("line 1", "'NN' is not an IOB2 tag"),
        ("line 3", "'VB' is not an IOB2 tag"),
    ]
    (rejected, good) = records("a\t1\n\nb\tO\n")
    assert rejected.reason == "'1' is not an IOB2 tag" and good.text == "b"


def test_a_label_that_is_not_known_is_named_in_any_scheme():
    (rejected,) = records(columns("S-Desease O B-Disease E-Disease"), labels=["Disease"])
    assert (rejected.place, rejected.reason) == ("line 1", "unknown label 'Desease'")


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_a_stream_that_cannot_go_back_is_read_too(tmp_path, name):
    class OneWay(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError("one way")

    content = columns(WRITTEN["BIOES"]).encode()
    (found,) = read(OneWay(content), "x/a.tsv")
    assert found.sentences[0].gold == SPANS
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (found,) = read_corpus(str(path))
    assert found.sentences[0].gold == SPANS
