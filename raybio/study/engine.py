"""Runs a study: starts what can be started as the cluster has room, until nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from raybio.cluster import connected
from raybio.config import StudyConfig
from raybio.config.study_cells import Cell, cells
from raybio.errors import first_line
from raybio.joining import joins_a_cluster
from raybio.progress import Progress
from raybio.run_folder import RunFolder
from raybio.stopping import resume_hint
from raybio.study.demand import demand, nodes_now
from raybio.study.folder import StudyFolder
from raybio.study.runs import Kind, StudyRun, dev_f1
from raybio.study.stages import known_runs
from raybio.study.work import perform, take_down
from raybio.submission.room import Nodes, lacking

_LOOK_SECONDS = 2.0
# What takes the time must have the machine to itself, and a search shares it out among its points.
_ALONE: tuple[Kind, ...] = ("measure", "search")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """What a command did: the runs it finished, and those that failed with the reason of each."""

    finished: tuple[str, ...]
    failed: dict[str, str]


def run_study(study: StudyConfig, progress: Say = print) -> StudyOutcome:
    """Do every run of the study that is not done, several at a time where there is room.

    A run that fails is kept with its error in the study's folder; what does not need it continues.
    Run again, the same study resumes: finished runs stay, failed ones are tried again.

    Raises:
        ConfigError: a train config has faults; nothing is started.
        UsageError: another command runs this study.
    """
    table = cells(study)
    folder = StudyFolder(study)
    with folder.held(), resume_hint("The same command resumes; finished runs stay"), connected():
        progress(f"study folder {folder.path}")
        return _Engine(study, table, folder, progress).run()


class _EpochReports:
    """Says what is new in the metrics of runs, one line an epoch."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._reported: dict[str, int] = {}

    def look(self, runs: Iterable[StudyRun]) -> None:
        """Say each row of the metrics of the training runs among `runs` that was not said yet."""
        for run in runs:
            if run.kind == "train":
                metrics = RunFolder(run.path).metrics()
                for row in metrics[self._reported.get(run.name, 0) :]:
                    score = row.get("dev_strict_f1")
                    found = "not scored" if score is None else f"dev strict F1 {100 * score:.2f}"
                    self._say(f"{run.name}: epoch {row['epoch']}, {found}")
                self._reported[run.name] = len(metrics)


class _Engine:
    """What is running, and what has been tried; all else is read from the study's folder."""

    def __init__(self, study: StudyConfig, table: Sequence[Cell], folder: StudyFolder, say: Say) -> None:
        self._study, self._table, self._folder, self._say = study, table, folder, say
        self._epochs = _EpochReports(say)
        self._active: dict[Any, StudyRun] = {}
        self._failed: dict[str, str] = {}
        self._finished: list[str] = []

    def run(self) -> StudyOutcome:
        """Continue until nothing is running and nothing can be started."""
        waiting = self._waiting()
        while True:
            waiting = self._start(waiting)
            if not self._active:
                return StudyOutcome(tuple(self._finished), self._failed)
            ended, _ = ray.wait(list(self._active), num_returns=1, timeout=_LOOK_SECONDS)
            self._epochs.look(self._active.values())
            for task in ended:
                self._end(task)
            if ended:
                self._report()
                waiting = self._waiting()

    def _report(self) -> None:
        """Say how many of the runs that are known so far have ended."""
        runs = known_runs(self._study, self._table)
        ended = sum(run.done or run.name in self._failed for run in runs)
        self._say(str(Progress("study", "run", ended, len(runs), f"{len(self._failed)} failed")))

    def _waiting(self) -> list[StudyRun]:
        """Return what could be started now, in the order of the study."""
        running = {run.path for run in self._active.values()}
        return [
            run
            for run in known_runs(self._study, self._table)
            if run.name not in self._failed and run.path not in running and not run.done
        ]

    def _start(self, waiting: Sequence[StudyRun]) -> list[StudyRun]:
        """Begin what there is room for; return the rest. Nothing overtakes what has to be alone."""
        nodes = nodes_now()
        rest: list[StudyRun] = []
        for run in waiting:
            overtakes = any(each.kind in _ALONE for each in rest)
            if not self._active or (self._has_room(run, nodes) and not overtakes):
                self._begin(run, nodes)
            else:
                rest.append(run)
        self._folder.set_running(run.name for run in self._active.values())
        return rest

    def _has_room(self, run: StudyRun, nodes: Sequence[Nodes]) -> bool:
        active = list(self._active.values())
        if any(each.kind in _ALONE for each in (run, *active)):
            return False
        together = tuple(one for each in (*active, run) for one in demand(each))
        return lacking(together, nodes) is None

    def _begin(self, run: StudyRun, nodes: Sequence[Nodes]) -> None:
        self._folder.clear_error(run.name)
        lacks = lacking(demand(run), nodes)
        if lacks and not joins_a_cluster():  # a cluster may start nodes; this machine cannot
            self._fail(run, f"this machine has no room for {lacks}")
            return
        self._say(f"{run.name}: started")
        # A process of its own for each run, and none is used twice: what one leaves behind is gone.
        task = ray.remote(num_cpus=0, max_retries=0, max_calls=1)(perform)
        search = self._study.search
        self._active[task.remote(run, search.grace_epochs, search.reduction)] = run

    def _end(self, task: Any) -> None:
        run = self._active.pop(task)
        try:
            problem = ray.get(task)
        except ray.exceptions.RayError as error:
            problem = f"its process died: {first_line(error)}"
        if problem is None and not run.done:
            problem = "it ended without a result"
        if problem:
            if run.kind == "measure":
                take_down(run)
            self._fail(run, problem)
            return
        self._finished.append(run.name)
        found = dev_f1(run.path) if run.kind in ("train", "cascade") else None
        self._say(f"{run.name}: done" + ("" if found is None else f", dev strict F1 {100 * found:.2f}"))

    def _fail(self, run: StudyRun, problem: str) -> None:
        self._failed[run.name] = problem
        self._folder.set_error(run.name, problem)
        self._say(f"{run.name}: failed: {problem.strip().splitlines()[-1]}")
