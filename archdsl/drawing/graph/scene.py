"""Convert a drawing and its layout to a scene.

Every box, frame and arrow is a cluster; its facts identify it for programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from archdsl.drawing.graph.labels import BODY, Content, TextLine, arrow_content, content, frame_content, head_content
from archdsl.drawing.graph.legend import HATCHES, legend
from archdsl.drawing.graph.positions import XY, GraphLayout, Rect, Spline
from archdsl.drawing.heat import HeatScale, scale
from archdsl.drawing.model.drawing import Arrow, Box, Drawing, Frame
from archdsl.drawing.request import Options
from archdsl.drawing.scene import (
    LANDSCAPE,
    PORTRAIT,
    Circle,
    Cluster,
    Dashes,
    Fill,
    Item,
    Path,
    Point,
    Polygon,
    Scene,
    Text,
    arrow_id,
    rectangle,
)
from archdsl.drawing.theme import Theme
from archdsl.report.table import in_short
from archdsl.report.words import TIMES
from archdsl.shapes import format_shape

_MARGIN = 8.0
_CARD = 2.6
"""Visible part of the card behind a box that represents several parts."""
_RADIUS = 5.0
_PLATE, _ASCENT = 2.5, 0.74
"""The margin of the plate behind a text, and the share of the height of a line above its baseline."""
_DASHES: Dashes = (4.0, 2.5)
_MAX_WORDS = 300


def draw(drawing: Drawing, layout: GraphLayout, options: Options, theme: Theme) -> Scene:
    """Return the scene of a drawing: its heading, its legend, and a cluster `drawing` with all other elements."""
    pen = _Pen(theme, options, scale(drawing, options.color))
    room = max(layout.width, options.width_points - 2 * _MARGIN) if options.width_points else inf
    head = head_content(drawing, options.title, room)
    key_width, key_height, key = legend(drawing, theme, pen.heat, room) if options.legend else (0.0, 0.0, [])
    top = _MARGIN + sum(line.height for line in head) + (4 if head else 0)
    below = top + key_height
    width = max(layout.width, key_width, *(line.width for line in head), 1) + 2 * _MARGIN
    scene = Scene(
        options.title or drawing.title,
        ", ".join(drawing.facts),
        width,
        below + layout.height + _MARGIN,
        theme.background,
        paper=LANDSCAPE if options.direction == "LR" else PORTRAIT,
        cap="butt",
        digits=1,
        key=repr((drawing.view, options)),
        label=(drawing.title, ", ".join(drawing.facts)),
        signs=_conventions(drawing, options),
        body=BODY,
    )
    if drawing.view.level == "layer":
        scene.paper = None  # a drawing of every op may be larger than a page
    scene.members += _heading(head, width / 2, pen)
    if key:
        scene.members.append(Cluster("legend", members=key, shift=Point((width - key_width) / 2, top)))
    shift = Point((width - layout.width) / 2, below)
    scene.members.append(Cluster("drawing", members=list(_drawn(drawing, layout, pen)), shift=shift))
    return scene


def _conventions(drawing: Drawing, options: Options) -> tuple[str, ...]:
    """What the signs in the drawing mean."""
    words = [
        "The label of an arrow is the shape of the tensor" * (options.shapes and any(a.label for a in drawing.arrows)),
        f"{TIMES} N marks N equal parts in a row, drawn once"
        * any(m.count > 1 and not (isinstance(m, Box) and m.kind == "stage") for m in drawing.walk()),
        f"Colours show the share of {'MACs' if options.color == 'macs' else options.color}" * (options.color != "kind"),
    ]
    return tuple(filter(None, words))


def _drawn(drawing: Drawing, layout: GraphLayout, pen: _Pen) -> Iterator[Cluster]:
    """Frames, cards, arrows and boxes, in the order in which they are painted."""
    ids = [_id(box) for box in drawing.boxes()]
    for n, frame in enumerate(drawing.frames()):
        yield _frame(n, frame, *layout.frames[n], pen)
    for box in drawing.boxes():
        if box.count > 1:
            yield _card(box, layout.boxes[box.number], pen)
    for arrow, spline in zip(drawing.arrows, layout.splines, strict=True):
        ground = _background(spline.label, drawing, layout, pen.theme)
        yield _arrow(arrow, spline, ground, (ids[arrow.source], ids[arrow.target]), pen)
    for box in drawing.boxes():
        yield _box(box, layout.boxes[box.number], pen)


class _Pen:
    """The colours and the options of one picture."""

    def __init__(self, theme: Theme, options: Options, heat: HeatScale | None) -> None:
        self.theme, self.options, self.heat = theme, options, heat

    def fill(self, box: Box) -> Fill:
        """The fill of a box: the colour of its share, or the hatch or colour of its category."""
        if self.heat is not None and box.copies:
            return self.heat.fill(box.cost, self.theme)
        return HATCHES[box.look] if self.hatched(box) else self.theme.colors[box.look].fill

    def ink(self, box: Box) -> str:
        """The text colour of a box that is coloured by share; empty: the colour of the theme."""
        return self.heat.ink(box.cost, self.theme) if self.heat is not None and box.copies else ""

    def hatched(self, box: Box) -> bool:
        return self.theme.patterns and box.look in HATCHES and self.heat is None


# --- text ------------------------------------------------------------------------------------------------


def _text(line: TextLine, x: float, y: float, pen: _Pen, ink: str = "", halo: str = "") -> Iterator[Text]:
    """A line centred at `x`, its baseline at `y`. Each run is a text, because viewers differ on spaces between runs."""
    left = x - line.width / 2
    for number, run in enumerate(line.runs):
        left += run.gap if number else 0
        color = ink or (pen.theme.quiet if run.tone == "quiet" else pen.theme.ink)
        yield Text(Point(left + run.width / 2, y), run.text, run.size, color, bold=run.bold, halo=halo)
        left += run.width


def _texts(inside: Content, middle: Point, pen: _Pen, ink: str = "", halo: str = "") -> Iterator[Text]:
    for line in inside.lines:
        yield from _text(line, middle.x, middle.y + line.y, pen, ink, halo)


def _heading(lines: tuple[TextLine, ...], x: float, pen: _Pen) -> Iterator[Text]:
    y = _MARGIN
    for line in lines:
        yield from _text(line, x, y + line.height * 0.78, pen)
        y += line.height


# --- frames, boxes, arrows -------------------------------------------------------------------------------


def _frame(number: int, frame: Frame, rect: Rect, title: XY, pen: _Pen) -> Cluster:
    theme = pen.theme
    fill, line = (theme.stage, theme.stage) if frame.stage else (theme.background, theme.colors["block"].line)
    body = Polygon(rectangle(*rect), fill, line, 1.0, round=7, dashes=_DASHES if frame.training else ())
    inside = frame_content(frame)
    left = title[0] - inside.width / 2
    words = (
        text for row in inside.lines for text in _text(row, left + row.width / 2, title[1] + row.y, pen, halo=fill)
    )
    facts = {"frame": str(number), "path": frame.path, "copies": str(frame.count)}
    id = f"{'area' if frame.stage else 'frame'}-{frame.path}" if frame.path else ""
    return Cluster("frame stage" if frame.stage else "frame", members=[body, *words], facts=facts, id=id)


def _box(box: Box, rect: Rect, pen: _Pen) -> Cluster:
    """A box with its text."""
    middle = Point(rect.x + rect.width / 2, rect.y + rect.height / 2)
    inside, ground = content(box, pen.heat), pen.theme.background if pen.hatched(box) else ""
    words = _texts(inside, middle, pen, pen.ink(box), ground if box.sign else "")
    plates = _plates(inside, middle, ground) if ground and not box.sign else ()
    facts = {"box": str(box.number), "kind": box.kind, "path": box.path, "copies": str(box.count)}
    members = [*_body(box, rect, pen), *plates, *words]
    return Cluster(f"box {box.look}", title=tooltip(box), members=members, facts=facts, id=_id(box))


def _plates(inside: Content, middle: Point, fill: str) -> Iterator[Polygon]:
    """A plate behind each line of a text, so that no line of a hatch runs through it or its gaps."""
    for line in inside.lines:
        top, width = middle.y + line.y - _ASCENT * line.height, line.width + 2 * _PLATE
        yield Polygon(rectangle(middle.x - width / 2, top, width, line.height), fill, round=_PLATE)


def _id(box: Box, kind: str = "box") -> str:
    return f"{'output' if box.look == 'output' else kind}-{box.path or box.title}"


def _body(box: Box, rect: Rect, pen: _Pen) -> list[Item]:
    if box.look == "output":
        return []
    return [outline(half, part, pen.fill(half), *_line(half, pen)) for half, part in halves(box, rect)]


def halves(box: Box, rect: Rect) -> list[tuple[Box, Rect]]:
    """Return the upper and the lower half of a box, or the box itself, each with its place."""
    if box.upper is None:
        return [(box, rect)]
    height = content(box.upper).height
    lower = rect._replace(y=rect.y + height, height=rect.height - height)
    return [(box.upper, rect._replace(height=height)), (box, lower)]


def outline(
    box: Box, rect: Rect, fill: Fill, line: str, width: float, dashes: Dashes, grown: float = 0.0
) -> Polygon | Circle:
    """Return the outline of a box, `grown` points larger on each side: a circle for a sign, else a rounded
    rectangle."""
    if box.sign:
        middle = Point(rect.x + rect.width / 2, rect.y + rect.height / 2)
        return Circle(middle, rect.width / 2 + grown, fill, line, width, dashes)
    corners = rectangle(rect.x - grown, rect.y - grown, rect.width + 2 * grown, rect.height + 2 * grown)
    return Polygon(corners, fill, line, width, _RADIUS + grown, dashes)


def _line(box: Box, pen: _Pen) -> tuple[str, float, Dashes]:
    """Colour, width and dashes of a box's outline."""
    heavy = box.look == "block" and pen.theme.patterns
    dashed = box.training or box.look == "unknown"
    return pen.theme.colors[box.look].line, 1.7 if heavy else 1.1, _DASHES if dashed else ()


