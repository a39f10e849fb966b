"""The layout of a drawing, read from Graphviz's JSON. Lengths are in points; y grows downwards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from archdsl.drawing.graph.dot import to_dot
from archdsl.drawing.graph.engine import TooSlow, run
from archdsl.drawing.graph.labels import arrow_content, frame_content
from archdsl.drawing.graph.positions import (
    XY,
    GraphLayout,
    Rect,
    Spline,
    along,
    find_positions,
    title_positions,
)
from archdsl.drawing.model.drawing import EVERYTHING, Drawing, Level, View
from archdsl.drawing.request import Request

D = TypeVar("D", bound=Drawing)
_ROUNDS = 2
"""How often the layout is repeated with more room for the labels that lacked it."""
_BESIDE = 8.0
"""The space between what a stage holds and its edge."""
MAX_BOXES = 1500
"""A drawing with more boxes is not readable and is not attempted."""


def laid_out(request: Request, composed: Callable[[View, bool], D]) -> tuple[D, GraphLayout, str]:
    """Return the requested drawing, its layout and an empty note; or a simpler drawing, and a note that says so.

    `composed` is called as `compose`, with a view and `lumped`.

    Raises, with status 2, E0711 if there is no layout engine and E0712 if even the simplest drawing takes too long.
    """
    from archdsl.diagnostics import error

    view = request.view
    for attempt in attempts(view):
        drawing = composed(attempt or View(), attempt is None)
        if attempt is not None and sum(1 for _ in drawing.boxes()) > MAX_BOXES:
            continue
        try:
            layout = place(drawing, request)
        except TooSlow:
            continue
        return drawing, layout, _note(view, attempt)
    raise error(
        "E0712",
        f"the layout of `{request.graph.name[:80]}` takes more than {request.time_limit_s:g} s",
        status=2,
        help="`--format dot` writes the drawing without a layout",
    )


def attempts(view: View) -> list[View | None]:
    """Return the view, then simpler ones; None stands for a drawing of a few boxes, which any network has."""
    levels: tuple[Level, ...] = ("layer", "block", "network")
    if EVERYTHING not in view.expand:
        levels = tuple(level for level in levels[1:] if level != view.level)
    return [view, *(View(level, view.focus) for level in levels), None]


def _note(view: View, drawn: View | None) -> str:
    if drawn == view:
        return ""
    how = "as a few boxes" if drawn is None else f"at the level `{drawn.level}`, equal blocks collapsed"
    return f"the network is too large for the requested drawing: drawn {how}"


def place(drawing: Drawing, request: Request) -> GraphLayout:
    """Return the layout of a drawing: Graphviz places its boxes, `positions` its labels. Raises `TooSlow` and E0711."""
    nothing: frozenset[int] = frozenset()
    layout, crowded = _laid_out(drawing, request, nothing, nothing)
    longer = crowded & _only_arrows(drawing)
    roomy = crowded - longer
    for _ in range(_ROUNDS):
        if not crowded:
            break
        other, still = _laid_out(drawing, request, longer, roomy)
        longer, roomy = longer - still, roomy | still
        layout, crowded = (other, still) if len(still) < len(crowded) else (layout, crowded)
    return layout


def _only_arrows(drawing: Drawing) -> frozenset[int]:
    """The boxes with one arrow, to a box with no other: a longer arrow has room for its label."""
    leaving = Counter(arrow.source for arrow in drawing.arrows)
    entering = Counter(arrow.target for arrow in drawing.arrows)
    return frozenset(a.source for a in drawing.arrows if leaving[a.source] == entering[a.target] == 1)


def _laid_out(
    drawing: Drawing, request: Request, longer: frozenset[int], roomy: frozenset[int]
) -> tuple[GraphLayout, frozenset[int]]:
    """The layout with room for labels, as in `to_dot`, and the boxes that lack the room for theirs."""
    text = to_dot(drawing, request.options, longer=longer, roomy=roomy)
    layout = read(drawing, json.loads(run(text, "json0", request.time_limit_s)))
    worded, crowded = with_words(drawing, layout, request.options.shapes)
    return (_tightened(drawing, worded, roomy) if roomy else worded), crowded


def _tightened(drawing: Drawing, layout: GraphLayout, roomy: frozenset[int]) -> GraphLayout:
    """The layout without the room beside the boxes in `roomy` that no label took: stages end after what they hold."""
    frames = list(layout.frames)
    inner = [{box.number for box in frame.boxes()} for frame in drawing.frames()]
    labels = [
        Rect(s.label[0] - w / 2, s.label[1] - h / 2, w, h)
        for arrow, s in zip(drawing.arrows, layout.splines, strict=True)
        if s.label
        for _, w, h in (arrow_content(arrow.label),)
    ]
    for n, frame in enumerate(drawing.frames()):
        rect, title = frames[n]
        if not frame.stage or not inner[n] & roomy:
            continue
        arrows = zip(drawing.arrows, layout.splines, strict=True)
        ends = [title[0] + frame_content(frame).width / 2]
        ends += [layout.boxes[number].x + layout.boxes[number].width for number in inner[n]]
        ends += [other.x + other.width for m, (other, _) in enumerate(frames) if inner[m] < inner[n]]
        ends += [x for a, s in arrows if {a.source, a.target} <= inner[n] for x, _ in s.points]
        ends += [label.x + label.width for label in labels if label.meets(rect)]
        right = min(rect.x + rect.width, max(ends) + _BESIDE)
        frames[n] = rect._replace(width=right - rect.x), title
    return layout._replace(frames=tuple(frames))


def read(drawing: Drawing, answer: Mapping[str, Any]) -> GraphLayout:
    """Convert Graphviz's JSON to a GraphLayout."""
    left, low, right, high = map(float, answer["bb"].split(","))

    def point(text: str) -> XY:
        x, y = text.split(",")[-2:]
        return float(x) - left, high - float(y)

    names = {entry["_gvid"]: entry["name"] for entry in answer.get("objects", ())}
    objects = {entry["name"]: entry for entry in answer.get("objects", ())}
    boxes = {}
    for box in drawing.boxes():
        entry = objects[f"n{box.number}"]
        (x, y), width, height = point(entry["pos"]), 72 * float(entry["width"]), 72 * float(entry["height"])
        boxes[box.number] = Rect(x - width / 2, y - height / 2, width, height)
    frames = []
    for number, frame in enumerate(drawing.frames()):
        entry = objects[f"cluster_{number}"]
        x0, y0, x1, y1 = map(float, entry["bb"].split(","))
        title = point(entry["lp"] if frame.stage else objects[f"f{number}"]["pos"])
        frames.append((Rect(x0 - left, high - y1, x1 - x0, y1 - y0), title))
    drawn = {(names[edge["tail"]], names[edge["head"]]): edge["pos"] for edge in answer.get("edges", ())}
    splines = [_spline(drawn[f"n{arrow.source}", f"n{arrow.target}"], point) for arrow in drawing.arrows]
    return GraphLayout(right - left, high - low, boxes, tuple(frames), tuple(splines))


