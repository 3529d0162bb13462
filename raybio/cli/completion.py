"""The command `completion`."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Iterator

from raybio.cli.command_line import Commands, add_command
from raybio.cli.terminal import show

_FILES = ("CONFIG", "FILE", "RUN", "GOLD", "PRED", "INPUT", "OUTPUT", "REJECTED")


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    completion = add_command(commands, "completion", _completion)
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _completion(options: Namespace) -> None:
    """Print a script that completes raybio's commands and options in a shell.

    bash: raybio completion bash > ~/.local/share/bash-completion/completions/raybio
    zsh:  raybio completion zsh > FOLDER/_raybio, for a FOLDER of $fpath
    """
    import shtab

    from raybio.cli import command_line_parser

    parser = command_line_parser()
    for action in _actions(parser):
        if action.metavar in ("FOLDER", "DIR"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    show(f"{shtab.complete(parser, options.shell)}\n")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield every option and argument of a parser and of those under it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)
