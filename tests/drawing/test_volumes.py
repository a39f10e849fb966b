"""Volumes: what is drawn is read back from the SVG and held against the graph.

Tests `drawing/volumes/layout.py`, `drawing/volumes/levels.py`, `drawing/volumes/paint.py`,
`drawing/volumes/routes.py`, `drawing/volumes/scene.py` and `drawing/volumes/words.py`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from itertools import combinations
from math import prod, sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.drawing.article import painter as article
from archdsl.drawing.diagram import STYLES, diagram
from archdsl.drawing.graph import engine
from archdsl.drawing.metrics import text_width
from archdsl.drawing.model.drawing import LEVELS, View
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import Cluster, Polygon, Scene, Text
from archdsl.drawing.scene.letters import quote
from archdsl.drawing.scene.write import svg
from archdsl.drawing.theme import LIGHT, THEMES
from archdsl.drawing.volumes import painter, staged_for
from archdsl.drawing.volumes.series import tangled
from archdsl.drawing.volumes.spots import is_vector
from archdsl.drawing.volumes.stages import Stage, Staged
from archdsl.graph import Graph
from archdsl.ops import Conv, Deconv, Fc
from archdsl.spec.find import library_files, names_of
from tests.support import random_specs

TELLING = frozenset(
    "lenet5 vgg16 resnet20 resnet50 googlenet densenet121 unet inception_v3 mobilenet_v2 nasnetalarge dpn68"
    " efficientnet_b0 perceptron".split()
)
NETWORKS = [
    pytest.param(name, marks=[] if name in TELLING else [pytest.mark.slow])
    for name in (names_of(path)[0] for path in library_files())
]
SVG = "{http://www.w3.org/2000/svg}"
BIDI = "\u202e"
HOSTILE = f'</text><script>alert(1)</script> \\input{{/etc/passwd}} % $x$ #1 & _a ^^41 ~ "q" {BIDI} \x07'


@lru_cache(maxsize=1)
def graph_of(name: str) -> Graph:
    return archdsl.load(name).graph


@lru_cache(maxsize=1)
def scene_of(name: str) -> tuple[Graph, Staged, Scene]:
    graph = graph_of(name)
    return graph, staged_for(graph, View()), painter(Request(graph))(LIGHT)


def svg_of(graph: Graph, view: View = View(), options: Options = Options(theme="light")) -> ET.Element:
    """The drawing in its natural size, whatever its size on a page."""
    return ET.fromstring(svg(painter(Request(graph, view, options)), options).data)


def marks(root: ET.Element, kind: str) -> list[ET.Element]:
    return [g for g in root.iter(f"{SVG}g") if g.get("class") == kind]


def ways(root: ET.Element, kind: str) -> set[tuple[int, int]]:
    return {(int(g.get("data-source", "")), int(g.get("data-target", ""))) for g in marks(root, kind)}


def points(polygon: ET.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (p.split(",") for p in polygon.get("points", "").split())]


def faces(stage: ET.Element) -> list[list[tuple[float, float]]]:
    """Top, right and front face of the body; none for a circle."""
    return [points(p) for p in stage.iter(f"{SVG}polygon")][:3]


def edges_of(graph: Graph, staged: Staged) -> set[tuple[int, int]]:
    pairs = {(staged.stage_of[i], staged.stage_of[n.id]) for n in graph.nodes for i in n.sources if not n.training}
    return {(a, b) for a, b in pairs if 0 <= a < b}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_stage_is_drawn_once_or_in_its_run(name: str) -> None:
    graph, staged, _ = scene_of(name)
    assert all(staged.stage_of[n.id] >= 0 for n in graph.nodes if not n.training)
    root = svg_of(graph)
    drawn = [int(g.get("data-stage", "")) for g in marks(root, "stage")]
    assert sorted(drawn) == sorted(set(staged.stage_of) - {-1})
    groups = [(g.get("data-path", ""), int(g.get("data-copies", ""))) for g in marks(root, "group")]
    stages = {s.number: s for s in staged.root.stages()}
    weighted = 0
    for number in drawn:
        stage = stages[number]
        around = [n for path, n in groups if re.match(rf"{re.escape(path)}([./]|$)", stage.path)]
        times = prod(around) * stage.copies
        if stage.look == "block":
            ids = [n for n, of in enumerate(staged.stage_of) if of == number]
            weighted += sum(isinstance(graph.nodes[n].op, Conv | Deconv | Fc) for n in ids)
        else:
            first = graph.nodes[staged.stage_of.index(number)]
            kinds = [
                n.op for n in graph.nodes if staged.stage_of[n.id] == number and isinstance(n.op, Conv | Deconv | Fc)
            ]
            assert len(kinds) in (0, times), (first, times)
            weighted += times * bool(kinds)
    assert weighted == sum(isinstance(n.op, Conv | Deconv | Fc) for n in graph.nodes if not n.training)


@pytest.mark.parametrize("name", NETWORKS)
def test_boxes_are_as_large_as_their_shapes(name: str) -> None:
    """Height, depth and thickness are the square roots of height, width and channels, in one scale for the picture."""
    graph, staged, _ = scene_of(name)
    look = {s.number: s.look for s in staged.root.stages()}
    ratios: dict[str, list[float]] = defaultdict(list)
    for stage in marks(svg_of(graph), "stage"):
        shape = [int(n) for n in stage.get("data-shape", "").split("x")]
        if not faces(stage):
            continue
        top, _, front = faces(stage)
        depth = top[3][0] - top[0][0]
        if is_vector(shape):
            ratios["length"].append(depth / sqrt(shape[0]))
            continue
        ratios["height"].append((front[2][1] - front[0][1]) / sqrt(shape[1]))
        ratios["depth"].append(depth / sqrt(shape[2]))
        if look[int(stage.get("data-stage", ""))] in ("conv", "merge", "input", "block"):
            ratios["channels"].append((front[1][0] - front[0][0]) / sqrt(shape[0]))
    for what, found in ratios.items():
        assert max(found) - min(found) < 0.02 * max(1, max(found)), f"{what}: rounded to a hundredth of a point"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_edges_are_the_graphs_and_what_skips_is_an_arc(name: str) -> None:
    graph, staged, _ = scene_of(name)
    root = svg_of(graph)
    edges, direct, arcs = edges_of(graph, staged), ways(root, "edge"), ways(root, "arc")
    assert set(staged.edges) == edges
    assert not direct & arcs and direct | arcs <= edges
    place = {int(g.get("data-stage", "")): faces(g) for g in marks(root, "stage")}
    for source, target in edges - direct - arcs:
        (_, _, a), (_, _, b) = place[source], place[target]
        middle = [(face[0][1] + face[2][1]) / 2 for face in (a, b)]
        assert abs(middle[0] - middle[1]) < 20 and a[0][0] < b[0][0] + 0.1, "neighbours that touch need no arrow"
    if tangled(staged) == 0:
        assert arcs == skipping(edges)


def skipping(edges: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The edges between whose ends there is another way."""
    after: dict[int, set[int]] = defaultdict(set)
    for source, target in sorted(edges, reverse=True):
        after[source] |= {target} | after[target]
    found = set()
    for source, target in edges:
        if any(target in after[other] for s, other in edges if s == source and other != target):
            found.add((source, target))
    return found


