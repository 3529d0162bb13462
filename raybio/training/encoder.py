"""Encoder fine-tuning on Ray Train: Ray Data in, a Hugging Face folder and its scores out.

The driver makes the run folder, starts the workers and keeps the best epoch; each worker runs
`_train_worker`. Workers see the same stream and split every batch, so that their number changes
the time a run takes and not what it learns.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import ray
import ray.train
import torch
import torch.distributed
from ray.train import Checkpoint, CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, prepare_model
from transformers import AutoModelForTokenClassification, AutoTokenizer

import raybio
from raybio.alignment import SubwordEncoder
from raybio.cluster import connected, quiet_data
from raybio.config import TrainEncoderConfig, to_yaml
from raybio.errors import TrainingError
from raybio.evaluation import evaluate
from raybio.iob2 import tag_set
from raybio.model_sources import model_folder
from raybio.run_folder import RunFolder, timestamp
from raybio.sentence_stream import gold_tags, read_sentences, rows, sentence_dataset, sentence_of
from raybio.taggers.calibration import write_calibration
from raybio.taggers.encoder import EncoderCard, EncoderTagger, default_budget, special_tokens, torch_forward
from raybio.training import encoder_steps as steps
from raybio.training.metrics_log import MetricsLog
from raybio.training.scoring import score_split, uses_gpu

_SHUFFLE_BUFFER = 50_000
_CALIBRATION_SENTENCES = 64
_PROGRESS_SECONDS = 10.0
_STATE = "training_state.pt"


@dataclass(frozen=True, slots=True)
class TrainedEncoder:
    """A finished run: its folder, its best epoch (from 1), and the scores per split."""

    run: RunFolder
    best_epoch: int
    scores: dict[str, Any]


def train_encoder(config: TrainEncoderConfig, progress: Callable[[str], None] = print) -> TrainedEncoder:
    """Fine-tune, keep the best epoch by strict F1 on dev, score it, and fill the run folder.

    `progress` is called with a line of text now and then.

    Raises:
        ConfigError, ModelError, InputError: what the run was given cannot be used.
        UsageError: a run of that name exists and `resume` is false, or the reverse.
        TrainingError: the workers failed more often than `workers.max_failures`.
    """
    base = model_folder(config.model, allow_pickle=config.allow_pickle)
    run = _run_folder(config)
    labels = sorted({span.label for s in read_sentences(config.corpus, "train") for span in s.gold or ()})
    if not labels:
        raise TrainingError("the training split has no entity to learn from. Check its file and format")
    with run.shown(progress), connected():
        quiet_data()
        run.say(f"run folder {run.path}")
        result = _fit(config, base, labels, run)
        best = _best(result, config.training.keep)
        _export(best[0], config, run)
        run.say(f"kept epoch {best[1]['epoch']}")
        splits = ["dev", "test"] if config.test else ["dev"]
        scores = {split: score_split(config, run, split) for split in splits}
    run.write_json("scores.json", scores)
    return TrainedEncoder(run, int(best[1]["epoch"]), scores)


def _run_folder(config: TrainEncoderConfig) -> RunFolder:
    corpus = config.corpus.name or Path(cast(str, config.corpus.train)).stem
    derived = f"{config.model.split(':')[-1].split('/')[-1]}-{corpus}-{timestamp()}"
    path = Path(config.output) / (config.name or derived)
    if config.resume:
        return RunFolder.existing(path)
    return RunFolder.create(path, to_yaml(config))


def _fit(config: TrainEncoderConfig, base: Path, labels: Sequence[str], run: RunFolder) -> Any:
    use_gpu = uses_gpu(config.workers)
    scored = config.training.keep == "best"
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config={"config": config, "base": base, "labels": labels, "run": run},
        scaling_config=ScalingConfig(
            num_workers=config.workers.count,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": config.workers.cpus_per_worker, **({"GPU": 1} if use_gpu else {})},
        ),
        datasets={split: sentence_dataset(config.corpus, split) for split in ("train", "dev")},
        # No dataset is split: an equal split would drop rows. Workers share each batch instead.
        dataset_config=DataConfig(datasets_to_split=[]),
        run_config=RunConfig(
            name="ray",
            storage_path=str(run.path),
            failure_config=FailureConfig(max_failures=config.workers.max_failures),
            checkpoint_config=CheckpointConfig(
                num_to_keep=1, checkpoint_score_attribute="dev_strict_f1" if scored else None
            ),
            # ray.train hands RunConfig out under the type of the version before.
            callbacks=[_LogEpochs(run, config)],  # type: ignore[list-item]
        ),
    )
    try:
        return trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise TrainingError(
            f"training stopped: {_cause(error)}. The logs are in {run.path / 'ray'}"
        ) from error


def _cause(error: BaseException) -> str:
    """Return the last line of a failure that crossed processes: what really happened."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


