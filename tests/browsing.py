"""A real headless browser, and the page in it: every use asserts that it loads nothing from elsewhere."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_MILLISECONDS = 60_000


@contextmanager
def headless() -> Iterator[Browser]:
    """Start a Chromium or Chrome of this machine; the test is skipped where there is none.

    Its event loop runs in this thread until the end, where nothing else may wait for another.
    """
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no browser is here: install Chromium (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, address: str, model: str) -> Iterator[Page]:
    """Open the page at `address`, whose first model is `model`; at the end no script of it has failed."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(_MILLISECONDS)
    expect.set_options(timeout=_MILLISECONDS)
    faults: list[str] = []
    requested: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: requested.append(request.url))
    page.goto(address)
    expect(page.get_by_label("Model")).to_have_value(model)
    yield page
    context.close()
    # An answer that is no success is an error to the console too; tests of errors have some.
    assert [fault for fault in faults if not fault.startswith("Failed to load resource")] == []
    assert [url for url in requested if not url.startswith((address, "data:"))] == []