def _card(box: Box, rect: Rect, pen: _Pen) -> Cluster:
    """The card behind a box that represents several parts, and behind the arrows that lead to it."""
    line, width, dashes = _line(box, pen)
    corners = rectangle(*rect._replace(x=rect.x + _CARD, y=rect.y - _CARD))
    behind = Polygon(corners, pen.fill(box), line, width, _RADIUS, dashes)
    return Cluster(f"card {box.look}", members=[behind], id=_id(box, "card"))


def tooltip(box: Box) -> str:
    """Return the description of a box for screen readers and tooltips."""
    words = [f"{box.path}: {box.title}" if box.path and box.path != box.title else box.title, *box.lines, box.tail]
    words += [f"{box.count} times"] if box.count > 1 else []
    words += [f"gives {format_shape(box.shape, times=f' {TIMES} ')}"] if box.shape else []
    total = " in all" if len(box.everywhere) > box.count else ""
    words += [f"{in_short(box.cost.params).rstrip()} params{total}"] if box.cost.params else []
    words += [f"{in_short(box.cost.macs)}MACs{total}"] if box.cost.macs else []
    return ", ".join(filter(None, words))[:_MAX_WORDS]


def _background(point: XY | None, drawing: Drawing, layout: GraphLayout, theme: Theme) -> str:
    """The colour behind a point: that of the innermost frame around it, the last in drawing order."""
    around = [
        frame.stage
        for frame, (rect, _) in zip(drawing.frames(), layout.frames, strict=True)
        if point is not None and rect.holds(point)
    ]
    return theme.stage if around and around[-1] else theme.background


def _arrow(arrow: Arrow, spline: Spline, ground: str, ends: tuple[str, str], pen: _Pen) -> Cluster:
    color = pen.theme.arrow
    points = tuple(Point(*point) for point in (*spline.points[:-1], spline.tip))
    dashes = _DASHES if arrow.training else ()
    members: list[Cluster | Item] = [Path(points, color, 0.9, dashes, head=True, curved=True)]
    if arrow.label and pen.options.shapes and spline.label is not None:
        members += _texts(arrow_content(arrow.label), Point(*spline.label), pen, halo=ground)
    facts = {"from": str(arrow.source), "to": str(arrow.target)}
    return Cluster("arrow", members=members, facts=facts, id=arrow_id(*ends), ends=ends)
