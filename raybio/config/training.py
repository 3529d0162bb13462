"""What every training job's config has: its model and run folder, how it is trained, its workers, its log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from raybio.config.corpus import CorpusSection
from raybio.config.demand import Demand, Together
from raybio.config.faults import FaultsError, shown
from raybio.config.section import (
    SPOT_TIMEOUT_S,
    START_TIMEOUT_S,
    AllowPickle,
    FileName,
    JobConfig,
    Section,
    SpotTimeout,
    StartTimeout,
    Text,
)
from raybio.config.sweep import SweepableConfig
from raybio.config.union import AnyCorpus, trains_on_dev

LearningRate = Annotated[
    float, Field(gt=0, description="peak learning rate of AdamW, reached after the warm-up")
]
BatchSize = Annotated[int, Field(ge=1, description="sentences per optimizer step, shared among the workers")]
MaxBatchTokens = Annotated[
    int,
    Field(
        ge=16,
        validate_default=True,
        description="subwords of one forward pass, padding included; "
        "a larger batch is split and its gradients summed",
    ),
]
EncoderPrecision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    Field(
        description="compute dtype; auto = bf16 on a GPU or CPU that multiplies it "
        "(AMX, AVX-512 bf16), else fp32"
    ),
]


class OptimizationSection(Section):
    """How any model's weights are moved."""

    epochs: int = Field(default=20, ge=1, description="passes over the training data, at most")
    learning_rate: LearningRate
    weight_decay: float = Field(
        default=0.01, ge=0, description="weight decay of AdamW; biases and norms have none"
    )
    warmup_ratio: float = Field(
        default=0.1, ge=0, le=1, description="fraction of all steps in which the learning rate rises from 0"
    )
    lr_scheduler_type: Literal["linear", "constant"] = Field(
        default="linear", description="learning rate after the warm-up: falls to 0 over all epochs, or stays"
    )
    batch_size: BatchSize
    max_grad_norm: float | None = Field(
        default=1.0, gt=0, description="largest gradient norm; null = no clipping"
    )
    group_by_length: bool = Field(
        default=True,
        description="sentences of like length together, for the least padding; false = any together",
    )


class LearningSection(OptimizationSection):
    """How any model is trained to tag, and which epoch is kept."""

    early_stopping_patience: int = Field(
        default=3,
        ge=0,
        description="epochs without a better strict F1 on dev before stopping; 0 = never stop early",
    )
    keep_checkpoint: Literal["best", "last"] = Field(
        default="best",
        description="the epoch whose weights become the model: best strict F1 on dev, or the last",
    )
    metric_for_best_model: Literal["dev_strict_f1", "dev_paper_strict_f1"] = Field(
        default="dev_strict_f1",
        description="the figure of metrics.jsonl that stops a run and chooses epoch and sweep point: strict "
        "F1 on dev by the corrected scorer, or by the study's own",
    )

    @property
    def scorer(self) -> Literal["corrected", "paper"]:
        """Whose strict F1 on dev chooses."""
        return "paper" if self.metric_for_best_model == "dev_paper_strict_f1" else "corrected"


class WorkersSection(Section):
    """How many processes train, and on what."""

    num_workers: int = Field(
        default=1, ge=1, description="training processes; each takes its share of every epoch"
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="auto = one GPU per worker where the cluster has one, else CPU"
    )
    cpus_per_worker: float = Field(default=1.0, gt=0, description="CPUs that Ray sets aside for each worker")
    threads: int | None = Field(
        default=None, ge=1, description="torch threads per worker; null = as many as it has CPUs"
    )
    max_failures: int = Field(
        default=1, ge=0, description="times a run resumes from its last checkpoint after a worker died"
    )
    start_timeout_s: StartTimeout = START_TIMEOUT_S
    spot_timeout_s: SpotTimeout = SPOT_TIMEOUT_S

    def demands(self) -> Sequence[Together]:
        """Return what they ask of a cluster."""
        gpus = 1.0 if self.accelerator == "gpu" else 0.0
        return [(Demand("training worker", self.num_workers, self.cpus_per_worker, gpus),)]


