"""Brackets of a text, on which the shorthand, the heads of blocks and the printers agree."""

from __future__ import annotations

import pytest

from archdsl.source.brackets import balanced, depths, outside, unmatched


def test_every_character_knows_how_deep_it_lies() -> None:
    assert [depth for _, _, depth in depths("a([b]{c})d")] == [0, 1, 2, 2, 1, 2, 2, 1, 0, 0]
    assert [depth for _, _, depth in depths("(]", "[", "]")] == [0, -1], "other brackets are characters like any"


@pytest.mark.parametrize(
    ("text", "commas"),
    [("", []), (",", [0]), ("f(1, 2), [3, 4],5", [7, 15]), ("(1, 2", []), (")a,b", []), ("{a,b},", [5])],
)
def test_separators_that_no_bracket_holds(text: str, commas: list[int]) -> None:
    assert outside(text, ",") == commas


@pytest.mark.parametrize(
    ("text", "at"), [("", None), ("([{}])", None), ("(]", 1), ("a)", 1), ("(a", 0), ("([)", 2), ("()[(", 3), ("([]", 0)]
)
def test_the_bracket_that_does_not_match(text: str, at: int | None) -> None:
    assert unmatched(text) == at


@pytest.mark.parametrize(
    ("text", "fine"),
    [("", True), ("f(1)", True), ("f(1", False), ("1)", False), (")(", False), ("[(", False), ("[", True)],
)
def test_balanced_looks_at_parentheses(text: str, fine: bool) -> None:
    assert balanced(text) is fine