def test_shortcuts_of_networks_that_everybody_knows() -> None:
    for name, expected in (
        ("resnet50", [(f"layer{n}.0/add", f"layer{n}.1/add") for n in (1, 2, 3, 4)]),
        (
            "unet",
            [
                ("inc.double_conv.3", "up4.cat"),
                *((f"down{n}.maxpool_conv.1.double_conv.3", f"up{4 - n}.cat") for n in (1, 2, 3)),
            ],
        ),
        ("vgg16", []),
        ("googlenet", []),
    ):
        graph = graph_of(name)
        path = {s.number: s.path for s in staged_for(graph, View()).root.stages()}
        assert sorted((path[a], path[b]) for a, b in ways(svg_of(graph), "arc")) == sorted(expected), name


def test_runs_have_their_counts() -> None:
    groups = {g.get("data-path"): g.get("data-copies") for g in marks(svg_of(graph_of("densenet121")), "group")}
    blocks = {f"features.denseblock{n}": str(layers) for n, layers in enumerate((6, 12, 24, 16), 1)}
    assert {path: n for path, n in groups.items() if n != "1"} == blocks


def test_a_block_without_a_volume_has_no_plate() -> None:
    """A dropout stands with the volume before it, here the input's."""
    graph = archdsl.loads(
        "input: 3x8x8\nblocks: {b(): [dropout 0.5]}\nnet: {a: b(), c: 3x3 conv 4, d: b(), e: gap, f: fc 2}"
    ).graph
    for level in LEVELS:
        staged = staged_for(graph, View(level))
        assert all(isinstance(member, Stage) for member in staged.root.members)
        assert set(staged.edges) == edges_of(graph, staged)
    ET.fromstring(diagram(graph, style="volumes").data)


