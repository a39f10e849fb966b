"""Place the shapes beside their arrows and the titles in their frames, with little overlap.

Graphviz can place them too, but it uses an extra rank for each, which makes a drawing half as long again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from math import hypot
from typing import NamedTuple, TypeAlias

XY: TypeAlias = tuple[float, float]

_CELL = 32.0
_STEP = 5.0
_GAP, _ASIDE = 3.0, 5.0
"""The distance of a label from its line, and from its box or the card behind it."""
_NEAR = 2.0
"""A text closer to an arrow than this counts as on the arrow."""
_TRIES = 40
"""Positions along an arrow, the middle first."""
_STEEP = 0.5
_BESIDE = 6.0
"""A text this close to the arrow of another box could belong to that arrow."""
_FRAMES = -1
"""The group of the borders of frames."""
_ON_TEXT, _ON_LINE, _BY_OTHER, _PER_TRY = 90.0, 9.0, 1.0, 0.01


class Rect(NamedTuple):
    """A rectangle; `x`, `y` is its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, point: XY) -> bool:
        return 0 <= point[0] - self.x <= self.width and 0 <= point[1] - self.y <= self.height

    def grown(self, by: float) -> Rect:
        return Rect(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)

    def meets(self, other: Rect) -> bool:
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height

    def shifted(self, right: float, down: float) -> Rect:
        return self._replace(x=self.x + right, y=self.y + down)


Move: TypeAlias = Callable[[Rect], Rect]


class Spline(NamedTuple):
    """The route of an arrow: the points of a cubic spline, its tip, and the middle of its label."""

    points: tuple[XY, ...]
    tip: XY
    label: XY | None
    foot: int = 0
    """The number of points at its beginning beside which its label is; 0: all."""

    def mapped(self, at: Move) -> Spline:
        points, label = tuple(at_point(at, point) for point in self.points), self.label and at_point(at, self.label)
        return Spline(points, at_point(at, self.tip), label, self.foot)


class GraphLayout(NamedTuple):
    """`boxes` by number; `frames`, each with the middle of its title, and `splines` in the order of the drawing."""

    width: float
    height: float
    boxes: dict[int, Rect]
    frames: tuple[tuple[Rect, XY], ...]
    splines: tuple[Spline, ...]

    def mapped(self, at: Move) -> GraphLayout:
        """Return the layout with its rectangles moved by a function, and its points as rectangles without a size."""
        return GraphLayout(
            *at_point(at, (self.width, self.height)),
            {number: at(rect) for number, rect in self.boxes.items()},
            tuple((at(rect), at_point(at, title)) for rect, title in self.frames),
            tuple(spline.mapped(at) for spline in self.splines),
        )


