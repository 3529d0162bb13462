"""The commands `study plan`, `study run`, `study status` and `study report`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from raybio.cli.command_line import Commands, add_command, add_config, add_group, add_json, add_quotes
from raybio.cli.terminal import report, say, say_starting, show, show_figures

if TYPE_CHECKING:
    from raybio.config import StudyConfig


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    group = add_group(commands, "study", "Plan, run, watch and report a study: models x corpora x settings")
    for name, run in (("plan", _plan), ("run", _run), ("status", _status)):
        command = add_command(group, name, run)
        add_config(command)
        add_json(command)
    report = add_command(group, "report", _report)
    add_config(report)
    report.add_argument(
        "--output", metavar="FILE", help="an .html or .md file; default: report.html in the study's folder"
    )
    add_quotes(report)


def _plan(options: Namespace) -> None:
    """Say which runs a study has, with GPUs, hours and dollars, or all that is wrong; starts nothing."""
    config = _load(options)

    from raybio.study.plan import plan_study

    plan = plan_study(config)
    show_figures(plan.text(), plan.to_dict(), options.json)


def _run(options: Namespace) -> int:
    """Do every run of a study that is not done; the same command resumes where it ended.

    A run that fails is kept with its error, and the others continue; the exit code is 1 then.
    """
    config = _load(options)

    say_starting()

    from raybio.errors import DONE, FAILURE
    from raybio.study.engine import run_study
    from raybio.study.status import study_status

    outcome = run_study(config, report)
    status = study_status(config)
    show_figures(status.text(), status.to_dict(), options.json)
    if outcome.failed:
        say(f"raybio: {len(outcome.failed)} runs failed: {', '.join(outcome.failed)}")
    return FAILURE if outcome.failed else DONE


def _status(options: Namespace) -> None:
    """Say how far a study is: each run with its state, epochs and F1."""
    config = _load(options)

    from raybio.study.status import study_status

    status = study_status(config)
    show_figures(status.text(), status.to_dict(), options.json)


def _report(options: Namespace) -> None:
    """Write one report on what a study's runs found, beside the published tables."""
    config = _load(options)

    from raybio.study.report import write_study_report

    output = Path(options.output) if options.output else None
    show(f"{write_study_report(config, output, quotes=options.quotes)}\n")


def _load(options: Namespace) -> StudyConfig:
    from raybio.config import StudyConfig, load_job

    return load_job(StudyConfig, options.config, options.overrides)
