"""What a run keeps of its epochs: how they were scored, and the model of the best."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from raybio.run_folder import RunFolder
from raybio.storage import replace_folder

_FILE = "kept.json"
_FOLDER = "best"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of the epochs that were judged, each number of an epoch counted from 1.

    `epoch` is the last of them, `best_epoch` that with the highest score (`best`), or 0 while none has
    one, and `worse` counts the scored epochs since.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: float | None = None
    worse: int = 0

    @staticmethod
    def read(run: RunFolder) -> Kept:
        """Return what a run's folder says; of a new run nothing is known."""
        return Kept(**run.read_json(_FILE)) if (run.path / _FILE).exists() else Kept()

    def write(self, run: RunFolder) -> None:
        """Write it into the run's folder."""
        run.write_json(_FILE, asdict(self))

    def after(self, epoch: int, score: float | None) -> Kept:
        """Return what is known after one more epoch; its score is None where it could not be judged."""
        if score is None:
            return replace(self, epoch=epoch)
        if self.best is not None and score <= self.best:
            return replace(self, epoch=epoch, worse=self.worse + 1)
        return Kept(epoch, epoch, score)


def best_model(run: RunFolder) -> Path:
    """Return the folder in which a run has the model of its best epoch."""
    return run.path / _FOLDER


def keep_model(run: RunFolder, model: Path) -> None:
    """Make a copy of the folder `model` the run's best one, whole or not at all."""
    with replace_folder(best_model(run)) as draft:
        shutil.copytree(model, draft, dirs_exist_ok=True)
