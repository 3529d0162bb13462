"""Does one run of a study, in a Ray task of its own: through the functions that the single jobs call."""

from __future__ import annotations

import shutil
import traceback
from pathlib import Path
from typing import Any

import ray

from raybio.config import CascadeConfig, TrainConfig, to_yaml
from raybio.errors import RaybioError
from raybio.run_folder import SPLITS_FILE, RunFolder
from raybio.safe_text import safe
from raybio.sentence_stream import split_labels
from raybio.serving.benchmark import benchmark_serve
from raybio.serving.deployment import undeploy
from raybio.study.points import in_the_log, search, train
from raybio.study.runs import StudyRun, read
from raybio.training.cascade import make_cascade
from raybio.training.model_card import write_model_card
from raybio.training.recipes import Scoring
from raybio.training.scoring import score_splits, uses_gpu
from raybio.training.union import members_of


def perform(run: StudyRun, grace_epochs: int, reduction: int) -> str | None:
    """Do the run's work; return why it failed, or None. A process that dies returns nothing at all."""
    try:
        if run.kind == "train":
            train(run.config)
        elif run.kind == "search":
            search(run, grace_epochs, reduction)
        elif run.kind == "test":
            _add_scores(run.config, run.path, ["test"])
        elif run.kind == "cascade":
            _cascade(run.config, run.path)
        else:
            shutil.rmtree(run.path, ignore_errors=True)  # measured again: half a measurement is none
            benchmark_serve(run.config, in_the_log).check()
    except RaybioError as error:
        return str(error)
    except Exception:  # whatever it is, this run failed and the study's others are not to
        return safe(traceback.format_exc())
    return None


def _add_scores(config: TrainConfig | CascadeConfig, path: Path, splits: list[str]) -> None:
    run = RunFolder(path)
    scores = {
        **read(run.path / "scores.json"),
        **score_splits(Scoring.of(config), members_of(config.corpus), run, splits),
    }
    run.write_json("scores.json", scores)
    if not isinstance(config, CascadeConfig):  # which has no model of its own
        write_model_card(run)


def _cascade(config: CascadeConfig, path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)  # what an ended command left: it is made in one piece
    run = RunFolder.create(path, to_yaml(config))
    run.write_json(SPLITS_FILE, split_labels(config.corpus))
    gpus = 1.0 if uses_gpu(config.workers) else 0.0
    joined: Any = ray.remote(num_cpus=config.workers.cpus_per_worker, num_gpus=gpus)(make_cascade)
    ray.get(
        joined.remote(config.encoder, config.decoder, config.corpus, config.budget, run.model, in_the_log)
    )
    _add_scores(config, path, ["dev", "test"])


def take_down(run: StudyRun) -> None:
    """Take down what a failed measurement may have left in Ray Serve.

    Where its process died nobody else did, and the replicas would keep the CPUs that later runs wait for.
    """
    for model in run.config.models:
        undeploy(model.name, wait=False)
