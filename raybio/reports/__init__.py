"""Reports for people: run folders and tagged outputs -> one HTML page, or the same as Markdown.

sources.py          what is read: a run folder, a tagged output
blocks.py           what a report is made of, before anyone decides how it looks
contents.py         which chapters a report has
comparison.py       runs side by side, and beside the study's figures
run_chapter.py      one run
tagging_chapter.py  one tagged output
tables.py           scores -> tables
mistakes.py         what became of each entity, and examples of errors
published.py        the study's Tables III, IV and V
plots.py            learning curves and dot plots as inline SVG
html.py             a report as one self-contained page
markdown.py         a report as Markdown
"""

from raybio.reports.html import write_report
from raybio.reports.markdown import render_markdown

__all__ = ["render_markdown", "write_report"]
