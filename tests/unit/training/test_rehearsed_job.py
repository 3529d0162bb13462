import pytest

from raybio.config import CorpusSection, TrainDecoderConfig, TrainEncoderConfig, WorkersSection
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.training.rehearsed_job import chosen_rows, generated_rows, rehearsed_config, write_rows

CORPUS = CorpusSection(train="a.tsv", dev="b.tsv", test="c.tsv")
TWO_GPUS = WorkersSection(accelerator="gpu", num_workers=2)


def row(length, tag="B-Disease"):
    words = [f"word{i}" for i in range(length)]
    return {"id": str(length), "document_id": "d", "words": words, "tags": [tag] + ["O"] * (length - 1)}


def test_an_llm_on_a_cpu_takes_what_runs_there(tmp_path):
    config = TrainDecoderConfig(
        job="train-decoder",
        model="any",
        corpus=CORPUS,
        workers=TWO_GPUS,
        training={"optimizer": "paged-adamw-8bit", "epochs": 20},
        sweep={"training.learning_rate": [1e-5, 2e-5]},
    )
    job, changes = rehearsed_config(config, tmp_path, gpus=0)
    assert (job.training.optimizer, job.training.batch_size, job.training.epochs) == ("adamw", 1, 1)
    assert (job.workers.accelerator, job.workers.num_workers) == ("cpu", 1)
    assert not job.sweep
    assert not job.test
    assert job.lora == config.lora
    assert job.quantization == config.quantization
    reported = " | ".join(changes)
    assert all(word in reported for word in ("1 of 2 workers", "no GPU", "one short sentence", "adamw"))


def test_on_its_own_gpus_nothing_but_the_length_differs(tmp_path):
    config = TrainEncoderConfig(job="train-encoder", model="any", corpus=CORPUS, workers=TWO_GPUS)
    job, changes = rehearsed_config(config, tmp_path, gpus=8)
    assert changes == []
    assert job.workers.num_workers == 2
    assert job.training.batch_size == config.training.batch_size


def test_teachers_stay_away_and_the_output_says_so(tmp_path):
    config = TrainEncoderConfig(
        job="train-encoder", model="any", corpus=CORPUS, distillation={"teachers": ["somewhere"]}
    )
    job, changes = rehearsed_config(config, tmp_path, gpus=1)
    assert not job.distillation.teachers
    assert "without its teachers" in changes


def test_sentences_range_from_short_to_the_longest():
    rows = [row(length) for length in (9, 3, 5, 7)] + [row(99, tag="O")]
    assert [len(one["words"]) for one in chosen_rows(rows, 2, shortest=False)] == [5, 9]
    assert [len(one["words"]) for one in chosen_rows(rows, 2, shortest=True)] == [3, 5]
    assert len(chosen_rows(rows, 11, shortest=False)) == 11  # more than there are


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["BC5CDR"], {"Chemical", "Disease"}),
        ([None], {"Entity"}),
        (["BC5CDR", "ChemProt"], {"Chemical", "Disease", "CHEMICAL", "GENE"}),
    ],
)
def test_generated_sentences_have_the_labels_of_corpora(names, labels, tmp_path):
    rows = generated_rows(tmp_path, names)
    assert {tag[2:] for one in rows for tag in one["tags"] if tag != "O"} == labels


def test_written_rows_are_read_back_as_a_corpus(tmp_path):
    rows = [row(3), row(5)]
    write_rows(rows, tmp_path)
    files = CorpusSection(**{split: str(tmp_path / f"{split}.tsv") for split in ("train", "dev", "test")})
    read = {split: list(read_sentences(files, split)) for split in ("train", "dev", "test")}
    assert [list(one.words) for one in read["train"]] == [one["words"] for one in rows]
    assert [gold_tags(one) for one in read["train"]] == [one["tags"] for one in rows]
    assert [len(read[split]) for split in ("dev", "test")] == [1, 1]
