"""What was committed to an output folder, by which model and config, and what is left to do.

    raybio.json              the making: model, its fingerprint, config hash and config
    ledger/KEY/00003.json    one committed shard of an input file that is in hand
    ledger/KEY.json          a finished input file, with its shards' entries

An entry is written after the files that it lists, each of them whole (a temporary name and a
rename, or one upload). Work may be done twice when something dies; it is committed once, under
names that depend on the shard alone. A finished file has a single entry, so that starting over a
large output reads as many entries as it has files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import fsspec

from raybio.bulk_tagging.shards import InputFile
from raybio.corpora.opening import write_bytes
from raybio.errors import CommitError

MAKING = "raybio.json"


@dataclass(frozen=True)
class Making:
    """What made an output: two runs may add to one output only if this is the same."""

    model: str
    model_fingerprint: str
    config_hash: str
    config: dict[str, Any]

    @property
    def identity(self) -> str:
        """What must not change: the model's fingerprint and the config's hash."""
        return f"{self.model_fingerprint[:8]}-{self.config_hash}"


@dataclass(frozen=True)
class ShardEntry:
    """One committed shard: what was in it and the files that hold it.

    `mentions` counts them by label; `work` is what the tagger counted (subwords, windows);
    `files` maps a path in the output folder to {"bytes", "sha256"}; `started` and `finished`
    are Unix times in seconds.
    """

    shard: str
    documents: int
    without_text: int
    rejected: int
    deleted: int
    sentences: int
    words: int
    mentions: dict[str, int]
    work: dict[str, int]
    files: dict[str, dict[str, Any]]
    started: float
    finished: float


@dataclass(frozen=True)
class CommittedShard:
    """Shard `number` of the file called `key` is in the output."""

    key: str
    number: int
    entry: ShardEntry


class Ledger:
    """The ledger of one output folder (a local path or a URL)."""

    def __init__(self, output: str) -> None:
        self.output = output.rstrip("/")
        # Another process commits, so a listing that was remembered would be out of date.
        self._filesystem, self._root = fsspec.core.url_to_fs(self.output, use_listings_cache=False)

    def made_by_another(self, making: Making) -> bool:
        """Say whether something else than `making` made this output."""
        before = self._read(MAKING)
        return before is not None and Making(**before).identity != making.identity

    def claim(self, making: Making) -> None:
        """Say what makes this output, or check that it is what made it before.

        Raises:
            CommitError: another model or config made what is there.
        """
        if self.made_by_another(making):
            same_model = self._read(MAKING)["model_fingerprint"] == making.model_fingerprint
            changed = "config" if same_model else "model"
            raise CommitError(
                f"{self.output} was made with another {changed}; to mix the two would be silent. Choose "
                "another output, or say on_change=new-generation to start a new one beside it"
            )
        if self._read(MAKING) is None:
            self.write_json(MAKING, asdict(making))

    def done(self, file: InputFile) -> set[int] | None:
        """Return the numbers of the file's committed shards, or None when all of it is.

        What was committed for another content of the file is forgotten: its output files go
        first, then its entries, so that whoever dies in between leaves nothing that is not listed.
        """
        finished = self._read(f"ledger/{file.key}.json")
        if finished is not None:
            if finished["fingerprint"] == file.fingerprint:
                return None
            self._forget(finished["shards"])
            self._remove(f"ledger/{file.key}.json")
        numbers = set()
        for name in self._list(f"ledger/{file.key}"):
            held = self._read(f"ledger/{file.key}/{name}")
            if held["fingerprint"] == file.fingerprint:
                numbers.add(int(name.removesuffix(".json")))
            else:
                self._forget([held["shard"]])
                self._remove(f"ledger/{file.key}/{name}")
        return numbers

    def commit(self, file: InputFile, number: int, entry: ShardEntry) -> None:
        """Write a shard's entry; its output files must be there already."""
        held = {"fingerprint": file.fingerprint, "shard": asdict(entry)}
        self.write_json(f"ledger/{file.key}/{number:05d}.json", held)

    def finish(self, file: InputFile, shards: int, broken: bool) -> None:
        """Fold the entries of a file, all of whose `shards` are committed, into one."""
        held = [self._read(f"ledger/{file.key}/{number:05d}.json") for number in range(shards)]
        finished = {
            "path": file.path,
            "fingerprint": file.fingerprint,
            "broken": broken,
            "shards": [entry["shard"] for entry in held],
        }
        self.write_json(f"ledger/{file.key}.json", finished)
        self._remove(f"ledger/{file.key}")

    def keys(self) -> list[str]:
        """Return the keys of all input files of which something is committed, sorted."""
        names = self._names("ledger")
        return sorted({name.removesuffix(".json") for name in names})

    def entries(self) -> Iterator[ShardEntry]:
        """Yield the entries of all committed shards, file by file."""
        for key in self.keys():
            finished = self._read(f"ledger/{key}.json")
            if finished is not None:
                shards = finished["shards"]
            else:
                shards = [self._read(f"ledger/{key}/{name}")["shard"] for name in self._list(f"ledger/{key}")]
            yield from (ShardEntry(**shard) for shard in shards)

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a file of the output."""
        content: bytes = self._filesystem.cat_file(f"{self._root}/{name}")
        return content

    def write_json(self, name: str, data: Any) -> None:
        """Write a JSON file of the output, whole."""
        with write_bytes(f"{self.output}/{name}") as stream:
            stream.write(json.dumps(data, ensure_ascii=False).encode() + b"\n")

    def _forget(self, shards: Iterable[dict[str, Any]]) -> None:
        for shard in shards:
            for name in shard["files"]:
                self._remove(name)

    def _list(self, folder: str) -> list[str]:
        return [name for name in self._names(folder) if name.endswith(".json")]

    def _names(self, folder: str) -> list[str]:
        path = f"{self._root}/{folder}"
        if not self._filesystem.isdir(path):
            return []
        names = (entry.rsplit("/", 1)[-1] for entry in self._filesystem.ls(path, detail=False))
        # A writer that was killed leaves its draft, under a hidden name.
        return sorted(name for name in names if not name.startswith("."))

    def _read(self, name: str) -> Any:
        path = f"{self._root}/{name}"
        return json.loads(self._filesystem.cat_file(path)) if self._filesystem.exists(path) else None

    def _remove(self, name: str) -> None:
        path = f"{self._root}/{name}"
        if self._filesystem.exists(path):
            self._filesystem.rm(path, recursive=True)
