"""The Markdown says what the page says."""

import re

import lxml.html
import pytest

from raybio.errors import UsageError
from raybio.reports import render_markdown, write_report

FIGURE = re.compile(r"\d+\.\d\d\b")


@pytest.fixture
def both(make_run, tagged, tmp_path) -> tuple[str, str]:
    runs = [make_run("a"), make_run("b", seed=8)]
    page = write_report(runs, tmp_path / "report.html", [tagged])
    body = lxml.html.fromstring(page.read_text(encoding="utf-8")).find("body")
    spaced = " ".join(body.itertext())
    return spaced, render_markdown(runs, [tagged])


def test_it_has_the_figures_of_the_page(both):
    page, markdown = both
    assert set(FIGURE.findall(page)) - set(FIGURE.findall(markdown)) == set()


def test_a_report_named_md_is_the_markdown(make_run, tmp_path):
    run = make_run("a")
    page = write_report([run], tmp_path / "report.md")
    assert page.read_text(encoding="utf-8") == render_markdown([run])


def test_without_quotes_no_word_of_a_corpus_is_left_and_every_figure(make_run, tagged, tmp_path):
    runs = [make_run("a"), make_run("b", seed=8)]
    whole = render_markdown(runs, [tagged])
    page = write_report(runs, tmp_path / "report.md", [tagged], quotes=False)
    left = page.read_text(encoding="utf-8")
    words = {word for run in runs for word in _words(run)}
    assert len(words) > 10
    assert {word for word in words if word in whole}
    assert {word for word in words if word in left} == set()
    assert set(FIGURE.findall(left)) == set(FIGURE.findall(whole))
    assert [line for line in left.splitlines() if line.startswith("## ")] == [
        line for line in whole.splitlines() if line.startswith("## ")
    ]


def _words(run):
    for path in (run / "predictions").iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            if len(word := line.partition("\t")[0]) > 4:
                yield word


def test_it_has_the_headings_of_the_page(both, tmp_path):
    _, markdown = both
    tree = lxml.html.parse(tmp_path / "report.html")
    headings = [heading.text for heading in tree.iter("h1", "h2", "h3", "h4")]
    assert [line.lstrip("# ") for line in markdown.splitlines() if line.startswith("#")] == headings


def test_words_stay_words(both):
    _, markdown = both
    prose = re.sub(r"```text.*?```", "", markdown, flags=re.DOTALL)
    assert r"\<script\>alert('\|')\</script\>" in prose
    assert re.search(r"(?<!\\)<(?!br>)", prose) is None


def test_tables_have_as_many_cells_in_each_row(both):
    _, markdown = both
    tables = re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE)
    assert len(tables) > 10
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1


def test_a_fence_in_the_configuration_does_not_end_its_block(make_run):
    markdown = render_markdown([make_run(name="x", note="```")])
    assert "````text" in markdown


def test_a_word_that_looks_like_a_list_item_is_a_word(tagged, tmp_path):
    (tagged / "jsonl" / "in-00000.jsonl").write_text(
        '{"id": "1", "text": "1. fever", '
        '"mentions": [{"start": 3, "end": 8, "label": "D", "text": "fever"}]}\n'
    )
    assert r"1\. **fever** (D)" in render_markdown([], [tagged])


def test_nothing_to_report_on():
    with pytest.raises(UsageError):
        render_markdown([])
