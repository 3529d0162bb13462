import pytest

from raybio.taggers.decoding.answer import written_answer
from raybio.taggers.decoding.drafts import Previous, outside
from raybio.taggers.decoding.lines import Candidates, closest, grow

LINES = {"O": (1, 2, 9), "B-D": (1, 3, 5, 9), "I-D": (1, 3, 6, 7, 9), "B-C": (4, 9)}


def test_a_trie_parts_where_its_lines_part():
    root = grow(LINES)
    assert [(fork.depth, set(fork.branches)) for fork in root.forks(LINES["I-D"])] == [
        (0, {1, 4}),
        (1, {2, 3}),
        (2, {5, 6}),
    ]
    assert [fork.depth for fork in root.forks(LINES["B-C"])] == [0]
    left = root.branches[1].branches[3]
    assert (left.tags, left.branches[6].tags) == (("B-D", "I-D"), ("I-D",))
    assert [fork.depth for fork in left.forks(LINES["B-D"])] == [2]


@pytest.mark.parametrize(
    ("tag", "tags", "expected"),
    [
        ("O", ["B-D", "O"], "O"),
        ("I-D", ["O", "B-C", "B-D"], "B-D"),
        ("B-X", ["O", "B-D"], "O"),
        ("O", ["B-D"], "B-D"),
    ],
)
def test_the_closest_tag_has_the_label(tag, tags, expected):
    assert closest(tag, tags) == expected


def test_only_legal_tags_are_candidates(llm):
    legal = Candidates(llm.tokens, constrained_decoding=True)
    assert set(legal.of("rats", "O").tags) == {"O", "B-Chemical", "B-Disease"}
    assert set(legal.of("rats", "I-Disease").tags) == {"O", "B-Chemical", "B-Disease", "I-Disease"}
    assert set(Candidates(llm.tokens).of("rats", "O").tags) == set(llm.tokens.prompts.tags)


def test_drafts():
    previous = Previous()
    previous.learn(["Rats", "in", "rats"], ["B-X", "O", "I-X"])
    assert previous.draft(["RATS", "IN", "mice"]) == ["I-X", "O", "O"]
    assert outside(["a", "b"]) == ["O", "O"]


def test_a_written_score_is_that_of_the_tag_and_0_for_what_was_not_read(llm):
    tokens, words = llm.tokens, ["rats", "in", "mice"]
    parts = [
        tokens.line_ids("rats")["B-Disease"],
        tokens.encode(["x-ray machine\n"])[0],
        tokens.line_ids("mice")["O"],
    ]
    written = []
    for part in parts:
        colon = max((i for i, token in enumerate(part) if ":" in tokens.piece(token)), default=0)
        written += [
            (token, 0.5 if i in (colon, len(part) - 1) else 0.9 if i > colon else 0.1)
            for i, token in enumerate(part)
        ]
    answer = written_answer(tokens, words, [*written, (llm.tokenizer.eos_token_id, 0.3)], 4, 5)
    assert answer.tags == ("B-Disease", "O", "O")
    assert [fault.reason for fault in answer.malformed] == ["no tag"]
    assert (answer.passes, answer.tokens_fed, answer.tokens_emitted) == (4, 5, len(written) + 1)
    first, second, third = answer.scores
    assert second == 0
    assert 0.1 < first <= 0.5
    assert 0.1 < third <= 0.5
