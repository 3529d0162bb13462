"""The commands `demo` and `check`."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from raybio.cli.command_line import Commands, add_command, add_config, add_json
from raybio.cli.terminal import report, show, show_figures


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    demo = add_command(commands, "demo", _demo)
    demo.add_argument(
        "--output", metavar="FOLDER", default="runs", help="where its folder goes; default: %(default)s"
    )
    add_json(demo)
    add_config(add_command(commands, "check", _check))


def _demo(options: Namespace) -> None:
    """Train, score and tag a generated sample corpus: the whole road in some minutes."""
    from raybio.demo import run_demo

    result = run_demo(options.output, report)
    show_figures(f"{result.table()}\n\nreport: {result.report}\n", asdict(result), options.json)


def _check(options: Namespace) -> None:
    """Print a job's config with all defaults filled in, or all its faults at once."""
    from raybio.config import load_config, to_yaml

    show(to_yaml(load_config(options.config, options.overrides)))
