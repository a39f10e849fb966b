"""PowerPoint and draw.io files read back by other parsers, and compared with the scene; pictures that build up.

Tests `drawing/scene/pptx.py`, `drawing/scene/connectors.py`, `drawing/scene/drawio.py`, `drawing/scene/things.py` and
`drawing/scene/steps.py`.
"""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from math import cos, dist, radians, sin
from typing import Any

import pytest

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.drawing.diagram import diagram, draw_steps, painter
from archdsl.drawing.model.drawing import View
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import Circle, Cluster, Path, Point, Polygon, Scene, Text, rectangle
from archdsl.drawing.scene.drawio import to_drawio
from archdsl.drawing.scene.pptx import to_pptx
from archdsl.drawing.scene.steps import steps
from archdsl.drawing.scene.svg import to_svg
from archdsl.drawing.scene.things import Thing, things
from archdsl.drawing.theme import LIGHT

pptx = pytest.importorskip("pptx")
ElementTree = pytest.importorskip("defusedxml.ElementTree")
EMU = 12_700
EVIL = '"/></a:t></mxCell><script>alert(1)</script> & <b>x</b> \u202e'


def scene_of(name: str, style: str, level: str = "block", focus: str = "") -> Scene:
    scene = painter([Request(archdsl.load(name).graph, View(level, focus))], style)(LIGHT)  # type: ignore[arg-type]
    scene.paper = None
    return scene


def slides_of(data: bytes) -> Any:
    return pptx.Presentation(io.BytesIO(data)).slides


def shapes_of(shapes: Any) -> Iterator[Any]:
    for shape in shapes:
        yield shape
        if shape.shape_type == pptx.enum.shapes.MSO_SHAPE_TYPE.GROUP:
            yield from shapes_of(shape.shapes)


def words_of(texts: list[str]) -> list[str]:
    """The words of texts without regard to how they are split into texts."""
    return sorted(word for text in texts for word in re.sub(r"[\xa0\v\n]", " ", text).split())


CASES = [
    ("resnet18", "graph", "layer", ""),
    ("googlenet", "graph", "block", "inception3a"),
    ("resnet18", "volumes", "block", ""),
    ("resnet18", "article", "block", "layer2.0"),
    ("unet", "graph", "block", ""),
]
every_case = pytest.mark.parametrize(("name", "style", "level", "focus"), CASES)


@every_case
def test_a_slide_has_the_texts_and_an_attached_connector_for_each_arrow(
    name: str, style: str, level: str, focus: str
) -> None:
    scene = scene_of(name, style, level, focus)
    (slide,) = slides_of(to_pptx([scene]))
    shapes = list(shapes_of(slide.shapes))
    texts = [shape.text_frame.text for shape in shapes if shape.has_text_frame]
    assert words_of(texts) == words_of([item.text for item in scene.items() if isinstance(item, Text)])
    by_id = {shape.shape_id: shape for shape in shapes}
    assert len(by_id) == len(shapes)
    arrows = [thing for thing in things(scene) if thing.ends]
    connectors = [
        s for s in shapes if s.shape_type == pptx.enum.shapes.MSO_SHAPE_TYPE.LINE and s.name.startswith("arrow")
    ]
    assert [connector.name for connector in connectors] == [arrow.name for arrow in arrows]
    for arrow, connector in zip(arrows, connectors, strict=True):
        attached = [connector._element.find(f".//{{*}}{tag}") for tag in ("stCxn", "endCxn")]
        names = tuple(by_id[int(end.get("id"))].name for end in attached)
        assert names == arrow.ends, "both ends are attached to the shapes that the arrow joins"
        assert connector._element.find(".//{*}tailEnd") is not None


