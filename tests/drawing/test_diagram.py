"""Drawings: what is in them, that nothing a spec names can break out of its label, and that they are drawn in time.

Tests `drawing/heat.py`, `drawing/graph/labels.py`, `drawing/graph/legend.py`, `drawing/model/arrows.py`,
`drawing/model/boxes.py`, `drawing/model/focus.py`, `drawing/model/heading.py` and `drawing/model/stages.py`.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl import packages
from archdsl.diagnostics import ArchError
from archdsl.drawing import picture
from archdsl.drawing.diagram import diagram
from archdsl.drawing.graph import engine
from archdsl.drawing.graph.dot import quote, to_dot
from archdsl.drawing.graph.engine import TooSlow
from archdsl.drawing.graph.layout import place
from archdsl.drawing.graph.mermaid import mermaid
from archdsl.drawing.graph.positions import GraphLayout
from archdsl.drawing.graph.scene import draw
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import LEVELS, Arrow, Box, Drawing, Frame, View
from archdsl.drawing.page.outline import outline
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import write
from archdsl.drawing.theme import LIGHT
from archdsl.drawing.volumes import staged_for
from archdsl.graph import Graph
from archdsl.ops import Add, Relu
from archdsl.shapes import concrete
from tests.support.handmade import Hand

A4_POINTS = (595, 842)


def painted(drawing: Drawing, layout: GraphLayout, options: Options = Options()) -> str:
    return write.svg(partial(draw, drawing, layout, options), options).data.decode()


def drawn(graph: Graph, level: str = "block", focus: str = "", *expand: str) -> Drawing:
    return compose(graph, View(level, focus, expand))  # type: ignore[arg-type]


def titles(drawing: Drawing) -> list[str]:
    return [box.title + (f" x{box.count}" if box.count > 1 else "") for box in drawing.boxes()]


def arrows(drawing: Drawing) -> set[tuple[str, str]]:
    names = {box.number: box.title for box in drawing.boxes()}
    return {(names[arrow.source], names[arrow.target]) for arrow in drawing.arrows}


def frames(drawing: Drawing) -> list[Frame]:
    return list(drawing.frames())


# --- what is drawn ---------------------------------------------------------------------------------------


def test_vgg_shows_its_five_stages() -> None:
    drawing = drawn(archdsl.load("vgg16").graph)
    assert [frame.name for frame in frames(drawing)] == [f"{n} \u00d7 {n}" for n in (224, 112, 56, 28, 14)]
    assert titles(drawing) == [
        "input",
        "3\u00d73 conv, 64 x2",
        "2\u00d72 max pool, /2",
        "3\u00d73 conv, 128 x2",
        "2\u00d72 max pool, /2",
        "3\u00d73 conv, 256 x3",
        "2\u00d72 max pool, /2",
        "3\u00d73 conv, 512 x3",
        "2\u00d72 max pool, /2",
        "3\u00d73 conv, 512 x3",
        "2\u00d72 max pool, /2",
        "avg pool to 7\u00d77",
        "fc 4096",
        "fc 4096",
        "fc 1000",
    ]
    assert [arrow.label for arrow in drawing.arrows][:3] == ["", "64 \u00d7 224 \u00d7 224", "64 \u00d7 112 \u00d7 112"]


def test_resnet_collapses_its_runs() -> None:
    drawing = drawn(archdsl.load("resnet50").graph)
    runs = [(box.name, box.count) for box in drawing.boxes() if box.look == "block"]
    assert runs == [
        ("layer1.0", 1),
        ("layer1.1 … layer1.2", 2),
        ("layer2.0", 1),
        ("layer2.1 … layer2.3", 3),
        ("layer3.0", 1),
        ("layer3.1 … layer3.5", 5),
        ("layer4.0", 1),
        ("layer4.1 … layer4.2", 2),
    ]
    assert [frame.name for frame in frames(drawing)] == ["layer1", "layer2", "layer3", "layer4"]


RESIDUAL = """
defaults: {conv: bn relu, naming: sibling}
blocks:
  pair(w, s=1):
    residual: {conv1: 3x3 conv w /s, conv2: 5x5 conv w linear}
    then: relu
net:
  stem: [3x3 conv 8 plain]
  stage: 3 * pair(8)
  wider: pair(16, 2)
