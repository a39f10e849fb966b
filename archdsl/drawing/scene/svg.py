"""A scene as SVG: text stays text, marks have titles, and each look is a class of the style sheet.

With a second scene, of the same things in dark colours, the style sheet turns dark where the reader prefers that.
"""

from __future__ import annotations

from itertools import chain, repeat
from math import hypot
from typing import NamedTuple
from zlib import crc32

from archdsl.drawing.element import element
from archdsl.drawing.metrics import FAMILY
from archdsl.drawing.scene import Circle, Item, Mark, Path, Point, Polygon, Scene, Text
from archdsl.report.text import xml

_HEAD_LENGTH, _HEAD_WIDTH = 4.6, 3.6
_PAGE = (547.0, 792.0)
"""What fits a sheet of A4, or of letter paper, with margins."""
_MAX_WORDS = 300


def to_svg(scene: Scene, dark: Scene | None = None, width: float | None = None) -> str:
    """The scene as an SVG document, the same on every machine; `width` points wide, else at most as large as a page."""
    pen = _Pen(
        f"s{crc32(repr((scene.title, scene.description, round(scene.width))).encode('ascii', 'backslashreplace')):08x}"
    )
    body = [
        _member(member, other, pen)
        for member, other in zip(scene.members, dark.members if dark else repeat(None), strict=False)
    ]
    part = min(1, _PAGE[0] / scene.width, _PAGE[1] / scene.height) if width is None else width / scene.width
    root = element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        class_=f"archdsl {pen.id}",
        width=part * scene.width,
        height=part * scene.height,
        viewBox=f"0 0 {scene.width:.1f} {scene.height:.1f}",
        role="img",
        aria_labelledby=f"{pen.id}-title {pen.id}-desc",
    )
    ground = pen.name(_Style(fill=scene.background), _Style(fill=dark.background) if dark else None)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'{root[:-2]} font-family="{FAMILY}" stroke-linejoin="round" stroke-linecap="round">',
            element("title", xml(scene.title[:_MAX_WORDS]), id=f"{pen.id}-title"),
            element("desc", xml(scene.description), id=f"{pen.id}-desc"),
            element("style", pen.rules()),
            element("rect", class_=ground, width="100%", height="100%"),
            *body,
            "</svg>",
            "",
        ]
    )


class _Style(NamedTuple):
    """How an item looks: the properties of its class."""

    fill: str = "none"
    line: str = ""
    width: float = 0.0
    dashed: bool = False
    size: float = 0.0
    bold: bool = False

    def properties(self) -> str:
        out = [f"fill:{self.fill}"]
        out += [f"stroke:{self.line}", f"stroke-width:{number(self.width)}"] if self.line else []
        out += ["stroke-dasharray:2.5 2"] if self.dashed else []
        out += [f"font-size:{number(self.size)}px"] if self.size else []
        out += ["font-weight:bold"] if self.bold else []
        return ";".join(out)

    def colors(self) -> str:
        return f"fill:{self.fill}" + (f";stroke:{self.line}" if self.line else "")


