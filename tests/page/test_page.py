"""The page at `/`, in a real browser: what people see, and what they can do without a mouse."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from raybio.corpora import read_corpus

TEXT = "naloxone reverses hypotension by clonidine in rats with renal failure."


def tag(page: Page, text: str, second: str = "nothing", first: str = "reader") -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_label("Compare with").select_option("nothing")
    page.get_by_label("Model").select_option(first)
    page.get_by_label("Compare with").select_option(second)
    page.get_by_role("button", name="Tag").click()
    expect(page.get_by_role("button", name="Tag", exact=True)).to_be_visible()


def pane(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name)


def shown_text(page: Page, name: str) -> str | None:
    return page.get_by_role("group", name=f"Text as {name} marks it").text_content()


def offsets(mark: Locator) -> tuple[int, int]:
    start, end = (mark.get_attribute("data-offsets") or "").split("–")
    return int(start), int(end)


def table(page: Page) -> list[list[str]]:
    rows = page.locator("#mentions tbody tr")
    return [[" ".join(cell.split()) for cell in row.locator("td").all_text_contents()] for row in rows.all()]


def test_a_text_is_tagged_in_place(page: Page) -> None:
    tag(page, TEXT)
    reader = pane(page, "reader")
    marks = reader.locator("mark")
    expect(marks).to_have_text(["naloxone", "hypotension", "clonidine", "renal failure"])
    expect(marks.first).to_have_attribute("data-note", "Chemical 0.88")
    assert [TEXT[slice(*offsets(mark))] for mark in marks.all()] == marks.all_text_contents()
    assert shown_text(page, "reader") == TEXT
    expect(reader.locator(".facts")).to_contain_text(re.compile(r"mentions4round trip\d+\.\d{3} s"))
    expect(reader.locator(".facts")).to_contain_text("replica0.023 smodel0.012 s")
    assert table(page)[3] == ["renal failure", "Disease", "0.875", "56–69"]
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^reader: 4 mentions in \d+\.\d{3} s\.$"))


def test_a_mention_says_its_type_score_and_offsets(page: Page) -> None:
    tag(page, TEXT)
    page.locator("mark", has_text="clonidine").hover()
    expect(page.locator("#tip")).to_have_text("Chemical · score 0.875 · characters 33–42")
    expect(page.locator("#mentions tr.lit")).to_contain_text("clonidine")
    page.get_by_label("Offsets in the text").check()
    drawn = page.locator("mark").first.evaluate("mark => getComputedStyle(mark, '::after').content")
    assert "0–8" in drawn


def test_two_models_are_compared(page: Page) -> None:
    tag(page, TEXT, "writer")
    verdicts = {
        name: [(mark.inner_text(), mark.get_attribute("class").split()[-1]) for mark in marks.all()]
        for name in ("reader", "writer")
        for marks in [pane(page, name).locator("mark")]
    }
    assert verdicts == {
        "reader": [
            ("naloxone", "same"),
            ("hypotension", "first"),
            ("clonidine", "label"),
            ("renal failure", "boundaries"),
        ],
        "writer": [
            ("naloxone", "same"),
            ("clonidine", "label"),
            ("rats", "second"),
            ("failure", "boundaries"),
        ],
    }
    assert [row[-1] for row in table(page)] == [
        "the same",
        "only in reader",
        "other label",
        "only in writer",
        "other boundaries",
    ]
    assert table(page)[4][:2] == ["renal failure Disease 0.88 56–69", "failure Disease 0.88 62–69"]
    counts = page.get_by_role("list", name="Differences").get_by_role("listitem")
    expect(counts).to_have_text(
        ["1the same", "1 ≠other label", "1 ↔other boundaries", "1 +only in reader", "1 +only in writer"]
    )
    expect(pane(page, "writer").locator(".facts")).to_contain_text("passes2tokens fed1,234")
    pane(page, "writer").locator("mark", has_text="failure").hover()
    expect(page.locator("#tip")).to_contain_text("reader: “renal failure” · Disease · 56–69")
    expect(page.locator("mark.lit")).to_have_text(["renal failure", "failure"])


def test_what_both_say_can_be_faded(page: Page) -> None:
    tag(page, TEXT, "writer")
    page.get_by_label("Fade what both say").check()
    expect(page.locator("#mentions tr.same")).to_be_hidden()
    note = page.locator("mark.same").first.evaluate("mark => getComputedStyle(mark, '::after').content")
    assert note == "none"
    tag(page, TEXT)
    expect(page.get_by_label("Fade what both say")).to_be_hidden()
    expect(page.locator("#mentions tbody tr").first).to_be_visible()


def test_a_model_is_not_compared_with_itself(page: Page) -> None:
    page.get_by_label("Model").select_option("writer")
    expect(page.get_by_label("Compare with")).to_have_value("")
    expect(page.get_by_label("Compare with").get_by_role("option", name="writer")).to_be_disabled()


def test_markup_in_a_text_is_text(page: Page) -> None:
    text = """<script>document.title = "taken"</script><img src=x onerror="document.title='taken'"> & &lt;"""
    tag(page, text, "writer")
    assert shown_text(page, "reader") == shown_text(page, "writer") == text
    expect(pane(page, "reader").locator("mark")).to_have_text(["script", "script"])
    expect(page.locator("main script, main img")).to_have_count(0)
    expect(page).to_have_title("raybio")


@pytest.mark.parametrize(
    "text",
    [
        "TNF-α and β-catenin",
        "🧬 TNF-α, 👩\u200d🔬👩\u200d🔬 β-catenin, 𝛼",
        "e\u0301 🇫🇷\n\n  TNF-α\tβ-catenin",
    ],
)
def test_offsets_count_code_points(page: Page, text: str) -> None:
    tag(page, text)
    expect(page.locator("#length")).to_have_text(f"{len(text)} characters")
    assert shown_text(page, "reader") == text
    marks = page.locator("mark")
    expect(marks).to_have_text(["TNF-α", "β-catenin"])
    assert [text[slice(*offsets(mark))] for mark in marks.all()] == ["TNF-α", "β-catenin"]
    starts = [text.index("TNF"), text.index("β")]
    assert [row[3] for row in table(page)] == [f"{starts[0]}–{starts[0] + 5}", f"{starts[1]}–{starts[1] + 9}"]


def test_everything_works_without_a_mouse(page: Page) -> None:
    keys = page.keyboard
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    keys.insert_text(TEXT)
    keys.press("Control+Enter")
    expect(page.locator("mark")).to_have_count(8)
    seen = []
    for _ in range(20):
        keys.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if seen[-1] == "MARK":
            break
    assert seen[4:] == ["first", "second", "go", "offsets", "faded", "MARK"]
    focused = page.locator("mark:focus")
    expect(focused).to_have_text("naloxone")
    expect(page.locator("#tip")).to_contain_text("Chemical · score 0.875 · characters 0–8")
    outline = focused.evaluate("mark => getComputedStyle(mark).outlineStyle")
    assert outline == "solid"
    keys.press("ArrowRight")
    expect(focused).to_have_text("hypotension")
    expect(page.locator("#tip")).to_contain_text("only in reader")
    keys.press("Escape")
    expect(page.locator("#tip")).to_be_hidden()
    keys.press("End")
    expect(focused).to_have_text("renal failure")
    keys.press("Tab")
    expect(page.get_by_role("button", name="Copy JSON").first).to_be_focused()
    keys.press("Shift+Tab")
    expect(focused).to_have_text("renal failure")


def test_a_refused_text_is_explained(page: Page) -> None:
    tag(page, "x" * 2001)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("2,001 characters; 2,000 are allowed")
    expect(alert).to_contain_text("Cut it in parts")
    expect(page.get_by_role("status")).to_have_text("reader failed.")
    expect(page.locator("#list")).to_be_hidden()


def test_one_model_may_fail_where_the_other_answers(page: Page) -> None:
    tag(page, TEXT, "broken")
    expect(pane(page, "reader").locator("mark")).to_have_count(4)
    expect(pane(page, "broken").get_by_role("alert")).to_contain_text("no replica of this model is left")
    expect(page.get_by_role("list", name="Differences")).to_have_count(0)
    assert len(table(page)) == 4


def test_a_server_that_is_gone_is_explained(page: Page) -> None:
    page.route("**/tag", lambda route: route.abort())
    tag(page, TEXT)
    expect(page.get_by_role("alert")).to_contain_text("the server did not answer")


def test_an_answer_that_is_not_ours_is_explained(page: Page) -> None:
    page.route("**/models", lambda route: route.fulfill(status=502, body="<html>Bad gateway</html>"))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("the server answered 502 and did not say why")


def test_no_text_is_no_question(page: Page) -> None:
    tag(page, " \n ")
    expect(page.get_by_role("status")).to_contain_text("There is no text yet")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    expect(page.locator("#results")).to_be_hidden()


def test_a_later_question_replaces_an_earlier_one(page: Page) -> None:
    held: list[Route] = []
    page.route("**/tag", lambda route: held.append(route), times=1)
    page.get_by_label("Text", exact=True).fill("naloxone")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Tagging …")).to_be_visible()
    tag(page, "clonidine")
    expect(page.locator("mark")).to_have_text(["clonidine"])
    assert len(held) == 1


def test_each_sample_fills_the_text(page: Page) -> None:
    texts = []
    for button in page.get_by_role("group", name="Samples").get_by_role("button").all():
        button.click()
        texts.append(page.get_by_label("Text", exact=True).input_value())
    assert len(set(texts)) == len(texts) >= 3
    assert all(400 < len(text) < 1500 and "  " not in text and "\n" not in text for text in texts)


def test_an_answer_is_copied_as_json_and_pubtator(page: Page, address: str, tmp_path: Path) -> None:
    text = "TNF-α 🧬\nin renal failure"
    tag(page, text)
    page.get_by_role("button", name="Copy JSON").click()
    expect(page.get_by_role("status")).to_have_text("Copied reader’s answer as JSON.")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["documents"][0]["text"] == text
    page.get_by_role("button", name="Copy PubTator").click()
    expect(page.get_by_role("status")).to_contain_text("PubTator")
    pubtator = page.evaluate("navigator.clipboard.readText()")
    asked = {"model": "reader", "text": text}
    ours = page.request.post(f"{address}tag", data=asked, headers={"Accept": "application/x-pubtator"})
    file = tmp_path / "copied.pubtator"
    file.write_text(pubtator, encoding="utf-8")
    (document,) = read_corpus(str(file))
    assert [mention.text for mention in document.mentions or ()] == ["TNF-α", "renal failure"]
    assert pubtator == ours.text()


def test_it_copies_where_browsers_keep_the_clipboard_away(page: Page) -> None:
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    tag(page, "TNF-α")
    page.get_by_role("button", name="Copy PubTator").click()
    expect(page.get_by_role("status")).to_contain_text("Copied")
    expect(page.get_by_role("button", name="Copy PubTator")).to_be_focused()
    page.get_by_label("Text", exact=True).fill("")
    page.keyboard.press("Control+V")
    expect(page.get_by_label("Text", exact=True)).to_have_value(
        "1|t|TNF-α\n1|a|\n1\t0\t5\tTNF-α\tGene\t-\n\n"
    )


def test_it_fits_narrow_screens_and_follows_the_colour_scheme(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    tag(page, TEXT + " " + "A" * 300, "writer")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(252, 252, 251)", "rgb(22, 24, 27)"]
