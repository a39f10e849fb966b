"""Drawings on paper, measured in their SVG: `archdsl.drawing.graph.printing`, `archdsl.drawing.graph.columns`,
`archdsl.drawing.scene.printing`, `archdsl.drawing.scene.readable` and the presets of `archdsl.drawing.paper`."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.axes import axes_of
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.drawing.diagram import diagram
from archdsl.drawing.request import Options
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
    assert drawn(graph, width_mm=170, font_size=8).letters["bottleneck(64)"] == pytest.approx(8, abs=0.02)
    assert drawn(graph, width_mm=170, height_mm=80).height <= 80.1


def test_words_are_broken_and_left_out_before_the_drawing_is_refused() -> None:
    graph = archdsl.load("dpn68").graph
    wide, narrow = drawn(graph, width_mm=170), drawn(graph, width_mm=85)
    assert "dual(64, 16, 128, 1, true)" in wide.letters and "true)" in narrow.letters
    done = CliRunner().invoke(main, ["diagram", "lenet5", "-o", "-", "--width", "20"])
    assert done.exit_code == 2 and "error[E0721]" in done.stderr and not done.stdout


def test_the_smallest_label_is_reported(tmp_path: Path) -> None:
    net = archdsl.load("resnet50")
    for format in ("svg", "png", "tex"):
        saved = net.save_diagram(tmp_path / f"x.{format}", width_mm=85)
        svg = measured((tmp_path / "x.svg").read_bytes())
        assert saved.smallest_pt == pytest.approx(min(svg.letters.values()), abs=0.02) and saved.width_mm == 85
    assert net.save_diagram(tmp_path / "x.dot").smallest_pt is None
    done = CliRunner().invoke(main, ["diagram", "resnet50", "-o", str(tmp_path / "y.svg"), "--width", "85"])
    assert re.search(r"smallest label 7\.\d pt at 85 mm\n$", done.stdout), done.output


def test_a_paper_sets_what_is_not_set() -> None:
    graph = archdsl.load("vgg16").graph
    ieee = drawn(graph, paper="ieee")
    assert ieee.width == pytest.approx(88, abs=0.05) and ieee.height <= 228.1
    assert drawn(graph, paper="ieee", width_mm=181).width == pytest.approx(181, abs=0.05)
    print_theme = diagram(graph, options=Options(paper="miccai")).data
    assert b"prefers-color-scheme:dark){}" in print_theme or b"prefers-color-scheme" not in print_theme
    assert b"pattern" in print_theme and b"pattern" not in diagram(graph, options=Options("light", paper="miccai")).data
    with pytest.raises(ArchError, match="choose one of: ieee, acm, springer, miccai, a4"):
        Options(paper="iee")  # type: ignore[arg-type]
