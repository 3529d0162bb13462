import gzip
import io

import fsspec
import pytest

from raybio.corpora.lines import LONGEST_LINE, read_lines
from raybio.corpora.opening import open_bytes, stem_of, write_bytes
from raybio.errors import FormatError, InputError, StorageError, UsageError


def lines(content: bytes) -> list[tuple[int, str]]:
    return list(read_lines(io.BytesIO(content), "a.tsv"))


def test_only_newlines_end_lines():
    assert lines("a\u2028b\u0085c\x0bd\x1ce\rf\r\ng\n\nh".encode()) == [
        (1, "a\u2028b\u0085c\x0bd\x1ce\rf"),
        (2, "g"),
        (3, ""),
        (4, "h"),
    ]


def test_a_byte_order_mark_is_left_out_on_line_one_only():
    assert lines("\ufeffa\n\ufeffb\n".encode()) == [(1, "a"), (2, "\ufeffb")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_wrong_encoding_names_line_and_byte(mark: bytes):
    content = mark + "ab\ncaf\xe9 x\n".encode("latin-1")
    with pytest.raises(FormatError) as caught:
        lines(content)
    assert caught.value.place == f"line 2, byte {content.index(0xE9)}"
    assert "0xE9 is not UTF-8" in str(caught.value)


def test_an_endless_line_is_refused():
    with pytest.raises(FormatError, match=r"a.tsv, line 2: the line is longer"):
        lines(b"a\n" + b"x" * (LONGEST_LINE + 1))


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "deep/er/a.txt.gz"])
def test_what_is_written_reads_back(tmp_path, name):
    path = str(tmp_path / name)
    with write_bytes(path) as stream:
        stream.write(b"one\ntwo")
    with open_bytes(path) as stream:
        assert stream.read() == b"one\ntwo"
    assert [p.name for p in (tmp_path / name).parent.iterdir()] == [name.split("/")[-1]]


def test_packed_bytes_do_not_depend_on_name_or_time(tmp_path):
    for name in ("a.gz", "b.gz"):
        with write_bytes(str(tmp_path / name)) as stream:
            stream.write(b"text")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_failed_write_leaves_what_was_there(tmp_path, name):
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(RuntimeError), write_bytes(str(tmp_path / name)) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(name, b"old")]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_url_is_written_in_one_upload_or_not_at_all(name):
    url = f"memory://opening-test/{name}"
    with pytest.raises(RuntimeError), write_bytes(url) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert not fsspec.filesystem("memory").exists(url)
    with write_bytes(url) as stream:
        stream.write("whole é\n".encode())
    with open_bytes(url) as stream:
        assert list(read_lines(stream, url)) == [(1, "whole é")]


def test_truncated_gzip_gives_what_is_there_and_then_names_the_offset(tmp_path):
    content = b"".join(b"line %d\n" % i for i in range(50_000))
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(content)[:-5_000])
    seen = 0
    with open_bytes(str(path)) as stream, pytest.raises(FormatError) as caught:
        for number, line in read_lines(stream, str(path)):
            assert line == f"line {number - 1}"
            seen += 1
    assert seen > 1_000
    reached = int(caught.value.place.split()[1])
    assert seen * 6 < reached < len(content)
    assert "end early" in str(caught.value)


def test_a_plain_file_called_gz_says_so(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(b"plain")
    with open_bytes(str(path)) as stream, pytest.raises(FormatError, match=r"byte 0 .* broken"):
        stream.read()


@pytest.mark.parametrize("path", ["/no/such/file", "memory://no/such/file"])
def test_what_cannot_be_opened_names_the_path(path):
    with pytest.raises(InputError, match=path), open_bytes(path):
        raise AssertionError("opened")


def test_a_place_of_an_unknown_kind_is_refused():
    with (
        pytest.raises(UsageError, match=r"nosuchscheme://x/y: .* cannot be used"),
        open_bytes("nosuchscheme://x/y"),
    ):
        raise AssertionError("opened")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=f"{path}: cannot be written"), write_bytes(str(path)):
            raise AssertionError("opened")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/x.tsv", "Connect call failed"),
        ("file:///proc/x.tsv", "No such file or directory"),
    ],
)
def test_a_url_that_cannot_be_written_is_named(url, reason):
    with (
        pytest.raises(StorageError, match=rf"^{url.removeprefix('file://')}: cannot be written \(.*{reason}"),
        write_bytes(url) as stream,
    ):
        stream.write(b"text")


@pytest.mark.parametrize(
    ("source", "stem"),
    [("x/test.tsv", "test"), ("s3://b/train.rebuilt.tsv.gz", "train.rebuilt"), ("10.txt", "10"), ("a", "a")],
)
def test_stems(source, stem):
    assert stem_of(source) == stem