def at_point(at: Move, point: XY) -> XY:
    """Return a point moved by a function of rectangles."""
    return at(Rect(*point, 0.0, 0.0))[:2]


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
    """Boxes, texts and points of lines by grid cell. Lines of one `group`, the arrows of a box, belong together."""

    def __init__(self) -> None:
        self.rects: dict[tuple[int, int], list[Rect]] = {}
        self.points: dict[tuple[int, int], list[tuple[int, int, XY]]] = {}

    def add(self, rect: Rect) -> None:
        for cell in _cells(rect):
            self.rects.setdefault(cell, []).append(rect)

    def add_line(self, number: int, group: int, line: Iterable[XY]) -> None:
        for point in line:
            cell = int(point[0] // _CELL), int(point[1] // _CELL)
            self.points.setdefault(cell, []).append((number, group, point))

    def cost(self, rect: Rect, group: int) -> float:
        """The cost of a text of this group at a rectangle."""
        total = 0.0
        crossed: set[int] = set()
        beside: set[int] = set()
        inner, outer = rect.grown(_NEAR), rect.grown(_BESIDE)
        for cell in _cells(outer):
            total += _ON_TEXT * sum(rect.meets(other) for other in self.rects.get(cell, ()))
            for number, owner, point in self.points.get(cell, ()):
                if outer.holds(point):
                    if inner.holds(point):
                        crossed.add(number)
                    elif owner not in (group, _FRAMES):
                        beside.add(number)
        return total + _ON_LINE * len(crossed) + _BY_OTHER * len(beside - crossed)


def _cells(rect: Rect) -> Iterator[tuple[int, int]]:
    for column in range(int(rect.x // _CELL), int((rect.x + rect.width) // _CELL) + 1):
        for row in range(int(rect.y // _CELL), int((rect.y + rect.height) // _CELL) + 1):
            yield column, row


class Words(NamedTuple):
    """The positions of frame titles, and of arrow labels by arrow number; `crowded` are the boxes that lack the room
    for their label."""

    titles: list[Rect]
    labels: dict[int, Rect]
    crowded: frozenset[int]


def find_positions(
    lines: Sequence[Sequence[XY]],
    feet: Mapping[int, Sequence[XY]],
    sources: Sequence[int],
    boxes: Mapping[int, Rect],
    frames: Sequence[Rect],
    titles: Iterable[Iterable[Rect]],
    labels: Mapping[int, tuple[float, float]],
) -> Words:
    """Return the best positions of titles, each with its candidates, and of labels, each with its width and height.

    `lines` are the points of all arrows, `feet` those of a part beside which the label is, and `sources` the boxes from
    which they come. A label is placed beside its arrow, beside another arrow of its box, or beside the box. A label
    that would cover a text has no position.
    """
    grid = _Grid()
    for rect in boxes.values():
        grid.add(rect)
    leaving: dict[int, list[Sequence[XY]]] = {}
    for number, (line, source) in enumerate(zip(lines, sources, strict=True)):
        grid.add_line(number, source, line)
        leaving.setdefault(source, []).append(feet.get(number, line))
    for number, frame in enumerate(frames):
        grid.add_line(-1 - number, _FRAMES, _border(frame))
    named = []
    for candidates in titles:
        named.append(_best(grid, _FRAMES, candidates)[0])
        grid.add(named[-1])
    positions: dict[int, Rect] = {}
    crowded = set()
    for number, size in labels.items():
        source = sources[number]
        near = (_beside_line(line, *size) for line in (feet.get(number, lines[number]), *leaving[source]))
        position, cost = _best(grid, source, chain(*near, _beside_box(boxes[source], *size)))
        if cost >= _BY_OTHER:
            crowded.add(source)
        if cost < _ON_TEXT:
            positions[number] = position
            grid.add(position)
    return Words(named, positions, frozenset(crowded))


def _border(rect: Rect) -> Iterator[XY]:
    """Points of the border of a frame."""
    for n in range(int(rect.width / _STEP) + 1):
        yield rect.x + n * _STEP, rect.y
        yield rect.x + n * _STEP, rect.y + rect.height
    for n in range(int(rect.height / _STEP) + 1):
        yield rect.x, rect.y + n * _STEP
        yield rect.x + rect.width, rect.y + n * _STEP


def title_positions(band: Rect, width: float, height: float) -> Iterator[Rect]:
    """Positions of a title in a band: at its left end, at its right end, then between."""
    room = max(band.width - width, 0.0)
    for part in (0.0, 1.0, *(n / 12 for n in range(1, 12))):
        yield Rect(band.x + part * room, band.y + (band.height - height) / 2, width, height)


def _best(grid: _Grid, group: int, candidates: Iterable[Rect]) -> tuple[Rect, float]:
    best, least = None, float("inf")
    for tried, rect in enumerate(candidates):
        cost = grid.cost(rect, group) + _PER_TRY * tried
        if cost < least:
            best, least = rect, cost
        if least <= _PER_TRY * tried:
            break
    assert best is not None
    return best, least


def _beside_line(line: Sequence[XY], width: float, height: float) -> Iterator[Rect]:
    """Positions close to a line: right and left of it where it is steep, below and above where it is flat."""
    middle = len(line) // 2
    for n in sorted(range(len(line) - 1), key=lambda n: abs(n - middle))[:_TRIES]:
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


def _beside_box(box: Rect, width: float, height: float) -> Iterator[Rect]:
    """Positions at the right and left of a box, the lower end first, then above and below it."""
    for y in (box.y + box.height - height, box.y + (box.height - height) / 2, box.y):
        yield Rect(box.x + box.width + _ASIDE, y, width, height)
        yield Rect(box.x - width - _ASIDE, y, width, height)
    for y in (box.y - height - _ASIDE, box.y + box.height + _GAP):
        yield Rect(box.x + (box.width - width) / 2, y, width, height)
