"""How a command is declared: its function's docstring is its help."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int | None]
) -> argparse.ArgumentParser:
    """Declare command `name`, which calls `run` with its options; return its parser for them.

    What `run` returns is the exit code; None is 0, and what it raises has one of its own.
    """
    text = inspect.getdoc(run) or ""
    parser = commands.add_parser(
        name,
        help=text.partition("\n")[0].rstrip("."),
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_group(commands: Commands, name: str, text: str) -> Commands:
    """Declare `name` as a group of commands; return the group."""
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Give `parser` a config file and the words that override it."""
    parser.add_argument("config", metavar="CONFIG", help="YAML file of a job")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="key=value",
        help="changes to the file, with dotted keys: training.epochs=3",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the option `--json`."""
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures as JSON; - = to stdout, in place of the table"
    )


def add_quotes(parser: argparse.ArgumentParser) -> None:
    """Give `parser`, of a command that writes a report, the option `--no-quotes`."""
    parser.add_argument(
        "--no-quotes",
        dest="quotes",
        action="store_false",
        help="leave out the corpora's sentences and entities, which you may not be free to pass on",
    )


def whole_number(text: str) -> int:
    """Return the number that `text` writes in decimal digits.

    Raises:
        ArgumentTypeError: it is no whole number, or below 0.
    """
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def renames(text: str) -> dict[str, str]:
    """Return what "A=B,C=D" renames.

    Raises:
        ArgumentTypeError: a part of it is no such pair, or a label is renamed twice.
    """
    pairs = [word.partition("=") for word in text.split(",")]
    renamed = {old.strip(): new.strip() for old, _, new in pairs}
    if not all(old and new for old, new in renamed.items()) or len(renamed) < len(pairs):
        raise argparse.ArgumentTypeError(f"{text!r} renames nothing; write OLD=NEW, or several: A=B,C=D")
    return renamed
