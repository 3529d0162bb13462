"""Decode modes: how an LLM's tags are read from it. Each takes a batch of sentences and gives `Answer`s.

`verified-tags` gives the tags of `forced-tags`, and `verified-text` the text of `greedy`, whatever
the drafts: they only take fewer forward passes. In fp32 that holds to the letter; in bf16 and 4-bit,
where what is read together changes the last digits, ties may fall differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from raybio.taggers.decoding import forced_tags, greedy, verified_tags, verified_text
from raybio.taggers.decoding.answer import Answer
from raybio.taggers.decoding.greedy import default_limits
from raybio.taggers.decoding.reader import Reader
from raybio.taggers.decoding.tokens import Tokens, added_tokens, chat_template

MODES: Mapping[str, Callable[..., list[Answer]]] = {
    "greedy": greedy.decode,
    "verified-text": verified_text.decode,
    "forced-tags": forced_tags.decode,
    "verified-tags": verified_tags.decode,
}
"""Each mode is called as `decode(reader, tokens, words, drafts, limits)`, one entry a sentence in each."""

TAG_MODES = frozenset({"forced-tags", "verified-tags"})
"""The modes that force the words, take `constrained_decoding=True` and are never malformed."""

__all__ = [
    "MODES",
    "TAG_MODES",
    "Answer",
    "Reader",
    "Tokens",
    "added_tokens",
    "chat_template",
    "default_limits",
]
