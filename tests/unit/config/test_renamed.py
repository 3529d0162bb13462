"""Options under the names that they had first: refused from a user, read where raybio recorded them."""

from pathlib import Path

import pytest

from raybio.config import (
    JOBS,
    TrainEncoderConfig,
    changes,
    config_hash,
    job_of,
    load_config,
    load_recorded,
    resolved,
    with_present_names,
)
from raybio.config.options import options
from raybio.config.renamed import RENAMED, Renamed, with_first_names
from raybio.errors import ConfigError

OLD = Path(__file__).parents[2] / "data" / "before_versions" / "run" / "config.yaml"


def is_option(renamed: Renamed) -> bool:
    """Say whether some job has the option, or the section, under its present name."""
    paths = {
        tuple(option.key.replace("[]", "").split(".")) for job in JOBS.values() for option in options(job)
    }
    within = {path[:end][-2:] for path in paths for end in range(1, len(path) + 1)}
    return ((renamed.section, renamed.now) if renamed.section else (renamed.now,)) in within


@pytest.mark.parametrize("renamed", RENAMED, ids=lambda each: f"{each.section}.{each.before}")
def test_a_present_name_is_an_option_and_the_first_is_none(renamed):
    assert is_option(renamed)
    assert not is_option(renamed._replace(now=renamed.before))


def test_a_user_s_config_with_first_names_is_refused_with_the_present_ones():
    with pytest.raises(ConfigError) as error:
        load_config(OLD, ["training.average=0.9"])
    message = str(error.value)
    for key, now in (
        ("training.patience", "early_stopping_patience"),
        ("training.keep", "keep_checkpoint"),
        ("training.average", "ema_decay"),
        ("training.batch_order", "group_by_length"),
        ("workers.count", "num_workers"),
        ("corpus.limit", "max_documents"),
    ):
        assert f"{key}: unknown key; did you mean '{now}'?" in message


def test_a_first_name_in_another_section_is_just_unknown():
    with pytest.raises(ConfigError, match=r"corpus\.patience: unknown key; known here: name, data"):
        load_config(OLD, ["corpus.patience=1"])


def test_a_recorded_config_is_read_by_either_name():
    config = load_recorded(OLD)
    assert isinstance(config, TrainEncoderConfig)
    assert config.training.group_by_length and config.training.metric_for_best_model == "dev_strict_f1"
    assert (config.workers.num_workers, config.corpus.max_documents) == (1, None)


def test_hashes_are_of_the_first_names():
    """Run names and ledgers hold them: what was begun before the options were renamed is found."""
    config = load_recorded(OLD)
    first = with_first_names(resolved(config))
    assert first["training"]["batch_order"] == "sorted" and first["training"]["choose_by"] == "corrected"
    assert config_hash(config, "training", "corpus", "workers") == "8d904c7d5ce5"


def test_names_within_sweeps_options_and_lists_are_renamed_too():
    old = {
        "sweep": {"training.batch_sentences": [4, 8], "training.batch_order": ["sorted", "random"]},
        "corpora": [{"name": "sample", "limit": 3}],
        "models": [{"name": "a", "options": {"training.legal": True}, "drain_seconds": 3.0}],
        "options": {"workers.count": 2, "corpus.train_limit": 5},
    }
    new = {
        "sweep": {"training.batch_size": [4, 8], "training.group_by_length": [True, False]},
        "corpora": [{"name": "sample", "max_documents": 3}],
        "models": [
            {
                "name": "a",
                "options": {"training.constrained_decoding": True},
                "graceful_shutdown_timeout_s": 3.0,
            }
        ],
        "options": {"workers.num_workers": 2, "corpus.max_train_documents": 5},
    }
    assert with_present_names(old) == new
    assert with_first_names(new) == old
    assert with_present_names(new) == new


def test_there_and_back_is_the_same_config():
    minimal = {"model": "m", "corpus": {"name": "sample"}}
    config = job_of(TrainEncoderConfig, minimal, "test")
    back = job_of(TrainEncoderConfig, with_present_names(with_first_names(resolved(config))), "test")
    assert changes(config, back) == []
