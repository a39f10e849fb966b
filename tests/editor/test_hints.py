"""The shapes at the ends of lines (`archdsl.editor.places`), also while a line is being typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl.editor.hints import hints
from archdsl.editor.hover import hover
from archdsl.editor.outline import outline
from archdsl.editor.positions import Positions
from archdsl.editor.snapshot import Change, snapshots
from archdsl.source import read
from archdsl.spec.find import library_folder
from tests.editor.texts import TINY, shown, snapshot

SHAPES = {
    "residual:": "→ 32 x 16 x 16",
    "conv1: 3x3 conv w /s": "→ 32 x 16 x 16",
    "conv2: 3x3 conv w linear": "→ 32 x 16 x 16",
    "then: relu": "→ 32 x 16 x 16",
    "stem: 3x3 conv width": "→ 16 x 32 x 32",
    "body: 2 * basic(32, 2 if first else 1)": "→ 32 x 16 x 16",
    "same: basic(32)": "→ 32 x 16 x 16",
    "pool: gap": "→ 32 x 1 x 1",
    "fc: fc classes": "→ 10",
}
"""Worked out by hand."""


def test_each_line_has_its_shape() -> None:
    assert shown(snapshot()) == SHAPES


def test_a_line_that_is_built_with_several_shapes_says_so() -> None:
    path = library_folder() / "resnet50.yaml"
    lines = shown(next(snapshots(read(path))))
    assert lines["layer2: n[1] * block(128, 2 if first else 1)"] == "→ 512 x 28 x 28"
    assert lines["conv3: 1x1 conv 4*w linear"] == "→ 256 x 56 x 56 and 3 more"
    assert "conv1: 3x3 conv w /s" not in lines  # `basic` is used in variants only


def test_the_detail_has_formulas() -> None:
    details = [hint.detail for hint in hints(snapshot(), Positions(TINY))]
    assert "16 x H x W" in details and "32 x (H + 1)//2 x (W + 1)//2" in details


@pytest.mark.parametrize(
    "line",
    [
        "",
        "stem: 3x3 con",
        "stem: {",
        "stem: [3x3 conv width",
        'stem: "',
        "stem: 3x3 conv width <- ",
        "ste",
        "stem:x: y",
    ],
)
def test_a_half_typed_line_costs_only_its_own_shape(line: str) -> None:
    before = snapshot()
    now = shown(snapshot(TINY.replace("stem: 3x3 conv width", line), before))
    others = {text: shape for text, shape in SHAPES.items() if not text.startswith("stem")}
    assert {text: shape for text, shape in now.items() if text in others} == others


def test_new_shapes_follow_a_valid_change() -> None:
    now = shown(snapshot(TINY.replace("conv width", "conv width /2"), snapshot()))
    assert now["pool: gap"] == "→ 32 x 1 x 1" and now["same: basic(32)"] == "→ 32 x 8 x 8"


def test_a_file_that_is_opened_with_a_broken_line_has_the_shapes_of_what_cannot_depend_on_it() -> None:
    now = shown(snapshot(TINY.replace("  pool: gap", "  extra: {\n  pool: gap")))
    assert now == {text: shape for text, shape in SHAPES.items() if text not in ("pool: gap", "fc: fc classes")}


@pytest.mark.parametrize("broken", ["a: 3x3 conv 64 /2 plainn", "a: 3x3 convv 64 /2", "a: {", "a", "a: [3x3 conv 64"])
def test_what_depends_on_a_broken_line_is_unknown(broken: str) -> None:
    text = f"input: 3x32x32\nnet:\n  s: 3x3 conv 4\n  {broken}\n  c: 3x3 dwconv\n  z: flatten\n  d: fc 3\n"
    opened = snapshot(text)
    assert not {"c: 3x3 dwconv", "z: flatten"} & shown(opened).keys()
    assert "4 x 32 x 32" in shown(opened)["s: 3x3 conv 4"]
    assert "output 3" not in str(hover(opened, text.index("dwconv"))) and "3 x 32" not in str(outline(opened)[-1])
    again = shown(snapshot(text.replace("fc 3", "fc 4"), opened))  # typing elsewhere does not make it certain
    assert not {"c: 3x3 dwconv", "z: flatten"} & again.keys()


@pytest.mark.parametrize("broken", ["blocks: {a: {", "defaults: {conv: bn", "claims: {params: {"])
def test_a_broken_section_makes_what_it_may_change_unknown(broken: str) -> None:
    now = shown(snapshot(f"input: 3x8x8\nnet:\n  s: 3x3 conv 4\n{broken}\n"))
    assert now == ({"s: 3x3 conv 4": "→ 4 x 8 x 8"} if "claims" in broken else {})


def test_what_is_before_an_error_has_its_shapes() -> None:
    text = TINY.replace("  same: basic(32)", "  same: basic(32) <- nowhere\n  more: add <- nothing")
    now = shown(snapshot(text))
    assert now["stem: 3x3 conv width"] == "→ 16 x 32 x 32" and "pool: gap" not in now


def test_nodes_of_the_base_are_not_shown_in_the_file_that_extends_it(tmp_path: Path) -> None:
    now = shown(snapshot("extends: resnet18\nnet: {more: relu}\n", path=tmp_path / "a.yaml"))
    assert now == {"net: {more: relu}": "→ 1000"}


def test_line_ends_of_windows() -> None:
    assert shown(snapshot(TINY.replace("\n", "\r\n"))) == SHAPES


def test_changes() -> None:
    assert Change.between("abc", "abXc") == (2, 2, 3)
    assert Change.between("aaa", "aa") == (2, 3, 2)
    assert Change.between("abc", "abc").moved(1) == 1
    change = Change.between("abcdef", "abXYZdef")
    assert [change.moved(n) for n in (2, 3, 6)] == [2, 5, 8] and Change.between("abcd", "aXd").moved(2) is None


def test_a_size_bomb_ends_at_the_limits() -> None:
    bomb = "input: 3x8x8\nblocks:\n  a: [999 * relu]\n  b: [999 * a]\n  c: [999 * b]\nnet: 999 * c\n"
    assert [d.code for d in snapshot(bomb).diagnostics] == ["E0314"]
    assert [d.code for d in snapshot("net: " + "[" * 10_000).diagnostics] == ["E0106"]


CHAIN = "input: 3x32x32\nnet:\n  a: 3x3 conv 64 /2 linear\n  c: 3x3 dwconv\n  n: relu\n  z: flatten\n  d: fc 3\n"


@pytest.mark.parametrize(
    ("old", "new"), [("dwconv", "dwconv /2"), ("  z:", "  m: 3x3 conv 7\n  z:"), ("  n: relu\n", "")]
)
def test_another_edit_below_a_broken_line_leaves_no_earlier_shape(old: str, new: str) -> None:
    broken = CHAIN.replace("linear", "plainn")
    one = snapshot(broken, snapshot(CHAIN))
    assert shown(one)["z: flatten"] == "→ 16384", "only one line is being typed"
    assert "z: flatten" not in shown(snapshot(broken.replace(old, new), one))
