"""A config as data, as YAML, as a hash and as a table."""

import json
import re

import pytest

from raybio.config import (
    JOBS,
    JobConfig,
    TrainDecoderConfig,
    TrainEncoderConfig,
    config_hash,
    describe,
    resolved,
    to_yaml,
)
from raybio.config.options import options

FULL = "name: NO\ntraining: {learning_rate: 1}\nsweep: {training.learning_rate: [5e-5, 1]}\noutput: '5e-5'\n"


def test_resolved_is_plain_data_with_every_option(train, tag):
    for config in (train(FULL), tag("formats: [brat]\n")):
        data = resolved(config)
        assert json.loads(json.dumps(data)) == data
        for option in options(type(config)):
            value = data
            for name in option.key.split(".") if "[]" not in option.key else ():
                value = value[name]


def test_resolved_data_makes_the_same_config_in_a_worker(train, tag):
    for config in (train(FULL), tag("formats: [brat]\n")):
        assert type(config).model_validate(resolved(config)) == config


def test_yaml_reads_back_to_the_same_config(load, train, train_decoder, tag):
    short = train_decoder("prompt: {aliases: {'NO': N, a.b: ab}}\nquantization: {bits: 16}\n")
    for config in (train(FULL), short, tag("", "input=['*.xml', yes, '010', ü]")):
        assert load(to_yaml(config)) == config


def test_the_hash_is_twelve_digits_and_sees_values_only(load, train):
    config = train("seed: 2\ntraining: {weight_decay: 1, epochs: 3}\n")
    same = load(
        "# a comment\ntraining:\n  epochs: 3\n  weight_decay: 1.0\ncorpus:\n  name: 'BC5CDR'\n"
        "seed: 2\nmodel: bundled:minilm\nworkers: {cpus_per_worker: 1}\njob: train-encoder\n"
    )
    assert re.fullmatch("[0-9a-f]{12}", config_hash(config))
    assert config_hash(config) == config_hash(same)
    assert config_hash(config) != config_hash(train("seed: 2\n"))


def test_the_hash_of_sections_sees_those_only(train):
    one, other = train("seed: 1\n"), train("seed: 2\n")
    assert config_hash(one, "model", "training") == config_hash(other, "training", "model")
    assert config_hash(one, "model", "seed") != config_hash(other, "model", "seed")
    with pytest.raises(KeyError):
        config_hash(one, "trainig")


def test_a_known_hash(tag):
    # sha256sum of {"model":"runs/x/model","skip_passages":["vernacular_title","other_abstract"]}
    assert config_hash(tag(), "model", "skip_passages") == "ddb54c075790"


@pytest.mark.parametrize("config_class", JOBS.values())
def test_the_table_lists_every_option_in_one_row(config_class: type[JobConfig]):
    header, rule, *rows = describe(config_class).splitlines()
    assert rule == "|---|---|---|---|"
    assert [row.split("`")[1] for row in rows] == [option.key for option in options(config_class)]
    assert {row.count("|") for row in [header, *rows]} == {5}
    for option in options(config_class):
        assert option.description
        assert option.allowed


def test_rows_say_what_is_allowed_and_the_default():
    table = describe(TrainEncoderConfig)
    assert "| `model` | non-empty text | required |" in table
    assert "| `training.learning_rate` | number, more than 0 | 3e-05 |" in table
    assert "| `training.max_grad_norm` | null or number, more than 0 | 1.0 |" in table
    assert "| `training.lr_scheduler_type` | one of linear, constant | linear |" in table
    assert "| `training.max_length` | whole number, at least 16 | 512 |" in table
    assert "| `test` | true or false | true |" in table
    table = describe(TrainDecoderConfig)
    assert "| `quantization.bits` | one of 4, 16, 32 | 4 |" in table
    assert "| `prompt.aliases` | mapping of names to text | {} |" in table
    assert "'down_proj', 'lm_head'] |" in table
