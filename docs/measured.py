"""Figures that pages quote, each read from the committed result that holds it.

A page has `<!--= NAME -->figure<!--/-->`, or the same on lines of its own around a table; `filled` writes
between the two what the result says now. A test sees that every page is as it is written here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from result_tables import (
    BENCHMARKS,
    REPORTS,
    benchmark_table,
    cost_table,
    report_table,
    score_table,
    scores,
    served_rows,
    tables,
)

_BC5CDR, _BEST, _STEPS, _SMALL = (
    f"{name}-2026-11-28.md" for name in ("bc5cdr", "bc5cdr-best", "steps", "small")
)
_TENTH = Decimal("0.1")
_MARKED = re.compile(r"(?s)<!--= (?P<name>[\w.-]+) -->(?P<lines>\n?).*?<!--/-->")


def filled(page: str) -> str:
    """Return a page with every figure as its result has it; a name that is none is a KeyError."""
    return _MARKED.sub(
        lambda found: (
            f"<!--= {found['name']} -->{found['lines']}{FIGURES[found['name']]()}{found['lines']}<!--/-->"
        ),
        page,
    )


def _f1(report: str, model: str) -> Callable[[], str]:
    """Return strict F1 on BC5CDR test by the corrected scorer, with its interval, to one decimal."""

    def figure() -> str:
        (found,) = (
            score
            for score in scores()
            if (score.model, score.split, score.corpus) == (model, "test", "BC5CDR")
            and score.link.startswith(f"results/{report}")
        )
        return _rounded(found.corrected)

    return figure


def _by_length(model: str, way: str, length: str) -> Callable[[], str]:
    """Return F1 of one run of the comparison on BC5CDR for entities of a length."""

    def figure() -> str:
        rows = (row for table in tables(REPORTS / _BC5CDR, f"## {model}") for row in table.rows)
        row = next(row for row in rows if (row.get("length"), row.get("way")) == (length, way))
        return _rounded(row["F1"])

    return figure


def _paper_f1() -> str:
    (found,) = (score for score in scores() if score.model == "minilm-bc5cdr")
    return _rounded(found.paper)


def _rounded(text: str) -> str:
    """Return a text whose figures of two decimals have one."""
    return re.sub(r"\d+\.\d\d", lambda found: str(Decimal(found[0]).quantize(_TENTH, ROUND_HALF_UP)), text)


def _served(model: str, column: str) -> Callable[[], str]:
    def figure() -> str:
        rows = served_rows(REPORTS / _SMALL)
        (row,) = (row for row in rows if (row["model"], row["corpus"]) == (model, "BC5CDR"))
        return row[column]

    return figure


def _benchmark(name: str) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((BENCHMARKS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _decoding(mode: str, column: str, draft: str = "") -> float:
    rows = _benchmark("decoding-bf16-2026-11-28")["one_by_one"]
    (row,) = (row for row in rows if (row["mode"], row["draft"]) == (mode, draft))
    return float(row[column])


def _int8_speed() -> str:
    rows = _benchmark("encoder_throughput-2026-11-28")["rows"]
    speed = {row["way"]: row["words_per_cpu_second"] for row in rows}
    return f"{speed['raybio int8'] / max(speed[way] for way in speed if 'pipeline' in way):.1f}"


def _rehearsed() -> str:
    (table,) = tables(REPORTS / "rehearsal-2026-11-29.md")
    found = (
        next(row["memory measured"] for row in table.rows if row["model"].startswith(model))
        for model in ("BERT-large", "DeBERTa-v3-large", "Mistral-7B", "Llama-3.1-8B")
    )
    return _rounded(", ".join(memory.partition(" GiB")[0] for memory in found))


def _first_minutes() -> str:
    first, _ = _benchmark("first_example-2026-11-30")["rows"]
    return f"{first['seconds'] / 60:.1f}"


FIGURES: Mapping[str, Callable[[], str]] = {
    "all-scores": score_table,
    "all-costs": cost_table,
    "all-reports": report_table,
    "all-benchmarks": benchmark_table,
    "minilm-f1": _f1(_BC5CDR, "minilm-bc5cdr"),
    "minilm-paper-f1": _paper_f1,
    "smollm2-f1": _f1(_BC5CDR, "smollm2-bc5cdr"),
    "longer-f1": _f1(_STEPS, "longer"),
    "soup-f1": _f1(_BEST, "both-soup"),
    **{
        f"minilm-{way.removesuffix(chr(39) + 's')}-{length[0]}": _by_length("minilm-bc5cdr", way, length)
        for way in ("sound", "paper's")
        for length in ("1 word", "2 words", "3+ words")
    },
    "minilm-dollars": _served("minilm", "1M abstracts"),
    "smollm2-dollars": _served("smollm2-verified-tags", "1M abstracts"),
    "minilm-p50": _served("minilm", "one at a time, p50"),
    "int8-speed": _int8_speed,
    "first-minutes": _first_minutes,
    "passes": lambda: (
        f"{_decoding('verified-tags', 'passes_median', 'encoder'):.0f} at the median, "
        f"{_decoding('verified-tags', 'passes_p90', 'encoder'):.0f} at the 90th percentile"
    ),
    "generate-by-verified": lambda: f"{_decoding('verified-tags', 'generate_by_this', 'encoder'):.1f}",
    "generate-by-encoder": lambda: f"{_decoding('generate', 'this_by_encoder'):.0f}",
    "verified-by-encoder": lambda: f"{_decoding('verified-tags', 'this_by_encoder', 'encoder'):.0f}",
    "rehearsed": _rehearsed,
}
