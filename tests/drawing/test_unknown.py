"""Drawings of incomplete networks: unknown nodes are marked, or the drawing is refused.

Tests `drawing/diagram.py`, `drawing/model/boxes.py`, `drawing/model/heading.py` and `cli/diagram.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl import ArchError
from archdsl.cli import main
from archdsl.drawing.diagram import FORMATS, STYLES, diagram, formats
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import LEVELS, View
from archdsl.drawing.request import Heat, Options, ThemeChoice

SPEC = """name: tiny
input: 3x32x32
defaults: {conv: bn relu}
blocks:
  pair(c): {residual: {a: 3x3 conv c, b: 3x3 conv c linear}, then: relu}
net:
  stem: 3x3 conv 16 /2
  layer1: 2 * pair(16)
  mix: {inception: {one: 1x1 conv 8, two: 3x3 co}}
  layer2: 2 * pair(16)
  parts: split 2
  sum: add <- parts.0, parts.1
  side: 3x3 conv 8 <- stem
  _x: 3x3 conv
  fc: fc 10
"""
UNKNOWN = {"mix", "layer2.0", "parts/unknown", "sum", "/unknown", "fc"}


def partial(text: str = SPEC) -> archdsl.Network:
    return archdsl.loads(text, partial=True)


def run(*args: object, folder: Path, text: str = SPEC) -> Result:
    (folder / "tiny.yaml").write_text(text)
    return CliRunner().invoke(main, ["diagram", str(folder / "tiny.yaml"), *map(str, args)])


def test_the_boxes_with_unknown_nodes_are_marked_and_no_others() -> None:
    drawing = compose(partial().graph)
    marked = {box.path for box in drawing.boxes() if box.look == "unknown"}
    assert marked == UNKNOWN
    assert all(box.title.startswith("?") for box in drawing.boxes() if box.look == "unknown" and not box.sign)
    assert not any("?" in box.title for box in drawing.boxes() if box.look != "unknown")
    inside = {box.path: box.look for box in compose(partial().graph, View("layer")).boxes()}
    assert (inside["mix.one"], inside["mix.two"], inside["mix/concat"]) == ("conv", "unknown", "unknown")
    whole = archdsl.loads(SPEC.replace("co}", "conv 8}").replace("_x: 3x3 conv", "_x: relu"))
    for level in LEVELS:
        assert all(box.look != "unknown" for box in compose(whole.graph, View(level)).boxes())


@pytest.mark.parametrize("level", LEVELS)
def test_svg_has_a_dashed_outline_for_each_unknown_box(level: str) -> None:
    svg = partial().diagram(level, legend=True).svg  # type: ignore[arg-type]
    outlines = re.findall(r'<g class="box (\w+)"[^>]*>(?:<title>.*?</title>)<(?:rect|circle) class="(\w+)"', svg)
    dashed = set(re.findall(r"\.(\w+)\{[^}]*stroke-dasharray", svg))
    assert any(look == "unknown" for look, _ in outlines)
    assert all((name in dashed) == (look == "unknown") for look, name in outlines)
    assert "unknown: errors in the spec" in svg
    assert "at least" in svg and "nodes unknown" in svg and "layers deep" not in svg


def test_text_formats_mark_unknown_boxes() -> None:
    graph = partial().graph
    dot = diagram(graph, "dot").data.decode()
    assert len(re.findall(r'\? .*style="rounded,filled,dashed"', dot)) == len(UNKNOWN) - 1
    assert dot.count('shape=circle, style="filled,dashed"') == 1
    mermaid = diagram(graph, "mmd").data.decode()
    assert len(re.search(r"class ([\w,]+) unknown", mermaid)[1].split(",")) == len(UNKNOWN)  # type: ignore[index]
    assert "stroke-dasharray" in mermaid
    assert "dash" in diagram(graph, "tex").data.decode()


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "html"])
@pytest.mark.parametrize("level", LEVELS)
def test_every_format_of_the_style_graph_draws_an_incomplete_network(format: str, level: str) -> None:
    assert diagram(partial().graph, format, View(level)).data  # type: ignore[arg-type]


@pytest.mark.parametrize("theme", get_args(ThemeChoice))
@pytest.mark.parametrize("color", get_args(Heat))
def test_themes_and_colours_by_share_keep_the_marks(theme: ThemeChoice, color: Heat) -> None:
    svg = diagram(partial().graph, options=Options(theme, color, legend=True)).data.decode()
    assert svg.count('class="box unknown"') == len(UNKNOWN)


@pytest.mark.parametrize(
    ("style", "format"), [("graph", "html"), *((s, f) for s in STYLES if s != "graph" for f in formats(s))]
)
def test_other_styles_and_the_page_refuse_an_incomplete_network(style: str, format: str, tmp_path: Path) -> None:
    for text in (SPEC, "input: 3x8x8\nname: tiny\nnet: {a: gap}\nthing: 1"):
        with pytest.raises(ArchError) as caught:
            partial(text).save_diagram(tmp_path / f"x.{format}", style=style)  # type: ignore[arg-type]
        assert [d.code for d in caught.value.diagnostics] == ["E0720"]
    assert list(tmp_path.iterdir()) == []


def test_the_command_draws_only_with_partial_and_exits_with_1(tmp_path: Path) -> None:
    picture = tmp_path / "x.svg"
    without = run("-o", picture, folder=tmp_path)
    assert without.exit_code == 1 and not picture.exists()
    assert without.stderr.endswith("`--partial` draws what is known\n")
    drawn = run("-o", picture, "--partial", folder=tmp_path)
    assert drawn.exit_code == 1 and drawn.stdout == ""
    assert drawn.stderr.startswith(without.stderr.removesuffix("`--partial` draws what is known\n") + "wrote ")
    assert picture.read_text().count('class="box unknown"') == len(UNKNOWN)
    streamed = run("-o", "-", "--partial", "--format", "mmd", folder=tmp_path)
    assert streamed.exit_code == 1 and "class" in streamed.stdout


def test_the_command_says_that_nothing_is_known(tmp_path: Path) -> None:
    result = run("-o", tmp_path / "x.svg", "--partial", folder=tmp_path, text="net")
    assert result.exit_code == 1 and not (tmp_path / "x.svg").exists()
    assert result.stderr.endswith("nothing is known of this network to draw\n")


@pytest.mark.parametrize("step", [1, 7])
def test_every_prefix_of_a_spec_can_be_drawn(step: int) -> None:
    lines = SPEC.splitlines(keepends=True)
    texts = ["".join(lines[:n]) for n in range(len(lines))] if step == 1 else [SPEC[:n] for n in range(0, 420, step)]
    for text in texts:
        graph = partial(text).graph
        if graph.nodes:
            for level in LEVELS:
                assert diagram(graph, "mmd", View(level)).data
