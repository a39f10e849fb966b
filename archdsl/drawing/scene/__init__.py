"""A picture as data: polygons, paths, circles, texts and pixels, painted in order. `svg` and `tikz` write it.

Lengths are in points. The texts of a spec are plain text in `Text` and `Cluster`; each writer quotes them for its
format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import dist
from struct import pack
from typing import Literal, NamedTuple, TypeAlias
from zlib import compress, crc32

Anchor: TypeAlias = Literal["start", "middle", "end"]
Dashes: TypeAlias = tuple[float, ...]
"""Alternating lengths of dashes and gaps, in points; empty: a solid line."""

DASHES: Dashes = (2.5, 2.0)


class Point(NamedTuple):
    """A point: x to the right and y down, in points."""

    x: float
    y: float


ORIGIN = Point(0.0, 0.0)


class Sheet(NamedTuple):
    """The largest size of a picture on paper, in points."""

    width: float
    height: float


PORTRAIT = Sheet(547.0, 792.0)
"""A sheet of A4 or letter paper without margins."""
LANDSCAPE = Sheet(PORTRAIT.height, PORTRAIT.width)


@dataclass(frozen=True, slots=True)
class Hatch:
    """A fill of lines on a background, repeated in square cells: a pattern for print without colour."""

    lines: tuple[tuple[Point, Point], ...]
    cell: float = 5.0
    ground: str = "#FFFFFF"
    line: str = "#A8A8A8"
    width: float = 0.5


Fill: TypeAlias = str | Hatch
"""A colour (`#RRGGBB`), a hatch, or no fill (an empty string)."""


@dataclass(frozen=True, slots=True)
class Polygon:
    points: tuple[Point, ...]
    fill: Fill
    line: str = ""
    width: float = 0.5
    round: float = 0.0
    """Radius of the corners of an axis-aligned rectangle."""
    dashes: Dashes = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A polyline with rounded corners; with `curved`, cubic curves through 3n + 1 points."""

    points: tuple[Point, ...]
    line: str
    width: float = 0.7
    dashes: Dashes = ()
    head: bool = False
    """Whether the path ends with an arrowhead."""
    curved: bool = False
    round: float = 0.0

    def along(self, apart: float = 2.0) -> Iterator[Point]:
        """Return points on the line, at most about `apart` from each other; corners are not rounded."""
        step = 3 if self.curved else 1
        for n in range(0, len(self.points) - 1, step):
            legs = self.points[n : n + step + 1]
            count = 1 + int(sum(dist(a, b) for a, b in pairwise(legs)) / apart)
            yield from (_bezier(legs, k / count) for k in range(count + 1))


def _bezier(points: Sequence[Point], t: float) -> Point:
    """The point at `t` of 0 to 1 on the curve with these control points; two are a straight line."""
    while len(points) > 1:
        points = [Point(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)) for a, b in pairwise(points)]
    return points[0]


