"""Every text of a graph lies inside its picture."""

from __future__ import annotations

from functools import partial

import pytest

import archdsl
from archdsl.drawing.graph.labels import arrow_content, content
from archdsl.drawing.graph.layout import laid_out
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import LEVELS, Box, Level, View
from archdsl.drawing.request import Direction, Options, Request

U_NET = """\
name: u
input: 3x128x96
defaults: {conv: bn relu}
blocks:
  two(c): [3x3 conv c, 3x3 conv c]
  up(c) <- x, skip: {up: 2x2 deconv c /2, cat: "concat <- skip, up", conv: two(c)}
net: {enc1: two(16), pool1: 2x2 maxpool, enc2: two(32), pool2: 2x2 maxpool, mid: two(64), dec2: "up(32) <- mid, enc2",
  dec1: "up(16) <- dec2, enc1", out: 1x1 conv 4 plain}
"""


@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize("level", LEVELS[:2])
def test_labels_are_inside_the_picture(level: Level, direction: Direction) -> None:
    request = Request(archdsl.loads(U_NET).graph, View(level), Options(direction=direction))
    drawing, layout, _ = laid_out(request, partial(compose, request.graph))
    for arrow, spline in zip(drawing.arrows, layout.splines, strict=True):
        if spline.label is not None:
            _, width, height = arrow_content(arrow.label)
            x, y = spline.label
            assert width / 2 - 0.1 <= x <= layout.width - width / 2 + 0.1
            assert height / 2 - 0.1 <= y <= layout.height - height / 2 + 0.1


def test_a_shape_stays_on_one_line() -> None:
    box = Box(0, "input", "volume", "1 \u00d7 160 \u00d7 320 \u00d7 320", wrap=64.0)
    lines = [run.text for line in content(box).lines for run in line.runs]
    assert lines == ["volume", "1 \u00d7 160 \u00d7 320 \u00d7 320"]