def _spline(text: str, point: Callable[[str], XY]) -> Spline:
    """Parse `e,x,y x,y x,y ...`: the tip, then the points of the spline from its tail."""
    words = text.split()
    tips = [point(word) for word in words if word.startswith("e,")]
    points = tuple(point(word) for word in words if not word.startswith(("e,", "s,")))
    return Spline(points, tips[0] if tips else points[-1], None)


def with_words(drawing: Drawing, layout: GraphLayout, shapes: bool) -> tuple[GraphLayout, frozenset[int]]:
    """Return the layout with positions of the frame titles and arrow labels, enlarged if one of them sticks out, and
    the boxes that lack the room for their label."""
    words = find_positions(
        [along(spline.points, spline.tip) for spline in layout.splines],
        {n: along(s.points[: s.foot], s.points[s.foot - 1]) for n, s in enumerate(layout.splines) if s.foot},
        [arrow.source for arrow in drawing.arrows],
        layout.boxes,
        [rect for rect, _ in layout.frames],
        _title_positions(drawing, layout),
        {n: arrow_content(arrow.label)[1:] for n, arrow in enumerate(drawing.arrows) if arrow.label and shapes},
    )
    frames = tuple((rect, _middle(title)) for (rect, _), title in zip(layout.frames, words.titles, strict=True))
    splines = tuple(
        spline._replace(label=_middle(words.labels[n]) if n in words.labels else None)
        for n, spline in enumerate(layout.splines)
    )
    texts = [*words.titles, *words.labels.values()]
    left = max(0.0, -min((rect.x for rect in texts), default=0.0))
    above = max(0.0, -min((rect.y for rect in texts), default=0.0))
    right = max([layout.width, *(rect.x + rect.width for rect in texts)])
    below = max([layout.height, *(rect.y + rect.height for rect in texts)])
    widened = layout._replace(width=right, height=below, frames=frames, splines=splines)
    return widened.mapped(lambda rect: rect.shifted(left, above)), words.crowded


def _title_positions(drawing: Drawing, layout: GraphLayout) -> Iterator[list[Rect]]:
    """Positions of each title: at the upper edge of a stage; in the corner of a block, or else in the room it has."""
    sizes = [frame_content(frame)[1:] for frame in drawing.frames()]
    rooms = [Rect(x - w / 2, y - h / 2, w, h) for (_, (x, y)), (w, h) in zip(layout.frames, sizes, strict=True)]
    for frame, (rect, _), room in zip(drawing.frames(), layout.frames, rooms, strict=True):
        if frame.stage:
            yield list(title_positions(room._replace(x=rect.x + 7, width=rect.width - 14), room.width, room.height))
        else:
            corner = room._replace(x=rect.x + 5, y=rect.y + 4)
            taken = any(corner.meets(other) for other in rooms if other is not room)
            yield [room] if taken else [corner, room]


def _middle(rect: Rect) -> XY:
    return rect.x + rect.width / 2, rect.y + rect.height / 2
