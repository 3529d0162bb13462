"""A report as one HTML page that needs nothing but itself: no script, no font, no image, no address.

Every string of a report is text and is escaped by its template. The page's policy
(Content-Security-Policy) forbids loading anything, should a fault ever let markup through.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from raybio.reports.blocks import Report, without_quotes
from raybio.reports.contents import read_report
from raybio.reports.drawings import draw_chart, draw_curve, draw_dots
from raybio.reports.markdown import markdown
from raybio.run_folder import RunFolder

_COLOURS = 6


def write_report(
    runs: Sequence[Path], output: Path, tagged: Sequence[Path] = (), *, quotes: bool = True
) -> Path:
    """Write a page on run folders and tagged outputs (local folders); return `output`.

    The page is HTML, or Markdown where `output` ends in `.md`; it appears only when it is complete.
    `quotes` are sentences and entities of the corpora; without them a page may go where they may not.

    Raises:
        UsageError: there is nothing to report on, or a path is not what it is given for.
        FormatError: a file in one of them cannot be read.
    """
    return write_page(read_report(runs, tagged), output, quotes=quotes)


def write_page(report: Report, output: Path, *, quotes: bool = True) -> Path:
    """Write a report as `write_report` does; return `output`."""
    said = report if quotes else without_quotes(report)
    page = markdown(said) if output.suffix == ".md" else render_html(said)
    return RunFolder(output.parent).write_text(output.name, page)


def render_html(report: Report) -> str:
    """Return the whole page."""
    colours = {label: index % _COLOURS for index, label in enumerate(report.labels)}
    return _template().render(report=report, colours=colours) + "\n"


@cache
def _template() -> Template:
    templates = Environment(
        loader=PackageLoader("raybio.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters |= {
        "kind": lambda block: type(block).__name__,
        "px": lambda place: f"{place:.1f}",
        "draw_chart": draw_chart,
        "draw_curve": draw_curve,
        "draw_dots": draw_dots,
    }
    templates.tests["figure"] = lambda cell: cell.replace(".", "", 1).isdigit()
    return templates.get_template("report.html.j2")
