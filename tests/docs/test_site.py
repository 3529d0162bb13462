"""The documentation's site: built strictly, whole on the disk, and searched without a network."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import headless
from pages import PAGES, ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` builds it; links and anchors that lead nowhere end the build."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


def texts(site: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(site.rglob("*.html")):
        yield file.relative_to(site).as_posix(), file.read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe)\b[^>]*\bsrc=\"?(?:https?:)?//|<link\b[^>]*\bhref=\"?(?:https?:)?//"
    )
    assert [name for name, text in texts(site) if loads.search(text)] == []


def test_no_fence_and_no_table_is_left_as_it_was_written(site: Path) -> None:
    written = re.compile(r"```|^\|?\s*:?---+:?\s*\|", re.MULTILINE)
    assert [name for name, text in texts(site) if written.search(text)] == []


def test_every_page_every_option_and_every_command_can_be_found(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {entry["location"] for entry in index["docs"]}
    names = {page.path.removeprefix("docs/").replace(".md", ".html") for page in PAGES} - {"README.html"}
    assert (
        names | {"contributing.html", "security.html", "api/corpora.html#raybio.corpora.read_corpus"}
        <= places
    )
    text = " ".join(f"{entry['title']} {entry['text']}" for entry in index["docs"])
    assert "training.early_stopping_patience" in text
    assert "raybio study plan" in text


def test_search_works_from_the_disk_in_a_browser_without_a_network(site: Path) -> None:
    with headless() as browser:
        context = browser.new_context(offline=True)
        page = context.new_page()
        page.set_default_timeout(120_000)  # the index is large for a slow machine
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.goto((site / "quick_start.html").as_uri())
        # Typed, since the site reads the box when a key is released: what is filled in at once it may miss.
        page.get_by_role("textbox", name="Search").press_sequentially("rejected replay")
        page.locator(".md-search-result__link").first.wait_for()
        assert page.locator(".md-search-result__link").count() > 0
        context.close()
    assert [url for url in requested if not url.startswith(("file:", "data:", "blob:"))] == []
