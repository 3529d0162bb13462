"""What each job's config asks of a cluster."""

from pathlib import Path

import pytest

from raybio.config import load_config
from raybio.config.demand import Demand
from raybio.config.study_cells import demands

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


@pytest.mark.parametrize(
    ("name", "words", "asked"),
    [
        ("tag_corpus/pubmed", [], [(Demand("tagger", 1, 3, 1),)]),
        ("tag_corpus/cpu_int8", ["taggers.count=3"], [(Demand("tagger", 3, 1, 0),)]),
        ("train_decoder/llama_8b_2gpu", [], [(Demand("training worker", 2, 1, 1),)]),
        ("adapt_encoder/minilm_bc5cdr", [], [(Demand("training worker", 1, 2, 0),)]),
        ("train_encoder/minilm_bc5cdr", [], [(Demand("training worker", 1, 2, 0),)]),
        (
            "serve/compare",
            [],
            [(Demand("replica of minilm", 1, 1, 0), Demand("replica of smollm2", 1, 1, 0))],
        ),
        ("benchmark_serve/smoke", [], [(Demand("replica of minilm", 2, 1, 0),)]),
    ],
)
def test_a_config_asks_for_its_processes(name, words, asked):
    assert list(demands(load_config(CONFIGS / f"{name}.yaml", words))) == asked


def test_models_of_a_benchmark_come_one_after_the_other():
    config = load_config(CONFIGS / "benchmark_serve" / "study_matrix.yaml")
    assert [len(together) for together in demands(config)] == [1] * len(config.models)


def test_a_study_asks_for_each_of_its_runs_alone(monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    asked = demands(load_config(CONFIGS / "study" / "paper.yaml"))
    assert asked == [(Demand("training worker", 1, 1, 1),), (Demand("training worker", 2, 1, 1),)]


def test_a_demand_is_reported_in_words():
    assert str(Demand("tagger", 2, 4, 0.5)) == "2 tagger with 4 CPU and 0.5 GPU each"
    assert str(Demand("tagger", 1, 1, 0)) == "1 tagger with 1 CPU"
