"""Drawings of signals and volumes: every style and format, sizes read back from the SVG, arithmetic against torch."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from math import prod, sqrt

import pytest
import torch
import torch.nn.functional as F

import archdsl
from archdsl.drawing.article import painter as article
from archdsl.drawing.chart.chart import ChartPoint, Plot, chart
from archdsl.drawing.diagram import STYLES, diagram, formats
from archdsl.drawing.model.drawing import LEVELS, View
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import Cluster, Polygon
from archdsl.drawing.theme import LIGHT
from archdsl.drawing.volumes import painter, staged_for
from archdsl.drawing.volumes.levels import is_u
from archdsl.drawing.volumes.spots import BAR
from archdsl.graph import Graph
from archdsl.report.words import TIMES
from tests.drawing.test_article import marks, texts
from tests.drawing.test_volumes import edges_of, faces, need_readable, outline, overlap, svg_of

ECG = """
name: ecg
input: 12x5000
defaults: {conv: bn relu}
blocks:
  basic(w, s=1):
    residual: {conv1: 7 conv w /s, conv2: 7 conv w linear}
    then: relu
net:
  stem: 15 conv 32 /2
  pool: 3 maxpool /2 pad=1
  layer1: 2 * basic(32)
  layer2: 2 * basic(64, 2 if first else 1)
  mix: {inception: {long: 39 conv 32, short: 9 conv 32, pool: [3 maxpool /1 pad=1, 1 conv 32]}}
  head: [gap, fc 5]
"""
VIDEO = """
name: video
input: 3x16x112x112
defaults: {conv: bn relu}
blocks:
  basic(w, s=1):
    residual: {conv1: 3x3x3 conv w /s, conv2: 3x3x3 conv w linear}
    then: relu
net:
  stem: 3x7x7 conv 64 /1x2x2
  pool: 1x3x3 maxpool /1x2x2 pad=[0,1,1,0,1,1]
  layer1: 2 * basic(64)
  layer2: 2 * basic(128, 2 if first else 1)
  head: [gap, fc 400]
