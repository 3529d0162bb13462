"""Configs that come with raybio, found by name from any folder: `minilm_bc5cdr`, `study/smoke`."""

from __future__ import annotations

import sysconfig
from collections.abc import Collection
from pathlib import Path

from raybio.config.faults import closest
from raybio.errors import UsageError

# Folders of configs, and the job that each configures.
FOLDERS = {
    "adapt_encoder": "adapt-encoder",
    "train_encoder": "train-encoder",
    "train_decoder": "train-decoder",
    "tag_corpus": "tag-corpus",
    "serve": "serve",
    "benchmark_serve": "benchmark-serve",
    "study": "run-study",
}


def shipped_folder() -> Path:
    """Return the folder of what comes with raybio: the checkout's configs, or where the wheel put them."""
    user = sysconfig.get_preferred_scheme("user")
    places = [
        Path(__file__).resolve().parents[2] / "configs",
        *(
            Path(data, "share", "raybio")
            for data in (sysconfig.get_path("data"), sysconfig.get_path("data", user))
        ),
    ]
    return next((place for place in places if (place / "prices.yaml").is_file()), places[0])


def shipped_configs() -> dict[str, Path]:
    """Return every shipped config by its name, which is its folder's and its own: "study/smoke"."""
    return {
        f"{folder}/{file.stem}": file
        for folder in FOLDERS
        for file in sorted((shipped_folder() / folder).glob("*.yaml"))
    }


def find_config(given: str | Path, jobs: Collection[str]) -> Path:
    """Return the file that `given` names: a path, or a shipped config of one of `jobs`, by its name.

    A path of a checkout (configs/study/smoke.yaml) is such a name too. What is nowhere is returned as it is.

    Raises:
        UsageError: several shipped configs have the name.
    """
    path, name = Path(given), _name(given)
    if path.exists() and not path.is_dir():
        return path
    allowed = {key: file for key, file in shipped_configs().items() if FOLDERS[key.partition("/")[0]] in jobs}
    found = [key for key in allowed if name in (key, key.partition("/")[2])]
    if len(found) > 1:
        raise UsageError(f"{given} is the name of {len(found)} configs. Give one of {', '.join(found)}")
    return allowed[found[0]] if found else path


def similar(given: str | Path) -> str:
    """Return what to do where nothing is called `given`: the config that may be meant, or how to find one."""
    names = [name for key in shipped_configs() for name in (key, key.partition("/")[2])]
    match = closest(_name(given), names)
    return f"did you mean {match!r}?" if match else "check the path, or see `raybio configs list`"


def _name(given: str | Path) -> str:
    return str(given).removesuffix(".yaml").removeprefix("configs/")
