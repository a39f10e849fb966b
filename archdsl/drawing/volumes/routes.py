"""Route the edges: straight between neighbours, curved where rows split and join, as arcs above skipped stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from archdsl.drawing.scene import Point
from archdsl.drawing.volumes.spots import GAP, LANE, Spot

ROUND = 6.0
APART = 4.0
"""Space between routes beside the lines."""
LAST = 1 << 30
"""A number after that of every stage."""


@dataclass(frozen=True, slots=True)
class Route:
    """The route of an edge: consecutive paths, the last one with the arrowhead."""

    source: int
    target: int
    paths: tuple[tuple[Point, ...], ...]
    arc: bool
    curved: tuple[bool, ...] = ()


class Lane(NamedTuple):
    """The horizontal part of an arc above a line."""

    source: int
    target: int
    line: int
    left: float
    right: float
    y: float


class Router:
    """Routes the edges of one layout; arcs keep a distance from each other and from the volumes below."""

    def __init__(self, spots: Mapping[int, Spot], starts: Sequence[Point], ends: Sequence[float]) -> None:
        self.spots, self.starts, self.ends = spots, starts, ends
        self.arcs: list[Lane] = []
        self.columns: list[tuple[int, int, int, float]] = []
        """Each from a stage, between two lines, at an x."""
        self.turns: dict[int, list[int]] = {}

    def routes(
        self, edges: Sequence[tuple[int, int]], direct: set[tuple[int, int]], touching: set[tuple[int, int]]
    ) -> list[Route]:
        """Return a route for each edge, except between volumes that touch. Short arcs are below long ones."""
        arcs = [self._arc(*edge) for edge in sorted((edge for edge in edges if edge not in direct), key=self._span)]
        return [self._direct(s, t) for s, t in edges if (s, t) in direct and (s, t) not in touching] + arcs

    def _span(self, edge: tuple[int, int]) -> float:
        source, target = (self.spots[n] for n in edge)
        return (target.line - source.line) * 1e4 + target.x - source.x

    def _direct(self, source: int, target: int) -> Route:
        a, b = self.spots[source], self.spots[target]
        if b.step:
            path = (a.out, Point(b.step, a.y), Point(b.step, b.y), b.into)
            return Route(source, target, (path,), False, (False,))
        if a.line != b.line:
            turn = self._turn(a, b.line)
            start = turn[-1]
            paths, curved = self._between(start, b.into, start.x, near_start=True)
            return Route(source, target, (turn, *paths), False, (False, *curved))
        near_start = b.level >= a.level and b.level > 0
        free = max(a.right, a.out.x, a.captioned)
        paths, curved = self._between(a.out, b.into, free, near_start, before=b.labelled - 1)
        return Route(source, target, paths, False, curved)

    def _between(
        self, start: Point, end: Point, free: float, near_start: bool, before: float = inf
    ) -> tuple[tuple[tuple[Point, ...], ...], tuple[bool, ...]]:
        """From a right face to a left one; if they differ in height, with an S in the gap beside one of them.

        The S ends left of `before`, where a label begins.
        """
        if abs(start.y - end.y) < 0.5:
            return ((start, Point(end.x, start.y)),), (False,)
        if near_start:
            low, high = free, min(free + GAP, end.x)
        else:
            high = min(end.x - 4, before)
            low = min(max(high - GAP, free), high - 5)
        middle = (low + high) / 2
        first, last = Point(low, start.y), Point(high, end.y)
        bend = (first, Point(middle, start.y), Point(middle, end.y), last)
        paths: list[tuple[Point, ...]] = [(start, first)] if first.x > start.x else []
        paths.append(bend)
        paths.append((last, end))
        return tuple(paths), tuple(path is bend for path in paths)

    def _turn(self, a: Spot, line: int) -> tuple[Point, ...]:
        """From the end of a line to the start of a later one; each source stage has its own route."""
        start, right = self.starts[line], self.ends[a.line]
        turns = self.turns.setdefault(line, [])
        if a.stage.number not in turns:
            turns.append(a.stage.number)
        apart = APART * turns.index(a.stage.number)
        left, right, middle = start.x - 12 - apart, right - apart, self._between_lines(line) - apart
        around: tuple[Point, ...] = (a.out, Point(right, a.y))
        if apart:
            rise = a.right + 3
            above = self._lane(a.stage.number, LAST, rise, right, a.line, a.y - 2)
            around = (a.out, Point(rise, a.y), Point(rise, above), Point(right, above))
        end = Point(start.x, start.y + apart)
        return (*around, Point(right, middle), Point(left, middle), Point(left, end.y), end)

    def _between_lines(self, line: int) -> float:
        """The height of the route to a line, above its stages and their arcs."""
        tops = [s.y - s.up - 18 for s in self.spots.values() if s.line == line]
        return min([*tops, *(lane.y - LANE + 2 for lane in self.arcs if lane.line == line)])

    def _arc(self, source: int, target: int) -> Route:
        a, b = self.spots[source], self.spots[target]
        rise, end = a.right + 3, b.top
        if a.line == b.line:
            lane = self._lane(source, target, rise, end.x, b.line, a.y - 2)
            bends: tuple[Point, ...] = (Point(rise, lane),)
        else:
            beside = self._column(source, a.line, b.line)
            above = self._lane(source, LAST, rise, beside, a.line, a.y - 2)
            lane = self._lane(target - 1, LAST, min(end.x, beside), max(end.x, beside), b.line)
            bends = (Point(rise, above), Point(beside, above), Point(beside, lane))
        path = (a.out, Point(rise, a.y), *bends, Point(end.x, lane), end)
        return Route(source, target, (path,), True, (False,))

    def _column(self, source: int, first: int, last: int) -> float:
        """The x of an arc to another line: right of the lines between, beside the columns of other stages."""
        first, last = sorted((first, last))
        x = max(self.ends[first : last + 1]) + APART
        while any(n != source and lo < last and first < hi and abs(x - at) < APART for n, lo, hi, at in self.columns):
            x += APART
        self.columns.append((source, first, last, x))
        return x

    def _lane(self, source: int, target: int, left: float, right: float, line: int, start: float = inf) -> float:
        """The height of an arc: above its start, the stages that it skips and the arcs there."""
        below = [
            start,
            *(
                spot.y - spot.up
                for number, spot in self.spots.items()
                if source < number <= target and spot.line == line and spot.right > left and spot.left < right
            ),
        ]
        below += [
            lane.y
            for lane in self.arcs
            if lane.line == line
            and lane.left < right
            and lane.right > left
            and lane.source < target
            and lane.target > source
        ]
        y = min(below) - LANE + 2
        self.arcs.append(Lane(source, target, line, left, right, y))
        return y
