"""Drafts the rest of a completion from any beginning, however far the model has left the beaten track.

A model copies the sentence's words line by line, until it drops, repeats or changes one, or cuts
a word into other tokens than the tokenizer would. The drafter then finds the word that the
current line is about, on either side of the one it expected, and continues from there. Where no word
fits, it repeats what followed the same tokens earlier in the output (n-grams).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raybio.iob2 import OUTSIDE
from raybio.taggers.decoding.lines import Candidates, Choice, closest

_LOOP_LINES = 2  # so many lines, written before in this order, are taken for a loop
_LOOP_DRAFT = 128  # and drafted so many tokens ahead
_NGRAMS = (4, 3, 2)  # lengths to look for, in tokens


class Resync:
    """Follows what the model writes for one sentence; `rest` drafts what comes next.

    `tags` holds the guess for each word. It changes with what the model writes (`push`) and with
    what it would write further on (`adopt`).
    """

    def __init__(self, words: Sequence[str], tags: Sequence[str], candidates: Candidates) -> None:
        self._words = words
        self._tries = [candidates.of(word, OUTSIDE) for word in words]
        self._tokens = candidates.tokens
        self.tags = [trie.closest(tag) for trie, tag in zip(self._tries, tags, strict=True)]
        self._ids: list[int] = []
        self._line_starts = [0]  # in `_ids`; the current line is the last
        self._lead = ""  # its beginning, if a token brought it together with the line break
        self._next = 0  # the word it should be about
        self._drafted: list[tuple[int, int]] = []  # in the last draft: each word, and where its line starts

    def push(self, token: int) -> None:
        """Take one token that the model wrote."""
        self._ids.append(token)
        if "\n" in self._tokens.piece(token):
            *lines, self._lead = self._current_line().split("\n")
            self._line_starts.append(len(self._ids))
            for line in lines:
                self._next = self._word_after(line)

    def rest(self) -> list[int]:
        """Return a guess of all the tokens that come next, but for the end token."""
        text = self._current_line()
        draft, following = self._end_of_line(text) if text else ([], self._next)
        self._drafted = []
        for word in range(following, len(self._words)):
            self._drafted.append((word, len(draft)))
            draft += self._line(word, self.tags[word])
        return draft

    def adopt(self, choices: Sequence[Choice], after: int) -> None:
        """Take over the tags that the model would give in the last draft's lines that start after a token.

        `choices` holds its choice for each token drafted, as far as it was asked.
        """
        for word, start in self._drafted:
            if start > after:
                self._adopt(word, [token for token, _ in choices[start:]])

    def _adopt(self, word: int, chosen: Sequence[int]) -> None:
        line = self._line(word, self.tags[word])
        for fork in self._tries[word].forks(line):
            token = chosen[fork.depth] if fork.depth < len(chosen) else line[fork.depth]
            if token != line[fork.depth]:
                if token in fork.branches:
                    self.tags[word] = fork.branches[token].closest(self.tags[word])
                return

    def _line(self, word: int, tag: str) -> tuple[int, ...]:
        return self._tokens.line_ids(self._words[word])[tag]

    def _line_text(self, word: int, tag: str) -> str:
        return self._tokens.prompts.line(self._words[word], tag)

    def _current_line(self) -> str:
        return self._lead + self._tokens.decode(self._ids[self._line_starts[-1] :])

    def _word_after(self, line: str) -> int:
        """Return the word to expect after a whole line; one that is about no word stands for the next."""
        written, _, tag = line.rpartition(":")
        for word in self._nearby():
            if self._line_text(word, OUTSIDE).rpartition(":")[0] == written:
                self.tags[word] = self._tokens.prompts.tag_of(tag) or self.tags[word]
                return word + 1
        return min(self._next + 1, len(self._words))

    def _nearby(self) -> Iterator[int]:
        """Yield the words from the expected one outwards, on both sides, later ones first."""
        for distance in range(len(self._words) + 1):
            for word in dict.fromkeys((self._next + distance, self._next - distance)):
                if 0 <= word < len(self._words):
                    yield word

    def _open_tags(self, word: int, text: str) -> list[str]:
        """Return the tags that a line beginning with `text` may give to a word, if it is about it at all."""
        written = tuple(self._ids[self._line_starts[-1] :])
        return [
            tag
            for tag, line in self._tokens.line_ids(self._words[word]).items()
            # Tokens may match where text does not yet: a character can begin in one and end in the next.
            if line[: len(written)] == written or self._line_text(word, tag).startswith(text)
        ]

    def _end_of_line(self, text: str) -> tuple[list[int], int]:
        """Draft the rest of the current line; return it, and the word to continue with."""
        expected = self._next < len(self._words) and self._open_tags(self._next, text)
        if not expected and (loop := self._loop()):
            return loop, len(self._words)
        for word in self._nearby():
            if tags := self._open_tags(word, text):
                self.tags[word] = closest(self.tags[word], tags)
                return self._end_of_word_line(word, text), word + 1
        return self._ngram() or self._end_of_strange_line(text), self._next + 1

    def _end_of_word_line(self, word: int, text: str) -> list[int]:
        """Continue with the line's own tokens, or those of the rest where the model cut it otherwise."""
        written = self._ids[self._line_starts[-1] :]
        line = self._line(word, self.tags[word])
        if line[: len(written)] == tuple(written):
            return list(line[len(written) :])
        return self._tokens.continuation(self._line_text(word, self.tags[word])[len(text) :])

    def _end_of_strange_line(self, text: str) -> list[int]:
        """End a line that is about no word with the tag that the next word should have."""
        _, colon, written = text.rpartition(":")
        prompts = self._tokens.prompts
        open_tags = [tag for tag in prompts.tags if prompts.ending(tag).startswith(colon + written)]
        if not open_tags:
            return self._tokens.continuation("\n")
        tag = closest(self.tags[min(self._next, len(self._words) - 1)], open_tags)
        return self._tokens.continuation(prompts.ending(tag)[len(colon + written) :])

    def _ngram(self) -> list[int]:
        """Return what followed the last few tokens when they were written before, up to the line's end."""
        for length in _NGRAMS:
            if place := self._before(length):
                ends = (end for end in self._line_starts if end > place)
                return self._ids[place : next(ends, None)]
        return []

    def _loop(self) -> list[int]:
        """Return what follows if the last lines and the current one repeat earlier ones, over and over."""
        if len(self._line_starts) <= _LOOP_LINES:
            return []
        place = self._before(len(self._ids) - self._line_starts[-1 - _LOOP_LINES])
        period = self._ids[place:] if place else []
        return (period * (_LOOP_DRAFT // len(period) + 1))[:_LOOP_DRAFT] if period else []

    def _before(self, length: int) -> int:
        """Return where the last `length` tokens ended when they were last written before, 0 if never."""
        ids = self._ids
        last = ids[len(ids) - length :]
        ends = (end for end in range(len(ids) - 1, length - 1, -1) if ids[end - length : end] == last)
        return next(ends, 0)
