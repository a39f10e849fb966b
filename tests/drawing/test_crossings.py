"""The titles of frames, the labels of arrows and the texts of volumes: nothing crosses them, in the drawings of the
library's networks.

Tests `drawing/graph/positions.py` and `drawing/volumes/routes.py`.
"""

from __future__ import annotations

from functools import partial

import pytest

import archdsl
from archdsl.drawing.diagram import diagram, painter
from archdsl.drawing.graph.layout import laid_out
from archdsl.drawing.graph.scene import draw
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import LEVELS, Level, View
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import Cluster, Path, Point, Polygon, Scene, Text, rectangle
from archdsl.drawing.scene.printing import printed
from archdsl.drawing.theme import LIGHT
from archdsl.drawing.volumes import staged_for
from archdsl.spec.find import library_networks
from tests.support.crossings import Found, crossings, ink

SAMPLE = ("resnet50", "dpn68", "googlenet", "densenet121", "unet", "nasnetamobile", "hrnet_w18", "ghostnet_100")


def found(name: str, level: Level, options: Options = Options()) -> Found:
    graph = archdsl.load(name).graph
    drawing, layout, note = laid_out(Request(graph, View(level), options, time_limit_s=60), partial(compose, graph))
    assert not note
    return crossings(draw(drawing, layout, options, LIGHT), [a.label for a in drawing.arrows if a.label])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", SAMPLE)
def test_nothing_crosses_a_title_or_a_label(name: str, level: Level) -> None:
    got = found(name, level)
    assert got.texts
    assert got.bad <= (2 if level == "layer" else 0), got.faults


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_nothing_does_in_the_whole_library(level: Level) -> None:
    texts, bad = 0, {}
    for name in library_networks():
        got = found(name, level)
        texts += got.texts
        if got.faults:
            bad[name] = got.bad
    assert sum(bad.values()) <= (0.01 * texts if level == "layer" else 0), bad


LINE = Path((Point(0, 0), Point(100, 0)), "#000000")
OTHER = Path((Point(0, 20), Point(100, 20)), "#000000")


@pytest.mark.parametrize(
    ("y", "faults"), [(-5.0, set()), (3.0, {"arrow"}), (16.0, {"astray"}), (24.0, {"arrow", "astray"}), (40.0, {"box"})]
)
def test_the_counter_sees_what_is_wrong(y: float, faults: set[str]) -> None:
    """The label of the arrow at 0, with its baseline at `y`; the arrow at 20 comes from another box."""
    label = Text(Point(50, y), "64", 8, "#000000")
    box = Cluster("box", members=[Polygon(rectangle(40, 32, 20, 20), "#FFFFFF")], facts={"box": "2"})
    mine = Cluster("arrow", members=[LINE, label], facts={"from": "0"})
    start = [Cluster("box", members=[Polygon(rectangle(-50, -9, 10, 9), "")], facts={"box": n}) for n in "01"]
    members = [*start, mine, Cluster("arrow", members=[OTHER], facts={"from": "1"}), box]
    scene = Scene("", "", 100, 100, "#FFFFFF", members=[Cluster("drawing", members=members)])
    assert {fault for fault, _ in crossings(scene).faults} == faults
    assert crossings(scene, ["64", "128"]).of("missing") == ["missing 0: 128"]


@pytest.mark.parametrize("name", ["unet", "segresnet"])
def test_volumes_are_readable_without_a_size_and_no_arrow_crosses_a_text(name: str) -> None:
    """At the width of a page, and in a column, where skip connections pass several lines."""
    graph = archdsl.load(name).graph
    for options in (Options(), Options(width_mm=170), Options(width_mm=85)):
        scene = painter([Request(graph, options=options)], "volumes")(LIGHT)
        assert printed(scene, options).smallest >= 5.99
        arrows = [m for m in scene.members if isinstance(m, Cluster) and m.kind in ("edge", "arc")]
        points = [p for m in arrows for item in m.members if isinstance(item, Path) for p in item.along(1.5)]
        texts = [item for item in scene.items() if isinstance(item, Text)]
        assert points and not [t.text for t in texts if any(ink(t).near(p) for p in points)], options.width_mm
        assert all(0 <= p.x <= scene.width and 0 <= p.y <= scene.height for p in points)


def test_volumes_that_a_request_expands_stay_expanded_without_a_size() -> None:
    graph = archdsl.load("unet").graph
    svg = diagram(graph, view=View("layer"), style="volumes").data
    assert svg.count(b'class="stage"') == len(list(staged_for(graph, View("layer")).root.stages()))
