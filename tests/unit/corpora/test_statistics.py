import json

import pytest

from raybio.corpora.names import read_split
from raybio.corpora.statistics import (
    PUBLISHED_INSTANCES,
    PUBLISHED_LENGTHS,
    corpus_statistics,
    statistics_json,
    statistics_table,
)
from raybio.entities import Deletion, Document, Mention, Rejected, Sentence, Span

TEXT = "Type 2 diabetes hurts"
MENTIONS = (Mention(0, 15, "Disease", "Type 2 diabetes"), Mention(7, 15, "Disease", "diabetes"))
SENTENCE = Sentence("1:0", ("Type", "2", "diabetes", "hurts"), (0, 5, 7, 16), "1", (Span(0, 3, "Disease"),))
RECORDS = (
    Document("1", TEXT, mentions=MENTIONS, sentences=(SENTENCE,), attributes={"repaired_tags": "2"}),
    Rejected("a.tsv", "line 9", "no tag"),
    Deletion("3"),
)


def test_counts():
    found = corpus_statistics(RECORDS)
    assert (found.documents, found.sentences, found.words, found.rejected) == (1, 1, 4, 1)
    assert (found.mentions, found.entities_by_length, found.entities) == ({"Disease": 2}, (0, 0, 1), 1)
    assert (found.flattened, found.repaired) == (1, 2)


def test_documents_without_sentences_are_split_on_request():
    bare = Document("1", TEXT, mentions=MENTIONS)
    plain = corpus_statistics([bare])
    assert (plain.documents, plain.sentences, plain.mentions, plain.flattened) == (1, 0, {"Disease": 2}, 0)
    split = corpus_statistics([bare], lambda document: (SENTENCE,))
    assert (split.sentences, split.entities_by_length, split.flattened) == (1, (0, 0, 1), 1)


def test_table_and_json_carry_the_published_figures():
    found = corpus_statistics(RECORDS)
    rows = {("JNLPBA", "rebuilt train"): found, ("JNLPBA", "test"): found, ("mine", "test"): found}
    assert statistics_table(rows) == (
        "Sentences\n"
        "corpus                   train    dev   test\n"
        "JNLPBA  counted    1 (rebuilt)      -      1\n"
        "        published       16,807  1,739  3,856\n"
        "mine    counted              -      -      1\n"
        "\n"
        "Entities of test by length in words\n"
        "corpus               all      1      2     3+\n"
        "JNLPBA  counted        1      0      0      1\n"
        "        published  8,662  3,466  2,620  2,576\n"
        "mine    counted        1      0      0      1\n"
        "\n"
        "Besides\n"
        "corpus  split          documents  words  mentions  flattened  repaired  rejected\n"
        "JNLPBA  rebuilt train          1      4         2          1         2         1\n"
        "JNLPBA  test                   1      4         2          1         2         1\n"
        "mine    test                   1      4         2          1         2         1\n"
        "\n"
        "published: Do LLMs Surpass Encoders for Biomedical NER?, IEEE ICHI 2025, Tables I and II\n"
    )
    own = statistics_table({("mine", "test"): found})
    assert "published" not in own and own.endswith(
        "rejected\nmine    test           1      4         2          1         2         1\n"
    )
    report = json.loads(json.dumps(statistics_json(rows)))
    assert [row["published_sentences"] for row in report["rows"]] == [None, 3856, None]
    assert [row["published_entities_by_length"] for row in report["rows"]] == [None, [3466, 2620, 2576], None]
    assert report["rows"][0]["mentions"] == {"Disease": 2}


@pytest.mark.parametrize(
    ("name", "split"),
    [("BC5CDR", s) for s in ("train", "dev", "test")]
    + [(name, s) for name in ("JNLPBA", "ChemProt") for s in ("dev", "test")],
)
def test_real_corpora_equal_the_published_tables(corpora, name, split):
    found = corpus_statistics(read_split(name, split, str(corpora), protocol="study"))
    assert found.sentences == PUBLISHED_INSTANCES[name][split]
    assert found.flattened == 0
    if split == "test":
        assert found.entities_by_length == PUBLISHED_LENGTHS[name]


def test_real_chemprot_as_corrected(corpora):
    found = corpus_statistics(read_split("ChemProt", "test", str(corpora)))
    assert sum(found.mentions.values()) == 20759
    assert found.entities + found.flattened == 20759
