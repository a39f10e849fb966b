"""Figures of several pictures: rows, letters and captions, read back from the scene.

Tests `drawing/panels.py`.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from archdsl.drawing.metrics import wrapped
from archdsl.drawing.panels import MARGIN, READ, side_by_side
from archdsl.drawing.request import Options
from archdsl.drawing.scene import PORTRAIT, Cluster, Scene, Text
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import LIGHT


def picture(width: float, height: float, name: str, note: str = "") -> Painter:
    return lambda theme: Scene(name, "", width, height, theme.background, label=(name, "a network"), note=note)


def figure(*sizes: tuple[float, float], options: Options = Options()) -> tuple[Scene, list[Cluster], list[Text]]:
    painters = [picture(*size, f"net{n}") for n, size in enumerate(sizes)]
    scene = side_by_side(painters, options)(LIGHT)
    panels = [member for member in scene.members if isinstance(member, Cluster)]
    return scene, panels, [member for member in scene.members if isinstance(member, Text)]


def test_pictures_that_fit_are_one_row_with_letters_on_one_line() -> None:
    scene, panels, texts = figure((100, 50), (120, 200), (80, 20))
    labels = texts[:3]
    assert [label.text for label in labels] == ["(a) net0", "(b) net1", "(c) net2"]
    assert len({label.at.y for label in labels}) == 1
    for panel, label, (width, height) in zip(panels, labels, ((100, 50), (120, 200), (80, 20)), strict=True):
        assert label.at.x == pytest.approx(panel.shift.x + width / 2), "each letter is below the middle of its picture"
        assert panel.shift.y + height < label.at.y < scene.height
    assert all(a.shift.x < b.shift.x for a, b in pairwise(panels))


@pytest.mark.parametrize("paper_mm", [None, 85, 170])
def test_a_row_that_would_be_too_small_on_paper_is_broken(paper_mm: int | None) -> None:
    scene, panels, _ = figure(*[(150, 60)] * 8, options=Options(width_mm=paper_mm))
    paper = PORTRAIT.width if paper_mm is None else paper_mm * 72 / 25.4
    assert paper / scene.width >= READ * 0.999
    rows = sorted({panel.shift.y for panel in panels})
    fit = int((paper / READ - 2 * MARGIN + 14) / (150 + 14))
    assert len(rows) == -(-8 // fit)


def test_the_title_is_the_caption_and_an_empty_one_leaves_only_the_letters() -> None:
    described, named, bare = (
        [text.text for text in figure((300, 50), (300, 50), options=Options(title=title))[2]]
        for title in (None, "Two networks.", "")
    )
    assert described[2:] == ["(a) net0: a network; (b) net1: a network"]
    assert named[2:] == ["Two networks."]
    assert bare == ["(a)", "(b)"]


def test_parts_of_one_network_are_named_by_their_paths() -> None:
    def part(path: str) -> Painter:
        return lambda theme: Scene(path, "", 300, 50, theme.background, label=("net", f"a block: {path}"))

    scene = side_by_side([part("stem"), part("head")], Options())(LIGHT)
    texts = [member.text for member in scene.members if isinstance(member, Text)]
    assert texts == ["(a) stem", "(b) head", "net: (a) a block: stem; (b) a block: head"]


def test_a_figure_has_the_notes_of_its_pictures_once() -> None:
    painters = [picture(10, 10, "a", "drawn in part"), picture(10, 10, "b"), picture(10, 10, "c", "drawn in part")]
    assert side_by_side(painters, Options())(LIGHT).note == "drawn in part"


def test_the_caption_and_the_alternative_text_are_of_each_picture() -> None:
    def part(name: str, *signs: str) -> Painter:
        described = f"{name} has 5 params. " + "; ".join(f"layer{n} of {name}" for n in range(60)) + "."
        shows = f"{name}: 5 params"
        return lambda theme: Scene(
            name, described, 30, 50, theme.background, label=(name, "5 params"), shows=shows, signs=signs
        )

    scene = side_by_side([part("one", "A box is a layer"), part("two", "A box is a layer", "Red is hot")], Options())(
        LIGHT
    )
    assert scene.caption == "(a) one: 5 params; (b) two: 5 params. A box is a layer. (b): Red is hot."
    first, _, second = scene.alt.partition("; \u2026; ")
    assert first.startswith("(a) one: one has 5 params. layer0 of one; ") and "two" not in first
    assert second.startswith("(b) two: two has 5 params. layer0 of two; ") and "one" not in second
    assert 250 < len(scene.alt) <= 300
    assert "layer59 of one. (b) two has" in scene.description, "readers of the SVG get all"
    many = side_by_side([part(f"net{n}") for n in range(26)], Options())(LIGHT)
    assert len(many.alt) <= 300 and many.alt.startswith("(a) net0; (b) net1; ")


def test_a_long_text_is_broken_at_spaces() -> None:
    lines = wrapped("one two three four five six", 40, 8)
    assert len(lines) > 1 and " ".join(lines) == "one two three four five six"
    assert wrapped("", 40, 8) == []
