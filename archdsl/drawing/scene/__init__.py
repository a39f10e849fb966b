"""A picture as data: polygons, paths, circles and texts in points, painted in order; `svg` and `tikz` write it.

Whatever a spec names is in a `Text` or a `Mark`, as plain text; only the writers know how their language quotes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias

Anchor: TypeAlias = Literal["start", "middle", "end"]


class Point(NamedTuple):
    """Right and down, in points."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Polygon:
    points: tuple[Point, ...]
    fill: str
    line: str = ""
    width: float = 0.5
    round: float = 0.0
    """Radius of the corners, for a rectangle along the axes."""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """A polyline with rounded corners; with `curved`, one cubic curve through four points."""

    points: tuple[Point, ...]
    line: str
    width: float = 0.7
    head: bool = False
    """An arrow head at its end."""
    dashed: bool = False
    curved: bool = False
    round: float = 0.0


@dataclass(frozen=True, slots=True)
class Circle:
    center: Point
    radius: float
    fill: str
    line: str = ""
    width: float = 0.7


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text, standing on the baseline `at`."""

    at: Point
    text: str
    size: float
    color: str
    anchor: Anchor = "middle"
    bold: bool = False


Item: TypeAlias = Polygon | Path | Circle | Text


@dataclass(slots=True)
class Mark:
    """Items that are one thing of the network: `kind` (`stage`, `arc`, ...), what it is called, and a line about it."""

    kind: str
    name: str
    title: str
    items: list[Item] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    """More about it, for programs: `copies`, `source`, `target`."""


@dataclass(slots=True)
class Scene:
    """A whole picture, `width` by `height` points, its origin at the top left."""

    title: str
    description: str
    width: float
    height: float
    background: str
    members: list[Mark | Item] = field(default_factory=list)

    def items(self) -> Iterator[Item]:
        """All items in the order they are painted."""
        for member in self.members:
            if isinstance(member, Mark):
                yield from member.items
            else:
                yield member


def rectangle(x: float, y: float, width: float, height: float) -> tuple[Point, ...]:
    """The corners of a rectangle, its first the top left one."""
    return Point(x, y), Point(x + width, y), Point(x + width, y + height), Point(x, y + height)


def shorten(text: str, limit: int) -> str:
    """A text of at most `limit` letters, its end an ellipsis where it was longer."""
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def scaled(scene: Scene, factor: float) -> Scene:
    """The scene larger or smaller: all lengths, letters and lines."""
    members = [
        Mark(m.kind, m.name, m.title, [_scaled(item, factor) for item in m.items], m.facts)
        if isinstance(m, Mark)
        else _scaled(m, factor)
        for m in scene.members
    ]
    return replace(scene, width=scene.width * factor, height=scene.height * factor, members=members)


def _scaled(item: Item, factor: float) -> Item:
    def at(point: Point) -> Point:
        return Point(point.x * factor, point.y * factor)

    if isinstance(item, Text):
        return replace(item, at=at(item.at), size=item.size * factor)
    if isinstance(item, Circle):
        return replace(item, center=at(item.center), radius=item.radius * factor, width=item.width * factor)
    return replace(item, points=tuple(map(at, item.points)), width=item.width * factor, round=item.round * factor)


def moved(member: Mark | Item, x: float, y: float) -> Mark | Item:
    """A member at another place."""
    if isinstance(member, Mark):
        return Mark(member.kind, member.name, member.title, [_moved(item, x, y) for item in member.items], member.facts)
    return _moved(member, x, y)


def _moved(item: Item, x: float, y: float) -> Item:
    if isinstance(item, Text):
        return replace(item, at=Point(item.at.x + x, item.at.y + y))
    if isinstance(item, Circle):
        return replace(item, center=Point(item.center.x + x, item.center.y + y))
    return replace(item, points=tuple(Point(p.x + x, p.y + y) for p in item.points))
