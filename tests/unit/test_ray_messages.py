"""The cause of a failure; what reaches the terminal of what Ray prints: each cause once, on stderr."""

from functools import partial

import pytest
import ray._private.worker as ray_worker
from ray.exceptions import ActorDiedError

from raybio.errors import ModelError
from raybio.ray_messages import cause_of, settle_messages

DIED = (
    "A worker died or was killed while executing a task by an unexpected system error. To troubleshoot the "
    "problem, check the logs for the dead worker. Lease ID: 110000006a4a936f658f5089c7333a8d Worker ID: "
    "115616bcccf04352e7fca4df3f1e67065d2c Node ID: d407d318b3af13b25cfcaf42 Worker IP address: 10.0.0.1 "
    "Worker port: {port} Worker PID: {pid} Worker exit type: {kind} Worker exit detail: Worker unexpectedly "
    "exits with a connection error code 2. End of file. Some common causes include: (1) the process was "
    "killed by the OOM killer due to high memory usage, (2) ray stop --force was called"
)
DIED_SHORT = (
    "process {pid} died on 10.0.0.1 ({kind}: Worker unexpectedly exits with a connection error code 2. End "
    "of file), as it does where it crashes or its machine ends it for want of memory; its logs are there. "
    "Others like it are not named"
)
RETRIED = "Task {name} failed. There are {left} retries remaining, so the task will be retried. Error: {why}"
KILLED = "The actor is dead because it was killed by `ray.kill`."


class Terminal:
    """What Ray prints through `print_to_stdstream`, and to which of the two streams."""

    def __init__(self) -> None:
        self.shown: list[tuple[bool, str]] = []

    def show(self, data, ignore_prefix):
        self.shown += [(data["is_err"], line) for line in data["lines"]]

    def says(self, *lines: str, pid: str = "raylet") -> list[tuple[bool, str]]:
        """Have Ray say these lines; return what of them is shown."""
        self.shown = []
        for line in lines:
            ray_worker.print_to_stdstream({"lines": [line], "pid": pid, "is_err": False}, ignore_prefix=True)
        return self.shown


@pytest.fixture
def terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(ray_worker, "print_to_stdstream", partial(terminal.show))
    settle_messages()
    settle_messages()
    return terminal


def test_a_process_that_dies_is_said_in_a_line_and_each_cause_once(terminal):
    kinds = ["SYSTEM_ERROR", "SYSTEM_ERROR", "USER_ERROR", "SYSTEM_ERROR"]
    deaths = [DIED.format(port=3000 + i, pid=70 + i, kind=kind) for i, kind in enumerate(kinds)]
    assert terminal.says(*deaths) == [
        (True, DIED_SHORT.format(pid=70, kind="SYSTEM_ERROR")),
        (True, DIED_SHORT.format(pid=72, kind="USER_ERROR")),
    ]
    settle_messages()  # another job
    assert terminal.says(deaths[1]) == [(True, DIED_SHORT.format(pid=71, kind="SYSTEM_ERROR"))]


def test_that_a_task_is_tried_again_is_said_once_and_of_an_ended_controller_never(terminal):
    pool = [RETRIED.format(name="MapWorker.submit", left=left, why="unavailable") for left in (89, 88)]
    ended = [RETRIED.format(name=f"ServeController.{name}", left=9, why=KILLED) for name in ("a", "b")]
    others = [
        RETRIED.format(name="ServeReplica:m.handle", left=9, why=KILLED),
        RETRIED.format(name="ServeController.deploy", left=9, why="The worker died of a lack of memory."),
    ]
    assert terminal.says(*pool, *ended, *others) == [(True, line) for line in (pool[0], *others)]


def test_what_workers_print_is_no_matter_of_it(terminal):
    assert terminal.says("loss 0.5", "loss 0.5", pid="1234") == [(False, "loss 0.5")] * 2


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("raybio.errors.ModelError: no weights. Fetch it", "a process failed: no weights. Fetch it"),
        ("ValueError: of a library", None),
    ],
)
def test_of_raybios_own_errors_the_traceback_is_left_out(terminal, error, shown):
    trace = f'Traceback (most recent call last):\n\n  File "a.py", line 3, in b\n    raise\n\n{error}\n\n'
    nested = f"Exception raised in creation task: {trace}During handling of it:\n\n{trace}"
    assert terminal.says(nested) == [(True, shown or nested)]


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
        (
            "1 worker(s) were killed due to the node running low on memory.\n"
            "Refer to the documentation. Set `RAY_memory_usage_threshold` when starting Ray.",
            "a worker was ended because its machine ran short of memory",
        ),
    ],
)
def test_the_cause_is_the_last_line_that_names_an_error(reported: str, cause: str) -> None:
    assert cause_of(RuntimeError(reported)) == cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("a tensor"), "ValueError: a tensor"),
        (ModelError("no weights"), "raybio.errors.ModelError: no weights"),
        (ActorDiedError(), "The actor died unexpectedly before finishing this task."),
    ],
)
def test_what_a_worker_raised_is_named(error: Exception, cause: str) -> None:
    assert cause_of(error) == cause


def test_a_failure_without_words_is_reported_by_its_name() -> None:
    assert cause_of(RuntimeError()) == "RuntimeError"
