"""Ranges and lists of values: `planning/grid.py`."""

from __future__ import annotations

from fractions import Fraction

import pytest

import archdsl
from archdsl.planning.grid import Grid, Steps, split, values_of

DOCUMENT = archdsl.loads(
    "name: small\ninput: 3x8x8\nargs: {n: 2, w: 0.5, l: [1, 2], how: conv}\nnet: {a: 3x3 conv 4, p: gap, fc: fc 10}\n"
).document


def tried(name: str, text: object) -> tuple[object, ...]:
    values = values_of(DOCUMENT, {name: text})[name]
    return values.values() if isinstance(values, Steps) else tuple(values)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("n", "1..18", tuple(range(1, 19))),
        ("n", "16..128/16", tuple(range(16, 129, 16))),
        ("n", "1..10/4", (1, 5, 9)),
        ("n", " 3 .. 5 ", (3, 4, 5)),
        ("n", "-1..1", (-1, 0, 1)),
        ("n", "7..7", (7,)),
        ("n", "16,32,16,64", (16, 32, 64)),
        ("n", "1..3,8", (1, 2, 3, 8)),
        ("w", "0.5..1.5/0.25", (0.5, 0.75, 1.0, 1.25, 1.5)),
        ("w", "0..0.3/0.1", (0.0, 0.1, 0.2, 0.3)),
        ("l", "[3, 4, 6, 3],[2,2,2,2]", ((3, 4, 6, 3), (2, 2, 2, 2))),
        ("l", [[3, 4], [2, 2]], ((3, 4), (2, 2))),
        ("n", range(2, 8, 3), (2, 5)),
        ("n", 5, (5,)),
        ("n", (n for n in (4, 2)), (4, 2)),
        ("n", {3}, (3,)),
    ],
)
def test_values(name: str, text: object, expected: tuple[object, ...]) -> None:
    assert tried(name, text) == expected


def test_values_of_numpy_are_values() -> None:
    numpy = pytest.importorskip("numpy")
    assert tried("n", numpy.int64(8)) == (8,) and tried("n", numpy.arange(2, 5)) == (2, 3, 4)
    assert all(type(value) is int for value in tried("n", numpy.arange(2, 5)))


def test_names_are_values() -> None:
    assert len(tried("how", "conv,fc")) == 2


@pytest.mark.parametrize(
    "text", ["5..1", "48..", "..8", "1..5/0", "1..5/-1", "0.5..1", "", "1,,2", "1..9999999,3", [], range(0)]
)
def test_wrong_values_are_refused(text: object) -> None:
    with pytest.raises(archdsl.ArchError, match="E0914") as caught:
        values_of(DOCUMENT, {"n": text})
    assert "`n`" in str(caught.value)


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(archdsl.ArchError, match="E0212") as caught:
        values_of(DOCUMENT, {"m": "1..3"})
    assert "`m`" in str(caught.value)


def test_a_large_grid_is_refused_with_its_number_before_it_is_built() -> None:
    values = values_of(DOCUMENT, {"n": "1..100000", "w": "1..10000"})
    with pytest.raises(archdsl.ArchError, match="E0911") as caught:
        Grid(values, [None])
    assert "1,000,000,000 settings" in str(caught.value)
    with pytest.raises(archdsl.ArchError, match="E0911"):
        Grid({"w": Steps(Fraction(0), Fraction(1, 10), 10**15)}, [None])


def test_the_last_argument_changes_fastest() -> None:
    grid = Grid({"a": range(2), "b": ("x", "y")}, ["3x8x8", "3x9x9"])
    assert grid.size == 8 == len(list(grid))
    assert list(grid)[:3] == [
        ({"a": 0, "b": "x"}, "3x8x8"),
        ({"a": 0, "b": "y"}, "3x8x8"),
        ({"a": 1, "b": "x"}, "3x8x8"),
    ]


def test_only_commas_outside_of_brackets_split() -> None:
    assert list(split("[1,2],(3,4),5")) == ["[1,2]", "(3,4)", "5"]
