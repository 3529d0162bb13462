import copy
import dataclasses
import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import tiny_llama_config
from transformers import AutoModelForTokenClassification, LlamaForCausalLM

from raybio.training import steps
from raybio.training.steps import IGNORED, Example

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tiny_encoder):
    return AutoModelForTokenClassification.from_pretrained(tiny_encoder).eval()


def example(length, mark=0):
    return Example([mark] * length, [1] * length)


# Order ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(), max_size=50), st.integers(1, 20), st.integers(0, 9))
def test_shuffling_keeps_everything_and_is_decided_by_the_seed(items, buffer, seed):
    once = list(steps.shuffled(items, buffer, seed))
    assert Counter(once) == Counter(items)
    assert once == list(steps.shuffled(iter(items), buffer, seed))
    for i in range(0, len(items), buffer):
        assert Counter(once[i : i + buffer]) == Counter(items[i : i + buffer])


def test_another_seed_is_another_order():
    assert list(steps.shuffled(range(100), 100, 1)) != list(steps.shuffled(range(100), 100, 2))
    assert list(steps.shuffled(range(100), 100, 1)) != list(range(100))


@given(st.lists(st.integers(1, 30), max_size=200), st.integers(1, 3), st.booleans(), st.integers(0, 9))
@settings(max_examples=50)
def test_batches_hold_everything_once_and_are_decided_by_the_seed(lengths, size, by_length, seed):
    examples = [example(length, mark) for mark, length in enumerate(lengths)]
    made = list(steps.batches(examples, size, seed, by_length))
    assert sorted(one.ids[0] for batch in made for one in batch) == list(range(len(lengths)))
    assert made == list(steps.batches(iter(examples), size, seed, by_length))
    assert all(1 <= len(batch) <= size for batch in made)
    for batch in made:
        assert [len(one.ids) for one in batch] == sorted(len(one.ids) for one in batch)


def test_batches_by_length_have_less_padding():
    examples = [example(1 + (17 * i) % 50) for i in range(320)]

    def padded(by_length):
        made = steps.batches(examples, 16, 1, by_length)
        return sum(len(batch) * len(batch[-1].ids) for batch in made)

    assert padded(True) < 1.1 * sum(len(one.ids) for one in examples) < padded(False)


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 100))
def test_micro_batches_keep_the_budget_and_the_order(lengths, budget):
    batch = [example(length, mark) for mark, length in enumerate(sorted(lengths))]
    parts = list(steps.micro_batches(batch, budget))
    assert [one for part in parts for one in part] == batch
    for part in parts:
        assert len(part) == 1 or len(part) * max(len(one.ids) for one in part) <= budget


# Arithmetic -------------------------------------------------------------------------------------