def test_a_flatten_after_a_run_of_blocks_has_a_shape() -> None:
    graph = archdsl.loads(
        "input: 3x8x8\nblocks: {b(): {residual: [3x3 conv 3]}}\nnet: {a: 2 * b(), f: flatten, g: fc 2}"
    ).graph
    shapes = {stage.path: stage.shape for stage in staged_for(graph, View("layer")).root.stages()}
    assert (shapes["f"], shapes["g"]) == ((192,), (2,))
    ET.fromstring(diagram(graph, view=View("layer"), style="volumes").data)


@settings(max_examples=25, deadline=None)
@given(random_specs.texts())
def test_random_networks_are_drawn(text: str) -> None:
    """At every level with all their edges, no words on others; as SVG that is XML."""
    graph = archdsl.loads(text).graph
    for level in LEVELS:
        staged, scene = staged_for(graph, View(level)), painter(Request(graph, View(level)))(LIGHT)
        assert set(staged.edges) == edges_of(graph, staged)
        need_readable(scene)
    for style in ("volumes", "article"):
        try:
            ET.fromstring(diagram(graph, style=style).data)
            need_readable((painter if style == "volumes" else article)(Request(graph))(LIGHT))
        except ArchError as problem:
            assert problem.diagnostics[0].code == "E0717"


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_lies_on_anything_else(name: str) -> None:
    """Neither words on words, nor boxes that do not touch on boxes, and all on the page."""
    _, staged, scene = scene_of(name)
    need_readable(scene)
    vectors = {s.number for s in staged.root.stages() if is_vector(s.shape)}
    touching = set(staged.edges)
    boxes = [(int(m.facts["stage"]), outline(m)) for m in scene.members if isinstance(m, Cluster) and m.kind == "stage"]
    for (n, a), (m, b) in combinations(sorted(boxes), 2):
        if (n, m) not in touching and not {n, m} <= vectors and not together(staged, n, m):
            assert not overlap(a, b), (n, m)


def need_readable(scene: Scene) -> None:
    texts = [(text_box(item), item.text) for item in scene.items() if isinstance(item, Text)]
    for (a, said), (b, other) in combinations(texts, 2):
        assert not overlap(a, b), (said, other)
    for (left, top, right, bottom), said in texts:
        assert left >= 0 and top >= 0 and right <= scene.width and bottom <= scene.height, said


def together(staged: Staged, first: int, second: int) -> bool:
    """Whether a chain of neighbours leads from one to the other: a run of volumes that touch."""
    return all((n, n + 1) in set(staged.edges) for n in range(first, second))


