"""Makes a cascade of two trained models: dev chooses when the LLM is asked, for a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raybio.config import CorpusSection
from raybio.errors import ModelError
from raybio.evaluation import evaluate
from raybio.model_sources import model_folder
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.taggers import Tags, load_tagger
from raybio.taggers.cascade import Cascade, confidence, threshold_for
from raybio.taggers.decoder import DecoderTagger


@dataclass(frozen=True, slots=True)
class MadeCascade:
    """A cascade in its folder, and what it does on dev: strict F1, and the share read again."""

    folder: Path
    cascade: Cascade
    reread: float
    encoder_f1: float
    cascade_f1: float


def make_cascade(
    encoder: str,
    decoder: str,
    corpus: CorpusSection,
    budget: float,
    folder: Path,
    progress: Callable[[str], None] = print,
) -> MadeCascade:
    """Choose the threshold on the corpus's dev split, so that a share `budget` of it is read again.

    Raises:
        ModelError: a model is not there, or the second one does not write tags.
        InputError: the corpus cannot be read.
    """
    first, second = load_tagger(model_folder(encoder)), load_tagger(model_folder(decoder))
    if not isinstance(second, DecoderTagger):
        raise ModelError(f"{decoder} is no LLM that writes tags: it cannot verify an encoder's")
    sentences = list(read_sentences(corpus, "dev"))
    progress(f"tagging {len(sentences):,} sentences of dev with {encoder}")
    tagged = first.tag(sentences)
    threshold = threshold_for([confidence(tags) for tags in tagged], budget)
    unsure = [i for i, tags in enumerate(tagged) if confidence(tags) < threshold]
    progress(f"reading {len(unsure):,} of them again with {decoder}")
    reread = second.tag_drafted([sentences[i] for i in unsure], [tagged[i].tags for i in unsure])
    both = tagged.copy()
    for i, tags in zip(unsure, reread, strict=True):
        both[i] = tags
    chosen_on = corpus.called
    cascade = Cascade.of(_from_anywhere(encoder), _from_anywhere(decoder), threshold, budget, chosen_on)
    cascade.write(folder)

    def f1(found: list[Tags]) -> float:
        return evaluate([gold_tags(s) for s in sentences], [list(tags.tags) for tags in found]).strict_f1

    return MadeCascade(folder, cascade, len(unsure) / max(1, len(sentences)), f1(tagged), f1(both))


def _from_anywhere(model: str) -> str:
    """Return a folder's absolute path; other names mean the same everywhere."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model
