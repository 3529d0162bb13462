"""One tagger of two corpora, neither of which annotates what the other does, end to end."""

from pathlib import Path
from statistics import fmean

import pytest
from samples import training_config
from studies import train_file
from tiny_bert import write_tiny_bert
from transformers import AutoTokenizer

from raybio.config import (
    MemberSection,
    StudyConfig,
    TrainEncoderConfig,
    TrainingSection,
    job_of,
    load_config,
)
from raybio.corpora.sample import SampleFiles
from raybio.errors import ConfigError
from raybio.model_sources import model_folder
from raybio.reports import write_report
from raybio.sentence_stream import read_sentences
from raybio.study.engine import run_study
from raybio.study.findings import findings, on_test
from raybio.study.report import write_study_report
from raybio.taggers import load_tagger
from raybio.training.encoder import train_encoder

LABELS = {"drugs": "Chemical", "illnesses": "Disease"}


def member(sample: SampleFiles, folder: Path, part: int, **options: object) -> MemberSection:
    """Return half of the sample's sentences, in which all labels but one are taken out."""
    label = LABELS[folder.name]
    folder.mkdir()
    files = {}
    for split in ("train", "dev", "test"):
        blocks = getattr(sample, split).read_text(encoding="utf-8").strip().split("\n\n")[part::2]
        lines = "\n\n".join(blocks).split("\n")
        kept = [
            line if not line or line.endswith(f"-{label}") else f"{line.split(chr(9))[0]}\tO"
            for line in lines
        ]
        files[split] = folder / f"{split}.tsv"
        files[split].write_text("\n".join(kept) + "\n", encoding="utf-8")
    return MemberSection.model_validate({**{k: str(v) for k, v in files.items()}, **options})


@pytest.fixture
def members(sample: SampleFiles, tmp_path: Path) -> tuple[MemberSection, MemberSection]:
    drugs = member(sample, tmp_path / "drugs", 0, labels={"Chemical": "Drug"}, weight=1.25)
    return drugs, member(sample, tmp_path / "illnesses", 1)


def test_one_pass_finds_what_each_corpus_annotates(
    members: tuple[MemberSection, MemberSection], sample: SampleFiles, tmp_path: Path
) -> None:
    training = TrainingSection(epochs=8, learning_rate=5e-4, batch_size=4, precision="fp32")
    config = training_config(
        sample, tmp_path, "union", corpus=members, training=training, corpus_temperature=2.0
    )
    trained = train_encoder(config)
    assert load_config(trained.run.path / "config.yaml") == config
    tagger = load_tagger(trained.run.model)
    assert tagger.labels == ("Disease", "Drug")

    scores = trained.scores["test"]
    f1s = {title: each["corrected"]["overall"]["strict"]["f1"] for title, each in scores["corpora"].items()}
    # Twenty sentences of each: their mean says that both were learned, one alone moves with a few entities.
    assert set(f1s) == {"drugs", "illnesses"} and min(f1s.values()) > 0.1 and fmean(f1s.values()) > 0.3
    assert {title: set(each["corrected"]["by_label"]) for title, each in scores["corpora"].items()} == {
        "drugs": {"Drug"},
        "illnesses": {"Disease"},
    }
    last = trained.run.metrics()[trained.best_epoch - 1]
    dev = trained.scores["dev"]
    assert last["dev_strict_f1"] == pytest.approx(dev["mean_strict_f1"])
    assert last["dev_strict_f1/drugs"] == pytest.approx(
        dev["corpora"]["drugs"]["corrected"]["overall"]["strict"]["f1"]
    )

    # Illnesses in text of the corpus that calls each of their words O: silence is no O.
    sentences = list(read_sentences(members[0], "test"))
    found = [tag for tags in tagger.tag(sentences) for tag in tags.tags]
    assert "B-Disease" in found and "B-Drug" in found
    log = (trained.run.path / "log.txt").read_text(encoding="utf-8")
    assert "mean of drugs" in log
    page = write_report([trained.run.path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "illnesses" in page and "Each corpus on the labels that it annotates" in page


def test_what_is_wrong_with_labels_is_reported_before_a_run_begins(
    members: tuple[MemberSection, MemberSection], sample: SampleFiles, tmp_path: Path
) -> None:
    wrong = members[1].model_copy(update={"annotates": ("Illness",), "labels": {"Ilness": "Disease"}})
    config: TrainEncoderConfig = training_config(sample, tmp_path, "wrong", corpus=(members[0], wrong))
    with pytest.raises(ConfigError) as caught:
        train_encoder(config)
    assert len(caught.value.faults) == 2 and not (tmp_path / "wrong").exists()


@pytest.mark.soak
def test_a_study_has_a_model_of_all_beside_those_of_each(
    members: tuple[MemberSection, MemberSection], tmp_path: Path
) -> None:
    corpora = [{**each.model_dump(mode="json"), "max_documents": 12} for each in members]
    tokenizer = AutoTokenizer.from_pretrained(model_folder("bundled:minilm"))
    tiny = write_tiny_bert(tmp_path / "tiny", tokenizer, ["Chemical"], max_length=64, overlap=16)
    config = str(train_file(tmp_path, "tiny", tiny))
    study = job_of(
        StudyConfig,
        {
            "name": "types",
            "output": str(tmp_path / "studies"),
            "corpora": corpora,
            "models": [
                {"name": "one", "config": config, "corpora": ["drugs"]},
                {"name": "all", "config": config, "together": True},
            ],
            "measure": {"enabled": False},
        },
        "the tests",
    )
    assert not run_study(study, print).failed
    found = findings(study)
    assert [(each.model, each.corpus) for each in found] == [
        ("one", "drugs"),
        ("all", "drugs"),
        ("all", "illnesses"),
    ]
    assert all(len(each.f1s("test")) == 1 for each in found)
    (pair,) = on_test(found)  # the same sentences, words and gold
    assert pair.corpus == "drugs" and pair.difference
    assert "illnesses" in write_study_report(study).read_text(encoding="utf-8")