def text_box(text: Text) -> tuple[float, float, float, float]:
    width = text_width(text.text, text.size, text.bold)
    left = text.at.x - {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
    return left, text.at.y - 0.72 * text.size, left + width, text.at.y + 0.1 * text.size


def outline(mark: Cluster) -> tuple[float, float, float, float]:
    spots = [p for item in mark.members if isinstance(item, Polygon) for p in item.points] or [(-1.0, -1.0)]
    return min(x for x, _ in spots), min(y for _, y in spots), max(x for x, _ in spots), max(y for _, y in spots)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] - 0.2 and b[0] < a[2] - 0.2 and a[1] < b[3] - 0.2 and b[1] < a[3] - 0.2


def test_what_is_nearer_is_painted_later() -> None:
    root = svg_of(graph_of("vgg16"))
    lefts = [front[0][0] for _, _, front in map(faces, marks(root, "stage"))]
    axes = [sum(x for x, _ in right) / 4 for _, right, _ in map(faces, marks(root, "stage"))]
    assert len(lefts) == 23 and axes == sorted(axes)


def test_an_encoder_and_its_decoder_are_a_u() -> None:
    """Each size of maps is on a level of its own, the smallest lowest."""
    heights: dict[int, set[float]] = defaultdict(set)
    for stage in marks(svg_of(graph_of("unet")), "stage"):
        _, right, _ = faces(stage)
        heights[int(stage.get("data-shape", "").split("x")[1])].add(round(sum(y for _, y in right) / 4))
    levels = [next(iter(heights[size])) for size in (512, 256, 128, 64, 32)]
    assert all(max(ys) - min(ys) <= 1 for ys in heights.values()) and levels == sorted(levels)


def test_views_collapse_and_expand() -> None:
    graph = graph_of("resnet50")
    count = {level: len(marks(svg_of(graph, View(level)), "stage")) for level in ("network", "block", "layer")}  # type: ignore[arg-type]
    assert count["network"] == 13 < count["block"] == count["layer"] == 41
    apart = svg_of(graph, View(expand=("layer2",)))
    assert {g.get("data-path") for g in marks(apart, "group")} >= {f"layer2.{n}" for n in range(4)}
    alone = svg_of(graph, View(focus="layer3.1"))
    assert [g.get("data-name") for g in marks(alone, "stage")] == [
        "layer3.0/relu",
        "layer3.1.conv1",
        "layer3.1.conv2",
        "layer3.1.conv3",
        "layer3.1/add",
    ]


def test_it_needs_no_layout_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "engines", list)
    monkeypatch.setenv("PATH", "")
    for style in ("volumes", "article"):
        for format in ("svg", "tex", "png", "pdf"):
            assert diagram(graph_of("lenet5"), format, style=style).data


@pytest.mark.parametrize("theme", ["auto", *THEMES])
def test_themes_and_heat(theme: str) -> None:
    for color in ("kind", "params"):
        options = Options(theme=theme, color=color)  # type: ignore[arg-type]
        data = diagram(graph_of("lenet5"), "svg", options=options, style="volumes").data.decode()
        assert ("prefers-color-scheme" in data) == (theme == "auto")
        assert ("61.71 k params" in data) and ("48.12 k params" in data) == (color == "params")


def test_titles_and_shapes_can_be_left_out() -> None:
    graph = graph_of("lenet5")
    bare = diagram(graph, options=Options(title="", shapes=False), style="volumes").data.decode()
    assert ">lenet5</text>" not in bare and ">28\u00d728</text>" not in bare
    assert ">Mine</text>" in diagram(graph, options=Options(title="Mine"), style="volumes").data.decode()


def test_a_width_on_paper_is_kept_and_letters_are_read_there() -> None:
    for name in ("vgg16", "resnet50", "densenet121", "mobilenet_v2"):
        for millimetres in (85, 170):
            options = Options(theme="light", width_mm=millimetres)
            root = ET.fromstring(diagram(graph_of(name), options=options, style="volumes").data)
            points = millimetres * 72 / 25.4
            assert float(root.get("width", "").removesuffix("pt")) == pytest.approx(points, abs=0.06)
            letters = float(re.findall(r"font-size:(7.5)px", ET.tostring(root, encoding="unicode"))[0])
            assert letters * points / float(root.get("viewBox", "").split()[2]) >= 4.9, (name, millimetres)
    tex = diagram(graph_of("vgg16"), "tex", options=Options(width_mm=85), style="volumes").data.decode()
    assert "rectangle (241," in tex
    assert re.search(
        r"\{\\atmost\{[0-9.]+bp\}\{3", tex
    )  # wider fonts than the layout's: neighbours would read as one number


