"""The options of serving: a list of models, each checked at its own line."""

import pytest

from raybio.config import ServeConfig, describe, load_config, to_yaml

ONE = "job: serve\nmodels:\n  - name: a\n    model: m\n"


def test_defaults_and_round_trip(load, tmp_path):
    config = load(ONE + "    threads: 3\n  - {name: b, model: n, gpus: 0.25, cpus: 2.5}\n", "port=9000")
    first, second = config.models
    assert (config.host, config.port, config.limits.texts) == ("127.0.0.1", 9000, 64)
    assert (first.computing_threads, second.computing_threads) == (3, 2)
    (tmp_path / "again.yaml").write_text(to_yaml(config))
    assert load_config(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("job: serve\n", ["models: missing; this section is required"]),
        ("job: serve\nmodels: []\n", ["line 2: models: found an empty list; give at least one model"]),
        (
            ONE + "  - {name: a, model: n}\n",
            ["line 2: models: found 'a' more than once; give each model a name of its own"],
        ),
        (
            ONE + "    replicas: 0\n",
            ["line 5: models[0].replicas: found 0; allowed: whole number, at least 1"],
        ),
        (
            ONE + "    precison: int8\n",
            ["line 5: models[0].precison: unknown key; did you mean 'precision'?"],
        ),
        (
            ONE + "    precision: int4\n",
            [
                "line 5: models[0].precision: found 'int4'; allowed: one of auto, fp32, bf16, int8, 4bit;"
                " did you mean 'int8'?"
            ],
        ),
        (
            ONE + "  - name: b\n",
            [
                "line 5: models[1].model: missing; trained model: a folder such as RUN/model, a Hugging Face "
                "id or a URL (s3://...)"
            ],
        ),
        (
            ONE + "    replicas: 3\n    autoscaling: {max_replicas: 2}\n",
            ["line 6: models[0].autoscaling: found max_replicas 2; allowed: at least replicas, which is 3"],
        ),
        (
            ONE + "    decoding: {mode: greedy, draft: previous}\n",
            [
                "line 5: models[0].decoding.draft: found 'previous', but greedy uses no draft; remove it,"
                " or verify with it"
            ],
        ),
    ],
)
def test_faults_name_the_model_and_its_line(load, faults, text, expected):
    assert faults(load, text) == expected


def test_a_list_of_models_is_no_mapping(load, faults):
    (fault,) = faults(load, "job: serve\nmodels: {name: a}\n")
    assert fault.startswith(
        "line 2: models: found a mapping; allowed: a list of sections with the keys name, model"
    )


def test_the_table_of_options_unfolds_the_list():
    table = describe(ServeConfig)
    assert "| `models[].decoding.mode` | one of greedy," in table
    assert "| `models[].autoscaling.max_replicas` | null or whole number, at least 1 | null |" in table
