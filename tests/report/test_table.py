"""The table of `archdsl params`: its rows, that its columns sum to the totals, and how it fits a terminal or a pipe.

Tests `analysis/summary.py`.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

import archdsl
from archdsl.analysis.count import convention
from archdsl.analysis.summary import summarize
from archdsl.graph import Graph
from archdsl.ops import GRAPH_OPS, Conv, DwConv, Fc, Flatten, Gap, Relu
from archdsl.report.table import Style, in_bytes, in_short, params_table, style_of
from archdsl.report.words import figure, written
from tests.support.handmade import Hand

PLAIN = Style()
LIBRARY = ("lenet5", "alexnet", "vgg16", "googlenet", "resnet50", "densenet121")
BLOCKS = """
defaults: {conv: bn relu, naming: sibling}
blocks:
  pair(w, s=1):
    residual:
      conv1: 3x3 conv w /s
      conv2: 3x3 conv w linear
    then: relu
  layer: {norm: bn relu, conv: 3x3 conv 4 plain}
net:
  conv1: 3x3 conv 8 /2
  stage: 3 * pair(8)
  dense1: dense 2 * layer as layer{1}
  pool: gap
  drop: dropout 0.1
  fc: fc 10
"""


def render(graph: Graph, depth: int = 1, batch: int = 1, style: Style = PLAIN) -> str:
    return params_table(summarize(graph, depth, batch=batch), style)


def body(text: str) -> tuple[list[str], str]:
    """The rows of a printed table, and its line of totals."""
    lines = text.splitlines()
    first, second = (n for n, line in enumerate(lines) if line.startswith("─"))
    return lines[first + 1 : second], lines[second + 1]


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize("depth", [0, 1, 2, 9])
def test_columns_sum_to_the_totals(name: str, depth: int) -> None:
    graph = archdsl.load(name).graph
    rows, total = body(render(graph, depth=depth))
    at = {
        title: total.index(cell) + len(cell)
        for title, cell in zip(("params", "MACs"), re.findall(r"[\d,]{2,}", total), strict=False)
    }
    for title, end in at.items():
        summed = sum(int(re.split(r"\s{2,}", row[:end])[-1].replace(",", "").replace("-", "0")) for row in rows)
        assert f"{summed:,}" in total, title


@pytest.mark.parametrize("name", LIBRARY)
def test_rows_sum_to_the_totals(name: str) -> None:
    graph = archdsl.load(name).graph
    for options in ({"depth": 0}, {}, {"depth": 2}, {"depth": 9}, {"every_node": True}):
        summary = summarize(graph, **options)  # type: ignore[arg-type]
        assert sum(row.params for row in summary.rows) == summary.totals.params
        assert sum(row.macs for row in summary.rows) == summary.totals.macs
        assert sum(row.params for row in summary.aux_rows) == summary.totals.aux_params


def test_rows_of_blocks_and_runs(net: Callable[..., archdsl.Network]) -> None:
    graph = net(BLOCKS).graph
    rows, _ = body(render(graph))
    shown = [re.split(r"\s{2,}", row)[:4] for row in rows]
    assert shown == [
        ["input", "input", "3 x 32 x 32", "-"],
        ["conv1", "3x3 conv 8 /2 bn relu", "8 x 16 x 16", "232"],
        ["stage.0 .. stage.2", "x3", "pair(8)", "8 x 16 x 16"],
        ["dense1", "dense 2 * layer", "16 x 16 x 16", "768"],
        ["pool", "gap", "16 x 1 x 1", "-"],
        ["drop", "dropout 0.1", "16 x 1 x 1", "-"],
        ["fc", "fc 10", "10", "170"],
    ]


def test_depth_opens_blocks(net: Callable[..., archdsl.Network]) -> None:
    graph = net(BLOCKS).graph
    top = [row.part.path for row in summarize(graph, depth=0).rows]
    assert top == ["input", "conv1", "stage", "dense1", "pool", "drop", "fc"]
    opened = [(row.part.path, len(row.part.copies)) for row in summarize(graph, depth=2).rows]
    assert opened[2:6] == [("stage.0.conv1", 1), ("stage.0.conv2", 1), ("stage.0/add", 1), ("stage.0/relu", 1)]
    assert ("dense1.layer1", 2) in opened
    every = [row.part.path for row in summarize(graph, every_node=True).rows]
    assert every == [node.path for node in graph.nodes]


def test_every_node_is_in_exactly_one_row(net: Callable[..., archdsl.Network]) -> None:
    graph = net(BLOCKS).graph
    for depth in range(5):
        ids = [i for row in summarize(graph, depth).rows for i in row.part.ids]
        assert ids == list(range(len(graph.nodes)))


def test_heads_for_training_stand_below_the_totals(net: Callable[..., archdsl.Network]) -> None:
    graph = net("net: {a: 3x3 conv 4, b: gap, c: fc 2}\naux: {side: {from: a, do: [gap, fc 3], weight: 0.3}}").graph
    text = render(graph)
    _, total = body(text)
    below = text[text.index(total) :]
    assert "\ntraining only:\nside.0 " in below
    assert "aux heads  15 more params, training only" in below
    assert total.split()[1] == f"{3 * 4 * 9 + 4 + 4 * 2 + 2}"


def test_the_foot_states_sizes_and_convention() -> None:
    text = render(archdsl.load("vgg16").graph)
    assert "\nsizes      H >= 32, W >= 32\n" in text
    assert "peak 25.69 MB at features.1" in text
    assert "15.47 GMACs = 30.94 GFLOPs; 16 weighted layers deep" in text
    assert "counted    one sample at inference, fp32; MACs of conv" in text
    assert "a batch of 8" in render(archdsl.load("vgg16").graph, batch=8)


def small() -> Graph:
    net = Hand((3, 8, 8))
    net.put("first.of.all.the.nodes.with.a.very.long.path.indeed", Conv(out=4, kernel=(3, 3)))
    net.put("pool", Gap())
    net.add(Flatten())
    net.put("fc", Fc(out=2))
    return net.graph()


@pytest.mark.parametrize("width", [60, 72, 80, 100, 140])
def test_a_terminal_is_never_too_narrow(width: int) -> None:
    for graph in (small(), archdsl.load("densenet121").graph):
        lines = params_table(summarize(graph, 2), Style(width)).splitlines()
        assert max(map(len, lines)) <= width


def test_nothing_is_cut_in_a_pipe() -> None:
    assert "first.of.all.the.nodes.with.a.very.long.path.indeed" in render(small())
    assert "…" in render(small(), style=Style(70))
    assert max(map(ord, render(small(), style=Style(70, unicode=False)))) < 128


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "91")
    assert style_of(Terminal()) == Style(91, True, True)
    assert style_of(io.StringIO()) == Style(None, False, False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert style_of(Terminal()).color is False
    coloured = render(small(), style=Style(100, True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == render(small(), style=Style(100))


def test_a_table_needs_neither_rich_nor_graphviz() -> None:
    code = (
        "import archdsl, sys; archdsl.load('vgg16').summary(); "
        "print(*sorted({'rich', 'graphviz', 'numpy', 'torch', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 "),
        (999, "999 "),
        (1000, "1.000 k"),
        (999_949, "999.9 k"),
        (999_950, "1.000 M"),
        (4_089_184_256, "4.089 G"),
        (25_557_032, "25.56 M"),
    ],
)
def test_short_numbers(value: int, shown: str) -> None:
    assert in_short(value) == shown


def test_bytes() -> None:
    assert (in_bytes(0), in_bytes(553_430_176)) == ("0 B", "553.4 MB")


def test_ops_in_words() -> None:
    assert written(Conv(out=64, kernel=(7, 7), stride=(2, 2))) == "7x7 conv 64 /2"
    assert written(Conv(out=64, kernel=(1, 7), stride=(2, 1), bias=False)) == "1x7 conv 64 /2x1 nobias"
    assert written(Conv(out=64, kernel=(1, 1), bias=False), normed=True) == "1x1 conv 64"
    assert (
        written(Conv(out=1, kernel=(2, 2), weight=((1.0, -1.0), (1.0, -1.0)), bias=0.0))
        == "2x2 conv 1 bias=0 weight=[[1,-1],[1,-1]]"
    )
    assert written(Conv(out=64, kernel=(15,), stride=(2,), dilation=(3,))) == "15 conv 64 /2 dilation=3"
    assert written(Conv(out=64, kernel=(3, 3, 3), stride=(1, 2, 2))) == "3x3x3 conv 64 /1x2x2"
    assert figure(Conv(out=64, kernel=(1, 3, 3), stride=(2, 2, 2))) == "1\u00d73\u00d73 conv, 64, /2"
    assert figure(Conv(out=64, kernel=(7, 7), stride=(2, 2))) == "7\u00d77 conv, 64, /2"
    assert written(Relu()) == figure(Relu()) == "relu"


def test_a_depthwise_convolution_is_called_one() -> None:
    net = Hand((8, 4, 4))
    net.add(DwConv(kernel=(3, 3), stride=(2, 2)))
    node = net.graph().nodes[1]
    assert written(node.op, node.in_shapes) == "3x3 dwconv /2"
    assert figure(node.op, node.in_shapes) == "3\u00d73 dwconv, /2"


def test_every_kind_has_words() -> None:
    for kind in GRAPH_OPS:
        op = kind.model_construct()
        if not any(field.is_required() for field in kind.model_fields.values()):
            assert written(op).split()[0] == kind.name
            assert figure(op)


GROWING = "input: 3x8x8\nblocks:\n  f: {c: 3x3 conv in*2, r: relu}\nnet: {body: {do: f, repeat: 3}, out: gap}"


def test_copies_of_other_sizes_are_rows_of_their_own() -> None:
    """Only the layers of a dense block, which grow by the same each, are one row all the same."""
    rows = summarize(archdsl.loads(GROWING).graph).rows
    assert [(row.part.path, len(row.part.copies)) for row in rows] == [
        ("input", 1),
        ("body.0", 1),
        ("body.1", 1),
        ("body.2", 1),
        ("out", 1),
    ]
    dense = GROWING.replace("in*2", "4").replace("{do: f, repeat: 3}", "dense 3 * f")
    assert [len(row.part.copies) for row in summarize(archdsl.loads(dense).graph, depth=2).rows] == [1, 3, 1]


def test_one_sample_is_the_convention() -> None:
    assert "one sample at inference" in convention() and "a batch of 2 at inference" in convention(2)


def test_a_level_of_blocks_is_the_default() -> None:
    graph = archdsl.load("resnet18").graph
    assert summarize(graph).rows == summarize(graph, depth=1).rows != summarize(graph, depth=2).rows


def test_the_foot_names_nodes_that_nothing_runs() -> None:
    lost = ", ".join(f"n{n}: 3x3 conv 4" for n in range(7))
    text = params_table(summarize(archdsl.loads(f"input: 4x8x8\nnet: {{a: relu, {lost}, b: gap <- a}}").graph))
    assert "not run    n0, n1, n2, n3, n4, 2 more: no output depends on them" in text
    assert f"their {7 * (4 * 4 * 9 + 4):,} params are counted" in text
    assert "not run" not in params_table(summarize(archdsl.load("vgg16").graph))


def test_sizes_for_training_stand_apart() -> None:
    sizes = "sizes      H >= 75, W >= 75; to train with `AuxLogits`: H >= 299, W >= 299\n"
    assert sizes in params_table(summarize(archdsl.load("inception_v3").graph))
    small = params_table(summarize(archdsl.load("inception_v3", input="3x224x224").graph))
    assert "sizes      H >= 75, W >= 75\n" in small
