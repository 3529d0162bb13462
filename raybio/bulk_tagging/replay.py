"""A file of rejected records -> the shards to tag again, and the job that left it.

A shard is tagged again as a whole, so that it is in the output once, as any other: what can be
tagged by now takes its place among its neighbours, and what cannot is rejected again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import Ledger, file_of
from raybio.config import with_present_names
from raybio.corpora.lines import read_lines
from raybio.corpora.opening import open_bytes
from raybio.errors import FormatError, UsageError
from raybio.run_folder import PROVENANCE_FILES

_MAX_NAMED = 5


def rejected_shards(path: str) -> set[str]:
    """Return the names of the shards that the rejected records in `path` are from.

    Raises:
        InputError: the file cannot be opened.
        FormatError: a line is not a rejected record.
    """
    shards = set()
    with open_bytes(path) as stream:
        for number, line in read_lines(stream, path):
            try:
                shards.add(str(json.loads(line)["shard"]))
            except (ValueError, TypeError, KeyError) as error:
                problem = "the line is not a rejected record, which names its shard"
                remedy = "Take rejected.jsonl as a tagging run leaves it, or whole lines of it"
                raise FormatError(path, f"line {number}", problem, remedy) from error
    return shards


def check_inputs(shards: Iterable[str], files: Iterable[InputFile]) -> None:
    """See that each of the `shards` is of one of `files`: a shard that was taken back and not read is lost.

    An output may hold more than the input of its first run, the only one that it remembers.

    Raises:
        UsageError: names the files that are missing, and how to give them.
    """
    missing = sorted({file_of(shard) for shard in shards} - {file.key for file in files})
    if missing:
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise UsageError(
            f"there are rejected records of files that are not in the input: "
            f"{', '.join(missing[:_MAX_NAMED])}{more}. Give all of their files as the input: "
            "raybio tag INPUT ... --replay REJECTED"
        )


def recorded_job(output: str) -> dict[str, Any]:
    """Return the config, as plain data, of the job that made `output`; it writes there again.

    Raises:
        UsageError: nothing was tagged there.
    """
    provenance = Ledger(output).provenance()
    if provenance is None:
        raise UsageError(
            f"{output} is no tagged output: it has no {PROVENANCE_FILES[0]}. Name it with --output"
        )
    return {**with_present_names(provenance.config), "output": output}
