"""A scene as SVG: text stays text, every mark has a title, and what a spec names is only ever escaped text."""

from __future__ import annotations

from html import escape
from math import hypot

from archdsl.diagnostics import escape_control
from archdsl.views.scene import Circle, Item, Mark, Path, Point, Polygon, Scene, Text

FONT = "Helvetica, Arial, Liberation Sans, sans-serif"
_HEAD_LENGTH = 4.6
_HEAD_WIDTH = 3.6


def to_svg(scene: Scene) -> str:
    """The scene as an SVG document, the same on every machine."""
    size = f"{scene.width:.0f} {scene.height:.0f}"
    width, height = size.split()
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc" width="{width}pt" '
        f'height="{height}pt" viewBox="0 0 {size}" font-family="{FONT}" stroke-linejoin="round" stroke-linecap="round">',
        f'<title id="title">{quote(scene.title)}</title>',
        f'<desc id="desc">{quote(scene.description)}</desc>',
        f'<rect width="{width}" height="{height}" fill="{scene.background}"/>',
    ]
    for member in scene.members:
        if isinstance(member, Mark):
            facts = "".join(f' data-{key}="{quote(value)}"' for key, value in member.facts.items())
            lines.append(f'<g class="{member.kind}" data-name="{quote(member.name)}"{facts}>')
            lines += [f"<title>{quote(member.title)}</title>"] if member.title else []
            lines += [*map(_item, member.items), "</g>"]
        else:
            lines.append(_item(member))
    return "\n".join([*lines, "</svg>", ""])


def quote(text: str) -> str:
    """Any text as content or attribute of XML."""
    return escape(escape_control(text), quote=True)


def _item(item: Item) -> str:
    if isinstance(item, Polygon):
        return _polygon(item)
    if isinstance(item, Circle):
        center = f'cx="{_n(item.center.x)}" cy="{_n(item.center.y)}" r="{_n(item.radius)}"'
        return f'<circle {center} fill="{item.fill}"{_stroke(item.line, item.width)}/>'
    if isinstance(item, Text):
        return _text(item)
    return _path(item)


def _polygon(item: Polygon) -> str:
    look = f'fill="{item.fill or "none"}"{_stroke(item.line, item.width, item.dashed)}'
    if item.round:
        (x, y), _, (right, bottom), _ = item.points
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(right - x)}" height="{_n(bottom - y)}" rx="{_n(item.round)}"'
        return f"<rect {place} {look}/>"
    points = " ".join(f"{_n(p.x)},{_n(p.y)}" for p in item.points)
    return f'<polygon points="{points}" {look}/>'


def _text(item: Text) -> str:
    anchor = "" if item.anchor == "start" else f' text-anchor="{item.anchor}"'
    bold = ' font-weight="bold"' if item.bold else ""
    place = f'x="{_n(item.at.x)}" y="{_n(item.at.y)}" font-size="{_n(item.size)}"'
    return f'<text {place}{anchor}{bold} fill="{item.color}">{quote(item.text)}</text>'


def _path(item: Path) -> str:
    points = item.points
    head = ""
    if item.head:
        points, head = _headed(item)
    if item.curved:
        a, b, c, d = points
        way = f"M{_p(a)} C{_p(b)} {_p(c)} {_p(d)}"
    else:
        way = rounded(points, item.round)
    return f'<path d="{way}" fill="none"{_stroke(item.line, item.width, item.dashed)}/>{head}'


def _headed(item: Path) -> tuple[tuple[Point, ...], str]:
    """The path shortened by its head, and the head: a triangle."""
    *before, tip = item.points
    back = next((p for p in reversed(before) if hypot(tip.x - p.x, tip.y - p.y) > 0.01), Point(tip.x - 1, tip.y))
    far = hypot(tip.x - back.x, tip.y - back.y)
    ux, uy = (tip.x - back.x) / far, (tip.y - back.y) / far
    length, half = _HEAD_LENGTH, _HEAD_WIDTH / 2
    base = Point(tip.x - ux * length, tip.y - uy * length)
    corners = (tip, Point(base.x - uy * half, base.y + ux * half), Point(base.x + uy * half, base.y - ux * half))
    points = " ".join(f"{_n(p.x)},{_n(p.y)}" for p in corners)
    neck = Point(tip.x - ux * length * 0.7, tip.y - uy * length * 0.7)
    return (*before, neck), f'<polygon points="{points}" fill="{item.line}"/>'


def rounded(points: tuple[Point, ...], radius: float) -> str:
    """A polyline with its corners rounded off."""
    way = f"M{_p(points[0])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        into = min(radius, hypot(corner.x - before.x, corner.y - before.y) / 2)
        out = min(radius, hypot(after.x - corner.x, after.y - corner.y) / 2)
        if min(into, out) < 0.01:
            way += f" L{_p(corner)}"
            continue
        way += f" L{_p(_toward(corner, before, into))} Q{_p(corner)} {_p(_toward(corner, after, out))}"
    return way + f" L{_p(points[-1])}"


def _toward(start: Point, end: Point, length: float) -> Point:
    far = hypot(end.x - start.x, end.y - start.y)
    return Point(start.x + (end.x - start.x) * length / far, start.y + (end.y - start.y) * length / far)


def _stroke(color: str, width: float, dashed: bool = False) -> str:
    if not color:
        return ""
    return f' stroke="{color}" stroke-width="{_n(width)}"' + (' stroke-dasharray="2.5 2"' if dashed else "")


def _p(point: Point) -> str:
    return f"{_n(point.x)},{_n(point.y)}"


def _n(value: float) -> str:
    """A number with at most one decimal more than anybody can see."""
    return f"{round(value, 2):g}"
