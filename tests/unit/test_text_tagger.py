"""raybio from Python: text in, documents with exact mentions out, and nothing imported before it is used."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raybio
from raybio.corpora.sentences import split_document
from raybio.entities import Document, Mention, Relation, Sentence, Span
from raybio.errors import ColumnsError, ModelError, UsageError
from raybio.taggers import load_tagger, place_mentions

TEXTS = [
    "Naloxone reverses the effect of α-methyldopa 😀 in rats.",
    "",
    "\r\n  Second. It has two sentences,\nand a line.\n",
    "word " * 300,
]


@pytest.fixture(scope="module")
def ner(tiny_encoder):
    return raybio.load(tiny_encoder, threads=1)


def spans_of(document):
    return document.text, [(each.start, each.end, each.label) for each in document.mentions]


def test_offsets_are_exact_and_mentions_are_those_of_the_tagger(ner, tiny_encoder):
    for text in TEXTS:
        document = ner(text)
        assert document.text == text and list(document.misplaced()) == []
        sentences = split_document(Document("", text))
        tags = load_tagger(tiny_encoder).tag(sentences)
        assert list(document.mentions) == place_mentions(document, sentences, tags)
    assert any(ner(text).mentions for text in TEXTS)


def test_many_are_one_by_one_in_order(ner):
    # What is read together changes the last digits of scores, and nothing else.
    one_by_one = [spans_of(ner(text)) for text in TEXTS]
    assert [*map(spans_of, ner(TEXTS))] == [*map(spans_of, ner(iter(TEXTS)))] == one_by_one
    assert ner([]) == [] and isinstance(ner([TEXTS[0]]), list)


def test_a_stream_does_not_wait_for_its_end(ner):
    def endless():
        while True:
            yield TEXTS[0]

    assert next(ner.stream(endless())).text == TEXTS[0]
    with pytest.raises(UsageError, match="found one text; give several"):
        next(ner.stream(TEXTS[0]))


BATCH = {"PMID": np.array([7, 8]), "title": np.array(["Aspirin.", None]), "abstract": TEXTS[:2], "n": [1, 2]}


@pytest.mark.parametrize(
    "batch", [BATCH, pd.DataFrame(BATCH), pa.table(BATCH), pa.table(BATCH).to_batches()[0]], ids=type
)
def test_a_batch_of_a_dataset_is_tagged_row_by_row(ner, batch):
    found = ner(batch)
    assert [(each.id, each.text) for each in found] == [("7", f"Aspirin. {TEXTS[0]}"), ("8", "")]
    assert [each.kind for each in found[0].passages] == ["title", "abstract"]
    by_reader = ner(Document("7", found[0].text, found[0].passages))
    assert spans_of(found[0]) == spans_of(by_reader) and found[0].mentions


def test_a_batch_without_ids_is_numbered_and_one_without_text_is_refused(ner):
    assert [each.id for each in ner({"text": TEXTS[:2]})] == ["1", "2"]
    with pytest.raises(ColumnsError, match=r"no column is called text, title or abstract \(there are: body"):
        ner({"body": TEXTS})
    with pytest.raises(UsageError, match="row 1 of the batch: the value of text is no text"):
        ner({"text": [1]})
    with pytest.raises(UsageError, match="found dict that is no table"):
        ner({"text": TEXTS, "id": [1]})
    for column in (BATCH["title"][:1], pa.array(["Aspirin."]), pd.Series(["Aspirin."])):
        assert ner(column)[0].text == "Aspirin."
    with pytest.raises(UsageError, match="found int; give text"):
        ner(5)


def test_a_document_keeps_what_it_is_and_gets_the_models_mentions(ner):
    relation = Relation("R", (("a", "1"), ("b", "2")))
    given = Document(
        "7",
        TEXTS[0],
        mentions=(Mention(0, 8, "Other", "Naloxone", id="1"),),
        relations=(relation,),
        version=3,
    )
    found = ner(given)
    assert (found.id, found.version, found.relations) == ("7", 3, ())
    assert found.mentions == ner(TEXTS[0]).mentions


def test_words_that_a_document_brings_have_what_was_found_as_their_spans(ner):
    words = ("Naloxone", "reverses", "clonidine.")
    brought = Sentence("a:1", words, (0, 9, 18), "a", (Span(1, 2, "Old"),))
    document = ner(Document("a", " ".join(words), sentences=(brought,)))
    [sentence] = document.sentences
    assert sentence.words == words and document.mentions
    found = [(*sentence.characters(span), span.label) for span in sentence.gold]
    assert found == [(each.start, each.end, each.label) for each in document.mentions]


@pytest.mark.parametrize("wrong", [b"bytes", 5, None])
def test_what_is_no_text_is_refused(ner, wrong):
    with pytest.raises(UsageError, match=r"give text or a raybio\.Document"):
        ner([wrong])


def test_a_run_folder_stands_for_its_model(tiny_encoder, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model").symlink_to(tiny_encoder)
    assert raybio.load(tmp_path / "run")(TEXTS[0]) == raybio.load(str(tiny_encoder))(TEXTS[0])
    with pytest.raises(ModelError, match="there is no model folder"):
        raybio.load("./nowhere")


def test_mentions_are_shown_in_a_terminal_and_escaped_in_a_notebook():
    text = "<b>aspirin</b> & co"
    mentions = (Mention(3, 10, "A&B", "aspirin", 0.5), Mention(5, 7, "X", "pi"))
    document = Document("", text, mentions=mentions)
    assert document.marked() == "<b>[aspirin|A&B]</b> & co"
    page = document._repr_html_()
    assert '<mark title="3 to 10 0.50">aspirin <small>A&amp;B</small></mark>' in page
    assert "&lt;b&gt;<mark" in page and "&lt;/b&gt; &amp; co" in page and "<b>" not in page


def test_importing_raybio_imports_neither_torch_nor_ray():
    program = (
        "import raybio, sys; raybio.Document; print({'torch', 'ray', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert set(raybio.__all__) <= set(dir(raybio))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = raybio.nothing


def test_entities_are_chosen_by_label_and_score_and_renamed(ner, tiny_encoder):
    mentions = [mention for text in TEXTS for mention in ner(text).mentions]
    label, least = mentions[0].label, sorted(mention.score for mention in mentions)[len(mentions) // 2]
    chosen = raybio.load(tiny_encoder, entities=[label], min_score=least, rename={label: "Other"})
    assert chosen.labels == ("Other",)
    found = [mention for text in TEXTS for mention in chosen(text).mentions]
    assert [(m.start, m.label) for m in found] == [
        (m.start, "Other") for m in mentions if m.label == label and m.score >= least
    ]
    assert 0 < len(found) < len(mentions)
    with pytest.raises(UsageError, match="no label 'Gene'"):
        raybio.load(tiny_encoder, entities=["Gene"])
