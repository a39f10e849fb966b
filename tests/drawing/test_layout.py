"""Every text of a graph lies inside its picture."""

from __future__ import annotations

import json
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


def test_a_layer_in_brackets_stays_on_one_line() -> None:
    layers = "[3\u00d73, 64; 3\u00d73, 64; 1\u00d71, 256]"
    box = Box(0, "block", "double", "", "inc", (layers,), kind="block", wrap=64.0)
    lines = [run.text for line in content(box).lines for run in line.runs]
    assert len(lines) > 3 and " ".join(lines[2:]) == layers
    assert all(line.endswith((";", "]")) for line in lines[2:])


def test_a_stage_ends_after_what_it_holds() -> None:
    """A label that lacked room has it beside its box, and the stage is not wider than the label needs."""
    blocks = {"fire(s, e)": {"a": "1x1 conv s", "b": "3x3 conv e"}}
    net = {"c": "3x3 conv 96 /2", "f2": "fire(16, 128)", "f3": {"residual": ["fire(16, 128)"]}, "f4": "fire(32, 320)"}
    spec = {
        "name": "n",
        "input": "3x64x64",
        "blocks": blocks,
        "net": {**net, "p": "3x3 maxpool /2", "f5": "fire(32, 320)"},
    }
    request = Request(archdsl.loads(json.dumps(spec)).graph, View(), Options())
    drawing, layout, _ = laid_out(request, partial(compose, request.graph))
    texts = [
        (spline.label[0] + arrow_content(arrow.label).width / 2, spline.label[1])
        for arrow, spline in zip(drawing.arrows, layout.splines, strict=True)
        if spline.label is not None
    ]
    for frame, (rect, _) in zip(drawing.frames(), layout.frames, strict=True):
        boxes = [layout.boxes[box.number] for box in frame.boxes()]
        inside = [right for right, y in texts if rect.y - 6 <= y <= rect.y + rect.height + 6]
        assert rect.x + rect.width <= max([*inside, *(box.x + box.width for box in boxes)]) + 10, frame.title
