"""Equal work, in words: how served answers differ from those that the tagger gives alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MARK = "NOT EQUAL WORK"
"""What stands before a figure whose answers were not the tagger's own."""


def describe_difference(accuracy: Mapping[str, Any]) -> str:
    """Return both F1, and how many sentences have other tags or none; `accuracy` is benchmark.json's."""
    return (
        f"strict F1 {100 * accuracy['served_strict_f1']:.2f} served, "
        f"{100 * accuracy['offline_strict_f1']:.2f} alone; "
        f"{accuracy['different_sentences']:,} sentences differ, "
        f"{accuracy['unanswered_sentences']:,} have no answer"
    )