class _Pen:
    """The classes that are used, each a pair of looks: in light and in dark."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.names: dict[tuple[_Style, _Style | None], str] = {}

    def name(self, style: _Style, dark: _Style | None) -> str:
        return self.names.setdefault((style, dark), f"c{len(self.names)}")

    def rules(self) -> str:
        light = "".join(f".{self.id} .{name}{{{style.properties()}}}" for (style, _), name in self.names.items())
        dark = "".join(f".{self.id} .{name}{{{other.colors()}}}" for (_, other), name in self.names.items() if other)
        return light + (f"@media (prefers-color-scheme:dark){{{dark}}}" if dark else "")


def _member(member: Mark | Item, dark: Mark | Item | None, pen: _Pen) -> str:
    if not isinstance(member, Mark):
        assert not isinstance(dark, Mark)
        return _item(member, dark, pen)
    others = dark.items if isinstance(dark, Mark) else repeat(None)
    items = (_item(item, other, pen) for item, other in zip(member.items, others, strict=False))
    title = [element("title", xml(member.title[:_MAX_WORDS]))] if member.title else []
    facts = {f"data_{key}": value for key, value in member.facts.items()}
    return element("g", *chain(title, items), class_=member.kind, data_name=member.name[:_MAX_WORDS], **facts)


def _item(item: Item, dark: Item | None, pen: _Pen) -> str:
    name = pen.name(_style(item), _style(dark) if dark is not None else None)
    if isinstance(item, Circle):
        return f'<circle class="{name}" cx="{number(item.center.x)}" cy="{number(item.center.y)}" r="{number(item.radius)}"/>'
    if isinstance(item, Text):
        anchor = "" if item.anchor == "start" else f' text-anchor="{item.anchor}"'
        return f'<text class="{name}" x="{number(item.at.x)}" y="{number(item.at.y)}"{anchor}>{xml(item.text)}</text>'
    if isinstance(item, Polygon):
        return _polygon(item, name)
    return _path(item, name, dark.line if isinstance(dark, Path) else None, pen)


def _style(item: Item) -> _Style:
    if isinstance(item, Text):
        return _Style(item.color, size=item.size, bold=item.bold)
    if isinstance(item, Path):
        return _Style("none", item.line, item.width, item.dashed)
    dashed = isinstance(item, Polygon) and item.dashed
    return _Style(item.fill or "none", item.line, item.width if item.line else 0.0, dashed)


def _polygon(item: Polygon, name: str) -> str:
    if item.round:
        (x, y), _, (right, bottom), _ = item.points
        place = f'x="{number(x)}" y="{number(y)}" width="{number(right - x)}" height="{number(bottom - y)}"'
        return f'<rect class="{name}" {place} rx="{number(item.round)}"/>'
    return f'<polygon class="{name}" points="{" ".join(map(_point, item.points))}"/>'


def _path(item: Path, name: str, dark: str | None, pen: _Pen) -> str:
    points, head = item.points, ""
    if item.head:
        points, corners = _headed(item)
        tip = pen.name(_Style(item.line), _Style(dark) if dark else None)
        head = f'<polygon class="{tip}" points="{" ".join(map(_point, corners))}"/>'
    if item.curved:
        a, b, c, d = map(_point, points)
        return f'<path class="{name}" d="M{a}C{b} {c} {d}"/>{head}'
    return f'<path class="{name}" d="{_rounded(points, item.round)}"/>{head}'


def _headed(item: Path) -> tuple[tuple[Point, ...], tuple[Point, Point, Point]]:
    """The path shortened by its head, and the head: a slim triangle."""
    *before, tip = item.points
    back = next((p for p in reversed(before) if hypot(tip.x - p.x, tip.y - p.y) > 0.01), Point(tip.x - 1, tip.y))
    neck = _toward(tip, back, _HEAD_LENGTH * 0.7)
    base = _toward(tip, back, _HEAD_LENGTH)
    half = _HEAD_WIDTH / 2 / _HEAD_LENGTH
    dx, dy = (tip.x - base.x) * half, (tip.y - base.y) * half
    return (*before, neck), (tip, Point(base.x - dy, base.y + dx), Point(base.x + dy, base.y - dx))


def _rounded(points: tuple[Point, ...], radius: float) -> str:
    """A polyline with its corners rounded off."""
    way = f"M{_point(points[0])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        into = min(radius, hypot(corner.x - before.x, corner.y - before.y) / 2)
        out = min(radius, hypot(after.x - corner.x, after.y - corner.y) / 2)
        if min(into, out) < 0.01:
            way += f"L{_point(corner)}"
        else:
            way += f"L{_point(_toward(corner, before, into))}Q{_point(corner)} {_point(_toward(corner, after, out))}"
    return f"{way}L{_point(points[-1])}"


def _toward(start: Point, end: Point, length: float) -> Point:
    far = hypot(end.x - start.x, end.y - start.y)
    return Point(start.x + (end.x - start.x) * length / far, start.y + (end.y - start.y) * length / far)


def _point(point: Point) -> str:
    return f"{number(point.x)},{number(point.y)}"


def number(value: float) -> str:
    """To a hundredth of a point."""
    return f"{round(value, 2):.2f}".rstrip("0").rstrip(".") if value else "0"
