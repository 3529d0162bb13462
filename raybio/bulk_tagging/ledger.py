"""What was committed to an output folder, by which model and config, and what is left to do.

    provenance.json                      the provenance: model, its fingerprint, config hash and config
    ledger/KEY@FINGERPRINT/00003.json    one committed shard of an input file that is in progress
    ledger/KEY@FINGERPRINT/00003.begun   a shard that was begun (see `attempts`)
    ledger/KEY@FINGERPRINT.json          a finished input file, with its shards' entries

An entry is written after the files that it lists, each of them whole (a temporary name and a
rename, or one upload). Work may be done twice when something dies; it is committed once, under
names that depend on the shard alone. The names say which content of which file is finished, so
that to find what is left to do over a large output is to list one folder, not to read it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any, TypeAlias

from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.output_folder import OutputFolder, ahead
from raybio.bulk_tagging.provenance import Provenance, what_differs
from raybio.errors import CommitError
from raybio.run_folder import PROVENANCE_FILES
from raybio.versioned import versioned

# A file or folder (brat) of a shard; its suffixes hold no "-", which each shard's own name does.
_SHARD_FILE = re.compile(r"(?P<key>.+)-\d{5,}(\.\w+)*", re.DOTALL)


Todo: TypeAlias = Sequence[tuple[InputFile, set[int]]]
"""Files that are not finished, each with the numbers of its committed shards."""


@dataclass(frozen=True)
class ShardEntry:
    """One committed shard: what was in it and the files that hold it.

    `mentions` counts them by label; `work` is what the tagger counted (subwords, windows);
    `files` maps a path in the output folder to {"bytes", "sha256"}; `started` and `finished`
    are Unix times in seconds; `attempts` counts how often the shard was begun, this time included;
    `lost` is what each format has no place for, by kind.
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
    lost: dict[str, dict[str, int]] = field(default_factory=dict)


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
    shards: list[ShardEntry]


