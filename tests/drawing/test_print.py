"""Drawings on paper, measured in their SVG: `archdsl.drawing.graph.printing`, `archdsl.drawing.graph.columns`,
`archdsl.drawing.scene.printing`, `archdsl.drawing.scene.readable` and the presets of `archdsl.drawing.paper`."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import combinations, count, islice, pairwise
from math import dist
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.axes import axes_of
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.drawing.diagram import STYLES, diagram, draw, load, painter
from archdsl.drawing.metrics import FONTS, text_width
from archdsl.drawing.model import words
from archdsl.drawing.picture import _GLYPHS
from archdsl.drawing.request import Options, Request, Style
from archdsl.drawing.scene import Hatch, Point, Polygon, Scene, Text
from archdsl.drawing.scene.printing import printed
from archdsl.drawing.scene.readable import readable
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import LIGHT, THEMES, Theme
from archdsl.drawing.volumes.paint import box, faces
from archdsl.graph import Graph
from archdsl.spec.find import library_files
from archdsl.spec.open import read_spec

SVG = "{http://www.w3.org/2000/svg}"
MM = 72 / 25.4
FAMILIES = sorted(path.stem for path in library_files())


class Page(NamedTuple):
    """An SVG as a reader measures it: its size in millimetres, and the size of each text in points."""

    width: float
    height: float
    letters: dict[str, float]
    root: ET.Element


def measured(svg: bytes) -> Page:
    root = ET.fromstring(svg)
    width, height = (float(root.get(side, "").removesuffix("pt")) for side in ("width", "height"))
    zoom = width / float(root.get("viewBox", "").split()[2])
    sizes = dict(re.findall(r"\.(c\d+)\{[^}]*font-size:([0-9.]+)px", root.findtext(f"{SVG}style", "")))
    letters = {"".join(t.itertext()): zoom * float(sizes[t.get("class", "")]) for t in root.iter(f"{SVG}text")}
    return Page(width / MM, height / MM, letters, root)


def drawn(graph: Graph, style: str = "graph", **options: Any) -> Page:
    return measured(diagram(graph, options=Options(theme="print", **options), style=style).data)


def network(family: str) -> archdsl.Network:
    path = next(path for path in library_files() if path.stem == family)
    return archdsl.load(read_spec(path).name)


@pytest.mark.parametrize("style", ["graph", "volumes"])
@pytest.mark.parametrize(
    "family", [pytest.param(f, marks=[pytest.mark.slow] if n % 9 != 4 else []) for n, f in enumerate(FAMILIES)]
)
def test_every_family_is_readable_in_a_column_and_on_a_page(family: str, style: str) -> None:
    """Or it is refused with a width that fits."""
    graph = network(family).graph
    if style == "volumes" and not any(axes_of(node.shape) for node in graph.nodes):
        pytest.skip("vectors only")
    for width in (85, 170):
        try:
            page = drawn(graph, style, width_mm=width)
        except ArchError as refused:
            (found,) = refused.diagnostics
            fits = re.search(r"--width (\d+)`", found.help or "")
            assert found.code == "E0721" and fits is not None and int(fits[1]) > width
            page = drawn(graph, style, width_mm=int(fits[1]))
            width = int(fits[1])
        assert page.width == pytest.approx(width, abs=0.05) and page.height <= 240.2
        assert min(page.letters.values()) >= 5.99, page.letters


def boxes(page: Page) -> list[tuple[float, float, float, float]]:
    groups = [g for g in page.root.iter(f"{SVG}g") if g.get("class", "").startswith("box ")]
    rects = [rect for g in groups for rect in g.iter(f"{SVG}rect")]
    return [tuple(float(rect.get(key, "")) for key in ("x", "y", "width", "height")) for rect in rects]  # type: ignore[misc]


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_a_long_chain_is_broken_into_columns_that_do_not_meet(direction: Any) -> None:
    net = ", ".join(f"3x3 conv {n}" for n in range(1, 41))
    graph = archdsl.loads(f"input: 3x32x32\nnet: [{net}]").graph
    page = drawn(graph, width_mm=170, direction=direction)
    found = boxes(page)
    assert len(found) == 41, "the output has no outline"
    for (ax, ay, aw, ah), (bx, by, bw, bh) in combinations(found, 2):
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay
    across = (
        {round(x + w / 2) for x, _, w, _ in found} if direction == "TB" else {round(y + h / 2) for _, y, _, h in found}
    )
    assert 2 <= len(across) <= 12, "the centres of columns, or of rows"
    arrows = [g for g in page.root.iter(f"{SVG}g") if g.get("class") == "arrow"]
    assert [(g.get("data-from"), g.get("data-to")) for g in arrows] == [(str(n), str(n + 1)) for n in range(41)]
    for arrow in arrows:
        numbers = [float(n) for n in re.findall(r"-?[0-9.]+", arrow.findall(f"{SVG}path")[0].get("d", ""))]
        x, y = numbers[:2]
        left, top, width, height = found[int(arrow.get("data-from", ""))]
        assert left - 1 <= x <= left + width + 1 and top - 1 <= y <= top + height + 1, "it starts at its box"


def test_text_is_as_large_as_the_page_allows_and_no_larger_than_requested() -> None:
    graph = archdsl.load("resnet50").graph
    sizes = [drawn(graph, width_mm=mm).letters["layer1.0"] for mm in (85, 170, 400)]
    assert all(a < b + 0.02 for a, b in pairwise(sizes)) and sizes[-1] == pytest.approx(9, abs=0.01), (
        "at most its own size"
    )
    assert drawn(graph, width_mm=170, font_size=8).letters["bottleneck"] == pytest.approx(8, abs=0.02)
    assert drawn(graph, width_mm=170, height_mm=80).height <= 80.1
    assert min(drawn(graph, width_mm=170, min_font=10).letters.values()) == pytest.approx(10, abs=0.01), "enlarged"


def test_words_are_broken_and_left_out_before_the_drawing_is_refused() -> None:
    calls = "".join(f"\n  - dual(64, {n}, 1)" for n in range(101, 141))
    block = "blocks:\n  dual(a, c, d): [3x3 conv c, relu]"
    graph = archdsl.loads(f"input: 3x32x32\n{block}\nnet:{calls}").graph
    wide, narrow = drawn(graph, width_mm=260), drawn(graph, width_mm=100)
    assert "dual(a=64, c=101, d=1)" in wide.letters and "c=101, d=1)" in narrow.letters
    done = CliRunner().invoke(main, ["diagram", "lenet5", "-o", "-", "--width", "20"])
    assert done.exit_code == 2 and "error[E0721]" in done.stderr and not done.stdout


def test_a_figure_that_fills_the_width_is_refused_only_on_request() -> None:
    graph = archdsl.load("densenet121").graph
    assert min(drawn(graph, "article", width_mm=40).letters.values()) < 6
    with pytest.raises(ArchError, match="at least 8 points") as refused:
        drawn(graph, "article", width_mm=40, min_font=8)
    fits = re.search(r"--width (\d+)`", refused.value.diagnostics[0].help or "")
    assert fits is not None
    assert min(drawn(graph, "article", width_mm=int(fits[1]), min_font=8).letters.values()) >= 7.99


def test_a_refusal_tries_one_other_width_if_none_would_fit() -> None:
    tried: list[int | None] = []

    def attempts(request: Request) -> Iterator[Painter]:
        tried.append(request.options.width_mm)
        text = Text(Point(0, 0), "a", 20.0, "#000000")
        yield lambda theme: Scene("", "", 2000.0, 2000.0, theme.background, members=[text], body=20.0)

    graph = archdsl.load("lenet5").graph
    with pytest.raises(ArchError, match="E0721"):
        readable(attempts, Request(graph, options=Options(width_mm=85, height_mm=30)))
    assert tried == [85, 1000]


def test_nothing_is_painted_to_choose_a_drawing_without_a_size() -> None:
    def painter(theme: Theme) -> Scene:
        raise AssertionError(theme)

    assert readable(lambda request: iter([painter]), Request(archdsl.load("lenet5").graph)) is painter


@pytest.mark.parametrize("style", ["graph", "volumes", "sheets"])
def test_a_network_is_described_once_for_all_attempts(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = count()
    monkeypatch.setattr(words, "structure", lambda *_: f"{next(counted)} parts")
    request = Request(
        archdsl.loads("input: 1x8x8\nnet: [3x3 conv 4, 3x3 conv 4, fc 2]").graph, options=Options(width_mm=40)
    )
    assert len([paint(LIGHT) for paint in islice(load(STYLES[style])(request), 4)]) == 4 and next(counted) == 1


def test_a_figure_of_two_networks_divides_its_paper() -> None:
    lenet, resnet = (archdsl.load(name).graph for name in ("lenet5", "resnet20"))
    page = measured(draw([Request(graph, options=Options(width_mm=170)) for graph in (lenet, resnet)]).data)
    assert page.width == pytest.approx(170, abs=0.05) and min(page.letters.values()) >= 5.99
    assert {"(a) lenet5", "(b) resnet20"} <= set(page.letters)


def test_the_smallest_label_is_reported(tmp_path: Path) -> None:
    net = archdsl.load("resnet50")
    for format in ("svg", "png", "tex"):
        saved = net.save_diagram(tmp_path / f"x.{format}", width_mm=85)
        svg = measured((tmp_path / "x.svg").read_bytes())
        assert saved.smallest_pt == pytest.approx(min(svg.letters.values()), abs=0.02) and saved.width_mm == 85
    assert net.save_diagram(tmp_path / "x.dot").smallest_pt is None
    done = CliRunner().invoke(main, ["diagram", "resnet50", "-o", str(tmp_path / "y.svg"), "--width", "85"])
    assert re.search(r"smallest label 7\.\d pt at 85 mm\n$", done.stderr), done.output


def test_a_paper_sets_what_is_not_set() -> None:
    graph = archdsl.load("vgg16").graph
    ieee = drawn(graph, paper="ieee")
    assert ieee.width == pytest.approx(88, abs=0.05) and ieee.height <= 228.1
    assert drawn(graph, paper="ieee", width_mm=181).width == pytest.approx(181, abs=0.05)
    print_theme = diagram(graph, options=Options(paper="miccai")).data
    assert b"prefers-color-scheme:dark){}" in print_theme or b"prefers-color-scheme" not in print_theme
    assert b"pattern" in print_theme and b"pattern" not in diagram(graph, options=Options("light", paper="miccai")).data
    with pytest.raises(ArchError, match="choose one of: ieee, acm, springer, miccai, a4, slide"):
        Options(paper="iee")  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "style"), [("resnet50", "graph"), ("unet", "volumes"), ("googlenet", "article")])
def test_a_slide_is_filled_by_the_drawing_in_its_middle(name: str, style: Style) -> None:
    """PowerPoint's widescreen, in the direction that fits: the chain of resnet50 is not one column."""
    slide = measured(diagram(archdsl.load(name).graph, options=Options(paper="slide"), style=style).data)
    assert (slide.width, slide.height) == (pytest.approx(338, abs=0.05), pytest.approx(190, abs=0.05))
    assert min(slide.letters.values()) >= 9.99
    paint = painter([Request(archdsl.load(name).graph, options=Options(paper="slide"))], style)(LIGHT)
    size = printed(paint, Options(paper="slide"))
    assert max(paint.width * size.factor / 338, paint.height * size.factor / 190) / 72 * 25.4 > 0.9
    assert size.factor > 1.5 or style != "article"


