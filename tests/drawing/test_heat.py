"""The numbers that `--color` prints in boxes: those of all copies that a box stands for."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.analysis.count import count
from archdsl.drawing.diagram import diagram
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import LEVELS, Level, View
from archdsl.drawing.request import Options

NESTED = """\
name: t
input: 3x32x32
defaults: {conv: bn relu}
blocks:
  a(w): {c: 3x3 conv w, d: 3x3 conv w}
  b(w): {c: 5x5 conv w, e: 3x3 maxpool /1 pad=1}
  two(w): {c: 1x1 conv w, d: 3x3 conv w}
  r(w): {residual: {x: 3x3 conv w, y: 3x3 conv w linear}, then: relu}
net:
  s: 7x7 conv 16 /2
  rounds: {repeat: 3, do: [a(16), b(16)]}
  more: [a(16), b(16), a(16), b(16), a(16)]
  dn: dense 4 * 3x3 conv 8
  d2: dense 3 * two(8)
  rr: 3 * r(8)
  out: [gap, fc 5]
"""


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["", "densenet121", "resnet50", "mobilenet_v2"])
def test_the_costs_of_all_boxes_add_up_to_those_of_the_network(name: str, level: Level) -> None:
    net = archdsl.load(name) if name else archdsl.loads(NESTED)
    boxes = list(compose(net.graph, View(level)).boxes())
    totals = count(net.graph)
    assert sum(box.cost.params for box in boxes) == totals.params
    assert sum(box.cost.macs for box in boxes) == totals.macs


def test_a_number_of_several_copies_says_so() -> None:
    net = archdsl.loads("name: t\ninput: 3x8x8\nblocks:\n  b(w): {c: 3x3 conv w, p: 3x3 maxpool /1 pad=1}\n"
                        "net: {a: 3x3 conv 4, r: 2 * b(4)}\n")  # fmt: skip
    text = diagram(net.graph, "svg", View("layer"), Options(color="params")).data.decode()
    assert ">112 params<" in text and ">296 params in all<" in text
