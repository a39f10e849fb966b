"""Scenes: what both writers make of clusters, hatches, halos, dashes and curves."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path as FilePath

import pytest

import archdsl
from archdsl.drawing.diagram import diagram, painter
from archdsl.drawing.model.drawing import View
from archdsl.drawing.request import Heat, Options, Request
from archdsl.drawing.scene import Circle, Cluster, Hatch, Path, Point, Polygon, Scene, Text, rectangle, scaled
from archdsl.drawing.scene.svg import to_svg
from archdsl.drawing.scene.things import things
from archdsl.drawing.scene.tikz import to_tikz
from archdsl.drawing.theme import LIGHT

SVG = "{http://www.w3.org/2000/svg}"
HATCH = Hatch(((Point(0, 5), Point(5, 0)),))


def scene() -> Scene:
    """A scene with everything that a scene can hold."""
    box = Polygon(rectangle(1, 2, 30, 20), HATCH, "#111111", 1.0, round=3, dashes=(4, 2))
    text = Text(Point(10, 15), "a < b", 9, "#222222", halo="#FFFFFF")
    curve = Path(tuple(Point(n, n) for n in range(7)), "#333333", curved=True)
    inner = Cluster("inner", title="tip", members=[box, text], facts={"path": "p" * 900}, shift=Point(10, 5))
    outer = Cluster("outer", members=[inner, Circle(Point(0, 0), 4, "#444444")], shift=Point(100, 50))
    return Scene("title", "description", 300, 200, "#FFFFFF", [outer, curve])


def test_items_are_at_their_place_in_the_picture() -> None:
    box, text, circle, _ = scene().items()
    assert isinstance(box, Polygon) and box.points[0] == Point(111, 57)
    assert isinstance(text, Text) and text.at == Point(120, 70)
    assert isinstance(circle, Circle) and circle.center == Point(100, 50)


def test_a_scaled_scene_is_larger_in_every_length() -> None:
    larger = scaled(scene(), 2)
    box, text, circle, curve = larger.items()
    assert (larger.width, larger.height) == (600, 400)
    assert isinstance(box, Polygon) and isinstance(box.fill, Hatch) and isinstance(curve, Path)
    assert (box.points[0], box.width, box.round, box.dashes) == (Point(222, 114), 2.0, 6, (8, 4))
    assert (box.fill.cell, box.fill.width, box.fill.lines[0][0]) == (10, 1.0, Point(0, 10))
    assert isinstance(text, Text) and (text.at, text.size) == (Point(240, 140), 18)
    assert isinstance(circle, Circle) and circle.radius == 8
    assert curve.points[-1] == Point(12, 12)


def test_svg_of_clusters_hatches_halos_and_curves() -> None:
    text = to_svg(scene())
    root = ET.fromstring(text)
    outer, inner = (next(g for g in root.iter(f"{SVG}g") if g.get("class") == kind) for kind in ("outer", "inner"))
    assert inner in list(outer) and inner.get("transform") == "translate(10.0,5.0)"
    assert inner.findtext(f"{SVG}title") == "tip" and inner.get("data-path") == "p" * 300
    pattern = next(root.iter(f"{SVG}pattern"))
    assert f"fill:url(#{pattern.get('id')})" in text and "stroke-dasharray:4 2" in text and "paint-order:stroke" in text
    assert root.findall(f"{SVG}path")[0].get("d") == "M0,0C1,1 2,2 3,3 4,4 5,5 6,6"


def test_tikz_of_clusters_hatches_halos_and_curves() -> None:
    text = to_tikz(scene())
    (name,) = re.findall(r"\\pgfdeclarepatternformonly\{(h\w+)\}", text)
    assert f"pattern={name}," in text and f"\\ifcsname pgf@pattern@name@{name}\\endcsname\\else" in text
    assert "dash pattern=on 4bp off 2bp,rounded corners=3bp] (111,57) rectangle (141,77);" in text
    assert "(0,0) .. controls (1,1) and (2,2) .. (3,3) .. controls (4,4) and (5,5) .. (6,6);" in text
    assert re.search(r"\\node\[[^\n]*fill=c\d[^\n]* at \(120,70\) \{[^\n]*a \\textless", text)


def test_a_scene_that_tex_cannot_hold_is_scaled_down() -> None:
    text = to_tikz(replace(scene(), height=50_000.0))
    assert "\\useasboundingbox (0,0) rectangle (86,14400);" in text


BOX_LINE = r"\\coordinate \(([\w-]+)\) at \(([-\d.]+),([-\d.]+)\);"
NUMBER = r"([-\d.]+)"


def tikz_points(tex: str) -> tuple[dict[str, Point], list[Point]]:
    """The places of the boxes, and every point in the picture, with scopes and shifts applied."""
    places = {name: Point(float(x), float(y)) for name, x, y in re.findall(BOX_LINE, tex)}
    origin, points = Point(0, 0), []
    for line in tex.partition("useasboundingbox")[2].splitlines()[1:]:
        if scope := re.search(r"begin\{scope\}\[shift=\{\(([\w-]+)\)\}\]", line):
            origin = places[scope[1]]
        elif "end{scope}" in line:
            origin = Point(0, 0)
        elif not line.startswith(("\\coordinate", "\\fill")):
            bare = re.sub(r"\\node\[[^\n]*?\]( \([\w-]+\))? at", "at", line)
            for shift, x, y, near in re.findall(rf"(\[shift=\{{)?\({NUMBER},{NUMBER}\)(?:\}}\]([\w-]+)\))?", bare):
                start = places[near] if shift else origin
                points.append(Point(start.x + float(x), start.y + float(y)))
    return places, points


@pytest.mark.parametrize("style", ["graph", "volumes", "article"])
def test_tikz_has_a_place_for_each_box_and_everything_where_it_belongs(style: str) -> None:
    """Moving a box is the change of one line; until then every point is where it is in the SVG's scene."""
    requests = [Request(archdsl.load("resnet18").graph, View(focus="layer2.0"))]
    painted = painter(requests, style)(LIGHT)
    painted.paper = None
    tex = to_tikz(painted)
    places, points = tikz_points(tex)
    assert [name for name in places if name.endswith("layer2-0-conv1")]
    expected = []
    for item in painted.items():
        if isinstance(item, Polygon):
            expected += [item.points[0], item.points[2]] if item.round else item.points
        else:
            expected += {Text: lambda i: [i.at], Circle: lambda i: [i.center]}.get(type(item), lambda i: i.points)(item)
    assert len(points) == len(expected)
    assert all(abs(a.x - b.x) < 0.011 and abs(a.y - b.y) < 0.011 for a, b in zip(points, expected, strict=True))
    names = re.findall(r"\\node\[[^\n]*?\] \(([\w-]+)\) at", tex)
    assert len(names) == len({*names, *places}) - len(places) and any("layer2-0-conv1-1" in name for name in names)


