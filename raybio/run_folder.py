"""One job's folder: its config, where it ran, what came out.

    config.yaml        the resolved configuration, every default written out
    environment.json   versions (the schema's too), platform, commit: what it takes to run it again
    splits.json        what stood for the splits that a model was made with: "train", "rebuilt train", ...
    taught.parquet     what teachers answered, where there were any
    text.parquet       the text of continued pretraining; left_out.jsonl names what of it is not read
    metrics.jsonl      one line an epoch (or another step of the job)
    scores.json        the final figures
    report.html        the same for a person
    log.txt            progress, a line at a time, as it was shown
    model/             the result of training, a plain Hugging Face folder
    predictions/       gold and predicted tags of each scored split; what of an LLM's answers was malformed

A run folder is on a file system that all its workers see (a local or shared disk).
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from raybio import storage
from raybio.errors import FormatError, UsageError
from raybio.json_lines import append_json_line, read_json_lines
from raybio.safe_text import safe
from raybio.versioned import check_version, versioned

SPLITS_FILE = "splits.json"
# What made a tagged output; outputs of before have it under the name of a model's card.
PROVENANCE_FILES = ("provenance.json", "raybio.json")

_SHOW_EVERY_SECONDS = 0.5
_REPORTED = [
    *("raybio", "ray", "torch", "transformers", "tokenizers", "pyarrow", "numpy", "openvino", "nncf"),
    *("deepspeed", "peft", "bitsandbytes"),
]
_GPU_SECONDS = 10


class RunFolder:
    """A run folder at `path`; see the module for what is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @classmethod
    def create(cls, path: Path, config_yaml: str) -> RunFolder:
        """Make a new run folder and write its configuration and environment.

        Raises:
            UsageError: a run of that name is there already.
        """
        folder = cls(path)
        if (folder.path / "config.yaml").exists():
            raise UsageError(f"{path} is a run already. Choose another name, or say resume=true to resume it")
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_text("config.yaml", config_yaml)
        folder.write_json("environment.json", versioned(environment()))
        return folder

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """Open a run folder that is there.

        Raises:
            UsageError: there is none at `path`, or one that only a later raybio reads.
            FormatError: its environment.json is not JSON.
        """
        if not (path / "config.yaml").is_file():
            raise UsageError(f"{path} is not a run folder: it has no config.yaml")
        folder = cls(path)
        if (folder.path / "environment.json").is_file():
            place = folder.path / "environment.json"
            check_version(folder.read_json(place.name), str(place), UsageError, "Restore or remove the file")
        return folder

    @property
    def model(self) -> Path:
        """Where the trained model goes."""
        return self.path / "model"

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of the folder whole, so that a reader never sees half of it.

        Raises:
            StorageError: it cannot be written.
        """
        path = self.path / name
        storage.write_text(path, text)
        return path

    def write_json(self, name: str, data: Any) -> Path:
        """Write `data` as indented JSON."""
        return self.write_text(name, json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Return what a JSON file of the folder holds.

        Raises:
            FormatError: it is not JSON.
        """
        path = self.path / name
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise FormatError(
                str(path), "", f"not JSON ({error})", "Restore or remove the file, then try again"
            ) from error

    def say(self, line: str) -> None:
        """Append a line of progress to log.txt; any process of the job may."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S} {safe(line)}\n")

    @contextmanager
    def shown(self, show: Callable[[str], None]) -> Iterator[None]:
        """Pass each line that is added to log.txt to `show`, for the length of a `with` block."""
        path = self.path / "log.txt"
        path.touch()
        over = threading.Event()
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)

            def follow() -> None:
                last, begun = False, b""
                while not last:
                    last = over.wait(_SHOW_EVERY_SECONDS)
                    # A line that is being written can be seen by halves.
                    *lines, begun = (begun + file.read()).split(b"\n")
                    for line in lines:
                        show(line.decode("utf-8", "replace"))

            follower = threading.Thread(target=follow, daemon=True)
            follower.start()
            try:
                yield
            finally:
                over.set()
                follower.join()

    def add_metrics(self, row: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl; it is on the disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        append_json_line(self.path / "metrics.jsonl", dict(row))

    def metrics(self) -> list[dict[str, Any]]:
        """Return the last line of each epoch in metrics.jsonl, in order.

        Half a line at the end, of a killed writer, is left out; an epoch that was scored twice, since the
        run was killed in between, has two lines.

        Raises:
            FormatError: another line is no JSON object.
        """
        rows = read_json_lines(self.path / "metrics.jsonl")
        return list({row.get("epoch"): row for row in rows}.values())

    def write_predictions(self, split: str, rows: Iterable[tuple[list[str], list[str], list[str]]]) -> Path:
        """Write (words, gold tags, predicted tags) of each sentence in three columns."""
        sentences = (
            "".join(f"{word}\t{gold}\t{predicted}\n" for word, gold, predicted in zip(*row, strict=True))
            for row in rows
        )
        return self.write_text(f"predictions/{split}.tsv", "\n".join(sentences))

    def write_malformed(self, split: str, lines: Sequence[Mapping[str, Any]]) -> Path:
        """Write what of a split's answers was malformed, a JSON object a line; no file where nothing was."""
        name = f"predictions/{split}.malformed.jsonl"
        if not lines:
            (self.path / name).unlink(missing_ok=True)  # of the scoring before
            return self.path / name
        return self.write_text(name, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def short_name(model: str) -> str:
    """Return what a model is called by in names: the last part of it; a run's model is called as the run."""
    parts = model.removeprefix("bundled:").rstrip("/").split("/")
    return parts[-2] if len(parts) > 2 and parts[-1] == "model" else parts[-1]


def timestamp() -> str:
    """Return the time now (UTC) in a form that sorts and suits a file name."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")


def environment() -> dict[str, Any]:
    """Return versions, machine and commit; never environment variables, which may hold secrets."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "accelerators": ", ".join(_accelerators()) or None,
        "packages": {name: version for name in _REPORTED if (version := _version(name))},
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _accelerators() -> list[str]:
    """Return the names of this machine's GPUs. torch would open one, and hold some of its memory, to tell."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_GPU_SECONDS)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.splitlines()


def _commit() -> str | None:
    """Return the commit of raybio's own checkout, with a mark where it has local changes."""
    source = Path(__file__).resolve().parents[1]
    if not (source / ".git").exists():
        return None
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
