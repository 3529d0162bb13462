"""When epochs end: by which scorer, after how many that were no better, and what a judge that fails costs."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import pytest
import ray.train
from samples import sentence_of_words

from raybio.config import CorpusSection, TrainEncoderConfig, TrainingSection, WorkersSection
from raybio.entities import Sentence, Span
from raybio.errors import ModelError
from raybio.members import Member
from raybio.model_sources import ModelReference
from raybio.run_folder import RunFolder
from raybio.training import epochs
from raybio.training.epochs import Verdict
from raybio.training.kept import Kept, best_model
from raybio.training.recipes import EncoderRecipe, Task
from raybio.training.steps import IGNORED, Example

SECONDS = [9.0, 1.0, 3.0, 2.0]
CORRECTED, PAPER = (0.5, 0.6, 0.7, 0.8), (0.5, 0.4, 0.3, 0.2)


class FakeRay:
    """Ray Train of one worker: what was reported, in order, and the last checkpoint, kept in a folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reports: list[tuple[str, dict[str, Any]]] = []
        self._folder, self._last = folder, folder / "none"
        monkeypatch.setattr(ray.train, "report", self._report)
        monkeypatch.setattr(ray.train, "get_checkpoint", self._checkpoint)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return [metrics for kind, metrics in self.reports if kind == "metrics"]

    def _report(self, metrics: dict[str, Any], checkpoint: Any = None) -> None:
        self.reports.append(("metrics" if checkpoint is None else "checkpoint", metrics))
        if checkpoint is not None:
            self._last = self._folder / str(len(self.reports))
            checkpoint.to_directory(str(self._last))

    def _checkpoint(self) -> Any:
        return ray.train.Checkpoint.from_directory(str(self._last)) if self._last.exists() else None


