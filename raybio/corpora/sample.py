"""The project's own corpus: synthetic biomedical English in IOB2, and a PubMed dump of it.

One seed gives the same text on every machine and Python, and the same compressed bytes
wherever zlib is the same. `sample_lexicon` holds the language; here it is written as the two
kinds of file that raybio reads most.

The dump follows NLM's PubMed DTD (https://dtd.nlm.nih.gov/ncbi/pubmed/out/). What a citation
has besides its text depends on its index alone, so that even a small dump has every kind:
one in four has no abstract and one in four a structured one; one in seven has a title in
another language; one in ten a second abstract; one in fifty revises the one before it
(version 2). The list at the end withdraws the first citation and an unknown one. PubMed ids
start at 90,000,001, far above the real ones.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from filelock import FileLock

from raybio.corpora.sample_citation import FIRST_PMID, Sections, citation_xml, identity, in_other_language
from raybio.corpora.sample_lexicon import SENTENCES, Grammar, Piece, build_lexicon, part_of, text_of

SECTION_LABELS = ("BACKGROUND", "METHODS", "RESULTS", "CONCLUSIONS")
WORD = re.compile(r"\w+|[^\w\s]")

_DUMP = "pubmed_sample.xml.gz"
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN" \
"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">
<PubmedArticleSet>
"""
_TAIL = f"""<DeleteCitation><PMID Version="1">{FIRST_PMID}</PMID>\
<PMID Version="1">{FIRST_PMID - 1}</PMID></DeleteCitation>
</PubmedArticleSet>
"""


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """Where `generate_sample` wrote: three splits, the dump, its checksum and its gold mentions."""

    train: Path
    dev: Path
    test: Path
    dump: Path
    md5: Path
    gold: Path


