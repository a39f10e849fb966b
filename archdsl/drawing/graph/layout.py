"""Where everything lies: Graphviz's answer to a drawing's DOT text, as numbers. Points; y grows downwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from archdsl.drawing.graph.dot import to_dot
from archdsl.drawing.graph.engine import TooSlow, run
from archdsl.drawing.graph.labels import arrow_content, frame_content
from archdsl.drawing.graph.places import XY, Rect, along, find_places
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import Drawing, View
from archdsl.drawing.request import Request

MAX_BOXES = 1500
"""A drawing of more boxes is not attempted: nobody could read it."""


class Spline(NamedTuple):
    """An arrow: the points of a cubic spline, where its tip is, and where the middle of its label is."""

    points: tuple[XY, ...]
    tip: XY
    label: XY | None


class GraphLayout(NamedTuple):
    """`boxes` by number, `frames` in the drawing's order with the middle of each title, `splines` in the arrows' order."""

    width: float
    height: float
    boxes: dict[int, Rect]
    frames: tuple[tuple[Rect, XY], ...]
    splines: tuple[Spline, ...]


def laid_out(request: Request) -> tuple[Drawing, GraphLayout, str]:
    """The drawing that was asked for, and where it lies; or a simpler one, and a note that says so.

    Raises E0711 (status 2) where nothing here can draw, E0712 (status 2) where even the simplest drawing takes too
    long.
    """
    from archdsl.diagnostics import error

    view, graph = request.view, request.graph
    for attempt in attempts(view):
        drawing = compose(graph, attempt or View(), lumped=attempt is None)
        if attempt is not None and sum(1 for _ in drawing.boxes()) > MAX_BOXES:
            continue
        try:
            found = place(drawing, request)
        except TooSlow:
            continue
        return drawing, found, _note(view, attempt)
    raise error(
        "E0712",
        f"`{graph.name[:80]}` cannot be laid out in {request.time_limit_s:g} s",
        status=2,
        help="`--format dot` writes the drawing as text",
    )


def attempts(view: View) -> list[View | None]:
    """The view, then simpler ones; None: a few lumps, whatever the network is."""
    simpler: list[View | None] = [view]
    if "*" in view.unfold:
        simpler.append(View(view.level, view.focus))
    simpler += [View(level, view.focus) for level in ("block", "network") if level != view.level]
    return [*simpler, None]


def _note(view: View, drawn: View | None) -> str:
    if drawn == view:
        return ""
    how = "by a few of its parts" if drawn is None else f"at the level `{drawn.level}`, equal blocks collapsed"
    return f"too large to draw as asked: drawn {how}"


def place(drawing: Drawing, request: Request) -> GraphLayout:
    """Where Graphviz puts the drawing, and where the shapes stand beside its arrows. Raises `TooSlow`, and E0711."""
    text = to_dot(drawing, request.options)
    found = read(drawing, json.loads(run(text, "json0", request.time_limit_s)))
    return _with_words(drawing, found, request.options.shapes)


def read(drawing: Drawing, answer: Mapping[str, Any]) -> GraphLayout:
    """Graphviz's JSON as a GraphLayout."""
    left, low, right, high = map(float, answer["bb"].split(","))

    def point(text: str) -> XY:
        x, y = text.split(",")[-2:]
        return float(x) - left, high - float(y)

    names = {thing["_gvid"]: thing["name"] for thing in answer.get("objects", ())}
    objects = {thing["name"]: thing for thing in answer.get("objects", ())}
    boxes = {}
    for box in drawing.boxes():
        thing = objects[f"n{box.number}"]
        (x, y), width, height = point(thing["pos"]), 72 * float(thing["width"]), 72 * float(thing["height"])
        boxes[box.number] = Rect(x - width / 2, y - height / 2, width, height)
    frames = []
    for number, _ in enumerate(drawing.frames()):
        thing = objects[f"cluster_{number}"]
        x0, y0, x1, y1 = map(float, thing["bb"].split(","))
        frames.append((Rect(x0 - left, high - y1, x1 - x0, y1 - y0), point(thing["lp"])))
    drawn = {(names[edge["tail"]], names[edge["head"]]): edge["pos"] for edge in answer.get("edges", ())}
    splines = [_spline(drawn[f"n{arrow.source}", f"n{arrow.target}"], point) for arrow in drawing.arrows]
    return GraphLayout(right - left, high - low, boxes, tuple(frames), tuple(splines))


def _spline(text: str, point: Callable[[str], XY]) -> Spline:
    """`e,x,y x,y x,y ...`: the tip, then the spline's points from the tail on."""
    words = text.split()
    tips = [point(word) for word in words if word.startswith("e,")]
    points = tuple(point(word) for word in words if not word.startswith(("e,", "s,")))
    return Spline(points, tips[0] if tips else points[-1], None)


def _with_words(drawing: Drawing, layout: GraphLayout, shapes: bool) -> GraphLayout:
    """The layout with a place for each frame's title and each arrow's label, made wider where one sticks out."""
    sizes = {n: arrow_content(arrow.label)[1:] for n, arrow in enumerate(drawing.arrows) if arrow.label and shapes}
    titles = [frame_content(frame)[1:] for frame in drawing.frames()]
    bands = [
        Rect(rect.x + 7, middle[1] - height / 2, rect.width - 14, height)
        for (rect, middle), (_, height) in zip(layout.frames, titles, strict=True)
    ]
    lines = [along(spline.points, spline.tip) for spline in layout.splines]
    named, places = find_places(lines, layout.boxes.values(), [rect for rect, _ in layout.frames], bands, titles, sizes)
    frames = tuple((rect, _middle(title)) for (rect, _), title in zip(layout.frames, named, strict=True))
    splines = tuple(
        spline._replace(label=_middle(places[n]) if n in places else None) for n, spline in enumerate(layout.splines)
    )
    left = max(0.0, -min((rect.x for rect in places.values()), default=0.0))
    right = max([layout.width, *(rect.x + rect.width for rect in places.values())])
    return _moved(layout._replace(width=right + left, frames=frames, splines=splines), left)


def _middle(rect: Rect) -> XY:
    return rect.x + rect.width / 2, rect.y + rect.height / 2


def _moved(layout: GraphLayout, by: float) -> GraphLayout:
    """The layout to the right of where it was."""

    def moved(points: Sequence[XY]) -> tuple[XY, ...]:
        return tuple((x + by, y) for x, y in points)

    boxes = {n: rect._replace(x=rect.x + by) for n, rect in layout.boxes.items()}
    frames = tuple((rect._replace(x=rect.x + by), moved([title])[0]) for rect, title in layout.frames)
    splines = tuple(
        Spline(
            moved(spline.points), moved([spline.tip])[0], moved([spline.label])[0] if spline.label is not None else None
        )
        for spline in layout.splines
    )
    return layout._replace(boxes=boxes, frames=frames, splines=splines)
