"""Docstrings as Markdown has them: a paragraph that is set in columns keeps its lines."""

import re
from typing import Any

import griffe


class Columns(griffe.Extension):
    """Fences the paragraphs of a docstring that are set in columns."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Take an object's docstring as soon as it is read."""
        if obj.docstring:
            head, raises, tail = obj.docstring.value.partition("Raises:\n")
            obj.docstring.value = "\n\n".join(map(_set, re.split(r"\n{2,}", head))) + raises + tail


def _set(paragraph: str) -> str:
    in_columns = re.search(r"\S {2,}\S", paragraph) or paragraph.startswith("    ")
    return f"```text\n{paragraph}\n```" if in_columns else paragraph
