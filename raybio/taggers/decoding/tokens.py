"""Prompts and lines as tokens: training and decoding see the same ones.

A completion is tokenized line by line, each as it stands after a line break, so that a word's
candidate lines never depend on what stands around them. Each line ends in a newline and holds no
other: no line's tokens are the beginning of another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

from tokenizers import AddedToken

from raybio.errors import ModelError
from raybio.prompts import SLOT, Prompts, shown
from raybio.word_cache import WordCache

# Text that each piece is tokenized after. SentencePiece puts a space before the first word of a
# text; after a line break in the middle of a text there is none.
_ANCHOR = "\n"
_SAMPLE = "IL-2"


class Tokens:
    """A tokenizer and a wording: `prompt_ids`, `line_ids` and back to text with `decode`.

    `ends` names token ids besides the tokenizer's own that end a completion, as a model's
    generation settings may list them.

    Raises:
        ModelError: the tokenizer has no end token, cannot give a line's text back, or lacks the
            tag tokens that the prompts' style asks for.
    """

    def __init__(self, tokenizer: Any, prompts: Prompts, ends: Iterable[int] = ()) -> None:
        self.prompts = prompts
        self._tokenizer = tokenizer
        self._anchor: list[int] = tokenizer(_ANCHOR, add_special_tokens=False).input_ids
        self._anchor_text = self._text(self._anchor)
        self._lines: WordCache[dict[str, tuple[int, ...]]] = WordCache()
        self._pieces: dict[int, str] = {}
        if tokenizer.eos_token_id is None:
            raise ModelError("the tokenizer has no end token. Set its eos_token to what ends a text")
        self.eos_ids = {tokenizer.eos_token_id, *ends}
        """The tokens that end a completion."""
        self._check()

    @cached_property
    def prefix_ids(self) -> tuple[int, ...]:
        """The beginning of every prompt, with the start token where the tokenizer puts one."""
        ids = self._tokenizer(self.prompts.prefix, add_special_tokens=False).input_ids
        start = self._tokenizer.bos_token_id
        starts = start is not None and start in self._tokenizer("").input_ids and ids[:1] != [start]
        return (start, *ids) if starts else tuple(ids)

    def prompt_ids(self, words: Sequence[str]) -> list[int]:
        """Return the prompt for `words` (at least one); it begins with `prefix_ids`."""
        text = " ".join(map(shown, words))
        if not self.prompts.style.chat:
            return [*self.prefix_ids, *self.encode([text + self.prompts.suffix])[0]]
        # Only the template's own text may hold control tokens; words that look like one are words.
        suffix = self._tokenizer(self.prompts.suffix, add_special_tokens=False).input_ids
        return [*self.prefix_ids, *self.encode([text])[0], *suffix]

    def line_ids(self, word: str) -> Mapping[str, tuple[int, ...]]:
        """Return the tokens of each tag's whole line for `word`, by tag; do not change them."""
        if word not in self._lines:
            self.learn([word])
        return self._lines[word]

    def learn(self, words: Iterable[str]) -> None:
        """Tokenize the lines of those `words` that are new, in one call of the tokenizer."""
        new = self._lines.missing(words)
        tags = self.prompts.tags
        found = self.encode([self.prompts.line(word, tag) for word in new for tag in tags])
        for i, word in enumerate(new):
            lines = dict(zip(tags, map(tuple, found[i * len(tags) : (i + 1) * len(tags)]), strict=True))
            _check_prefix_free(word, lines)
            self._lines.add(word, lines)

    def completion_ids(self, words: Sequence[str], tags: Sequence[str]) -> list[int]:
        """Return the lines of a whole sentence and the end token."""
        self.learn(words)
        lines = (self.line_ids(word)[tag] for word, tag in zip(words, tags, strict=True))
        return [*(token for line in lines for token in line), self._tokenizer.eos_token_id]

    def longest_completion(self, words: Sequence[str]) -> int:
        """Return the most tokens that a well-formed completion for `words` has, the end included."""
        self.learn(words)
        return 1 + sum(max(map(len, self.line_ids(word).values())) for word in words)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of a completion's tokens, control tokens (other than its end) shown as such."""
        while ids and ids[-1] in self.eos_ids:
            ids = ids[:-1]
        return self._text([*self._anchor, *ids]).removeprefix(self._anchor_text)

    def piece(self, token: int) -> str:
        """Return the text of one token, as far as it has one of its own."""
        if token not in self._pieces:
            self._pieces[token] = self._text([token])
        return self._pieces[token]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens that each text has after a line break, control tokens spelled out.

        Raises:
            ModelError: the tokenizer joins a line break with what follows it.
        """
        length = len(self._anchor)
        found = self._spelled_out([_ANCHOR + text for text in texts])
        for text, ids in zip(texts, found, strict=True):
            if ids[:length] != self._anchor:
                raise ModelError(
                    f"this tokenizer joins a line break with what follows it ({text[:20]!r}): lines have no "
                    "tokens of their own. Name a base model with a byte-level or SentencePiece tokenizer"
                )
        return [ids[length:] for ids in found]

    def continuation(self, text: str) -> list[int]:
        """Return tokens for a text that continues in the middle of a line: a guess, for drafts."""
        anchored, bare = self._spelled_out([_ANCHOR + text, text])
        length = len(self._anchor)
        return anchored[length:] if anchored[:length] == self._anchor else bare

    def _spelled_out(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        return self._tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True).input_ids

    def _text(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def _check(self) -> None:
        for tag, ids in self.line_ids(_SAMPLE).items():
            line = self.prompts.line(_SAMPLE, tag)
            if self.decode(ids) != line:
                raise ModelError(
                    f"this tokenizer turns the line {line!r} into {self.decode(ids)!r}. "
                    "Name a base model whose tokenizer keeps case, spaces and line breaks"
                )
            if self.prompts.style.tag_tokens and self.piece(ids[-1]) != self.prompts.ending(tag):
                raise ModelError(
                    f"the prompt style has tag tokens, but this tokenizer has none for {tag}. "
                    "Load the tokenizer that was saved with the adapter"
                )


def added_tokens(prompts: Prompts) -> list[AddedToken]:
    """Return the tokens to add to a tokenizer for a style with `tag_tokens`: each tag's line ending."""
    return [AddedToken(prompts.ending(tag), normalized=False, special=False) for tag in prompts.tags]


def chat_template(tokenizer: Any) -> Callable[[str], tuple[str, str]] | None:
    """Return what `Prompts` renders a user's text with, or None if the tokenizer has no chat template."""
    if not tokenizer.chat_template:
        return None

    def render(text: str) -> tuple[str, str]:
        turn = [{"role": "user", "content": text}]
        rendered = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        before, _, after = rendered.partition(SLOT)
        return before, after

    return render


def _check_prefix_free(word: str, lines: Mapping[str, tuple[int, ...]]) -> None:
    """Sorted, a line that is the beginning of others stands right before one of them."""
    for one, other in pairwise(sorted(lines.values())):
        if other[: len(one)] == one:
            raise ModelError(
                f"this tokenizer cannot tell the tags of the word {word!r} apart. "
                "Name a base model with a byte-level or SentencePiece tokenizer"
            )
