import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import (
    LlamaConfig,
    LlamaModel,
    MistralConfig,
    MistralForCausalLM,
)

from raybio.errors import ModelError
from raybio.taggers.decoding.cache import Rows
from raybio.taggers.decoding.reader import Reader

PREFIX = [7, 3, 5]
TOKENS = st.integers(1, 6)
SMALL = {
    "vocab_size": 16,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 200,
    "initializer_range": 0.5,
}


torch.manual_seed(1)
WINDOWED = MistralForCausalLM(MistralConfig(**SMALL, sliding_window=6)).double()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MistralForCausalLM(MistralConfig(**SMALL, sliding_window=None)).double()


@pytest.fixture(scope="module")
def reader(model):
    return Reader(model)


@st.composite
def sequences(draw, before):
    """A sequence that shares some beginning with the one read before, and positions to ask for."""
    kept = draw(st.integers(0, len(before)))
    sequence = before[:kept] + draw(st.lists(TOKENS, max_size=20))
    sequence = sequence or [1]
    wanted = draw(st.sets(st.integers(0, len(sequence) - 1), min_size=1, max_size=4))
    return sequence, sorted(wanted)


def fresh(model, sequence, wanted):
    with torch.inference_mode():
        return model.model(input_ids=torch.tensor([sequence])).last_hidden_state[0, wanted]


@given(st.data(), st.integers(1, 4), st.sampled_from([[], PREFIX]))
@settings(max_examples=25, deadline=None)
def test_whatever_is_read_in_whatever_order_is_as_if_read_afresh(model, reader, data, count, prefix):
    rows = Rows(reader, reader.prefix(prefix), count)
    read = [list(prefix) for _ in range(count)]
    for _ in range(data.draw(st.integers(1, 6))):
        asked = [data.draw(sequences(before)) for before in read]
        hidden = rows.read([s for s, _ in asked], [w for _, w in asked])
        torch.testing.assert_close(
            hidden, torch.cat([fresh(model, s, w) for s, w in asked]), rtol=0, atol=1e-9
        )
        read = [s for s, _ in asked]
        gone = data.draw(st.sets(st.integers(0, len(read) - 1), max_size=len(read) - 1))
        rows.drop(sorted(gone))
        read = [s for row, s in enumerate(read) if row not in gone]


def test_only_what_is_new_is_fed(reader):
    rows = Rows(reader, reader.prefix(PREFIX), 2)
    rows.read([[*PREFIX, 1, 2, 4], [*PREFIX, 1]], [[5], [3]])
    assert rows.tokens_fed == [3, 1]
    rows.read([[*PREFIX, 1, 2, 5, 6], [*PREFIX, 1, 1]], [[6], [4]])
    assert rows.tokens_fed == [5, 2]
    rows.drop([0])
    rows.read([[*PREFIX, 1, 1]], [[3, 4]])  # a state that is wanted again is read again
    assert (rows.tokens_fed, rows.passes) == ([5, 4], [2, 3])


def test_the_prefix_is_read_once(reader, monkeypatch):
    reader.prefix([6, 6, 6])
    monkeypatch.setattr(reader, "hidden", None)
    assert reader.prefix((6, 6, 6)).ids == (6, 6, 6)


def test_slots_stay_few_while_rows_take_turns(reader):
    """Each row throws away what it read while the other continues: holes everywhere."""
    rows = Rows(reader, reader.prefix(PREFIX), 2)
    kept = [list(PREFIX), list(PREFIX)]
    widths = []
    for turn in range(20):
        kept[turn % 2] += [1, 2, 3]
        rows.read([kept[0] + [4] * 10, kept[1] + [5] * 10], [[len(kept[0])], [len(kept[1])]])
        widths.append(rows._width)
    assert max(widths) <= 1.25 * max(map(len, kept)) + 13 + 3


def test_an_adapter_is_read_with_its_model(model):
    base = copy.deepcopy(model)
    lora = LoraConfig(r=4, target_modules=["q_proj", "lm_head"], init_lora_weights=False)
    adapted = get_peft_model(base, lora).double()
    reader = Reader(adapted)
    sequence, choices = [1, 2, 3, 4], torch.tensor([[5, 6], [7, 8]])
    hidden = Rows(reader, reader.prefix(PREFIX), 1).read([[*PREFIX, *sequence]], [[4, 6]])
    with torch.inference_mode():
        expected = adapted(input_ids=torch.tensor([[*PREFIX, *sequence]])).logits[0, [4, 6]]
        unadapted = model(input_ids=torch.tensor([[*PREFIX, *sequence]])).logits[0, [4, 6]]
    torch.testing.assert_close(reader.head.logits(hidden), expected)
    torch.testing.assert_close(reader.head.logits_of(hidden, choices), expected.gather(1, choices))
    assert not torch.allclose(expected, unadapted)


def test_too_long_a_sequence_is_refused(reader):
    rows = Rows(reader, reader.prefix([]), 1)
    rows.read([[1] * 200], [[199]])
    with pytest.raises(ModelError, match="201 tokens is longer than the model's context of 200"):
        rows.read([[1] * 201], [[200]])


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_a_sliding_window_sees_tokens_and_not_slots(data):
    """Holes between a row's tokens take no place in its window."""
    rows = Rows(Reader(WINDOWED), Reader(WINDOWED).prefix([]), 2)
    before = [[], []]
    for _ in range(3):
        asked = [data.draw(sequences(each)) for each in before]
        hidden = rows.read([s for s, _ in asked], [w for _, w in asked])
        expected = torch.cat([fresh(WINDOWED, s, w) for s, w in asked])
        torch.testing.assert_close(hidden, expected, rtol=0, atol=1e-9)
        before = [s for s, _ in asked]


def test_a_model_without_a_head_is_refused():
    with pytest.raises(ModelError, match="LlamaModel has no language-model head"):
        Reader(LlamaModel(LlamaConfig(**SMALL)))
