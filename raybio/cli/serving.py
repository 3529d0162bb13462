"""The command `serve`."""

from __future__ import annotations

from argparse import Namespace

from raybio.cli.command_line import Commands, add_command, add_config
from raybio.cli.terminal import say, say_starting


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    add_config(add_command(commands, "serve", _serve))


def _serve(options: Namespace) -> None:
    """Serve models over HTTP, with a page to try them, until Ctrl-C or SIGTERM."""
    from raybio.config import ServeConfig, load_job

    config = load_job(ServeConfig, options.config, options.overrides)

    say_starting()

    from raybio.serving.ingress import serve_models

    serve_models(config, say)