def generate_sample(
    folder: str | Path, seed: int = 7, train: int = 600, dev: int = 150, test: int = 200, citations: int = 400
) -> SampleFiles:
    """Write `train`, `dev` and `test` sentences as two-column IOB2, and a dump of `citations`.

    Train and dev draw from the first 70 % of the names and test from the last 50 %, so that
    about six names in ten that test draws never occur in train. The dump draws from all.

    Raises:
        OSError: `folder` cannot be made or written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    dump = folder / _DUMP
    files = SampleFiles(
        train=folder / "train.tsv",
        dev=folder / "dev.tsv",
        test=folder / "test.tsv",
        dump=dump,
        md5=_md5_beside(dump),
        gold=folder / "pubmed_sample.gold.jsonl",
    )
    lexicon = build_lexicon(_random(seed, "lexicon"))
    known, partly_new = part_of(lexicon, 0.0, 0.7), part_of(lexicon, 0.5, 1.0)
    splits = ((files.train, train, known), (files.dev, dev, known), (files.test, test, partly_new))
    for path, count, names in splits:
        grammar, rng = Grammar(SENTENCES, names), _random(seed, path.stem)
        _write_tsv(path, (_sentence(grammar, rng) for _ in range(count)))
    generate_dump(dump, citations, seed, gold=files.gold)
    return files


def sample_split(split: str, data: str | None = None) -> str:
    """Return the path of the sample's "train", "dev" or "test" file, writing the sample where it is missing.

    It lies in `sample/` under `data`, the environment variable RAYBIO_DATA, or "data".
    """
    folder = Path(data or os.environ.get("RAYBIO_DATA") or "data") / "sample"
    path = folder / f"{split}.tsv"

    def whole() -> bool:  # the dump's checksum is written last of all
        return path.is_file() and _md5_beside(folder / _DUMP).is_file()

    if not whole():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # of several runs that want it at once the first one writes it
            if not whole():
                generate_sample(folder)
    return str(path)


def generate_dump(
    path: str | Path, citations: int, seed: int = 7, abstract_words: int = 200, gold: str | Path | None = None
) -> None:
    """Stream a gzipped PubMed dump of `citations` to `path` and its checksum to `path` + ".md5".

    Abstracts hold about `abstract_words` words (from a third less to a third more). Where
    `gold` is given it gets one JSON line for each citation: `id`, `version`, `text` (the title,
    then the abstract's sections, each after its "LABEL: ", joined by blanks) and `mentions`,
    whose offsets count code points of that text. The checksum is written last: where it
    stands, the dump is whole. Memory does not grow with `citations`.

    Raises:
        OSError: a file cannot be written.
    """
    path = Path(path)
    grammar = Grammar(SENTENCES, build_lexicon(_random(seed, "lexicon")))
    rng = _random(seed, "dump")
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("wb"))
        # Neither a name nor a time in the header: the bytes depend on the text alone.
        dump = stack.enter_context(gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0))
        golden = stack.enter_context(Path(gold).open("w", encoding="utf-8", newline="\n")) if gold else None
        dump.write(_HEAD.encode())
        for index in range(citations):
            title, sections = _compose(grammar, rng, index, abstract_words)
            dump.write(citation_xml(index, rng, title, sections).encode())
            if golden:
                golden.write(_gold_line(index, title, sections))
        dump.write(_TAIL.encode())
    with path.open("rb") as written:
        digest = hashlib.file_digest(written, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    _md5_beside(path).write_text(f"MD5({path.name})= {digest}\n", encoding="utf-8")


def tagged_words(pieces: Iterable[Piece]) -> Iterator[tuple[str, str]]:
    """Yield each word of `pieces` with its IOB2 tag; words are what `WORD` finds."""
    for text, label in pieces:
        for i, word in enumerate(WORD.findall(text)):
            yield word, f"{'I' if i else 'B'}-{label}" if label else "O"


def _md5_beside(path: Path) -> Path:
    return path.with_name(path.name + ".md5")


def _random(seed: int, purpose: str) -> Random:
    """Return a generator of its own for each purpose, so that no file's size changes another."""
    return Random(f"{seed} {purpose}")  # noqa: S311 (text that can be made again, no secrets)


def _write_tsv(path: Path, sentences: Iterable[list[Piece]]) -> None:
    """Write `word<TAB>tag` lines, and a blank line after each sentence."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for pieces in sentences:
            file.writelines(f"{word}\t{tag}\n" for word, tag in tagged_words(pieces))
            file.write("\n")


def _sentence(grammar: Grammar, rng: Random, symbol: str = "sentence") -> list[Piece]:
    """Expand `symbol` and capitalise its first word, unless that is a symbol ("p53", "α-tocopherol")."""
    pieces = grammar.expand(symbol, rng)
    text, label = pieces[0]
    if re.match("[a-z][a-z ]", text):
        pieces[0] = (text[0].upper() + text[1:], label)
    return pieces


def _compose(grammar: Grammar, rng: Random, index: int, words: int) -> tuple[list[Piece], Sections]:
    """Return a title, and the abstract's sections: none, one without label, or four."""
    title = [*_sentence(grammar, rng, "title"), (".", "")]
    if in_other_language(index):
        title = [("[", ""), *title[:-1], ("].", "")]
    if index % 4 == 3:
        return title, []
    labels = SECTION_LABELS if index % 4 == 1 else ("",)
    share = words * (2 + 2 * rng.random()) / 3 / len(labels)
    return title, [(label, _paragraph(grammar, rng, share)) for label in labels]


def _paragraph(grammar: Grammar, rng: Random, words: float) -> list[Piece]:
    """Return sentences joined by blanks, until they hold `words` words between blanks."""
    pieces = _sentence(grammar, rng)
    count = text_of(pieces).count(" ") + 1
    while count < words:
        more = _sentence(grammar, rng)
        count += text_of(more).count(" ") + 1
        pieces += [(" ", ""), *more]
    return pieces


def _gold_line(index: int, title: list[Piece], sections: Sections) -> str:
    """Return the citation's text and mentions as one line of JSON."""
    pieces = list(title)
    for label, section in sections:
        pieces += [(f" {label}: " if label else " ", ""), *section]
    mentions, start = [], 0
    for text, label in pieces:
        end = start + len(text)
        if label:
            mentions.append({"start": start, "end": end, "label": label, "text": text})
        start = end
    pmid, version = identity(index)
    record = {"id": str(pmid), "version": version, "text": text_of(pieces), "mentions": mentions}
    return json.dumps(record, ensure_ascii=False) + "\n"
