"""A file of rejected records -> the shards to tag again, and the job that left it.

A shard is tagged again as a whole, so that it is in the output once, as any other: what can be
tagged by now takes its place among its neighbours, and what cannot is rejected again.
"""

from __future__ import annotations

import json
from typing import Any

from raybio.bulk_tagging.ledger import MAKING, Ledger
from raybio.corpora.opening import open_bytes, read_lines
from raybio.errors import FormatError, UsageError


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


def recorded_job(output: str) -> dict[str, Any]:
    """Return the config, as plain data, of the job that made `output`; it writes there again.

    Raises:
        UsageError: nothing was tagged there.
    """
    making = Ledger(output).making()
    if making is None:
        raise UsageError(f"{output} is no tagged output: there is no {MAKING}. Name it with --output")
    return {**making.config, "output": output}
