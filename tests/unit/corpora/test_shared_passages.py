"""Text that is scored is found in text that is learned, however the two are cut and written."""

from raybio.corpora import read_corpus
from raybio.corpora.shared_passages import PASSAGE_WORDS, Passages
from raybio.entities import Document

TITLE = "Selegiline-induced postural hypotension in Parkinson's disease: a longitudinal study of drug doses."


def document(text: str, name: str = "d") -> Document:
    return Document(name, text)


def test_a_passage_is_found_whatever_its_signs_case_and_words(tmp_path):
    file = tmp_path / "test.tsv"
    cut = TITLE.replace("-", " - ").replace("'", " ' ").replace(":", " :").replace(".", " .")
    file.write_text("".join(f"{word}\tO\n" for word in cut.split()))
    unseen = Passages(read_corpus(str(file)))
    whole = document(f"BACKGROUND: We report {TITLE.upper()} It was mild.")
    assert unseen.shared_with(whole) == (
        "selegiline induced postural hypotension in parkinson s disease a longitudinal study of drug"
    )


def test_fewer_words_in_a_row_are_no_passage():
    words = [f"w{i}" for i in range(PASSAGE_WORDS)]
    unseen = Passages([document(" ".join(words))])
    assert unseen.shared_with(document(" ".join(words[1:]))) is None
    assert unseen.shared_with(document(" ".join([*words[:6], "other", *words[6:]]))) is None
    assert unseen.shared_with(document(" ".join(["before", *words, "after"]))) == " ".join(words)


def test_short_documents_share_nothing():
    unseen = Passages([document("METHODS :"), document("Results")])
    assert unseen.shared_with(document("METHODS : Results")) is None
    assert Passages([]).shared_with(document(TITLE)) is None
