"""What a check is, how it ends, and how a list of them is run within its time."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from gpu.setting import Setting

Figures = dict[str, Any]


class CheckFailedError(AssertionError):
    """A check found what must not be; `figures` are what it had measured by then."""

    def __init__(self, problem: str, figures: Sequence[Figures] = ()) -> None:
        super().__init__(problem)
        self.figures = list(figures)


@dataclass(frozen=True)
class Check:
    """A check: its name, what it shows, the function (`module.name`), and the packages that it needs.

    The function takes the setting, gives rows of figures, and raises CheckFailedError where a promise does
    not hold. Its module is imported when it is run: all that it needs may not be here.
    """

    name: str
    shows: str
    where: str
    needs: tuple[str, ...] = ()


@dataclass
class Outcome:
    """How a check ended: "passed", "failed" or "skipped", and why; `peak_gib` is of the GPU's memory."""

    name: str
    shows: str
    status: str
    why: str = ""
    seconds: float = 0.0
    peak_gib: float | None = None
    figures: list[Figures] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON has it."""
        return asdict(self)


def run_checks(checks: Sequence[Check], setting: Setting, seconds: float) -> Iterator[Outcome]:
    """Yield the outcome of each check; none is started once `seconds` are over."""
    ends = time.monotonic() + seconds
    for check in checks:
        yield _skipped(check, ends) or _outcome(check, setting)


def _skipped(check: Check, ends: float) -> Outcome | None:
    why = ""
    if missing := [name for name in check.needs if find_spec(name) is None]:
        why = f"{', '.join(missing)} not installed here"
    elif time.monotonic() > ends:
        why = "no time was left for it: raise --seconds, or name it in --only"
    return Outcome(check.name, check.shows, "skipped", why) if why else None


def _outcome(check: Check, setting: Setting) -> Outcome:
    outcome = Outcome(check.name, check.shows, "passed")
    gpu = setting.device.type == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    try:
        module, _, name = check.where.rpartition(".")
        outcome.figures = getattr(import_module(f"gpu.{module}"), name)(setting)
    except CheckFailedError as failure:
        outcome.status, outcome.why, outcome.figures = "failed", str(failure), failure.figures
    except Exception as error:  # one check's fault must not cost the others their time on a GPU
        outcome.status, outcome.why = "failed", f"{type(error).__name__}: {str(error).strip()}"
        traceback.print_exc()
    outcome.seconds = time.perf_counter() - started
    gc.collect()
    if gpu:
        outcome.peak_gib = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.empty_cache()
    return outcome