def lengths(svg: str) -> dict[str, tuple[float, float, bool]]:
    """Each text with its length in the layout, its font size and its weight."""
    root = ET.fromstring(svg)
    rules = dict(re.findall(r"\.(c\d+)\{([^}]*)\}", root.findtext(f"{SVG}style", "").split("@media")[0]))
    found = {}
    for text in root.iter(f"{SVG}text"):
        rule = rules[text.get("class", "")]
        size = float(re.findall(r"font-size:([0-9.]+)px", rule)[0])
        if (length := text.get("textLength")) is not None:
            assert text.get("lengthAdjust") == "spacingAndGlyphs"
            found["".join(text.itertext())] = float(length), size, "bold" in rule
    return found


@pytest.mark.parametrize(("name", "style"), [("edge_filter", "article"), ("vgg16", "volumes")])
def test_every_text_of_two_characters_has_its_length(name: str, style: Style) -> None:
    """Without Helvetica, a browser takes a wider font: `128 128` would run together, and a line would be cut."""
    root = ET.fromstring(diagram(archdsl.load(name).graph, style=style).data)
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text") if text.get("textLength") is None]
    assert all(len(text) == 1 for text in texts), texts


@pytest.mark.parametrize("font", ["sans", "serif"])
def test_a_text_has_the_length_of_the_font_in_the_package(font: Any) -> None:
    """So that it fits its box in every other font, too."""
    fonts = pytest.importorskip("fontTools.ttLib")
    names = {"sans": "Arimo", "serif": "ArchdslSerif"}
    files = {bold: fonts.TTFont(FONTS / f"{names[font]}-{'Bold' if bold else 'Regular'}.ttf") for bold in (False, True)}
    for style in ("graph", "volumes"):
        svg = diagram(
            archdsl.load("resnet50").graph, options=Options(width_mm=85, font=font), style=style
        ).data.decode()
        found = lengths(svg)
        assert len(found) > 8 and ("Times" in svg) == (font == "serif")
        for text, (length, size, bold) in found.items():
            cmap, advance = files[bold].getBestCmap(), files[bold]["hmtx"]
            units = files[bold]["head"].unitsPerEm
            width = sum(advance[cmap[ord(char)]][0] for char in text) * size / units
            assert length == pytest.approx(width, rel=0.03, abs=0.1), text


