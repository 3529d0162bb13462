"""Drawings stay inside their frames, whatever the figures."""

import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from raybio.reports.blocks import Curve, Curves, Dot, DotPlot
from raybio.reports.plots import curves_svg, dot_plot_svg, nice_ticks

PERCENT = st.floats(0, 100)


@settings(deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_ticks_enclose_the_figures_and_are_few(one, other):
    low, high = sorted((one, other))
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    slack = 1e-9 * max(1.0, high)
    assert ticks[0] <= low + slack and high - slack <= ticks[-1]


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=40))
def test_a_curve_stays_inside_its_drawing(values):
    curve = Curve("loss", tuple(range(1, len(values) + 1)), tuple(values), kept=1)
    svg = curves_svg(Curves("by epoch", (curve,)))
    points = re.search(r'points="([^"]*)"', svg)[1].split()
    assert len(points) == len(values)
    for x, y in (map(float, point.split(",")) for point in points):
        assert 0 <= x <= 340 and 0 <= y <= 200


@settings(deadline=None)
@given(st.lists(st.tuples(PERCENT, PERCENT, PERCENT).map(sorted), min_size=1, max_size=5))
def test_dots_and_intervals_stay_on_their_scale(rows):
    dots = tuple(Dot("run", value, low, high) for low, value, high in rows)
    svg = dot_plot_svg(DotPlot("F1", dots))
    places = [float(place) for place in re.findall(r'c?x[12]?="(-?[\d.]+)%"', svg)]
    assert len(places) >= 3 * len(rows)
    assert all(math.isfinite(place) and -0.01 <= place <= 100.01 for place in places)
