"""A study's own files beside its run folders.

study.yaml       the study as the last command resolved it
running.json     the runs in progress, while a command holds the study
errors/NAME.txt  why a run failed; gone when it is tried again
.lock            held by whoever runs the study, free again when that process ends, however it ends
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from raybio.config import StudyConfig, to_yaml
from raybio.config.study_cells import study_folder
from raybio.errors import UsageError
from raybio.run_folder import RunFolder

_RUNNING = "running.json"
_PATIENCE_SECONDS = 2.0  # who looks whether the study is held holds it for a moment


class StudyFolder:
    """The folder of `study`, made where it is held for the first time."""

    def __init__(self, study: StudyConfig) -> None:
        self._study = study
        self.path = study_folder(study).absolute()
        self._files = RunFolder(self.path)
        self._lock = FileLock(self.path / ".lock")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the study for the length of a `with` block.

        Raises:
            UsageError: another command runs it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=_PATIENCE_SECONDS)
        except Timeout:
            raise UsageError(
                f"another command runs the study in {self.path}. Watch it with `raybio study status`"
            ) from None
        try:
            self._files.write_text("study.yaml", to_yaml(self._study))
            yield
        finally:
            self.set_running([])
            self._lock.release()

    def set_running(self, names: Iterable[str]) -> None:
        """Record which runs are in progress, for other processes to read."""
        self._files.write_json(_RUNNING, sorted(names))

    def running(self) -> set[str]:
        """Return the runs in progress: none where nobody holds the study, whatever a killed command left."""
        if not (self.path / _RUNNING).is_file() or not self._is_held():
            return set()
        return set(self._files.read_json(_RUNNING))

    def _is_held(self) -> bool:
        try:
            with self._lock.acquire(timeout=0):
                return False
        except Timeout:
            return True

    def set_error(self, name: str, text: str) -> None:
        """Keep why a run failed."""
        self._files.write_text(f"errors/{name}.txt", text.rstrip() + "\n")

    def clear_error(self, name: str) -> None:
        """Forget a failure: the run is tried again."""
        (self.path / "errors" / f"{name}.txt").unlink(missing_ok=True)

    def error(self, name: str) -> str | None:
        """Return why a run failed, or None."""
        path = self.path / "errors" / f"{name}.txt"
        return path.read_text(encoding="utf-8") if path.is_file() else None
