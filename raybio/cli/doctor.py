"""The command `doctor`."""

from __future__ import annotations

import importlib.metadata
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import Any

from raybio.cli.command_line import Commands, add_command, add_json
from raybio.cli.terminal import show_figures
from raybio.errors import first_line

# What each extra of the package is for.
_SERVES = {
    "int8": "`precision: int8`, fast tagging on CPUs",
    "llm": "train-decoder; LLMs in tag, serve, cascade and studies",
    "s3": "files at s3://",
    "gs": "files at gs://",
    "mlflow": "`logging.mlflow`",
    "onnx": "`raybio export --format onnx`",
    "docs": "make site",
    "dev": "make test",
}
_INSTRUCTIONS = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
# Whether these are set is of use to who reads a report; what they are set to may be secret.
_VARIABLES = (
    "RAYBIO_DATA",
    "RAYBIO_CACHE",
    "RAY_ADDRESS",
    "RAY_TMPDIR",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
)


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    add_json(add_command(commands, "doctor", _doctor))


def _doctor(options: Namespace) -> None:
    """Say what is installed, which devices there are, and what is missing for which command.

    It prints no secrets, no paths and no names of machines or users: paste it into an issue.
    """
    from raybio.bundled_models import BUNDLED
    from raybio.run_folder import environment

    figures = {
        **environment(),
        "devices": _devices(),
        "extras": {name: {"serves": serves, "missing": _missing(name)} for name, serves in _SERVES.items()},
        "models": {f"bundled:{name}": not _lacking([each.requirement]) for name, each in BUNDLED.items()},
        "variables": [name for name in _VARIABLES if os.environ.get(name)],
    }
    show_figures("".join(f"{line}\n" for line in _lines(figures)), figures, options.json)


def _devices() -> dict[str, Any]:
    """Return what torch finds to compute on, or why it does not load."""
    import psutil

    found: dict[str, Any] = {"memory_gib": round(psutil.virtual_memory().total / 2**30, 1)}
    try:
        import torch
    except (ImportError, OSError) as error:
        return found | {"fault": f"torch does not load: {first_line(error)}"}
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return found | {
        "instructions": [name for name in _INSTRUCTIONS if capabilities.get(name)],
        "cuda": torch.version.cuda,
        "gpus": [
            {
                "name": gpu.name,
                "memory_gib": round(gpu.total_memory / 2**30, 1),
                "capability": f"{gpu.major}.{gpu.minor}",
            }
            for gpu in gpus
        ],
    }


def _missing(extra: str) -> list[str]:
    """Return the requirements of an extra that this environment does not meet."""
    from packaging.requirements import Requirement

    return _lacking(
        text
        for text in importlib.metadata.requires("raybio") or []
        if (marker := Requirement(text).marker) and marker.evaluate({"extra": extra})
        if not marker.evaluate({"extra": ""})
    )


def _lacking(requirements: Iterable[str]) -> list[str]:
    """Return those of `requirements` for which there is no package of a version that they allow."""
    from packaging.requirements import Requirement

    lacking = []
    for required in map(Requirement, requirements):
        try:
            found = importlib.metadata.version(required.name)
        except importlib.metadata.PackageNotFoundError:
            found = ""
        if not found or not required.specifier.contains(found, prereleases=True):
            lacking.append(f"{required.name}{required.specifier}")
    return lacking


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    from raybio.evaluation.tables import align

    packages, devices = figures["packages"], figures["devices"]
    commit = f" at {figures['commit']}" if figures["commit"] else ""
    yield f"raybio {packages['raybio']}{commit}, Python {figures['python']}, {figures['platform']}"
    yield "packages: " + ", ".join(
        f"{name} {number}" for name, number in packages.items() if name != "raybio"
    )
    yield f"CPUs: {figures['cpus']}, {' '.join(devices.get('instructions', [])) or 'no vector units known'}"
    yield f"memory: {devices['memory_gib']} GiB"
    yield f"CUDA: {devices.get('cuda') or 'none in this build of torch'}"
    gpus = devices.get("gpus", [])
    yield from (
        f"GPU: {gpu['name']}, {gpu['memory_gib']} GiB, compute capability {gpu['capability']}" for gpu in gpus
    )
    if not gpus:
        unseen = f"; the driver has {figures['accelerators']}" if figures["accelerators"] else ""
        yield f"GPU: none that torch can use{unseen}"
    if "fault" in devices:
        yield devices["fault"]
    yield f"set: {', '.join(figures['variables']) or 'none of ' + ', '.join(_VARIABLES)}"
    yield ""
    yield from align(
        ("extra", "is for", "state"), [_extra_row(*each) for each in figures["extras"].items()], words=3
    )
    yield from (
        f"{name}: {'installed' if there else 'not installed: raybio models install'}"
        for name, there in figures["models"].items()
    )


def _extra_row(name: str, extra: dict[str, Any]) -> tuple[str, str, str]:
    missing = ", ".join(extra["missing"])
    return name, extra["serves"], f"pip install 'raybio[{name}]': lacks {missing}" if missing else "installed"