@dataclass(frozen=True, slots=True)
class Circle:
    center: Point
    radius: float
    fill: Fill
    line: str = ""
    width: float = 0.7
    dashes: Dashes = ()


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text, standing on the baseline `at`."""

    at: Point
    text: str
    size: float
    color: str
    anchor: Anchor = "middle"
    bold: bool = False
    halo: str = ""
    """The background colour, drawn around the letters so that they stay readable on a line. Empty: no halo."""


class Bitmap(NamedTuple):
    """Pixels in rows from the top left: one byte each if grey, else three, red, green and blue."""

    columns: int
    rows: int
    data: bytes

    @property
    def channels(self) -> int:
        return len(self.data) // (self.columns * self.rows)

    def png(self) -> bytes:
        """Return the pixels as a PNG file."""

        def chunk(kind: bytes, body: bytes) -> bytes:
            return pack(">I", len(body)) + kind + body + pack(">I", crc32(kind + body))

        wide = self.columns * self.channels
        lines = b"".join(b"\0" + self.data[n : n + wide] for n in range(0, len(self.data), wide))
        head = pack(">IIBBBBB", self.columns, self.rows, 8, 0 if self.channels == 1 else 2, 0, 0, 0)
        parts = chunk(b"IHDR", head), chunk(b"IDAT", compress(lines, 9)), chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@dataclass(frozen=True, slots=True)
class Raster:
    """An image of pixels, in any theme the same."""

    at: Point
    """The top left corner."""
    width: float
    height: float
    bitmap: Bitmap


Item: TypeAlias = Polygon | Path | Circle | Text | Raster


@dataclass(slots=True)
class Cluster:
    """Items that belong together, with a `kind` (`stage`, `arc`, ...), a name and a tooltip (`title`)."""

    kind: str
    name: str = ""
    title: str = ""
    members: Sequence[Cluster | Item] = ()
    facts: dict[str, str] = field(default_factory=dict)
    """Attributes for programs: `copies`, `source`, `target`, ..."""
    shift: Point = ORIGIN
    """The origin of the members."""
    id: str = ""
    """A name that no other cluster has, made of the path of what is drawn: `box-layer2.0`. Empty: none."""
    ends: tuple[str, str] | None = None
    """Of an arrow: the ids of the clusters from which and to which it leads."""


Element: TypeAlias = Cluster | Item


@dataclass(slots=True)
class Scene:
    """A whole picture of `width` by `height` points, with its origin at the top left."""

    title: str
    description: str
    width: float
    height: float
    background: str
    members: list[Element] = field(default_factory=list)
    paper: Sheet | None = PORTRAIT
    """The sheet that the picture is scaled down to if no width is requested; None: its own size."""
    cap: Literal["round", "butt"] = "round"
    """The ends of lines and dashes."""
    digits: int = 2
    """Decimals of the coordinates in SVG."""
    key: str = ""
    """Distinguishes it from other pictures with the same title, description and width."""
    label: tuple[str, str] = ("", "")
    """The name of what is drawn and a line about it, whatever the heading is: for a figure of several pictures."""
    note: str = ""
    """How the drawing was simplified; empty if it was not."""
    shows: str = ""
    """What the picture shows, and its counts."""
    signs: tuple[str, ...] = ()
    """How it is drawn: sentences without a period."""
    alt: str = ""
    """The alternative text."""
    body: float = 0.0
    """Font size of the main labels; on paper, they are no larger. 0: the picture fills its width."""

    @property
    def caption(self) -> str:
        """What stands below the picture in a document: what it shows, its counts, and how it is drawn."""
        return "".join(f"{sentence}. " for sentence in (self.shows, *self.signs) if sentence).rstrip()

    def items(self) -> Iterator[Item]:
        """Return all items in painting order, with absolute positions."""
        return items_of(self.members, ORIGIN)


def items_of(members: Sequence[Element], origin: Point) -> Iterator[Item]:
    """Return all items in members whose origin is this point, in painting order, with absolute positions."""
    for member in members:
        if isinstance(member, Cluster):
            yield from items_of(member.members, Point(origin.x + member.shift.x, origin.y + member.shift.y))
        else:
            yield member if origin == ORIGIN else moved_item(member, *origin)


def arrow_id(source: str, target: str) -> str:
    """Return the id of an arrow between two clusters: `arrow-conv1-maxpool` for `box-conv1` and `box-maxpool`."""
    return "-".join(("arrow", *(end.partition("-")[2] for end in (source, target))))


def prefixed(member: Element, prefix: str) -> Element:
    """Return a member whose ids, and those in it, start with a prefix."""
    if not isinstance(member, Cluster):
        return member
    ends = member.ends and (prefix + member.ends[0], prefix + member.ends[1])
    inner = [prefixed(inner, prefix) for inner in member.members]
    return replace(member, members=inner, id=member.id and prefix + member.id, ends=ends)


def rectangle(x: float, y: float, width: float, height: float) -> tuple[Point, ...]:
    """Return the corners of a rectangle, the top left one first."""
    return Point(x, y), Point(x + width, y), Point(x + width, y + height), Point(x, y + height)


def shorten(text: str, limit: int) -> str:
    """Shorten a text to at most `limit` characters; an ellipsis replaces its end."""
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def scaled(scene: Scene, factor: float) -> Scene:
    """Return the scene with all lengths, letters and line widths scaled by a factor."""
    members = [_scaled(member, factor) for member in scene.members]
    return replace(scene, width=scene.width * factor, height=scene.height * factor, members=members)


def _scaled(member: Element, factor: float) -> Element:
    def at(point: Point) -> Point:
        return Point(point.x * factor, point.y * factor)

    if isinstance(member, Cluster):
        return replace(member, members=[_scaled(m, factor) for m in member.members], shift=at(member.shift))
    if isinstance(member, Text):
        return replace(member, at=at(member.at), size=member.size * factor)
    if isinstance(member, Raster):
        return replace(member, at=at(member.at), width=member.width * factor, height=member.height * factor)
    dashes, width = tuple(length * factor for length in member.dashes), member.width * factor
    if isinstance(member, Path):
        points = tuple(map(at, member.points))
        return replace(member, points=points, width=width, dashes=dashes, round=member.round * factor)
    fill = member.fill
    if isinstance(fill, Hatch):
        lines = tuple((at(start), at(end)) for start, end in fill.lines)
        fill = replace(fill, lines=lines, cell=fill.cell * factor, width=fill.width * factor)
    if isinstance(member, Circle):
        radius = member.radius * factor
        return replace(member, center=at(member.center), radius=radius, fill=fill, width=width, dashes=dashes)
    points = tuple(map(at, member.points))
    return replace(member, points=points, fill=fill, width=width, dashes=dashes, round=member.round * factor)


def moved(member: Element, x: float, y: float) -> Element:
    """Return a member shifted by (x, y)."""
    if isinstance(member, Cluster):
        return replace(member, members=[moved(inner, x, y) for inner in member.members])
    return moved_item(member, x, y)


def moved_item(item: Item, x: float, y: float) -> Item:
    """Return an item shifted by (x, y)."""
    if isinstance(item, Text | Raster):
        return replace(item, at=Point(item.at.x + x, item.at.y + y))
    if isinstance(item, Circle):
        return replace(item, center=Point(item.center.x + x, item.center.y + y))
    return replace(item, points=tuple(Point(p.x + x, p.y + y) for p in item.points))
