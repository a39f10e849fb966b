"""The style `sheets`: what it shows is read back from the scene and the SVG.

Tests `drawing/sheets.py`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from math import sqrt

import pytest

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.drawing.diagram import diagram
from archdsl.drawing.model.drawing import View
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import Cluster, Item, Path, Polygon, Scene, Text
from archdsl.drawing.sheets import MOST, _balanced, attempts
from archdsl.drawing.theme import LIGHT, THEMES
from archdsl.report.words import TIMES

SCAN = "input: 1x16x32x32\nname: scan\nnet: {a: 3x3x3 conv 8 /2, p: 2x2x2 maxpool, g: gap, f: fc 2}"
LONG = f"input: 3x64x64\nname: long\nnet: [{', '.join(['3x3 conv 16'] * 5 + ['3x3 conv 8 /2', '5x5 conv 16'] * 3)}]"


def drawn(net: archdsl.Network, view: View = View(), options: Options = Options()) -> Scene:
    return next(attempts(Request(net.graph, view, options)))(LIGHT)


def stacks(scene: Scene) -> list[Cluster]:
    return [member for member in scene.members if isinstance(member, Cluster) and member.kind == "stack"]


def extent(item: Item) -> tuple[float, float]:
    """Width and height of a rectangle."""
    assert isinstance(item, Polygon)
    xs, ys = [point.x for point in item.points], [point.y for point in item.points]
    return max(xs) - min(xs), max(ys) - min(ys)


def test_lenet_is_the_picture_of_its_paper() -> None:
    """LeCun et al. 1998, figure 2: the names, the counts and the sizes of all maps and layers."""
    scene = drawn(archdsl.load("lenet5_1998"))
    assert [stack.name for stack in stacks(scene)] == ["input", "C1", "S2", "C3", "S4", "C5", "F6", "output"]
    sheets = [stack.facts["sheets"] for stack in stacks(scene)]
    assert sheets == ["1", "6", "6", str(MOST), str(MOST), "1", "1", "1"]
    assert all(len(stack.members) == int(count) for stack, count in zip(stacks(scene), sheets, strict=True))
    texts = [item.text for item in scene.items() if isinstance(item, Text)]
    sizes = ["6 @ 28\u00d728", "6 @ 14\u00d714", "16 @ 10\u00d710", "16 @ 5\u00d75", "120", "84", "10"]
    assert [text for text in texts if text in sizes] == sizes
    assert texts.count("convolution") == 3 and texts.count("subsample") == 2 and texts.count("full connection") == 1


@pytest.mark.parametrize("true_scale", [False, True])
def test_maps_are_in_proportion_or_on_a_square_root_scale(true_scale: bool) -> None:
    scene = drawn(archdsl.load("lenet5_1998"), options=Options(true_scale=true_scale))
    sides = {stack.name: extent(stack.members[-1])[0] for stack in stacks(scene)[:5]}  # type: ignore[arg-type]
    for name, size in (("C1", 28), ("S2", 14), ("C3", 10), ("S4", 5)):
        share = size / 32 if true_scale else sqrt(size / 32)
        assert sides[name] / sides["input"] == pytest.approx(share), name
    assert any("in proportion" in i.text for i in scene.items() if isinstance(i, Text)) == true_scale


def test_a_window_is_in_the_scale_of_its_map_and_points_at_its_value() -> None:
    scene = drawn(archdsl.loads("input: 1x40x20\nname: n\nnet: {c: 5x9 conv 2 pad=same, p: 2x2 maxpool}"))
    image, c, p = (stack.members[-1] for stack in stacks(scene))
    windows = [item for m in scene.members if isinstance(m, Cluster) and m.kind == "window" for item in m.members]
    marks = [item for item in windows if isinstance(item, Polygon)]
    for (window, value), before, after, kernel, sizes in (
        (marks[:2], image, c, (5, 9), (40, 20)),
        (marks[2:], c, p, (2, 2), (40, 20)),
    ):
        wide, high = extent(before)  # type: ignore[arg-type]
        assert extent(window) == pytest.approx((wide * kernel[1] / sizes[1], high * kernel[0] / sizes[0]))
        for inner, outer in ((window, before), (value, after)):
            corners = outer.points  # type: ignore[union-attr]
            assert all(corners[0].x <= x <= corners[2].x and corners[0].y <= y <= corners[2].y for x, y in inner.points)
    assert sum(isinstance(item, Path) for item in windows) == 4, "two lines from each window"


def test_equal_blocks_are_one_stack_and_branches_are_refused() -> None:
    scene = drawn(archdsl.load("resnet20"))
    texts = [item.text for item in scene.items() if isinstance(item, Text)]
    assert "basic(w=16)" in texts and "3 \u00d7" in texts
    for name, view in (("unet", View()), ("resnet20", View("layer")), ("googlenet", View(focus="inception3a"))):
        with pytest.raises(ArchError, match="has branches, and no figure in the style `sheets`") as caught:
            drawn(archdsl.load(name), view)
        assert caught.value.diagnostics[0].code == "E0717" and caught.value.status == 2


def test_signals_are_lines_and_volumes_are_cubes() -> None:
    signal, volume = drawn(archdsl.load("ecg_resnet34")), drawn(archdsl.loads(SCAN))
    for item in stacks(signal)[0].members:
        wide, high = extent(item)  # type: ignore[arg-type]
        assert high > 5 * wide
    cube = stacks(volume)[1]
    assert len(cube.members) == 3 * int(cube.facts["sheets"]), "a cube has three faces"


def test_rows_are_balanced_and_joined() -> None:
    scene = drawn(archdsl.load("vgg16"))
    edges = [member for member in scene.members if isinstance(member, Cluster) and member.kind == "edge"]
    turns = [edge for edge in edges if edge.members[0].round]  # type: ignore[union-attr]
    assert len(turns) == 2, "two turns join three rows"
    ids = {stack.id for stack in stacks(scene)}
    assert all(edge.ends is not None and set(edge.ends) <= ids for edge in edges), "arrows follow their stacks"
    narrow = archdsl.load("lenet5_1998").diagram(style="sheets", width_mm=85)
    width, height = (float(ET.fromstring(str(narrow)).get(n, "").removesuffix("pt")) for n in ("width", "height"))
    assert width == pytest.approx(85 / 25.4 * 72, abs=1) and height > width


@pytest.mark.parametrize("theme", THEMES)
def test_every_theme(theme: str) -> None:
    svg = str(archdsl.load("lenet5").diagram(style="sheets", theme=theme))  # type: ignore[arg-type]
    assert THEMES[theme].background in svg and 'data-sheets="6"' in svg


@pytest.mark.parametrize(
    "options, width, height",
    [
        (Options(paper="ieee"), 88, 228),
        (Options(width_mm=85, height_mm=50), 85, 50),
        (Options(width_mm=60), 60, 240),
    ],
)
def test_a_picture_is_no_higher_than_its_paper(options: Options, width: int, height: int) -> None:
    """With smaller maps, else with smaller text."""
    graph = archdsl.loads(LONG).graph
    svg = ET.fromstring(diagram(graph, options=options, style="sheets").data)
    size = [float(svg.get(side, "").removesuffix("pt")) / 72 * 25.4 for side in ("width", "height")]
    assert size[0] == pytest.approx(width, abs=0.1) and size[1] <= height + 0.1


def test_a_picture_that_is_too_small_for_its_paper_is_refused() -> None:
    with pytest.raises(ArchError, match="at 88 mm x 60 mm with text of at least 6 points") as caught:
        diagram(archdsl.loads(LONG).graph, options=Options(paper="ieee", height_mm=60), style="sheets")
    assert caught.value.diagnostics[0].code == "E0721"


def test_a_row_of_one_stack_is_not_made_shorter() -> None:
    """Rows of one stack each, which no shorter room makes more of."""
    rows = _balanced([50.0, 60.0, 70.0], 10.0)
    assert rows == [[0], [1], [2]]


def test_the_last_line_explains_what_is_drawn() -> None:
    def notes(net: str, focus: str = "") -> str:
        return drawn(archdsl.loads(net), View(focus=focus)).caption

    blocks = "input: 4x8x8x8\nblocks: {b: {residual: {c: 3x3x3 conv 4}}}\nnet: {s: 3x3x3 conv 4, r: 2 * b()}"
    assert notes(blocks, "r").endswith(
        " params, 442.4 kMACs. Sizes on a square-root scale. At most 3 volumes are drawn."
    )
    assert notes(blocks, "r").count("params") == 1
    assert "window" in notes(blocks) and "maps" not in notes(blocks)
    vectors = notes("input: 2x8x8\nnet: [3x3 conv 2, gap, fc 40]")
    assert "maps" not in vectors, "40 neurons are not maps"


def test_a_stack_has_the_name_of_the_output_that_it_shows() -> None:
    net = "input: 4x8x8\nblocks: {b: {residual: {c: 3x3 conv 4}}}\nnet: {s: 3x3 conv 4, r: 3 * b()}"
    texts = [item.text for item in drawn(archdsl.loads(net)).items() if isinstance(item, Text)]
    assert "r.2" in texts and "r.0" not in texts and f"3 {TIMES}" in texts


@pytest.mark.parametrize(
    "view, help",
    [
        (View(), "a chain: set `--focus`, or"),
        (View(focus="inception3a"), "a chain: set another `--focus`, or"),
        (View("layer", expand=("*",)), "a chain: leave out `--level layer` and `--expand`, set `--focus`, or"),
    ],
)
def test_the_help_names_the_options_that_were_set(view: View, help: str) -> None:
    with pytest.raises(ArchError) as caught:
        drawn(archdsl.load("googlenet" if view.focus or view.expand else "unet"), view)
    assert help in (caught.value.diagnostics[0].help or "")
