"""A scene as what a person moves as one: boxes with their texts, arrows between them, and single items.

TikZ, PowerPoint and draw.io write these, so that a box and its arrows can be moved by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from archdsl.drawing.metrics import text_width
from archdsl.drawing.scene import ORIGIN, Circle, Cluster, Element, Item, Path, Point, Raster, Scene, Text, items_of

_MAX_NAME = 80


class Rect(NamedTuple):
    """The smallest rectangle around items."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> Point:
        return Point((self.left + self.right) / 2, (self.top + self.bottom) / 2)


class Thing(NamedTuple):
    """A cluster with an id, or an item outside of those: its items at their place in the picture, in painting order.

    `name` is made of the id: letters, digits and hyphens, unique in the picture; empty for a single item. An arrow has
    the names of its `ends`.
    """

    name: str
    title: str
    items: tuple[Item, ...]
    ends: tuple[str, str] | None = None

    @property
    def bounds(self) -> Rect:
        """The rectangle around the items; of its texts only if there is nothing else."""
        solid = [item for item in self.items if not isinstance(item, Text)]
        points = [point for item in solid or self.items for point in _extent(item)]
        xs, ys = [point.x for point in points], [point.y for point in points]
        return Rect(min(xs), min(ys), max(xs), max(ys))


def things(scene: Scene) -> list[Thing]:
    """Return everything in a scene, in painting order. Clusters without an id are not kept together."""
    found = list(_flat(scene.members, ORIGIN))
    names = _names(member.id for member, _ in found if isinstance(member, Cluster))
    out = []
    for member, origin in found:
        items = tuple(items_of([member], origin))
        if not isinstance(member, Cluster):
            out.append(Thing("", "", items))
        elif items:
            known = member.ends is not None and all(end in names for end in member.ends)
            ends = (names[member.ends[0]], names[member.ends[1]]) if member.ends and known else None
            out.append(Thing(names[member.id], member.title or member.name, items, ends))
    return out


def _flat(members: Sequence[Element], origin: Point) -> Iterator[tuple[Element, Point]]:
    for member in members:
        if isinstance(member, Cluster) and not member.id:
            yield from _flat(member.members, Point(origin.x + member.shift.x, origin.y + member.shift.y))
        else:
            yield member, origin


def _names(ids: Iterator[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for id in ids:
        name = re.sub("[^A-Za-z0-9]+", "-", id[:_MAX_NAME]).strip("-").lower()
        taken[name] += 1
        names[id] = name if taken[name] == 1 else f"{name}-copy{taken[name]}"
    return names


def _extent(item: Item) -> tuple[Point, ...]:
    """Points whose bounds are those of an item."""
    if isinstance(item, Circle):
        (x, y), r = item.center, item.radius
        return Point(x - r, y - r), Point(x + r, y + r)
    if isinstance(item, Raster):
        return item.at, Point(item.at.x + item.width, item.at.y + item.height)
    if isinstance(item, Text):
        width = text_width(item.text, item.size, item.bold)
        left = item.at.x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[item.anchor]
        return Point(left, item.at.y - 0.8 * item.size), Point(left + width, item.at.y + 0.25 * item.size)
    return tuple(item.along()) if isinstance(item, Path) else item.points


def extent(item: Item) -> Rect:
    """Return the rectangle around an item; a text is 1.05 times as high as its font size."""
    points = _extent(item)
    return Rect(*(f(point[axis] for point in points) for f in (min, max) for axis in (0, 1)))
