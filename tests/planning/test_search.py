"""The search over a grid, against plain loops."""

from __future__ import annotations

import random
from itertools import product

import pytest

from archdsl.planning.search import Grid, NotMonotone, Point, Row, TooMany

WIDE = 10**6


def cost_of(goal: str, most: float, least: float = 0):  # type: ignore[no-untyped-def]
    """Maximise `goal` where `a <= most` and `b >= least`; the smallest `b` of several."""

    def cost(low: Row | None, high: Row | None) -> tuple[float, ...] | None:
        if (low and low["a"] > most) or (high and high["b"] < least):
            return None
        return -(high[goal] if high else float("inf")), low["b"] if low else -float("inf")

    return cost


def random_grid(seed: int, holes: float) -> tuple[list[int], dict[Point, Row | None]]:
    """Figures that grow with each index, some by steps, and points that are invalid."""
    rng = random.Random(seed)
    sizes = [rng.randint(1, 7) for _ in range(rng.randint(1, 3))]
    weights = {name: [rng.choice((0, 1, 2, 5)) for _ in sizes] for name in "abc"}
    coarse = rng.choice((1, 3, 10))
    rows: dict[Point, Row | None] = {}
    for point in product(*map(range, sizes)):
        row = {n: sum(w * i for w, i in zip(ws, point, strict=True)) // coarse for n, ws in weights.items()}
        rows[point] = None if rng.random() < holes else row
    return sizes, rows


@pytest.mark.parametrize("holes", [0, 0.3])
def test_boxes_find_what_all_points_have(holes: float) -> None:
    counted = whole = 0
    for seed in range(300):
        sizes, rows = random_grid(seed, holes)
        cost = cost_of("abc"[seed % 3], seed % 11, seed % 4)
        costs = {point: cost(row, row) for point, row in rows.items() if row}
        expected = min((c for c in costs.values() if c is not None), default=None)
        for monotone in (False, True):
            grid = Grid(sizes, rows.__getitem__, monotone, WIDE)
            best = grid.best(cost)
            assert (None if best is None else costs[best]) == expected
        counted, whole = counted + len(grid.rows), whole + grid.whole
    assert counted < whole


def test_a_billion_points_in_a_few() -> None:
    def count(point: Point) -> Row:
        depth, width, more = point
        return {"a": (depth + 1) * (width + 1) ** 2 + more, "b": width, "c": depth}

    grid = Grid([1000, 1000, 1000], count, True, 10_000)
    best = grid.best(cost_of("c", 500_000, 40))
    assert best is not None and best[:2] == (296, 40)  # the third does not count
    assert 41**2 * 297 <= 500_000 < 41**2 * 298
    assert len(grid.rows) < 1000


def test_a_figure_that_falls_is_found() -> None:
    grid = Grid([64], lambda point: {"a": point[0], "b": 64 // (point[0] + 1)}, True, WIDE)
    with pytest.raises(NotMonotone) as caught:
        grid.best(cost_of("a", 32))
    assert caught.value.name == "b"
    assert caught.value.low < caught.value.high


def test_counting_has_a_limit() -> None:
    with pytest.raises(TooMany):
        Grid([100, 100], lambda point: {"a": 0, "b": 0}, True, 3).best(cost_of("a", 0))
