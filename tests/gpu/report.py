"""The results of the checks: one JSON, and a table for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpu.checks import Figures, Outcome
from raybio.evaluation.tables import align
from raybio.run_folder import environment
from raybio.taggers.devices import accelerator


def results(outcomes: Sequence[Outcome], arguments: Mapping[str, Any], commit: str | None) -> dict[str, Any]:
    """Return what is written: device, versions, date, commit, and each check's outcome with its figures."""
    where = environment()
    return {
        "device": accelerator() if arguments["device"] == "cuda" else "CPU",
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit or where["commit"],
        "arguments": dict(arguments),
        "checks": [outcome.to_dict() for outcome in outcomes],
        "environment": where,
    }


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def table(outcomes: Sequence[Outcome]) -> str:
    """Return one line for each check, and below it a table of its figures."""
    parts = []
    for outcome in outcomes:
        peak = "" if outcome.peak_gib is None else f", {outcome.peak_gib:.1f} GiB"
        spent = "" if outcome.status == "skipped" else f" ({outcome.seconds:.1f} s{peak})"
        why = f": {outcome.why}" if outcome.why else ""
        parts.append(f"{outcome.status:8}{outcome.name}, {outcome.shows}{spent}{why}")
        parts += [f"  {line}" for line in _rows(outcome.figures)]
    return "\n".join(parts)


def _rows(figures: Sequence[Figures]) -> list[str]:
    """Return rows as text, those with the same columns under one header."""
    lines: list[str] = []
    kinds = list(dict.fromkeys(tuple(row) for row in figures))
    for names in kinds:
        rows = [tuple(_shown(row[name]) for name in names) for row in figures if tuple(row) == names]
        lines += align([name.replace("_", " ") for name in names], rows, words=len(names))
    return lines


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
