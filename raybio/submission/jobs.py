"""Submitting a job: checked, refused or sent, followed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from raybio.config import JOBS, load_job
from raybio.config.demand import Demand
from raybio.config.shipped import find_config
from raybio.config.study_cells import demands
from raybio.errors import ClusterError, UsageError
from raybio.stopping import resume_hint
from raybio.submission.environment import without_values
from raybio.submission.identity import first_id, next_id, work_name
from raybio.submission.job_server import JobServer, SubmittedJob, running
from raybio.submission.places import check_places
from raybio.submission.room import check_room, nodes_of_file


def submit(
    job: str,
    config_file: str,
    overrides: Sequence[str],
    address: str,
    *,
    folder: Path = Path(),
    cluster_file: str | None = None,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = print,
) -> str:
    """Send a job to the cluster at `address` and return its submission id.

    What goes along is `folder`, a checkout, without what `.gitignore` and `.rayignore` name. With
    `cluster_file` the job may ask for what the cluster could start; else for what it has now. `environment`
    is added to that of the job's processes.

    Raises:
        ConfigError: the config has faults.
        UsageError: the job is running already, the cluster has no room for it, or what it writes or
            reads could not be found again.
        ClusterError: the cluster does not answer, or refuses.
    """
    config_file = str(find_config(config_file, [job]))
    config = load_job(JOBS[job], config_file, overrides)
    environment = environment or {}
    if shared := check_places(config):
        progress(f"must be on storage that every node sees: {', '.join(shared)}")
    work = work_name(config)
    words = [*overrides, *config.resume_words(work)]
    entrypoint = shlex.join(["python", *_files(folder, job, config_file), *words])
    server = JobServer(address)
    jobs = server.jobs()
    if busy := running(jobs, work):
        raise UsageError(
            f"{busy.id} does this work and is {busy.state.lower()}. Wait for it (raybio jobs), or stop it: "
            f"ray job stop {busy.id} --address {address}"
        )
    nodes, head_takes_tasks = server.nodes()
    # On a head that takes no tasks a driver would only be in the way of Ray's own processes.
    driver = Demand("driver", 1, 0.0 if head_takes_tasks else 1.0, 0.0)
    room = nodes_of_file(cluster_file) if cluster_file else nodes
    check_room([(*together, driver) for together in demands(config)], room)
    first = first_id(work, folder)
    name = next_id(first, [job.id for job in jobs])
    if name != first:
        how = "starts over" if config.starts_anew else "resumes where that ended"
        progress(f"submitted before: {name} {how}")
    try:
        server.send(name, entrypoint, folder, {"job": job, "config": config_file}, driver.cpus, environment)
    except ClusterError as error:
        raise ClusterError(without_values(str(error), environment)) from None
    progress(f"submitted {name}: {entrypoint}")
    return name


def follow(
    name: str, address: str, show: Callable[[str], None], progress: Callable[[str], None] = print
) -> int:
    """Pass the log of job `name` to `show` until it ends; return its exit code.

    What it waits for before it starts goes to `progress`.

    Raises:
        ClusterError: the cluster does not answer, or knows no such job.
    """
    with resume_hint(f"{name} runs on; to stop it: ray job stop {name} --address {address}"):
        server = JobServer(address)
        server.wait_for_start(name, progress)
        return server.follow(name, show)


def list_jobs(address: str) -> list[SubmittedJob]:
    """Return every job that was submitted to the cluster, the oldest first.

    Raises:
        ClusterError: the cluster does not answer.
    """
    return JobServer(address).jobs()


def _files(folder: Path, job: str, config_file: str) -> tuple[str, str]:
    """Return the job's script and config as paths in `folder`, which is what the cluster sees."""
    script = f"jobs/{job.replace('-', '_')}.py"
    if not (folder / script).is_file():
        raise UsageError(
            f"{folder.absolute()} has no {script}, and that folder is what is sent. Submit from a checkout"
        )
    try:
        return script, Path(config_file).resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        raise UsageError(
            f"{config_file} is not in {folder.absolute()}, and only that is sent. Copy it there"
        ) from None
