"""The figures of articles: what they show is read back from the SVG.

Tests `drawing/article/__init__.py`, `drawing/article/blocks.py`, `drawing/article/convolution.py`,
`drawing/article/dense.py`, `drawing/article/figure.py`, `drawing/article/perceptron.py`
and `drawing/article/windows.py`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.drawing.article import attempts, painter
from archdsl.drawing.diagram import diagram
from archdsl.drawing.model.drawing import View
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import Cluster
from archdsl.drawing.scene.printing import printed
from archdsl.drawing.scene.readable import best
from archdsl.drawing.scene.steps import steps
from archdsl.drawing.theme import LIGHT, THEMES
from archdsl.ops import Affine
from archdsl.report.words import figure as label

SVG = "{http://www.w3.org/2000/svg}"


def figure(name: str, focus: str = "", theme: str = "light") -> ET.Element:
    options = Options(theme=theme)  # type: ignore[arg-type]
    return ET.fromstring(diagram(archdsl.load(name).graph, "svg", View(focus=focus), options, "article").data)


def marks(root: ET.Element, kind: str) -> list[ET.Element]:
    return [g for g in root.iter(f"{SVG}g") if g.get("class") == kind]


def width_of(root: ET.Element) -> float:
    return float(root.get("width", "").removesuffix("pt"))


def texts(element: ET.Element) -> list[str]:
    return [t.text or "" for t in element.iter(f"{SVG}text")]


def test_the_perceptron_has_its_neurons_and_links() -> None:
    root = figure("perceptron")
    assert [len(list(g.iter(f"{SVG}circle"))) for g in marks(root, "layer")] == [4, 5, 2]
    assert [len(list(g.iter(f"{SVG}path"))) for g in marks(root, "links")] == [4 * 5, 5 * 2]
    assert "37 parameters" in " ".join(texts(root))
    assert texts(marks(root, "pixels")[0]) == ["x1", "x2", "x3", "x4"], "in rows, as they are flattened"
    assert not marks(figure("lenet5", "fc2"), "pixels"), "its neurons read feature maps"
    assert {"x1", "x4", "One neuron of hidden: sigmoid(w1 x1 + w2 x2 + w3 x3 + w4 x4 + b)."} <= set(texts(root))


def test_wide_layers_are_shown_in_part_with_their_count() -> None:
    root = figure("lenet5", "fc2")
    assert [g.get("data-neurons") for g in marks(root, "layer")] == ["400", "120", "84", "10"]
    assert [g.get("data-shown") for g in marks(root, "layer")] == ["6", "6", "6", "6"]
    assert {"flattened: 400", "120 tanh", "400\u00d7120 + 120", "x1", "x400"} <= set(texts(root))
    assert "neurons of the fully connected layers: fc1 to fc3" in texts(root), "the whole chain is drawn"
    assert len(marks(figure("vgg16", "classifier"), "layer")) == 4


@pytest.mark.parametrize(("name", "stride"), [("edge_filter", 1), ("edge_filter_stride3", 3)])
def test_the_convolution_is_worked_out(name: str, stride: int) -> None:
    """The numbers in the output's cells are those of the filter over the input's cells, worked out here anew."""
    root = figure(name)
    pixels, weights, output = (
        [float(text.replace("\u2212", "-")) for text in texts(marks(root, kind)[0])]
        for kind in ("input", "kernel", "output")
    )
    wide = 3 + 3 * stride
    assert len(pixels) == wide * wide and len(output) == 16 and weights == [-1, -1, -1, -1, 8, -1, -1, -1, -1]
    for place, value in enumerate(output):
        top, left = place // 4 * stride, place % 4 * stride
        total = sum(weights[3 * r + c] * pixels[(top + r) * wide + left + c] for r in range(3) for c in range(3))
        assert value == 3 * total, "of three equal channels"
    assert "5 \u00d7 (\u22121 \u00b7 1) + 1 \u00d7 (8 \u00b7 9) + 3 \u00d7 (\u22121 \u00b7 9) = 40" in " ".join(
        texts(root)
    )


def test_a_trained_convolution_shows_its_parameters() -> None:
    said = " ".join(texts(figure("vgg16")))
    assert "3 \u00d7 3 \u00d7 3 \u00d7 64 weights + 64 biases = 1,792 parameters" in said


def test_a_convolution_names_the_channels_that_each_filter_reads() -> None:
    """Table I of LeCun et al. 1998 has 60 crosses: 6 maps read 3, 9 read 4, 1 reads 6."""
    table = figure("lenet5_1998", "C3")
    assert texts(marks(table, "table")[0]).count("\u00d7") == 60
    assert "Of 16 filters, 6 read 3, 9 read 4, 1 reads 6 of the 6 maps" in " ".join(texts(table))
    assert "5 \u00d7 5 \u00d7 60 weights + 16 biases = 1,516 parameters" in " ".join(texts(table))
    grouped, depthwise = figure("resnext50_32x4d", "layer1.0.conv2"), figure("mobilenet_v2", "features.2.conv.1.0")
    assert "Each filter reads 4 of the 128 channels: 32 groups." in texts(grouped)
    assert "Each filter reads 1 of the 96 channels: depthwise." in texts(depthwise)
    assert "stride 1, dilation 12, padding 12" in texts(figure("deeplabv3_resnet50", "classifier.0.convs.1"))


def test_an_inception_block_has_its_branches_side_by_side() -> None:
    root = figure("googlenet")
    edges = {(g.get("data-source"), g.get("data-target")) for g in marks(root, "edge")}
    assert not marks(root, "arc") and len(marks(root, "stage")) == 9
    assert sum(source == "0" for source, _ in edges) == 4 == sum(target == "8" for _, target in edges)
    assert {"192 \u00d7 28 \u00d7 28", "256 \u00d7 28 \u00d7 28", "concat"} <= set(texts(root))


def test_an_inception_block_has_a_window_and_a_slice_for_each_branch() -> None:
    """Szegedy et al. 2014, table 1: inception (3a) has filters of 1x1, 3x3, 5x5, a 3x3 pool; 64 + 128 + 32 + 32."""
    root = figure("googlenet_2014", "inception3a")
    assert marks(root, "windows")[0].get("data-sizes") == "1 3 5 3"
    concat = marks(root, "stage")[-1]
    widths = [
        max(xs) - min(xs)
        for xs in ([float(p.split(",")[0]) for p in g.get("points", "").split()] for g in concat.iter(f"{SVG}polygon"))
    ] or [float(g.get("width", "0")) for g in concat.iter(f"{SVG}rect")]
    assert [round(256 * width / sum(widths)) for width in widths] == [64, 128, 32, 32]
    assert [text for text in texts(concat) if text.isdigit()] == ["64", "128", "32", "32"]
    assert marks(figure("inception_v3", "Mixed_6b"), "windows")[0].get("data-sizes") == "1 7 13 3"
    assert not marks(figure("inception_v3", "Mixed_7b"), "windows"), "its branches have branches"


def test_a_window_is_built_up_with_its_branch() -> None:
    """Slides: googlenet's branches begin with 64, 96, 16 filters of 1x1 and with a pool."""
    scenes = steps(painter(Request(archdsl.load("googlenet").graph))(LIGHT))
    names = [[m.id for m in scene.members if isinstance(m, Cluster)] for scene in scenes]
    assert not any(name.startswith("window-") for name in names[0]), "the input is alone"
    for new, whole in pairwise(names):
        windows = {name.replace("window-", "stage-") for name in whole if name not in new and "window-" in name}
        assert windows <= set(whole) - set(new)
    assert sum(name.startswith("window-") for name in names[-1]) == 4


