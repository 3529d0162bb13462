"""Reports for people: run folders and tagged outputs -> one HTML page, or the same as Markdown."""

from raybio.reports.html import write_report
from raybio.reports.markdown import render_markdown

__all__ = ["render_markdown", "write_report"]
