"""The chart of networks: sizes, positions, colours and names, and its page.

Tests `drawing/chart/chart.py`, `drawing/chart/names.py` and `drawing/chart/page.py`.
"""

from __future__ import annotations

from itertools import combinations
from math import isclose
from random import Random
from xml.etree import ElementTree

import pytest

from archdsl.drawing.chart.chart import COLORS, OTHERS, ChartPoint, Plot, chart, family_colors, reference_sizes
from archdsl.drawing.chart.names import Ball, NamePosition, place_names
from archdsl.drawing.chart.page import chart_page
from archdsl.library.catalog import catalog

SVG = "{http://www.w3.org/2000/svg}"


def points() -> list[ChartPoint]:
    return [
        ChartPoint(e.name, e.family, e.macs, e.top1, e.params)
        for e in catalog()
        if e.top1 is not None and e.classes == 1000
    ]


def box(ball: Ball, at: NamePosition) -> tuple[float, float, float, float]:
    return at.x - ball.width / 2, at.y - ball.height / 2, at.x + ball.width / 2, at.y + ball.height / 2


@pytest.mark.parametrize("count", [1, 5, 20, 60])
def test_names_do_not_overlap(count: int) -> None:
    random = Random(count)
    balls = [
        Ball(random.uniform(30, 700), random.uniform(30, 500), random.uniform(1, 24), random.uniform(20, 90), 8)
        for _ in range(count)
    ]
    positions = place_names(balls, 730, 530)
    boxes = [box(ball, at) for ball, at in zip(balls, positions, strict=True) if at is not None]
    assert len(boxes) == count
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for left, bottom, right, top in boxes:
        assert left >= 0 and bottom >= 0 and right <= 730 and top <= 530


def test_balls_lie_where_they_should_and_their_area_is_the_parameters() -> None:
    from archdsl.drawing.chart.chart import _figure

    chosen = points()[:20]
    axes = _figure(chosen, ()).axes[0]
    lines = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    areas = [float(lines[f"ball-{n}"].get_markersize()) ** 2 / p.params for n, p in enumerate(chosen)]
    assert all(isclose(area, areas[0], rel_tol=1e-9) for area in areas)
    for n, p in enumerate(chosen):
        assert lines[f"ball-{n}"].get_xydata().tolist() == [[p.x / 1e9, p.y]]


def test_colors() -> None:
    found = family_colors(points())
    assert len(set(COLORS)) == len(COLORS) == 7 and OTHERS not in COLORS
    assert sorted(c for c in found.values() if c != OTHERS) == sorted(COLORS)
    assert reference_sizes(138_357_544) == (100_000_000, 20_000_000, 5_000_000)


def test_words_are_not_markup() -> None:
    data = chart([ChartPoint("a$b$<&>", "f_1", 1, 50.0, 1)], "svg", ["x < $y$"]).decode()
    words = {e.text for e in ElementTree.fromstring(data).iter(f"{SVG}text")}
    assert words >= {"a$b$<&>", "f_1", "x < $y$"}


def test_the_page_shows_the_drawing_the_notes_and_the_table() -> None:
    page = chart_page(
        b"<?xml version='1.0'?>\n<svg><g/></svg>",
        "a & b",
        ["left out: <c>"],
        [("name", False), ("n", True)],
        [("x<", "1")],
    )
    body = ElementTree.fromstring(page.decode().partition("</head>")[2].partition("</html>")[0])
    assert [e.tag for e in body] == ["h1", "div", "p", "div"]
    assert (body[0].text, body[2].text) == ("a & b", "Left out: <c>")
    assert [(e.text, e.get("class")) for e in body.iter("td")] == [("x<", None), ("1", "right")]


def test_the_page_follows_dark_mode_and_a_name_finds_its_ball() -> None:
    chosen = points()[:12]
    drawing = chart(chosen, "svg")
    text = chart_page(drawing, "title", (), [("name", False)], [[point.name] for point in chosen]).decode()
    style = text.partition("<style>")[2].partition("</style>")[0]
    dark = style.partition("@media (prefers-color-scheme: dark)")[2]
    assert "background: #111" in dark and "invert(" in dark
    root = ElementTree.fromstring(drawing)
    names = {element.get("id"): "".join(element.itertext()) for element in root.iter(f"{SVG}g")}
    for number, point in enumerate(chosen):
        assert point.name in names[f"name-{number}"] and Plot().words(point) in names[f"ball-{number}"]
        both = f":is(#ball-{number}, #name-{number}, #leader-{number})"
        assert f"svg:has({both}:hover) {both}" in style


def test_figures_below_1_lie_where_they_should_and_bytes_have_their_unit() -> None:
    from archdsl.drawing.chart.chart import ChartAxis, _figure

    plot = Plot(ChartAxis("estimated ms", "estimated ms"), ChartAxis("peak MiB", "peak MiB", 2**20))
    chosen = [ChartPoint("small", "f", 0.046, 2**19, 10**5), ChartPoint("large", "f", 0.81, 3 * 2**20, 10**6)]
    lines = [line for line in _figure(chosen, (), plot).axes[0].lines if line.get_gid()]
    assert sorted(line.get_xydata().tolist()[0] for line in lines) == [[0.046, 0.5], [0.81, 3.0]]
    assert plot.words(chosen[1]) == "large: peak 3 MiB, 0.81 estimated ms, 1.000 Mparams"


def test_a_long_title_fits() -> None:
    from archdsl.drawing.chart.chart import ChartAxis, _figure

    long = ChartAxis("a figure with a name that has no end", "a figure with a name that has no end, and still no end")
    figure = _figure([ChartPoint("a", "f", 1, 2, 3)], (), Plot(long, long))
    figure.draw_without_rendering()
    (title,) = (text for text in figure.texts if text.get_text() == Plot(long, long).title)
    assert title.get_window_extent().x1 <= figure.bbox.x1
