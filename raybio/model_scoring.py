"""Scores any tagger on any text with gold: figures and predictions, in a run folder as reports read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raybio.config import ScoreConfig, ScoredCorpusSection, corpus_title, to_yaml
from raybio.corpora import read_corpus
from raybio.corpora.names import CORPORA, read_split
from raybio.corpora.sentences import split_document
from raybio.entities import Document, Sentence
from raybio.errors import FormatError
from raybio.evaluation import evaluate
from raybio.evaluation.label_sets import check_labels, renamed_tag
from raybio.evaluation.reliability import reliability_figures
from raybio.iob2 import tags_from_spans
from raybio.run_folder import RunFolder, short_name, timestamp
from raybio.taggers import Tags, load_tagger
from raybio.text_tagger import folder_of

_BATCH = 1_000
"""Sentences that are tagged between two lines of progress."""


@dataclass(frozen=True, slots=True)
class ScoredModel:
    """Where the figures and predictions of a model lie, and the figures, as scores.json has them."""

    run: RunFolder
    figures: dict[str, Any]


def score_model(
    config: ScoreConfig, progress: Callable[[str], None] = print, rename: Mapping[str, str] | None = None
) -> ScoredModel:
    """Tag a split of a corpus by name, or a file of any format with gold, and score the answers.

    `rename` gives the model's labels those of gold. Nothing is written before all is tagged.

    Raises:
        ModelError: there is no such model, or not at this precision.
        UsageError: there is no such corpus, the model has no label of its gold, or a run of that name exists.
        InputError: it cannot be read, or a document of it has no gold.
    """
    tagger = load_tagger(folder_of(config.model), precision=config.precision)
    names = rename or {}
    sentences = list(_gold_sentences(config.corpus, progress))
    of_gold = {span.label for sentence in sentences for span in sentence.gold or ()}
    labels = {names.get(label, label) for label in tagger.labels}
    remedy = "Where they mean the same, rename them: --rename OLD=NEW"
    if warning := check_labels(of_gold, labels, config.corpus.title, "the model", remedy):
        progress(warning)
    tagged: list[Tags] = []
    for start in range(0, len(sentences), _BATCH):
        tagged += tagger.tag(sentences[start : start + _BATCH])
        progress(f"tagged {len(tagged):,} of {len(sentences):,} sentences")
    predicted = [[renamed_tag(tag, names) for tag in tags.tags] for tags in tagged]
    gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in sentences]
    documents = [sentence.document_id for sentence in sentences]
    scores = evaluate(gold, predicted, documents, config.bootstrap, config.seed).to_dict()
    scores["reliability"] = reliability_figures(
        gold, predicted, [tags.scores for tags in tagged], [tags.uncalibrated for tags in tagged]
    )
    derived = f"{short_name(config.model)}-{config.corpus.title}-{timestamp()}"
    run = RunFolder.create(Path(config.output) / (config.name or derived), to_yaml(config))
    split = config.corpus.split
    run.write_predictions(
        split, ((list(s.words), g, p) for s, g, p in zip(sentences, gold, predicted, strict=True))
    )
    run.write_json("scores.json", {split: scores})
    return ScoredModel(run, scores)


def _gold_sentences(corpus: ScoredCorpusSection, progress: Callable[[str], None]) -> Iterable[Sentence]:
    misaligned: Counter[str] = Counter()
    for document in _documents(corpus):
        if document.mentions is None and not document.sentences:
            raise FormatError(
                corpus.path or corpus.title,
                f"document {document.id}",
                "it has no annotations to score against",
                "Give annotated documents, and their format with --from where the name tells another",
            )
        for sentence in split_document(document, on_misaligned=lambda _: misaligned.update(["mentions"])):
            if sentence.words:
                yield sentence
    if misaligned:
        progress(f"{misaligned['mentions']:,} gold mentions fit no words exactly, or overlap a longer one")


def _documents(corpus: ScoredCorpusSection) -> Iterable[Document]:
    if corpus.path is None:
        return read_split(corpus.name, corpus.split, corpus.data)
    return read_corpus(corpus.path, corpus.format)


def known_corpus(word: str) -> str | None:
    """Return the name of the study's corpus that `word` is in letters of any case, if it is one."""
    return {name.lower(): name for name in CORPORA}.get(word.lower())


def title_of(path: str) -> str:
    """Return what a corpus of one's own is called: as its folder.

    `data/my_corpus/test.tsv` and `data/my_corpus/test/` are of `my_corpus`, as they are where a model is
    trained on it (`config.corpus_title`).
    """
    whole = Path(path).absolute()
    if whole.is_dir() and whole.name.lower() not in ("train", "dev", "test"):
        return whole.name
    return corpus_title({"test": str(whole)})
