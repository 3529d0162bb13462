"""What a decode mode answers for one sentence, and how a written completion becomes an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raybio.bio_output import Malformed, read_completion
from raybio.taggers.decoding.lines import Choice, Progress
from raybio.taggers.decoding.tokens import Tokens


@dataclass(frozen=True)
class Answer:
    """One tag and score a word, what it took, and the completion they stand in.

    A score is a probability in [0, 1]: where words are forced, the product over the forks of the
    tag's line of the branch's probability among the branches; where the model writes freely, the
    product of the probabilities of the tokens it wrote from the line's last colon on, and 0 for
    words without a readable line. `passes` counts forward passes, `tokens_fed` what they read (the
    shared beginning of all prompts is read once, and not counted), `tokens_emitted` the length of
    `token_ids`, which ends in an end token where the model wrote one.
    """

    tags: tuple[str, ...]
    scores: tuple[float, ...]
    passes: int
    tokens_fed: int
    tokens_emitted: int
    completion: str
    malformed: tuple[Malformed, ...] = ()
    token_ids: tuple[int, ...] = ()


def forced_answer(progress: Progress, passes: int, tokens_fed: int) -> Answer:
    """Return the answer of a sentence whose words were forced: it is never malformed."""
    prompts = progress.candidates.tokens.prompts
    ids = tuple(progress.ids[progress.prompt_length :])
    return Answer(
        tags=tuple(progress.tags),
        scores=tuple(progress.scores),
        passes=passes,
        tokens_fed=tokens_fed,
        tokens_emitted=len(ids),
        completion=prompts.completion(progress.words, progress.tags),
        token_ids=ids,
    )


def written_answer(
    tokens: Tokens, words: Sequence[str], written: Sequence[Choice], passes: int, tokens_fed: int
) -> Answer:
    """Return the answer that the model's own tokens give, mapped to `words` by alignment."""
    ids = tuple(token for token, _ in written)
    text = tokens.decode(ids)
    completion = read_completion(text, words, tokens.prompts)
    malformed = completion.malformed
    ended = not words or (ids and ids[-1] in tokens.eos_ids)
    if not ended and all(fault.reason != "no end" for fault in malformed):
        malformed = [*malformed, Malformed("no end", None, "", range(len(words), len(words)))]
    return Answer(
        tags=tuple(completion.tags),
        scores=tuple(_scores(tokens, len(words), written, malformed)),
        passes=passes,
        tokens_fed=tokens_fed,
        tokens_emitted=len(ids),
        completion=text,
        malformed=tuple(malformed),
        token_ids=ids,
    )


def _scores(
    tokens: Tokens, length: int, written: Sequence[Choice], malformed: Sequence[Malformed]
) -> list[float]:
    """Return each word's score. Lines and words that are not malformed correspond, in order."""
    of_lines = _line_scores(tokens, written)
    faulty_lines = {fault.line_number for fault in malformed}
    faulty_words = {word for fault in malformed for word in fault.words}
    good_lines = (score for number, score in enumerate(of_lines, start=1) if number not in faulty_lines)
    scores = [0.0] * length
    for word in range(length):
        if word not in faulty_words:
            scores[word] = next(good_lines)
    return scores


def _line_scores(tokens: Tokens, written: Sequence[Choice]) -> list[float]:
    """Return, for each line written, the product of probabilities from its last colon on."""
    scores = [1.0]
    for token, probability in written:
        piece = tokens.piece(token)
        if ":" in piece:
            scores[-1] = 1.0
        scores[-1] *= probability
        scores += [1.0] * piece.count("\n")
    return scores
