"""One drawing of two networks shows what the text lists: each change once, and no other.

Tests `differences/merged.py`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.differences.merged import Apart, merge
from archdsl.drawing.model.drawing import View


def texts(svg: bytes) -> dict[str, list[str]]:
    """The texts of each box, by its path."""
    groups = [g for g in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}g") if g.get("data-box")]
    return {g.get("data-path", ""): ["".join(t.itertext()) for t in g.findall(".//{*}text")] for g in groups}


@pytest.mark.parametrize("level", ["network", "block", "layer"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("resnet50", "se_resnet50"),
        ("resnet18", "resnet50"),
        ("densenet121", "densenet169"),
        ("googlenet", "googlenet_2014"),
        ("lenet5", "lenet5_1998"),
        ("vgg16", "vgg16_bn"),
    ],
)
def test_boxes_are_marked_exactly_where_nodes_differ(before: str, after: str, level: str) -> None:
    """Unmarked boxes have no node of a change; nodes of one network only are in boxes that are marked."""
    difference = archdsl.diff(before, after)
    graphs = difference.graphs
    drawing = merge(graphs, View(level))  # type: ignore[arg-type]
    changed: tuple[set[int], set[int]] = (set(), set())
    pending = list(graphs.changes)
    while pending:
        one = pending.pop()
        for own, side in zip(changed, (one.before, one.after), strict=True):
            inside = one.mark == "changed" and one.changes  # only those nodes of the part that differ
            own.update(side.part.ids if side is not None and not inside else ())
        pending += [*one.others, *one.changes]
    lost = {n.id for n in graphs.before.nodes} - {*graphs.partners}
    new = {n.id for n in graphs.after.nodes} - {*graphs.partners.values()}
    seen = {box.number: box for box in drawing.boxes()}
    assert [*seen] == list(range(len(seen)))
    for number, box in seen.items():
        mark, ids = drawing.marks.get(number), {i for copy in box.copies for i in copy}
        if mark == "removed":
            assert ids <= lost and box.upper is None
        elif mark == "added":
            assert ids <= new and box.upper is None
        elif mark == "changed":
            assert ids & changed[1] or (box.upper and {i for c in box.upper.copies for i in c} & changed[0])
        elif mark is None:
            assert not ids & changed[1]
    edges = {(arrow.source, arrow.target) for arrow in drawing.arrows}
    assert all(a < b for a, b in edges) and len(edges) == len(drawing.arrows)
    for (a, b), which in drawing.only.items():
        assert not {drawing.marks.get(a), drawing.marks.get(b)} & {("added", "removed")[which]}


@pytest.mark.parametrize(
    ("before", "after"), [("resnet50", "resnet101"), ("resnet50", "se_resnet50"), ("lenet5", "lenet5_1998")]
)
def test_the_picture_marks_the_paths_of_the_report_and_as_many(before: str, after: str) -> None:
    difference = archdsl.diff(before, after)
    drawing = merge(difference.graphs)
    rows: Any = difference.data()["changes"]
    expected = {(row["change"], path) for row in rows for path in row["after"] or row["before"]}
    boxes = {box.number: box for box in drawing.boxes()}
    marked = {(mark, boxes[n].path): boxes[n].count for n, mark in drawing.marks.items()}
    assert {*marked} <= expected and sum(marked.values()) == len(expected)


def test_a_changed_box_has_an_old_and_a_new_half_and_an_equal_box_has_one_text() -> None:
    both = texts(archdsl.diff("resnet50", "resnext50_32x4d").picture(merged=True).data)
    assert both["conv1"].count("7\u00d77 conv, 64, /2") == 1
    changed = both["layer2.0"]
    assert changed.count("bottleneck") == 2
    old, new = "[1\u00d71, 128; 3\u00d73, 128, /2; 1\u00d71, 512]", "conv2 out 128 \u2192 256, groups 1 \u2192 32"
    assert changed.index(old) < changed.index(new)


def test_arrows_of_both_networks_lead_around_what_was_added() -> None:
    old = archdsl.loads("input: 3x8x8\nnet: {a: 3x3 conv 4, c: 3x3 conv 4, p: gap}\n")
    new = archdsl.loads("input: 3x8x8\nnet: {a: 3x3 conv 4, n: lrn, c: 3x3 conv 4, p: gap}\n")
    drawing = merge(archdsl.diff(old, new).graphs)
    at = {box.path: box.number for box in drawing.boxes()}
    assert drawing.marks == {at["n"]: "added"}
    assert drawing.only == {(at["a"], at["c"]): 0, (at["a"], at["n"]): 1, (at["n"], at["c"]): 1}
    removed = merge(archdsl.diff(new, old).graphs)
    assert removed.marks == {at["n"]: "removed"} and removed.only[at["a"], at["c"]] == 1


def test_networks_without_a_common_part_are_drawn_side_by_side_with_a_note() -> None:
    difference = archdsl.diff("vgg16", "lenet5")
    with pytest.raises(Apart):
        merge(difference.graphs)
    drawn = difference.picture(merged=True)
    assert "no part in common" in drawn.note and drawn.data == difference.picture().data


def test_equal_networks_have_no_marks() -> None:
    drawing = merge(archdsl.diff("lenet5", "lenet5").graphs)
    assert not drawing.marks and not drawing.only and all(box.upper is None for box in drawing.boxes())


@pytest.mark.parametrize(
    ("ending", "start"), [("tex", b"%"), ("drawio", b"<mxfile"), ("pdf", b"%PDF"), ("html", b"<!")]
)
def test_every_format(ending: str, start: bytes, tmp_path: Path) -> None:
    target = tmp_path / f"x.{ending}"
    result = CliRunner().invoke(main, ["diff", "lenet5", "lenet5_1998", "--merged", "-o", str(target)])
    data = target.read_bytes()
    assert result.exit_code == 1 and (data.startswith(start) or start in data[:200])
    assert b"subsample" in data or ending == "pdf"


def test_a_text_cannot_be_merged(tmp_path: Path) -> None:
    for options in ([], ["--format", "json"], ["-o", str(tmp_path / "x.txt")]):
        result = CliRunner().invoke(main, ["diff", "lenet5", "lenet5_1998", "--merged", *options])
        assert result.exit_code == 2 and "E0003" in result.output
    with pytest.raises(ArchError):
        archdsl.diff("lenet5", "lenet5_1998").render("json", merged=True)
    assert not list(tmp_path.iterdir())
