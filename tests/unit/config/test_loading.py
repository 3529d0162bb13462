"""load_config: typed values out, every fault at once."""

import pickle

import pydantic
import pytest

from raybio.config import JOBS, TagCorpusConfig, TrainEncoderConfig, job_of, load_config, load_job
from raybio.errors import ConfigError


def test_job_chooses_the_class_and_defaults_fill_the_rest(train, tag):
    encoder = train()
    assert type(encoder) is TrainEncoderConfig
    assert (encoder.training.epochs, encoder.training.learning_rate, encoder.seed) == (20, 3e-5, 1)
    assert encoder.corpus.name == "BC5CDR"
    tagging = tag()
    assert type(tagging) is TagCorpusConfig
    assert tagging.formats == ("parquet",)
    assert tagging.taggers.count is None


def test_values_come_typed(train):
    config = train("training:\n  learning_rate: 5e-5\n  weight_decay: 1\n  max_grad_norm: null\nname: 'NO'\n")
    assert config.training.learning_rate == 5e-5
    assert type(config.training.weight_decay) is float
    assert config.training.max_grad_norm is None
    assert config.name == "NO"


def test_text_that_yaml_1_1_reads_as_something_else_stays_text(train):
    assert train("name: NO\n").name == "NO"
    assert train("output: 2024-01-02\n").output == "2024-01-02"


def test_all_faults_of_a_file_come_at_once_each_with_its_line(faults, load):
    text = """\
job: train-encoder
model: bundled:minilm
corpus:
  name: BC5CDR
training:
  learing_rate: 5e-5
  epochs: ten

  precision: bf61
"""
    assert faults(load, text) == [
        "line 6: training.learing_rate: unknown key; did you mean 'learning_rate'?",
        "line 7: training.epochs: found 'ten'; allowed: whole number, at least 1",
        "line 9: training.precision: found 'bf61'; allowed: one of auto, fp32, bf16, fp16;"
        " did you mean 'bf16'?",
    ]


def test_faults_of_every_kind_are_reported_together(faults, load):
    text = """\
job: train-encoder
corpus: {name: bc5cdr, train: x.tsv}
training:
  epochs: 3
  epochs: 4
  stride: 300
  batch_size: !!bool yes
sweep:
  training.seed: [1]
"""
    found = faults(load, text, "seed=x", "foo", "workers.num_workers=0", "output=[a")
    assert [fault.split(": ")[:2] for fault in found] == [
        ["model", "missing; encoder to start from"],
        ["line 2", "corpus.name"],
        ["line 5", "training.epochs"],
        ["line 6", "training.stride"],
        ["line 7", "training.batch_size"],
        ["line 7", "training.batch_size"],
        ["line 9", "sweep.training.seed"],
        ["override 'seed=x'", "seed"],
        ["override 'foo'", "not an override; write key=value, such as training.epochs=3"],
        ["override 'workers.num_workers=0'", "workers.num_workers"],
        ["override 'output=[a'", "output"],
    ]


def test_the_error_names_the_file_and_survives_a_pickle(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("job: tag-corpus\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.source == str(path)
    assert str(caught.value).startswith(f"{path}: 3 faults\n  - input: missing; this section is required")
    assert pickle.loads(pickle.dumps(caught.value)).faults == caught.value.faults


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("test: yes", "line 4: test: found 'yes'; allowed: true or false"),
        ("test: 1", "line 4: test: found 1; allowed: true or false"),
        ("bootstrap: 010", "line 4: bootstrap: found '010'; allowed: whole number, at least 0"),
        ("bootstrap: 10.0", "line 4: bootstrap: found 10.0; allowed: whole number, at least 0"),
        ("bootstrap: true", "line 4: bootstrap: found true; allowed: whole number, at least 0"),
        ("bootstrap: null", "line 4: bootstrap: found null; allowed: whole number, at least 0"),
        ("bootstrap: [1]", "line 4: bootstrap: found [1]; allowed: whole number, at least 0"),
        ("bootstrap: -1", "line 4: bootstrap: found -1; allowed: whole number, at least 0"),
        ("output: 5", "line 4: output: found 5; allowed: non-empty text; put it in quotes to make it text"),
        ("output: ''", "line 4: output: found ''; allowed: non-empty text"),
        ("training: 3", "line 4: training: found 3; allowed: a section with the keys epochs, learning_rate,"),
        (
            "workers:",
            "line 4: workers: found null; allowed: a section with the keys num_workers, accelerator,",
        ),
        (
            "training: {learning_rate: 0}",
            "line 4: training.learning_rate: found 0; allowed: number, more than 0",
        ),
        (
            "training: {learning_rate: '5e-5'}",
            "line 4: training.learning_rate: found '5e-5'; allowed: number,",
        ),
        ("training: {learning_rate: 1e999}", "line 4: training.learning_rate: found inf; allowed: number,"),
        (
            "training: {warmup_ratio: 10}",
            "line 4: training.warmup_ratio: found 10; allowed: number, at least 0,",
        ),
        ("name: a/b", "line 4: name: found 'a/b'; allowed: letters, digits, '.', '_' and '-',"),
        ("name: ..", "line 4: name: found '..'; allowed: letters, digits"),
        (
            "resume: true",
            "line 4: resume: found true, but there is no name; give the name of the run to resume",
        ),
        ("learning_rate: 1", "line 4: learning_rate: unknown key; did you mean 'training.learning_rate'?"),
        ("qqq: 1", "line 4: qqq: unknown key; known here: job, sweep, model, allow_pickle, output,"),
    ],
)
def test_one_fault_says_what_was_found_and_what_is_allowed(faults, train, lines, fault):
    (found,) = faults(train, lines)
    assert found.startswith(fault)


