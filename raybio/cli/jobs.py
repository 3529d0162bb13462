"""The commands `demo` and `check`."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from raybio.cli.command_line import Commands, add_command, add_config, add_json
from raybio.cli.terminal import report, say, say_starting, show, show_figures
from raybio.errors import ConfigError


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    demo = add_command(commands, "demo", _demo)
    demo.add_argument(
        "--output", metavar="FOLDER", default="runs", help="where its folder goes; default: %(default)s"
    )
    add_json(demo)
    check = add_command(commands, "check", _check)
    add_config(check)
    check.add_argument(
        "--no-files",
        dest="files",
        action="store_false",
        help="do not look for the files and models that it names: the job is for another machine",
    )


def _demo(options: Namespace) -> None:
    """Train, score and tag a generated sample corpus: the whole road in some minutes."""
    say_starting()

    from raybio.demo import run_demo

    result = run_demo(options.output, report)
    show_figures(f"{result.table()}\n\nreport: {result.report}\n", asdict(result), options.json)


def _check(options: Namespace) -> None:
    """Print a job's config with all defaults filled in, or all its faults at once.

    The files and models that it names must be here, or with the hub.
    """
    from raybio.cli.named_files import missing_files
    from raybio.config import load_config, to_yaml

    config = load_config(options.config, options.overrides)
    show(to_yaml(config))
    if options.files and (missing := [*missing_files(config, say)]):
        missing[-1] += ". If the job is for another machine: --no-files"
        raise ConfigError(options.config, missing)
