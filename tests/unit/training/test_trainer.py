"""What is said of a run that is begun or gone on with, and of one whose workers failed."""

import re
from pathlib import Path

import pytest

from raybio.config import AdaptEncoderConfig, CorpusSection, TrainDecoderConfig, TrainEncoderConfig, load_job
from raybio.errors import TrainingError, UsageError
from raybio.training.trainer import _less_memory, _StopWhereNothingWouldChange, begin_run, cause_of


def test_a_run_is_resumed_only_with_options_that_continue_with_what_it_learned(tmp_path: Path) -> None:
    def config(**options: object) -> TrainEncoderConfig:
        corpus = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
        given = {"model": "bundled:minilm", "output": str(tmp_path), "name": "mine", "test": False, **options}
        return TrainEncoderConfig(job="train-encoder", corpus=corpus, **given)

    begun = begin_run(config(seed=1, training={"epochs": 3}), "mine")
    (begun.path / "ray").mkdir()
    with pytest.raises(
        UsageError, match=r"config\.yaml began with other options \(seed: 1, now 2; training\.le"
    ):
        begin_run(config(resume=True, seed=2, training={"epochs": 3, "learning_rate": 1e-5}), "mine")

    longer = config(resume=True, seed=1, training={"epochs": 5}, workers={"num_workers": 2})
    assert begin_run(longer, "mine").path == begun.path
    recorded = load_job(TrainEncoderConfig, begun.path / "config.yaml")
    assert recorded == longer.model_copy(update={"resume": False})


def test_a_run_that_may_have_begun_resumes_where_it_had(tmp_path: Path) -> None:
    """What a cluster's job is told: the first time may have died before there was a run folder."""

    def config(**options: object) -> TrainEncoderConfig:
        corpus = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
        given = {"model": "bundled:minilm", "output": str(tmp_path), "name": "mine", **options}
        return TrainEncoderConfig(job="train-encoder", corpus=corpus, resume="if-begun", **given)

    begun = begin_run(config(), "mine")
    learned = begun.write_text("learned", "")
    assert begin_run(config(), "mine").path == begun.path
    assert learned.exists()
    assert load_job(TrainEncoderConfig, begun.path / "config.yaml").resume is False
    (begun.path / "ray").mkdir()
    with pytest.raises(UsageError, match="began with other options"):
        begin_run(config(seed=2), "mine")


def test_a_run_that_learned_nothing_may_continue_in_another_way(tmp_path: Path) -> None:
    """Its first options may be what ended it: text that could not be read, teachers of other labels."""

    def config(**options: object) -> AdaptEncoderConfig:
        given = {"model": "runs/mine/model", "output": str(tmp_path), "text": {"files": ["a.txt"]}, **options}
        return AdaptEncoderConfig(job="adapt-encoder", **given)

    begun = begin_run(config(), "adapted")
    assert re.fullmatch(r"mine-adapted-\d.*", begun.path.name)
    fixed = config(name=begun.path.name, resume=True, text={"files": ["b.txt"]})
    assert begin_run(fixed, "adapted").path == begun.path
    (begun.path / "text.parquet").touch()
    with pytest.raises(UsageError, match=r"text\.files"):
        begin_run(config(name=begun.path.name, resume=True, text={"files": ["c.txt"]}), "adapted")


@pytest.mark.parametrize(
    ("reported", "cause"),
    [
        (
            "Training failed due to worker errors:\n[Rank 0 Error Snippet]:\nTraceback:\n"
            "raybio.errors.FormatError: train.tsv, line 2: 'b' is not a word and a tag. Write both\n"
            "To change retry attempts, backoff, or which errors are retried, configure `ray.data`.",
            "raybio.errors.FormatError: train.tsv, line 2: 'b' is not a word and a tag. Write both",
        ),
        (
            "raybio.errors.TrainingError: the teacher a knows Gene\n\nThe above was the direct cause\n"
            "ray.exceptions.UserCodeException: UDF failed to process a data block.",
            "raybio.errors.TrainingError: the teacher a knows Gene",
        ),
        ("A worker died unexpectedly\n\n", "A worker died unexpectedly"),
    ],
)
def test_the_cause_is_the_last_line_that_names_an_error(reported: str, cause: str) -> None:
    assert cause_of(RuntimeError(reported)) == cause


def test_a_failure_without_words_is_reported_by_its_name() -> None:
    assert cause_of(RuntimeError()) == "RuntimeError"


def test_a_worker_that_said_why_it_cannot_continue_ends_the_run() -> None:
    callback = _StopWhereNothingWouldChange()
    callback.after_exception(None, {0: RuntimeError("ConnectionError: the node is gone")})
    reported = (
        "Traceback:\nraybio.errors.TrainingError: training does not fit in the device's memory. Lower it"
    )
    with pytest.raises(TrainingError, match="does not fit"):
        callback.after_exception(None, {0: RuntimeError("lost"), 1: RuntimeError(reported)})


def test_out_of_memory_names_the_options_that_the_job_has() -> None:
    corpus = {split: f"{split}.tsv" for split in ("train", "dev", "test")}
    encoder = TrainEncoderConfig(job="train-encoder", model="m", corpus=corpus)
    assert _less_memory(encoder).endswith("Lower training.max_batch_tokens (now 16384)")
    whole = {"job": "train-decoder", "model": "m", "corpus": corpus}
    whole |= {"quantization": {"bits": 16}, "training": {"gradient_checkpointing": False}}
    assert _less_memory(TrainDecoderConfig(**whole)).endswith(
        "(now 8192), or set training.gradient_checkpointing=true, or set quantization.bits=4"
    )
