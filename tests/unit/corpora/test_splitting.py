import runpy
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybio.corpora.sentences import split_document
from raybio.corpora.splitting import split_sentences, split_words
from raybio.entities import Document, Passage

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "sentence_splitting.py"

# fmt: off
FRAGMENTS = [". ", "? ", "! ", " (", ") ", "[", "]", "i.v. ", "vs. ", "et al. ", "E. coli ", "No. 5 ",
             "A. B. ", '"', "mg/kg. ", "The ", "mRNA ", "\n\n", "\n", "。", "a", "_", "\u0301", "\u00a0",
             "😀", "β", "3.5", "\u2028"]
HOSTILE = ["a. ", "(", "[", ". ", ".", ".) ", "([", "(a. ", "i.v. ", "i.v. A", "A.", '."', "\n ", "\n",
           " ", "a\u0301", "_"]
# fmt: on
texts = st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map("".join))


def sentences_of(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


def words_of(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@given(texts)
def test_words_hold_every_character_but_white_space_once_and_in_order(text):
    covered = [i for start, end in split_words(text) for i in range(start, end)]
    assert covered == [i for i, character in enumerate(text) if not character.isspace()]


@given(texts)
def test_sentences_hold_every_character_but_white_space_once_and_in_order(text):
    spans = split_sentences(text)
    covered = [i for start, end in spans for i in range(start, end) if not text[i].isspace()]
    assert covered == [i for i, character in enumerate(text) if not character.isspace()]
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)


@given(texts)
def test_no_word_lies_across_two_sentences(text):
    inside = [(s + start, s + end) for s, e in split_sentences(text) for start, end in split_words(text[s:e])]
    assert inside == split_words(text)


@given(st.lists(st.tuples(texts, texts), max_size=5), st.data())
def test_sentences_stay_in_their_passages_and_are_exact_pieces_of_the_text(parts, data):
    text, passages = "", []
    for between, inside in parts:
        start = len(text) + len(between)
        text += between + inside
        passages.append(Passage(start, len(text), data.draw(st.sampled_from(["title", "abstract"]))))
    document = Document("7", text, tuple(passages))
    for skipped in ((), {"title"}):
        sentences = split_document(document, skipped)
        wanted = [p for p in document.passages if p.kind not in skipped]
        assert [s.id for s in sentences] == [f"7:{n}" for n in range(len(sentences))]
        found = [(i, i + len(w)) for s in sentences for i, w in zip(s.starts, s.words, strict=True)]
        assert [text[start:end] for start, end in found] == [w for s in sentences for w in s.words]
        if passages:
            assert found == [
                (p.start + start, p.start + end)
                for p in wanted
                for start, end in split_words(text[p.start : p.end])
            ]
        for sentence in sentences:
            start, end = sentence.starts[0], sentence.starts[-1] + len(sentence.words[-1])
            assert any(p.start <= start and end <= p.end for p in document.passages) or not passages
            assert sentence.gold is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("beta-blocker (5%)", "beta - blocker ( 5 % )"),
        ("MAX_24h 1.5 mg/kg", "MAX _ 24h 1 . 5 mg / kg"),
        ("cafe\u0301s café naïve", "cafe\u0301s café naïve"),
        ("Ca2+ → β-cell", "Ca2 + → β - cell"),
        ("😀😀 𝛼1", "😀 😀 𝛼1"),
        ("\u200ba\u00adb", "\u200b a \u00ad b"),
    ],
)
def test_words(text, words):
    assert words_of(text) == words.split(" ")


@pytest.mark.parametrize(
    "text",
    [
        "It fell (75 vs. 72 years).| Then it rose.",
        "Given i.v. 5 min before.| It helped.",
        "Saline was given i.v.| The rats slept.",
        "We gave 60 mg/kg (i.p.) 5 days after.",
        "Doses of 5 mg/kg.| Rats died.",
        "We found E. coli and S. aureus in it.",
        "By Smith et al. 1981 it was.| Jones et al.| We disagree.",
        "See Fig. 2 and No. 5.| The answer is no.| Yes?| Yes!",
        "Cole, M. A., Abd Jamil, A. H. found it.",
        "Vitamin D.| Patients of group A.| They slept.",
        "OBJECTIVE: To see.| METHODS: We saw.",
        "It fell.| mRNA rose.| p53 did not.| beta-Blockers help.| c-Jun too.| α-Synuclein too.",
        "In 37%.| 99mTc was used.| (See below.)| [Then this.]| It ended.",
        "As was known [Nat. Neurosci. 9 (2006), 917] it is.",
        'They said "meth mouth."| This is it.',
        "From Nov. 30 to Dec. 1 it rained.",
        "A paragraph\n\n|Another one\nof two lines",
        "研究了它。|结果很好！",
        "One has no end at all and that is fine",
        "What...| Yes.",
    ],
)
def test_sentences(text):
    pieces = [piece.strip() for piece in text.split("|")]
    assert sentences_of(text.replace("|", "")) == pieces


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear_in_hostile_text(piece):
    text = piece * (500_000 // len(piece))  # about 0.3 s; quadratic time would be minutes
    start = time.perf_counter()
    split_sentences(text)
    split_words(text)
    assert time.perf_counter() - start < 10


def test_a_stop_before_ten_megabytes_of_space_and_of_letters():
    for filling in (" ", "a", "("):
        assert len(split_sentences("." + filling * 10_000_000 + "b. C")) in (1, 2)


def test_bc5cdr_test_is_cut_as_its_makers_did(corpora):
    measure = runpy.run_path(str(BENCHMARK))["measure"]
    folder = corpora / "BC5CDR"
    result = measure(folder / "BC5CDR_Test.PubTator", [folder / "test.tsv"])
    assert (result.abstracts, result.words.gold, result.sentences.gold) == (500, 124_750, 4_797)
    assert (result.words.precision, result.words.recall) == (1.0, 1.0)
    assert result.sentences.precision >= 0.998
    # The corpus cuts inside "U.S. Food" and "U.S. Preventive Services", three times: its ends are not found.
    assert result.sentences.recall >= 0.9975
    assert result.mentions_cut == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Infection with S. Typhimurium and Salmonella.", 1),
        ("Lyme and B. Burgdorferi Infection in Dogs.", 1),
        ("S. Typhimurium in Mice.", 1),
        ("We found S. Typhimurium in it.", 1),
        ("Mice that ingested S. Enteritidis died.", 1),
        ("Some were treated with A. Those lived.", 2),
        ("Approved by the U.S. Food and Drug Administration in 2015.", 1),
        ("Data of the U.K. Biobank were used.", 1),
        ("It was sold in the U.S. These data are old.", 2),
        ("See Tab. 1, Suppl. 2, max. 10 mg.", 1),
        ("Grown with pv. Tomato and cv. Bintje here.", 1),
        ("Int. J. Cancer was read.", 1),
        ("Made by Pfizer Inc. New York and others.", 1),
        ("It came from Pfizer Inc. The drug works.", 2),
        ("Risk rose.[1] Cold is common.", 2),
        ("Risk rose.[1,2-4] Cold is common.", 2),
        ("In group A. Patients were old.", 2),
        ("In groups A and B. Rats were old.", 2),
        ("They had vitamin D. High doses help.", 2),
        ("They had hepatitis B. Interferon helps.", 2),
        ("The channel Nav 1 . 5 is open .", 1),
        ("Salmonella enterica ser. Typhi and E. coli str. K-12 grew.", 1),
    ],
)
def test_sentences_end_after_names_and_not_inside(text, count):
    assert len(split_sentences(text)) == count