class LoggingSection(Section):
    """Where else the metrics go; the run folder always has them."""

    tensorboard: bool = Field(default=True, description="write TensorBoard event files into the run folder")
    mlflow: Text | None = Field(
        default=None, description="MLflow tracking URI, such as sqlite:///FILE; null = no MLflow"
    )


class LearnConfig(JobConfig):
    """A job whose workers train: what they begin with, where the run goes, how, and what is logged."""

    model: Text
    allow_pickle: AllowPickle = False
    output: Text = Field(default="runs", description="folder that receives one run folder per run")
    name: FileName | None = Field(
        default=None, description="name of the run folder; null = from model, training data, and time"
    )
    seed: int = Field(
        default=1, ge=0, le=2**32 - 1, description="seed of weights, dropout and the order of sentences"
    )
    resume: Literal[False, True, "if-begun"] = Field(
        default=False,
        description="resume the run folder of this name, which must exist (if-begun = where it does, "
        "else begin it); only when it ends and where it runs may change",
    )
    training: OptimizationSection
    workers: WorkersSection = Field(
        default=WorkersSection(), description="how many processes train, and on what"
    )
    logging: LoggingSection = Field(default=LoggingSection(), description="where else the metrics go")

    @field_validator("resume")
    @classmethod
    def _resume_names_a_run(cls, resume: bool | str, info: ValidationInfo) -> bool | str:
        if resume and info.data.get("name", "faulty") is None:
            raise ValueError(
                f"found {shown(resume)}, but there is no name; give the name of the run to resume"
            )
        return resume

    def demands(self) -> Sequence[Together]:
        """Return what its workers ask of a cluster."""
        return self.workers.demands()

    def same_work(self) -> Self:
        """Return the config without `resume`."""
        return self.model_copy(update={"resume": False})

    def resume_words(self, name: str) -> list[str]:
        """Return what makes the job resume its run, which is called `name` where the config names none.

        Whether there is anything to resume the job decides: only it is sure to see its run folder.
        """
        return [] if self.resume else [*([] if self.name else [f"name={name}"]), "resume=if-begun"]


class TrainConfig(LearnConfig, SweepableConfig):
    """Fine-tune one model on one corpus, choose its best epoch on dev, and score it on test."""

    corpus: AnyCorpus = Field(description="what to train on; a list of corpora makes one model of all")
    corpus_temperature: float | None = Field(
        default=None,
        ge=1,
        description="with several corpora: one of n sentences is drawn from in proportion to "
        "weight * n ** (1 / temperature), so that more than 1 favours the small ones; "
        "null = 1, each sentence once an epoch where weights are alike",
    )
    training: LearningSection
    test: bool = Field(default=True, description="score the test split at the end")
    bootstrap: int = Field(
        default=1000, ge=0, description="resamples of documents for 95 % intervals; 0 = no intervals"
    )

    @field_validator("corpus_temperature")
    @classmethod
    def _is_of_several_corpora(cls, temperature: float | None, info: ValidationInfo) -> float | None:
        if temperature is not None and isinstance(info.data.get("corpus"), CorpusSection):
            raise ValueError(f"found {temperature}, but there is one corpus; give a list of corpora")
        return temperature

    @property
    def dev_sentences(self) -> int | None:
        """How many sentences of dev an epoch is scored on: None = all, 0 = none, since dev is trained on."""
        return 0 if trains_on_dev(self.corpus) else None

    @model_validator(mode="after")
    def _a_learned_dev_chooses_nothing(self) -> Self:
        chooses = (
            self.training.keep_checkpoint != "last" or self.training.early_stopping_patience or self.sweep
        )
        if trains_on_dev(self.corpus) and chooses:
            fault = (
                "dev is trained on (corpus.train_with_dev), so that it can choose nothing; "
                "set keep_checkpoint to last and early_stopping_patience to 0, without a sweep"
            )
            raise FaultsError([(("training",), fault)])
        return self
