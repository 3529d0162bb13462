"""The command `export`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from raybio.cli.command_line import Commands, add_command
from raybio.cli.terminal import say, show
from raybio.errors import UsageError


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    export = add_command(commands, "export", _export)
    export.add_argument("model", metavar="MODEL", help="run or model folder, hub id or bundled:NAME")
    export.add_argument("--format", choices=("onnx",), required=True, help="what to write")
    export.add_argument("--output", metavar="FOLDER", help="default: onnx in the model's own folder")


def _export(options: Namespace) -> None:
    """Write an encoder in another format, and see that it tags alike."""
    if options.output is None and not Path(options.model).is_dir():
        raise UsageError(f"{options.model} is no folder of yours to write into. Give --output FOLDER")

    from raybio.model_sources import whole_classifier
    from raybio.taggers.encoder_onnx import FILE, TRIED, export_onnx
    from raybio.text_tagger import folder_of

    folder = folder_of(options.model)
    target = Path(options.output or folder / "onnx")
    say(f"exporting {options.model} ...")
    export_onnx(whole_classifier(folder), target)
    show(f"{target / FILE}: {TRIED} sentences are tagged as by torch\n")
