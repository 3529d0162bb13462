"""`corpus:` as a list: corpora that one model learns from."""

import pytest

from raybio.config import CorpusSection, MemberSection, config_hash, describe, job_of, sections_of, to_yaml
from raybio.config.train_encoder import TrainEncoderConfig

TWO = "corpus:\n  - {name: BC5CDR}\n  - {name: BioRED, labels: {GeneOrGeneProduct: Gene, CellLine: null}}\n"


@pytest.fixture
def union(load):
    """Load a train-encoder config with these lines."""
    return lambda text, *overrides: load(f"job: train-encoder\nmodel: m\n{text}", *overrides)


def test_one_corpus_is_a_section_and_a_list_is_its_members(train, union):
    one, two = train().corpus, union(TWO).corpus
    assert type(one) is CorpusSection and sections_of(one) == (one,)
    assert [type(each) for each in two] == [MemberSection] * 2 and sections_of(two) == two
    assert two[1].labels == {"GeneOrGeneProduct": "Gene", "CellLine": None}
    assert (two[0].annotates, two[0].weight) == (None, 1.0)


def test_a_union_is_written_and_read_back(load, union):
    config = union(TWO + "corpus_temperature: 2.0\n")
    assert load(to_yaml(config)) == config
    assert (
        union("corpus: [{name: sample}]\n", "corpus=[{name: BC5CDR}, {name: JNLPBA}]").corpus[1].name
        == "JNLPBA"
    )


def test_every_fault_of_every_member_is_in_one_message(faults, union):
    text = (
        "corpus:\n"
        "  - {name: BC5, weight: 0}\n"
        "  - {labls: {a: b}, annotates: [], name: BioRED, labels: {Gene: ''}}\n"
        "  - {train: a.tsv, dev: b.tsv}\n"
        "corpus_temperature: 0.5\n"
    )
    found = faults(union, text)
    assert [fault.split(": ", 1)[1] for fault in found[1:]] == [
        "corpus[0].weight: found 0; allowed: number, more than 0",
        "corpus[1].annotates: found [], so that it could be scored on nothing; name labels, or leave it out",
        "corpus[1].labels.Gene: found ''; allowed: mapping of names to null or non-empty text",
        "corpus[1].labls: unknown key; did you mean 'labels'?",
        "corpus[2].test: missing; train, dev and test go together",
        "corpus_temperature: found 0.5; allowed: null or number, at least 1",
    ]
    assert found[0].startswith("line 4: corpus[0].name: found 'BC5'; allowed: null or one of JNLPBA")
    assert found[0].endswith("did you mean 'BC5CDR'?")


@pytest.mark.parametrize("text", ["corpus: []\n", "corpus: 5\n"])
def test_what_is_neither_is_refused(faults, union, text):
    (fault,) = faults(union, text)
    assert "allowed: a section with the keys name," in fault


def test_members_are_told_apart_and_learn_dev_together(faults, union):
    twice = "corpus: [{name: BC5CDR}, {name: BC5CDR}, {name: JNLPBA}]\n"
    assert [fault.split(": ")[1] for fault in faults(union, twice)] == ["corpus[0]", "corpus[1]"]
    (fault,) = faults(union, "corpus: [{name: BC5CDR}, {name: JNLPBA, train_with_dev: true}]\n")
    assert "train_with_dev is true for some of them" in fault
    last = "training: {keep_checkpoint: last, early_stopping_patience: 0}\n"
    both = "corpus: [{name: BC5CDR, train_with_dev: true}, {name: JNLPBA, train_with_dev: true}]\n"
    assert union(both + last)
    assert "dev is trained on" in faults(union, both)[0]


def test_a_temperature_is_of_several_corpora(faults, train, union):
    (fault,) = faults(train, "corpus_temperature: 2.0\n")
    assert fault.endswith("found 2.0, but there is one corpus; give a list of corpora")
    assert union(TWO + "corpus_temperature: 2.0\n").corpus_temperature == 2.0


def test_runs_of_before_keep_their_hash(train):
    """Names of finished runs hold it."""
    config = train()
    before = {name: value for name, value in config if name != "corpus_temperature"}
    assert config_hash(config) == config_hash(config, *before)


def test_options_that_a_member_has_in_common_are_listed_once():
    table = describe(TrainEncoderConfig)
    assert "| `corpus.name` |" in table and "corpus[].name" not in table
    assert all(f"| `corpus[].{option}` |" in table for option in ("labels", "annotates", "weight"))


def test_a_section_of_code_is_taken_as_it_is():
    section = CorpusSection(name="sample")
    options = {"model": "m", "corpus": section}
    assert job_of(TrainEncoderConfig, options, "test").corpus is section
