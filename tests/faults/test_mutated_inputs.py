"""Damaged inputs: no crash, no hang, and every document is in the output or in the rejected file."""

import gzip
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import mutations
import pytest
from mutations import FORMATS_MUTATED, Mutated, mutated

from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.shards import Shard, read_shards
from raybio.bulk_tagging.tagging import tag_documents
from raybio.corpora import read_corpus
from raybio.taggers import Tags

_OUTPUTS = ("parquet", "jsonl", "pubtator", "bioc-json", "bioc-xml", "brat")
_SECONDS = 20
"""That reading, tagging and writing one small input may compute."""
_RECORDS = {
    **dict.fromkeys(("jsonl", "chemprot"), rb".*\n"),
    **dict.fromkeys(("pubtator", "iob2"), rb"(?s:.*)\n\n"),
    "pubmed": rb"(?s)<PubmedArticle>(?:(?!<PubmedArticle>).)*?</PubmedArticle>",
    "bioc-xml": rb"(?s)<document>(?:(?!<document>).)*?</document>",
}
"""Whole records, by format; BioC's JSON is read as a whole or not at all."""
_UNQUOTED = re.compile(rb"(?s)<!\[CDATA\[(?!.*\]\]>)")


class Nothing:
    """A tagger that finds nothing: what is tested stands before and after it."""

    labels = ("Name",)

    def __init__(self):
        self.counts = {}

    def tag(self, sentences):
        return [Tags(("O",) * len(sentence), (1.0,) * len(sentence)) for sentence in sentences]


def check(folder: Path, file: Mutated) -> None:
    """Read, tag and write `file`: what stands in it is found again, what no reader could read is reported."""
    path = folder / f"mutated{file.suffix}"
    path.write_bytes(file.content)
    with limited(_SECONDS):
        *shards, end = read_shards(InputFile(str(path), "mutated", file.format, "f"), 4, ())
        written = [write(folder / "out", shard) for shard in shards]
    expected: Iterable[str] = file.markers or ()
    if end.broken:
        assert any(rejected for _, rejected in written), "reading ended early, and nothing says why"
        expected = before(shards[-1].rejected[-1].place, file)
    kept = "".join(text for pair in written for text in pair)
    lost = {marker for marker in expected if marker not in kept}
    assert not lost, f"{sorted(lost)} are neither in the output nor rejected"


def before(fault: str, file: Mutated) -> set[str]:
    """Return the markers in whole records before the line of a fault; none where nobody can tell them."""
    line = re.match(r"line (\d+)", fault)
    if line is None or file.format not in _RECORDS or file.markers is None:
        return set()
    content = gzip.decompress(file.content) if file.suffix else file.content
    # What is quoted and never unquoted is no record, though the fault is found where the file ends.
    content = _UNQUOTED.split(content)[0]
    lines = content.split(b"\n")[: int(line[1]) - 1]
    records = b"".join(re.findall(_RECORDS[file.format], b"\n".join([*lines, b""])))
    return {marker for marker in file.markers if marker.encode() in records}


