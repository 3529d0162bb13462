"""What the decode modes promise, on models small enough to try it on anything."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts

from raybio.iob2 import orphans
from raybio.taggers.decoding import MODES, default_limits

LEARNT = [
    "Torsade de pointes during low dose dobutamine .",
    "Naloxone reverses the effect of clonidine in rats .",
    "dose of β-blockers ( 20 mg )",
]
WORDS = sorted({word for text in LEARNT for word in text.split()})
AWKWARD = [
    "β",
    "😀",
    "a:b",
    ":",
    "x:B-D",
    "</s>",
    "<s>",
    "in\x01side",
    "two words",
    "▁",
    "é\u0301",
    "\ufeff",
    "'s",
    "10.5",
]
TAGS = ["O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease", "B-Species"]

words = st.sampled_from(WORDS) | st.sampled_from(AWKWARD) | texts(max_size=4)
sentences = st.sampled_from(LEARNT).map(str.split) | st.lists(words, max_size=6)


@st.composite
def batches(draw):
    """Some sentences, and a draft for each: however bad, and with a label the model does not know."""
    batch = draw(st.lists(sentences, min_size=1, max_size=3))
    drafts = [draw(st.lists(st.sampled_from(TAGS), min_size=len(s), max_size=len(s))) for s in batch]
    return batch, drafts, [draw(st.integers(1, 32)) for _ in batch]


def decode(llm, mode, batch, drafts=None, **options):
    drafts = drafts if drafts is not None else [["O"] * len(words) for words in batch]
    limits = options.pop("limits", ())
    return MODES[mode](llm.reader, llm.tokens, batch, drafts, limits, **options)


def assert_same_tags(answers, others):
    for one, other in zip(answers, others, strict=True):
        assert one.tags == other.tags
        assert one.token_ids == other.token_ids
        assert one.completion == other.completion
        assert one.scores == pytest.approx(other.scores, abs=1e-5)  # eager attention has fp32 within
        assert one.malformed == other.malformed


@given(batches(), st.booleans())
@settings(max_examples=25)
def test_verified_tags_are_forced_tags_whatever_the_draft(llm, drawn, legal):
    batch, drafts, _ = drawn
    forced = decode(llm, "forced-tags", batch, constrained_decoding=legal)
    verified = decode(llm, "verified-tags", batch, drafts, constrained_decoding=legal)
    assert_same_tags(verified, forced)
    for quick, plain, words in zip(verified, forced, batch, strict=True):
        assert (len(quick.tags), quick.malformed) == (len(words), ())
        assert quick.passes <= plain.passes
        assert all(0 <= score <= 1 for score in quick.scores)
        assert not legal or not orphans(quick.tags)


@given(batches())
@settings(max_examples=25)
def test_verified_text_is_greedy_text_whatever_the_draft(llm, drawn):
    batch, drafts, limits = drawn
    greedy = decode(llm, "greedy", batch, limits=limits)
    verified = decode(llm, "verified-text", batch, drafts, limits=limits)
    assert_same_tags(verified, greedy)
    for quick, plain in zip(verified, greedy, strict=True):
        assert quick.passes <= plain.passes == plain.tokens_emitted


@given(batches(), st.sampled_from(sorted(MODES)))
@settings(max_examples=25)
def test_a_batch_is_answered_as_its_sentences_one_by_one(llm, drawn, mode):
    batch, drafts, limits = drawn
    together = decode(llm, mode, batch, drafts, limits=limits)
    alone = [
        answer
        for words, draft, limit in zip(batch, drafts, limits, strict=True)
        for answer in decode(llm, mode, [words], [draft], limits=[limit])
    ]
    assert_same_tags(together, alone)
    assert [(one.passes, one.tokens_fed) for one in together] == [
        (one.passes, one.tokens_fed) for one in alone
    ]


@given(sentences.filter(bool))
@settings(max_examples=4)
def test_greedy_is_what_transformers_itself_generates(llm, words):
    (limit,) = default_limits(llm.tokens, [words])
    prompt = torch.tensor([llm.tokens.prompt_ids(words)])
    generated = llm.model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        max_new_tokens=limit,
        eos_token_id=sorted(llm.tokens.eos_ids),
        pad_token_id=0,
    )
    (answer,) = decode(llm, "greedy", [words])
    assert list(answer.token_ids) == generated[0, prompt.shape[1] :].tolist()


@given(st.lists(sentences.filter(bool), min_size=1, max_size=3), st.booleans())
@settings(max_examples=4)
def test_the_right_draft_takes_one_pass(llm, batch, legal):
    truth = [answer.tags for answer in decode(llm, "forced-tags", batch, constrained_decoding=legal)]
    verified = decode(llm, "verified-tags", batch, truth, constrained_decoding=legal)
    assert [answer.passes for answer in verified] == [1] * len(batch)


@pytest.mark.parametrize("mode", sorted(MODES))
def test_nothing_to_tag_is_not_read(llm, mode):
    assert decode(llm, mode, []) == []
    (answer,) = decode(llm, mode, [[]])
    assert (answer.tags, answer.passes, answer.tokens_fed, answer.malformed) == ((), 0, 0, ())


def test_a_completion_that_hits_its_limit_has_no_end(llm):
    words = LEARNT[0].split()
    for mode in ("greedy", "verified-text"):
        (answer,) = decode(llm, mode, [words], limits=[3])
        assert answer.tokens_emitted == 3
        assert "no end" in [fault.reason for fault in answer.malformed]


def test_a_draft_of_another_length_is_refused(llm):
    for mode in ("verified-tags", "verified-text"):
        with pytest.raises(ValueError, match="1 tags for 2 words"):
            decode(llm, mode, [["a", "b"]], [["O"]])
