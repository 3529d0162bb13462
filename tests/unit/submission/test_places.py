from pathlib import Path

import pytest

from raybio.config import load_config
from raybio.errors import UsageError
from raybio.submission.places import check_places

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
TAGGING = ["input=[s3://b/in]", "output=s3://b/out", "model=bundled:minilm"]
TRAINING = ["corpus={train: /efs/a, dev: /efs/b, test: /efs/c}", "output=/efs/runs"]


def places(config, *words):
    return check_places(load_config(str(CONFIGS / config), list(words)))


@pytest.mark.parametrize("model", ["bundled:minilm", "somebody/model", "s3://bucket/model", "gs://b/m"])
def test_what_any_node_can_get_needs_no_storage_of_all(model):
    assert places("tag_corpus/pubmed.yaml", *TAGGING, f"model={model}") == []


def test_whole_paths_must_be_on_storage_of_all():
    words = ["input=[/efs/in, s3://b/in, file:///efs/x]", "model=~/m"]
    assert sorted(places("tag_corpus/pubmed.yaml", *TAGGING, *words)) == ["/efs/in", "file:///efs/x", "~/m"]
    shared = places("train_encoder/minilm_bc5cdr.yaml", *TRAINING)
    assert sorted(shared) == ["/efs/a", "/efs/b", "/efs/c", "/efs/runs"]


@pytest.mark.parametrize(
    ("config", "words", "key"),
    [
        ("tag_corpus/pubmed.yaml", [*TAGGING, "input=[s3://b/in, data/pubmed]"], "input.files"),
        ("tag_corpus/pubmed.yaml", [*TAGGING, "output=tagged"], "output"),
        ("tag_corpus/pubmed.yaml", [*TAGGING, "model=./model"], "model"),
        ("tag_corpus/pubmed.yaml", [*TAGGING, "model=runs/today/model"], "model"),
        (
            "tag_corpus/pubmed.yaml",
            [*TAGGING, "decoding={draft: encoder, draft_model: ../drafter}"],
            "decoding.draft_model",
        ),
        ("train_encoder/minilm_bc5cdr.yaml", [*TRAINING, "output=runs"], "output"),
        ("train_encoder/minilm_bc5cdr.yaml", [*TRAINING, "corpus.dev=dev.tsv"], "corpus.dev"),
        ("serve/minilm.yaml", ["models=[{name: m, model: runs/a/model}]"], "models.model"),
    ],
)
def test_what_only_this_machine_has_is_refused(config, words, key):
    with pytest.raises(UsageError, match=rf"^{key} '.*' is relative: a cluster lacks your working folder"):
        places(config, *words)


def test_a_folder_here_is_no_hub_id(tmp_path, monkeypatch):
    (tmp_path / "somebody" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="model 'somebody/model' is relative"):
        places("tag_corpus/pubmed.yaml", *TAGGING, "model=somebody/model")


@pytest.mark.parametrize("config", ["train_encoder/minilm_bc5cdr.yaml", "tag_corpus/pubmed.yaml"])
def test_only_an_output_that_may_be_a_buckets_is_said_to_be_a_url(config):
    url = config.startswith("tag")
    with pytest.raises(UsageError) as refused:
        places(config, *(TAGGING if url else TRAINING), "output=here")
    assert ("Give a URL, or a path" in str(refused.value)) is url
