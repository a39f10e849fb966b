"""The layers of a block in one line, and its call with names, as figures print them.

Tests `report/contents.py`.
"""

from __future__ import annotations

import pytest

import archdsl
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import View
from archdsl.graph import Graph, Scope
from archdsl.report.contents import contents


def scope_of(graph: Graph, path: str) -> Scope:
    return next(scope for scope in graph.root.walk() if scope.path == path)


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("resnet50", "layer1.0", "[1\u00d71, 64; 3\u00d73, 64; 1\u00d71, 256]"),
        ("resnet50", "layer2.0", "[1\u00d71, 128; 3\u00d73, 128, /2; 1\u00d71, 512]"),
        ("resnet18", "layer1.0", "[3\u00d73, 64; 3\u00d73, 64]"),
        ("resnext50_32x4d", "layer1.1", "[1\u00d71, 128; 3\u00d73, 128, groups 32; 1\u00d71, 256]"),
        ("mobilenet_v2", "features.2", "[1\u00d71, 96; 3\u00d73 dwconv, /2; 1\u00d71, 24]"),
        ("seresnet50", "layer1.0", "[1\u00d71, 64; 3\u00d73, 64; 1\u00d71, 256; excite]"),
        ("unet", "inc", "[3\u00d73, 64; 3\u00d73, 64]"),
        ("googlenet", "inception3a", ""),
        ("densenet121", "features.denseblock1", ""),
        ("shufflenet_v2_x1_0", "stage2.1", ""),
    ],
)
def test_a_chain_with_a_shortcut_is_one_line(name: str, path: str, text: str) -> None:
    graph = archdsl.load(name).graph
    assert contents(graph, scope_of(graph, path)) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{a: 3x3 conv 8, b: 3x3 conv 8}", "[3\u00d73, 8; 3\u00d73, 8]"),
        ("{a: 3x3 conv 8, b: dropout 0.3, c: {op: conv, kernel: 3, out: 8, label: mine}}", "[3\u00d73, 8; mine]"),
        ("{a: 3x3 conv 8}", ""),
        ("{a: 3x3 conv 8, b: 3x3 conv 8 <- input, c: 'add <- a, b'}", ""),
        ("{a: 3x3 conv 8, b: 1x1 conv 8, c: 'concat <- a, b'}", ""),
        ("{a: 3x3 conv 8, b: 1x1 conv 8, c: 'add <- a, b'}", "[3\u00d73, 8; 1\u00d71, 8]"),
        ("{a: [" + ", ".join(["1x1 conv 8"] * 6) + "]}", ""),
    ],
)
def test_what_is_no_chain_has_none(body: str, text: str) -> None:
    graph = archdsl.loads(f"input: 8x8x8\nblocks: {{b: {body}}}\nnet: {{x: b}}\n").graph
    assert contents(graph, scope_of(graph, "x")) == text


@pytest.mark.parametrize(
    ("call", "title", "lines"),
    [
        ("b(8)", "b(w=8)", ()),
        ("b(8, 2)", "b(w=8, k=2)", ()),
        ("b(8, sizes=[1, 2])", "b(w=8, sizes=[1, 2])", ()),
        ("b(8, 2, [1, 2], relu, width=120)", "b", ("w=8, k=2, sizes=[1, 2],", "act=relu, width=120")),
    ],
)
def test_names_stand_before_values(call: str, title: str, lines: tuple[str, ...]) -> None:
    block = '"b(w, k=1, sizes=[1], act=relu6, width=1)": {x: 1x1 conv w}'
    graph = archdsl.loads(f'input: 8x8x8\nblocks: {{{block}}}\nnet: {{a: "{call}"}}\n').graph
    box = next(box for box in compose(graph).boxes() if box.look == "block")
    assert (box.title, box.lines) == (title, lines)


def test_stages_print_the_layers_of_their_blocks() -> None:
    boxes = {box.title: box.lines for box in compose(archdsl.load("resnet50").graph, View("network")).boxes()}
    assert boxes["layer2"] == ("[1\u00d71, 128; 3\u00d73, 128; 1\u00d71, 512] \u00d7\u00a04",)
