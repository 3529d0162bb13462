"""A cluster's job server over HTTP, with every way it can fail as one error of ours."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from ray.dashboard.modules.job.pydantic_models import JobDetails
from ray.exceptions import RayError
from ray.job_submission import JobStatus, JobSubmissionClient
from ray.util.state import list_nodes
from ray.util.state.common import NodeState
from ray.util.state.exception import RayStateApiException

from raybio.errors import STOPPED, ClusterError
from raybio.submission.room import Nodes

_FAILURES = (OSError, RuntimeError, ValueError, RayError, RayStateApiException, aiohttp.ClientError)
_POLL_SECONDS = 0.5
_START_SECONDS = 30.0
_SAID_SECONDS = 30.0
# A log ends a little before its job does, or because the connection was lost: about a minute of both.
_FRUITLESS = 10
_LONGEST_WAIT = 10.0


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """A job as the cluster knows it; times are Unix times in seconds.

    `state` is PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED. `exit_code` is None until it ended,
    and where it ended without one: then `message` says why.
    """

    id: str
    job: str
    state: str
    exit_code: int | None
    started: float | None
    ended: float | None
    message: str

    @property
    def over(self) -> bool:
        """Whether it ended, in whatever way."""
        return JobStatus(self.state).is_terminal()


class _Log:
    """Shows a job's log once, however often it is sent from its beginning; `length` is what was shown."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.length = 0
        self._reported = 0
        self._show = show

    def begin(self) -> None:
        """Say that the log is sent from its beginning now."""
        self._reported = 0

    def add(self, lines: str) -> None:
        """Show what is new in the next lines."""
        self._reported += len(lines)
        if (new := self._reported - self.length) > 0:
            self._show(lines[-new:])
            self.length = self._reported


class JobServer:
    """The job server at `address`, such as http://127.0.0.1:8265."""

    def __init__(self, address: str) -> None:
        self.address = address
        # It would go before what was asked for.
        os.environ["RAY_API_SERVER_ADDRESS"] = address
        for room in (
            "dashboard.modules.job",
            "dashboard.modules.dashboard_sdk",
            "_private.runtime_env.packaging",
        ):
            logging.getLogger(f"ray.{room}").setLevel(logging.WARNING)
        with self._asking():
            self._client = JobSubmissionClient(address)

    def jobs(self) -> list[SubmittedJob]:
        """Return every job that was submitted to the cluster, the oldest first."""
        with self._asking():
            found = self._client.list_jobs()
        return sorted(
            (_job(each) for each in found if each.submission_id), key=lambda job: job.started or 0.0
        )

    def job(self, name: str) -> SubmittedJob:
        """Return the job with this submission id."""
        with self._asking():
            return _job(self._client.get_job_info(name))

    def nodes(self) -> tuple[list[Nodes], bool]:
        """Return the nodes that run, and whether the head takes tasks."""
        until = time.monotonic() + _START_SECONDS
        # A head that has just started answers some seconds before its own node is there.
        while not (alive := self._alive()) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        sizes = [(n.resources_total.get("CPU", 0.0), n.resources_total.get("GPU", 0.0)) for n in alive]
        same = {size: sizes.count(size) for size in sizes}
        nodes = [Nodes("node" if count == 1 else "nodes", count, *size) for size, count in same.items()]
        return nodes, any(n.is_head_node and n.resources_total.get("CPU") for n in alive)

    def _alive(self) -> list[NodeState]:
        with self._asking():
            return [node for node in list_nodes(self.address, detail=True) if node.state == "ALIVE"]

    def send(
        self,
        name: str,
        entrypoint: str,
        folder: Path,
        metadata: Mapping[str, str],
        cpus: float,
        environment: Mapping[str, str],
    ) -> None:
        """Upload `folder` and start `entrypoint` in it; `cpus` are set aside for the driver."""
        with self._asking():
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=name,
                runtime_env={"working_dir": str(folder), "env_vars": dict(environment)},
                metadata=dict(metadata),
                entrypoint_num_cpus=cpus or None,
            )

    def wait_for_start(self, name: str, progress: Callable[[str], None]) -> None:
        """Return when the job has started, or ended; say every half minute what it waits for.

        Raises:
            ClusterError: the cluster does not answer, or knows no such job.
        """
        started = said_at = time.monotonic()
        while (job := self.job(name)).state == JobStatus.PENDING:
            if time.monotonic() - said_at >= _SAID_SECONDS:
                said_at = time.monotonic()
                nodes, _ = self.nodes()
                has = ", ".join(map(str, nodes)) or "no node"
                progress(
                    f"{name} is pending for {said_at - started:.0f} s: {job.message or 'no reason given.'} "
                    f"The cluster has {has}"
                )
            time.sleep(_POLL_SECONDS)

    def follow(self, name: str, show: Callable[[str], None]) -> int:
        """Pass the job's log to `show` as it grows, until it ends; return its exit code.

        A connection that is lost on the way is made again. One that the cluster closes in order while the job
        runs is no failure: a node that is busy may not have the log yet.

        Raises:
            ClusterError: it was lost (its node died, its environment could not be made), or the
                server was; or there is no such job.
        """
        job = self.job(name)
        log, fruitless, failed, lost = _Log(show), 0, 0, ""
        while failed < _FRUITLESS:
            length = log.length
            try:
                with self._asking():
                    asyncio.run(self._follow_log(name, log))
                job, failed = self.job(name), 0
            except ClusterError as error:
                failed, lost = failed + 1, f" ({error})"
            if job.over:
                return self._exit_code(job)
            if log.length > length:
                fruitless = failed = 0
            else:
                fruitless += 1
            time.sleep(min(_LONGEST_WAIT, _POLL_SECONDS * 2 ** min(fruitless, _FRUITLESS)))
        raise ClusterError(f"{name} runs on, but its log comes no more{lost}. See `raybio jobs`")

    def _exit_code(self, job: SubmittedJob) -> int:
        if job.state == JobStatus.STOPPED:  # Ray tells no exit code then
            return STOPPED
        if job.exit_code is None:
            raise ClusterError(f"{job.id} did not end by itself: {job.message}. Submit it again to resume")
        return job.exit_code

    async def _follow_log(self, name: str, log: _Log) -> None:
        log.begin()
        async for lines in self._client.tail_job_logs(name):
            log.add(lines)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise ClusterError(f"the cluster at {self.address}: {error}") from error


def _job(details: JobDetails) -> SubmittedJob:
    metadata: Mapping[str, Any] = details.metadata or {}
    return SubmittedJob(
        id=details.submission_id or "",
        job=metadata.get("job", details.entrypoint),
        state=details.status.value,
        exit_code=details.driver_exit_code,
        started=details.start_time / 1000 if details.start_time else None,
        ended=details.end_time / 1000 if details.end_time else None,
        message=details.message or "",
    )


def running(jobs: Sequence[SubmittedJob], work: str) -> SubmittedJob | None:
    """Return the job among `jobs` that does this work now, if there is one."""
    return next((job for job in jobs if job.id.startswith(f"{work}-") and not job.over), None)
