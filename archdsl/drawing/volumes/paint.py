"""Paint volumes: three faces, bands for norm and activation, and patterns, which need no colour."""

from __future__ import annotations

from collections.abc import Mapping

from archdsl.drawing.heat import mix
from archdsl.drawing.scene import Circle, Fill, Hatch, Item, Path, Point, Polygon, Text
from archdsl.drawing.theme import Look, Theme
from archdsl.drawing.volumes.spots import DEPTH_X, DEPTH_Y, LABEL, RADIUS, SMALL, Spot, is_vector, label
from archdsl.drawing.volumes.stages import Stage
from archdsl.report.words import TIMES

BAND = 2.4
"""Largest width of a band."""

_ALONG, _ACROSS, _SLANTED = (0.0, 0.5, 1.0, 0.5), (0.5, 0.0, 0.5, 1.0), (0.0, 1.0, 1.0, 0.0)
PATTERNS: Mapping[Look, tuple[float, tuple[tuple[float, float, float, float], ...]]] = {
    "pool": (3.0, (_ALONG,)),
    "norm": (3.0, (_SLANTED,)),
    "act": (1.5, (_ALONG,)),
    "merge": (3.0, (_ACROSS,)),
    "other": (4.0, (_ALONG, _ACROSS)),
    "input": (5.0, (_ALONG,)),
    "fc": (1.5, (_ACROSS,)),
}
"""The size of the cells of a pattern in points, and the lines in each: x0, y0, x1, y1, in cells."""
_PRINTED: frozenset[Look] = frozenset({"input", "fc"})
"""Looks that have a pattern only in print."""


def faces(theme: Theme, look: Look, heat: str = "") -> tuple[str, str, str, str]:
    """Return the colours of the front, top and right face and of the edges; `heat` replaces that of the front."""
    color = theme.colors[look]
    if heat:
        return heat, mix(heat, "#FFFFFF", 0.3), mix(heat, "#000000", 0.15), mix(heat, theme.ink, 0.5)
    if theme.name == "dark":
        front = mix(color.fill, color.line, 0.42)
        return front, mix(front, color.line, 0.45), mix(front, "#000000", 0.25), mix(front, "#FFFFFF", 0.65)
    if theme.patterns:
        front = mix(color.fill, theme.ink, 0.3) if look == "norm" else color.fill
        return front, mix(front, "#FFFFFF", 0.5), mix(front, "#000000", 0.16), color.line
    front = mix(color.fill, color.line, 0.12 if look == "input" else 0.38)
    return front, mix(front, "#FFFFFF", 0.45), mix(front, "#000000", 0.13), mix(front, "#000000", 0.5)


def volume(spot: Spot, theme: Theme, heat: str = "") -> list[Item]:
    """Return the items of a stage: its body, then its bands, or a circle for a sum or product. `heat`: no bands."""
    stage = spot.stage
    if stage.sign:
        return _sign(spot, theme)
    count = len(stage.bands)
    band = min(BAND, spot.width * 0.6 / count) if count else 0.0
    if heat or is_vector(stage.shape):
        return box(spot.x, spot.y, spot.width, spot.height, spot.depth, theme, stage.look, heat)
    items = box(spot.x, spot.y, spot.width, spot.height, spot.depth, theme, stage.look)
    for n, look in enumerate(stage.bands):
        x = spot.x + spot.width - band * (count - n)
        items += box(x, spot.y, band, spot.height, spot.depth, theme, look, side=False)
    return items


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    depth: float,
    theme: Theme,
    look: Look,
    heat: str = "",
    side: bool = True,
) -> list[Item]:
    """Return the top, right and front face of a box; x, y is the middle of its left face. Bands have no `side` face."""
    front, top, right, line = faces(theme, look, heat)
    fx, fy, bx, by = x - depth * DEPTH_X / 2, y + depth * DEPTH_Y / 2, depth * DEPTH_X, -depth * DEPTH_Y
    up, down = fy - height / 2, fy + height / 2
    a, b, c, d = Point(fx, up), Point(fx + width, up), Point(fx + width, down), Point(fx, down)
    back = [Point(p.x + bx, p.y + by) for p in (a, b, c)]
    filled, beside = (front, right) if heat else (_fill(look, face, line, theme) for face in (front, right))
    items: list[Item] = [Polygon((a, b, back[1], back[0]), top, line, 0.4)]
    items += [Polygon((b, c, back[2], back[1]), beside, line, 0.4)] if side else []
    items.append(Polygon((a, b, c, d), filled, line, 0.4))
    return items


def _fill(look: Look, ground: str, line: str, theme: Theme) -> Fill:
    """The fill of a face: a colour, with a pattern for looks that have one."""
    pattern = PATTERNS.get(look)
    if pattern is None or (look in _PRINTED and not theme.patterns):
        return ground
    cell, strokes = pattern
    lines = tuple((Point(x0 * cell, y0 * cell), Point(x1 * cell, y1 * cell)) for x0, y0, x1, y1 in strokes)
    return Hatch(lines, cell, ground, line, 0.3)


def _sign(spot: Spot, theme: Theme) -> list[Item]:
    color = theme.colors["merge"]
    center = Point(spot.x + RADIUS, spot.y)
    items: list[Item] = []
    radius = RADIUS
    for look in reversed(spot.stage.bands):
        front, _, _, line = faces(theme, look)
        items.append(Circle(center, radius, front, line, 0.4))
        radius -= 1.2
    items.append(Circle(center, radius, mix(color.fill, theme.background, 0.3), color.line, 0.7))
    return items + sign_items(spot.stage.sign, center, radius * 0.55, 0.8, theme)


_STROKES = {"+": ((1.0, 0.0), (0.0, 1.0)), "\u00d7": ((0.75, 0.75), (0.75, -0.75)), "\u2212": ((1.0, 0.0),)}
"""The signs that are drawn as lines through a centre: half of each line."""


def sign_items(sign: str, center: Point, arm: float, width: float, theme: Theme) -> list[Item]:
    """Return a sign as lines of this half length, or as text: `max`."""
    if sign not in _STROKES:
        size = arm * 3.2 / max(len(sign), 1.3)
        return [Text(Point(center.x, center.y + size * 0.34), sign, size, theme.ink)]
    halves = [(x * arm, y * arm) for x, y in _STROKES[sign]]
    return [
        Path((Point(center.x - x, center.y - y), Point(center.x + x, center.y + y)), theme.ink, width)
        for x, y in halves
    ]


def labels(spot: Spot, theme: Theme, shapes: bool = True) -> list[Item]:
    """Return the texts below a volume: its channels, then its kernel."""
    items: list[Item] = []
    front = spot.depth * DEPTH_X / 2
    y = spot.y + spot.base
    words = label(spot.stage) if shapes else ""
    if words:
        at = Point(spot.x + spot.width / 2 - front, y + LABEL)
        items.append(Text(at, words, LABEL, theme.ink))
    if spot.kernel:
        at = Point(spot.x + spot.kernel_x, y + spot.kernel_y)
        items.append(Text(at, spot.kernel, SMALL, theme.quiet))
    return items


def tooltip(stage: Stage) -> str:
    """Return the tooltip of a stage: its path, its op or call, its output shape."""
    words = " ".join((stage.title, *stage.words))
    copies = f", {TIMES}{stage.copies}" if stage.copies > 1 else ""
    return f"{stage.path}: {words}{copies}; gives {f' {TIMES} '.join(map(str, stage.shape))}"
