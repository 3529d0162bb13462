"""What was committed to an output folder, by which model and config, and what is left to do.

    raybio.json                          the making: model, its fingerprint, config hash and config
    ledger/KEY@FINGERPRINT/00003.json    one committed shard of an input file that is in hand
    ledger/KEY@FINGERPRINT/00003.begun   a shard that was begun (see `attempts`)
    ledger/KEY@FINGERPRINT.json          a finished input file, with its shards' entries

An entry is written after the files that it lists, each of them whole (a temporary name and a
rename, or one upload). Work may be done twice when something dies; it is committed once, under
names that depend on the shard alone. The names say which content of which file is finished, so
that to find what is left to do over a large output is to list one folder, not to read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from raybio.bulk_tagging.output_folder import OutputFolder
from raybio.bulk_tagging.shards import InputFile
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
    are Unix times in seconds; `attempts` counts how often the shard was begun, this time included.
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
    attempts: int = 1


@dataclass(frozen=True)
class CommittedShard:
    """Shard `number` of the file called `key` is in the output."""

    key: str
    number: int
    entry: ShardEntry


@dataclass(frozen=True)
class FinishedFile:
    """A finished input file as the ledger has it; `broken` says that it could not be read to its end."""

    path: str
    fingerprint: str
    broken: bool
    shards: list[dict[str, Any]]


class Ledger(OutputFolder):
    """The ledger of one output folder."""

    def making(self) -> Making | None:
        """Return what made this output, or None where nothing did yet."""
        held = self.read_json(MAKING)
        return None if held is None else Making(**held)

    def made_by_another(self, making: Making) -> bool:
        """Say whether something else than `making` made this output."""
        before = self.making()
        return before is not None and before.identity != making.identity

    def claim(self, making: Making) -> None:
        """Say what makes this output, or check that it is what made it before.

        Raises:
            CommitError: another model or config made what is there.
        """
        # Of two runs that claim an empty output in the same moment, one is the first.
        if self.making() is None and self.create_json(MAKING, asdict(making)):
            return
        before = self.making()
        if before is not None and before.identity != making.identity:
            same_model = before.model_fingerprint == making.model_fingerprint
            changed = "config" if same_model else "model"
            raise CommitError(
                f"{self.output} was made with another {changed}; to mix the two would be silent. Choose "
                "another output, or say on_change=new-generation to start a new one beside it"
            )

    def todo(self, files: Iterable[InputFile]) -> list[tuple[InputFile, set[int]]]:
        """Return the files that are not finished, each with the numbers of its committed shards.

        What was committed for another content of a file is forgotten: its output files go first,
        then its entries, so that whoever dies in between leaves nothing that is not listed.
        """
        held: dict[str, list[str]] = {}
        for name in self.names("ledger"):
            held.setdefault(key_of(name), []).append(name)
        left = []
        for file in files:
            names = held.get(file.key, [])
            for name in names:
                if name.removesuffix(".json") != _place(file):
                    self._forget(name)
            if f"{_place(file)}.json" not in names:
                done = self._committed(_place(file)) if _place(file) in names else []
                left.append((file, set(done)))
        return left

    def committed(self, file: InputFile, number: int) -> ShardEntry | None:
        """Return the entry of a shard of a file in hand, if it has one."""
        held = self.read_json(f"ledger/{_place(file)}/{number:05d}.json")
        return None if held is None else ShardEntry(**held)

    def commit(self, file: InputFile, number: int, entry: ShardEntry) -> None:
        """Write a shard's entry; its output files must be there already."""
        self.write_json(f"ledger/{_place(file)}/{number:05d}.json", asdict(entry))

    def mark_of(self, file: InputFile, number: int) -> str:
        """Return the name of the file that says that a shard was begun."""
        return f"ledger/{_place(file)}/{number:05d}.begun"

    def finish(self, file: InputFile, shards: int, broken: bool) -> None:
        """Fold the entries of a file, all of whose `shards` are committed, into one."""
        place = f"ledger/{_place(file)}"
        held = [self.read_json(f"{place}/{number:05d}.json") for number in range(shards)]
        # Another run on the same output may have finished the file, and removed the entries.
        if None not in held:
            self.write_json(f"{place}.json", asdict(FinishedFile(file.path, file.fingerprint, broken, held)))
        self.remove(place)

    def reopen(self, shards: Iterable[str]) -> int:
        """Take back the entries of the shards so called, so that they are tagged again; return how many.

        Their output files stay until they are written again.
        """
        wanted = set(shards)
        keys = {name.rpartition("-")[0] for name in wanted}
        return sum(
            self._reopen(name.removesuffix(".json"), wanted)
            for name in self.names("ledger")
            if key_of(name) in keys
        )

    def _reopen(self, place: str, wanted: set[str]) -> int:
        finished = self._finished(f"{place}.json")
        if finished is not None:
            # The entries of the shards that stay come first: whoever dies in between loses none.
            for shard in finished.shards:
                if shard["shard"] not in wanted:
                    self.write_json(f"ledger/{place}/{_number(shard):05d}.json", shard)
            self.remove(f"ledger/{place}.json")
            return sum(shard["shard"] in wanted for shard in finished.shards)
        key = key_of(place)
        numbers = [number for number in self._committed(place) if f"{key}-{number:05d}" in wanted]
        for number in numbers:
            for suffix in ("begun", "json"):
                self.remove(f"ledger/{place}/{number:05d}.{suffix}")
        return len(numbers)

    def finished(self) -> dict[str, str]:
        """Return the finished files, KEY@FINGERPRINT, each with a stamp that changes with its entry."""
        stamps = self.stamps("ledger")
        return {name.removesuffix(".json"): stamps[name] for name in stamps if name.endswith(".json")}

    def shards_of(self, name: str) -> Iterator[ShardEntry]:
        """Yield the entries of the committed shards of the file of that name, KEY@FINGERPRINT."""
        yield from (ShardEntry(**shard) for shard in self._shards(name))

    def keys(self) -> list[str]:
        """Return the keys of all input files that are finished or in hand, sorted."""
        return sorted({key_of(name) for name in self.names("ledger")})

    def entries(self) -> Iterator[ShardEntry]:
        """Yield the entries of all committed shards, file by file."""
        for place in sorted({name.removesuffix(".json") for name in self.names("ledger")}):
            yield from self.shards_of(place)

    def _shards(self, place: str) -> Iterator[dict[str, Any]]:
        finished = self._finished(f"{place}.json")
        if finished is not None:
            yield from finished.shards
        else:
            for number in self._committed(place):
                yield self.read_json(f"ledger/{place}/{number:05d}.json")

    def _finished(self, name: str) -> FinishedFile | None:
        held = self.read_json(f"ledger/{name}")
        return None if held is None else FinishedFile(**held)

    def _committed(self, place: str) -> list[int]:
        names = self.names(f"ledger/{place}")
        return [int(name.removesuffix(".json")) for name in names if name.endswith(".json")]

    def _forget(self, name: str) -> None:
        place = name.removesuffix(".json")
        shards = list(self._shards(place))
        for shard in shards:
            for path in shard["files"]:
                self.remove(path)
        self.remove(f"ledger/{name}")


def _place(file: InputFile) -> str:
    return f"{file.key}@{file.fingerprint}"


def key_of(name: str) -> str:
    """Return the key in KEY@FINGERPRINT."""
    return name.rpartition("@")[0]


def _number(shard: dict[str, Any]) -> int:
    return int(shard["shard"].rpartition("-")[2])
