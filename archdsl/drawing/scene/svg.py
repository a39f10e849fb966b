"""Write a scene as SVG: text stays text, clusters have titles, and each style is a class of the style sheet.

With a second scene, the same in dark colours, the style sheet is dark if the reader prefers dark. The SVG contains no
script, and no URL but the pixels of rasters.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from math import hypot
from typing import NamedTuple, TypeAlias
from zlib import crc32

from archdsl.drawing.metrics import FAMILIES, is_exact, text_width
from archdsl.drawing.paper import Font
from archdsl.drawing.scene import (
    ORIGIN,
    Circle,
    Cluster,
    Dashes,
    Element,
    Fill,
    Hatch,
    Item,
    Path,
    Point,
    Polygon,
    Raster,
    Scene,
    Text,
)
from archdsl.report.text import xml

_HEAD_LENGTH, _HEAD_WIDTH = 4.6, 3.6
_HALO = 2.6
"""Width of the line around letters; half of it is visible."""
_MAX_WORDS = 300


def to_svg(
    scene: Scene, dark: Scene | None = None, width: float | None = None, font: Font = "sans", unit: str = ""
) -> str:
    """Return the scene as an SVG document, `width` points wide, by default of its own size.

    `unit`: `pt` for a drawing on paper; without a unit, viewers show a point as a pixel.
    """
    sheet = _StyleSheet(scene, font)
    body = list(_members(scene.members, dark.members if dark else None, sheet))
    factor = 1.0 if width is None else width / scene.width
    root = _element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        class_=f"archdsl {sheet.id}",
        width=number(factor * scene.width) + unit,
        height=number(factor * scene.height) + unit,
        viewBox=f"0 0 {scene.width:.1f} {scene.height:.1f}",
        role="img",
        aria_labelledby=f"{sheet.id}-title {sheet.id}-desc",
    )
    ground = sheet.name(_ItemStyle(scene.background), _ItemStyle(dark.background) if dark else None)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'{root[:-2]} font-family="{FAMILIES[font]}" stroke-linejoin="round" stroke-linecap="{scene.cap}">',
            _element("title", xml(scene.title[:_MAX_WORDS]), id=f"{sheet.id}-title"),
            _element("desc", xml(scene.description), id=f"{sheet.id}-desc"),
            _element("style", sheet.rules()),
            *sheet.patterns(),
            _element("rect", class_=ground, width="100%", height="100%"),
            *body,
            "</svg>",
            "",
        ]
    )


_Styled: TypeAlias = Polygon | Path | Circle | Text


class _ItemStyle(NamedTuple):
    """The CSS properties of an item."""

    fill: str = "none"
    line: str = ""
    width: float = 0.0
    dashes: Dashes = ()
    size: float = 0.0
    bold: bool = False
    halo: bool = False
    anchor: str = ""

    def properties(self) -> str:
        out = [f"fill:{self.fill}"]
        out += [f"stroke:{self.line}", f"stroke-width:{number(self.width)}"] if self.line else []
        out += [f"stroke-dasharray:{' '.join(map(number, self.dashes))}"] if self.dashes else []
        out += [f"font-size:{number(self.size)}px"] if self.size else []
        out += ["font-weight:bold"] if self.bold else []
        out += ["paint-order:stroke"] if self.halo else []
        out += [f"text-anchor:{self.anchor}"] if self.anchor else []
        return ";".join(out)

    def colors(self) -> str:
        return f"fill:{self.fill}" + (f";stroke:{self.line}" if self.line else "")


class _StyleSheet:
    """The classes in use, each a style in light and in dark colours, and the hatches."""

    def __init__(self, scene: Scene, font: Font) -> None:
        self.font = font
        facts = (scene.title, scene.description, round(scene.width), *([scene.key] if scene.key else []))
        self.id = f"s{crc32(repr(facts).encode('ascii', 'backslashreplace')):08x}"
        self.digits = scene.digits
        self.names: dict[tuple[_ItemStyle, _ItemStyle | None], str] = {}
        self.hatches: dict[Hatch, str] = {}
        self.ids: Counter[str] = Counter()

    def unique(self, id: str) -> str | None:
        """An id of XML, which no other element has; None for none."""
        if not id:
            return None
        name = re.sub(r"[^\w.-]", "_", id[:_MAX_WORDS], flags=re.ASCII)
        self.ids[name] += 1
        return f"{name}_{self.ids[name]}" if self.ids[name] > 1 else name

    def name(self, style: _ItemStyle, dark: _ItemStyle | None) -> str:
        return self.names.setdefault((style, dark), f"c{len(self.names)}")

    def class_of(self, item: _Styled, dark: Item | None) -> str:
        """The class of an item and its counterpart in dark colours."""
        return self.name(self.style(item), None if dark is None or isinstance(dark, Raster) else self.style(dark))

    def style(self, item: _Styled) -> _ItemStyle:
        if isinstance(item, Text):
            anchor = "" if item.anchor == "start" else item.anchor
            return _ItemStyle(item.color, item.halo, _HALO, (), item.size, item.bold, bool(item.halo), anchor)
        if isinstance(item, Path):
            return _ItemStyle("none", item.line, item.width, item.dashes)
        return _ItemStyle(self.fill(item.fill), item.line, item.width if item.line else 0.0, item.dashes)

    def fill(self, fill: Fill) -> str:
        if isinstance(fill, Hatch):
            return f"url(#{self.hatches.setdefault(fill, f'{self.id}-h{len(self.hatches)}')})"
        return fill or "none"

    def rules(self) -> str:
        light = "".join(f".{self.id} .{name}{{{style.properties()}}}" for (style, _), name in self.names.items())
        dark = "".join(f".{self.id} .{name}{{{other.colors()}}}" for (_, other), name in self.names.items() if other)
        return light + (f"@media (prefers-color-scheme:dark){{{dark}}}" if dark else "")

    def patterns(self) -> list[str]:
        """The definitions of the hatches."""
        patterns = (_pattern(hatch, id) for hatch, id in self.hatches.items())
        return [_element("defs", *patterns)] if self.hatches else []

    def number(self, value: float) -> str:
        return number(value, self.digits)

    def point(self, point: Point) -> str:
        return f"{self.number(point.x)},{self.number(point.y)}"


def _pattern(hatch: Hatch, id: str) -> str:
    curve = "".join(f"M{_point(start)}L{_point(end)}" for start, end in hatch.lines)
    lines = _element("path", d=curve, stroke=hatch.line, stroke_width=number(hatch.width))
    side = number(hatch.cell)
    ground = _element("rect", width=side, height=side, fill=hatch.ground)
    return _element("pattern", ground, lines, id=id, width=side, height=side, patternUnits="userSpaceOnUse")


# --- members ---------------------------------------------------------------------------------------------


def _members(members: Sequence[Element], dark: Sequence[Element] | None, sheet: _StyleSheet) -> Iterator[str]:
    others: Iterable[Element | None] = repeat(None) if dark is None else dark
    for member, other in zip(members, others, strict=False):
        if isinstance(member, Cluster):
            yield _cluster(member, other if isinstance(other, Cluster) else None, sheet)
        else:
            assert not isinstance(other, Cluster)
            yield _item(member, other, sheet)


def _cluster(cluster: Cluster, dark: Cluster | None, sheet: _StyleSheet) -> str:
    title = [_element("title", xml(cluster.title[:_MAX_WORDS]))] if cluster.title else []
    facts = {"name": cluster.name} if cluster.name else {}
    shift = f"translate({cluster.shift.x:.1f},{cluster.shift.y:.1f})" if cluster.shift != ORIGIN else None
    return _element(
        "g",
        *title,
        *_members(cluster.members, dark.members if dark else None, sheet),
        class_=cluster.kind,
        id=sheet.unique(cluster.id),
        transform=shift,
        **{f"data_{key}": value[:_MAX_WORDS] for key, value in (facts | cluster.facts).items()},
    )


def _item(item: Item, dark: Item | None, sheet: _StyleSheet) -> str:
    if isinstance(item, Raster):
        return _raster(item, sheet)
    name = sheet.class_of(item, dark)
    if isinstance(item, Circle):
        x, y, radius = map(sheet.number, (*item.center, item.radius))
        return f'<circle class="{name}" cx="{x}" cy="{y}" r="{radius}"/>'
    if isinstance(item, Text):
        x, y = map(sheet.number, item.at)
        return f'<text class="{name}" x="{x}" y="{y}"{_length(item, sheet)}>{xml(item.text)}</text>'
    if isinstance(item, Polygon):
        return _polygon(item, name, sheet)
    return _path(item, name, dark.line if isinstance(dark, Path) else None, sheet)


def _raster(item: Raster, sheet: _StyleSheet) -> str:
    x, y, width, height = map(sheet.number, (*item.at, item.width, item.height))
    data = b64encode(item.bitmap.png()).decode()
    place = f'x="{x}" y="{y}" width="{width}" height="{height}" preserveAspectRatio="none"'
    if item.width > item.bitmap.columns:  # large pixels stay sharp, in converters and in browsers
        place += ' image-rendering="optimizeSpeed" style="image-rendering:pixelated"'
    return f'<image {place} href="data:image/png;base64,{data}"/>'


def _length(item: Text, sheet: _StyleSheet) -> str:
    """The width of a text in the layout, so that it fits its box in every font; a single character always fits."""
    if len(item.text) < 2 or not is_exact(item.text):
        return ""
    width = text_width(item.text, item.size, item.bold, sheet.font)
    return f' textLength="{number(width, 1)}" lengthAdjust="spacingAndGlyphs"'


def _polygon(item: Polygon, name: str, sheet: _StyleSheet) -> str:
    if item.round:
        (left, top), _, (right, bottom), _ = item.points
        x, y, width, height = map(sheet.number, (left, top, right - left, bottom - top))
        place = f'x="{x}" y="{y}" width="{width}" height="{height}"'
        return f'<rect class="{name}" {place} rx="{sheet.number(item.round)}"/>'
    return f'<polygon class="{name}" points="{" ".join(map(sheet.point, item.points))}"/>'


def _path(item: Path, name: str, dark: str | None, sheet: _StyleSheet) -> str:
    points, head = item.points, ""
    if item.head:
        points, corners = _headed(item)
        tip = sheet.name(_ItemStyle(item.line), _ItemStyle(dark) if dark else None)
        head = f'<polygon class="{tip}" points="{" ".join(map(sheet.point, corners))}"/>'
    if item.curved:
        start, *rest = map(sheet.point, points)
        return f'<path class="{name}" d="M{start}C{" ".join(rest)}"/>{head}'
    return f'<path class="{name}" d="{_rounded(points, item.round, sheet)}"/>{head}'


def _headed(item: Path) -> tuple[tuple[Point, ...], tuple[Point, Point, Point]]:
    """The path without its arrowhead, and the arrowhead, a triangle."""
    *before, tip = item.points
    back = next((p for p in reversed(before) if hypot(tip.x - p.x, tip.y - p.y) > 0.01), Point(tip.x - 1, tip.y))
    neck = _toward(tip, back, _HEAD_LENGTH * 0.7)
    base = _toward(tip, back, _HEAD_LENGTH)
    half = _HEAD_WIDTH / 2 / _HEAD_LENGTH
    dx, dy = (tip.x - base.x) * half, (tip.y - base.y) * half
    return (*before, neck), (tip, Point(base.x - dy, base.y + dx), Point(base.x + dy, base.y - dx))


def _rounded(points: tuple[Point, ...], radius: float, sheet: _StyleSheet) -> str:
    """A polyline with rounded corners."""
    curve = f"M{sheet.point(points[0])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        into = min(radius, hypot(corner.x - before.x, corner.y - before.y) / 2)
        out = min(radius, hypot(after.x - corner.x, after.y - corner.y) / 2)
        if min(into, out) < 0.01:
            curve += f"L{sheet.point(corner)}"
        else:
            enter, leave = _toward(corner, before, into), _toward(corner, after, out)
            curve += f"L{sheet.point(enter)}Q{sheet.point(corner)} {sheet.point(leave)}"
    return f"{curve}L{sheet.point(points[-1])}"


def _toward(start: Point, end: Point, length: float) -> Point:
    far = hypot(end.x - start.x, end.y - start.y)
    return Point(start.x + (end.x - start.x) * length / far, start.y + (end.y - start.y) * length / far)


# --- text ------------------------------------------------------------------------------------------------

_NAMES = {"class_": "class", "viewBox": "viewBox", "patternUnits": "patternUnits"}


def _element(tag: str, *inside: str, **attributes: str | float | None) -> str:
    """Return `<tag ...>inside</tag>`. `inside` is markup; attributes are texts or numbers; None omits one.

    `stroke_width` is `stroke-width`, `class_` is `class`.
    """
    fields = "".join(
        f' {_NAMES.get(key) or key.replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{fields}>{''.join(inside)}</{tag}>" if inside else f"<{tag}{fields}/>"


def _value(value: str | float) -> str:
    return xml(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def _point(point: Point) -> str:
    return f"{number(point.x)},{number(point.y)}"


def number(value: float, digits: int = 2) -> str:
    """Format a number with at most `digits` decimals."""
    return f"{round(value, digits):.{digits}f}".rstrip("0").rstrip(".") if value else "0"