def test_arrows_of_two_networks_beside_each_other_are_attached_to_their_own_boxes() -> None:
    spec = "name: net\ninput: 3x8x8\nnet: {{a: 3x3 conv {}, b: 3x3 conv 8, c: 3x3 conv 4}}"
    one, other = (archdsl.loads(spec.format(width)) for width in (4, 6))
    (slide,) = slides_of(archdsl.diff(one, other).picture("pptx").data)
    shapes = {shape.shape_id: shape for shape in shapes_of(slide.shapes)}
    ends = [
        [shapes[int(end.get("id"))] for end in shape._element.iter("{*}stCxn", "{*}endCxn")]
        for shape in shapes.values()
    ]
    middles = [[shape.left + shape.width / 2 for shape in pair] for pair in ends if pair]
    assert len(middles) == 8
    assert all(abs(a - b) < 50 * EMU for a, b in middles), "no arrow leads to the other network"
    assert max(a for a, _ in middles) - min(a for a, _ in middles) > 50 * EMU


@every_case
def test_a_slide_is_as_large_as_the_drawing_and_boxes_are_where_they_are(
    name: str, style: str, level: str, focus: str
) -> None:
    scene = scene_of(name, style, level, focus)
    data = to_pptx([scene])
    presentation = pptx.Presentation(io.BytesIO(data))
    size = presentation.slide_width / EMU, presentation.slide_height / EMU
    assert size == pytest.approx((max(72, scene.width), max(72, scene.height)), abs=0.01)
    by_name = {shape.name: shape for shape in presentation.slides[0].shapes}
    for thing in things(scene):
        if thing.name and not thing.ends and any(isinstance(item, Polygon | Circle) for item in thing.items):
            shape, box = by_name[thing.name], thing.bounds
            if shape.has_text_frame:
                assert (shape.left / EMU, shape.top / EMU) == pytest.approx((box.left, box.top), abs=0.01)
                assert (shape.width / EMU, shape.height / EMU) == pytest.approx(
                    (box.right - box.left, box.bottom - box.top), abs=0.01
                )


def connector_line(connector: Any) -> list[Point]:
    """The corners of a connector as the presets of ECMA-376 define them, with its flips and its turn."""
    xfrm = connector._element.find(".//{*}xfrm")
    off, ext = xfrm.find("{*}off"), xfrm.find("{*}ext")
    x, y, w, h = (int(e.get(k)) / EMU for e, k in ((off, "x"), (off, "y"), (ext, "cx"), (ext, "cy")))
    preset = connector._element.find(".//{*}prstGeom")
    kind = preset.get("prst")
    default = [0.5, 0.5, 0.5]
    values = [int(gd.get("fmla").split()[1]) / 100_000 for gd in preset.findall(".//{*}gd")] or default
    values += default
    a, b, c = values[0] * w, values[1] * h, values[2] * w
    corners = {
        "straightConnector1": [(0, 0), (w, h)],
        "2": [(0, 0), (w, 0), (w, h)],
        "3": [(0, 0), (a, 0), (a, h), (w, h)],
        "4": [(0, 0), (a, 0), (a, b), (w, b), (w, h)],
        "5": [(0, 0), (a, 0), (a, b), (c, b), (c, h), (w, h)],
    }[kind if kind.startswith("straight") else kind[-1]]
    angle = radians(int(xfrm.get("rot", "0")) / 60_000)
    out = []
    for u, v in corners:
        u, v = (w - u if xfrm.get("flipH") == "1" else u) - w / 2, (h - v if xfrm.get("flipV") == "1" else v) - h / 2
        out.append(Point(x + w / 2 + u * cos(angle) - v * sin(angle), y + h / 2 + u * sin(angle) + v * cos(angle)))
    return out


def site_of(shape: Any, index: int) -> Point:
    """A connection site as the shape's geometry defines it: the presets' sides, or a custom shape's own."""
    left, top, width, height = (value / EMU for value in (shape.left, shape.top, shape.width, shape.height))
    shares = {"rect": {0: (0.5, 0), 1: (0, 0.5), 2: (0.5, 1), 3: (1, 0.5)}}
    shares["roundRect"], shares["ellipse"] = shares["rect"], {2 * n: at for n, at in shares["rect"].items()}
    preset = shape._element.find(".//{*}prstGeom")
    if preset is not None:
        x, y = shares[preset.get("prst")][index]
        return Point(left + x * width, top + y * height)
    guides = {gd.get("name"): gd.get("fmla").split() for gd in shape._element.findall(".//{*}gdLst/{*}gd")}
    at = shape._element.findall(".//{*}cxn")[index].find("{*}pos")
    (_, x, _, w), (_, y, _, h) = guides[at.get("x")], guides[at.get("y")]
    return Point(left + width * int(x) / int(w), top + height * int(y) / int(h))