"""
UNET = """
name: unet_3d
input: 1x96x96x96
defaults: {conv: bn relu}
blocks:
  double(c): {conv1: 3x3x3 conv c//2, conv2: 3x3x3 conv c}
  up(c) <- x, skip:
    up: 2x2x2 deconv c /2 plain
    cat: concat <- skip, up
    conv: double(c)
net:
  down1: double(64)
  pool1: 2x2x2 maxpool
  down2: double(128)
  pool2: 2x2x2 maxpool
  bottom: double(256)
  up2: up(128) <- bottom, down2
  up1: up(64) <- up2, down1
  head: 1x1x1 conv 3 plain
"""
MIXED = """
name: mixed
input: {image: 1x128x128, ecg: 12x2500, age: 4}
defaults: {conv: bn relu}
net:
  a: [3x3 conv 16 /2 <- image, 3x3 conv 32 /2, 2x2 maxpool, gap, flatten]
  b: [15 conv 32 /2 <- ecg, 7 conv 64 /2, 2 maxpool, gap, flatten]
  both: concat <- a, b, age
  fc1: fc 64 relu
  fc2: fc 3
"""
TEXTS = {"ecg": ECG, "video": VIDEO, "unet": UNET, "mixed": MIXED}
CONVOLUTIONS = (torch.zeros, F.conv1d, F.conv2d, F.conv3d)


def graph_of(name: str) -> Graph:
    return archdsl.loads(TEXTS[name]).graph


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("style", [style for style in STYLES if style != "sheets"])  # which draws chains only
def test_every_style_and_format_draws_every_kind(style: str, name: str) -> None:
    graph = graph_of(name)
    for format in formats(style):
        for level in LEVELS if format in ("svg", "dot", "mmd") else ("block",):
            assert diagram(graph, format, View(level), style=style).data
    for color in ("macs", "memory"):
        options = Options(color=color, theme="print")  # type: ignore[arg-type]
        ET.fromstring(diagram(graph, options=options, style=style).data)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", TEXTS)
def test_volumes_are_readable(name: str, level: str) -> None:
    """All edges are there; no words on others; boxes without an edge between them do not overlap."""
    graph, view = graph_of(name), View(level)  # type: ignore[arg-type]
    staged, scene = staged_for(graph, view), painter(Request(graph, view))(LIGHT)
    assert set(staged.edges) == edges_of(graph, staged)
    need_readable(scene)
    boxes = {int(m.facts["stage"]): m for m in scene.members if isinstance(m, Cluster) and m.kind == "stage"}
    boxes = {number: box for number, box in boxes.items() if any(isinstance(i, Polygon) for i in box.members)}
    bars = {s.number for s in staged.root.stages() if prod(s.shape[1:]) == 1}
    linked = set(staged.edges)
    for n, m in combinations(sorted(boxes), 2):
        chain = all(edge in linked for edge in pairwise(range(n, m + 1)))
        assert chain or {n, m} <= bars or not overlap(outline(boxes[n]), outline(boxes[m])), (n, m)


def test_labels_have_every_axis() -> None:
    dot = diagram(graph_of("video"), "dot", View("layer")).data.decode()
    for words in (
        "3\u00d77\u00d77 conv, 64, /1\u00d72\u00d72",
        "1\u00d73\u00d73 max pool, /1\u00d72\u00d72",
        "64 \u00d7 16 \u00d7 56 \u00d7 56",
        "128 \u00d7 8 \u00d7 14 \u00d7 14",
    ):
        assert words in dot, words
    mermaid = diagram(graph_of("ecg"), "mmd", View("layer")).data.decode()
    for words in ("15 conv, 32, /2", "3 max pool, /2", "12 \u00d7 5000", "L 2500"):
        assert words in mermaid, words
    drawn = {text.replace(TIMES, "x") for text in texts(svg_of(graph_of("video")))}
    assert {
        "3x7x7 /1x2x2",
        "16x56x56",
        "16x28x28",
        "8x14x14",
    } <= drawn
    assert {"15 /2", "L 5000", "L 625"} <= set(texts(svg_of(graph_of("ecg"))))
    assert "3\u00d73\u00d73 conv, 64" in texts(ET.fromstring(diagram(graph_of("video"), style="article").data))


@pytest.mark.parametrize("name", TEXTS)
def test_extents_are_the_stated_axes(name: str) -> None:
    """Of a strip: channels, length, nothing; of a box: channels, H, W; of a cube: D, H, W. One scale for each kind."""
    graph = graph_of(name)
    look = {s.number: s.look for s in staged_for(graph, View()).root.stages()}
    ratios: dict[tuple[int, str], list[float]] = {}
    for stage in marks(svg_of(graph), "stage"):
        shape = [int(n) for n in stage.get("data-shape", "").split("x")]
        if not faces(stage) or prod(shape[1:]) == 1:
            continue
        top, _, front = faces(stage)
        extents = {
            "width": front[1][0] - front[0][0],
            "height": front[2][1] - front[0][1],
            "depth": (top[3][0] - top[0][0]) / 0.34,
        }
        thick = look[int(stage.get("data-stage", ""))] in ("conv", "merge", "input", "block")
        if not thick and len(shape) < 4:
            del extents["width"]
        sizes = {2: (shape[0], shape[-1], None), 3: shape, 4: shape[1:]}[len(shape)]
        for (what, extent), size in zip(extents.items(), sizes[3 - len(extents) :], strict=True):
            if size is None:
                assert extent == pytest.approx(BAR, abs=0.05)
            else:
                kind = "side" if what != "width" or len(shape) == 4 else "channels"
                ratios.setdefault((len(shape), kind), []).append(extent / sqrt(size))
    assert ratios
    for what, found in ratios.items():
        assert max(found) - min(found) < 0.03 * max(1, max(found)), what


SIZED = """
input: 1x32x64x64
net:
  stem: 3x3x3 conv 12 /1x2x2
  wider: pad 0 channels=[1,3]
  part: slice 0 4
  pool: 2x2x2 maxpool
  up: upsample 2
  end: 4x4x4 maxpool
outputs: {y: end}
"""


def test_every_cube_has_its_channels_and_a_run_of_cubes_its_size() -> None:
    """A pool, a pad and a slice are cubes like those of convolutions: only the number below shows the channels."""
    network = archdsl.loads(SIZED)
    root = svg_of(network.graph)
    said = texts(root)
    stages = {stage.path: stage.shape for stage in staged_for(network.graph, View()).root.stages()}
    assert [shape[0] for shape in stages.values()] == [1, 12, 16, 4, 4, 4, 4]
    for channels in (1, 12, 16, 4):
        assert said.count(str(channels)) == sum(shape[0] == channels for shape in stages.values())
    for size in ((32, 64, 64), (32, 32, 32), (16, 16, 16), (8, 8, 8)):
        assert said.count(TIMES.join(map(str, size))) == sum(shape[1:] == size for shape in stages.values())


def test_the_scale_is_stated_for_what_is_drawn() -> None:
    said = {name: " ".join(texts(svg_of(graph_of(name)))) for name in TEXTS}
    assert "the height of a strip is the length L" in said["ecg"] and "cube" not in said["ecg"]
    assert "of a cube are the D, H and W of its volume, the number below it the channels" in said["video"]
    assert "Square-root scale, of each kind of tensor its own: the height of a strip" in said["mixed"]
    assert "the height and depth of a box are those of its maps" in said["mixed"]


def test_without_padding_a_decoder_is_beside_its_encoder() -> None:
    """Its maps are smaller than those that it reads; the input's are larger by a border."""
    middle: dict[str, set[int]] = {}
    for stage in marks(svg_of(archdsl.load("unet3d").graph), "stage"):
        _, right, _ = faces(stage)
        middle.setdefault(stage.get("data-name", "").split(".")[0], set()).add(round(sum(y for _, y in right) / 4))
    levels = [middle[name] for name in ("enc1", "enc2", "enc3", "bottom")]
    assert [max(ys) - min(ys) <= 1 for ys in levels] == [True] * 4 and levels == sorted(levels, key=min)
    beside = (("enc1", "input"), ("enc1", "dec1"), ("enc1", "out"), ("enc2", "dec2"), ("enc3", "dec3"))
    assert all(abs(min(middle[a]) - min(middle[b])) <= 1 for a, b in beside)


def test_branches_of_several_inputs_are_parallel_with_their_sizes() -> None:
    """The second input's larger maps are no decoder; each run has the size of its own maps."""
    graph = graph_of("mixed")
    assert is_u(staged_for(graph_of("unet"), View())) and not is_u(staged_for(graph, View()))
    root = svg_of(graph)
    assert not marks(root, "arc") and {"128\u00d7128", "32\u00d732", "L 2500", "L 625"} <= set(texts(root))
    heights = {g.get("data-name"): faces(g)[2][0][1] for g in marks(root, "stage")}
    assert len({round(heights[name]) for name in ("image", "ecg", "age")}) == 3


@pytest.mark.parametrize(
    ("input", "node", "axes"),
    [
        ("1x30", "3 conv 1 weight=[-1,0,2] bias=0", 1),
        ("2x30", "5 conv 1 /2 weight=[1,-2,3,-4,5] bias=1", 1),
        ("1x30", "3 conv 1 dilation=2 weight=[1,2,-4] bias=0", 1),
        ("1x9x9", "3x3 conv 1 dilation=2 weight=[[1,2,3],[4,5,6],[7,8,-9]] bias=0", 2),
        ("1x9x9", "2x3 conv 1 /1x2 valid weight=[[1,2,3],[4,5,-6]] bias=0", 2),
        ("1x8x8x8", "2x3x1 conv 1 /2x1x2 valid weight=[[[1],[2],[3]],[[4],[5],[-6]]] bias=0", 3),
        ("2x8x8x8", "3x1x2 conv 1 pad=[1,0,0,1,0,1] weight=[[[1,2]],[[3,4]],[[5,-6]]] bias=0", 3),
    ],
)
def test_the_convolution_is_the_one_of_torch(input: str, node: str, axes: int) -> None:
    """The cells of the input convolved by torch are the cells of the output, one slice of it for a volume."""
    graph = archdsl.loads(f"input: {input}\nnet:\n  a: {node}").graph
    op = graph.by_path["a"].op
    root = ET.fromstring(diagram(graph, style="article").data)
    pixels, weights, output = (
        torch.tensor([float(text.replace("\u2212", "-")) for text in texts(marks(root, kind)[0])])
        for kind in ("input", "kernel", "output")
    )
    kernel = weights.reshape(1, 1, *op.kernel)  # type: ignore[attr-defined]
    slices = op.kernel[:-2]  # type: ignore[attr-defined]
    rows = _rows(root) if axes > 1 else 1
    image = pixels.reshape(1, 1, *slices, *([rows] if axes > 1 else []), -1)
    stride, dilation = list(op.stride), list(op.dilation)  # type: ignore[attr-defined]
    found = CONVOLUTIONS[axes](image, kernel, stride=stride, dilation=[*[1] * len(slices), *dilation[len(slices) :]])
    channels, bias = graph.nodes[0].shape[0], float(op.bias)  # type: ignore[attr-defined]
    assert found.flatten().tolist() == [(v - bias) / int(channels) for v in output.tolist()]


def _rows(root: ET.Element) -> int:
    """The number of rows of cells in the first slice of the input: of the y of the cells of the first column."""
    cells = [t for t in marks(root, "input")[0].iter() if t.tag.endswith("text")]
    left = min(float(t.get("x", "")) for t in cells)
    first = [float(t.get("y", "")) for t in cells if abs(float(t.get("x", "")) - left) < 1]
    steps = [b - a for a, b in pairwise(first)]
    return next((n + 1 for n, step in enumerate(steps) if step > steps[0] + 1), len(first))


def test_the_figure_says_which_slices_it_shows() -> None:
    graph = archdsl.loads("input: 3x16x56x56\nnet: {a: 3x3x3 conv 8 /2x1x1 dilation=2}").graph
    said = texts(ET.fromstring(diagram(graph, style="article").data))
    assert {"D 1", "D 3", "D 5", "output, D 2", "3x3x3 filter".replace("x", TIMES)} <= set(said)
    assert "stride 2x1x1, dilation 2, padding 2".replace("x", TIMES) in said
    assert said.count("+") == 2
    assert "3 x 3 x 3 x 3 x 8 weights + 8 biases = 656 parameters.".replace("x", TIMES) in " ".join(said)
    graph = archdsl.loads("input: 1x40\nnet:\n  a: 3 conv 1 weight=[-1,0,1] bias=0").graph
    said = texts(ET.fromstring(diagram(graph, style="article").data))
    assert "3-tap filter" in said and "the samples are an example, a bright end" in " ".join(said)


@pytest.mark.parametrize(
    "node",
    [
        *("7x7x7 conv 8", "1x3x3 conv 8", "3x3x3 conv 8", "3x7x7 conv 8 /1x2x2"),
        "3x3x3 conv 4 /3x2x2 dilation=[1,2,2] pad=[1,2,2,1,2,1]",
    ],
)
def test_words_of_the_figure_do_not_overlap(node: str) -> None:
    graph = archdsl.loads(f"input: 3x16x56x56\nnet:\n  a: {node}").graph
    need_readable(article(Request(graph))(LIGHT))


@pytest.mark.parametrize("word", ["volume", "input"])
def test_the_chart_says_what_its_costs_are_of(word: str) -> None:
    points = [ChartPoint(f"net{n}", "f", 10**9 * (n + 1), 50.0, 10**6) for n in range(2)]
    said = texts(ET.fromstring(chart(points, plot=Plot(sample=word))))
    assert any(f"multiply-accumulates of one {word})" in text for text in said)
