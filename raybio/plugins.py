"""Formats and kinds of models that other packages add, by entry points.

    [project.entry-points."raybio.formats"]
    psv = "my_package:PSV"       # a `raybio.corpora.Format`, under its name

    [project.entry-points."raybio.taggers"]
    lexicon = "my_package:load"  # the folder of a model whose raybio.json has this `kind` -> a `Tagger`

docs/extending.md has a whole example. Names are known without importing the packages.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from raybio.errors import UsageError, first_line

FORMATS = "raybio.formats"
TAGGERS = "raybio.taggers"
_OWN_KINDS = ("encoder", "decoder", "cascade")

logger = logging.getLogger(__name__)


@cache
def _found(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda each: each.name)}


def names(group: str) -> tuple[str, ...]:
    """Return what installed packages add to a group, by name; raybio's own kinds of models stay its own."""
    return tuple(name for name in _found(group) if group != TAGGERS or name not in _OWN_KINDS)


def load(group: str, name: str) -> Any:
    """Return the object that an entry point names.

    Raises:
        UsageError: its package cannot be imported, or lacks the object.
    """
    point = _found(group)[name]
    try:
        return point.load()
    except Exception as error:  # whatever another package does when it is imported
        package = point.dist.name if point.dist else point.module
        raise UsageError(
            f"{name!r} of the installed package {package} ({point.value}) cannot be loaded: "
            f"{first_line(error)}. Repair or uninstall that package"
        ) from error


def load_all(group: str) -> dict[str, Any]:
    """Return what can be loaded of a group, by name. The rest is logged: others may be all one needs."""
    loaded = {}
    for name in names(group):
        try:
            loaded[name] = load(group, name)
        except UsageError as error:
            logger.warning("%s", error)
    return loaded