def test_an_item_of_a_list_is_named_by_its_position_and_line(faults, tag):
    text = "formats:\n  - pubtator\n  - bioc_json\n"
    assert faults(tag, text) == [
        "line 7: formats[1]: found 'bioc_json'; allowed: list, each item one of parquet, pubtator, bioc-json,"
        " bioc-xml, jsonl, brat, csv, iob2; did you mean 'bioc-json'?"
    ]


@pytest.mark.parametrize("secret", ["hunter2", "x/7+y=", "a:b", "%2F"])
def test_a_password_in_a_url_is_refused_and_not_repeated(faults, tag, secret):
    """A config is written into run folders and logs."""
    url = f"s3://user:{secret}@bucket"
    (fault,) = faults(tag, "", f"output={url}/out")
    assert fault.startswith("override 'output=s3://***@bucket/out': output: holds a secret, which would")
    assert "AWS_SECRET_ACCESS_KEY" in fault and "IAM" in fault and secret not in fault
    with pytest.raises(ConfigError, match=r"the options: 1 fault\n  - input\[1\]: holds a secret") as caught:
        job_of(TagCorpusConfig, {"model": "m", "input": ["a", url], "output": "o"}, source="the options")
    assert secret not in str(caught.value)


def test_a_password_hides_no_other_fault(faults, tag):
    reported = faults(tag, "", "output=s3://user:hunter2@bucket", "shard_documents=0")
    assert [fault.split(": ")[1] for fault in reported] == ["output", "shard_documents"]


def test_urls_without_a_password_are_taken(tag):
    for url in ("gs://anonymous@bucket/x", "http://127.0.0.1:5000/a@b", "s3://b/user:x@y", "hdfs://h:9/a"):
        assert tag("", f"output={url}").output == url


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Credential=me&X-Amz-Signature=hunter2",
        "X-Amz-Security-Token=hunter2",
        "sv=2022&sig=hunter2&se=1",
        "access_key=me&secret_key=hunter2",
        "token=hunter2",
    ],
)
def test_what_lets_a_bearer_in_is_a_secret_too(faults, tag, query):
    (fault,) = faults(tag, "", f"output=https://host/tagged?{query}")
    assert "holds a secret" in fault and "hunter2" not in fault


@pytest.mark.parametrize("word", ["s3://u:hunter2@b", "formats=s3://u:hunter2@b", "no.such=s3://u:hunter2@b"])
def test_no_fault_repeats_a_password(faults, tag, word):
    assert "hunter2" not in "".join(faults(tag, "", word))


