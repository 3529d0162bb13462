"""The options of the serving benchmark: names that tell apart, and models named after corpora."""

from pathlib import Path

import pytest

from raybio.config import BenchmarkServeConfig, CorpusSection, ServedModelSection, job_of, load_config
from raybio.config.benchmark_serve import served_on
from raybio.config.corpus import corpus_name
from raybio.config.decoding import DecodingSection
from raybio.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "benchmark_serve"
MODEL = {"name": "m", "model": "runs/m/model"}


def config(**options):
    given = {"models": [MODEL], "corpora": [{"name": "BC5CDR"}], **options}
    return job_of(BenchmarkServeConfig, given, source="test")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"models": [MODEL, MODEL]}, "models: found 'm' more than once"),
        (
            {"corpora": [{"name": "BC5CDR"}, {"name": "BC5CDR", "max_documents": 5}]},
            "found 'BC5CDR' more than once",
        ),
        ({"models": []}, "models"),
        ({"scaling": {"replicas": [2, 4]}}, "allowed: rising numbers from 1"),
        ({"scaling": {"replicas": [1, 4, 2]}}, "allowed: rising numbers from 1"),
        ({"server": {"rates": [0]}}, "server.rates"),
        ({"offline": {"window": 0}}, "offline.window: found 0; allowed: whole number, at least 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, fault):
    with pytest.raises(ConfigError) as caught:
        config(**options)
    assert fault in str(caught.value)


def test_the_studys_gold_is_a_corpus_of_its_own():
    both = config(corpora=[{"name": "ChemProt"}, {"name": "ChemProt", "protocol": "study"}])
    assert [corpus_name(corpus) for corpus in both.corpora] == ["ChemProt", "ChemProt-study"]


def test_files_are_called_by_their_folder():
    files = CorpusSection(train="data/mine/a.tsv", dev="data/mine/b.tsv", test="data/mine/c.tsv")
    assert corpus_name(files) == "mine"


def test_a_model_is_named_after_the_corpus_where_it_says_so():
    draft = DecodingSection(draft="encoder", draft_model="runs/e-{corpus}/model")
    model = ServedModelSection(name="m", model="runs/m-{corpus}/model", decoding=draft, gpus=0.5)
    served = served_on(model, CorpusSection(name="JNLPBA"))
    assert (served.model, served.decoding.draft_model) == ("runs/m-JNLPBA/model", "runs/e-JNLPBA/model")
    assert (served.name, served.gpus, served.decoding.draft) == ("m", 0.5, "encoder")
    plain = ServedModelSection(name="m", model="runs/m/model")
    assert served_on(plain, CorpusSection(name="JNLPBA")) == plain


def test_the_matrix_holds_every_model_and_corpus_of_the_study():
    matrix = load_config(CONFIGS / "study_matrix.yaml")
    assert isinstance(matrix, BenchmarkServeConfig)
    assert [corpus.name for corpus in matrix.corpora] == [
        "JNLPBA",
        "BioRED",
        "ChemProt",
        "BC5CDR",
        "Reddit-Impacts",
    ]
    folders = {served_on(model, matrix.corpora[0]).model for model in matrix.models}
    assert folders == {
        f"runs/{name}-JNLPBA/model"
        for name in (
            "bert_large_cased",
            "bert_large_uncased",
            "biomedbert_large",
            "deberta_v3_large",
            "mistral_7b",
            "llama_8b",
        )
    }
    llms = [model for model in matrix.models if model.precision == "4bit"]
    assert {model.decoding.mode for model in llms} == {"greedy", "verified-tags"}
