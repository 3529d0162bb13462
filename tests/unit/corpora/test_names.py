from pathlib import Path

import pytest

from raybio.corpora.names import CORPORA, DATA_VARIABLE, corpus_named, read_split, split_label, split_path
from raybio.errors import InputError, UsageError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    files = {
        "bc5cdr/devel.tsv": "a\tB-Disease\n",
        "JNLPBA/train.rebuilt.tsv": "a\tO\n",
        "JNLPBA/test.txt": "-DOCSTART- -X- O O\n\na NN B-NP B-DNA\n",
        "reddit-impacts/test.tsv": "clean\tB-ClinicalImpacts\n",
        "BioRED/BioRED_TrainDev.PubTator": "".join(
            f"{i}|t|Title {i}\n{i}|a|Text.\n{i}\t0\t5\tTitle\tGeneOrGeneProduct\t1\n\n" for i in range(1, 151)
        ),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_folders_of_any_case_and_other_file_names(data):
    assert split_path("BC5CDR", "dev", str(data)).endswith("bc5cdr/devel.tsv")
    assert split_path("bc5cdr", "dev", str(data)) == split_path("BC5CDR", "dev", str(data))
    (document,) = read_split("JNLPBA", "test", str(data))
    assert document.mentions[0].label == "DNA"
    (post,) = read_split("Reddit-Impacts", "test", str(data))
    assert post.mentions[0].label == "ClinicalImpacts"


def test_the_environment_names_the_data_folder(data, monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="set RAYBIO_DATA to the folder that holds BC5CDR"):
        split_path("BC5CDR", "dev")
    monkeypatch.setenv(DATA_VARIABLE, str(data))
    assert split_path("BC5CDR", "dev") == split_path("BC5CDR", "dev", str(data))


def test_a_rebuilt_train_is_called_so(data):
    assert split_label("JNLPBA", "train", str(data)) == "rebuilt train"
    (data / "JNLPBA/train.tsv").write_text("a\tO\n")
    assert split_label("JNLPBA", "train", str(data)) == "train"


def test_biored_is_cut_before_its_last_hundred(data):
    train, dev = (list(read_split("BioRED", split, str(data))) for split in ("train", "dev"))
    assert [d.id for d in train] == [str(i) for i in range(1, 51)]
    assert [d.id for d in dev] == [str(i) for i in range(51, 151)]
    assert {m.label for d in dev for m in d.mentions} == {"GeneOrGeneProduct"}


def test_biored_in_separate_files_is_not_cut(data):
    (data / "BioRED/Dev.PubTator").write_text("7|t|Title\n7|a|Text.\n\n")
    assert [d.id for d in read_split("BioRED", "dev", str(data))] == ["7"]


def test_a_label_that_is_not_the_corpus_s_is_reported_by_file_and_line(data):
    (data / "bc5cdr/devel.tsv").write_text("a\tB-Disease\n\nb\tO\nc\tB-Chemcal\n")
    with pytest.raises(InputError) as caught:
        list(read_split("BC5CDR", "dev", str(data)))
    assert str(caught.value) == (
        f"{data}/bc5cdr/devel.tsv, line 4: unknown label 'Chemcal'. "
        "Did you mean 'Chemical'? Known labels: Chemical, Disease"
    )


def test_a_label_of_biored_is_reported_by_document(data):
    (data / "BioRED/Dev.PubTator").write_text("7|t|Title\n7|a|Text.\n7\t0\t5\tTitle\tDisese\t1\n\n")
    with pytest.raises(
        InputError, match=r"PubTator, document 7: unknown label 'Disese'\. Did you mean 'Disease'"
    ):
        list(read_split("BioRED", "dev", str(data)))


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("BC5CDR", "test", r"looked for test\.tsv or test\.txt\)\. Run: raybio corpus fetch BC5CDR"),
        ("ChemProt", "dev", r"no folder ChemProt in it\. Run: raybio corpus fetch ChemProt"),
        ("Reddit-Impacts", "train", "Its authors give it on request"),
    ],
)
def test_what_is_missing_is_named_at_the_call(data, name, split, message):
    with pytest.raises(InputError, match=message):
        read_split(name, split, str(data))


def test_unknown_names_are_refused(data):
    with pytest.raises(UsageError, match="Did you mean BC5CDR"):
        corpus_named("bc5cd")
    with pytest.raises(UsageError, match=r"no split 'validation'\. Splits: train, dev, test"):
        split_path("BC5CDR", "validation", str(data))
    with pytest.raises(InputError, match="the data folder does not exist"):
        split_path("BC5CDR", "dev", str(data / "none"))


def test_real_biored_is_split_400_100_100(corpora):
    sizes = [sum(1 for _ in read_split("BioRED", split, str(corpora))) for split in ("train", "dev", "test")]
    assert sizes == [400, 100, 100]


@pytest.mark.parametrize("name", ["BC5CDR", "JNLPBA", "ChemProt", "BioRED"])
def test_real_corpora_hold_the_labels_named(corpora, name):
    labels = {m.label for d in read_split(name, "test", str(corpora)) for m in d.mentions}
    assert labels == set(CORPORA[name].labels)