"""


def test_an_opened_residual_shows_its_shortcut(net: Callable[..., archdsl.Network]) -> None:
    drawing = drawn(net(RESIDUAL).graph, "layer")
    run, wider = (frame for frame in frames(drawing) if not frame.stage)
    assert (run.name, run.title, run.count) == ("stage.0 … stage.2", "pair(w=8)", 3)
    assert [box.title for box in run.members if isinstance(box, Box)] == [
        "3\u00d73 conv, 8",
        "5\u00d75 conv, 8",
        "+",
        "relu",
    ]
    assert arrows(drawing) == {
        ("input", "3\u00d73 conv, 8"),
        ("3\u00d73 conv, 8", "3\u00d73 conv, 8"),
        ("3\u00d73 conv, 8", "5\u00d75 conv, 8"),
        ("5\u00d75 conv, 8", "+"),
        ("3\u00d73 conv, 8", "+"),
        ("+", "relu"),
        ("relu", "3\u00d73 conv, 16, /2"),
        ("3\u00d73 conv, 16, /2", "5\u00d75 conv, 16"),
        ("5\u00d75 conv, 16", "+"),
        ("relu", "1\u00d71 conv, 16, /2"),
        ("1\u00d71 conv, 16, /2", "+"),
        ("relu", "output"),
    }
    assert [box.title for box in wider.members if isinstance(box, Box)][2] == "1\u00d71 conv, 16, /2"


SHARED = """
input: 8x16x16
blocks:
  b: {j: 3x3 conv 8, j2: again j, j3: again j, j4: 3x3 conv 8, j5: 3x3 conv 8}
net:
  k: 3x3 conv 8
  k2: again k
  k3: 3x3 conv 8
  x: 2 * b
