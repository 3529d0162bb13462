"""One config that stands for many."""

import pytest

from raybio.config import resolved, sweep_points

GRID = """\
sweep:
  training.learning_rate: [1e-5, 2e-5, 1]
  training.batch_size: [4, 8]
"""


def test_points_are_all_combinations_the_last_key_fastest(train):
    points = sweep_points(train(GRID + "seed: 7\n"))
    assert [(p.training.learning_rate, p.training.batch_size) for p in points] == [
        (1e-5, 4),
        (1e-5, 8),
        (2e-5, 4),
        (2e-5, 8),
        (1.0, 4),
        (1.0, 8),
    ]
    assert all(type(p.training.learning_rate) is float for p in points)
    assert {(p.seed, p.corpus.name, p.training.epochs, len(p.sweep)) for p in points} == {
        (7, "BC5CDR", 20, 0)
    }


def test_a_point_equals_the_config_written_out(train):
    assert sweep_points(train(GRID))[1] == train("training: {learning_rate: 1e-5, batch_size: 8}\n")


def test_a_config_without_a_sweep_is_its_only_point(train):
    config = train("seed: 3\n")
    assert sweep_points(config) == [config]


def test_named_points_have_names_of_their_own(train):
    assert [p.name for p in sweep_points(train("name: a\nsweep: {seed: [1, 2, 3]}\n"))] == [
        "a-1",
        "a-2",
        "a-3",
    ]
    assert [p.name for p in sweep_points(train("sweep: {seed: [1, 2]}\n"))] == [None, None]


def test_top_level_and_nested_keys_and_null_may_be_swept(train):
    points = sweep_points(train("sweep: {seed: [1, 2], training.max_grad_norm: [null, 1], model: [a]}\n"))
    assert [(p.seed, p.training.max_grad_norm, p.model) for p in points] == [
        (1, None, "a"),
        (1, 1.0, "a"),
        (2, None, "a"),
        (2, 1.0, "a"),
    ]


def test_every_bad_key_and_value_is_reported_with_its_line(faults, train):
    text = """\
sweep:
  training.learning_rate:
    - 1e-5
    - 0
    - fast
  training.learnin_rate: [1]
  training: [1]
  name: [a, b]
  training.early_stopping_patience: []
  training.epochs: 3
  training.precision: [fp32, bf61]
"""
    assert faults(train, text) == [
        "line 7: sweep.training.learning_rate[1]: found 0; allowed: number, more than 0",
        "line 8: sweep.training.learning_rate[2]: found 'fast'; allowed: number, more than 0",
        "line 9: sweep.training.learnin_rate: unknown key; did you mean 'learning_rate'?",
        "line 10: sweep.training: names a section; sweep one of its keys",
        "line 11: sweep.name: cannot be swept",
        "line 12: sweep.training.early_stopping_patience: found []; allowed: a list of the values to try",
        "line 13: sweep.training.epochs: found 3; allowed: a list of the values to try",
        "line 14: sweep.training.precision[1]: found 'bf61'; allowed: one of auto, fp32, bf16, fp16;"
        " did you mean 'bf16'?",
    ]


def test_values_that_only_clash_together_are_found_before_anything_runs(faults, train):
    text = "sweep:\n  seed: [1, 2]\n  training.max_length: [512, 100]\n"
    assert faults(train, text) == [
        "line 4: sweep: with seed=1, training.max_length=100: training.stride: found 64;"
        " allowed: at most half of max_length, which is 100"
    ]
    assert len(sweep_points(train(text + "training: {stride: 50}\n"))) == 4


def test_a_sweep_has_an_end(faults, train):
    many = list(range(1, 33))
    assert faults(train, f"sweep: {{seed: {many}, training.epochs: {many}}}\n") == [
        "line 4: sweep: 1,024 combinations; allowed: at most 1,000"
    ]


@pytest.mark.parametrize("sweep", ["3", "[a]", "null"])
def test_a_sweep_is_a_mapping(faults, train, sweep):
    (fault,) = faults(train, f"sweep: {sweep}\n")
    assert "allowed: mapping of names to list" in fault


def test_an_override_sets_one_key_of_the_sweep(faults, train):
    config = train(GRID, "sweep.training.batch_size=[32]", "sweep.seed=[1,2]")
    assert resolved(config)["sweep"] == {
        "training.learning_rate": [1e-5, 2e-5, 1],
        "training.batch_size": [32],
        "seed": [1, 2],
    }
    assert train(GRID, "sweep={}").sweep == {}
    assert faults(train, GRID, "sweep.training.epochs=[0]") == [
        "override 'sweep.training.epochs=[0]': sweep.training.epochs[0]: found 0;"
        " allowed: whole number, at least 1"
    ]
