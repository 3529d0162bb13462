"""requests.parquet: one row for each request of a benchmark.

Times are seconds since its drive began. `seconds` is the latency from the scheduled time, so the
request was answered at `scheduled + seconds`. One that failed has an `error` and no answer's columns;
one that was answered has no `error`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raybio.serving.load_generator import Outcome
from raybio.serving.scenarios import Measured
from raybio.storage import write_whole

_OF_A_REQUEST = [
    ("model", pa.string()),
    ("corpus", pa.string()),
    ("scenario", pa.string()),
    ("point", pa.string()),
    ("scheduled", pa.float64()),
    ("started", pa.float64()),
    ("seconds", pa.float64()),
]
_OF_AN_ANSWER = [
    ("replica_seconds", pa.float64()),
    ("model_seconds", pa.float64()),
    ("batch_requests", pa.int32()),
    ("batch_size", pa.int32()),
]
SCHEMA = pa.schema(
    [
        *_OF_A_REQUEST,
        *_OF_AN_ANSWER,
        ("sentences", pa.int32()),
        ("words", pa.int32()),
        ("replica", pa.string()),
        ("retries", pa.int32()),
        ("error", pa.string()),
    ]
)


def write_requests(path: Path, tables: Sequence[pa.Table]) -> None:
    """Write the rows of all `tables`, whole, so that a reader never sees half of them."""
    with write_whole(path) as stream:
        pq.write_table(pa.concat_tables([SCHEMA.empty_table(), *tables]), stream, compression="zstd")


def table_of(model: str, corpus: str, scenarios: Sequence[Measured]) -> pa.Table:
    """Return the rows of one model's scenarios on one corpus."""
    rows = [
        {
            "model": model,
            "corpus": corpus,
            "scenario": measured.figures.scenario,
            "point": measured.figures.point_in_words,
            **_row(outcome),
        }
        for measured in scenarios
        for outcome in measured.outcomes
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(outcome: Outcome) -> dict[str, Any]:
    return {
        "scheduled": outcome.scheduled,
        "started": outcome.started,
        "seconds": outcome.seconds,
        "sentences": len(outcome.request),
        "words": outcome.words,
        "retries": outcome.retries,
        "error": outcome.error or None,
        **dict(_answer(outcome)),
    }


def _answer(outcome: Outcome) -> Iterator[tuple[str, Any]]:
    if outcome.served is not None:
        answer = outcome.served.answer
        yield from ((name, getattr(answer, name)) for name, _ in _OF_AN_ANSWER)
        yield "replica", answer.replica