"""


def test_a_node_that_runs_again_is_not_collapsed_with_one_of_its_own_weights() -> None:
    graph = archdsl.loads(SHARED).graph
    titles = [f"{box.title} {box.count}" for box in compose(graph, View("layer")).boxes()][1:-1]
    own, again = "3\u00d73 conv, 8", "3\u00d73 conv, 8, again"
    assert titles == [f"{own} 1", f"{again} 1", f"{own} 1", f"{own} 1", f"{again} 2", f"{own} 2"]
    data = json.dumps(outline(graph), ensure_ascii=False)
    assert data.count(f'"{again}"') == 2 and data.count(f'"{own}"') == 4


@pytest.mark.parametrize("level", LEVELS)
def test_a_star_expands_every_block(level: Any) -> None:
    """At each level, and in each style: a box for every written node, and no box for more than one."""
    wide = """
        input: {a: 3x32x32, b: 3x32x32}
        blocks:
          tower(w): {conv: 3x3 conv w, b: 2 * res(w), gap: gap}
          res(w): {residual: [3x3 conv w, 3x3 conv w]}
        net: {x: tower(8) <- a, y: tower(8) <- b, out: {op: concat, from: [x, y]}}
        """
    graph = archdsl.loads(wide).graph
    boxes = [box for box in compose(graph, View(level, expand=("*",))).boxes() if box.kind != "output"]
    assert sorted(i for box in boxes for ids in box.copies for i in ids) == list(range(len(graph.nodes)))
    assert all(box.count == 1 and box.kind not in ("block", "stage") for box in boxes)
    staged = staged_for(graph, View(level, expand=("*",)))
    assert all(stage.copies == 1 and stage.look != "block" for stage in staged.root.stages())
    assert sum(1 for _ in staged.root.stages()) == len(graph.nodes)


def test_an_opened_inception_shows_its_branches() -> None:
    drawing = drawn(archdsl.load("googlenet").graph, "layer")
    block = next(frame for frame in frames(drawing) if frame.name == "inception3a")
    boxes = [box for box in block.members if isinstance(box, Box)]
    concat = boxes[-1]
    assert concat.title == "concat"
    assert sum(arrow.target == concat.number for arrow in drawing.arrows) == 4
    inside = {box.number for box in boxes}
    assert sum(arrow.target in inside and arrow.source not in inside for arrow in drawing.arrows) == 4


@pytest.mark.parametrize("expand", [(), ("features.denseblock3",)])
def test_a_dense_block_is_layers_each_with_its_concat(expand: tuple[str, ...]) -> None:
    """One frame stands for all layers: a layer, and the concat of what it reads and what it returns."""
    focus = "" if expand else "features.denseblock3"
    drawing = drawn(archdsl.load("densenet121").graph, "block", focus, *expand)
    (block,) = (frame for frame in frames(drawing) if frame.count > 1)
    layer, concat = (box for box in block.members if isinstance(box, Box))
    assert (block.count, layer.title, layer.lines, concat.title) == (
        24,
        "layer",
        ("[1\u00d71, 128; 3\u00d73, 32]", "receives 256…992 channels"),
        "concat",
    )
    assert {(a.source, a.target) for a in drawing.arrows if a.target in (layer.number, concat.number)} == {
        (layer.number - 1, layer.number),
        (layer.number - 1, concat.number),
        (layer.number, concat.number),
    }


def test_equal_calls_collapse_if_only_a_factor_or_their_input_differs() -> None:
    """PolyNet's modules scale by other factors, in turn of two kinds; the input of DPN's blocks grows."""
    drawing = drawn(archdsl.load("polynet").graph)
    (first, *_, last) = [box for box in drawing.boxes() if box.look == "block" and "(" in box.title]
    assert (first.title, first.count, first.lines) == ("two_way(block=a)", 10, ("mul 1…0.9308",))
    assert (last.title, last.count, last.lines) == ("mixed(poly=poly_c, block=c)", 1, ("mul 0.7615…0.7",))
    assert [(f.name, f.count) for f in frames(drawing)] == [
        ("stage_b.0 … stage_b.19", 10),
        ("stage_c.0 … stage_c.9", 5),
    ]
    dual = next(box for box in drawn(archdsl.load("dpn68").graph).boxes() if box.count == 11)
    assert dual.lines[-1:] == ("receives 352…672 channels",)
    assert concrete(dual.shape) == (704, 14, 14)
    opened = drawn(archdsl.load("dpn68").graph, "layer")
    assert {arrow.label for arrow in opened.arrows} >= {"96…416 \u00d7 14 \u00d7 14"}, (
        "a size of all copies, not of one"
    )


@pytest.mark.parametrize(
    ("block", "count"),
    [
        ("{x: relu, y: affine 1+n/8}", 3),
        ("{x: dropout n/8, y: relu}", 3),
        ("{x: 3x3 conv 8+n, y: relu}", 1),
        ("{x: 3x3 conv 8 dilation=1+n pad=1+n, y: relu}", 1),
        ("{x: leaky_relu 0.1+n/8, y: relu}", 3),
    ],
)
def test_what_may_differ_in_a_run(block: str, count: int) -> None:
    graph = archdsl.loads(f"input: 8x8x8\nblocks: {{b(n): {block}}}\nnet: {{a: 3 * b(i)}}\n").graph
    assert max(box.count for box in drawn(graph).boxes()) == count


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "resnet50", "seresnet50", "ghostnet_100"])
def test_branches_stand_in_written_order_and_shortcuts_at_the_right(name: str) -> None:
    graph = archdsl.load(name).graph
    drawing = drawn(graph, "layer")
    layout = place(drawing, Request(graph, View("layer")))
    centre = {number: rect.x + rect.width / 2 for number, rect in layout.boxes.items()}
    leaving: dict[int, list[float]] = {}
    for arrow, spline in zip(drawing.arrows, layout.splines, strict=True):
        if arrow.skip:
            assert max(x for x, _ in spline.points) > centre[arrow.source]
            assert min(x for x, _ in spline.points[1:-1]) > centre[arrow.source] - 1
        elif not arrow.training:
            leaving.setdefault(arrow.source, []).append(centre[arrow.target])
    assert all(row == sorted(row) for row in leaving.values())
    assert any(len(row) > 1 for row in leaving.values())


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "vgg16", "efficientnet_b0", "mobilenetv4_conv_small"])
@pytest.mark.parametrize("level", ["network", "block"])
def test_stages_have_titles_of_one_kind(name: str, level: str) -> None:
    drawing = drawn(archdsl.load(name).graph, level)
    named = [frame.name for frame in frames(drawing) if frame.stage]
    named += [box.title for box in drawing.boxes() if box.kind == "stage"]
    assert len(named) > 2
    assert len({"\u00d7" in title for title in named}) == 1, named


def test_heads_for_training_are_dashed() -> None:
    graph = archdsl.load("googlenet").graph
    drawing = drawn(graph)
    heads = [box for box in drawing.boxes() if box.training]
    assert [head.name for head in heads] == ["aux1", "aux2"]
    assert heads[0].tail == "training only, weight 0.3"
    assert sum(arrow.training for arrow in drawing.arrows) == 2
    assert to_dot(drawing).count("style=dashed") == 2


def test_an_encoder_and_decoder_have_no_stages(net: Callable[..., archdsl.Network]) -> None:
    text = (
        "net: {a: 3x3 conv 4, b: 3x3 conv 4, p: 2x2 maxpool, c: 3x3 conv 4, d: 3x3 conv 8, u: upsample 2, e: concat <-"
        " u, b, f: 1x1 conv 2}"
    )
    graph = net(text.replace("concat <- u, b", "'concat <- u, b'")).graph
    assert frames(drawn(graph)) == []
    assert [box.look for box in drawn(graph).boxes()][-1] == "output"


def test_the_level_network_has_a_box_for_each_stage_also_if_a_resolution_returns() -> None:
    polynet = drawn(archdsl.load("polynet").graph, "network")
    assert [box.title for box in polynet.boxes() if box.kind == "stage"][-3:] == [
        "39 \u00d7 39",
        "19 \u00d7 19",
        "9 \u00d7 9",
    ]
    assert len(list(polynet.boxes())) == 12
    for source, target in ((arrow.source, arrow.target) for arrow in polynet.arrows):
        assert source < target


def test_every_node_is_drawn_and_every_arrow_points_down() -> None:
    for name in ("vgg16", "resnet50", "googlenet", "densenet121", "lenet5"):
        for level in LEVELS:
            drawing = drawn(archdsl.load(name).graph, level)
            numbers = [box.number for box in drawing.boxes()]
            assert numbers == list(range(len(numbers)))
            assert all(arrow.source < arrow.target for arrow in drawing.arrows)
            reached = {arrow.target for arrow in drawing.arrows}
            assert reached == set(numbers) - {0}, f"{name} at {level}: a box that nothing leads to"


# --- DOT -------------------------------------------------------------------------------------------------

ELEMENTS = {"svg", "title", "desc", "style", "rect", "circle", "g", "path", "polygon", "text"}
EVIL = [
    '"]; evil [label="',
    "<b>&amp;</b>",
    "\\N \\G \\",
    "a -> c:port:n",
    "\x1b[31m\u202e",
    "</td></tr></table>>]",
    "\ud800",
    "javascript:alert(1)",
    "]]>",
    "\ufffe",
    "x" * 20_000,
]


def drawing_of(text: str) -> Drawing:
    """A drawing in which every text is the same."""
    box = Box(0, "block", text, text, text, (text,), text, text, "block", text, (range(2), range(2, 4)))
    frame = Frame(text, text, (box, replace(box, number=1)), path=text)
    return Drawing(text, text, (text,), View(), (frame,), (Arrow(0, 1, (), text),))


@pytest.mark.parametrize("name", EVIL)
def test_names_cannot_leave_their_labels(name: str) -> None:
    drawing = drawing_of(name)
    text = to_dot(drawing, whole=True)
    assert all(c.isprintable() or c in "\n\u00a0" for c in text)
    graph = Hand((3, 8, 8), name=name).graph()
    svg = painted(drawing, place(drawing, Request(graph)))
    tree = ET.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    assert [node.get("data-box") for node in tree.iter(f"{space}g") if node.get("data-box")] == ["0", "1"]
    assert {element.tag.removeprefix(space) for element in tree.iter()} <= ELEMENTS
    assert not [key for element in tree.iter() for key in element.attrib if "href" in key or key.startswith("on")]
    assert all(c.isprintable() or c in "\n\u00a0" for c in svg)


def test_quote_leaves_nothing_that_means_something() -> None:
    assert quote('<a href="x">&\\N\n') == "&lt;a href=&quot;x&quot;&gt;&amp;&#92;N&#92;n"


def test_the_text_is_the_same_each_time() -> None:
    graph = archdsl.load("googlenet").graph
    again = archdsl.load("googlenet").graph
    assert diagram(graph, "dot", View("layer")) == diagram(again, "dot", View("layer"))
    assert diagram(graph, options=Options(legend=True)) == diagram(again, options=Options(legend=True))


def test_colours_are_told_apart() -> None:
    lines = [color.line for look, color in LIGHT.colors.items() if look not in ("input", "output")]
    assert len(set(lines)) == len(lines)


# --- drawing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "googlenet", "densenet121"])
def test_the_classics_fit_a_page(name: str) -> None:
    root = ET.fromstring(diagram(archdsl.load(name).graph).data)
    width, height = (float(str(root.get(side)).removesuffix("pt")) for side in ("width", "height"))
    assert (width, height) <= A4_POINTS and height <= A4_POINTS[1]
    texts = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert name in texts


def test_png_and_dot() -> None:
    graph = archdsl.load("lenet5").graph
    assert diagram(graph, "png").data.startswith(b"\x89PNG\r\n")
    assert diagram(graph, "dot").data.decode() == to_dot(compose(graph), whole=True)
    assert diagram(graph, "pdf").data.startswith(b"%PDF-")


def fake_engine(folder: Path, text: str) -> None:
    program = folder / "dot"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_the_systems_dot_is_preferred_and_the_next_engine_steps_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    fake_engine(tmp_path, "cat >/dev/null; echo mine")
    assert engine.run("digraph {}") == b"mine\n"
    fake_engine(tmp_path, "cat >/dev/null; echo 'Format: \"json0\" not recognized' >&2; exit 1")
    assert engine.run("digraph {}").startswith(b"{")


def test_a_slow_layout_is_ended_and_drawn_more_simply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = engine.engines()[0]
    monkeypatch.setattr(engine, "engines", lambda: [tmp_path / "dot"])
    fake_engine(tmp_path, f'text=$(cat); case $text in *n20*) sleep 9;; *) echo "$text" | {real} "$@";; esac')
    start = time.monotonic()
    with pytest.raises(TooSlow):
        engine.run("digraph { n20 }", time_limit_s=0.3)
    made = diagram(archdsl.load("resnet50").graph, view=View("layer"), time_limit_s=1)
    assert time.monotonic() - start < 8
    assert b"layer3.1" in made.data
    assert (
        made.note
        == "the network is too large for the requested drawing: drawn at the level `block`, equal blocks collapsed"
    )


def test_without_an_engine_dot_text_is_still_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "engines", list)
    graph = archdsl.load("lenet5").graph
    with pytest.raises(ArchError) as caught:
        diagram(graph)
    assert caught.value.status == 2
    assert caught.value.diagnostics[0].code == "E0711"
    assert diagram(graph, "dot").data


def test_a_long_chain_and_a_web_of_shortcuts_are_drawn_in_time() -> None:
    chain, web = Hand((1, 4, 4)), Hand((1, 4, 4))
    for _ in range(4000):
        chain.add(Relu())
    for number in range(300):
        web.add(Add(), *range(max(0, number - 40), number + 1)) if number else web.add(Relu())
    start = time.monotonic()
    made = diagram(chain.graph())
    assert (
        made.note
        == "the network is too large for the requested drawing: drawn at the level `network`, equal blocks collapsed"
    )
    assert diagram(web.graph(), time_limit_s=2).data
    assert time.monotonic() - start < 20


def test_mermaid_holds_the_same_and_nothing_more() -> None:
    """Each line is one of the few forms that Mermaid's grammar has for it; the texts in quotes hold no character of
    meaning."""
    text = r"[\w ,./()+=\u00d7\u2026\u00b7\u00a0#;-]*"
    forms = (
        r"%%\{init: .*\}%%",
        "flowchart (TB|LR)",
        rf' +n\d+\("{text}(<br>{text})*"\)',
        rf' +n\d+\(\("{text}"\)\)',
        rf' +subgraph f\d+\["{text}"\]',
        " +end",
        rf'  n\d+ (-->|-\.->)(\|"{text}"\|)? n\d+',
        r"  classDef \w+ fill:#\w{6},stroke:#\w{6},color:#\w{6}",
        r"  class [nf]\d+(,[nf]\d+)* \w+",
    )
    drawings = [
        compose(archdsl.load(name).graph, View(level)) for name in ("googlenet", "resnet18") for level in LEVELS
    ]
    for drawing in [*drawings, *map(drawing_of, EVIL)]:
        lines = mermaid(drawing).splitlines()
        assert [line for line in lines if not any(re.fullmatch(form, line) for form in forms)] == []
        assert sum(bool(re.match(r" +n\d+\(", line)) for line in lines) == len(list(drawing.boxes()))
        assert sum(" n" in line and "-->" in line or "-.->" in line for line in lines) == len(drawing.arrows)


def test_a_hostile_title_is_text_in_every_format() -> None:
    graph = archdsl.load("lenet5").graph
    drawing = compose(graph)
    layout = place(drawing, Request(graph))
    for title in EVIL:
        options = Options(title=title, legend=True, color="macs", dpi=36)
        svg = painted(drawing, layout, options)
        assert {element.tag.partition("}")[2] for element in ET.fromstring(svg).iter()} <= ELEMENTS
        assert picture.png(svg, 36).startswith(b"\x89PNG") and picture.pdf(svg).startswith(b"%PDF-")
        for format in ("png", "pdf"):
            assert write.FORMATS[format](partial(draw, drawing, layout, options), options).data


@pytest.mark.parametrize(
    ("format", "package", "extra"),
    [("pdf", "svg2pdf_py", "[pdf]"), ("png", "resvg_py", ""), ("pptx", "pptx", "[office]")],
)
def test_a_missing_converter_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, format: str, package: str, extra: str
) -> None:
    graph = archdsl.load("lenet5").graph
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == package else find_spec(name))
    with pytest.raises(ArchError) as caught:
        diagram(graph, format)
    problem = caught.value.diagnostics[0]
    name = package.replace("pptx", "python-pptx")
    assert (caught.value.status, problem.code, problem.message) == (2, "E0716", f"{name} is not installed")
    assert problem.help == packages.install_command(extra.strip("[]")) and extra in problem.help
    assert diagram(graph, "svg").data


def test_pictures_need_no_font_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = archdsl.load("resnet18").graph
    assert picture._has_glyphs(diagram(graph, options=Options(legend=True)).data.decode())
    assert not picture._has_glyphs("\u6f22")
    pdf = diagram(graph, "pdf").data
    assert re.findall(rb"/FontName ?/\w+\+([\w-]+)", pdf) != [] and b"Arimo" in pdf


# --- what there is not -----------------------------------------------------------------------------------


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ArchError) as caught:
        call()
    assert caught.value.status == 2
    return (
        caught.value.diagnostics[0].code,
        caught.value.diagnostics[0].message + " " + caught.value.diagnostics[0].help,
    )


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(focus="layer2.7"), "layer2.0, layer2.1, layer2.2, layer2.3"),
        (View(expand=("layr3",)), "did you mean `layer3`?"),
        (View(focus="*"), "it has: "),
        (View(focus="\x1b[31m<b>"), "has no `\\x1b[31m<b>`"),
        (View(expand=("x" * 20_000,)), "it has: "),
    ],
)
def test_an_unknown_path_says_what_there_is(view: View, expected: str) -> None:
    code, said = refusal(lambda: diagram(archdsl.load("resnet50").graph, view=view))
    assert code == "E0713"
    assert expected in said
    assert len(said) < 500


@pytest.mark.parametrize(
    ("asked", "expected_code", "expected"),
    [
        ({"style": "graphh"}, "E0001", "did you mean `graph`?"),
        ({"view": View("blocks")}, "E0001", "network, block, layer"),  # type: ignore[arg-type]
        ({"format": "x" * 20_000}, "E0001", "`format` cannot be `xxx"),
        ({"style": "article", "format": "dot"}, "E0714", "formats of `article`: svg"),
    ],
)
def test_an_unknown_style_level_or_format_says_what_there_is(
    asked: dict[str, Any], expected_code: str, expected: str
) -> None:
    code, said = refusal(lambda: diagram(archdsl.load("lenet5").graph, **asked))
    assert code == expected_code
    assert expected in said
    assert len(said) < 500


def test_a_png_has_an_end() -> None:
    code, said = refusal(lambda: diagram(archdsl.load("resnet152").graph, "png", View("layer"), Options(dpi=1200)))
    assert code == "E0715"
    assert "--dpi" in said
