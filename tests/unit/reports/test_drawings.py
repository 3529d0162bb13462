"""Drawings stay inside their frames, whatever the figures, and say them in words too."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from raybio.reports.blocks import (
    Axis,
    Chapter,
    Chart,
    Curve,
    Curves,
    Dot,
    DotPlot,
    Line,
    Mark,
    Report,
    Section,
    Shares,
)
from raybio.reports.drawings import log_ticks, nice_ticks
from raybio.reports.html import render_html

ABOVE_ZERO = st.floats(1e-5, 1e6)
PERCENT = st.floats(0, 100)


def drawn(block):
    """Return what a page shows of one block."""
    page = render_html(Report("t", "l", (Chapter("c", (), (Section("s", (block,)),)),)))
    return page[page.index("<section>") : page.index("</section>")]


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_ticks_enclose_the_figures_and_are_few(one, other):
    low, high = sorted((one, other))
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    slack = 1e-9 * max(1.0, high)
    assert ticks[0] <= low + slack and high - slack <= ticks[-1]


@given(ABOVE_ZERO, ABOVE_ZERO)
def test_log_ticks_enclose_the_figures_and_are_few(one, other):
    low, high = sorted((one, other))
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 13 and ticks == sorted(set(ticks))
    assert ticks[0] <= low * (1 + 1e-6) and high <= ticks[-1] * (1 + 1e-6)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    points = draw(st.lists(st.tuples(ABOVE_ZERO, ABOVE_ZERO), min_size=1, max_size=5))
    low, value, high = sorted(draw(st.tuples(ABOVE_ZERO, ABOVE_ZERO, ABOVE_ZERO)))
    across = draw(st.booleans())
    mark = Mark(value, 7.0, low, high, across=True) if across else Mark(7.0, value, low, high)
    return Line("a < b", tuple(points), (mark,), guide=draw(st.booleans()))


@given(st.lists(lines(), min_size=1, max_size=8), st.booleans(), st.booleans(), st.booleans())
def test_everything_stays_inside_the_drawing(found, log_x, log_y, from_zero):
    chart = Chart("c", Axis("x", log=log_x), Axis("y", log=log_y, from_zero=from_zero), tuple(found))
    svg = drawn(chart)
    assert "a < b" not in svg and "a &lt; b" in svg
    drawing = svg[svg.index('<svg viewBox="0 0 460') :]
    places = [
        pair.split(",") for points in re.findall(r'points="([^"]*)"', drawing) for pair in points.split()
    ]
    whiskers = re.findall(r'class="reach [^"]*" x1="(\S+)" x2="(\S+)" y1="(\S+)" y2="(\S+)"', drawing)
    assert len(whiskers) == len(found)
    places += [(x, y) for x1, x2, y1, y2 in whiskers for x, y in ((x1, y1), (x2, y2))]
    for x, y in places:
        assert -0.1 <= float(x) <= 460.1 and -0.1 <= float(y) <= 290.1
        assert math.isfinite(float(x)) and math.isfinite(float(y))


def test_named_places_have_their_names():
    named = Axis("length", named=((1.0, "1 word"), (2.0, "more")))
    svg = drawn(Chart("c", named, Axis("F1"), (Line("m", marks=(Mark(1, 70), Mark(2, 80))),)))
    assert ">1 word</text>" in svg and ">more</text>" in svg
    assert 'aria-label="m: 70 at 1 word, 80 at more"' in svg


def test_shares_fill_their_bar_and_name_the_whole():
    html = drawn(Shares("s", ("model", "rest"), (("m", (0.75, 0.25)), ("nothing", (0.0, 0.0)))))
    assert re.findall(r"width:([\d.]+)%", html) == ["75.00", "25.00", "0.00", "0.00"]
    assert "<span>1.00 s</span>" in html and 'aria-label="750.0 ms + 250.0 ms"' in html


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40))
def test_a_curve_stays_inside_its_drawing(values):
    curve = Curve("loss", tuple(range(1, len(values) + 1)), tuple(values), kept=1)
    svg = drawn(Curves("by epoch", (curve,)))
    points = re.search(r'points="([^"]*)"', svg)[1].split()
    assert len(points) == len(values)
    for x, y in (map(float, point.split(",")) for point in points):
        assert 0 <= x <= 340 and 0 <= y <= 200


@given(st.lists(st.tuples(PERCENT, PERCENT, PERCENT).map(sorted), min_size=1, max_size=5))
def test_dots_and_intervals_stay_on_their_scale(rows):
    dots = tuple(Dot("run", value, low, high) for low, value, high in rows)
    svg = drawn(DotPlot("F1", dots))
    places = [float(place) for place in re.findall(r'c?x[12]?="(-?[\d.]+)%"', svg)]
    assert len(places) >= 3 * len(rows)
    assert all(math.isfinite(place) and -0.01 <= place <= 100.01 for place in places)
