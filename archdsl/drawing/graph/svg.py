"""A drawing as SVG: Graphviz's places, our own pen.

Text stays text, every box, frame and arrow says in its attributes what it stands for, and there is no script and no
URL. With the theme `auto` a style sheet turns the light colours dark where the reader prefers that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias
from zlib import crc32

from archdsl.drawing.element import element
from archdsl.drawing.graph.labels import Content, Line, arrow_content, content, frame_content, head_content
from archdsl.drawing.graph.layout import Layout, Way, laid_out
from archdsl.drawing.graph.legend import PATTERNS, legend, pattern
from archdsl.drawing.graph.places import Point, Rect
from archdsl.drawing.heat import Scale, scale
from archdsl.drawing.metrics import FAMILY
from archdsl.drawing.model.drawing import Arrow, Box, Drawing, Frame
from archdsl.drawing.request import Diagram, Options, Request
from archdsl.drawing.theme import DARK, LIGHT, THEMES, Theme
from archdsl.report.table import in_short
from archdsl.report.text import xml
from archdsl.report.words import TIMES
from archdsl.shapes import format_shape

Halo: TypeAlias = Literal["", "on-ground", "on-stage"]
"""Around text that may lie on a line: the colour of what is behind it; none."""

_MARGIN = 8.0
_TIP = 5.0
_CARD = 2.6
"""How far the card shows that lies behind a box which stands for several."""
_RADIUS = 5.0
_LEGEND_HEIGHT = 20.0
_DASHES = "4 2.5"
_MAX_WORDS = 300
_PAGE = (547.0, 792.0)
"""What fits a sheet of A4, or of letter paper, with margins; a drawing of every op may be larger."""


def write(request: Request) -> Diagram:
    """The drawing as SVG text, and a note where it had to be simpler. Raises as `laid_out`."""
    drawing, layout, note = laid_out(request)
    return Diagram(paint(drawing, layout, request.options).encode(), note)


def paint(drawing: Drawing, layout: Layout, options: Options = Options()) -> str:
    """SVG text, the same for the same drawing and layout."""
    pen = _Pen(drawing, options)
    head = head_content(drawing, options.title)
    key_width, key = legend(drawing, pen.theme, pen.heat, pen.id) if options.legend else (0.0, "")
    top = _MARGIN + sum(line.height for line in head) + (4 if head else 0)
    below = top + (_LEGEND_HEIGHT if key else 0)
    width = max(layout.width, key_width, *(line.width for line in head), 1) + 2 * _MARGIN
    parts = [*_open(drawing, pen, width, below + layout.height + _MARGIN), *_heading(head, width / 2, pen)]
    if key:
        parts.append(
            element("g", key, class_="legend", transform=f"translate({(width - key_width) / 2:.1f},{top:.1f})")
        )
    drawn = [_frame(n, frame, *layout.frames[n], pen) for n, frame in enumerate(drawing.frames())]
    drawn += (_card(box, layout.boxes[box.number], pen) for box in drawing.boxes() if box.count > 1)
    drawn += (
        _arrow(arrow, way, _ground(way.label, drawing, layout), pen)
        for arrow, way in zip(drawing.arrows, layout.ways, strict=True)
    )
    drawn += (_box(box, layout.boxes[box.number], pen) for box in drawing.boxes())
    shift = f"translate({(width - layout.width) / 2:.1f},{below:.1f})"
    parts.append(element("g", "\n", "\n".join(drawn), "\n", class_="drawing", transform=shift))
    return "\n".join([*parts, "</svg>", ""])


class _Pen:
    """The colours and the options of one picture."""

    def __init__(self, drawing: Drawing, options: Options) -> None:
        self.options = options
        self.theme: Theme = THEMES.get(options.theme, LIGHT)
        self.auto = options.theme == "auto"
        self.heat: Scale | None = scale(drawing, options.color)
        self.id = f"d{crc32(repr((drawing.title, drawing.view, drawing.facts, options)).encode('ascii', 'backslashreplace')):08x}"

    def fill(self, box: Box) -> str:
        """What a box is filled with: its share, its hatching or its colour."""
        if self.heat is not None and box.copies:
            return self.heat.fill(box.cost, self.theme)
        return f"url(#{self.id}-{box.look})" if self.hatched(box) else self.theme.colors[box.look].fill

    def ink(self, box: Box) -> str:
        """The colour of all text in a heated box; empty: that of the theme."""
        return self.heat.ink(box.cost, self.theme) if self.heat is not None and box.copies else ""

    def hatched(self, box: Box) -> bool:
        return self.theme.patterns and box.look in PATTERNS and self.heat is None


def _open(drawing: Drawing, pen: _Pen, width: float, height: float) -> Iterator[str]:
    """The root, with its title and description, its style sheet and its hatchings."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    page = sorted(_PAGE, reverse=pen.options.direction == "LR")
    part = min(1, page[0] / width, page[1] / height) if drawing.view.level != "layer" else 1
    if pen.options.width_points is not None:
        part = pen.options.width_points / width
    root = element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        class_="archdsl auto" if pen.auto else "archdsl",
        width=part * width,
        height=part * height,
        viewBox=f"0 0 {width:.1f} {height:.1f}",
        role="img",
        aria_labelledby=f"{pen.id}-title {pen.id}-desc",
    )
    yield f'{root[:-2]} font-family="{FAMILY}">'
    said = ", ".join([*drawing.facts, f"{sum(1 for _ in drawing.boxes())} boxes, {len(drawing.arrows)} arrows"])
    yield element("title", xml((pen.options.title or drawing.title)[:_MAX_WORDS]), id=f"{pen.id}-title")
    yield element("desc", xml(said), id=f"{pen.id}-desc")
    if pen.auto:
        yield element("style", _dark_rules(pen))
    if pen.theme.patterns:
        yield element("defs", *(pattern(look, pen.id) for look in PATTERNS))
    yield element("rect", class_="ground", width="100%", height="100%", fill=pen.theme.background)