def test_collate_pads_at_the_end():
    tensors = steps.collate([Example([5, 6, 7], [1, 2, 3]), Example([8], [4])], 0, CPU)
    assert tensors["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert tensors["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert tensors["labels"].tolist() == [[1, 2, 3], [4, IGNORED, IGNORED]]


@pytest.fixture(scope="module")
def batch():
    def labels(length):
        return [i % 5 if i % 3 else IGNORED for i in range(length)]

    lengths = (2, 4, 6, 11, 23)
    return [Example([5 + (i * length) % 20 for i in range(length)], labels(length)) for length in lengths]


def loss_and_gradients(model, parts):
    model = copy.deepcopy(model)
    losses = [steps.summed_loss(model, steps.collate(part, 0, CPU)) for part in parts]
    for loss in losses:
        loss.backward()
    gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return sum(loss.item() for loss in losses), gradients


def test_a_loss_is_the_sum_over_labelled_subwords(model, batch):
    tensors = steps.collate(batch, 0, CPU)
    logits = model(input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"]).logits
    picked = [
        -logits[row, column].log_softmax(-1)[label].item()
        for row, one in enumerate(batch)
        for column, label in enumerate(one.labels)
        if label != IGNORED
    ]
    assert steps.labelled(batch) == len(picked)
    assert steps.summed_loss(model, tensors).item() == pytest.approx(sum(picked), rel=1e-5)


@pytest.mark.parametrize("budget", [1, 60, 100_000])
def test_micro_batches_add_up_to_the_whole_batch(model, batch, budget):
    whole_loss, whole = loss_and_gradients(model, [batch])
    loss, gradients = loss_and_gradients(model, list(steps.micro_batches(batch, budget)))
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    torch.testing.assert_close(gradients, whole, rtol=1e-3, atol=1e-4)


def test_two_workers_shares_add_up_to_the_whole_batch(model, batch):
    whole_loss, whole = loss_and_gradients(model, [batch])
    shares = [loss_and_gradients(model, [batch[rank::2]]) for rank in range(2)]
    assert sum(loss for loss, _ in shares) == pytest.approx(whole_loss, rel=1e-5)
    torch.testing.assert_close(shares[0][1] + shares[1][1], whole, rtol=1e-3, atol=1e-4)


def test_a_batch_without_labels_costs_nothing_and_teaches_nothing(model):
    loss, gradients = loss_and_gradients(model, [[Example([1, 2], [IGNORED, IGNORED])]])
    assert loss == 0
    assert not gradients.any()


# Completions ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def writer():
    torch.manual_seed(0)
    return LlamaForCausalLM(tiny_llama_config()).eval()


def test_each_labelled_token_is_predicted_from_those_before_it(writer):
    batch = [Example([5, 6, 7, 8], [IGNORED, IGNORED, 7, 8]), Example([9, 4, 3], [IGNORED, IGNORED, 3])]
    one_by_one = sum(
        -writer(torch.tensor([one.ids[:i]])).logits[0, -1].log_softmax(-1)[one.ids[i]].item()
        for one in batch
        for i in range(2, len(one.ids))
    )
    assert steps.causal_loss(writer, steps.collate(batch, 0, CPU)).item() == pytest.approx(
        one_by_one, rel=1e-5
    )


def test_a_part_without_labels_has_gradients_of_zero(writer):
    model = copy.deepcopy(writer)
    steps.causal_loss(model, steps.collate(steps.blank(0), 0, CPU)).backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_targets_that_are_sure_of_the_labels_teach_what_the_labels_do(model):
    labels = [[IGNORED, 1, 2, IGNORED], [IGNORED, 0, IGNORED]]
    hard = [Example(list(range(5, 5 + len(one))), one) for one in labels]
    tags = model.config.num_labels
    sure = [
        Example(one.ids, one.labels, [[float(label == tag) for tag in range(tags)] for label in one.labels])
        for one in hard
    ]
    losses = [steps.summed_loss(model, steps.collate(part, 0, CPU)).item() for part in (hard, sure)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_targets_teach_between_two_labels(model):
    """The loss of shares is the mean of the labels' losses, by these shares."""
    tags = model.config.num_labels
    one, two = (steps.collate([Example([5, 6], [IGNORED, label])], 0, CPU) for label in (1, 3))
    shares = [0.0] * tags
    shares[1], shares[3] = 0.75, 0.25
    both = steps.collate([Example([5, 6], [IGNORED, 1], [[0.0] * tags, shares])], 0, CPU)
    first, second, mixed = (steps.summed_loss(model, tensors).item() for tensors in (one, two, both))
    assert mixed == pytest.approx(0.75 * first + 0.25 * second, rel=1e-5)


# Optimizer and schedule -------------------------------------------------------------------------


def test_only_matrices_decay(model):
    optimizer = steps.optimizer_for(model.parameters(), 1e-3, 0.01)
    decayed, spared = optimizer.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert all(
        names[id(p)].endswith(".weight") and "LayerNorm" not in names[id(p)] for p in decayed["params"]
    )
    assert all(names[id(p)].endswith(".bias") or "LayerNorm" in names[id(p)] for p in spared["params"])
    assert len(decayed["params"]) + len(spared["params"]) == len(names)
    assert optimizer.defaults["lr"] == 1e-3


def test_frozen_weights_are_left_to_themselves():
    model = torch.nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    assert [
        len(group["params"]) for group in steps.optimizer_for(model.parameters(), 1.0, 0.1).param_groups
    ] == [1]


@pytest.mark.parametrize(
    ("kind", "total", "warmup", "rates"),
    [
        ("linear", 4, 0, [1, 0.75, 0.5, 0.25, 0, 0]),
        ("linear", 6, 2, [0.5, 1, 1, 0.75, 0.5, 0.25, 0]),
        ("linear", 3, 3, [1 / 3, 2 / 3, 1, 0]),
        ("constant", 4, 2, [0.5, 1, 1, 1, 1]),
    ],
)
def test_the_learning_rate_rises_and_falls(kind, total, warmup, rates):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=10.0)
    schedule = steps.schedule_for(optimizer, kind, total, warmup)
    found = []
    for _ in rates:
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert found == pytest.approx([10 * rate for rate in rates])


# What an epoch reads ----------------------------------------------------------------------------


def test_passes_count_steps_tokens_with_padding_and_the_largest_pass():
    cut = [[example(2), example(5)], [example(3), example(3), example(7)]]
    assert steps.passes_of(cut, budget=100) == steps.Passes(steps=2, tokens=10 + 21, rows=3, longest=7)
    # 3 + 3 and 7 are passes of their own where ten tokens are all that one reads.
    assert steps.passes_of(cut, budget=10) == steps.Passes(steps=2, tokens=10 + 6 + 7, rows=2, longest=5)


def test_passes_are_those_of_the_first_of_several_workers():
    cut = [[example(2), example(5), example(6)]]
    assert steps.passes_of(cut, budget=100, world=2) == steps.Passes(steps=1, tokens=12, rows=2, longest=6)


# Silence ----------------------------------------------------------------------------------------

TAGS = 5


def silent(example, *may_be):
    return dataclasses.replace(
        example, allowed=[tag == steps.OUTSIDE or tag in may_be for tag in range(TAGS)]
    )


def test_without_silence_the_loss_is_todays_to_the_bit(model, batch):
    tensors = steps.collate(batch, 0, CPU)
    assert "allowed" not in tensors
    logits = model(input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"]).logits
    today = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), tensors["labels"].flatten(), ignore_index=IGNORED, reduction="sum"
    )
    assert torch.equal(steps.summed_loss(model, tensors), today)


def test_a_corpus_that_is_silent_teaches_as_ever_where_it_says_a_tag(model, batch):
    tagged = [[label or 1 for label in one.labels] for one in batch]
    said = [dataclasses.replace(one, labels=labels) for one, labels in zip(batch, tagged, strict=True)]
    expected_loss, expected = loss_and_gradients(model, [said])
    loss, gradients = loss_and_gradients(model, [[silent(one, 3, 4) for one in said]])
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    torch.testing.assert_close(gradients, expected, rtol=1e-3, atol=1e-4)


def test_a_complete_corpus_and_a_silent_one_share_a_batch(model, batch):
    mixed = [silent(one, 2, 3) if i % 2 else one for i, one in enumerate(batch)]
    parts = [[one] for one in mixed]
    whole_loss, whole = loss_and_gradients(model, [mixed])
    loss, gradients = loss_and_gradients(model, parts)
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    torch.testing.assert_close(gradients, whole, rtol=1e-3, atol=1e-4)
    assert whole_loss < loss_and_gradients(model, [batch])[0]


def test_where_all_is_allowed_nothing_is_taught(model):
    anything = silent(Example([5, 6, 7], [0, 0, IGNORED]), 1, 2, 3, 4)
    loss, gradients = loss_and_gradients(model, [[anything]])
    assert loss == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(gradients, torch.zeros_like(gradients), rtol=0, atol=1e-5)


@given(st.data())
@settings(max_examples=50)
def test_the_loss_is_that_of_every_sequence_that_a_corpus_allows(data):
    """By brute force: the sum over all sequences of tags, and its gradient, in double precision."""
    tags, words = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 3))
    number = st.floats(-8, 8).map(lambda value: round(value, 3))
    rows = data.draw(st.lists(st.lists(number, min_size=tags, max_size=tags), min_size=words, max_size=words))
    labels = data.draw(st.lists(st.integers(0, tags - 1), min_size=words, max_size=words))
    may_be = data.draw(st.lists(st.booleans(), min_size=tags, max_size=tags))
    allowed = torch.tensor([[tag == 0 or may_be[tag] for tag in range(tags)]] * words)
    logits = torch.tensor(rows, dtype=torch.float32, requires_grad=True)
    loss = steps.marginal_loss(logits, torch.tensor(labels), allowed)
    (gradient,) = torch.autograd.grad(loss, logits)

    exact = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    shares = exact.softmax(-1)
    total = sum(
        torch.stack([shares[word, tag] for word, tag in enumerate(sequence)]).prod()
        for sequence in itertools.product(range(tags), repeat=words)
        if all(
            tag == label or (label == 0 and allowed[0, tag])
            for tag, label in zip(sequence, labels, strict=True)
        )
    )
    (expected,) = torch.autograd.grad(-total.log(), exact)
    assert loss.item() == pytest.approx(-total.log().item(), rel=1e-4, abs=1e-5)
    torch.testing.assert_close(gradient, expected.float(), rtol=1e-3, atol=1e-5)
