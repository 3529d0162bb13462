"""Corpus files as nobody meant them: one for each seed, made of a good file of each text format."""

import gzip
import io
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from raybio.corpora import format_named
from raybio.entities import Document, Mention, Passage, Sentence, Span

FORMATS_MUTATED = ("pubmed", "jsonl", "pubtator", "iob2", "bioc-xml", "bioc-json", "chemprot")

_DOCUMENTS = 6
_MARKER = re.compile(rb"mark\d+[ta]x")
# What each of the languages trips over.
_TOKENS = (
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r",
        b"\n\n",
        b"\t",
        b"|t|",
        b"|a|",
        b"\t-1\t99999999999999\t",
    ),
    *(b"-DOCSTART- -X- O O\n\n", b"I-Disease", b"B-", b"<", b"&", b"&#0;", b"&bomb;", b"]]>", b"<![CDATA["),
    *(
        b"<?pi",
        b'<!DOCTYPE a [<!ENTITY bomb "b">]>',
        b"</PubmedArticle>",
        b"<PubmedArticle>",
        b"<PMID>1</PMID>",
    ),
    *(
        b"</passage>",
        b"<offset>-5</offset>",
        b'"',
        b"\\ud800",
        b"\\u0000",
        b"1e999",
        b"NaN",
        b"null",
        b"[]",
        b"{",
    ),
    *(b"9" * 400, b"-" * 100, "\u2028\u0085\ufeff".encode(), b"[" * 5000, b"<a>" * 5000, b"(" * 5000),
)


@dataclass(frozen=True)
class Mutated:
    """The bytes of a file, the suffix that tells whether they are packed, and what they should be.

    `markers` are the words that stand in it, whole, and that a reader must not lose; None where the
    packing itself is damaged, so that nobody can tell.
    """

    format: str
    suffix: str
    content: bytes
    markers: frozenset[str] | None


def mutated(seed: int) -> Mutated:
    """Return the file of `seed`."""
    chance = random.Random(seed)
    format = chance.choice(FORMATS_MUTATED)
    content = good_file(format)
    for _ in range(chance.randint(1, 3)):
        content = chance.choice(_MUTATIONS)(chance, content)
    markers = frozenset(word.decode() for word in _MARKER.findall(content))
    if chance.random() < 0.8:
        return Mutated(format, "", content, markers)
    packed = gzip.compress(content, mtime=0)
    if chance.random() < 0.3:
        return Mutated(format, ".gz", packed, markers)
    return Mutated(format, ".gz", chance.choice(_MUTATIONS)(chance, packed), None)


def _flip(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4) if changed else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _truncate(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randint(0, len(content))]


def _delete(chance: random.Random, content: bytes) -> bytes:
    first, last = _piece(chance, content)
    return content[:first] + content[last:]


def _copy(chance: random.Random, content: bytes) -> bytes:
    first, last = _piece(chance, content)
    place = chance.randint(0, len(content))
    return content[:place] + content[first:last] + content[place:]


def _insert(chance: random.Random, content: bytes) -> bytes:
    place = chance.randint(0, len(content))
    return content[:place] + chance.choice(_TOKENS) + content[place:]


def _replace(chance: random.Random, content: bytes) -> bytes:
    """Put a token in the place of a number or a word."""
    words = list(re.finditer(rb"\w+", content))
    if not words:
        return content
    word = chance.choice(words)
    return content[: word.start()] + chance.choice(_TOKENS) + content[word.end() :]


def _lines(chance: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


_MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip,
    _flip,
    _truncate,
    _delete,
    _copy,
    _insert,
    _replace,
    _lines,
)


def _piece(chance: random.Random, content: bytes) -> tuple[int, int]:
    first = chance.randint(0, len(content))
    return first, min(len(content), first + int(chance.paretovariate(0.5)))


@cache
def good_file(format: str) -> bytes:
    """Return a good file of `format`: six documents, in each a marker in the title and one after it."""
    if format == "pubmed":
        return _pubmed()
    if format == "chemprot":
        return _chemprot()
    stream = io.BytesIO()
    format_named(format).write_stream([_document(number) for number in range(_DOCUMENTS)], stream)
    return stream.getvalue()


def _document(number: int) -> Document:
    title, abstract = f"Aspirin mark{number}tx", f"It helps β mark{number}ax"
    text = f"{title} {abstract}"
    words = text.split(" ")
    starts = [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]
    return Document(
        str(1000 + number),
        text,
        (Passage(0, len(title), "title"), Passage(len(title) + 1, len(text), "abstract")),
        (Mention(0, 7, "Chemical", "Aspirin"),),
        (Sentence("s", tuple(words), tuple(starts), str(1000 + number), (Span(0, 1, "Chemical"),)),),
    )


def _pubmed() -> bytes:
    citations = "".join(
        f'<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">{1000 + number}</PMID>'
        "<Article><Journal><Title>J</Title></Journal>"
        f"<ArticleTitle>Aspirin <i>mark{number}tx</i></ArticleTitle>\n"
        f'<Abstract><AbstractText Label="AIM">It helps β &lt; mark{number}ax</AbstractText></Abstract>'
        "<Language>eng</Language></Article></MedlineCitation></PubmedArticle>\n"
        for number in range(_DOCUMENTS)
    )
    notices = '<DeleteCitation><PMID Version="1">7</PMID></DeleteCitation>'
    header = '<?xml version="1.0" encoding="utf-8"?>\n'
    return f"{header}<PubmedArticleSet>\n{citations}{notices}</PubmedArticleSet>".encode()


def _chemprot() -> bytes:
    lines = (
        f'{{"doc_key": "{1000 + i}", "sentences": [["Aspirin", "mark{i}tx"], ["It", "mark{i}ax"]], '
        f'"ner": [[[0, 0, "CHEMICAL"]], []], "relations": [[], []]}}\n'
        for i in range(_DOCUMENTS)
    )
    return "".join(lines).encode()
