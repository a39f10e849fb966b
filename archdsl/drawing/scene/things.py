"""A scene as what a person moves as one: boxes with their texts, arrows between them, and single items.

TikZ, PowerPoint and draw.io write these, so that a box and its arrows can be moved by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from archdsl.drawing.metrics import text_width
from archdsl.drawing.scene import (
    ORIGIN,
    Anchor,
    Circle,
    Cluster,
    Element,
    Item,
    Path,
    Point,
    Polygon,
    Raster,
    Scene,
    Text,
    items_of,
)

_MAX_NAME = 80
BLOCKS, AREAS, _BESIDE, _MARKS = ("frame", "group"), ("area",), ("label", "card"), ("window",)
"""Kinds of clusters that are not boxes: frames of a block, areas around blocks, what moves with a box, and what joins a
box and the one before it."""


class Rect(NamedTuple):
    """The smallest rectangle around items."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> Point:
        return Point((self.left + self.right) / 2, (self.top + self.bottom) / 2)


def union(boxes: Sequence[Rect]) -> Rect:
    """Return the smallest rectangle around rectangles."""
    return Rect(*(f(box[n] for box in boxes) for n, f in enumerate((min, min, max, max))))


class Thing(NamedTuple):
    """A cluster with an id, or an item outside of those: its items at their place in the picture, in painting order.

    `name` is made of the id: letters, digits and hyphens, unique in the picture; empty for a single item. An arrow has
    the names of its `ends`, and what belongs to a box, such as the card behind it, the name of that `box`.
    """

    name: str
    title: str
    items: tuple[Item, ...]
    ends: tuple[str, str] | None = None
    box: str = ""

    @property
    def bounds(self) -> Rect:
        return bounds(self.items)


def things(scene: Scene) -> list[Thing]:
    """Return everything in a scene, in painting order. Clusters without an id are not kept together."""
    found = [(member, tuple(items_of([member], origin))) for member, origin in flat(scene.members)]
    names = _names([member.id if isinstance(member, Cluster) else "" for member, _ in found])
    by_id = {m.id: name for (m, _), name in reversed(list(zip(found, names, strict=True))) if isinstance(m, Cluster)}
    boxes = {path_of(id): name for id, name in by_id.items() if is_box(id)}
    out = []
    for (member, items), name in zip(found, names, strict=True):
        if not isinstance(member, Cluster):
            out.append(Thing("", "", items))
        elif items:
            source, target = (by_id.get(end, "") for end in member.ends or ("", ""))
            ends = (source, target) if source and target else None
            box = boxes.get(path_of(member.id), "") if kind_of(member.id) in _BESIDE else ""
            out.append(Thing(name, member.title or member.name, items, ends, box))
    return out


def kind_of(id: str) -> str:
    """Return the kind of a cluster by its id: `box` for `box-stem`, and for `a-box-stem` of a panel."""
    match = re.match("(?:[a-z]-)?([a-z]+)-", id)
    return match[1] if match else ""


def path_of(id: str) -> str:
    """Return an id without its kind, but with the letter of its panel."""
    return re.sub("^([a-z]-)?[a-z]+-", r"\1", id)


def is_box(id: str) -> bool:
    """Return whether a cluster is a box."""
    return kind_of(id) not in ("arrow", *BLOCKS, *AREAS, *_BESIDE, *_MARKS)


def flat(members: Sequence[Element], origin: Point = ORIGIN) -> Iterator[tuple[Element, Point]]:
    """Return clusters with an id and items outside of those, each with its origin, in painting order."""
    for member in members:
        if isinstance(member, Cluster) and not member.id:
            yield from flat(member.members, Point(origin.x + member.shift.x, origin.y + member.shift.y))
        else:
            yield member, origin


def _names(ids: Sequence[str]) -> list[str]:
    taken: Counter[str] = Counter()
    names = []
    for id in ids:
        name = re.sub("[^A-Za-z0-9]+", "-", id[:_MAX_NAME]).strip("-").lower()
        taken[name] += 1
        names.append(name if taken[name] == 1 or not name else f"{name}-copy{taken[name]}")
    return names


def _corners(item: Item) -> tuple[Point, ...]:
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


