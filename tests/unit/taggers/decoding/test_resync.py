"""The drafter on its own, against a model that has already made up its mind about the text."""

import pytest

from raybio.taggers.decoding.lines import Candidates
from raybio.taggers.decoding.resync import Resync

WORDS = ["The", "authors", "describe", "the", "case", "of", "a", "patient", "with", "heart", "failure", "."]
TAGS = ["O"] * 9 + ["B-Disease", "I-Disease", "O"]
OUTSIDE = ["O"] * 100


@pytest.fixture(scope="module")
def tokens(llm):
    return llm.tokens


def passes(tokens, lines, tags=TAGS):
    """Return in how many passes a model that is to write these lines would be done, end token included."""
    drafter = Resync(WORDS, tags, Candidates(tokens))
    target = [token for line in tokens.encode(lines) for token in line]
    end = -1
    place = count = 0
    while place <= len(target):
        count += 1
        draft = drafter.rest()
        ahead = [*target[place:], end]
        agreed = next(
            (i for i, token in enumerate(draft) if i >= len(ahead) or token != ahead[i]), len(draft)
        )
        for token in ahead[: agreed + 1]:
            if token != end:
                drafter.push(token)
        place += agreed + 1
    return count


def lines(tokens, words, tags=None):
    return list(map(tokens.prompts.line, words, tags or OUTSIDE))


def test_a_text_as_drafted_takes_one_pass(tokens):
    assert passes(tokens, lines(tokens, WORDS, TAGS)) == 1


def test_a_wrong_tag_costs_few_passes(tokens):
    assert passes(tokens, lines(tokens, WORDS, [*TAGS[:6], "B-Chemical", *TAGS[7:]])) <= 3


@pytest.mark.parametrize(
    "written",
    [
        WORDS[:3] + WORDS[6:],  # drops some
        WORDS[:5] + WORDS[2:],  # repeats some
        [*WORDS[:4], "report", *WORDS[5:]],  # changes one
        [*WORDS[:4], "interesting", *WORDS[4:]],  # adds one
        WORDS[1:],
        [*WORDS, "."],
    ],
    ids=["drops", "repeats", "changes", "adds", "begins late", "continues"],
)
def test_a_word_off_the_track_costs_few_passes(tokens, written):
    assert passes(tokens, lines(tokens, written), OUTSIDE[: len(WORDS)]) <= 9


def test_a_loop_is_drafted_ahead(tokens):
    text = lines(tokens, [*WORDS[:3], *["strange", "loop", "again"] * 12])
    assert passes(tokens, text, OUTSIDE[: len(WORDS)]) <= 30


def test_a_word_in_other_tokens_costs_few_passes(tokens):
    """A model may cut a word as the tokenizer never does, here after its first letter."""
    first, *others = lines(tokens, WORDS, TAGS)
    letter = len(first) - len(first.lstrip()) + 1
    drafter = Resync(WORDS, TAGS, Candidates(tokens))
    for token in tokens.encode([first[:letter]])[0]:
        drafter.push(token)
    assert tokens.decode(drafter._ids + drafter.rest()) == "".join([first, *others])


def test_what_the_model_would_tag_is_the_next_guess(tokens):
    drafter = Resync(WORDS, ["O"] * len(WORDS), Candidates(tokens))
    drafted = drafter.rest()
    start = sum(len(tokens.line_ids(word)["O"]) for word in WORDS[:9])
    would = list(drafted)
    line = tokens.line_ids("heart")["B-Disease"]
    place = next(
        i for i, (a, b) in enumerate(zip(line, tokens.line_ids("heart")["O"], strict=False)) if a != b
    )
    would[start + place] = line[place]
    choices = [(token, 1.0) for token in would]
    drafter.adopt(choices, after=start)
    assert drafter.tags[9] == "O"  # its line has begun: what is written there decides
    drafter.adopt(choices, after=0)
    assert drafter.tags[9].startswith("B-")
