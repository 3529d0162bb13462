"""The command `raybio`: every sub-command is a thin door to one function of the house.

Before the sub-command is known nothing but the standard library is imported, so that help comes
in a blink; each command imports the rooms that it enters.
"""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Sequence
from typing import NoReturn

import raybio
from raybio.cli import (
    corpus,
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
from raybio.errors import DONE, FAILURE, READER_GONE, STOPPED, RaybioError
from raybio.safe_text import safe
from raybio.stopping import leave, say_stopped, stoppable


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
    except RaybioError as error:
        say(f"raybio: {error}")
        return error.exit_code
    except ReaderGoneError:
        return READER_GONE
    except KeyboardInterrupt:
        say_stopped(say)
        leave()
        return STOPPED
    except OSError as error:
        if error.filename is None:  # not about a file that the user could have named
            return _failed()
        say(f"raybio: {error.filename}: {error.strerror}")
        return FAILURE
    except Exception:
        return _failed()


def _failed() -> int:
    """Print the traceback of an error that nobody expected; `say` leaves out what it must not show."""
    say(traceback.format_exc().rstrip())
    return FAILURE


class _Parser(argparse.ArgumentParser):
    """Repeats no credential of what it refuses; parsers of sub-commands are of this class, too."""

    def error(self, message: str) -> NoReturn:
        super().error(safe(message))


def command_line_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `options.run` is the command chosen."""
    parser = _Parser(prog="raybio", description=raybio.__doc__, allow_abbrev=False)
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
        models,
    ):
        room.add_commands(commands)
    return parser