class _LogEpochs(ray.train.UserCallback):
    """Logs what rank 0 reports; runs in Ray Train's controller, so it survives a worker."""

    def __init__(self, run: RunFolder, config: TrainEncoderConfig) -> None:
        self._run = run
        self._logging = config.logging
        self._log: MetricsLog | None = None

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        self._log = self._log or MetricsLog(self._run, self._logging)
        self._log.add(metrics[0])


def _best(result: Any, keep: str) -> tuple[Checkpoint, dict[str, Any]]:
    if keep == "last":
        return result.checkpoint, result.metrics
    return max(result.best_checkpoints, key=lambda pair: pair[1]["dev_strict_f1"])


def _export(checkpoint: Checkpoint, config: TrainEncoderConfig, run: RunFolder) -> None:
    with checkpoint.as_directory() as folder:
        shutil.copytree(Path(folder) / "model", run.model, dirs_exist_ok=True)
    stream = steps.shuffled(read_sentences(config.corpus, "train"), _SHUFFLE_BUFFER, config.seed)
    write_calibration(run.model, list(islice(stream, _CALIBRATION_SENTENCES)))


# What follows runs in the workers.


@dataclass
class _Progress:
    """Where a run stands between epochs; all of it is in a checkpoint."""

    epoch: int = 0
    best: float = -1.0
    worse: int = 0


def _train_worker(settings: dict[str, Any]) -> None:
    config: TrainEncoderConfig = settings["config"]
    context = ray.train.get_context()
    training = config.training
    torch.manual_seed(config.seed)  # the same new weights in every worker
    torch.set_num_threads(config.workers.threads or max(1, int(config.workers.cpus_per_worker)))
    # The second moments of words that never occur decay into denormal numbers, which are slow.
    torch.set_flush_denormal(True)

    learner = _Learner(config, settings["base"], settings["labels"], settings["run"])
    progress = learner.resume()
    while progress.epoch < training.epochs and not (
        training.patience and progress.worse >= training.patience
    ):
        progress.epoch += 1
        started = time.perf_counter()
        loss = learner.epoch(progress.epoch)
        trained = time.perf_counter()
        f1 = learner.dev_f1()
        progress.worse = 0 if f1 > progress.best else progress.worse + 1
        progress.best = max(progress.best, f1)
        metrics = {
            "epoch": progress.epoch,
            "train_loss": loss,
            "dev_strict_f1": f1,
            "learning_rate": learner.schedule.get_last_lr()[0],
            "train_seconds": trained - started,
            "dev_seconds": time.perf_counter() - trained,
        }
        if context.get_world_rank() == 0:
            learner.run.say(f"epoch {progress.epoch}: loss {loss:.4f}, dev strict F1 {100 * f1:.2f}")
            with tempfile.TemporaryDirectory() as folder:
                learner.save(Path(folder), progress)
                ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
        else:
            ray.train.report(metrics)