def test_a_fragment_of_tex_is_the_picture_alone() -> None:
    graph = archdsl.load("resnet18").graph
    whole, part = (
        diagram(graph, "tex", options=Options(fragment=fragment)).data.decode() for fragment in (False, True)
    )
    assert whole.count("\\documentclass[tikz]{standalone}") == whole.count("\\end{document}") == 1
    lines = [line for line in part.splitlines() if not line.startswith("%")]
    assert set(lines) <= set(whole.splitlines()) and not any(
        "document" in line or "usepackage" in line for line in lines
    )
    assert "% \\usetikzlibrary{arrows.meta,patterns}" in part


@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "densenet121", "unet", "s3d"])
@pytest.mark.parametrize("style", ["graph", "volumes"])
def test_ids_are_those_of_paths_and_unique(name: str, style: str) -> None:
    graph = archdsl.load(name).graph
    for level in ("block", "layer"):
        scene = painter([Request(graph, View(level))], style)(LIGHT)  # type: ignore[arg-type]
        ids = re.findall(r'<g [^>]*?\bid="([^"]*)"', to_svg(scene))
        assert len(ids) == len(set(ids))
        paths = {node.path for node in graph.nodes} | {scope.path for scope in graph.root.walk()}
        boxes = [id.partition("-")[2] for id in ids if not id.startswith("arrow-")]
        assert boxes and {re.sub(r"[^\w.-]", "_", path) for path in paths} >= set(boxes)
        kept = {thing.name for thing in things(scene)}
        arrows = [thing for thing in things(scene) if thing.ends]
        assert arrows and all(end in kept for arrow in arrows for end in arrow.ends or ())


