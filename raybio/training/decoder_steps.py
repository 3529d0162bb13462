"""What an LLM learns from: tagged sentences -> prompts with their completions, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from raybio.config import DecoderTrainingSection
from raybio.entities import Rejected
from raybio.members import Member
from raybio.prompts import Prompts, PromptStyle
from raybio.taggers.decoding import Tokens, added_tokens, chat_template
from raybio.training.recipes import AdapterRecipe
from raybio.training.steps import IGNORED, Example


class CompletionMaker:
    """Turns rows of the training split into examples, in the very tokens that decoding will meet.

    A sentence whose prompt and completion take more than `training.max_length` is rejected:
    `rejected` holds it, by its id, with the reason. With `long_inputs: cut` it loses its end instead,
    and `cut` holds its id. Labelled are the completion alone, or with `loss_on: all` every token but
    the first, which nothing predicts; `loss_on: padded` adds labelled padding up to `longest`, the
    largest number of tokens met so far: of the whole split, once it has been read. `source` is what the
    corpus is called in the record of a rejected sentence. A row of one of `members`, each with its tokens,
    is worded in these, and has the tags that it annotates alone.
    """

    def __init__(
        self,
        tokens: Tokens,
        training: DecoderTrainingSection,
        source: str,
        members: Sequence[tuple[Member, Tokens]] = (),
    ) -> None:
        self._tokens = tokens
        self._members = members
        self._max_tokens = training.max_length
        self._all = training.loss_on != "completion"
        self._padded = training.loss_on == "padded"
        self._cut = training.long_inputs == "cut"
        self._source = source
        self.rejected: dict[str, Rejected] = {}
        self.cut: set[str] = set()
        self.longest = 0

    def examples(self, row: Mapping[str, Any]) -> list[Example]:
        """Return the example of one row (id, document_id, words, tags), or none."""
        tokens, tags, number = self._tokens, row["tags"], row.get("member")
        if self._members and number is not None:
            member, tokens = self._members[number]
            tags = member.own(tags)
        prompt = tokens.prompt_ids(row["words"])
        completion = tokens.completion_ids(row["words"], tags)
        length = len(prompt) + len(completion)
        if length > self._max_tokens and not self._cut:
            self.longest = max(self.longest, length)
            self._reject(row, length)
            return []
        if length > self._max_tokens:
            self.cut.add(row["id"])
            length = self._max_tokens
        self.longest = max(self.longest, length)
        context = [IGNORED, *prompt[1:]] if self._all else [IGNORED] * len(prompt)
        # The study padded with the token that ends a completion, and learned it too.
        padding = completion[-1:] * (self.longest - length if self._padded else 0)
        ids, labels = (prompt + completion)[:length], (context + completion)[:length]
        return [Example(ids + padding, labels + padding)]

    def _reject(self, row: Mapping[str, Any], length: int) -> None:
        self.rejected[row["id"]] = Rejected(
            source=self._source,
            place=f"sentence {row['id']}",
            reason=f"prompt and completion take {length} tokens, more than max_length: {self._max_tokens}",
            remedy="Raise training.max_length, or split the sentence",
            document_id=row["document_id"],
            raw=" ".join(row["words"]),
        )


def wording(recipe: AdapterRecipe, labels: Sequence[str], tokenizer: Any) -> Prompts:
    """Return the prompts that a recipe asks for.

    Raises:
        ModelError: aliases collide, or the tokenizer lacks a chat template that is asked for.
    """
    style = PromptStyle(
        tuple(labels),
        recipe.wording.aliases,
        tag_tokens=recipe.wording.tag_tokens,
        leading_space=recipe.wording.leading_space,
        chat=recipe.wording.chat_template,
        order_seed=recipe.seed if recipe.wording.label_order == "random" else None,
    )
    return Prompts(style, chat_template(tokenizer))


def by_member(tokens: Tokens, tokenizer: Any, members: Sequence[Member]) -> list[tuple[Member, Tokens]]:
    """Return members with their tokens: a prompt names the labels that its corpus annotates, and no other.

    So "O" means there, as it does in the corpus, none of these.
    """
    style, template = tokens.prompts.style, chat_template(tokenizer)
    return [
        (member, tokens if member.annotates is None else Tokens(tokenizer, Prompts(own, template)))
        for member in members
        for known in [member.annotates or frozenset(style.labels)]
        for aliases in [{label: alias for label, alias in style.aliases.items() if label in known}]
        for own in [replace(style, labels=tuple(known), aliases=aliases)]
    ]


def add_tag_tokens(tokenizer: Any, prompts: Prompts) -> dict[int, list[int]]:
    """Add the tokens that the prompts' style asks for; return each new id with the pieces it replaces."""
    if not prompts.style.tag_tokens:
        return {}
    added = added_tokens(prompts)
    pieces = [tokenizer(token.content, add_special_tokens=False).input_ids for token in added]
    tokenizer.add_tokens(added)
    ids = tokenizer.convert_tokens_to_ids([token.content for token in added])
    return dict(zip(ids, pieces, strict=True))