class _Learner:
    """One worker's model, optimizer and data."""

    def __init__(self, config: TrainEncoderConfig, base: Path, labels: Sequence[str], run: RunFolder) -> None:
        self.config = config
        self.run = run
        training = config.training
        context = ray.train.get_context()
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.tags = tag_set(labels)
        self.tag_ids = {tag: i for i, tag in enumerate(self.tags)}
        self.tokenizer = AutoTokenizer.from_pretrained(base, use_fast=True)
        model = AutoModelForTokenClassification.from_pretrained(
            base,
            num_labels=len(self.tags),
            id2label=dict(enumerate(self.tags)),
            label2id=self.tag_ids,
            ignore_mismatched_sizes=True,
        )
        self.max_tokens = min(
            training.max_tokens, getattr(model.config, "max_position_embeddings", None) or 512
        )
        self.maker = steps.ExampleMaker(
            SubwordEncoder(self.tokenizer),
            special_tokens(self.tokenizer),
            self.tag_ids,
            max_tokens=self.max_tokens,
            overlap=training.window_overlap,
            subword_labels=training.subword_labels,
        )
        self.model: Any = prepare_model(model.train())
        self.bare: Any = getattr(self.model, "module", self.model)
        self.device = self.bare.device
        self.optimizer = steps.optimizer_for(self.bare, training.learning_rate, training.weight_decay)
        self.dtype = _autocast_dtype(training.precision, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.dev = [sentence_of(row) for row in rows(self._arrow("dev"))]
        self.batches_per_epoch = sum(1 for _ in self._batches(epoch=0))
        total = self.batches_per_epoch * training.epochs
        warmup = int(total * training.warmup_ratio)
        self.schedule = steps.schedule_for(self.optimizer, training.schedule, total, warmup)

    def epoch(self, epoch: int) -> float:
        """Train on the whole split once; return the mean loss per labelled subword."""
        # Drop-out differs between workers and epochs, and is the same when a run is resumed.
        torch.manual_seed((self.config.seed * 1_000 + epoch) * 1_000 + self.rank)
        self.model.train()
        total, counted, reported = 0.0, 0, time.perf_counter()
        for i, batch in enumerate(self._batches(epoch)):
            count = steps.labelled(batch)
            # All workers know the whole batch: the loss is a mean over it, not over a share of it.
            total += self._step(batch[self.rank :: self.world], count)
            counted += count
            if self.rank == 0 and time.perf_counter() - reported > _PROGRESS_SECONDS:
                reported = time.perf_counter()
                self.run.say(f"epoch {epoch}: batch {i + 1} of {self.batches_per_epoch}")
        return float(self._sum(total)) / max(1, counted)

    def _step(self, share: Sequence[steps.Example], labelled: int) -> float:
        """Take one optimizer step on this worker's share; return the share's summed loss."""
        padding = self.tokenizer.pad_token_id
        total = 0.0
        parts = list(steps.micro_batches(share, self.config.training.max_batch_tokens))
        # Gradients are averaged over workers when `backward` runs, once each: all must run it as
        # often, so each takes its share in as many parts as the worker with the most needs.
        for part in parts + [[]] * (self._most(len(parts)) - len(parts)):
            tensors = steps.collate(part or _blank(padding), padding, self.device)
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                loss = steps.summed_loss(self.model, tensors)
            self.scaler.scale(loss * self.world / max(1, labelled)).backward()
            total += loss.item()
        self.scaler.unscale_(self.optimizer)
        if self.config.training.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.bare.parameters(), self.config.training.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.optimizer.zero_grad()
        return total

    def dev_f1(self) -> float:
        """Return strict F1 on dev (corrected scorer), each worker having tagged its share."""
        self.bare.eval()
        folder = Path(self.bare.config.name_or_path)
        tagger = EncoderTagger(
            folder, self.tags, self._card(), torch_forward(self.bare), default_budget(self.device)
        )
        share = self.dev[self.rank :: self.world]
        predicted = [list(tags.tags) for tags in tagger.tag(share)]
        parts: list[list[list[str]]] = [predicted]
        if self.world > 1:
            parts = [[] for _ in range(self.world)]
            torch.distributed.all_gather_object(parts, predicted)
        gold = [gold_tags(s) for rank in range(self.world) for s in self.dev[rank :: self.world]]
        return evaluate(gold, [tags for part in parts for tags in part]).strict_f1

    def save(self, folder: Path, progress: _Progress) -> None:
        """Write a checkpoint: the model as a Hugging Face folder, and the training state."""
        self.bare.save_pretrained(folder / "model")
        self.tokenizer.save_pretrained(folder / "model")
        self._card().write(folder / "model")
        state = {
            "progress": vars(progress),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        torch.save(state, folder / _STATE)

    def resume(self) -> _Progress:
        """Go on from the last checkpoint where there is one; say where that is."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return _Progress()
        with checkpoint.as_directory() as folder:
            weights = AutoModelForTokenClassification.from_pretrained(Path(folder) / "model")
            self.bare.load_state_dict(weights.state_dict())
            state = torch.load(Path(folder) / _STATE, map_location="cpu", weights_only=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        progress = _Progress(**state["progress"])
        if self.rank == 0:
            self.run.say(f"resumed after epoch {progress.epoch}")
        return progress

    def _card(self) -> EncoderCard:
        training = self.config.training
        return EncoderCard(
            labels=sorted({tag[2:] for tag in self.tags[1:]}),
            max_tokens=self.max_tokens,
            window_overlap=training.window_overlap,
            subword_labels=training.subword_labels,
            word_decision=training.word_decision,
            base_model=self.config.model,
            trained_on=self.config.corpus.name or str(self.config.corpus.train),
            raybio=raybio.__version__,
        )

    def _arrow(self, split: str) -> Iterator[Any]:
        shard = ray.train.get_dataset_shard(split)
        return iter(shard.iter_batches(batch_size=1024, batch_format="pyarrow", prefetch_batches=1))

    def _batches(self, epoch: int) -> Iterator[list[steps.Example]]:
        training = self.config.training
        seed = self.config.seed * 1_000 + epoch
        mixed = steps.shuffled(rows(self._arrow("train")), _SHUFFLE_BUFFER, seed)
        examples = (example for row in mixed for example in self.maker.examples(row["words"], row["tags"]))
        return steps.batches(examples, training.batch_sentences, seed, training.batch_order == "sorted")

    def _sum(self, value: float) -> float:
        return self._reduce(value, torch.distributed.ReduceOp.SUM)

    def _most(self, value: int) -> int:
        return int(self._reduce(value, torch.distributed.ReduceOp.MAX))

    def _reduce(self, value: float, operation: Any) -> float:
        if self.world == 1:
            return value
        tensor = torch.tensor(float(value), dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor, operation)
        return float(tensor.item())


def _blank(padding: int) -> list[steps.Example]:
    """Return a batch that teaches nothing, for a worker whose share of a small batch is empty."""
    return [steps.Example([padding, padding], [steps.IGNORED, steps.IGNORED])]


def _autocast_dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