def _dark_rules(pen: _Pen) -> str:
    dark = DARK
    rules = {
        ".ground": f"fill:{dark.background}",
        ".ink": f"fill:{dark.ink}",
        ".quiet": f"fill:{dark.quiet}",
        ".halo": f"stroke:{dark.background}",
        ".halo.on-stage": f"stroke:{dark.stage}",
        ".way": f"stroke:{dark.arrow}",
        ".tip": f"fill:{dark.arrow}",
        ".stage>rect": f"fill:{dark.stage};stroke:{dark.stage}",
        ".frame:not(.stage)>rect": f"fill:{dark.background};stroke:{dark.colors['block'].line}",
    }
    if pen.heat is None:
        rules |= {f".{look}>.body": f"fill:{color.fill};stroke:{color.line}" for look, color in dark.colors.items()}
    text = "".join(f".archdsl.auto {name}{{{rule}}}" for name, rule in rules.items())
    return f"@media (prefers-color-scheme:dark){{{text}}}"


# --- text ------------------------------------------------------------------------------------------------


def _text(line: Line, x: float, y: float, pen: _Pen, ink: str = "", halo: Halo = "") -> str:
    """A line around the middle `x`, its baseline at `y`: each run an element, as programs differ on spaces between
    runs."""
    left, out = x - line.width / 2, []
    ground = pen.theme.stage if halo == "on-stage" else pen.theme.background
    around = (
        {"stroke": ground, "stroke_width": "2.6", "stroke_linejoin": "round", "paint_order": "stroke"} if halo else {}
    )
    for number, run in enumerate(line.runs):
        left += run.gap if number else 0
        names = [*([] if ink else [run.tone]), *(["halo", halo] if halo else [])]
        out.append(
            element(
                "text",
                xml(run.text),
                class_=" ".join(names) or None,
                x=left + run.width / 2,
                y=y,
                text_anchor="middle",
                font_size=run.size,
                font_weight="bold" if run.bold else None,
                fill=ink or (pen.theme.quiet if run.tone == "quiet" else pen.theme.ink),
                **around,
            )
        )
        left += run.width
    return "".join(out)


def _texts(inside: Content, x: float, y: float, pen: _Pen, ink: str = "", halo: Halo = "") -> str:
    return "".join(_text(line, x, y + line.y, pen, ink, halo) for line in inside.lines)


def _heading(lines: tuple[Line, ...], x: float, pen: _Pen) -> Iterator[str]:
    y = _MARGIN
    for line in lines:
        yield _text(line, x, y + line.height * 0.78, pen)
        y += line.height


# --- frames, boxes, arrows -------------------------------------------------------------------------------


def _rect(rect: Rect, radius: float, **look: str | float | None) -> str:
    return element("rect", x=rect.x, y=rect.y, width=rect.width, height=rect.height, rx=radius, **look)


