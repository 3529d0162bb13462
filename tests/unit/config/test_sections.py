"""Options that must agree with each other."""

import pytest

from raybio.config import DecodingSection

FILES = "train: a.tsv, dev: b.tsv, test: c.tsv"


def corpus(section: str) -> str:
    return f"job: train-encoder\nmodel: m\ncorpus: {{{section}}}\n"


@pytest.mark.parametrize(
    "section",
    [
        "name: BC5CDR",
        "name: Reddit-Impacts, data: /corpora, protocol: study, max_documents: 5",
        "name: sample",
        FILES,
        f"{FILES}, format: iob2, max_documents: 1",
    ],
)
def test_a_corpus_is_a_name_or_three_files(load, section):
    assert load(corpus(section)).corpus


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", ["corpus.train: missing; give either name, or train, dev and test"]),
        ("max_documents: 5", ["corpus.train: missing; give either name, or train, dev and test"]),
        ("train: a.tsv, test: c.tsv", ["corpus.dev: missing; train, dev and test go together"]),
        (
            "name: BC5CDR, dev: b.tsv, format: iob2",
            [
                "corpus.dev: cannot go with name ('BC5CDR'); for files of your own: corpus.name=null",
                "corpus.format: cannot go with name ('BC5CDR'); for files of your own: corpus.name=null",
            ],
        ),
        (f"{FILES}, data: /corpora", ["corpus.data: goes with name only; give a name, or remove it"]),
        (
            "name: bc5, train: a.tsv",
            [
                "corpus.name: found 'bc5'; allowed: null or one of JNLPBA, BioRED, ChemProt, BC5CDR,"
                " Reddit-Impacts, sample; did you mean 'BC5CDR'?"
            ],
        ),
    ],
)
def test_a_corpus_in_both_forms_or_in_none_is_a_fault(faults, load, section, expected):
    assert faults(load, corpus(section)) == [f"line 3: {fault}" for fault in expected]


def test_a_dev_that_is_learned_chooses_nothing(faults, load):
    learned = corpus("name: BC5CDR, train_with_dev: true")
    fault = (
        "training: dev is trained on (corpus.train_with_dev), so that it can choose nothing; "
        "set keep_checkpoint to last and early_stopping_patience to 0, without a sweep"
    )
    good = "training: {keep_checkpoint: last, early_stopping_patience: 0}\n"
    assert load(learned + good).corpus.train_with_dev
    for training in ("", "training: {keep_checkpoint: last}\n", "training: {early_stopping_patience: 0}\n"):
        assert [found.removeprefix("line 4: ") for found in faults(load, learned + training)] == [fault]
    assert faults(load, learned + good + "sweep: {seed: [1, 2]}\n")
    halves = corpus("name: ChemProt, train_with_dev: true, train_from_dev: 0.5") + good
    assert faults(load, halves) == [
        "line 3: corpus.train_with_dev: cannot go with train_from_dev; keep one of the two"
    ]


def test_windows_overlap_by_half_at_most_even_when_the_overlap_is_the_default(faults, train):
    fault = "found 64; allowed: at most half of max_length, which is 100"
    assert faults(train, "training: {max_length: 100}") == [f"line 4: training.stride: {fault}"]
    assert train("training: {max_length: 100, stride: 50}").training.stride == 50


def test_a_batch_has_room_for_a_window(faults, train, tag):
    fault = "max_batch_tokens: found 500; allowed: at least max_length, which is 512"
    assert faults(train, "training: {max_batch_tokens: 500}") == [f"line 4: training.{fault}"]
    assert faults(train, "training: {max_length: 20000}")[0].startswith(
        "line 4: training.max_batch_tokens: found 16384"
    )
    assert tag("max_batch_tokens: null").max_batch_tokens is None


def test_a_pool_grows_to_at_least_what_it_starts_with(faults, tag):
    assert faults(tag, "taggers: {count: 3, max_count: 2}") == [
        "line 5: taggers.max_count: found 2; allowed: at least count, which is 3"
    ]
    assert tag("taggers: {count: 2, max_count: 2}").taggers.max_count == 2
    assert tag("taggers: {max_count: 2}").taggers.count is None


@pytest.mark.parametrize(
    ("formats", "written"),
    [
        ("[]", ("parquet",)),
        ("[brat]", ("parquet", "brat")),
        ("[jsonl, parquet, jsonl]", ("parquet", "jsonl")),
    ],
)
def test_parquet_is_always_written_and_nothing_twice(tag, formats, written):
    assert tag(f"formats: {formats}").formats == written


def test_there_is_something_to_tag(faults, load, tag):
    (fault,) = faults(load, "job: tag-corpus\nmodel: m\noutput: o\ninput: []\n")
    assert fault.startswith("line 4: input.files: found []; allowed: non-empty list")


@pytest.mark.parametrize("given", ["[a, b]", "{files: [a, b]}"])
def test_input_is_files_or_a_section(load, given):
    config = load(f"job: tag-corpus\nmodel: m\noutput: o\ninput: {given}\n")
    assert config.input.files == ("a", "b") and config.input.columns.text == ()


def test_columns_of_the_input(load):
    text = "job: tag-corpus\nmodel: m\noutput: o\ninput: {files: [a.csv]}\n"
    columns = load(text, "input.columns.text=[title, abstract]", "input.columns.keep=[year]").input.columns
    assert (columns.text, columns.id, columns.keep) == (("title", "abstract"), None, ("year",))
    assert load(text.replace("{files: [a.csv]}", "a.csv")).input.files == ("a.csv",)


def test_legal_tags_need_probabilities(faults, train):
    fault = "found true, which needs probabilities: set aggregation_strategy to mean, first or last"
    assert faults(train, "training: {aggregation_strategy: majority, constrained_decoding: true}") == [
        f"line 4: training.constrained_decoding: {fault}"
    ]
    assert train(
        "training: {aggregation_strategy: first, constrained_decoding: true}"
    ).training.constrained_decoding
    assert not train("training: {aggregation_strategy: majority}").training.constrained_decoding


def test_decoding_is_asked_for_only_where_it_differs_from_the_default():
    assert DecodingSection().asked() is None
    assert DecodingSection(mode="greedy").asked() == {**DecodingSection().model_dump(), "mode": "greedy"}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("weight: 0.9", "distillation.weight: found 0.9, but there are no teachers; give teachers"),
        ("precision: bf16", "distillation.precision: found 'bf16', but there are no teachers; give teachers"),
        ("text: [a.xml]", "distillation.text: found ['a.xml'], but there are no teachers; give teachers"),
        (
            "teachers: [runs/a/model], max_text_documents: 5",
            "distillation.max_text_documents: found 5, but there is no text; give text",
        ),
    ],
)
def test_without_teachers_or_text_what_goes_with_them_is_a_fault(faults, load, section, expected):
    found = faults(load, corpus("name: sample") + f"distillation: {{{section}}}\n")
    assert found == [f"line 4: {expected}"]


def test_a_resolved_config_without_teachers_is_none(load):
    text = (
        corpus("name: sample")
        + "distillation: {teachers: [], weight: 0.5, text: [], max_text_documents: null}\n"
    )
    assert load(text).distillation.teachers == ()