def bounds(items: Sequence[Item]) -> Rect:
    """Return the rectangle around items, around texts only if there is nothing else.

    A text is 1.05 times as high as its font size.
    """
    solid = [item for item in items if not isinstance(item, Text)]
    points = [point for item in solid or items for point in _corners(item)]
    return Rect(*(f(point[axis] for point in points) for f in (min, max) for axis in (0, 1)))


def extent(item: Item) -> Rect:
    """Return the rectangle around an item."""
    return bounds([item])


# --- pieces ----------------------------------------------------------------------------------------------

Line: TypeAlias = tuple[Text, ...]
"""Texts beside each other on one baseline, from left to right."""


class Piece(NamedTuple):
    """One shape of a thing: an outline with the lines of text in it, or only lines, or only an outline."""

    outline: Polygon | Circle | Path | Raster | None
    lines: tuple[Line, ...] = ()

    @property
    def bounds(self) -> Rect:
        """The rectangle around it; of a shape without its text."""
        return bounds(self.texts if self.outline is None else [self.outline])

    @property
    def texts(self) -> list[Text]:
        return [text for line in self.lines for text in line]


class Alignment(NamedTuple):
    """Where the text of a shape is: at its left, middle or right, and there `inset` from that edge; in its middle, or
    `top` below its upper edge."""

    across: Anchor
    inset: float
    top: float | None


def alignment(piece: Piece) -> Alignment:
    """Return where the text of a piece is, which must have some."""
    box, words = piece.bounds, bounds(piece.texts)
    aside = words.middle.x - box.middle.x
    across: Anchor = "middle"
    if piece.outline is None:
        across = piece.lines[0][0].anchor
    elif abs(aside) > 0.2 * (box.right - box.left):
        across = "start" if aside < 0 else "end"
    inset = {"start": words.left - box.left, "middle": 0.0, "end": box.right - words.right}[across]
    central = abs(words.middle.y - box.middle.y) < 0.2 * (box.bottom - box.top)
    return Alignment(across, max(inset, 0.0), None if central else max(words.top - box.top, 0.0))


def gap(line: Line, n: int) -> str:
    """Return the space before text number n of a line."""
    apart = extent(line[n]).left - extent(line[n - 1]).right if n else 0.0
    return " " if apart > 0.1 * line[n].size else ""


def pieces(thing: Thing) -> list[Piece]:
    """Return the shapes of a thing. If it has one outline, and all of its texts are in it, that is one shape."""
    outlines = [item for item in thing.items if not isinstance(item, Text)]
    written = _lines([item for item in thing.items if isinstance(item, Text)])
    if len(outlines) == 1 and not isinstance(outlines[0], Path | Raster):
        around = extent(outlines[0])
        middles = (extent(text).middle for line in written for text in line)
        if all(around.left < x < around.right and around.top < y < around.bottom for x, y in middles):
            return [Piece(outlines[0], tuple(written))]
    return [*map(Piece, outlines), *(Piece(None, (line,)) for line in written)]


def _lines(texts: Sequence[Text]) -> list[Line]:
    """The lines from top to bottom: texts on one baseline with at most a wide space between them."""
    lines: list[list[Text]] = []
    for text in sorted(texts, key=lambda text: (round(text.at.y, 1), extent(text).left)):
        last = lines[-1][-1] if lines else None
        near = last is not None and extent(text).left - extent(last).right < 1.2 * text.size
        if last is not None and near and abs(last.at.y - text.at.y) < 0.1:
            lines[-1].append(text)
        else:
            lines.append([text])
    return [tuple(line) for line in lines]


def axis_aligned(item: Item | None) -> bool:
    """Return whether an item is a rectangle with horizontal and vertical sides."""
    if not isinstance(item, Polygon) or len(item.points) != 4:
        return False
    (a, b, c, d) = item.points
    return a.y == b.y and b.x == c.x and c.y == d.y and d.x == a.x


class Route(NamedTuple):
    """An arrow: its lines, the last with the arrowhead, and its texts."""

    paths: list[Path]
    texts: list[Piece]

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(point for path in self.paths for point in path.points)


def route(thing: Thing) -> Route:
    """Return the lines and the texts of an arrow."""
    texts = thing._replace(items=tuple(item for item in thing.items if not isinstance(item, Path)))
    return Route([item for item in thing.items if isinstance(item, Path)], pieces(texts))