def _frame(number: int, frame: Frame, rect: Rect, title: Point, pen: _Pen) -> str:
    theme = pen.theme
    line = theme.stage if frame.stage else theme.colors["block"].line
    body = _rect(
        rect,
        7,
        fill=theme.stage if frame.stage else theme.background,
        stroke=line,
        stroke_dasharray=_DASHES if frame.training else None,
    )
    inside = frame_content(frame)
    left = title[0] - inside.width / 2
    words = (
        _text(row, left + row.width / 2, title[1] + row.y, pen, halo="on-stage" if frame.stage else "on-ground")
        for row in inside.lines
    )
    return element(
        "g",
        body,
        *words,
        class_="frame stage" if frame.stage else "frame",
        data_frame=number,
        data_path=frame.path[:_MAX_WORDS],
        data_copies=frame.count,
    )


def _box(box: Box, rect: Rect, pen: _Pen) -> str:
    """A box with its words."""
    x, y = rect.x + rect.width / 2, rect.y + rect.height / 2
    text = _texts(content(box, pen.heat), x, y, pen, pen.ink(box), "on-ground" if pen.hatched(box) else "")
    return element(
        "g",
        element("title", xml(said(box))),
        *_body(box, rect, pen),
        text,
        class_=f"box {box.look}",
        data_box=box.number,
        data_kind=box.kind,
        data_path=box.path[:_MAX_WORDS],
        data_copies=box.count,
    )


def _look(box: Box, pen: _Pen) -> dict[str, str | None]:
    heavy = box.look == "block" and pen.theme.patterns
    return {
        "class_": "body",
        "fill": pen.fill(box),
        "stroke": pen.theme.colors[box.look].line,
        "stroke_width": "1.7" if heavy else "1.1",
        "stroke_dasharray": _DASHES if box.training else None,
    }


def _body(box: Box, rect: Rect, pen: _Pen) -> list[str]:
    if box.look == "output":
        return []
    if box.sign:
        middle = {"cx": rect.x + rect.width / 2, "cy": rect.y + rect.height / 2, "r": rect.width / 2}
        return [element("circle", **middle, **_look(box, pen))]
    return [_rect(rect, _RADIUS, **_look(box, pen))]


def _card(box: Box, rect: Rect, pen: _Pen) -> str:
    """What lies behind a box that stands for several, and behind the arrows that lead to it."""
    behind = _rect(rect._replace(x=rect.x + _CARD, y=rect.y - _CARD), _RADIUS, **_look(box, pen))
    return element("g", behind, class_=f"card {box.look}")


def said(box: Box) -> str:
    """A box in words, for who cannot see it, and for a pointer that rests on it."""
    words = [f"{box.path}: {box.title}" if box.path and box.path != box.title else box.title, box.tail]
    words += [f"{box.count} times"] if box.count > 1 else []
    words += [f"gives {format_shape(box.shape, times=f' {TIMES} ')}"] if box.shape else []
    words += [f"{in_short(box.cost.params).rstrip()} params"] if box.cost.params else []
    words += [f"{in_short(box.cost.macs)}MACs"] if box.cost.macs else []
    return ", ".join(filter(None, words))[:_MAX_WORDS]


def _ground(point: Point | None, drawing: Drawing, layout: Layout) -> Halo:
    """What lies behind a point: the innermost frame is the last that holds it."""
    held = [
        frame.stage
        for frame, (rect, _) in zip(drawing.frames(), layout.frames, strict=True)
        if point is not None and rect.holds(point)
    ]
    return "on-stage" if held and held[-1] else "on-ground"


def _arrow(arrow: Arrow, way: Way, ground: Halo, pen: _Pen) -> str:
    start, *rest = way.points
    curve = f"M{start[0]:.1f},{start[1]:.1f}C" + " ".join(f"{x:.1f},{y:.1f}" for x, y in rest)
    color = pen.theme.arrow
    words = []
    if arrow.label and pen.options.shapes and way.label is not None:
        words = [_texts(arrow_content(arrow.label), *way.label, pen, halo=ground)]
    line = element(
        "path",
        class_="way",
        d=curve,
        fill="none",
        stroke=color,
        stroke_width="0.9",
        stroke_dasharray=_DASHES if arrow.training else None,
    )
    tip = element("path", class_="tip", d=_tip(way), fill=color)
    return element("g", line, tip, *words, class_="arrow", data_from=arrow.source, data_to=arrow.target)


def _tip(way: Way) -> str:
    """A slim triangle that ends at the tip."""
    (x0, y0), (x1, y1) = way.points[-1], way.tip
    length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 0.1)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    x0, y0, side = x1 - dx * _TIP, y1 - dy * _TIP, _TIP * 0.4
    return f"M{x1:.1f},{y1:.1f}L{x0 - dy * side:.1f},{y0 + dx * side:.1f}L{x0 + dy * side:.1f},{y0 - dx * side:.1f}Z"
