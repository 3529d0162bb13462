"""Downloads against a real server on this machine that cuts, lies, fails and comes back."""

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybio.corpora import download, fetch, http_request
from raybio.corpora.download import checksums, fetch_file
from raybio.corpora.fetch import CORPORA, Source, fetch_corpus, fetch_pubmed, parse_numbers
from raybio.errors import FetchError, UsageError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = {"SHA-256": hashlib.sha256(CONTENT).hexdigest()}


@dataclass
class Shelf:
    """What the server holds, how it misbehaves, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off, one for each answer."""
    failures: list[int] = field(default_factory=list)
    """Status codes of the next answers."""
    ranges: bool = True
    content_range: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    base: str = ""


class Handler(BaseHTTPRequestHandler):
    def __init__(self, shelf: Shelf, *arguments: object) -> None:
        self.shelf = shelf
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        shelf, wanted = self.shelf, self.headers["Range"]
        shelf.asked.append((self.path, wanted))
        if shelf.failures:
            return self.send_error(shelf.failures.pop(0))
        if self.path not in shelf.files:
            return self.send_error(404)
        content = shelf.files[self.path]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and shelf.ranges else 0
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            whole = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", shelf.content_range or whole)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + shelf.cuts.pop(0) if shelf.cuts else len(content)
        with suppress(ConnectionError):  # The client may have heard enough.
            self.wfile.write(content[start:end])
        return None


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shelf = Shelf(files={"/file": CONTENT})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, shelf)) as server:
        shelf.base = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield shelf
        server.shutdown()
        thread.join()


def get(shelf: Shelf, target: Path, expected: dict[str, str] = SHA256) -> download.FetchedFile:
    return fetch_file(f"{shelf.base}/file", target, expected)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_arrives_whole_and_its_progress_is_reported(shelf: Shelf, tmp_path: Path) -> None:
    reported: list[tuple[str, int, int | None]] = []
    target = tmp_path / "deep" / "copy"
    fetched = fetch_file(f"{shelf.base}/file", target, SHA256, lambda *step: reported.append(step))
    assert target.read_bytes() == CONTENT
    assert (fetched.path, fetched.size, fetched.fresh) == (target, len(CONTENT), True)
    assert reported[-1] == ("copy", len(CONTENT), len(CONTENT))
    assert [step[1] for step in reported] == sorted(step[1] for step in reported)
    assert left_in(tmp_path) == ["copy"]


