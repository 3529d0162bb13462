"""The sample corpus: the same bytes for a seed, legal tags, varied content, an honest dump."""

import gzip
import hashlib
import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from raybio.corpora import bio_tsv, jsonl, opening, pubmed_xml
from raybio.corpora.sample import (
    WORD,
    SampleFiles,
    generate_dump,
    generate_sample,
    sample_split,
    tagged_words,
)
from raybio.corpora.sample_citation import FIRST_PMID
from raybio.corpora.sample_lexicon import (
    LABELS,
    SENTENCES,
    Grammar,
    abbreviation,
    build_lexicon,
    part_of,
    text_of,
)
from raybio.entities import Deletion, Document
from raybio.iob2 import check_tags, spans_from_tags

GRAMMAR = Grammar(SENTENCES, build_lexicon(random.Random(7)))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    return generate_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def citations(sample: SampleFiles) -> list[etree._Element]:
    return root_of(sample.dump).findall("PubmedArticle")


def root_of(dump: Path) -> etree._Element:
    return etree.fromstring(gzip.decompress(dump.read_bytes()))


def digests(files: SampleFiles) -> dict[str, str]:
    paths: list[Path] = [getattr(files, field.name) for field in fields(files)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def sentences(path: Path) -> list[tuple[list[str], list[str]]]:
    blocks = path.read_text(encoding="utf-8").removesuffix("\n\n").split("\n\n")
    rows = [[line.split("\t") for line in block.split("\n")] for block in blocks]
    return [([word for word, _ in row], [tag for _, tag in row]) for row in rows]


def names(path: Path) -> Counter[tuple[str, str]]:
    return Counter(
        (span.label, " ".join(words[span.start : span.end]))
        for words, tags in sentences(path)
        for span in spans_from_tags(tags)
    )


def text(element: etree._Element | None) -> str:
    assert element is not None
    return "".join(map(str, element.itertext()))


def test_same_seed_same_bytes(sample: SampleFiles, tmp_path: Path) -> None:
    assert digests(generate_sample(tmp_path)) == digests(sample)


def test_same_bytes_whatever_the_hash_seed(sample: SampleFiles, tmp_path: Path) -> None:
    code = f"from raybio.corpora.sample import generate_sample; generate_sample({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": "12345"})
    again = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in digests(sample)}
    assert again == digests(sample)


def test_another_seed_gives_another_text(sample: SampleFiles, tmp_path: Path) -> None:
    other = digests(generate_sample(tmp_path, seed=8))
    assert all(other[name] != digest for name, digest in digests(sample).items())


def test_size_of_one_file_does_not_change_another(sample: SampleFiles, tmp_path: Path) -> None:
    small = generate_sample(tmp_path, train=3, citations=2)
    assert small.test.read_bytes() == sample.test.read_bytes()
    assert sample.train.read_bytes().startswith(small.train.read_bytes())


def test_splits_hold_as_many_sentences_as_asked_for(sample: SampleFiles) -> None:
    assert [len(sentences(path)) for path in (sample.train, sample.dev, sample.test)] == [600, 150, 200]


def test_tags_are_legal_and_labels_known(sample: SampleFiles) -> None:
    for path in (sample.train, sample.dev, sample.test):
        for _, tags in sentences(path):
            check_tags(tags, path.name, 1, LABELS)


def test_every_label_and_length_occurs(sample: SampleFiles) -> None:
    for path in (sample.train, sample.test):
        spans = [span for _, tags in sentences(path) for span in spans_from_tags(tags)]
        lengths, labels = Counter(map(len, spans)), Counter(span.label for span in spans)
        assert set(labels) == set(LABELS)
        assert min(labels.values()) > 0.05 * len(spans)
        assert {1, 2, 3, 4, 5} <= set(lengths)
        assert lengths.most_common(1)[0][0] == 1


def test_some_sentences_hold_no_entity(sample: SampleFiles) -> None:
    empty = sum(set(tags) == {"O"} for _, tags in sentences(sample.train))
    assert 0.2 < empty / 600 < 0.5