def test_a_list_is_not_one_word(faults, tag):
    (fault,) = faults(tag, "", "formats=brat")
    assert (
        fault == "override 'formats=brat': formats: found 'brat'; allowed: list, each item one of parquet, "
        "pubtator, bioc-json, bioc-xml, jsonl, brat, csv, iob2; did you mean 'brat'?"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "found nothing; a config is a mapping with 'job: NAME' in it"),
        ("# only a comment\n", "found nothing; a config is a mapping with 'job: NAME' in it"),
        ("- a\n", "found ['a']; a config is a mapping with 'job: NAME' in it"),
        ("job\n", "found 'job'; a config is a mapping with 'job: NAME' in it"),
        ("{}\n", "job: missing; allowed: one of " + ", ".join(JOBS)),
        ("job: 3\n", "line 1: job: found 3; allowed: one of " + ", ".join(JOBS)),
        (
            "a: 1\njob: tag\n",
            "line 2: job: found 'tag'; allowed: one of " + ", ".join(JOBS),
        ),
        (
            "job: train_encoder\n",
            "line 1: job: found 'train_encoder'; allowed: one of "
            + ", ".join(JOBS)
            + "; did you mean 'train-encoder'?",
        ),
        ("a: [1\n", "line 2: not readable as YAML: expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_a_file_that_is_no_config_is_one_clear_fault(faults, load, text, fault):
    assert faults(load, text) == [fault]


def test_files_that_cannot_be_read(faults, tmp_path):
    assert faults(load_config, tmp_path / "none.yaml") == [
        "no such file; check the path, or see `raybio configs list`"
    ]
    assert faults(load_config, tmp_path) == ["cannot be read: Is a directory"]
    path = tmp_path / "file.yaml"
    path.write_bytes(b"job: caf\xe9\n")
    assert faults(load_config, path) == ["not UTF-8 text at byte 8; save it as UTF-8"]
    path.write_bytes(b"#" * (2 << 20))
    assert faults(load_config, path) == ["larger than 1,048,576 bytes; give a config, not data"]


def test_a_byte_order_mark_is_no_fault(load):
    assert load("\ufeffjob: tag-corpus\nmodel: x\ninput: [a]\noutput: o\n").model == "x"


def test_configs_are_frozen(train):
    with pytest.raises(pydantic.ValidationError):
        train().training.epochs = 3


class TestOverrides:
    def test_they_are_read_as_the_file_is(self, train):
        config = train(
            "training: {epochs: 3}\nname: a\n",
            "training.epochs=5",
            "training.learning_rate=5e-5",
            "training.max_grad_norm=null",
            "test=false",
            "name=NO",
            "output=s3://bucket/a: b #c",
        )
        assert (config.training.epochs, config.training.learning_rate) == (5, 5e-5)
        assert config.training.max_grad_norm is None
        assert config.test is False
        assert config.name == "NO"
        assert config.output == "s3://bucket/a: b #c"

    def test_lists_mappings_and_quotes(self, tag):
        config = tag("", 'input=["*.xml", b]', "taggers={count: 2}", 'output="5"', "formats=[brat]")
        assert config.input.files == ("*.xml", "b")
        assert config.taggers.count == 2
        assert config.output == "5"
        assert config.formats == ("parquet", "brat")

    def test_the_last_one_wins(self, train):
        assert train("", "seed=2", "seed=3").seed == 3

    def test_they_fix_a_fault_of_the_file(self, train):
        assert train("training: {epochs: ten}\n", "training.epochs=10").training.epochs == 10

    def test_they_fill_an_empty_section(self, train):
        assert train("workers:\n", "workers.num_workers=2").workers.num_workers == 2

    def test_they_may_bring_what_the_file_lacks(self, load):
        config = load("job: train-encoder\n", "model=x", "corpus.name=sample")
        assert (config.model, config.corpus.name) == ("x", "sample")

    def test_faults_name_the_word_and_not_the_line_it_replaced(self, faults, tag):
        assert faults(tag, "formats: [brat, jsonl]\n", "formats=[brat, jsonn]") == [
            "override 'formats=[brat, jsonn]': formats[1]: found 'jsonn'; allowed: list, each item one of"
            " parquet, pubtator, bioc-json, bioc-xml, jsonl, brat, csv, iob2; did you mean 'jsonl'?"
        ]

    @pytest.mark.parametrize(
        ("word", "fault"),
        [
            ("training.epoch=3", "training.epoch: unknown key; did you mean 'epochs'?"),
            ("trainin.epochs=3", "trainin: unknown key; did you mean 'training'?"),
            ("epochs=3", "epochs: unknown key; did you mean 'training.epochs'?"),
            ("model.x=3", "model.x: 'model' holds a value here, so it has no keys"),
            ("training.epochs=3.5", "training.epochs: found 3.5; allowed: whole number, at least 1"),
            ("training.epochs=", "training.epochs: found null; allowed: whole number, at least 1"),
            ("training=3", "training: found 3; allowed: a section with the keys epochs,"),
            ("job=tag-corpus", "job: found 'tag-corpus'; allowed: train-encoder"),
            ("epochs", "not an override; write key=value, such as training.epochs=3"),
            ("=3", "not an override; write key=value, such as training.epochs=3"),
            ("model='x", "model: not readable as YAML: found unexpected end of stream"),
        ],
    )
    def test_each_fault_names_its_word(self, faults, train, word, fault):
        (found,) = faults(train, "", word)
        assert found.startswith(f"override {word!r}: {fault}")

    def test_bad_words_are_reported_beside_a_missing_file(self, faults, tmp_path):
        assert faults(load_config, tmp_path / "none.yaml", ["foo"]) == [
            "no such file; check the path, or see `raybio configs list`",
            "override 'foo': not an override; write key=value, such as training.epochs=3",
        ]


def test_one_job_is_demanded(tmp_path):
    path = tmp_path / "tag.yaml"
    path.write_text("job: tag-corpus\nmodel: m\ninput: [a]\noutput: o\n")
    assert load_job(TagCorpusConfig, path, ["output=p"]).output == "p"
    with pytest.raises(
        ConfigError, match=r"line 1: job: this file configures tag-corpus; run `raybio tag-corpus`"
    ):
        load_job(TrainEncoderConfig, path)
    path.write_text("job: tag-corpse\n")
    with pytest.raises(ConfigError, match="found 'tag-corpse'; allowed: one of train-encoder"):
        load_job(TrainEncoderConfig, path)


def test_options_make_a_job():
    options = {"model": "m", "input": ["a"], "output": "o", "taggers": {"count": 2}}
    config = job_of(TagCorpusConfig, options, "the options")
    assert (config.job, config.input.files, config.taggers.count) == ("tag-corpus", ("a",), 2)
    with pytest.raises(
        ConfigError, match=r"the options: 2 faults\n  - output: missing.*\n  - taggers\.count: found 0"
    ):
        job_of(TagCorpusConfig, {"model": "m", "input": ["a"], "taggers": {"count": 0}}, "the options")
