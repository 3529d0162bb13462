"""Labels that two sides do not share: refused where they share none, and named where one has more."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from raybio.errors import UsageError


def check_labels(
    known: Collection[str], found: Collection[str], known_by: str, found_in: str, remedy: str
) -> str:
    """Return a line that names the labels of `found` that `known` lacks, "" where there are none.

    `known_by` and `found_in` are what the two are of ("train", "dev"). Where either is empty there is
    nothing to compare.

    Raises:
        UsageError: no label is in both, so that every score would be 0.
    """
    lists = f"{found_in} has {_listed(found)}, {known_by} has {_listed(known)}"
    if known and found and not {*known} & {*found}:
        raise UsageError(f"{found_in} and {known_by} have no label in common: {lists}. {remedy}")
    if others := {*found} - {*known} if known else set():
        are = "is no label" if len(others) == 1 else "are no labels"
        return f"{_listed(others)} of {found_in} {are} of {known_by}: {lists}. {remedy}"
    return ""


def renamed_tag(tag: str, names: Mapping[str, str]) -> str:
    """Return an IOB2 tag with its label as `names` calls it."""
    prefix, dash, label = tag.partition("-")
    return prefix + dash + names.get(label, label)


def _listed(labels: Collection[str]) -> str:
    return ", ".join(sorted(labels)) or "none"