def test_a_right_file_is_not_asked_for_again(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(CONTENT)
    assert not get(shelf, tmp_path / "copy").fresh
    assert shelf.asked == []


def test_a_wrong_file_is_replaced(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"something else")
    assert get(shelf, tmp_path / "copy").fresh
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_a_cut_connection_is_resumed_where_it_broke(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cuts = [300_000, 200_000]
    get(shelf, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert [asked for _, asked in shelf.asked] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_server_without_ranges_sends_all_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cuts, shelf.ranges = [300_000], False
    get(shelf, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_giving_up_keeps_the_part_for_the_next_call(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cuts = [100_000] * 4
    with pytest.raises(FetchError, match=r"4 tries .*broke off after 400000 of 1048576 bytes"):
        get(shelf, tmp_path / "copy")
    assert left_in(tmp_path) == ["copy.part"]
    get(shelf, tmp_path / "copy")
    assert shelf.asked[-1] == ("/file", "bytes=400000-")
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_a_part_that_is_whole_is_only_checked(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "copy.part").write_bytes(CONTENT)
    get(shelf, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


@pytest.mark.parametrize("beginning", [b"not how it begins", CONTENT + b"and more"])
def test_a_wrong_part_is_deleted(shelf: Shelf, tmp_path: Path, beginning: bytes) -> None:
    (tmp_path / "copy.part").write_bytes(beginning)
    with pytest.raises(FetchError, match="wrong content"):
        get(shelf, tmp_path / "copy")
    assert left_in(tmp_path) == []


def test_another_piece_than_asked_for_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "copy.part").write_bytes(CONTENT[:100])
    shelf.content_range = "bytes 50-1048575/1048576"
    with pytest.raises(FetchError, match="from 100 on"):
        get(shelf, tmp_path / "copy")


@pytest.mark.parametrize("name", ["SHA-256", "git blob", "MD5"])
def test_a_wrong_checksum_deletes_the_download(shelf: Shelf, tmp_path: Path, name: str) -> None:
    got = {
        "SHA-256": hashlib.sha256(CONTENT).hexdigest(),
        "git blob": hashlib.sha1(b"blob 1048576\0" + CONTENT).hexdigest(),
        "MD5": hashlib.md5(CONTENT).hexdigest(),
    }
    get(shelf, tmp_path / "copy", got)
    (tmp_path / "copy").unlink()
    with pytest.raises(FetchError, match=f"expected {name} 0000, got {got[name]}"):
        get(shelf, tmp_path / "copy", got | {name: "0000"})
    assert left_in(tmp_path) == []


def test_a_missing_file_is_asked_for_once(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="404 Not Found"):
        fetch_file(f"{shelf.base}/nowhere", tmp_path / "copy", SHA256)
    assert len(shelf.asked) == 1
    assert left_in(tmp_path) == []


def test_a_failing_server_is_asked_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.failures = [503, 500, 429]
    assert get(shelf, tmp_path / "copy").fresh
    assert len(shelf.asked) == 4


def test_a_server_that_keeps_failing_is_given_up(shelf: Shelf, tmp_path: Path) -> None:
    shelf.failures = [502] * 9
    with pytest.raises(FetchError, match=r"gave up after 4 tries .*502"):
        get(shelf, tmp_path / "copy")
    assert len(shelf.asked) == 4


def test_pauses_double(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(download, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    shelf.failures = [503] * 3
    get(shelf, tmp_path / "copy")
    assert pauses == [1.0, 2.0, 4.0]


def test_without_a_network_the_error_says_what_to_do(shelf: Shelf, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        with pytest.raises(FetchError, match=r"refused.*Check the network connection, or name a mirror"):
            fetch_file(url, tmp_path / "copy", SHA256)


def test_a_silent_server_times_out(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_request, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(FetchError, match="timed out"):
            fetch_file(url, tmp_path / "copy", SHA256)


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://127.0.0.1/file", "/etc/hosts"])
def test_only_http_is_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="only http and https"):
        fetch_file(url, tmp_path / "copy", {})


def test_a_full_disk_is_not_a_dropped_connection(shelf: Shelf, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, a device that is always full")
    (tmp_path / "copy.part").symlink_to("/dev/full")
    with pytest.raises(FetchError, match=r"cannot be written \(No space left"):
        get(shelf, tmp_path / "copy")
    assert len(shelf.asked) == 1


# Corpora


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, shelf: Shelf) -> Source:
    """A corpus "Toy" of one file, on the shelf as GitHub would have it."""
    blob = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    source = Source("train.tsv", "some/repository", "c0ffee", "data/devel.tsv", blob)
    shelf.files["/some/repository/c0ffee/data/devel.tsv"] = CONTENT
    monkeypatch.setattr(fetch, "CORPORA", {"Toy": (source,)})
    return source


def test_a_corpus_is_put_into_its_folder(shelf: Shelf, toy: Source, tmp_path: Path) -> None:
    fetched = fetch_corpus("toy", tmp_path, github=shelf.base)
    assert [one.path for one in fetched] == [tmp_path / "Toy" / "train.tsv"]
    assert (tmp_path / "Toy" / "train.tsv").read_bytes() == CONTENT
    assert [one.fresh for one in fetch_corpus("toy", tmp_path, github=shelf.base)] == [False]
    assert len(shelf.asked) == 1


def test_a_mirror_comes_from_the_environment(
    shelf: Shelf, toy: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYBIO_FETCH_GITHUB", shelf.base + "/")
    assert fetch_corpus("Toy", tmp_path)[0].url == f"{shelf.base}/some/repository/c0ffee/data/devel.tsv"


def test_a_file_nobody_held_is_checked_by_its_git_blob(shelf: Shelf, toy: Source, tmp_path: Path) -> None:
    shelf.files["/some/repository/c0ffee/data/devel.tsv"] = CONTENT[:-1]
    with pytest.raises(FetchError, match=f"expected git blob {toy.blob}"):
        fetch_corpus("Toy", tmp_path, github=shelf.base)


@pytest.mark.parametrize("name", ["../BC5CDR", "BC5CDR/..", "", "BC6CDR"])
def test_an_unknown_corpus_touches_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="Known: BC5CDR, BioRED, ChemProt, JNLPBA, Reddit-Impacts"):
        fetch_corpus(name, tmp_path / "data")
    assert left_in(tmp_path) == []


def test_reddit_impacts_is_on_request(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not public: ask its authors.*Reddit-Impacts as train.tsv.*IOB2"):
        fetch_corpus("reddit-impacts", tmp_path)


def test_table_names_every_file_once_and_pins_it() -> None:
    assert {name: len(sources) for name, sources in CORPORA.items()} == {
        "BC5CDR": 5,
        "JNLPBA": 6,
        "ChemProt": 3,
        "BioRED": 2,
    }
    for sources in CORPORA.values():
        assert len({source.name for source in sources}) == len(sources)
        for source in sources:
            assert Path(source.name).name == source.name
            assert {len(source.commit), len(source.blob)} == {40}
            assert len(source.sha256) in (0, 64)


def test_table_agrees_with_the_real_files(corpora: Path) -> None:
    held = [
        (corpora / name / source.name, source)
        for name, sources in CORPORA.items()
        for source in sources
        if (corpora / name / source.name).is_file()
    ]
    assert held
    for path, source in held:
        assert checksums(path).items() >= source.checksums.items(), path


# PubMed


NAMES = [f"pubmed26n{number:04}.xml.gz" for number in (1, 2, 7)]


@pytest.fixture
def pubmed(shelf: Shelf) -> Callable[..., list[download.FetchedFile]]:
    for name in NAMES:
        content = name.encode() * 1000
        shelf.files[f"/baseline/{name}"] = content
        shelf.files[f"/baseline/{name}.md5"] = f"MD5({name})= {hashlib.md5(content).hexdigest()}\n".encode()
    return partial(fetch_pubmed, base=shelf.base)


def test_pubmed_files_come_with_their_md5(
    shelf: Shelf, pubmed: Callable[..., list[download.FetchedFile]], tmp_path: Path
) -> None:
    assert [one.fresh for one in pubmed("1-2,7", tmp_path)] == [True] * 3
    assert left_in(tmp_path) == sorted([*NAMES, *(f"{name}.md5" for name in NAMES)])
    asked = len(shelf.asked)
    assert [one.fresh for one in pubmed("1-2,7", tmp_path)] == [False] * 3
    assert len(shelf.asked) == asked


def test_pubmed_md5_mismatch(
    shelf: Shelf, pubmed: Callable[..., list[download.FetchedFile]], tmp_path: Path
) -> None:
    shelf.files[f"/baseline/{NAMES[0]}"] += b"!"
    with pytest.raises(FetchError, match="expected MD5"):
        pubmed("1", tmp_path)
    assert left_in(tmp_path) == []


def test_a_spoiled_file_is_fetched_again(
    pubmed: Callable[..., list[download.FetchedFile]], tmp_path: Path
) -> None:
    pubmed("1", tmp_path)
    (tmp_path / NAMES[0]).write_bytes(b"spoiled")
    assert [one.fresh for one in pubmed("1", tmp_path)] == [True]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>log in first</html>", "expected a line 'MD5"),
        (f"MD5(other.gz)= {'0' * 32}".encode(), "expected a line 'MD5"),
        (b"\xff\xfe", "not a text file"),
        (b" " * 5000, "longer than 4096 bytes"),
    ],
)
def test_something_else_than_an_md5_file(
    shelf: Shelf,
    pubmed: Callable[..., list[download.FetchedFile]],
    tmp_path: Path,
    answer: bytes,
    message: str,
) -> None:
    shelf.files[f"/baseline/{NAMES[0]}.md5"] = answer
    with pytest.raises(FetchError, match=message):
        pubmed("1", tmp_path)
    assert left_in(tmp_path) == []


def test_updates_and_year_choose_the_address(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYBIO_FETCH_PUBMED", shelf.base)
    with pytest.raises(FetchError, match="404"):
        fetch_pubmed("1335", tmp_path, kind="updates", year=25)
    assert shelf.asked == [("/updatefiles/pubmed25n1335.xml.gz.md5", None)]


@pytest.mark.parametrize(("kind", "year"), [("../x", 26), ("baseline", 2026), ("baseline", -1)])
def test_pubmed_misuse(tmp_path: Path, kind: str, year: int) -> None:
    with pytest.raises(UsageError):
        fetch_pubmed("1", tmp_path, kind=kind, year=year)


def test_numbers() -> None:
    assert parse_numbers("1-3,7") == [1, 2, 3, 7]
    assert parse_numbers(" 7, 2-4,3 ") == [2, 3, 4, 7]


@pytest.mark.parametrize(
    "text", ["", ",", "0", "3-1", "1-", "-1", "a", "1.5", "10000", "1-99999999", "../1", "²"]
)
def test_bad_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="Write for example 1-3,7"):
        parse_numbers(text)


@given(st.sets(st.integers(1, 9999), min_size=1))
def test_numbers_come_back_from_their_list(numbers: set[int]) -> None:
    assert parse_numbers(",".join(map(str, numbers))) == sorted(numbers)