class Ledger(OutputFolder):
    """The ledger of one output folder."""

    def provenance(self) -> Provenance | None:
        """Return what made this output, or None where nothing did yet."""
        records = (self.read_record(name, Provenance) for name in PROVENANCE_FILES)
        return next((record for record in records if record is not None), None)

    def has_other_provenance(self, provenance: Provenance) -> bool:
        """Say whether something else than `provenance` made this output."""
        before = self.provenance()
        return before is not None and before.identity != provenance.identity

    def claim(self, provenance: Provenance) -> None:
        """Say what makes this output, or check that it is what made it before.

        Raises:
            CommitError: another model or config made what is there.
        """
        # Of two runs that claim an empty output in the same moment, one is the first.
        if self.provenance() is None and self.create_json(PROVENANCE_FILES[0], versioned(asdict(provenance))):
            return
        before = self.provenance()
        if before is not None and before.identity != provenance.identity:
            raise CommitError(
                f"{self.output} was made with another {what_differs(before, provenance)}; mixing "
                "them would go unnoticed. Choose another output, or start a new one beside it: raybio tag "
                "--new-generation, or on_change=new-generation in a config"
            )

    def todo(self, files: Iterable[InputFile]) -> Todo:
        """Return the files that are not finished, each with the numbers of its committed shards.

        What was committed for another content of a file is forgotten: its output files go first,
        then its entries, so that whoever dies in between leaves nothing that is not listed. And with it
        what was committed for the present content: a run that began before the file changed may have
        come last, and written over the files of that.
        """
        held: dict[str, list[str]] = {}
        for name in self.names("ledger"):
            held.setdefault(key_of(name), []).append(name)
        files = list(files)
        stale = {file.key for file in files if {*held.get(file.key, ())} - {*_names(file)}}
        if stale:
            self._forget({key: held.pop(key) for key in stale})
        left = []
        for file in files:
            folder, finished = _names(file)
            names = held.get(file.key, [])
            if finished not in names:
                left.append((file, set(self._committed(folder) if folder in names else ())))
        return left

    def interrupted(self, file: InputFile, done: Collection[int]) -> bool:
        """Say whether a shard of `file` was begun that is not among those `done`."""
        names = self.names(f"ledger/{_place(file)}")
        return any(name.endswith(".begun") and int(name[: -len(".begun")]) not in done for name in names)

    def rejected(self, files: Iterable[InputFile]) -> int:
        """Return how many records of `files` are rejected as things stand."""
        wanted = {_place(file) for file in files}
        return sum(entry.rejected for entry in self._entries(wanted & self._places()))

    def committed(self, file: InputFile, number: int) -> ShardEntry | None:
        """Return the entry of a shard of a file in progress, if it has one."""
        return self._entry(f"ledger/{_place(file)}/{number:05d}.json")

    def commit(self, file: InputFile, number: int, entry: ShardEntry) -> None:
        """Write a shard's entry; its output files must be there already."""
        self.write_json(f"ledger/{_place(file)}/{number:05d}.json", versioned(asdict(entry)))

    def mark_of(self, file: InputFile, number: int) -> str:
        """Return the name of the file that says that a shard was begun."""
        return f"ledger/{_place(file)}/{number:05d}.begun"

    def finish(self, file: InputFile, shards: int, broken: bool) -> bool:
        """Fold the entries of a file, all of whose `shards` were committed, into one; return if it is done.

        Another run on the same output may have finished the file, and removed the entries. Where it
        did not, and some are gone all the same, it has taken them back: then what is left stays. So it
        does where a `broken` file's last shard, committed before, knows of no fault.
        """
        place = f"ledger/{_place(file)}"
        held = [*ahead(self._entry, (f"{place}/{number:05d}.json" for number in range(shards)))]
        entries = [entry for entry in held if entry is not None]
        if len(entries) == shards:
            if broken and entries and not entries[-1].rejected:
                return False
            self.write_json(
                f"{place}.json",
                versioned(asdict(FinishedFile(file.source, file.fingerprint, broken, entries))),
            )
        elif self._finished(f"{_place(file)}.json") is None:
            return False
        self.remove(place)
        return True

    def reopen(self, shards: Iterable[str]) -> int:
        """Take back the entries of the shards so called, so that they are tagged again; return how many.

        Their output files stay until they are written again.
        """
        wanted = set(shards)
        keys = {file_of(shard) for shard in wanted}
        return sum(self._reopen(place, wanted) for place in self._places() if key_of(place) in keys)

    def _reopen(self, place: str, wanted: set[str]) -> int:
        finished = self._finished(f"{place}.json")
        if finished is not None:
            # Unfolded first: whoever dies in between loses no entry.
            for shard in finished.shards:
                place_in_file = shard.shard.rpartition("-")[2]
                self.write_json(f"ledger/{place}/{place_in_file}.json", versioned(asdict(shard)))
            self.remove_file(f"ledger/{place}.json")
        key = key_of(place)
        numbers = [number for number in self._committed(place) if f"{key}-{number:05d}" in wanted]
        for number in numbers:
            for suffix in ("begun", "json"):
                self.remove_file(f"ledger/{place}/{number:05d}.{suffix}")
        return len(numbers)

    def finished(self) -> dict[str, str]:
        """Return the finished files, KEY@FINGERPRINT, each with a stamp that changes with its entry."""
        stamps = self.stamps("ledger")
        return {name.removesuffix(".json"): stamps[name] for name in stamps if name.endswith(".json")}

    def shards_of(self, name: str) -> Iterator[ShardEntry]:
        """Yield the entries of the committed shards of the file of that name, KEY@FINGERPRINT."""
        finished = self._finished(f"{name}.json")
        held: list[ShardEntry | None] = []
        if finished is None:
            names = (f"ledger/{name}/{number:05d}.json" for number in self._committed(name))
            held = [*ahead(self._entry, names)]
            # Another run may have finished the file meanwhile, and removed entries before they were read.
            finished = self._finished(f"{name}.json")
        yield from finished.shards if finished else (entry for entry in held if entry is not None)

    def keys(self) -> list[str]:
        """Return the keys of all input files that are finished or in progress, sorted."""
        return sorted({key_of(name) for name in self.names("ledger")})

    def entries(self) -> Iterator[ShardEntry]:
        """Yield the entries of all committed shards, file by file."""
        return self._entries(self._places())

    def _entries(self, places: Iterable[str]) -> Iterator[ShardEntry]:
        return chain.from_iterable(ahead(lambda place: [*self.shards_of(place)], sorted(places)))

    def _places(self) -> set[str]:
        """Return the KEY@FINGERPRINT of all files that are finished or in progress."""
        return {name.removesuffix(".json") for name in self.names("ledger")}

    def _finished(self, name: str) -> FinishedFile | None:
        return self.read_record(f"ledger/{name}", FinishedFile)

    def _entry(self, name: str) -> ShardEntry | None:
        return self.read_record(name, ShardEntry)

    def _committed(self, place: str) -> list[int]:
        names = self.names(f"ledger/{place}")
        return [int(name.removesuffix(".json")) for name in names if name.endswith(".json")]

    def _forget(self, held: Mapping[str, Iterable[str]]) -> None:
        """Remove all output files of the files called by these keys, listed or not; then their entries.

        A shard that was not committed any more has left files that nothing lists.
        """
        for folder in self.names(""):
            # Files stand in folders named after formats; the ledger's own and plain files hold none.
            for name in self.names(folder) if folder != "ledger" and "." not in folder else ():
                shard = _SHARD_FILE.fullmatch(name)
                if shard and shard["key"] in held:
                    self.remove(f"{folder}/{name}")
        for names in held.values():
            for name in names:
                self.remove(f"ledger/{name}")


def _place(file: InputFile) -> str:
    return f"{file.key}@{file.fingerprint}"


def _names(file: InputFile) -> tuple[str, str]:
    """Return how the ledger names a file's entries: a folder while in progress, one file at its end."""
    return _place(file), f"{_place(file)}.json"


def key_of(name: str) -> str:
    """Return the key in KEY@FINGERPRINT."""
    return name.rpartition("@")[0]


def file_of(shard: str) -> str:
    """Return the key of the input file that the shard so called is of."""
    return shard.rpartition("-")[0]
