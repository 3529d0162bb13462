"""The commands `configs list` and `configs copy`."""

from __future__ import annotations

from argparse import Namespace
from itertools import takewhile
from textwrap import shorten

from raybio.cli.command_line import Commands, add_command, add_group
from raybio.cli.terminal import show
from raybio.errors import UsageError

_WIDTH = 100


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    group = add_group(commands, "configs", "Configs that come with raybio; every job takes them by name")
    add_command(group, "list", _list)
    copy = add_command(group, "copy", _copy)
    copy.add_argument("name", metavar="NAME", help="a config by its name: minilm_bc5cdr, study/smoke")
    copy.add_argument("file", metavar="FILE", help="new file, to be changed")


def _list(_: Namespace) -> None:
    """List the configs that come with raybio: name, job, and what each is."""
    from raybio.config.shipped import FOLDERS, shipped_configs
    from raybio.evaluation.tables import align

    rows = [
        (name, FOLDERS[name.partition("/")[0]], _first_sentence(file.read_text(encoding="utf-8")))
        for name, file in shipped_configs().items()
    ]
    show("".join(f"{line}\n" for line in align(("name", "job", "what it is"), rows, words=3)))


def _first_sentence(config: str) -> str:
    comment = takewhile(lambda line: line.startswith("#"), config.splitlines())
    text = " ".join(line.lstrip("# ") for line in comment).partition(". ")[0]
    return shorten(text.rstrip("."), _WIDTH, placeholder=" ...")


def _copy(options: Namespace) -> None:
    """Copy a config that comes with raybio, to change it."""
    from raybio.config import JOBS
    from raybio.config.shipped import find_config, shipped_configs, similar
    from raybio.storage import create_whole

    found = find_config(options.name, JOBS)
    if found not in shipped_configs().values():
        raise UsageError(f"raybio comes with no config {options.name!r}; {similar(options.name)}")
    if not create_whole(options.file, found.read_bytes()):
        raise UsageError(f"{options.file} is there already. Choose another name")
