"""The commands `submit` and `jobs`."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from raybio.cli.command_line import Commands, add_command, add_config, add_json
from raybio.cli.terminal import say, show, show_figures

if TYPE_CHECKING:
    from raybio.submission.job_server import SubmittedJob

_ADDRESS = "RAY_API_SERVER_ADDRESS"
_HERE = "http://127.0.0.1:8265"
_HEADINGS = ("id", "job", "state", "exit code", "started", "duration")


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    submit = add_command(commands, "submit", _submit)
    submit.add_argument("job", metavar="JOB", help="train-encoder, train-decoder, tag-corpus, serve, ...")
    add_config(submit)
    _add_address(submit)
    submit.add_argument(
        "--follow",
        action=BooleanOptionalAction,
        default=True,
        help="show the job's log until it ends, and exit with its exit code; default: --follow",
    )
    submit.add_argument(
        "--cluster",
        metavar="FILE",
        help="cluster.yaml or KubeRay manifest of a cluster that starts nodes when they are asked for",
    )
    submit.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="an environment variable of the job's processes; without VALUE, as it is here; repeatable",
    )
    jobs = add_command(commands, "jobs", _jobs)
    _add_address(jobs)
    add_json(jobs)


def _add_address(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--address",
        metavar="URL",
        default=os.environ.get(_ADDRESS, _HERE),
        help=f"the cluster's dashboard; default: ${_ADDRESS}, or {_HERE}",
    )


def _submit(options: Namespace) -> int:
    """Run a job on a cluster: check it here, send it there, follow it to its exit code.

    Run from a checkout, which is sent along. The same job is refused while it runs; when it has
    ended, submitting it again resumes where it stopped (serving and its benchmark start over).
    """
    from raybio.config import JOBS
    from raybio.errors import DONE, UsageError

    if options.job not in JOBS:
        raise UsageError(f"{options.job!r} is no job; allowed: {', '.join(JOBS)}")

    from raybio.submission import follow, submit
    from raybio.submission.environment import chosen

    name = submit(
        options.job,
        options.config,
        options.overrides,
        options.address,
        cluster_file=options.cluster,
        environment=chosen(options.env, os.environ),
        progress=say,
    )
    if options.follow:
        return follow(name, options.address, show, say)
    show(f"{name}\n")
    return DONE


def _jobs(options: Namespace) -> None:
    """List what was submitted to a cluster: state, exit code, start and duration of each job."""
    from raybio.evaluation.tables import align
    from raybio.submission import list_jobs

    jobs = list_jobs(options.address)
    table = "".join(f"{line}\n" for line in align(_HEADINGS, [_row(job) for job in jobs]))
    show_figures(table, {"jobs": [asdict(job) for job in jobs]}, options.json)


def _row(job: SubmittedJob) -> tuple[str, ...]:
    started = datetime.fromtimestamp(job.started) if job.started else None
    seconds = (job.ended or time.time()) - job.started if job.started else None
    return (
        job.id,
        job.job,
        job.state.lower(),
        "" if job.exit_code is None else str(job.exit_code),
        f"{started:%Y-%m-%d %H:%M:%S}" if started else "",
        "" if seconds is None else f"{seconds:,.0f} s",
    )