def test_words_may_be_entity_or_not(sample: SampleFiles) -> None:
    tags_of: dict[str, set[str]] = {}
    for words, tags in sentences(sample.train):
        for word, tag in zip(words, tags, strict=True):
            tags_of.setdefault(word.lower(), set()).add(tag)
    for word in ("lead", "gold", "cold", "kit", "shock", "set"):
        assert len(tags_of[word]) > 1, word


def test_greek_and_characters_beyond_the_basic_plane_occur(sample: SampleFiles) -> None:
    train = sample.train.read_text(encoding="utf-8")
    assert all(character in train for character in "αβγ𝛽𝑝😀")


def test_test_names_are_partly_unknown_to_train(sample: SampleFiles) -> None:
    seen, drawn = set(names(sample.train)), names(sample.test)
    unseen = sum(count for name, count in drawn.items() if name not in seen)
    assert 0.3 < unseen / drawn.total() < 0.8


@settings(max_examples=500)
@given(seed=st.integers(0, 2**32))
def test_words_are_those_of_the_whole_text(seed: int) -> None:
    pieces = GRAMMAR.expand("sentence", random.Random(seed))
    assert [word for word, _ in tagged_words(pieces)] == WORD.findall(text_of(pieces))


def test_a_chemical_name_is_cut_at_its_punctuation() -> None:
    tagged = list(tagged_words([("Low ", ""), ("2,4-dinitrophenol", "Chemical"), (".", "")]))
    assert tagged == [
        ("Low", "O"),
        ("2", "B-Chemical"),
        (",", "I-Chemical"),
        ("4", "I-Chemical"),
        ("-", "I-Chemical"),
        ("dinitrophenol", "I-Chemical"),
        (".", "O"),
    ]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("tumour necrosis factor alpha", "TNF-α"),
        ("mast cell repair factor 3", "MCRF3"),
        ("platelet growth kinase", "PGK"),
    ],
)
def test_abbreviation(name: str, short: str) -> None:
    assert abbreviation(name) == short


def test_lexicon_names_are_distinct_and_parts_are_slices() -> None:
    lexicon = build_lexicon(random.Random(3), size=100)
    assert all(len(set(entries)) == len(entries) for entries in lexicon.values())
    first, last = part_of(lexicon, 0, 0.7), part_of(lexicon, 0.7, 1)
    assert all([*first[symbol], *last[symbol]] == list(lexicon[symbol]) for symbol in lexicon)


def test_checksum_beside_the_dump_is_right(sample: SampleFiles) -> None:
    digest = hashlib.md5(sample.dump.read_bytes()).hexdigest()
    assert sample.md5.read_text() == f"MD5(pubmed_sample.xml.gz)= {digest}\n"


def test_dump_has_every_kind_of_citation(sample: SampleFiles, citations: list[etree._Element]) -> None:
    assert len(citations) == 400

    def count(path: str) -> int:
        return sum(citation.find(path) is not None for citation in citations)

    assert count(".//Abstract") == 300
    assert count(".//Abstract/AbstractText[@Label='METHODS']") == 100
    assert count(".//VernacularTitle") == sum(
        citation.findtext(".//Language") != "eng" for citation in citations
    )
    assert count(".//VernacularTitle") == 57
    assert count(".//OtherAbstract") == 40
    assert min(map(count, (".//sub", ".//sup", ".//i"))) > 0
    assert count(".//ISOAbbreviation") == count(".//DateRevised") == count(".//MeshHeading") == 400


def test_revised_citations_come_after_the_one_they_revise(citations: list[etree._Element]) -> None:
    ids = [(pmid.text, pmid.get("Version")) for c in citations if (pmid := c.find(".//PMID")) is not None]
    assert len(set(ids)) == 400
    revised = [index for index, (_, version) in enumerate(ids) if version == "2"]
    assert revised == list(range(49, 400, 50))
    assert all(ids[index - 1] == (ids[index][0], "1") for index in revised)


