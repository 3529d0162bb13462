"""What is said of a corpus that cannot be learned."""

from pathlib import Path

import pytest

from raybio.config import CorpusSection
from raybio.errors import FormatError, TrainingError, UsageError
from raybio.training.fit import open_corpus

TAGGED = "Aspirin\tB-Chemical\n"


def section(folder: Path, **texts: str) -> CorpusSection:
    files = {split: folder / f"{split}.tsv" for split in ("train", "dev", "test")}
    for split, file in files.items():
        file.write_text(texts.get(split, TAGGED))
    return CorpusSection(**{split: str(file) for split, file in files.items()})


def test_a_corpus_knows_its_labels_and_what_it_is_called(tmp_path: Path) -> None:
    corpus = open_corpus(
        section(tmp_path, train=TAGGED + "pain\tB-Disease\n", dev="pain\tB-Disease\n\nx\tB-Other\n"), True
    )
    assert (corpus.labels, corpus.scored) == (("Chemical", "Disease"), ("dev", "test"))
    assert corpus.title == tmp_path.name


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_fault_in_any_split_is_reported(split: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=rf"{split}\.tsv, line 1"):
        open_corpus(section(tmp_path, **{split: "Aspirin\n"}), test=True)


def test_a_split_that_is_not_scored_is_not_read(tmp_path: Path) -> None:
    assert open_corpus(section(tmp_path, test="Aspirin\n"), test=False).scored == ("dev",)


def test_a_corpus_without_entities_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no entity to learn from"):
        open_corpus(section(tmp_path, train="Aspirin\tO\n"), test=True)


def test_a_label_that_train_lacks_is_named_and_one_that_it_shares_with_none_refused(tmp_path: Path) -> None:
    said: list[str] = []
    dev = "Aspirin\tB-Chemical\n\npain\tB-DISEASE\n"
    open_corpus(section(tmp_path, train=TAGGED + "pain\tB-Disease\n", dev=dev), True, said.append)
    assert len(said) == 1 and said[0].startswith("DISEASE of dev is no label of train")
    with pytest.raises(UsageError, match="dev and train have no label in common: dev has DISEASE") as caught:
        open_corpus(section(tmp_path, dev="pain\tB-DISEASE\n"), True)
    assert "--rename OLD=NEW" in str(caught.value)


def test_text_without_annotations_is_an_input_that_cannot_be_used(tmp_path: Path) -> None:
    files = section(tmp_path)
    (tmp_path / "train.txt").write_text("Pain is a symptom.\n")
    with pytest.raises(
        FormatError, match=r"the train split has text without annotations.*corpus\.format"
    ) as caught:
        open_corpus(files.model_copy(update={"train": str(tmp_path / "train.txt"), "format": "text"}), True)
    assert caught.value.exit_code == 2