def looks(svg: str, dark: bool) -> list[tuple[str | None, str | None]]:
    """Fill and stroke of each painted element in document order, as a reader with dark or light settings sees them."""
    root = ET.fromstring(svg)
    rules = root.findtext(f"{SVG}style", "")
    light, _, media = rules.partition("@media")
    found: dict[str, dict[str, str]] = {}
    for text in (light, media) if dark else (light,):
        for name, body in re.findall(r"\.(c\d+)\{([^}]*)\}", text):
            found.setdefault(name, {}).update(rule.split(":") for rule in body.split(";"))
    hatches = {
        f"url(#{each.pop('id')})": repr((each, [dict(part.attrib) for part in pattern]))
        for pattern in root.iter(f"{SVG}pattern")
        for each in (dict(pattern.attrib),)
    }
    classes = [element.get("class", "") for element in root.iter()]
    fills = [(found[name].get("fill"), found[name].get("stroke")) for name in classes if name in found]
    return [(hatches.get(fill or "", fill), line) for fill, line in fills]


@pytest.mark.parametrize("style", ["graph", "volumes", "article"])
@pytest.mark.parametrize("color", ["kind", "macs"])
def test_auto_is_the_theme_light_or_the_theme_dark(style: str, color: Heat) -> None:
    graph = archdsl.load("resnet18").graph

    def svg(options: Options) -> str:
        return diagram(graph, view=View("layer"), options=options, style=style).data.decode()

    auto = svg(Options(theme="auto", color=color, legend=True))
    assert looks(auto, dark=False) == looks(svg(Options(theme="light", color=color, legend=True)), dark=False)
    assert looks(auto, dark=True) == looks(svg(Options(theme="dark", color=color, legend=True)), dark=False)
    assert looks(auto, dark=True) != looks(auto, dark=False)


@pytest.mark.parametrize("theme", ["light", "print"])
def test_tex_and_svg_of_a_graph_have_the_same_texts(theme: str) -> None:
    graph = archdsl.load("googlenet").graph
    options = Options(theme=theme, legend=True)  # type: ignore[arg-type]
    root = ET.fromstring(diagram(graph, "svg", View("layer"), options).data)
    tex = diagram(graph, "tex", View("layer"), options).data.decode()
    assert tex.count("\\node[") == sum(1 for _ in root.iter(f"{SVG}text"))
    assert "[U+" not in tex, "every letter of a drawing is one that LaTeX can write"


@pytest.mark.parametrize(("style", "beside"), [("graph", "card-layer1-0"), ("volumes", "label-conv1")])
def test_tikz_moves_a_card_or_a_label_with_its_box(style: str, beside: str) -> None:
    painted = painter([Request(archdsl.load("resnet18").graph)], style)(LIGHT)
    (part,) = [thing for thing in things(painted) if thing.name == beside]
    box = f"{'box' if style == 'graph' else 'stage'}-{beside.partition('-')[2]}"
    tex = to_tikz(painted)
    line = next(line for line in tex.splitlines() if line.startswith(f"\\coordinate ({box}) "))
    before, after = (tikz_points(text)[1] for text in (tex, tex.replace(line, f"\\coordinate ({box}) at (9000,0);")))
    moved = {(round(a.x), round(a.y)) for a, b in zip(before, after, strict=True) if a != b}
    corners = [item.at if isinstance(item, Text) else item.points[0] for item in part.items]  # type: ignore[union-attr]
    assert corners and {(round(x), round(y)) for x, y in corners} <= moved


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdfLaTeX")
def test_a_fragment_has_a_height_that_latex_can_scale(tmp_path: FilePath) -> None:
    fragment = diagram(archdsl.load("lenet5").graph, "tex", options=Options(fragment=True)).data
    (tmp_path / "fragment.tex").write_bytes(fragment)
    head = r"\documentclass{article}\usepackage{tikz}\usetikzlibrary{arrows.meta,patterns}\begin{document}"
    scale = r"\sbox0{\resizebox{!}{100pt}{\input{fragment}}}\typeout{HEIGHT \the\ht0 + \the\dp0}\box0\end{document}"
    (tmp_path / "page.tex").write_text(head + scale, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "page"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-800:]
    height, depth = map(float, re.findall(r"HEIGHT ([0-9.]+)pt ?\+ ([0-9.]+)pt", done.stdout)[0])
    assert height == pytest.approx(100, abs=0.1) and depth == 0