def test_dump_withdraws_its_first_citation_and_an_unknown_one(sample: SampleFiles) -> None:
    deleted = root_of(sample.dump).findall("DeleteCitation/PMID")
    assert [pmid.text for pmid in deleted] == [str(FIRST_PMID), str(FIRST_PMID - 1)]


def test_gold_is_the_text_of_the_dump(sample: SampleFiles, citations: list[etree._Element]) -> None:
    with sample.gold.open("rb") as stream:
        documents = list(jsonl.read(stream, "gold"))
    assert len(documents) == 400
    for document, citation in zip(documents, citations, strict=True):
        assert isinstance(document, Document)
        assert document.id == citation.findtext(".//PMID")
        sections = [
            f"{section.get('Label')}: {text(section)}" if section.get("Label") else text(section)
            for section in citation.findall(".//Abstract/AbstractText")
        ]
        assert document.text == " ".join([text(citation.find(".//ArticleTitle")), *sections])
        assert not list(document.misplaced())
    assert (
        sum(len(document.mentions or ()) for document in documents if isinstance(document, Document)) > 5000
    )


def test_the_project_reads_its_own_dump_as_gold_has_it(sample: SampleFiles) -> None:
    with opening.open_bytes(str(sample.dump)) as stream:
        records = list(pubmed_xml.read(stream, sample.dump.name))
    with sample.gold.open("rb") as stream:
        gold = list(jsonl.read(stream, "gold"))
    documents = [record for record in records if isinstance(record, Document)]
    assert Counter(map(type, records)) == {Document: 400, Deletion: 2}
    for document, wanted in zip(documents, gold, strict=True):
        assert isinstance(wanted, Document)
        assert (document.id, document.version) == (wanted.id, wanted.version)
        assert document.text.startswith(wanted.text)


def test_the_project_reads_its_own_splits(sample: SampleFiles) -> None:
    for path in (sample.train, sample.dev, sample.test):
        with path.open("rb") as stream:
            records = list(bio_tsv.read(stream, path.name))
        assert {type(record) for record in records} == {Document}
        assert sum(len(record.sentences) for record in records if isinstance(record, Document)) == len(
            sentences(path)
        )


def test_abstracts_are_about_as_long_as_asked_for(tmp_path: Path) -> None:
    generate_dump(tmp_path / "d.xml.gz", 40, abstract_words=90)
    abstracts = root_of(tmp_path / "d.xml.gz").findall(".//Abstract/AbstractText")
    lengths = [len(text(abstract).split()) for abstract in abstracts if not abstract.get("Label")]
    assert len(lengths) == 20
    assert min(lengths) >= 60
    assert max(lengths) <= 120 + 40


def test_an_empty_dump_is_well_formed(tmp_path: Path) -> None:
    generate_dump(tmp_path / "d.xml.gz", 0)
    assert [child.tag for child in root_of(tmp_path / "d.xml.gz")] == ["DeleteCitation"]


def test_gzip_header_holds_neither_name_nor_time(sample: SampleFiles) -> None:
    header = sample.dump.read_bytes()[:10]
    assert header[3] == 0
    assert header[4:8] == bytes(4)


def test_formulas_are_marked_up_and_names_are_not(sample: SampleFiles) -> None:
    with gzip.open(sample.dump, "rt", encoding="utf-8") as file:
        xml = file.read()
    assert "<sup>2+</sup>" in xml
    assert re.search(r"H<sub>2</sub>O<sub>2</sub>|CO<sub>2</sub>", xml)
    assert re.search(r"<i>[A-Z]\w+ \w+</i>", xml)
    assert not re.search(r"<i>Wistar", xml)


def test_a_sample_that_was_not_written_whole_is_written_anew(tmp_path: Path) -> None:
    first = Path(sample_split("dev", str(tmp_path)))
    content = first.read_bytes()
    assert Path(sample_split("dev", str(tmp_path))).read_bytes() == content
    (first.parent / "pubmed_sample.xml.gz.md5").unlink()
    first.write_text("half of it")
    assert Path(sample_split("dev", str(tmp_path))).read_bytes() == content
