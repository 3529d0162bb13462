"""How long a study's runs may take: sentences x epochs over a speed that was measured, or estimated.

An estimated speed is arithmetic alone:

    operations of a sentence = 6 x parameters x tokens   to learn it (2 forward, 4 backward; an adapter's
                                                         frozen base spends 2 of the 4 on reading it again)
                               2 x parameters x tokens   to read it once
    sentences a second       = GPUs x peak x utilization / operations of a sentence

Tokens a word are taken to be the same for all models. How long a greedy LLM writes is what the study
published for it (Table IV), and is left out for others: it is not a matter of arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raybio.config import TrainConfig, TrainDecoderConfig
from raybio.config.study import EstimateSection
from raybio.reports.published import SECONDS_PER_INSTANCE

SUBWORDS_A_WORD = 1.5
COMPLETION_TOKENS_A_WORD = 4.65
INSTRUCTION_TOKENS = 90
VERIFYING_PASSES = 3
READING_TO_LEARNING = 3.0

_TABLE_4 = {
    "mistralai/Mistral-7B-Instruct-v0.3": "Mistral-7B",
    "meta-llama/Llama-3.1-8B-Instruct": "Llama-8B",
}

ASSUMED = (
    f"{SUBWORDS_A_WORD:g} subwords a word; an LLM writes {COMPLETION_TOKENS_A_WORD:g} tokens a word after an "
    f"instruction of {INSTRUCTION_TOKENS}; verified modes read a completion {VERIFYING_PASSES} times",
    "every epoch is learned: early stopping makes runs shorter",
    f"where a training speed was measured, to tag a sentence takes 1/{READING_TO_LEARNING:g} of learning it, "
    "and both grow with its words",
    "a cascade tags dev twice and test once, its LLM the budget's share of that",
    "start-up, loading, waiting for room, and what teachers answer and tag are left out; so are measurements",
)
"""What the estimates take for granted, a sentence each."""


@dataclass(frozen=True, slots=True)
class CorpusSize:
    """What a training run reads: sentences of each split, and words of a sentence."""

    sentences: Mapping[str, int]
    words_per_sentence: float


def together(sizes: Sequence[CorpusSize]) -> CorpusSize:
    """Return the size of several corpora that are read as one."""
    sentences = sum((Counter(size.sentences) for size in sizes), Counter())
    words = sum(size.words_per_sentence * sum(size.sentences.values()) for size in sizes)
    return CorpusSize(sentences, words / max(1, sentences.total()))


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds that one sentence takes on all workers together, and what that rests on.

    `read` is None where nobody knows: an LLM that writes token by token, and was not published.
    """

    learn: float
    read: float | None
    basis: str


def measured(sentences_per_second: float, at_words: float, work: CorpusSize) -> Speed:
    """Return the speed on `work` that a study's author measured in training on sentences of `at_words`."""
    learn = work.words_per_sentence / at_words / sentences_per_second
    basis = f"measured by you, at {at_words:g} words a sentence"
    return Speed(learn, learn / READING_TO_LEARNING, basis)


def estimated(
    config: TrainConfig, corpus: str, work: CorpusSize, parameters: int, gpus: int, by: EstimateSection
) -> Speed:
    """Return the speed that follows from a model's size on `gpus` GPUs."""
    rate = gpus * by.peak_tflops * 1e12 * by.utilization
    learned, read = _tokens(config, work.words_per_sentence)
    basis = f"estimated from {parameters / 1e6:,.0f} million parameters"
    reading: float | None = 2 * parameters * read / rate
    if isinstance(config, TrainDecoderConfig) and config.head == "text" and config.dev.mode == "greedy":
        published = SECONDS_PER_INSTANCE.get(corpus.removesuffix("-study"), {}).get(
            _TABLE_4.get(config.model, "")
        )
        reading = published
        basis += ", scoring as published (Table IV)" if published else ", scoring left out"
    return Speed(6 * parameters * learned / rate, reading, basis)


def training_hours(config: TrainConfig, work: CorpusSize, speed: Speed) -> float:
    """Return the hours of all epochs, dev scored after each and once more at the end."""
    epochs = config.training.epochs
    seconds = epochs * work.sentences["train"] * speed.learn
    dev = work.sentences["dev"]
    if isinstance(config, TrainDecoderConfig) and config.dev.sentences:
        dev = min(dev, config.dev.sentences)
    return (seconds + (epochs + 1) * dev * (speed.read or 0.0)) / 3600


def scoring_hours(work: CorpusSize, speed: Speed) -> float | None:
    """Return the hours of scoring test once; None where the speed is not known."""
    return None if speed.read is None else work.sentences["test"] * speed.read / 3600


def cascade_hours(work: CorpusSize, encoder: Speed, decoder: Speed, budget: float) -> float | None:
    """Return the hours of making a cascade on dev and scoring it on dev and test; None where not known.

    The LLM reads a share `budget` of what the encoder reads.
    """
    if encoder.read is None or decoder.read is None:
        return None
    sentences = 2 * work.sentences["dev"] + work.sentences["test"]
    return sentences * (encoder.read + budget * decoder.read) / 3600


def _tokens(config: TrainConfig, words: float) -> tuple[float, float]:
    """Return the tokens of one sentence when it is learned, and when it is read to be tagged."""
    read = SUBWORDS_A_WORD * words
    if not isinstance(config, TrainDecoderConfig) or config.head == "tags":
        return read, read
    prompt, completion = INSTRUCTION_TOKENS + read, COMPLETION_TOKENS_A_WORD * words
    learned = config.training.max_length if config.training.loss_on == "padded" else prompt + completion
    passes = VERIFYING_PASSES if config.dev.mode.startswith("verified") else 1
    return learned, read + passes * completion  # the instruction is read once for all
