"""Configs that come with raybio are found by name, from any folder."""

import pytest

from raybio.config import JOBS, load_config, load_job
from raybio.config.shipped import FOLDERS, find_config, shipped_configs
from raybio.errors import ConfigError, UsageError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_folder_is_of_a_job_and_every_config_of_its_folders_job():
    assert set(FOLDERS.values()) == set(JOBS)
    for name, file in shipped_configs().items():
        assert f"\njob: {FOLDERS[name.partition('/')[0]]}\n" in f"\n{file.read_text(encoding='utf-8')}"


@pytest.mark.parametrize(
    "name",
    [
        "minilm_bc5cdr",
        "minilm_bc5cdr.yaml",
        "train_encoder/minilm_bc5cdr",
        "configs/train_encoder/minilm_bc5cdr.yaml",
    ],
)
def test_a_job_finds_its_own_by_any_of_its_names(name):
    config = load_job(JOBS["train-encoder"], name, ["corpus.name=sample"])
    assert (config.job, config.model) == ("train-encoder", "bundled:minilm")


def test_a_file_of_ones_own_comes_first(tmp_path):
    (tmp_path / "minilm_bc5cdr").write_text("job: train-encoder\nmodel: mine\ncorpus: {name: sample}\n")
    assert load_config("minilm_bc5cdr").model == "mine"


def test_a_folder_of_that_name_does_not(tmp_path):
    (tmp_path / "paper").mkdir()
    assert find_config("paper", ["run-study"]) == shipped_configs()["study/paper"]


def test_one_name_of_several_configs_is_refused_with_all_of_them():
    with pytest.raises(
        UsageError, match=r"Give one of adapt_encoder/minilm_bc5cdr, train_encoder/minilm_bc5cdr"
    ):
        load_config("minilm_bc5cdr")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("minilm_bc5cd", "did you mean 'minilm_bc5cdr'?"),
        ("study/smok.yaml", "did you mean 'study/smoke'?"),
        ("", "check the path, or see `raybio configs list`"),
    ],
)
def test_a_name_of_none_says_which_may_be_meant(name, remedy):
    with pytest.raises(ConfigError) as raised:
        load_config(name or "no.yaml")
    assert raised.value.faults == [f"no such file; {remedy}"]
