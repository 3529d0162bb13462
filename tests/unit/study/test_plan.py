"""Plans: every run, what it rests on, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from raybio.config import TrainEncoderConfig, job_of, load_config, load_job
from raybio.config.study import EstimateSection, StudyConfig
from raybio.errors import ConfigError
from raybio.reports.published import INSTANCES
from raybio.study.estimate import (
    CorpusSize,
    cascade_hours,
    estimated,
    measured,
    scoring_hours,
    together,
    training_hours,
)
from raybio.study.plan import plan_study

ROOT = Path(__file__).resolve().parents[3]
BERT = ROOT / "configs/train_encoder/bert_large_cased.yaml"


@pytest.fixture
def in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("RAYBIO_DATA", raising=False)


def shipped(name, *overrides):
    return load_job(StudyConfig, f"configs/study/{name}.yaml", overrides)


# Estimates --------------------------------------------------------------------------------------


def test_a_measured_speed_is_sentences_times_epochs():
    config = load_job(TrainEncoderConfig, BERT, ["training.epochs=2", "sweep={}"])
    work = CorpusSize({"train": 3600, "dev": 1800, "test": 900}, 20.0)
    speed = measured(1.0, 20.0, work)  # one second to learn a sentence, a third of one to tag it
    assert training_hours(config, work, speed) == pytest.approx(2 * 1.0 + 3 * 0.5 / 3)
    assert scoring_hours(work, speed) == pytest.approx(0.25 / 3)


def test_a_measured_speed_goes_with_the_words_of_a_sentence():
    speed = measured(2.0, 26.0, CorpusSize({}, 130.0))
    assert speed.learn == pytest.approx(5 / 2) and speed.read == pytest.approx(5 / 6)
    assert speed.basis == "measured by you, at 26 words a sentence"


def test_a_cascade_reads_dev_twice_and_test_once():
    work = CorpusSize({"train": 1, "dev": 1_000, "test": 1_600}, 26.0)
    encoder, decoder = measured(1.0, 26.0, work), measured(0.1, 26.0, work)
    hours = cascade_hours(work, encoder, decoder, 0.2)
    assert hours == pytest.approx(3_600 * (1 / 3 + 0.2 * 10 / 3) / 3_600)
    assert cascade_hours(work, encoder, replace(decoder, read=None), 0.2) is None


def test_an_estimated_speed_is_arithmetic():
    config = load_job(TrainEncoderConfig, BERT, ["sweep={}"])
    by = EstimateSection(peak_tflops=100.0, utilization=0.5)
    work = CorpusSize({"train": 1, "dev": 1, "test": 1}, 20.0)
    speed = estimated(config, "BC5CDR", work, 1_000_000, 2, by)
    assert speed.learn == pytest.approx(6 * 1e6 * 30 / (2 * 50e12))
    assert speed.read == pytest.approx(speed.learn / 3)


def test_a_greedy_llm_is_scored_as_slowly_as_was_published():
    path = ROOT / "configs/train_decoder/mistral_7b_2gpu.yaml"
    config = load_config(path, ["sweep={}", "dev.mode=greedy"])
    work = CorpusSize({"train": 1, "dev": 1, "test": 1}, 20.0)
    speed = estimated(config, "ChemProt-study", work, 7_000_000_000, 2, EstimateSection())
    assert speed.read == 2.2937 and "Table IV" in speed.basis
    other = estimated(config, "mine", work, 7_000_000_000, 2, EstimateSection())
    assert other.read is None and scoring_hours(work, other) is None and "left out" in other.basis


# Plans ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_the_checkout")
def test_the_paper_is_planned_without_corpora_models_or_network():
    plan = plan_study(shipped("paper"))
    # Grids, a test for each cell, and a measurement: two for LLMs, which have two decode modes.
    assert len(plan.runs) == 6 * 4 * 12 + 6 * 2 * 2 + 36 + (6 * 4 + 6 * 2 * 2)
    of_mistral = [run for run in plan.runs if run.model == "mistral_7b"]
    assert {run.gpus for run in of_mistral if not run.name.endswith("-measured")} == {2}
    assert {run.gpus for run in of_mistral if run.name.endswith("-measured")} == {1}
    assert {run.gpus for run in plan.runs if run.model == "bert_large_cased"} == {1}
    trained = [run for run in plan.runs if run.what.startswith("rate")]
    assert all(run.hours and run.dollars for run in trained)
    assert len({run.name for run in plan.runs}) == len(plan.runs)
    text = plan.text()
    assert "16,807 train, 1,739 dev, 3,856 test, published (Table I)" in text
    assert "assumed: a GPU does 30% of 989.4" in text and "estimated from 434 million parameters" in text


@pytest.mark.usefixtures("in_the_checkout")
def test_cascades_and_what_is_measured_of_them_are_planned():
    plan = plan_study(shipped("small", "measure.scaling.replicas=[1,2]"))
    of_cascade = [run for run in plan.runs if run.model == "cascade" and run.corpus == "JNLPBA"]
    assert [run.name for run in of_cascade] == ["cascade-JNLPBA-s1", "cascade-JNLPBA-measured"]
    assert of_cascade[0].hours and [run.cpus for run in of_cascade] == [2, 4]
    measured_as = {run.name for run in plan.runs if run.name.endswith("BC5CDR-measured")}
    assert {name.removesuffix("-BC5CDR-measured") for name in measured_as} == {
        *("minilm", "smollm2-verified-tags", "smollm2-tags", "cascade")
    }


@pytest.mark.usefixtures("in_the_checkout")
def test_a_part_of_dev_is_planned_where_it_stands_in_for_train():
    plan = plan_study(shipped("small", "corpora=[{name: ChemProt, train_from_dev: 0.75}]",
                              "models=[{name: minilm, config: configs/train_encoder/minilm_bc5cdr.yaml}]",
                              "cascades=[]"))  # fmt: skip
    published = INSTANCES["ChemProt"]
    train = round(0.75 * published.dev)
    reported = f"{train:,} train, {published.dev - train:,} dev, {published.test:,} test, published"
    assert any(reported in line for line in plan.basis)


@pytest.mark.usefixtures("in_the_checkout")
def test_corpora_that_are_here_are_counted_beside_the_published_figures(corpora):
    plan = plan_study(shipped("small", f"corpora=[{{name: BioRED, instance_words: 145, data: '{corpora}'}}]",
                              "models=[{name: minilm, config: configs/train_encoder/minilm_bc5cdr.yaml}]",
                              "cascades=[]"))  # fmt: skip
    assert any("1,049 train, 277 dev, 273 test, counted" in line for line in plan.basis)
    assert any("published: 1,051 train, 269 dev, 273 test" in line for line in plan.basis)
    assert plan.runs[0].hours is None  # no speed was measured, and a CPU's is not estimated


@pytest.mark.usefixtures("in_the_checkout")
def test_all_that_the_preflight_refuses_is_refused_at_once():
    models = (
        "models=[{name: a, config: configs/train_decoder/mistral_7b_1gpu.yaml, "
        "options: {training.max_length: 40000, training.max_batch_tokens: 40000, "
        "lora.target_modules: [qq]}}, "
        "{name: b, config: configs/train_encoder/minilm_bc5cdr.yaml, options: {model: ./nowhere}}]"
    )
    with pytest.raises(ConfigError) as error:
        plan_study(shipped("paper", models, "cascades=[]", "corpora=[{name: BC5CDR}]"))
    faults = error.value.faults
    assert len(faults) == 3
    assert "a: length over the model's limit" in faults[0] and "a: targets that the model lacks" in faults[1]
    assert faults[2].startswith("b: ") and "nowhere" in faults[2]


@pytest.mark.usefixtures("in_the_checkout")
def test_the_machine_must_be_on_the_price_list():
    with pytest.raises(ConfigError, match=r"estimate.machine: found 'p9'"):
        plan_study(shipped("paper", "estimate.machine=p9"))


CPU_STUDY = (
    "models=[{name: minilm, config: configs/train_encoder/minilm_bc5cdr.yaml, sentences_per_second: 33}]",
    "corpora=[{name: BC5CDR}]",
    "measure.enabled=false",
)


@pytest.mark.usefixtures("in_the_checkout")
def test_two_cores_are_not_priced_as_a_machine_of_eight_gpus():
    plan = plan_study(shipped("paper", *CPU_STUDY))
    trained = [run for run in plan.runs if run.hours]
    assert trained and all(run.gpus == 0 for run in trained)
    for run in trained:
        assert run.dollars == pytest.approx(run.hours * run.cpus / 8 * 0.357)  # c7i.2xlarge, by its share
    (price,) = [line for line in plan.basis if line.startswith("price: ")]
    assert price.startswith("price: c7i.2xlarge (8 vCPUs)")


@pytest.mark.usefixtures("in_the_checkout")
def test_a_study_of_both_kinds_names_a_machine_of_each():
    plan = plan_study(shipped("paper", "cascades=[]", CPU_STUDY[0].replace(
        "]", ", {name: bert, config: configs/train_encoder/bert_large_cased.yaml}]")))  # fmt: skip
    prices = [line.split()[1] for line in plan.basis if line.startswith("price: ")]
    assert sorted(prices) == ["c7i.2xlarge", "p5.48xlarge"]


@pytest.mark.usefixtures("in_the_checkout")
def test_a_plan_without_an_estimate_sums_nothing():
    text = plan_study(shipped("smoke")).text()
    assert "9 runs, none with an estimate. What is known" in text
    assert "take 0.0 hours" not in text


def test_corpora_together_are_read_as_one():
    parts = [
        CorpusSize({"train": 10, "dev": 2, "test": 3}, 20.0),
        CorpusSize({"train": 30, "dev": 5, "test": 0}, 28.0),
    ]
    words = (15 * 20 + 35 * 28) / 50
    assert together(parts) == CorpusSize({"train": 40, "dev": 7, "test": 3}, pytest.approx(words))


def test_a_model_of_all_corpora_is_planned_once(in_the_checkout, tmp_path):
    rows = "\n\n".join(["Aspirin\tB-Drug\nhelps\tO"] * 4) + "\n"
    (tmp_path / "all.tsv").write_text(rows)
    files = dict.fromkeys(("train", "dev", "test"), str(tmp_path / "all.tsv"))
    speed = {"sentences_per_second": 2.0, "words_per_sentence": 2.0}
    model = {"config": "configs/train_encoder/minilm_bc5cdr.yaml", **speed}
    study = job_of(
        StudyConfig,
        {
            "name": "two",
            "corpora": [{**files, "title": "a"}, {**files, "title": "b", "max_train_documents": 2}],
            "models": [{"name": "each", **model}, {"name": "all", "together": True, **model}],
            "options": {"training.epochs": 1},
        },
        "the tests",
    )
    hours = {
        (run.model, run.corpus): run.hours for run in plan_study(study).runs if run.what.startswith("rate")
    }
    assert list(hours) == [("each", "a"), ("each", "b"), ("all", "a-b")]
    assert hours["all", "a-b"] == pytest.approx(hours["each", "a"] + hours["each", "b"])