# --- what a spec may name --------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_hostile_words_are_text(net: Callable[..., archdsl.Network], style: str) -> None:
    graph = net("net: {a: 3x3 conv 4 relu}").graph
    for words in (HOSTILE, HOSTILE * 300):
        options = Options(title=words)
        root = ET.fromstring(diagram(graph, options=options, style=style).data)
        assert not list(root.iter(f"{SVG}script")) and BIDI not in ET.tostring(root, encoding="unicode")
        assert any("<script>" in (text.text or "") for text in root.iter(f"{SVG}text"))
        tex = diagram(graph, "tex", options=options, style=style).data.decode()
        assert "\\input{/" not in tex and BIDI not in tex and "\x07" not in tex


def test_a_dilated_convolution_is_told_from_a_plain_one() -> None:
    graph = archdsl.loads("input: 1x32x32\nnet: [3x3 conv 4, 3x3 conv 4 dilation=2, 3x3 conv 4 /2 dilation=4]").graph
    texts = [t.text for t in svg_of(graph).iter("{http://www.w3.org/2000/svg}text")]
    assert {"3\u00d73", "3\u00d73 d=2", "3\u00d73 /2 d=4"} <= set(texts)


def test_tex_is_quoted() -> None:
    assert quote("a_b 50% $x$ #1 & {y}") == r"a\_b 50\% \$x\$ \#1 \& \{y\}"
    assert quote("\\input{x}") == r"\textbackslash{}input\{x\}"
    assert quote("^^41 ~") == r"\textasciicircum{}\textasciicircum{}41 \textasciitilde{}"
    assert quote("64 \u00d7 3 \u6f22") == r"64 \ensuremath{{\times}} 3 [U+6F22]"
    assert quote("a\nb\x00") == r"a\textbackslash{}nb\textbackslash{}x00"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("title", [None, HOSTILE + "\u00e9 \u0142 \u6f22 -- `` '' ?` <<"])
def test_tex_compiles(title: str | None, tmp_path: Path) -> None:
    for style in STYLES:
        options = Options(title=title, theme="print", legend=True)
        data = diagram(graph_of("unet"), "tex", options=options, style=style).data
        (tmp_path / "x.tex").write_bytes(data)
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "x.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout[-800:]
        assert (tmp_path / "x.pdf").read_bytes().count(b"/Type /Page\n") + (tmp_path / "x.pdf").read_bytes().count(
            b"/Type/Page"
        ) <= 1


def test_what_cannot_be_had_is_said() -> None:
    for style, format in (("volumes", "dot"), ("volumes", "mmd"), ("article", "dot")):
        with pytest.raises(ArchError, match=f"`{style}` has no {format} output"):
            diagram(graph_of("lenet5"), format, style=style)
    for style in ("volumes", "article"):
        with pytest.raises(ArchError, match="has no `nothing`"):
            diagram(graph_of("lenet5"), view=View(focus="nothing"), style=style)


def test_a_run_of_blocks_that_is_one_box_has_its_sign_explained() -> None:
    net = "input: 4x8x8\nblocks: {b: {residual: {c: 3x3 conv 4}}}\nnet: {s: 3x3 conv 4, r: 3 * b()}"
    for level in ("network", "block"):
        scene = painter(Request(archdsl.loads(net).graph, View(level)))(LIGHT)
        texts = " ".join(item.text for item in scene.items() if isinstance(item, Text))
        assert "\u00d73" in texts and "\u00d7N: N equal blocks" in texts, level