@pytest.mark.parametrize("font", ["sans", "serif"])
def test_the_bundled_font_is_embedded(font: Any, tmp_path: Path) -> None:
    net = archdsl.load("lenet5")
    pdf = net.save_diagram(tmp_path / "x.pdf", width_mm=85, font=font).path.read_bytes()
    assert (b"ArchdslSerif" in pdf) == (font == "serif") and (b"Arimo" in pdf) == (font == "sans")
    tex = net.save_diagram(tmp_path / "x.tex", width_mm=85, font=font).path.read_text()
    assert ("\\rmfamily" in tex) == (font == "serif")
    fonts = pytest.importorskip("fontTools.ttLib")
    for low, high in _GLYPHS[1:]:
        for name in ("Arimo-Regular", "Arimo-Bold", "ArchdslSerif-Regular", "ArchdslSerif-Bold"):
            assert set(range(ord(low), ord(high) + 1)) <= set(fonts.TTFont(FONTS / f"{name}.ttf").getBestCmap())


# --- colours ---------------------------------------------------------------------------------------------


def channels(color: str) -> list[float]:
    """Linear red, green and blue (IEC 61966-2-1)."""
    values = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def luminance(color: str) -> float:
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), channels(color), strict=True))


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2.1."""
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_no_line_of_a_hatch_runs_through_a_label() -> None:
    graph = archdsl.loads("input: 3\nnet: [fc 20 softplus, fc 2]").graph
    items = list(painter([Request(graph)])(THEMES["print"]).items())
    hatched = [n for n, item in enumerate(items) if isinstance(item, Polygon) and isinstance(item.fill, Hatch)]
    assert len(hatched) == 2
    for start, labels in zip(hatched, ({"fc 20", "softplus"}, {"fc 2"}), strict=True):
        plate = items[start + 1]
        assert isinstance(plate, Polygon) and plate.fill == THEMES["print"].background
        texts = list(islice((item for item in items[start + 2 :] if isinstance(item, Text)), len(labels)))
        assert {item.text for item in texts} == labels
        left, right = (side(point.x for point in plate.points) for side in (min, max))
        for item in texts:
            half = text_width(item.text, item.size, item.bold) / 2
            assert left < item.at.x - half and item.at.x + half < right
            assert min(p.y for p in plate.points) <= item.at.y - 0.7 * item.size
            assert item.at.y + 0.2 * item.size <= max(p.y for p in plate.points)


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_text_and_outlines_stand_out(theme: Theme) -> None:
    grounds = {theme.background, theme.stage, *(color.fill for color in theme.colors.values())}
    for ink in (theme.ink, theme.quiet):
        assert min(contrast(ink, ground) for ground in grounds) >= 4.5
    assert contrast(theme.arrow, theme.background) >= 4.5 and contrast(theme.arrow, theme.stage) >= 4.5
    for look, color in theme.colors.items():
        assert min(contrast(color.line, ground) for ground in (theme.background, theme.stage, color.fill)) >= 3, look
        if look != "output":
            front, _, _, line = faces(theme, look)
            assert contrast(line, front) >= 3 and contrast(line, theme.background) >= 3, look


MACHADO = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "grey": ((0.2126, 0.7152, 0.0722),) * 3,
}
"""Machado, Oliveira and Fernandes (2009), severity 1; and a print without colour."""


def lab(color: str, matrix: tuple[tuple[float, ...], ...]) -> list[float]:
    """CIE L*a*b* of a colour as a reader with this matrix sees it."""
    rgb = [min(max(sum(m * c for m, c in zip(row, channels(color), strict=True)), 0), 1) for row in matrix]
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [
        sum(m * c for m, c in zip(row, rgb, strict=True)) / w for row, w in zip(to_xyz, (0.9505, 1, 1.089), strict=True)
    ]
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz]
    return [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
@pytest.mark.parametrize("eyes", MACHADO)
def test_volumes_are_told_apart_without_colour_vision(theme: Theme, eyes: str) -> None:
    """By pattern, or by a colour that looks different; bars and named blocks have a shape and a text of their own."""
    looks = [look for look in theme.colors if look not in ("output", "unknown", "block", "fc")]
    for a, b in combinations(looks, 2):
        one, other = (
            next(i for i in reversed(box(0, 0, 9, 9, 9, theme, look)) if isinstance(i, Polygon)) for look in (a, b)
        )
        patterns = [(fill.lines, fill.cell) if isinstance(fill, Hatch) else None for fill in (one.fill, other.fill)]
        if patterns[0] == patterns[1]:
            seen = [lab(faces(theme, look)[0], MACHADO[eyes]) for look in (a, b)]
            assert dist(*seen) >= 8, (a, b)