def test_a_residual_inception_block_is_the_default_and_shows_its_factor() -> None:
    """Szegedy et al. 2016, 3.3: the residual is scaled down before it is added; block35 of the released: 0.17."""
    root = figure("inception_resnet_v2")
    assert {"\u00d7 0.17", "F(x)", "0.17 F(x) + x"} <= set(texts(root)) and len(marks(root, "arc")) == 1
    assert not {"F(x) + x"} & set(texts(root))
    assert [label(Affine(mul=0.5)), label(Affine(mul=0.5, add=1.0))] == ["\u00d7 0.5", "affine"]


def test_a_residual_block_has_its_identity_or_its_projection() -> None:
    identity, projection = figure("resnet50", "layer1.1"), figure("resnet50")
    assert [(g.get("data-source"), g.get("data-target")) for g in marks(identity, "arc")] == [("0", "4")]
    assert {"identity", "F(x)", "F(x) + x"} <= set(texts(identity))
    assert not marks(projection, "arc") and "F(x) + Wx" in texts(projection)


def test_in_a_dense_block_every_layer_reads_all_before() -> None:
    root = figure("densenet121")
    arcs = {(int(g.get("data-source", "")), int(g.get("data-target", ""))) for g in marks(root, "arc")}
    assert arcs == {(a, b) for b in range(2, 7) for a in range(b - 1)}
    assert [g.get("data-channels") for g in marks(root, "value")] == ["64", *["32"] * 6]
    assert [g.get("data-reads") for g in marks(root, "layer")] == ["64", "96", "128", "160", "192", "224"]
    assert "64 + 6 \u00d7 32 = 256 channels, 256 \u00d7 56 \u00d7 56" in " ".join(texts(root))


