"""Both drawings of a difference have the same parts at the same height; facts are true of the written node.

Tests `differences/rows.py`.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

import archdsl
from archdsl.differences.compare import compare_graphs
from archdsl.differences.rows import align_rows
from archdsl.drawing.graph.positions import GraphLayout, Rect, Spline

SPACE = "{http://www.w3.org/2000/svg}"


def tower(*tops: float) -> GraphLayout:
    """Boxes 0, 1, ... below one another, 10 high, with an arrow from each to the next."""
    boxes = {n: Rect(0, top, 20, 10) for n, top in enumerate(tops)}
    arrows = tuple(
        Spline(tuple((10, a + 10 + (b - a - 10) * n / 3) for n in range(4)), (10, b), None)
        for a, b in itertools.pairwise(tops)
    )
    return GraphLayout(
        20, tops[-1] + 10, boxes, ((Rect(-5, tops[1] - 5, 30, tops[-1] - tops[1] + 20), (0, 0)),), arrows
    )


def test_pairs_are_at_one_height_and_arrows_still_meet_their_boxes() -> None:
    a, b = align_rows(tower(0, 30, 60, 100), tower(0, 50, 80), [(0, 0), (2, 1), (3, 2)])
    assert [rect.y for rect in a.boxes.values()] == [0, 30, 60, 100]
    assert [rect.y for rect in b.boxes.values()] == [0, 60, 100]
    for layout in (a, b):
        for n, spline in enumerate(layout.splines):
            assert spline.points[0][1] == layout.boxes[n].y + 10
            assert spline.tip[1] == layout.boxes[n + 1].y
        frame, _ = layout.frames[0]
        assert frame.y < layout.boxes[1].y and frame.y + frame.height > layout.boxes[len(layout.boxes) - 1].y + 10
    assert b.height == 110


def test_pairs_that_cross_are_left_alone() -> None:
    a, b = align_rows(tower(0, 30, 60), tower(0, 30, 60), [(0, 0), (1, 2), (2, 1)])
    assert a.boxes[1].y == b.boxes[2].y == 60
    assert (a.boxes[2].y, b.boxes[1].y) == (90, 30)


@pytest.mark.parametrize(("before", "after"), [("resnet18", "resnet34"), ("resnet50", "seresnet50")])
def test_equal_paths_have_one_height_in_the_picture(before: str, after: str) -> None:
    nets = archdsl.load(before), archdsl.load(after)
    root = ET.fromstring(archdsl.diff(*nets).picture().data)
    heights: dict[str, list[float]] = {}
    for group in root.iter(f"{SPACE}g"):
        rect = group.find(f"{SPACE}rect")
        if group.get("data-box") and group.get("data-path") and rect is not None:
            heights.setdefault(group.get("data-path", ""), []).append(float(rect.get("y", "0")))
    pairs = [pair for pair in heights.values() if len(pair) == 2]
    assert len(pairs) > 6
    assert all(abs(one - other) < 0.2 for one, other in pairs)


def test_a_stem_that_reads_an_image_still_receives_its_channels() -> None:
    """Its norm reads more channels than before, but that is inside the written node."""
    before, after = (
        archdsl.loads(f"input: 3x32x32\nnet: {{a: 3x3 conv {w} bn relu, b: 3x3 conv 8}}\n") for w in (16, 32)
    )
    stem, second = compare_graphs(before.graph, after.graph).changes
    assert {fact.name for fact in stem.facts} == {"out"}
    assert {(fact.name, fact.before, fact.after) for fact in second.facts} == {("receives", (16,), (32,))}
