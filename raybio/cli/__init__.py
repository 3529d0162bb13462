"""The command `raybio`: every sub-command is a thin door to one function of the house.

Before the sub-command is known nothing but the standard library is imported, so that help comes
in a blink; each command imports the rooms that it enters.
"""

from __future__ import annotations

import argparse
import re
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from tempfile import NamedTemporaryFile
from typing import Any, NoReturn

import raybio
from raybio.cli import (
    completion,
    configs,
    corpus,
    doctor,
    export,
    jobs,
    models,
    planning,
    scores,
    serving,
    serving_benchmark,
    study,
    submission,
    tagging,
    training,
)
from raybio.cli.terminal import ReaderGoneError, abandon_bar, close_bar, say
from raybio.errors import DONE, FAILURE, READER_GONE, STOPPED, RaybioError, first_line, root_cause
from raybio.safe_text import safe
from raybio.stopping import leave, say_stopped, stoppable

_CHOICE = re.compile(r"invalid choice: '(?P<word>[^']*)' \(choose from (?P<choices>.*)\)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (by default the process's own) and return its exit code, see `raybio.errors`.

    Raises:
        SystemExit: help was asked for (code 0), or the command line is no command of ours (code 2).
    """
    options = command_line_parser().parse_args(arguments)
    try:
        with stoppable(abandon_bar):
            try:
                return options.run(options) or DONE
            finally:
                close_bar()
    except ReaderGoneError:
        return READER_GONE
    except KeyboardInterrupt:
        say_stopped(say)
        leave()
        return STOPPED
    except Exception as error:  # whatever it is, a user gets one line and an exit code
        return _failed(error, options.debug)


def _failed(error: Exception, debug: bool) -> int:
    """Say in one line why a command failed, and after its traceback with `debug`; return the exit code."""
    if debug:
        say(traceback.format_exc().rstrip())
    cause = root_cause(error)
    if isinstance(cause, RaybioError):
        say(f"raybio: {cause}")
        return cause.exit_code
    if isinstance(cause, OSError) and cause.filename is not None:
        say(f"raybio: {cause.filename}: {cause.strerror}")
        return FAILURE
    more = "" if debug else f". {_kept(traceback.format_exc())}"
    say(f"raybio: {type(cause).__name__}: {first_line(cause)}{more}")
    return FAILURE


def _kept(trace: str) -> str:
    """Keep a traceback in a file, since the failure may not come again; return where it is."""
    try:
        with NamedTemporaryFile("w", encoding="utf-8", prefix="raybio-", suffix=".txt", delete=False) as file:
            file.write(safe(trace))
    except OSError:
        return "--debug shows the traceback"
    return f"The traceback is in {file.name}; --debug shows it"


class _Parser(argparse.ArgumentParser):
    """Offers the nearest command or option for one that is unknown; repeats no credential of what it refuses.

    Parsers of sub-commands are of this class, too.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # A command's parser would leave what it does not know to the one above, which knows no option of it.
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._hint(unknown[0])}")
        return found, unknown

    def _hint(self, word: str) -> str:
        name, _, value = word.lstrip("-").partition("=")
        if near := get_close_matches(f"--{name}", self._option_string_actions, n=2):
            return f". Did you mean {' or '.join(near)}?"
        if word.startswith("-") and any(action.dest == "overrides" for action in self._actions):
            return f". Options of a config have no dashes: {name}={value or 'VALUE'}"
        return ""

    def error(self, message: str) -> NoReturn:
        if wrong := _CHOICE.search(message):
            near = get_close_matches(wrong["word"], re.findall(r"[\w.-]+", wrong["choices"]), n=1)
            message += f". Did you mean {near[0]}?" if near else ""
        super().error(safe(message))


def command_line_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `options.run` is the command chosen."""
    parser = _Parser(prog="raybio", description=(raybio.__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"raybio {raybio.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for room in (
        jobs,
        training,
        tagging,
        serving,
        serving_benchmark,
        submission,
        corpus,
        scores,
        planning,
        study,
        configs,
        models,
        export,
        doctor,
        completion,
    ):
        room.add_commands(commands)
    return parser