@every_case
def test_a_connector_is_drawn_from_site_to_site(name: str, style: str, level: str, focus: str) -> None:
    scene = scene_of(name, style, level, focus)
    (slide,) = slides_of(to_pptx([scene]))
    by_id = {shape.shape_id: shape for shape in shapes_of(slide.shapes)}
    arrows = {thing.name: thing for thing in things(scene) if thing.ends}
    exact = 0
    for shape in by_id.values():
        if shape.name in arrows and shape.shape_type == pptx.enum.shapes.MSO_SHAPE_TYPE.LINE:
            line = connector_line(shape)
            for tag, point in (("stCxn", line[0]), ("endCxn", line[-1])):
                end = shape._element.find(f".//{{*}}{tag}")
                site = site_of(by_id[int(end.get("id"))], int(end.get("idx")))
                assert dist(site, point) < 1.1
            paths = [item for item in arrows[shape.name].items if isinstance(item, Path)]
            drawn = [point for path in paths for point in path.points]
            exact += dist(drawn[0], line[0]) < 1.6 and dist(drawn[-1], line[-1]) < 1.6
    assert exact >= len(arrows) * {"volumes": 0.9, "article": 0.6, "graph": 0.2}[style]


def hand(members: list[Any]) -> Scene:
    return Scene(EVIL, "", 300, 200, "#FFFFFF", members)


def box(id: str, x: float, y: float) -> Cluster:
    words = Text(Point(x + 20, y + 12), EVIL[:14], 8, "#000000")
    return Cluster("box", members=[Polygon(rectangle(x, y, 40, 20), "#EEEEEE", "#111111", round=3), words], id=id)


