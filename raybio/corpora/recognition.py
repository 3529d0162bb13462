"""Which format a path is in, by its name and by what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from raybio.corpora import sniffing
from raybio.corpora.opening import open_bytes
from raybio.corpora.registry import TABLES, Format, formats
from raybio.errors import FormatError, InputError, UsageError
from raybio.filesystems import is_url

if TYPE_CHECKING:
    from raybio.corpora.table import Columns

_HEAD_BYTES = 65_536
_OF_BRAT = {".txt", ".ann", ".a1", ".a2"}
_SEVERAL = (".txt", ".xml", ".json")
"""Suffixes, in small letters, of files that may be in one of several formats."""


def format_inside(path: str) -> str:
    """Return the format of a local file or folder that is to be read, by what it holds where that tells.

    A folder with texts is brat's; another is in the format of its files, if they are all in one.

    PubTator, MEDLINE or XML that is saved as `.txt` is none of plain text, and `.xml` and `.json` may be
    several; other suffixes, and URLs, are taken at their word, as `format_of` has it.

    Raises:
        UsageError: neither the file nor its name tells.
    """
    if not is_url(path) and Path(path).is_dir():
        return _format_of_folder(path)
    name = path.lower().removesuffix(".gz")
    suffixes = [end for entry in formats().values() for end in entry.suffixes if name.endswith(end)]
    if not is_url(path) and Path(path).is_file() and max(suffixes, key=len, default=".json") in _SEVERAL:
        with suppress(InputError), open_bytes(path) as stream:
            if found := sniffing.format_inside(stream.read(sniffing.LOOKED_AT)):
                return found
    return format_of(path)


def _format_of_folder(path: str) -> str:
    if _OF_BRAT & {file.suffix for file in Path(path).iterdir()}:
        return "brat"
    found = sorted({format for _, format in _formats_in(path)})
    if len(found) > 1:
        raise UsageError(f"{path} holds files of several formats: {', '.join(found)}. Name the files of one")
    return found[0] if found else "brat"  # whose reader says what is missing


def _formats_in(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a folder that can be read, by name, each with its format."""
    for path in sorted(Path(folder).iterdir()):
        # `datasets` leaves caches beside its data.
        if path.is_file() and not path.name.startswith((".", "cache-")):
            with suppress(UsageError):
                if formats()[name := format_inside(str(path))].can_read:
                    yield str(path), name


def files_of(path: str, entry: Format) -> list[str]:
    """Return the files that are read in place of `path`: those of a folder that are in the format, or itself.

    Raises:
        FormatError: the folder has none.
    """
    if not entry.suffixes or is_url(path) or not Path(path).is_dir():
        return [path]
    found = [file for file, name in _formats_in(path) if name == entry.name]
    if not found:
        raise FormatError(path, "", f"the folder holds no file in the format {entry.name}", "Check the path")
    return found


def format_of(path: str) -> str:
    """Return the name of the format that `path` looks like: by folder, suffix, or "ChemProt" in its name.

    A trailing `.gz` and the case of letters do not count; the longest suffix wins.

    Raises:
        UsageError: the path does not tell; the message says how to name the format.
    """
    name = path.lower().removesuffix(".gz")
    if path.endswith("/") or (not is_url(path) and Path(path).is_dir()):
        return "brat"
    matches = [
        (len(end), entry.name) for entry in formats().values() for end in entry.suffixes if name.endswith(end)
    ]
    if matches:
        return max(matches)[1]
    if name.endswith(".json") and "chemprot" in name:
        return "chemprot"
    raise UsageError(f"{path}: the name does not tell its format. Name one of: {', '.join(formats())}")


def input_format(path: str, columns: Columns | None = None) -> str:
    """Return the name of the format in which the input at `path` is read, as `format_inside` says.

    A `.tsv` file is looked into, since tables have that name too; with `columns` all are tables.

    Raises:
        UsageError: the name does not tell, the file is one that only another tool reads, or `columns` are
            named of what is no table.
        InputError: the file cannot be opened.
    """
    if not is_url(path) and Path(path).is_file():
        _refuse_others(path)
    try:
        name = format_inside(path)
    except UsageError:
        _refuse_rows(path)
        raise
    named = columns is not None and bool(columns.text or columns.id)
    if name == "iob2" and path.lower().removesuffix(".gz").endswith(".tsv") and (named or _is_table(path)):
        return "csv"
    if named and name not in TABLES:
        raise UsageError(f"{path} is read as {name}, which has no columns to name. Leave --text and --id out")
    return name


def _refuse_others(path: str) -> None:
    """Refuse a file that another tool has written for itself, by what that tool can export."""
    with suppress(InputError), open_bytes(path) as stream:
        if said := sniffing.tool_of(stream.read(sniffing.LOOKED_AT)):
            what, remedy = said
            raise UsageError(f"{path} is {what}: it is not read here. {remedy}")


def _refuse_rows(path: str) -> None:
    """Say of a list of objects, which nothing tells the format of, how its rows are read."""
    with suppress(InputError), open_bytes(path) as stream:
        if sniffing.is_list_of_objects(stream.read(sniffing.LOOKED_AT)):
            remedy = "Write each on a line of its own, for example with jq -c '.[]', and name the file .jsonl"
            raise UsageError(f"{path} is a JSON list of rows: it is not read here. {remedy}")


def _is_table(path: str) -> bool:
    from raybio.corpora.csv_table import looks_like_a_table

    with open_bytes(path) as stream:
        return looks_like_a_table(stream.read(_HEAD_BYTES).decode("utf-8-sig", "replace"))