def test_layers_of_a_dense_block_that_differ_are_not_described_by_the_first() -> None:
    net = archdsl.loads("input: 8x32x32\nname: n\nnet: {grow: dense 3 * 3x3 conv (4 * (i + 1))}")
    said = " ".join(texts(ET.fromstring(str(net.diagram(style="article")))))
    assert "adds channels of its own, as many as below each." in said
    assert "H1: 3\u00d73 conv, 4" in said and "32 channels" in said


def test_a_dense_block_runs_down_in_a_column_and_beside_other_blocks() -> None:
    net = archdsl.load("densenet121")
    wide, column = (ET.fromstring(str(net.diagram(style="article", width_mm=width))) for width in (None, 85))
    for kind in ("arc", "value", "layer"):
        facts = [
            [(g.get("data-source"), g.get("data-channels"), g.get("data-reads")) for g in marks(r, kind)]
            for r in (wide, column)
        ]
        assert facts[0] == facts[1], "the same layers and arcs"
    tops = [float(text.get("y", "")) for g in marks(column, "value") for text in list(g.iter(f"{SVG}text"))[:1]]
    assert tops == sorted(tops) and tops[-1] - tops[0] > 200
    size = [float(column.get(name, "").removesuffix("pt")) for name in ("width", "height")]
    assert size[1] > size[0]
    both = str(archdsl.figure(["resnet20", "densenet121"]).diagram(style="article"))
    assert width_of(ET.fromstring(both)) < width_of(wide)


@pytest.mark.parametrize("name", ["perceptron", "edge_filter", "googlenet_2014", "resnet20", "densenet121"])
def test_a_figure_is_readable_in_a_column_and_not_enlarged(name: str) -> None:
    options = Options(width_mm=85)
    painter, smallest = best(attempts, Request(archdsl.load(name).graph, options=options))
    assert 6 <= smallest <= 7.01, "points"
    assert printed(painter(LIGHT), options).width == pytest.approx(85 / 25.4 * 72)


def test_dots_stand_for_more_than_one_layer_and_the_last_reads_the_value_before_them() -> None:
    root = figure("densenet121", "features.denseblock2")
    arcs = {(int(g.get("data-source", "")), int(g.get("data-target", ""))) for g in marks(root, "arc")}
    assert arcs == {(a, b) for b in range(2, 6) for a in range(b - 1)} | {(4, 5)}
    assert [g.get("data-reads") for g in marks(root, "layer")][-1] == str(128 + 11 * 32)


@pytest.mark.parametrize(
    ("name", "focus", "kind", "boxes"),
    [
        ("mobilenet_v2", "features.2", "a block: features.2 = ", 4),
        ("dpn68", "features.conv2_1", "a block: features.conv2_1 = ", 15),
        ("nasnetalarge", "cell_0", "a block: cell_0 = ", 5),
        ("polynet", "stage_a.0", "a block: stage_a.0 = ", 20),
        ("unet", "up1", "a block: up1 = ", 6),
        ("resnet50", "layer3", "a part: layer3", 7),
        ("googlenet", "inception3a", "an inception block: inception3a = ", 9),
    ],
)
def test_a_focus_is_drawn_as_a_whole(name: str, focus: str, kind: str, boxes: int) -> None:
    root = figure(name, focus)
    assert any(text.startswith(kind) for text in texts(root)), texts(root)
    assert len(marks(root, "stage")) == boxes


def test_what_a_figure_cannot_show_is_refused_with_its_blocks() -> None:
    for name, focus, cause in (
        ("hrnet_w18", "stage3.2", "`stage3.2` of `hrnet_w18` has 3 outputs"),
        ("resnet152", "layer3", "`layer3` of `resnet152` is too large"),
    ):
        with pytest.raises(ArchError, match=cause) as caught:
            figure(name, focus)
        assert f"blocks in this part: {focus}." in (caught.value.diagnostics[0].help or "")


@pytest.mark.parametrize("theme", THEMES)
def test_every_figure_in_every_theme(theme: str) -> None:
    for name in ("perceptron", "edge_filter", "googlenet", "resnet20", "densenet_bc100_k12"):
        assert THEMES[theme].background.encode() in ET.tostring(figure(name, theme=theme))


def test_where_there_is_no_figure() -> None:
    with pytest.raises(ArchError, match="`avgpool` of `vgg16` has no figure in the style `article`") as caught:
        figure("vgg16", "avgpool")
    assert caught.value.diagnostics[0].code == "E0717" and caught.value.status == 2
