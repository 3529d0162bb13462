"""Small files that would cost gigabytes or hours: memory is bounded, work linear, what is good still read."""

import gzip
import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raybio.corpora import bioc_tree, brat, format_named
from raybio.corpora.json_text import json_size, parsed
from raybio.corpora.limits import shown
from raybio.entities import Document, Mention, Rejected
from raybio.errors import InputError
from raybio.iob2 import flatten_spans

LIMIT = 128 * 1024
MEMORY = 64
"""Times `LIMIT` that reading a bomb may add to a process, of at least 32 times that size unpacked."""
SECONDS = 30
"""Of computing: a linear reader takes one or two, a quadratic one hours."""
FILL = 4 * 1024 * 1024


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def hangs(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGPROF, hangs)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def outcome(format: str, path: Path, limit: int = LIMIT) -> dict[str, object]:
    """Read `path` in a process of its own; say what came, and by how many bytes the process grew."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        found: dict[str, object] = {"documents": 0, "rejected": [], "error": ""}
        try:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with limited(SECONDS):
                try:
                    for record in format_named(format).read_path(str(path), max_record_bytes=limit):
                        if isinstance(record, Rejected):
                            found["rejected"].append(record.reason)
                        else:
                            found["documents"] += 1
                        del record
                except InputError as error:
                    found["error"] = str(error)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            found["grown"] = grown * 1024
        except BaseException as error:  # whatever it is, the parent says it
            found["error"] = repr(error)
            found["grown"] = -1
        os.write(writable, json.dumps(found).encode()[:60_000])
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    return json.loads(content)


def filled(piece: bytes) -> bytes:
    return piece * (FILL // len(piece))


GOOD = {
    "iob2": b"\n\na\tO\n",
    "pubtator": b"\n\n2|t|good\n",
    "jsonl": b'\n{"id": "2", "text": "good"}\n',
    "chemprot": b'\n{"doc_key": "2", "sentences": [["good"]], "ner": [[]]}\n',
    "bioc-json": b', {"id": "2", "passages": []}]}',
}
_HEAD = b'{"source": "", "documents": [\n'
_DOCUMENT = b'{"id": "1", "passages": [], "x": ['
BOMBS = {
    "a sentence of eight million words": ("iob2", b"", b"a\tO\n"),
    "a document of many sentences": ("iob2", b"-DOCSTART-\tO\n\n", b"a\tO\n\n"),
    "a word of 32 MB": ("iob2", b"", b"x"),
    "columns": ("iob2", b"", b"a\t"),
    "blank lines, then words": ("iob2", b"", b"\n"),
    "mentions": ("pubtator", b"1|t|abc\n1|a|\n", b"1\t0\t1\ta\tD\n"),
    "a title": ("pubtator", b"1|t|", b"abc "),
    "empty lists": ("jsonl", b'{"id": "1", "text": "", "mentions": [', b"[],"),
    "empty objects": ("jsonl", b'{"id": "1", "text": "", "mentions": [', b"{},"),
    "a long text": ("jsonl", b'{"id": "1", "text": "', b"abc "),
    "numbers": ("chemprot", b'{"doc_key": "1", "ner": [', b"1,"),
    "a document of lists": ("bioc-json", _HEAD + _DOCUMENT, b"[],"),
    "a document of one string": ("bioc-json", _HEAD + b'{"id": "', b'abc\\"'),
    "commas": ("bioc-json", _HEAD + _DOCUMENT, b",\n"),
}
_CLOSES = {
    "empty lists": b"[]]}",
    "a document of lists": b"[]]}",
    "a document of one string": b'"}',
    "commas": b"]}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_rejected_record(tmp_path, name):
    format, head, piece = BOMBS[name]
    path = tmp_path / "bomb.gz"
    content = head + filled(piece) + _CLOSES.get(name, b"") + GOOD[format]
    if head.startswith(b"-DOCSTART-"):
        content += b"\n" + head + GOOD[format]
    path.write_bytes(gzip.compress(content, 1))
    found = outcome(format, path)
    assert found["error"] == ""
    assert found["documents"] == 1, "what stands after it is read"
    if name != "blank lines, then words":
        assert len(found["rejected"]) == 1 and "max_record_bytes=131,072" in found["rejected"][0]
    assert 0 <= found["grown"] < MEMORY * LIMIT


ENDS = {
    "elements in a citation": ("pubmed", b"<PubmedArticleSet><PubmedArticle>", b"<a/>"),
    "elements beside the citations": ("pubmed", b"<PubmedArticleSet>", b"<a/>"),
    "text beside the citations": ("pubmed", b"<PubmedArticleSet>", b"abc "),
    "a comment": ("pubmed", b"<PubmedArticleSet><!--", b"abc "),
    "passages": ("bioc-xml", b"<collection><document><id>1</id>", b"<passage></passage>"),
    "infons": ("bioc-xml", b"<collection>", b"<infon key='a'>b</infon>"),
    "text": ("bioc-xml", b"<collection><document><id>1</id><passage><text>", b"abc "),
    "before the documents": ("bioc-json", b'{"source": "', b"abc "),
    "a list never closed": ("bioc-json", b'{"documents": [', b"["),
    "paragraphs": ("text", b"", b"a\n\n"),
    "blank lines": ("text", b"", b"\n"),
    "one line": ("text", b"", b"abc "),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_bomb_that_is_all_of_its_file_is_said_so(tmp_path, name):
    format, head, piece = ENDS[name]
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(head + filled(piece), 1))
    found = outcome(format, path)
    said = [*found["rejected"], found["error"]]
    assert found["documents"] == 0
    assert any("max_record_bytes=131,072" in each or "the JSON is broken" in each for each in said), said
    assert 0 <= found["grown"] < MEMORY * LIMIT


def test_parquet_of_few_bytes_costs_no_gigabytes(tmp_path):
    path = tmp_path / "bomb.parquet"
    rows = pa.table({"id": ["1", "2"], "text": ["a" * FILL, "good"]})
    pq.write_table(rows, path, compression="zstd", use_dictionary=False)
    found = outcome("parquet", path)
    assert (found["documents"], found["rejected"]) == (
        1,
        ["the row is larger than max_record_bytes=131,072"],
    )
    assert 0 <= found["grown"] < 8 * FILL
    many = pa.table({"id": [str(i) for i in range(4000)], "text": ["a" * (LIMIT // 2)] * 4000})
    pq.write_table(many, path, compression="zstd")
    assert path.stat().st_size < LIMIT, "256 megabytes, said once"
    found = outcome("parquet", path)
    assert found["documents"] == 4000
    assert 0 <= found["grown"] < 20 * FILL


def fragmented(count: int, size: int) -> tuple[str, str]:
    text = "a" * size
    places = ";".join([f"0 {size}"] * count)
    return text, f"T1\tX {places}\t{text}\n"


def test_many_long_fragments_cost_no_more_than_their_words(tmp_path):
    folder = tmp_path / "brat"
    folder.mkdir()
    size = LIMIT // 4
    text, annotation = fragmented(300, size)
    (folder / "1.txt").write_text(text)
    (folder / "1.ann").write_text(annotation)
    found = outcome("brat", folder)
    assert found["documents"] == 0 and "but the text there is" in found["rejected"][0]
    assert 0 <= found["grown"] < 16 * LIMIT
    locations = [{"offset": 0, "length": size}] * 300
    annotation = {"id": "T1", "infons": {"type": "X"}, "text": text, "locations": locations}
    passage = {"offset": 0, "text": text, "annotations": [annotation]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"id": "1", "passages": [passage]}))
    found = outcome("bioc-json", path)
    assert "the text of all its mentions is larger than max_record_bytes" in found["rejected"][0]
    assert 0 <= found["grown"] < 16 * LIMIT


def test_gaps_of_a_few_digits_make_no_gigabyte(tmp_path):
    passages = [{"offset": 60_000 * i, "text": "x" if i % 2 else ""} for i in range(1, 10_000)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"id": "1", "passages": passages}))
    found = outcome("bioc-json", path)
    assert found["documents"] == 0 and len(found["rejected"]) == 1
    assert 0 <= found["grown"] < 32 * LIMIT


def test_mentions_of_a_few_digits_make_no_gigabyte(tmp_path):
    words = ["word"] * 2_000
    fields = {"doc_key": "1", "sentences": [words], "ner": [[[0, 1_999, "X"]] * 1_000]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(fields))
    found = outcome("chemprot", path)
    assert found["documents"] == 0 and "the text of all its mentions" in found["rejected"][0]
    assert 0 <= found["grown"] < 32 * LIMIT


def test_names_that_stand_twice_are_found_in_linear_time():
    text = "{" + ", ".join(f'"{i}": 0' for i in range(300_000)) + ', "299999": 1}'
    with limited(SECONDS), pytest.raises(ValueError, match="names '299999' twice"):
        parsed(text)


def test_equal_mentions_are_written_in_linear_time(tmp_path):
    mentions = tuple(Mention(0, 1, "X", "a") for _ in range(100_000))
    with limited(SECONDS):
        brat.write_folder([Document("1", "a", mentions=mentions)], tmp_path / "out")
        bioc_tree.tree(Document("1", "a", mentions=mentions))
    (read,) = brat.read_folder(tmp_path / "out")
    assert len(read.mentions) == 100_000


def test_overlapping_mentions_are_flattened_in_linear_time():
    from raybio.corpora.sentences import split_document

    count = 4_000
    text = "a " * count
    mentions = tuple(Mention(2 * i, 2 * count - 1, "X", text[2 * i : 2 * count - 1]) for i in range(count))
    with limited(SECONDS):
        (sentence,) = split_document(Document("1", text, mentions=mentions))
    assert [len(span) for span in sentence.gold] == [count]


def test_concepts_of_one_mention_are_read_in_linear_time(tmp_path):
    (tmp_path / "1.txt").write_text("a")
    lines = "".join(f"N{i}\tReference T1 DB:{i}\ta\n" for i in range(200_000))
    (tmp_path / "1.ann").write_text("T1\tX 0 1\ta\n" + lines)
    with limited(SECONDS):
        (document,) = brat.read_folder(tmp_path)
    assert document.mentions[0].concept.startswith("DB:0|DB:1|")


def test_fragments_on_either_side_of_many_breaks_are_read_in_linear_time(tmp_path):
    gap = 200_000
    (tmp_path / "1.txt").write_text("a" + "\n" * gap + "b")
    places = ";".join(["0 1", f"{gap + 1} {gap + 2}"] * 20_000)
    (tmp_path / "1.ann").write_text(f"T1\tX {places}\t{' '.join(['a b'] * 20_000)}\n")
    with limited(SECONDS):
        (document,) = brat.read_folder(tmp_path)
    assert len(document.mentions) == 20_000


@pytest.mark.parametrize("protocol", ["corrected", "study"])
def test_entities_that_cover_each_other_are_read_in_linear_time(tmp_path, protocol):
    count = 20_000
    fields = {
        "doc_key": "1",
        "sentences": [["a"] * count],
        "ner": [[[i, count - 1, "X"] for i in range(0, count, 40)] * 40],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(fields))
    with limited(SECONDS):
        list(format_named("chemprot").read_path(str(path), protocol=protocol, max_record_bytes=1 << 30))


def test_a_jsonl_line_of_a_million_faults_is_rejected_at_the_first(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "1", "text": "", "mentions": [' + "1," * 400_000 + "1]}\n")
    found = outcome("jsonl", path, limit=64 * LIMIT)
    assert len(found["rejected"]) == 1 and found["rejected"][0].startswith("mentions.0: ")
    assert 0 <= found["grown"] < 300 * LIMIT


def test_the_size_of_json_counts_values_and_not_commas_in_text():
    assert json_size('{"a": [1, 2]}', 1) == 13 + 16 * 3
    assert json_size('{"a": "[1, 2], {"}', 20) == 18 + 16
    assert json_size('"\\","', 1) == 5


def test_what_is_shown_is_short():
    assert shown("short") == "'short'"
    assert len(shown("x" * 10_000_000)) < 210
    assert len(shown([[["x" * 1000] * 1000] * 1000])) < 20_000


def test_overlap_is_seen_at_the_ends():
    from itertools import product

    from raybio.entities import Span

    places = [(a, b) for a, b in product(range(6), range(1, 7)) if a < b]
    for first, second, third in product(places[::2], places[::3], places):
        spans = [Span(*first, "A"), Span(*second, "B"), Span(*third, "C")]
        kept, dropped = flatten_spans(spans)
        words = [word for span in kept for word in range(span.start, span.end)]
        assert len(words) == len(set(words))
        assert all(set(range(s.start, s.end)) & set(words) for s in dropped)