def write(output: Path, shard: Shard) -> tuple[str, str]:
    """Tag and write a shard; return the texts and the rejected records as they were written."""
    tagged = tag_documents(shard.documents, Nothing(), (), shard.file.path)
    files = ShardFiles(str(output), _OUTPUTS, "m", "c").write(shard, tagged)
    assert len(tagged.documents) + len(tagged.rejected) == len(shard.documents)
    rejected = ""
    if files.rejected:
        lines = (output / "rejected" / f"{shard.name}.jsonl").read_text().split("\n")[:-1]
        assert len(lines) == files.rejected >= len(shard.rejected)
        rejected = "".join(json.loads(line)["reason"] + json.loads(line)["raw"] for line in lines)
    path = output / "jsonl" / f"{shard.name}.jsonl"
    texts = [document.text for document in read_corpus(str(path))] if tagged.documents else []
    return "".join(texts), rejected


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError where a block computes for longer, however busy the machine is."""

    def hangs(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGPROF, hangs)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def check_seeds(folder: str, first: int, last: int) -> list[str]:
    """Check the inputs of seeds `[first, last)`; return what went wrong, with its seed."""
    faults = []
    for seed in range(first, last):
        try:
            check(Path(folder), mutated(seed))
        except Exception as error:  # whatever a reader lets through is what is looked for
            faults.append(f"seed {seed}, {mutated(seed).format}: {type(error).__name__}: {error}")
    return faults


def test_damaged_inputs_are_read_or_rejected(tmp_path: Path) -> None:
    assert check_seeds(str(tmp_path), 0, 300) == []
    assert {mutated(seed).format for seed in range(300)} == set(FORMATS_MUTATED)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_damaged_inputs_are_read_or_rejected(tmp_path: Path) -> None:
    """In processes of their own: a crash below Python would break the pool."""
    starts = range(0, 10_000, 500)
    folders = [tmp_path / str(start) for start in starts]
    for folder in folders:
        folder.mkdir()
    with ProcessPoolExecutor(2) as pool:
        results = pool.map(check_seeds, map(str, folders), starts, [start + 500 for start in starts])
        assert [fault for faults in results for fault in faults] == []


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not built for this platform")
@pytest.mark.parametrize("seconds", [10, pytest.param(120, marks=pytest.mark.soak)])
def test_a_coverage_guided_fuzzer_finds_nothing(tmp_path: Path, seconds: int) -> None:
    program = str(Path(mutations.__file__).with_name("fuzz_readers.py"))
    limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=3000", "-max_len=4096"]
    command = [sys.executable, program, str(tmp_path), *limits]
    fuzzer = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert fuzzer.returncode == 0, fuzzer.stderr[-3000:]


def xml_bomb(levels: int = 40) -> bytes:
    entities = "".join(f'<!ENTITY b{i} "{f"&b{i - 1};" * 10}">' for i in range(1, levels))
    head = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b0 "bomb">{entities}]>'
    citation = f"<MedlineCitation><PMID>1</PMID><A>&b{levels - 1};</A></MedlineCitation>"
    article = f"<PubmedArticle>{citation}</PubmedArticle>"
    return f"{head}<PubmedArticleSet>{article}</PubmedArticleSet>".encode()


_LONG = b"x" * 10_000_000
_DEEP = 1_000_000
_HOSTILE = {
    "entity bomb": ("pubmed", xml_bomb()),
    "entity bomb in BioC": ("bioc-xml", xml_bomb().replace(b"PubmedArticleSet", b"collection")),
    "deep XML": ("pubmed", b"<PubmedArticleSet>" + b"<a>" * _DEEP),
    "deep BioC": ("bioc-xml", b"<collection>" + b"<document>" * _DEEP),
    "deep JSON": ("jsonl", b'{"id": "1", "text": "", "attributes": ' + b"[" * _DEEP + b"\n"),
    "deep BioC JSON": ("bioc-json", b'{"documents": ' + b"[" * _DEEP),
    "deep ChemProt": ("chemprot", b'{"sentences": ' + b"[" * _DEEP + b"\n"),
    "long number": ("jsonl", b'{"id": "1", "text": "", "version": ' + b"9" * 1_000_000 + b"}\n"),
    "long number in BioC JSON": ("bioc-json", b'{"documents": [{"id": ' + b"9" * 1_000_000 + b"}]}"),
    "10 MB word, IOB2": ("iob2", _LONG + b"\tO\n"),
    "10 MB of columns": ("iob2", b"a\t" * 5_000_000 + b"O\n"),
    "10 MB title": ("pubtator", b"1|t|" + _LONG + b"\n1|a|\n"),
    "10 MB of dots": ("pubtator", b"1|t|" + b". " * 5_000_000 + b"\n1|a|\n"),
    "10 MB line, JSON": ("jsonl", b'{"id": "1", "text": "' + _LONG + b'"}\n'),
    "line over the limit": ("jsonl", b'{"id": "1", "text": "' + _LONG * 2 + b'"}\n'),
    "10 MB without a line": ("text", b"Aspirin helps. " * 700_000),
    "gzip bomb": ("jsonl.gz", gzip.compress(b"x" * 100_000_000)),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_hostile_inputs_end_in_time(tmp_path: Path, name: str) -> None:
    format, content = _HOSTILE[name]
    format, _, packed = format.partition(".")
    path = tmp_path / (f"hostile.{packed}" if packed else "hostile")
    path.write_bytes(content)
    # Five million sentences of a dot take a slow core a minute; work that is not linear would take hours.
    with limited(180):
        *shards, _ = read_shards(InputFile(str(path), "hostile", format, "f"), 4, ())
        documents = sum(len(shard.documents) for shard in shards)
        assert documents + sum(len(shard.rejected) for shard in shards) == 1
        for shard in shards:
            tag_documents(shard.documents, Nothing(), (), str(path))
