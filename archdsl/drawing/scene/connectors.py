"""The connectors of PowerPoint: preset shapes between two sites, stretched, flipped and turned to follow an arrow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import dist
from typing import NamedTuple

from archdsl.drawing.scene import Path, Point
from archdsl.drawing.scene.things import Rect

_STRAIGHT, _AROUND, _EXACT = 3.0, 6.0, 1.5
"""Lengths in points. An arrow is straight if no point is farther from the line between its ends. It goes around
something if it leaves the rectangle of its ends by more. Its own bends are kept if its ends are as near to sites."""
_MOST = 5
"""The largest number of straight parts of a connector."""
_SIDES = ((0, -1), (-1, 0), (0, 1), (1, 0))
"""The direction of each side: top, left, bottom, right."""


class Site(NamedTuple):
    """A place where a connector can be attached: number `place` of a shape, on one of its four sides."""

    shape: int
    place: int
    at: Point
    side: int


class Connector(NamedTuple):
    """A preset shape in a rectangle, flipped (horizontally, vertically) and then turned clockwise by a right angle.

    `values` are the places of its bends as shares of its width and its height, by turns.
    """

    preset: str
    box: Rect
    rotated: bool
    flips: tuple[bool, bool]
    values: tuple[float, ...]
    start: Site
    end: Site


def connect(lines: Sequence[Path], points: Sequence[Point], starts: Sequence[Site], ends: Sequence[Site]) -> Connector:
    """Return the connector of an arrow between two of these sites: with the bends of the arrow if it is made of at most
    five horizontal and vertical parts; else straight, with a turn, or with bends around what the arrow goes around."""
    curved = any(line.curved for line in lines)
    start, end = _nearest(starts, points[0]), _nearest(ends, points[-1])
    bends = _bends((start.at, *points[1:-1], end.at))
    near = dist(start.at, points[0]) < _EXACT and dist(end.at, points[-1]) < _EXACT
    if near and len(bends) - 1 <= _MOST and all(_axis(a, b) is not None for a, b in pairwise(bends)):
        return _preset(bends, start, end, curved)
    line = [point for part in lines for point in part.along(6.0)]
    side = _around(line)
    if side is not None:
        start, end = _extreme(starts, side), _extreme(ends, side)
        beyond = max(_reach(point, side) for point in line) * sum(_SIDES[side])
        return _preset(_loop(start.at, end.at, side, beyond), start, end, curved=False)
    if all(_off(point, start.at, end.at) < _STRAIGHT for point in line):
        return _preset((start.at, end.at), start, end, curved)
    return _preset(_turn(start, end, line), start, end, curved)


def facing(at: Point, middle: Point) -> int:
    """Return the side of a shape with this middle on which a point is."""
    return max(range(4), key=lambda side: _reach(Point(at.x - middle.x, at.y - middle.y), side))


def _nearest(sites: Sequence[Site], point: Point) -> Site:
    """The site at a point, or else that of the side on which the point is."""

    def cost(site: Site) -> float:
        apart = dist(site.at, point)
        return (
            apart - _AROUND
            if apart < _EXACT
            else abs(site.at[1 - site.side % 2] - point[1 - site.side % 2]) + apart / 99
        )

    return min(sites, key=cost)


def _extreme(sites: Sequence[Site], side: int) -> Site:
    """The site that is farthest on a side."""
    return max((site for site in sites if site.side == side), key=lambda site: _reach(site.at, side), default=sites[0])


def _reach(point: Point, side: int) -> float:
    return point.x * _SIDES[side][0] + point.y * _SIDES[side][1]


def _axis(a: Point, b: Point) -> int | None:
    """0 for a horizontal part, 1 for a vertical one, None for another."""
    return 0 if abs(a.y - b.y) < 0.6 else 1 if abs(a.x - b.x) < 0.6 else None


def _bends(points: Sequence[Point]) -> list[Point]:
    """The points without those between two parts of one direction."""
    out: list[Point] = []
    for point in points:
        if out and dist(out[-1], point) < 0.6:
            continue
        if len(out) > 1 and _axis(out[-2], out[-1]) is not None and _axis(out[-2], out[-1]) == _axis(out[-1], point):
            out.pop()
        out.append(point)
    return out if len(out) > 1 else [points[0], points[-1]]


def _off(point: Point, start: Point, end: Point) -> float:
    """The distance of a point from the straight line through two points."""
    across = (end.x - start.x) * (start.y - point.y) - (start.x - point.x) * (end.y - start.y)
    return abs(across) / (dist(start, end) or 1.0)


def _around(line: Sequence[Point]) -> int | None:
    """The side on which an arrow leaves the rectangle of its ends to go around something; None if it does not."""
    ends = (line[0], line[-1])
    outside = [max(_reach(p, side) for p in line) - max(_reach(p, side) for p in ends) for side in range(4)]
    most = max(range(4), key=lambda side: outside[side])
    return most if outside[most] > _AROUND else None


def _loop(start: Point, end: Point, side: int, beyond: float) -> tuple[Point, ...]:
    """Out to a coordinate beyond both points, along, and back."""
    if side % 2:
        return start, Point(beyond, start.y), Point(beyond, end.y), end
    return start, Point(start.x, beyond), Point(end.x, beyond), end


def _turn(start: Site, end: Site, line: Sequence[Point]) -> tuple[Point, ...]:
    """A turn, or two where the arrow is half way across, away from the side of the start and into that of the end."""
    (x1, y1), (x2, y2) = start.at, end.at
    if start.side % 2 != end.side % 2:
        return start.at, (Point(x2, y1) if start.side % 2 else Point(x1, y2)), end.at
    if start.side % 2:
        return _loop(start.at, end.at, 3, min(line, key=lambda p: abs(p.y - (y1 + y2) / 2)).x)
    return _loop(start.at, end.at, 2, min(line, key=lambda p: abs(p.x - (x1 + x2) / 2)).y)


def _preset(bends: Sequence[Point], start: Site, end: Site, curved: bool) -> Connector:
    """The preset with these bends. A first part that is vertical is a horizontal one that is turned."""
    (x1, y1), (x2, y2) = bends[0], bends[-1]
    if len(bends) == 2:
        box = Rect(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        return Connector("straightConnector1", box, False, (x2 < x1, y2 < y1), (), start, end)
    rotated = _axis(bends[0], bends[1]) == 1
    along, across = (y2 - y1, x2 - x1) if rotated else (x2 - x1, y2 - y1)
    flips = (along < 0, (across > 0) if rotated else (across < 0))
    width, height = max(abs(along), 1.0), max(abs(across), 1.0)
    values = []
    for n, point in enumerate(bends[1:-2]):
        horizontal = (n % 2 == 0) != rotated
        passed = point.x - x1 if horizontal else point.y - y1
        forward = (along if n % 2 == 0 else across) >= 0
        values.append((passed if forward else -passed) / (width if n % 2 == 0 else height))
    middle = Point((x1 + x2) / 2, (y1 + y2) / 2)
    half, tall = width / 2, height / 2
    box = Rect(middle.x - half, middle.y - tall, middle.x + half, middle.y + tall)
    kind = "curved" if curved else "bent"
    return Connector(f"{kind}Connector{len(bends) - 1}", box, rotated, flips, tuple(values), start, end)