@pytest.mark.parametrize(
    "points",
    [
        [(60, 30), (100, 30)],
        [(60, 30), (80, 30), (80, 90), (100, 90)],
        [(60, 30), (80, 30), (80, 150), (10, 150), (10, 90), (100, 90)],
        [(40, 40), (40, 60), (120, 60), (120, 80)],
        [(40, 20), (40, 5), (120, 5), (120, 80)],
        [(60, 30), (120, 30), (120, 80)],
        [(20, 30), (10, 30), (10, 150), (120, 150), (120, 100)],
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_bends_of_an_arrow_are_kept(points: list[tuple[int, int]], mirrored: bool) -> None:
    """Each number of parts, in each direction."""
    at = [Point(300 - x if mirrored else x, y) for x, y in points]
    first, second = (Point(260 - x if mirrored else x, y) for x, y in ((20, 20), (100, 80 if at[-1].y > 40 else 20)))
    arrow = Cluster("arrow", members=[Path(tuple(at), "#222222", head=True)], id="arrow-a-b", ends=("box-a", "box-b"))
    (slide,) = slides_of(to_pptx([hand([box("box-a", *first), box("box-b", *second), arrow])]))
    (connector,) = [shape for shape in slide.shapes if shape.name == "arrow-a-b"]
    line = connector_line(connector)
    assert len(line) == len(at)
    assert all(dist(a, b) < 0.05 for a, b in zip(line, at, strict=True)), (line, at)


def test_text_of_a_spec_is_text_in_both_files() -> None:
    scene = hand([box("box-a", 20, 20), box("box-a", 90, 20)])
    (slide,) = slides_of(to_pptx([scene]))
    assert [shape.text_frame.text for shape in slide.shapes] == [EVIL[:14]] * 2
    assert [shape.name for shape in slide.shapes] == ["box-a", "box-a-copy2"]
    root = ElementTree.fromstring(to_drawio([scene]))
    values = [cell.get("value") for cell in root.iter("mxCell") if cell.get("value")]
    assert all(set(re.findall(r"<(/?\w+)", value)) <= {"font", "/font", "b", "/b", "br"} for value in values)
    assert [html.unescape(re.sub("<[^>]*>", "", value)) for value in values] == [EVIL[:14]] * 2


@every_case
def test_draw_io_arrows_are_attached_and_have_the_points_of_the_drawing(
    name: str, style: str, level: str, focus: str
) -> None:
    scene = scene_of(name, style, level, focus)
    root = ElementTree.fromstring(to_drawio([scene]))
    cells = {cell.get("id"): cell for cell in root.iter("mxCell")}
    assert len(cells) == sum(1 for _ in root.iter("mxCell")), "ids are unique"
    assert all(cell.get("parent") in cells for id, cell in cells.items() if id != "0")
    texts = [html.unescape(re.sub("<[^>]*>", " ", cell.get("value") or "")) for cell in cells.values()]
    assert words_of(texts) == words_of([item.text for item in scene.items() if isinstance(item, Text)])
    arrows = [thing for thing in things(scene) if thing.ends]
    edges = [cell for cell in cells.values() if cell.get("source")]
    assert [(edge.get("source"), edge.get("target")) for edge in edges] == [arrow.ends for arrow in arrows]
    for arrow, edge in zip(arrows, edges, strict=True):
        style_of = dict(part.split("=", 1) for part in (edge.get("style") or "").split(";") if "=" in part)
        paths = [item for item in arrow.items if isinstance(item, Path)]
        for word, end, point in (("exit", "source", paths[0].points[0]), ("entry", "target", paths[-1].points[-1])):
            at = cells[edge.get(end)].find("mxGeometry")
            left, top, width, height = (float(at.get(key)) for key in ("x", "y", "width", "height"))
            placed = Point(left + width * float(style_of[word + "X"]), top + height * float(style_of[word + "Y"]))
            assert dist(placed, point) < 0.1


def test_files_have_the_mark_of_archdsl_and_stay_readable(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = archdsl.load("lenet5")
    for _ in range(2):  # the second replaces the first
        for path in ("a.pptx", "a.drawio"):
            net.save_diagram(path)
    with zipfile.ZipFile("a.pptx") as archive:
        assert archive.comment.startswith(b"drawn by archdsl")
    assert slides_of((tmp_path / "a.pptx").read_bytes())
    assert diagram(net.graph, "pptx").data == diagram(net.graph, "pptx").data
    assert ElementTree.parse("a.drawio").getroot().tag == "mxfile"


# --- steps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["graph", "volumes", "article"])
def test_steps_add_one_block_each_and_end_with_the_whole(style: str) -> None:
    scene = scene_of("resnet18", style, focus="layer2.0" if style == "article" else "")
    built = [things(step) for step in steps(scene)]
    names = [{thing.name for thing in step if thing.name} for step in built]
    assert all(before < after for before, after in pairwise(names))
    assert sorted(map(repr, steps(scene)[-1].items())) == sorted(map(repr, scene.items()))
    for step, known in zip(built, names, strict=True):
        assert all(end in known for thing in step for end in thing.ends or ()), "an arrow comes with its second end"
    assert len({(step.width, step.height) for step in steps(scene)}) == 1


@pytest.mark.parametrize("style, focus", [("sheets", ""), ("article", "layer2.1"), ("article", "layer2.0")])
def test_a_step_has_the_texts_and_lines_of_its_boxes_only(style: str, focus: str) -> None:
    scene = scene_of("resnet18", style, focus=focus)
    first, whole = (set(map(repr, step.items())) for step in (steps(scene)[0], scene))
    heading = sum(isinstance(member, Text) for member in scene.members)
    texts = [item for item in steps(scene)[0].items() if isinstance(item, Text)]
    assert first < whole and len(texts) - heading <= 3, "a name, a size and a mark of the input"
    assert not any(isinstance(item, Path) for item in steps(scene)[0].items())


def boxes_of(step: list[Thing]) -> list[str]:
    return [thing.name for thing in step if thing.name.startswith("box-")]


def test_a_step_of_layers_is_a_block() -> None:
    built = [boxes_of(things(step)) for step in steps(scene_of("resnet18", "graph", "layer"))]
    new = [set(after) - set(before) for before, after in zip([[], *built], built, strict=False)]
    assert new[0] == {"box-input"} and new[1] == {"box-conv1"}
    assert {"box-layer2-0-conv1", "box-layer2-0-downsample-0", "box-layer2-0-add"} in [
        {name for name in step if not name.endswith("relu") and "conv2" not in name} for step in new
    ]
    assert len(built) == 12, "input, conv1, maxpool, seven drawn blocks, avgpool, fc"


def test_steps_are_slides_of_one_file_or_numbered_files(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = archdsl.load("lenet5")
    saved = net.save_diagram("a.pptx", steps=True)
    count = len(steps(scene_of("lenet5", "graph")))
    assert len(slides_of(saved.path.read_bytes())) == count and [path.name for path in saved.paths] == ["a.pptx"]
    files = net.save_diagram("b.svg", steps=True).paths
    assert [path.name for path in files] == [f"b-{n}.svg" for n in range(1, count + 1)]
    assert files[-1].read_text().partition("?>")[2].count("<g ") >= to_svg(scene_of("lenet5", "graph")).count("<g ")
    auto = draw_steps([Request(net.graph)], "svg")[0].data.decode()
    assert "prefers-color-scheme" in auto
    with pytest.raises(ArchError) as caught:
        net.save_diagram("c.mmd", steps=True)
    assert caught.value.diagnostics[0].code == "E0729" and not (tmp_path / "c.mmd").exists()


def test_steps_in_powerpoint_are_slides_of_a_screen_if_no_size_is_set(tmp_path: Any) -> None:
    import pptx

    net = archdsl.load("lenet5")
    sides = [(338, 190), (170, 0)]
    for options, (width, height) in zip(({}, {"width_mm": 170}), sides, strict=True):
        net.save_diagram(tmp_path / "a.pptx", steps=True, force=True, **options)
        deck: Any = pptx.Presentation(str(tmp_path / "a.pptx"))
        assert deck.slide_width / 36000 == pytest.approx(width, abs=0.1)
        assert deck.slide_height / 36000 == pytest.approx(height, abs=0.1) or not height


def test_a_figure_of_one_step_is_reported(tmp_path: Any) -> None:
    for name, codes in (("perceptron", ["N0722"]), ("inception_v3", [])):
        for file in ("a.svg", "a.drawio"):
            saved = archdsl.load(name).save_diagram(tmp_path / f"{name}-{file}", style="article", steps=True)
            assert [note.code for note in saved.notes] == codes


def test_a_scene_without_boxes_is_one_step() -> None:
    scene = hand([Text(Point(3, 3), "x", 8, "#000000")])
    assert [list(step.items()) for step in steps(scene)] == [list(scene.items())]
    assert Options().fragment is False


@pytest.mark.parametrize("name", ["resnet18", "unet"])
def test_a_connector_goes_around_the_boxes_between(name: str) -> None:
    scene = scene_of(name, "graph", "layer")
    (slide,) = slides_of(to_pptx([scene]))
    parts = things(scene)
    boxes = {thing.name: thing.bounds for thing in parts if thing.name.startswith("box-")}
    ends = {thing.name: thing.ends for thing in parts if thing.ends}
    for shape in slide.shapes:
        if shape.name in ends and shape.shape_type == pptx.enum.shapes.MSO_SHAPE_TYPE.LINE:
            others = [box for box in boxes if box not in (ends[shape.name] or ())]
            for x, y in Path(tuple(connector_line(shape)), "#000000").along(2.0):
                inside = [
                    box
                    for box, (left, top, right, bottom) in ((box, boxes[box]) for box in others)
                    if left < x < right and top < y < bottom
                ]
                assert inside == [], shape.name
