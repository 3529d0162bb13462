"""Words <-> subwords, and overlapping windows for text longer than a model reads at once.

Every word gets at least one subword and every subword is read by a model: nothing is cut.
A sentence of more subwords than fit becomes several windows that overlap; each subword is
*owned* by the one window in which it has the most context on its nearer side, so that the
owned parts of the windows tile the sentence.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import or_
from typing import Any, Literal

from raybio.errors import ModelError
from raybio.word_cache import WordCache

Spacing = Literal["blank", "as-written", "glued"]
"""How a model reads the space between words: one blank before every word; as the document has it; or
none at all, as raybio did before it knew better (what was trained so is read so)."""

# Of each kind that tokenizers treat apart: letters, digits, punctuation.
_PROBES = ("Naloxone", "reverses", "2", "12345", "(", "-")


@dataclass(frozen=True, slots=True)
class Window:
    """Subwords of one sentence that a model reads together.

    `ids` are without special tokens; `start` is the position of the first among the sentence's
    subwords; the window owns `[own_start, own_end)`, counted in the sentence's subwords.
    """

    sentence: int
    start: int
    ids: tuple[int, ...]
    own_start: int
    own_end: int


@dataclass(frozen=True, slots=True)
class Subwords:
    """One sentence in a model's vocabulary: `ids[i]` begins in word `words[i]`.

    `firsts[w]` is the position of the subword that word w begins with. Words with the same one, such as
    `)` and `.` where the vocabulary has `).`, are one to the model and are decided together. A blank that
    is a subword of its own belongs to the word before it.
    """

    ids: tuple[int, ...]
    words: tuple[int, ...]
    firsts: tuple[int, ...]

    def first_of_word(self) -> list[bool]:
        """Say of each subword whether a word begins with it."""
        begins = [False] * len(self.ids)
        for first in self.firsts:
            begins[first] = True
        return begins

    def last_of_word(self) -> list[bool]:
        """Say of each subword whether it is the last before another word begins, or the sentence ends."""
        begins = self.first_of_word()
        # A blank before the first word is a piece of none.
        begun = accumulate(begins, or_)
        return [here and ends for here, ends in zip(begun, [*begins[1:], True], strict=False)]

    def cut(self, size: int) -> Subwords:
        """Return the first `size` subwords."""
        return Subwords(self.ids[:size], self.words[:size], tuple(f for f in self.firsts if f < size))


class SubwordEncoder:
    """Encodes sentences with a Hugging Face fast tokenizer, remembering the word of each subword.

    With "blank" and "glued", words are encoded one by one, each once. With "as-written", the subwords
    are those of the tokenizer on the sentence's own text, in which white space of any length and kind is
    one blank. A word that the tokenizer maps to nothing (a lone control character) becomes the unknown
    token. `sees_blanks` says whether the tokenizer reads a word behind a blank in another way than alone.

    Raises:
        ModelError: the tokenizer is not a fast one, or has no token for a word of nothing.
    """

    def __init__(self, tokenizer: Any, spacing: Spacing = "blank") -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{type(tokenizer).__name__} is not a fast tokenizer. Save the model with its tokenizer.json"
            )
        # Llama has no token for what it does not know: its bytes know all, and nothing is left over.
        tokens = (getattr(tokenizer, f"{name}_token_id", None) for name in ("unk", "pad", "eos", "bos"))
        nothing = next((token for token in tokens if token is not None), None)
        if nothing is None:
            raise ModelError("the tokenizer has no token for a word of nothing. Set unk_token and save it")
        self._tokenizer = tokenizer
        self._spacing = spacing
        self._known: WordCache[tuple[tuple[int, ...], int]] = WordCache()
        self._nothing = nothing
        self.sees_blanks = self._sees_blanks()
        self._blanks = frozenset() if spacing == "glued" else self._blank_subwords()
        self._continuing = self._continuing_subwords() if spacing == "as-written" else frozenset()

    def encode(
        self, sentences: Sequence[Sequence[str]], starts: Sequence[Sequence[int]] | None = None
    ) -> list[Subwords]:
        """Return the subwords of each sentence of words.

        `starts` are the words' first characters in their text. Without them, and where they cannot be
        right because words overlap, words stand one blank apart.
        """
        if self._spacing == "as-written":
            return self._encode_texts(sentences, starts or [()] * len(sentences))
        known = self._known_of(sentences)
        return [self._join(words, known) for words in sentences]

    def _ids(self, texts: Sequence[str]) -> Any:
        return self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]

    def _sees_blanks(self) -> bool:
        """Say whether a word has other subwords behind a blank than at the start of a text."""
        [start] = self._ids(["a"])
        behind = self._ids([f"a {word}" for word in _PROBES])
        return bool([[*start, *ids] for ids in self._ids(_PROBES)] != behind)

    def _blank_subwords(self) -> frozenset[int]:
        """Return the ids that stand for blanks alone, as BPE and SentencePiece spell them."""
        spelled = (i for token, i in self._tokenizer.get_vocab().items() if token and not token.strip(" Ġ▁"))
        return frozenset(i for i in spelled if not self._tokenizer.decode([i]).strip())

    def _continuing_subwords(self) -> frozenset[int]:
        """Return the ids of WordPiece's `##` pieces: where one begins a word, the model saw no word begin."""
        model = getattr(getattr(self._tokenizer, "backend_tokenizer", None), "model", None)
        prefix = getattr(model, "continuing_subword_prefix", None)
        vocabulary = self._tokenizer.get_vocab() if prefix else {}
        return frozenset(i for token, i in vocabulary.items() if token.startswith(prefix))

    def _known_of(self, sentences: Sequence[Sequence[str]]) -> dict[str, tuple[tuple[int, ...], int]]:
        """Return the subwords of each word in `sentences`, and how many of them are blanks before it."""
        words = dict.fromkeys(word for words in sentences for word in words)
        known = {word: self._known[word] for word in words if word in self._known}
        new = sorted(words.keys() - known.keys())
        # Many tokenizers put the blank there themselves, and some would then have two.
        blank = " " if self._spacing == "blank" and self.sees_blanks else ""
        for word, ids in zip(new, self._ids([blank + word for word in new]) if new else [], strict=True):
            before = 0
            while before < len(ids) - 1 and ids[before] in self._blanks:
                before += 1
            known[word] = tuple(ids) or (self._nothing,), before
            self._known.add(word, known[word])
        return known

    def _join(self, words: Sequence[str], known: Mapping[str, tuple[tuple[int, ...], int]]) -> Subwords:
        ids: list[int] = []
        owners: list[int] = []
        firsts: list[int] = []
        for i, word in enumerate(words):
            pieces, blanks = known[word]
            firsts.append(len(ids) + blanks)
            ids.extend(pieces)
            owners.extend([max(0, i - 1)] * blanks)
            owners.extend([i] * (len(pieces) - blanks))
        return Subwords(tuple(ids), tuple(owners), tuple(firsts))

    def _encode_texts(
        self, sentences: Sequence[Sequence[str]], starts: Sequence[Sequence[int]]
    ) -> list[Subwords]:
        if not sentences:
            return []
        texts = [_text(words, where) for words, where in zip(sentences, starts, strict=True)]
        encoded = self._tokenizer(
            [text for text, _ in texts], add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [
            self._align(ids, offsets, text, where)
            for ids, offsets, (text, where) in zip(
                encoded["input_ids"], encoded["offset_mapping"], texts, strict=True
            )
        ]

    def _align(
        self, ids: Sequence[int], offsets: Sequence[tuple[int, int]], text: str, starts: Sequence[int]
    ) -> Subwords:
        """Give each subword of a text the word that it begins in."""
        found: list[int] = []
        owners: list[int] = []
        firsts: list[int] = []

        def lose_words_before(word: int) -> None:
            while len(firsts) < word:
                owners.append(len(firsts))
                firsts.append(len(found))
                found.append(self._nothing)

        owner = 0
        for identifier, (start, end) in zip(ids, offsets, strict=True) if starts else ():
            if identifier not in self._blanks:
                while start < len(text) and text[start].isspace():
                    start += 1
                owner = max(owner, bisect_right(starts, start) - 1)
                lose_words_before(owner)
                if len(firsts) == owner:
                    continues = firsts and identifier in self._continuing
                    firsts.append(firsts[-1] if continues else len(found))
                while len(firsts) < len(starts) and starts[len(firsts)] < end:
                    firsts.append(firsts[-1])  # it begins within this subword
            found.append(identifier)
            owners.append(owner)
        lose_words_before(len(starts))
        return Subwords(tuple(found), tuple(owners), tuple(firsts))


def _text(words: Sequence[str], starts: Sequence[int]) -> tuple[str, list[int]]:
    """Return the text of a sentence, with one blank where its words stand apart, and their places in it."""
    ends = [start + len(word) for start, word in zip(starts, words, strict=False)]
    apart = [start - end for start, end in zip(starts[1:], ends[:-1], strict=False)]
    if not starts or min(apart, default=0) < 0:
        apart = [1] * (len(words) - 1)
    pieces: list[str] = []
    places: list[int] = []
    length = 0
    for word, gap in zip(words, [0, *apart], strict=True) if words else ():
        blank = " " if gap else ""
        places.append(length + len(blank))
        pieces += (blank, word)
        length += len(blank) + len(word)
    return "".join(pieces), places


def windows(subwords: Subwords, sentence: int, size: int, overlap: int) -> list[Window]:
    """Cut a sentence into windows of at most `size` subwords that share `overlap` with the next.

    The last window shares more, so that it is full. An empty sentence has no window.

    Raises:
        ValueError: `overlap` is not smaller than `size`.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} subwords does not fit in windows of {size}")
    length = len(subwords.ids)
    if not length:
        return []
    starts = list(range(0, max(length - overlap, 1), size - overlap))
    # A last window that is short has little context: move it left, so that it is full.
    starts[-1] = max(0, min(starts[-1], length - size))
    ends = [min(start + size, length) for start in starts]
    seams = [(end + start) // 2 for end, start in zip(ends[:-1], starts[1:], strict=True)]
    return [
        Window(sentence, start, subwords.ids[start:end], own_start, own_end)
        for start, end, own_start, own_end in zip(starts, ends, [0, *seams], [*seams, length], strict=True)
    ]
