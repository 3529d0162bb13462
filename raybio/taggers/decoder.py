"""The decoder tagger: a prompted LLM, read in one of the decode modes, one tag per word.

Sentences too long for the model are read in windows of words that overlap; each word is owned
by the one window in which it has the most context, as in `raybio.alignment`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from raybio.alignment import Subwords, Window, windows
from raybio.bio_output import Malformed
from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.model_sources import model_folder
from raybio.prompts import Prompts, PromptStyle
from raybio.taggers.base import Effort, Tagger, Tags
from raybio.taggers.batching import token_budget_batches
from raybio.taggers.card import read_card, write_card
from raybio.taggers.decoding import MODES, TAG_MODES, Answer, Reader, Tokens, chat_template
from raybio.taggers.decoding.drafts import Previous, outside
from raybio.taggers.devices import pick_device, pick_dtype
from raybio.taggers.hugging_face import read_tokenizer
from raybio.taggers.language_model import end_tokens, load_language_model
from raybio.taggers.out_of_memory import tell_out_of_memory

_CPU_BATCH_TOKENS = 2048
_GPU_BATCH_TOKENS = 32768
_MAX_OVERLAP = 32


@dataclass(frozen=True)
class DecoderCard:
    """What raybio must know of an LLM that writes tags, besides its Hugging Face and PEFT files.

    `max_length` is the longest prompt with completion it was trained for; `style` its wording.
    """

    labels: list[str]
    base_model: str
    style: PromptStyle
    max_length: int
    trained_on: str = ""
    kind: str = "decoder"
    raybio: str = ""

    def write(self, folder: Path) -> None:
        """Write the card into a model folder."""
        write_card(folder, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> DecoderCard:
        """Return the card of a model folder.

        Raises:
            ModelError: it has none, or not a decoder's.
        """
        card = read_card(folder, cls)
        if card is None:
            raise ModelError(
                f"{folder} has no raybio.json: nothing says how this LLM is prompted. "
                "Train one with `raybio train-decoder`"
            )
        return card


@dataclass(frozen=True, slots=True)
class _Piece:
    """Words `[start, start + len(words))` of a sentence, with the draft of their tags."""

    window: Window
    words: Sequence[str]
    draft: Sequence[str]


class DecoderTagger:
    """Tags sentences with an LLM by decode mode `mode` (see `raybio.taggers.decoding`).

    Drafts come from `drafter`, an encoder tagger, where there is one; else from the tags that
    words had last (`previous`), or they say that nothing is an entity. `counts` says how many
    windows, passes and tokens it took, how much was malformed (`Tags`), and how many tokens no
    window owned: always 0.
    """

    def __init__(
        self,
        reader: Reader,
        tokens: Tokens,
        *,
        mode: str = "verified-tags",
        drafter: Tagger | None = None,
        previous: bool = False,
        constrained_decoding: bool = False,
        max_length: int | None = None,
        max_batch_tokens: int = _CPU_BATCH_TOKENS,
    ) -> None:
        self._reader = reader
        self._tokens = tokens
        self._decode = MODES[mode]
        self._options = {"constrained_decoding": True} if constrained_decoding and mode in TAG_MODES else {}
        self._drafter = drafter
        self._previous = previous
        self._longest = min(reader.context, max_length or reader.context)
        self._budget = max_batch_tokens
        self.counts: Counter[str] = Counter()

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        mode: str = "verified-tags",
        draft: str = "outside",
        drafter: Tagger | None = None,
        constrained_decoding: bool = False,
        base_model: str | None = None,
        precision: str = "auto",
        device: str = "auto",
        max_batch_tokens: int | None = None,
    ) -> DecoderTagger:
        """Load a model folder; `base_model` replaces the name of the base that its card has.

        `precision` "4bit" holds the base in 4 bits; the others are as for encoders.

        Raises:
            ModelError: the folder holds no LLM that writes tags, or its parts do not fit together.
        """
        card = DecoderCard.read(folder)
        where = torch.device(pick_device(device))
        packed = precision == "4bit"
        tokenizer = read_tokenizer(folder)
        model = load_language_model(
            folder,
            lambda: model_folder(base_model or card.base_model),
            tokenizer,
            dtype=pick_dtype("auto" if packed else precision, where),
            device=where,
            packed=packed,
        )
        return cls(
            Reader(model),
            Tokens(tokenizer, Prompts(card.style, chat_template(tokenizer)), end_tokens(model)),
            mode=mode,
            drafter=drafter,
            previous=draft == "previous",
            constrained_decoding=constrained_decoding,
            max_length=card.max_length,
            max_batch_tokens=max_batch_tokens or default_budget(where),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity labels that this tagger gives, sorted."""
        return self._tokens.prompts.style.labels

    def tag(self, sentences: Sequence[Sentence]) -> list[Tags]:
        """Return the tags of each sentence, in order.

        Raises:
            ModelError: a single word is longer than the model's context, or not even the longest
                sentence alone fits in memory.
        """
        drafts = [tags.tags for tags in self._drafter.tag(sentences)] if self._drafter else None
        return self.tag_drafted(sentences, drafts)

    def tag_drafted(
        self, sentences: Sequence[Sentence], drafts: Sequence[Sequence[str]] | None = None
    ) -> list[Tags]:
        """Return the tags of each sentence, verifying `drafts`, one tag a word, where they are given."""
        drafts = drafts or [outside(sentence.words) for sentence in sentences]
        pieces = [
            _Piece(window, sentence.words[a:b], draft[a:b])
            for i, (sentence, draft) in enumerate(zip(sentences, drafts, strict=True))
            for window in self._windows(i, sentence.words)
            for a, b in [(window.start, window.start + len(window.ids))]
        ]
        joined = [_Joined(len(sentence)) for sentence in sentences]
        for piece, answer, seconds in self._answers(pieces, learn=self._previous):
            joined[piece.window.sentence].add(piece.window, answer, seconds)
            self.counts.update(
                windows=1,
                passes=answer.passes,
                tokens_fed=answer.tokens_fed,
                tokens_emitted=answer.tokens_emitted,
                subwords=len(self._tokens.prompt_ids(piece.words)) - len(self._tokens.prefix_ids),
            )
        self.counts.update(subwords_dropped=sum(one.unowned for one in joined))
        tagged = [one.tags() for one in joined]
        self.counts.update(malformed=sum(len(tags.malformed) for tags in tagged))
        return tagged

    def _answers(self, pieces: Sequence[_Piece], learn: bool) -> Iterator[tuple[_Piece, Answer, float]]:
        """Yield each piece with its answer and the wall seconds of its batch, longest pieces first."""
        previous = Previous()
        lengths = [self._length(piece.words) for piece in pieces]
        for batch in token_budget_batches(lengths, self._budget):
            members = [pieces[i] for i in batch]
            words = [piece.words for piece in members]
            drafts = [previous.draft(piece.words) if learn else piece.draft for piece in members]
            started = time.perf_counter()
            answers = self._read(words, drafts)
            seconds = time.perf_counter() - started
            for piece, answer in zip(members, answers, strict=True):
                previous.learn(piece.words, answer.tags)
                yield piece, answer, seconds

    def _read(self, words: Sequence[Sequence[str]], drafts: Sequence[Sequence[str]]) -> list[Answer]:
        def advice() -> str:
            return (
                f"{len(words)} sentences of up to {max(map(self._length, words))} tokens do not fit in the "
                f"device's memory. Lower max_batch_tokens (now {self._budget}), or hold the model in 4 bits"
            )

        with tell_out_of_memory(ModelError, advice):
            return self._decode(self._reader, self._tokens, words, drafts, **self._options)

    def _length(self, words: Sequence[str]) -> int:
        """Return the tokens of a prompt and the longest well-formed completion for `words`."""
        if not words:
            return 0
        return len(self._tokens.prompt_ids(words)) + self._tokens.longest_completion(words)

    def _windows(self, sentence: int, words: Sequence[str]) -> list[Window]:
        """Cut a sentence into windows of words, each of which fits: most often one."""
        places = tuple(range(len(words)))
        whole = self._length(words)
        size = len(words)
        while True:
            overlap = min(_MAX_OVERLAP, size // 4)
            cut = windows(Subwords(places, places, places), sentence, max(size, 1), overlap)
            longest = max((self._length(words[w.start : w.start + len(w.ids)]) for w in cut), default=0)
            if longest <= self._longest:
                return cut
            if size == 1:
                word = max(words, key=lambda word: self._length([word]))
                raise ModelError(
                    f"the word {word[:20]!r}... of {len(word)} characters takes {longest} tokens with its "
                    f"prompt and its tag, more than the {self._longest} that this model reads"
                )
            size = max(1, min(size - 1, size * self._longest // max(whole, longest)))


@dataclass
class _Joined:
    """A sentence's tags, gathered from the windows that own its words."""

    length: int
    answers: list[tuple[Window, Answer, float]] = field(default_factory=list)

    def add(self, window: Window, answer: Answer, seconds: float) -> None:
        self.answers.append((window, answer, seconds))

    @property
    def unowned(self) -> int:
        return self.length - sum(window.own_end - window.own_start for window, *_ in self.answers)

    def tags(self) -> Tags:
        self.answers.sort(key=lambda one: one[0].start)
        tags: list[str] = []
        scores: list[float] = []
        malformed: list[Malformed] = []
        for window, answer, _ in self.answers:
            own = slice(window.own_start - window.start, window.own_end - window.start)
            tags += answer.tags[own]
            scores += answer.scores[own]
            for fault in answer.malformed:
                words = range(fault.words.start + window.start, fault.words.stop + window.start)
                malformed.append(replace(fault, words=words))
        effort = Effort(
            passes=sum(answer.passes for _, answer, _ in self.answers),
            tokens_fed=sum(answer.tokens_fed for _, answer, _ in self.answers),
            tokens_emitted=sum(answer.tokens_emitted for _, answer, _ in self.answers),
            seconds=sum(seconds for *_, seconds in self.answers),
        )
        return Tags(tuple(tags), tuple(scores), effort, tuple(malformed))


def default_budget(device: torch.device) -> int:
    """Return how many tokens, prompts and completions and padding included, suit one batch on `device`."""
    return _CPU_BATCH_TOKENS if device.type == "cpu" else _GPU_BATCH_TOKENS
