"""Lines at the wrong depth, `archdsl.language.misplaced`: one error at the head word, whose help can be followed."""

from __future__ import annotations

import pytest

import archdsl

HEAD = "input: 3x8x8\nnet:\n  stem: 3x3 conv 4\n"


@pytest.mark.parametrize(
    ("wrong", "help_"),
    [
        ("  residual:\n    a: 3x3 conv 4\n  pool: gap\n", "give the node a name: `res: {residual: ...}`"),
        ("  res:\n    residual:\n    a: 3x3 conv 4\n", "indent `a:` below `residual:`"),
        ("  res:\n    residual:\n      a: 3x3 conv 4\n      then: relu\n", "move `then` beside `residual:`"),
    ],
)
def test_a_line_at_the_wrong_depth_is_one_error(wrong: str, help_: str) -> None:
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(HEAD + wrong)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, help_ in diagnostic.help) == ("E0201", True), diagnostic


@pytest.mark.parametrize(
    ("wrong", "help_"),
    [
        (
            "  res:\n    residual:\n      a: 3x3 conv 4\n      shortcut: 1x1 conv 4\n",
            "move `shortcut:` beside `residual:`",
        ),
        ("  res:\n    Residual:\n      a: 3x3 conv 4\n", "write `residual:`"),
    ],
)
def test_another_network_than_meant_has_a_warning(wrong: str, help_: str) -> None:
    (note,) = archdsl.loads(HEAD + wrong).graph.notes
    assert (note.code, help_ in note.help) == ("W0213", True), note
