"""What is said of a corpus that cannot be learned."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from ray import cloudpickle

from raybio.config import CorpusSection
from raybio.errors import FormatError, TrainingError, UsageError
from raybio.members import train_and_text_tables
from raybio.training.fit import open_corpus
from raybio.training.parts import Part
from raybio.training.rows_file import read_rows, read_share

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


def test_processes_that_only_read_do_not_wait_for_torch(tmp_path: Path) -> None:
    """Of a dataset, Ray Train's controller, its dataset manager and the reader load what it is made of."""
    corpus = open_corpus(section(tmp_path), test=False)
    made_of = [
        partial(Part(0, 2, 8).rows, corpus.train.tables),
        partial(train_and_text_tables, corpus.members, ["text.txt"], 1),
        partial(read_rows, tmp_path / "taught.parquet"),
        partial(read_share, tmp_path / "text.parquet", 0.1, held_out=True),
    ]
    program = (
        "import pickle, sys; made_of = pickle.load(sys.stdin.buffer); "
        "print(len(made_of), {'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=cloudpickle.dumps(made_of), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "4 set()"
