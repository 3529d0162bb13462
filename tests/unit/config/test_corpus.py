"""What a corpus is called: the same in runs, studies, benchmarks and reports."""

from pathlib import Path

import pytest

from raybio.config import CorpusSection, corpus_title, resolved
from raybio.config.corpus import corpus_name
from raybio.config.loading import check
from raybio.config.renamed import with_first_names
from raybio.config.train_encoder import TrainEncoderConfig
from raybio.errors import ConfigError
from raybio.model_scoring import title_of


def files(folder: str = "data/mine/", **options: str) -> CorpusSection:
    return CorpusSection(**{split: f"{folder}{split}.tsv" for split in ("train", "dev", "test")}, **options)


@pytest.mark.parametrize("folder", ["data/mine/", "/data/mine/", "s3://bucket/mine/", "mine/"])
def test_files_are_called_as_their_folder(folder: str) -> None:
    corpus = files(folder)
    assert {corpus.called, corpus_name(corpus), corpus_title(resolved_corpus(corpus))} == {"mine"}
    assert title_of(f"{folder}test.tsv") == "mine"


@pytest.mark.parametrize("folder", ["", "./", "../mine/../"])
def test_files_of_the_present_folder_keep_its_name_elsewhere(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / ("mine" if folder in ("", "./") else "."))
    expected = Path.cwd().name if folder in ("", "./") else tmp_path.parent.name
    recorded = resolved_corpus(files(folder))
    monkeypatch.chdir("/")
    assert corpus_title(recorded) == expected
    assert CorpusSection(**recorded).called == expected


def test_a_title_stands_in_place_of_the_folders_name() -> None:
    assert files(title="Own").called == "Own"
    assert corpus_name(files(title="Own", protocol="study")) == "Own-study"


def test_a_corpus_by_name_has_no_other() -> None:
    assert CorpusSection(name="BC5CDR").called == "BC5CDR"
    job = {"job": "train-encoder", "model": "bundled:minilm", "corpus": {"name": "BC5CDR", "title": "Own"}}
    with pytest.raises(ConfigError, match="cannot go with name"):
        check(job, TrainEncoderConfig, "test")


def test_without_a_title_hashes_are_those_of_before_there_were_titles() -> None:
    hashed = [
        with_first_names({"corpus": dict(files(**title)), "corpora": [dict(files(**title))]})
        for title in ({}, {"title": "Own"})
    ]
    for section in ("corpus", "corpora"):
        assert ["title" in str(each[section]) for each in hashed] == [False, True]
    assert with_first_names({"title": None}) == {"title": None}


def test_a_split_in_a_folder_of_its_own_is_of_the_folder_above(tmp_path: Path) -> None:
    (tmp_path / "mine" / "test").mkdir(parents=True)
    assert title_of(str(tmp_path / "mine" / "test")) == title_of(str(tmp_path / "mine")) == "mine"


def resolved_corpus(corpus: CorpusSection) -> dict[str, object]:
    job = {"job": "train-encoder", "model": "bundled:minilm", "corpus": corpus.model_dump()}
    return dict(resolved(check(job, TrainEncoderConfig, "test"))["corpus"])