class FakeLearner:
    """A model that is the number of epochs it learned."""

    padding = 0

    def __init__(self) -> None:
        self.learned = 0

    def save(self, folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "learned").write_text(str(self.learned))

    def load(self, folder: Path) -> None:
        self.learned = int((folder / "model" / "learned").read_text())

    def tags(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        return [["O"] * len(each) for each in sentences]

    def metrics(self) -> dict[str, float]:
        return {}


ONE = sentence_of_words("a")
MEMBER = Member(CorpusSection(name="sample"), "sample")
ALONE: Any = SimpleNamespace(
    rank=0, world=1, gather=lambda work: list(work()), peak_memory=lambda: {"peak_gpu_bytes": 7}
)


@pytest.fixture
def fake_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    def learn(run: Any, training: Any, workers: Any, batches: Any, learner: FakeLearner, epoch: int) -> Any:
        learner.learned += 1
        assert learner.learned == epoch
        return 1.0, SECONDS

    monkeypatch.setattr(epochs, "_epoch", learn)
    return FakeRay(tmp_path / "ray", monkeypatch)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def config_of(**training: Any) -> TrainEncoderConfig:
    return TrainEncoderConfig(
        job="train-encoder", model="bundled:minilm", corpus=CorpusSection(name="sample"), training=training
    )


def train(run: RunFolder, judge: epochs.Judge, **training: Any) -> None:
    learner: Any = FakeLearner()
    recipe = EncoderRecipe.of(config_of(**training))
    task = Task(run, ModelReference("m", ""), Path("base"), recipe, WorkersSection())
    patience = recipe.training.early_stopping_patience
    epochs.train_epochs(task, ALONE, [], learner, judge, patience=patience, keep_best=True)


def judge_of(*scores: float | Exception) -> epochs.Judge:
    """Return a judge that finds these, one after the other."""
    found = iter(scores)

    def judge() -> Verdict:
        score = next(found)
        if isinstance(score, Exception):
            raise score
        return Verdict({"dev_strict_f1": score}, score, f", dev {score}")

    return judge


@pytest.mark.parametrize(
    ("metric_for_best_model", "learned"), [("dev_strict_f1", 4), ("dev_paper_strict_f1", 3)]
)
def test_the_scorer_that_chooses_also_stops(
    metric_for_best_model: str,
    learned: int,
    fake_ray: FakeRay,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the corrected scorer every epoch is better than the one before, by the paper's none."""
    scored = iter(zip(CORRECTED, PAPER, strict=True))

    def evaluate(*_: object) -> SimpleNamespace:
        corrected, paper = next(scored)
        strict = SimpleNamespace(strict=SimpleNamespace(f1=paper))
        return SimpleNamespace(strict_f1=corrected, paper=strict)

    monkeypatch.setattr(epochs, "evaluate", evaluate)
    recipe = {"epochs": 4, "early_stopping_patience": 2, "metric_for_best_model": metric_for_best_model}
    learner: Any = FakeLearner()
    train(run, epochs.judged_on_dev(metric_for_best_model, learner, [(MEMBER, [ONE])]), **recipe)
    assert [row["dev_strict_f1"] for row in fake_ray.metrics] == list(CORRECTED[:learned])
    assert [row["dev_paper_strict_f1"] for row in fake_ray.metrics] == list(PAPER[:learned])
    # The first step warms up.
    assert {(row["steps"], row["step_seconds"]) for row in fake_ray.metrics} == {(4, 2.0)}
    assert {row["peak_gpu_bytes"] for row in fake_ray.metrics} == {7}


def test_the_mean_of_all_corpora_chooses_each_by_its_own_labels() -> None:
    gold = replace(sentence_of_words("Aspirin", "inhibits", "COX2"), gold=(Span(0, 1, "Drug"),))
    genes = replace(gold, gold=(Span(2, 3, "Gene"),))
    dev = [
        (replace(MEMBER, title="drugs", annotates=frozenset({"Drug"})), [gold, gold]),
        (replace(MEMBER, title="none"), []),
        (replace(MEMBER, title="genes", annotates=frozenset({"Gene"})), [genes]),
    ]
    learner: Any = FakeLearner()
    learner.tags = lambda sentences: [["B-Drug", "O", "O"], ["B-Drug", "O", "B-Gene"], ["B-Drug", "O", "O"]]
    verdict = epochs.judged_on_dev("dev_strict_f1", learner, dev)()
    assert verdict.rising == 0.5
    assert verdict.figures == {
        "dev_strict_f1": 0.5,
        "dev_paper_strict_f1": 0.5,
        "dev_strict_f1/drugs": 1.0,
        "dev_strict_f1/genes": 0.0,
    }
    assert verdict.words == ", dev strict F1 50.00 (mean of drugs 100.00, genes 0.00)"


def test_a_checkpoint_is_reported_before_the_epoch_is_judged(fake_ray: FakeRay, run: RunFolder) -> None:
    train(run, judge_of(0.5, 0.6), epochs=2)
    assert [(kind, row["epoch"]) for kind, row in fake_ray.reports] == [
        *(("checkpoint", 1), ("metrics", 1)),
        *(("checkpoint", 2), ("metrics", 2)),
    ]


@pytest.mark.parametrize("error", [ModelError("it cannot be read"), RuntimeError("out of memory\nand more")])
def test_a_judge_that_fails_costs_the_score_and_not_the_epoch(
    error: Exception, fake_ray: FakeRay, run: RunFolder
) -> None:
    train(run, judge_of(0.5, error, 0.4), epochs=3)
    assert [row.get("dev_strict_f1") for row in fake_ray.metrics] == [0.5, None, 0.4]
    assert Kept.read(run) == Kept(epoch=3, best_epoch=1, best=0.5, worse=1)
    assert (best_model(run) / "learned").read_text() == "1"
    log = (run.path / "log.txt").read_text()
    assert f"no score: scoring failed ({str(error).splitlines()[0]})" in log


def test_an_epoch_that_was_saved_and_not_judged_is_judged_when_the_run_is_resumed(
    fake_ray: FakeRay, run: RunFolder
) -> None:
    class KilledError(BaseException):
        """Ends a process, as a signal would."""

    def killed() -> Verdict:
        raise KilledError

    with pytest.raises(KilledError):
        train(run, killed, epochs=2)
    train(run, judge_of(0.7, 0.6), epochs=2)
    assert [(row["epoch"], row["dev_strict_f1"]) for row in fake_ray.metrics] == [(1, 0.7), (2, 0.6)]
    assert (best_model(run) / "learned").read_text() == "1"


def test_a_judged_epoch_is_not_judged_again(fake_ray: FakeRay, run: RunFolder) -> None:
    train(run, judge_of(0.5), epochs=1)
    train(run, judge_of(0.6), epochs=2)
    assert [(row["epoch"], row["dev_strict_f1"]) for row in fake_ray.metrics] == [(1, 0.5), (2, 0.6)]
    assert (best_model(run) / "learned").read_text() == "2"


def test_a_checkpoint_of_an_earlier_version_is_resumed(fake_ray: FakeRay, run: RunFolder) -> None:
    train(run, judge_of(0.5), epochs=1)
    (run.path / "kept.json").unlink()
    (fake_ray._last / "progress.json").write_text(json.dumps({"epoch": 1, "best": 0.5, "worse": 0}))
    train(run, judge_of(0.5, 0.4), epochs=2)
    assert Kept.read(run) == Kept(epoch=2, best_epoch=1, best=0.5, worse=1)
    assert "earlier version" in (run.path / "log.txt").read_text()


class Together:
    """Workers in threads, which sum and compare as torch's do: each waits for the others."""

    def __init__(self, world: int) -> None:
        self.world = world
        self._barrier, self._values = Barrier(world), [0.0] * world

    def worker(self, rank: int) -> Any:
        return SimpleNamespace(
            rank=rank,
            world=self.world,
            sum=lambda value: sum(self._all(rank, value)),
            most=lambda value: int(max(self._all(rank, value))),
        )

    def _all(self, rank: int, value: float) -> list[float]:
        self._values[rank] = value
        self._barrier.wait(10)
        values = [*self._values]
        self._barrier.wait(10)
        return values


class Counting:
    """A model that notes what it is given: how many passes and labels in each step, and which examples."""

    padding = 0

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.ids: list[int] = []

    def step(self, parts: Sequence[Sequence[Example]], labelled: int) -> float:
        self.steps.append((len(parts), labelled))
        learned = [each for part in parts for each in part if each.labels[0] != IGNORED]
        self.ids += [each.ids[0] for each in learned]
        return float(len(learned))


def test_workers_whose_parts_end_at_different_steps_make_as_many_passes_and_lose_nothing(
    run: RunFolder,
) -> None:
    """Three workers, of which one has two batches more than another, and one has none."""
    together, training = Together(3), TrainingSection(max_batch_tokens=512)
    batches = [[[Example([b] * 256, [1] * 8) for b in range(4)]] * 3, [[Example([9], [1])]], []]
    learners = [Counting() for _ in batches]

    def learn(rank: int) -> Any:
        stream: Any = SimpleNamespace(epoch=lambda _: iter(batches[rank]))
        return epochs._epoch(run, training, together.worker(rank), stream, cast("Any", learners[rank]), 1)

    with ThreadPoolExecutor(3) as threads:
        found = [*threads.map(learn, range(3))]
    # Two passes of two examples a step, and labels of all workers.
    assert [learner.steps for learner in learners] == [[(2, 33), (2, 32), (2, 32)]] * 3
    assert [learner.ids for learner in learners] == [[0, 1, 2, 3] * 3, [9], []]
    assert [loss for loss, _ in found] == [13 / 97] * 3
