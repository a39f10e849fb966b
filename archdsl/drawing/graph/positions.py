"""Place the shapes beside their arrows and the titles in their frames, with little overlap.

Graphviz can place them too, but it uses an extra rank for each, which makes a drawing half as long again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import hypot
from typing import NamedTuple, TypeAlias

XY: TypeAlias = tuple[float, float]

_CELL = 32.0
_STEP = 5.0
_GAP = 3.0
_NEAR = 2.0
"""A text closer to an arrow than this counts as on the arrow."""
_ALONG = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)
"""Positions along an arrow, the middle first."""
_STEEP = 0.5
_ON_TEXT, _ON_LINE, _ON_BORDER, _PER_TRY = 30.0, 3.0, 1.5, 0.1


class Rect(NamedTuple):
    """A rectangle; `x`, `y` is its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, point: XY) -> bool:
        return 0 <= point[0] - self.x <= self.width and 0 <= point[1] - self.y <= self.height

    def near(self, point: XY) -> bool:
        return -_NEAR < point[0] - self.x < self.width + _NEAR and -_NEAR < point[1] - self.y < self.height + _NEAR

    def meets(self, other: Rect) -> bool:
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height


def along(points: Sequence[XY], tip: XY) -> list[XY]:
    """Convert a cubic spline to points about `_STEP` apart, up to the tip."""
    out = [points[0]]
    for start in range(0, len(points) - 3, 3):
        a, b, c, d = points[start : start + 4]
        length = sum(_distance(p, q) for p, q in pairwise((a, b, c, d)))
        steps = max(2, round(length / _STEP))
        for n in range(1, steps + 1):
            t, u = n / steps, 1 - n / steps
            out.append(
                (
                    u**3 * a[0] + 3 * u * u * t * b[0] + 3 * u * t * t * c[0] + t**3 * d[0],
                    u**3 * a[1] + 3 * u * u * t * b[1] + 3 * u * t * t * c[1] + t**3 * d[1],
                )
            )
    return [*out, tip]


def _distance(a: XY, b: XY) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])


class _Grid:
    """Boxes, texts and points of arrows by grid cell."""

    def __init__(self) -> None:
        self.rects: dict[tuple[int, int], list[Rect]] = {}
        self.points: dict[tuple[int, int], list[tuple[int, XY]]] = {}

    def add(self, rect: Rect) -> None:
        for cell in _cells(rect):
            self.rects.setdefault(cell, []).append(rect)

    def add_line(self, number: int, line: Iterable[XY]) -> None:
        for point in line:
            self.points.setdefault((int(point[0] // _CELL), int(point[1] // _CELL)), []).append((number, point))

    def cost(self, rect: Rect, own: int) -> float:
        """The cost of a text at a rectangle, beside the arrow `own`."""
        total = 0.0
        lines: set[int] = set()
        for cell in _cells(rect):
            total += _ON_TEXT * sum(rect.meets(other) for other in self.rects.get(cell, ()))
            lines |= {number for number, point in self.points.get(cell, ()) if rect.near(point)}
        return total + sum(_ON_LINE if number >= 0 else _ON_BORDER for number in lines) + _ON_LINE * (own in lines)


def _cells(rect: Rect) -> Iterator[tuple[int, int]]:
    for column in range(int(rect.x // _CELL), int((rect.x + rect.width) // _CELL) + 1):
        for row in range(int(rect.y // _CELL), int((rect.y + rect.height) // _CELL) + 1):
            yield column, row


def find_positions(
    lines: Sequence[Sequence[XY]],
    boxes: Iterable[Rect],
    frames: Sequence[Rect],
    bands: Iterable[Rect],
    titles: Sequence[tuple[float, float]],
    labels: Mapping[int, tuple[float, float]],
) -> tuple[list[Rect], dict[int, Rect]]:
    """Return the positions of the titles of `frames`, each in its band, and of the arrow labels by arrow number.

    Sizes are (width, height); `lines` are the points of all arrows. A label without free space has no position.
    """
    grid = _Grid()
    for rect in boxes:
        grid.add(rect)
    for number, line in enumerate(lines):
        grid.add_line(number, line)
    for number, frame in enumerate(frames, 2):
        grid.add_line(-number, _border(frame))
    named = []
    for band, size in zip(bands, titles, strict=True):
        named.append(_best(grid, -1, _within(band, *size)))
        grid.add(named[-1])
    positions: dict[int, Rect] = {}
    for number, size in labels.items():
        position = _best(grid, number, _candidates(lines[number], *size))
        if grid.cost(position, number) < _ON_TEXT:
            positions[number] = position
            grid.add(position)
    return named, positions


def _border(rect: Rect) -> Iterator[XY]:
    """Points of the upper and lower edge of a frame; texts rarely touch the other two."""
    for n in range(int(rect.width / _STEP) + 1):
        yield rect.x + n * _STEP, rect.y
        yield rect.x + n * _STEP, rect.y + rect.height


def _within(band: Rect, width: float, height: float) -> Iterator[Rect]:
    """Positions in a band: at its left end, at its right end, then between."""
    room = max(band.width - width, 0.0)
    for part in (0.0, 1.0, *(n / 12 for n in range(1, 12))):
        yield Rect(band.x + part * room, band.y + (band.height - height) / 2, width, height)


def _best(grid: _Grid, number: int, candidates: Iterable[Rect]) -> Rect:
    best, least = None, float("inf")
    for tried, rect in enumerate(candidates):
        cost = grid.cost(rect, number) + _PER_TRY * tried
        if cost < least:
            best, least = rect, cost
        if least <= _PER_TRY * tried:
            break
    assert best is not None
    return best


def _candidates(line: Sequence[XY], width: float, height: float) -> Iterator[Rect]:
    """Positions close to a line: left and right of it where it is steep, above and below where it is flat."""
    for part in _ALONG:
        n = min(int(part * (len(line) - 1)), len(line) - 2)
        (x0, y0), (x1, y1) = line[n], line[n + 1]
        x, y = (x0 + x1 - width) / 2, (y0 + y1 - height) / 2
        length = max(hypot(x1 - x0, y1 - y0), 0.01)
        across, down = (y1 - y0) / length, (x0 - x1) / length
        if abs(across) > _STEEP:
            off = width / 2 + abs(down / across) * (height / 2 + _NEAR) + _GAP
            yield Rect(x + off, y, width, height)
            yield Rect(x - off, y, width, height)
        if abs(down) > 1 - _STEEP:
            off = abs(across) * width / 2 + abs(down) * height / 2 + _GAP
            yield Rect(x + off * across, y + off * down, width, height)
            yield Rect(x - off * across, y - off * down, width, height)
