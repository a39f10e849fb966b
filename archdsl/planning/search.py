"""Find the best point of a grid: count all points, or bound boxes of points by their two corners.

A point has an index on each axis. A row has the figures of a point by name; an invalid point has none. A cost is a
tuple, and the smallest is the best: `cost(least, most)` is not above that of any point of a box whose corners have
these rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import product
from math import prod
from operator import gt
from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[int, ...]
Row: TypeAlias = Mapping[str, float]
Cost: TypeAlias = Callable[[Row | None, Row | None], tuple[float, ...] | None]
"""None if no point of the box qualifies. A row that is None is unknown: any value is possible."""


class NotMonotone(Exception):
    """The figure `name` falls from the point `low` to `high`, which is not smaller on any axis."""

    def __init__(self, name: str, low: Point, high: Point) -> None:
        super().__init__(name, low, high)
        self.name, self.low, self.high = name, low, high


class TooMany(Exception):
    """The search has counted as many points as it may, and does not know the best one."""


class Box(NamedTuple):
    """The points from `low` to `high`, whose figures are from `least` to `most`; None: not known."""

    low: Point
    high: Point
    least: Row | None
    most: Row | None


@dataclass
class Grid:
    """The points of a grid with these numbers of values, counted once each.

    `monotone`: search by boxes, on the assumption that no figure falls while an index grows. It is checked for all
    pairs of counted points, and NotMonotone is raised if it is wrong. TooMany is raised for more than `limit` points.
    """

    sizes: Sequence[int]
    count: Callable[[Point], Row | None]
    monotone: bool
    limit: int
    rows: dict[Point, Row | None] = field(default_factory=dict)
    compared: int = 0
    """Pairs of counted points of which one is not smaller on any axis."""

    @property
    def whole(self) -> int:
        """The number of points of the grid."""
        return prod(self.sizes)

    def best(self, cost: Cost) -> Point | None:
        """Return the point of the smallest cost; None if none qualifies."""
        if self.monotone:
            return self._best_of_boxes(cost)
        costs = ((cost(row, row), point) for point in product(*map(range, self.sizes)) if (row := self.row(point)))
        return min(((c, point) for c, point in costs if c is not None), default=(None, None))[1]

    def row(self, point: Point) -> Row | None:
        """Count a point, or return what it was counted as."""
        if point not in self.rows:
            if len(self.rows) >= self.limit:
                raise TooMany
            row = self.count(point)
            if self.monotone and row is not None:
                self._compare(point, row)
            self.rows[point] = row
        return self.rows[point]

    def _compare(self, point: Point, row: Row) -> None:
        for other, known in self.rows.items():
            low, high = (point, other) if point < other else (other, point)
            if known is None or any(map(gt, low, high)):
                continue
            self.compared += 1
            less, more = (row, known) if low is point else (known, row)
            for name, value in less.items():
                if value > more[name]:
                    raise NotMonotone(name, low, high)

    def _best_of_boxes(self, cost: Cost) -> Point | None:
        """Split the box with the smallest bound until it is a point: no other box can then have a smaller cost."""
        low, high = (0,) * len(self.sizes), tuple(size - 1 for size in self.sizes)
        todo = [Box(low, high, self.row(low), self.row(high))]
        queue: list[tuple[tuple[float, ...], int, Point, Box]] = []
        while True:
            for box in filter(None, (self._cut(box, cost) for box in todo)):
                bound = cost(box.least, box.most)
                if bound is not None and (box.low != box.high or self.row(box.low) is not None):
                    heappush(queue, (bound, sum(box.high) - sum(box.low), box.low, box))
            if not queue:
                return None
            box = heappop(queue)[-1]
            if box.low == box.high:
                return box.low
            axis = max(range(len(box.low)), key=lambda n: box.high[n] - box.low[n])
            middle = (box.low[axis] + box.high[axis]) // 2
            todo = [self._part(box, axis, box.low[axis], middle), self._part(box, axis, middle + 1, box.high[axis])]

    def _part(self, box: Box, axis: int, first: int, last: int) -> Box:
        """The part of a box from `first` to `last` on an axis; an invalid corner has the row of the whole box."""
        low, high = _moved(box.low, axis, first), _moved(box.high, axis, last)
        return Box(low, high, self.row(low) or box.least, self.row(high) or box.most)

    def _cut(self, box: Box, cost: Cost) -> Box | None:
        """Cut off the ends of each axis where no point can qualify, by bisection along the edges of both corners."""
        for axis in range(len(box.low)):
            first, last = box.low[axis], box.high[axis]

            def may_end(index: int, box: Box = box, axis: int = axis) -> bool:
                return cost(box.least, self.row(_moved(box.high, axis, index)) or box.most) is not None

            def may_not_begin(index: int, box: Box = box, axis: int = axis) -> bool:
                return cost(self.row(_moved(box.low, axis, index)) or box.least, box.most) is None

            first += bisect_left(range(first, last + 1), True, key=may_end)
            last = first + bisect_left(range(first, last + 1), True, key=may_not_begin) - 1
            if first > last:
                return None
            box = self._part(box, axis, first, last)
        return box


def _moved(point: Point, axis: int, index: int) -> Point:
    return (*point[:axis], index, *point[axis + 1 :])
