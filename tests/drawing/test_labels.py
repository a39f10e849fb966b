"""Labels of a spec in figures: the texts of `report/words.py`, in the boxes and frames of every style."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import Frame, Level, View

NET = """\
name: net
input: 3x32x32
blocks:
  mb(e, k, c):
    residual: {a: 1x1 conv e*in, b: {op: dwconv, kernel: k, norm: bn, label: "dw <{k}> & 50%"}, c: 1x1 conv c}
    label: "MB{e}, {k}x{k}, {c}"
  pair(c): {do: {a: 3x3 conv c, b: 3x3 conv c}, label: "pair {c}, side {c // 8}"}
net:
  stem: {op: conv, kernel: 3, out: 8, norm: bn, act: relu, label: stem_1}
  body:
    a: mb(2, 3, 8)
    b: {call: "mb(2, 5, 8)", label: special}
    c: pair(8)
    d: pair(16)
  sum: {op: add, from: [stem, body.b], label: sum of two}
  e: {do: {x: 2x2 maxpool, y: pair(8)}, label: end}
  f: 2 * pair(8)
  head: {do: [gap, fc 10], label: classifier}
"""
WORDS = {"stem_1", "MB2, 3x3, 8", "special", "pair 8, side 1", "pair 16, side 2", "sum of two", "end", "classifier"}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> archdsl.Network:
    path = tmp_path_factory.mktemp("labels") / "net.yaml"
    path.write_text(NET)
    return archdsl.load(path)


def texts(net: archdsl.Network, level: Level, focus: str = "") -> list[str]:
    members = compose(net.graph, View(level, focus)).walk()
    return [text for m in members for text in (m.title, *(() if isinstance(m, Frame) else (m.tail, *m.lines)))]


def test_boxes_and_frames_have_the_labels(net: archdsl.Network) -> None:
    assert set(texts(net, "block")) >= WORDS
    assert "bn relu" not in texts(net, "block"), "the label replaces the whole text of the node"
    assert set(texts(net, "layer")) >= {*WORDS, "dw <3> & 50%", "dw <5> & 50%", "global avg pool"}
    assert set(texts(net, "network")) >= {"stem_1", "MB2, 3x3, 8", "special", "classifier"}
    assert compose(net.graph, View("layer", "body.a")).title == "net: body.a = MB2, 3x3, 8"


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("a {n}, b", "a 0…1, b"),
        ("a {1 - n}, b", "a 1…0, b"),
        ("a v{n}, b", "a …, b"),
        ("{2 if n else 2}", "2"),
        ("a{n}", "d(…)"),
        ("{n}: {n}", "d(…)"),
    ],
)
def test_copies_with_other_labels(label: str, title: str, tmp_path: Path) -> None:
    """Numbers that differ are a range, other words are left out; the call is for copies without a common word."""
    block = f"blocks:\n  d(n): {{do: {{x: dropout 0.1+n/8, y: 1x1 conv 3}}, label: '{label}'}}\n"
    (tmp_path / "net.yaml").write_text(f"input: 3x4x4\n{block}net: {{a: 2 * d(i)}}\n")
    boxes = compose(archdsl.load(tmp_path / "net.yaml").graph).boxes()
    assert [box.title for box in boxes if box.count == 2] == [title.replace("(…)", "")]


@pytest.mark.parametrize("style", ["graph", "volumes"])
def test_every_style_shows_them_as_text(net: archdsl.Network, style: str) -> None:
    svg = ElementTree.fromstring(net.diagram(style=style, level="layer").svg)
    shown = " ".join("".join(element.itertext()) for element in svg.iter())
    assert all(word in shown for word in (*WORDS, "dw <3> & 50%"))


def test_tables_show_the_call_and_the_label_of_a_composite(net: archdsl.Network) -> None:
    text = net.summary()
    assert "mb(2, 3, 8)" in text and "classifier" in text and "3x3 conv 8 bn relu" in text


def test_equal_nodes_are_one_box_that_says_what_they_receive() -> None:
    """Sizes from the definition: the first of three convolutions has another number of weights."""
    net = archdsl.loads(
        "name: t\ninput: 3x8x8\nnet:\n  - [3x3 conv 4, 3x3 conv 4, 3x3 conv 4]\n  - 3x3 maxpool\n"
        "  - [3x3 conv 4, 3x3 conv 4]\n  - flatten\n  - [fc 8, fc 8, fc 8]\n"
    )
    boxes = [(box.title, box.count, box.lines) for box in compose(net.graph).boxes() if box.cost.params]
    first, second, third = boxes[0], boxes[1], boxes[2]
    assert first == ("3\u00d73 conv, 4", 3, ("receives 3\u20264 channels",))
    assert second == ("3\u00d73 conv, 4", 2, ())
    assert third == ("fc 8", 3, ("receives 16\u20268 channels",))
