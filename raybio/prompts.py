"""The only wording: a sentence's words -> the prompt an LLM reads and the lines it shall write.

The parts are those of the study (instruction, labels, input, response; one `word:TAG` line for
each word); the words are ours. A prompt is `prefix + words + suffix`, where prefix and suffix
are the same for every sentence, so that a model reads the instruction once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from random import Random

from raybio.errors import ModelError
from raybio.iob2 import OUTSIDE, label_of, tag_set

SLOT = "{words}"
"""Stands for the words in the text that goes through a chat template."""

_INSTRUCTION = (
    "Find the biomedical entities in the text and tag each of its words by the IOB2 scheme: "
    "B-LABEL opens an entity, I-LABEL continues it, and O is a word outside of any entity. "
    "Use only these labels: {labels}. "
    "Write one line for each word, in order, with the word, a colon and its tag."
)
_INPUT = "\n\n### Input:\n"
_RESPONSE = "\n\n### Response:\n"

_UNPRINTABLE = {"Cc", "Cs"}  # control characters, and halves of surrogate pairs


@dataclass(frozen=True)
class PromptStyle:
    """What a trained adapter remembers of its wording: plain data, `asdict` makes it JSON.

    `aliases` maps a label to the short name written in its place ("Disease" -> "D").
    `tag_tokens`: each tag's ending, such as ":B-D" and the newline, is one added token; the
    text stays the same. `leading_space`: a space stands before the word of each line, so that
    a copied word has the tokens it has in the prompt. `chat`: the prompt goes through the
    tokenizer's chat template, whose assistant turn takes the place of the response heading.
    `order_seed`: the instruction names the labels in an order drawn from it; None = sorted.

    Raises:
        ModelError: there are no labels; a name that would be written holds a colon or white
            space; two labels would be written alike; or an alias is given to no label.
    """

    labels: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    tag_tokens: bool = False
    leading_space: bool = False
    chat: bool = False
    order_seed: int | None = None

    def __post_init__(self) -> None:
        # JSON brings lists; a style must equal itself when it comes back.
        object.__setattr__(self, "labels", tuple(sorted(set(self.labels))))
        object.__setattr__(self, "aliases", dict(self.aliases))
        _check_names(self.labels, self.aliases)

    def written(self, label: str) -> str:
        """Return what stands for `label` in prompts and completions."""
        return self.aliases.get(label, label)

    def named(self) -> list[str]:
        """Return the labels in the order in which the instruction names them."""
        order = list(self.labels)
        if self.order_seed is not None:
            Random(self.order_seed).shuffle(order)  # noqa: S311 (an order that can be drawn again)
        return order


class Prompts:
    """Writes prompts and completions in one style, and reads tags back.

    `chat_template` renders a user's text and returns what stands before and after `SLOT` in
    it, up to where the model's answer begins; only a style with `chat` calls it.

    Raises:
        ModelError: the style asks for a chat template and there is none.
    """

    prefix: str
    """Everything before the words, the same for every sentence."""

    suffix: str
    """Everything between the words and the completion, the same for every sentence."""

    tags: tuple[str, ...]
    """Every tag a completion may hold: "O", then each label's two."""

    def __init__(
        self, style: PromptStyle, chat_template: Callable[[str], tuple[str, str]] | None = None
    ) -> None:
        self.style = style
        self.tags = tuple(tag_set(style.labels))
        self._written = {tag: _written(tag, style) for tag in self.tags}
        self._tags = {written: tag for tag, written in self._written.items()}
        self._before_word = " " if style.leading_space else ""
        self.prefix, self.suffix = _frame(style, chat_template)

    def prompt(self, words: Sequence[str]) -> str:
        """Return all that the model reads before it answers for `words`."""
        return self.prefix + " ".join(map(shown, words)) + self.suffix

    def ending(self, tag: str) -> str:
        """Return what follows the word in its line: a colon, the tag as written and a newline."""
        return f":{self._written[tag]}\n"

    def line(self, word: str, tag: str) -> str:
        """Return the completion's line that gives `word` its `tag`."""
        return self._before_word + shown(word) + self.ending(tag)

    def completion(self, words: Sequence[str], tags: Sequence[str]) -> str:
        """Return the lines of a whole sentence, which has as many `tags` as `words`."""
        return "".join(self.line(word, tag) for word, tag in zip(words, tags, strict=True))

    def tag_of(self, written: str) -> str | None:
        """Return "B-Disease" for "B-D" where that is its alias, and None for what is no tag here."""
        return self._tags.get(written)


def shown(word: str) -> str:
    """Return `word` as prompts and completions show it: in one line and in one piece.

    White space and control characters inside become "_", and so does a word of nothing.
    """
    if word.isascii() and word.isprintable() and " " not in word:
        return word or "_"
    return "".join(
        "_" if each.isspace() or unicodedata.category(each) in _UNPRINTABLE else each for each in word
    )


def _written(tag: str, style: PromptStyle) -> str:
    return tag if tag == OUTSIDE else tag[:2] + style.written(label_of(tag))


def _frame(style: PromptStyle, chat_template: Callable[[str], tuple[str, str]] | None) -> tuple[str, str]:
    named = (
        label if style.written(label) == label else f"{style.written(label)} ({label})"
        for label in style.named()
    )
    instruction = _INSTRUCTION.format(labels=", ".join(named))
    if not style.chat:
        return instruction + _INPUT, _RESPONSE
    if chat_template is None:
        raise ModelError(
            "the prompt is to go through a chat template, but this model's tokenizer has none. "
            "Set prompt.chat_template to false, or take a model that was trained to chat"
        )
    return chat_template(instruction + _INPUT + SLOT)


def _check_names(labels: Sequence[str], aliases: Mapping[str, str]) -> None:
    if not labels:
        raise ModelError("there are no labels to tag with. Give a corpus that has annotated entities")
    known = ", ".join(labels)
    for label, alias in aliases.items():
        if label not in labels:
            raise ModelError(f"prompt.aliases names {label!r}, which is no label. The labels are: {known}")
        if alias != label and alias in labels:
            raise ModelError(
                f"the alias {alias!r} of label {label!r} is a label itself. "
                f"Give {label!r} another alias in prompt.aliases"
            )
    for label in labels:
        name = aliases.get(label, label)
        if ":" in name or shown(name) != name:
            raise ModelError(
                f"label {label!r} would be written {name!r}, which is empty or holds a colon or white space. "
                f"Give {label!r} an alias without them in prompt.aliases"
            )
    for one, other in combinations(labels, 2):
        if aliases.get(one, one) == aliases.get(other, other):
            raise ModelError(
                f"labels {one!r} and {other!r} have the same alias {aliases[one]!r}. "
                "Give each its own in prompt.aliases"
            )
