"""Where everything lies: Graphviz's answer to a drawing's DOT text, as numbers. Points; y grows downwards."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypeAlias

from archdsl.views.compose import compose
from archdsl.views.dot import to_dot
from archdsl.views.drawing import Drawing, View
from archdsl.views.engine import TooSlow, run
from archdsl.views.request import Request

Point: TypeAlias = tuple[float, float]

MAX_BOXES = 1500
"""A drawing of more boxes is not attempted: nobody could read it."""


class Rect(NamedTuple):
    x: float
    y: float
    width: float
    height: float


class Way(NamedTuple):
    """An arrow: the points of a cubic spline, where its tip is, and where the middle of its label is."""

    points: tuple[Point, ...]
    tip: Point
    label: Point | None


class Layout(NamedTuple):
    """`boxes` by number, `frames` in the drawing's order with the middle of each title, `ways` in the arrows' order."""

    width: float
    height: float
    boxes: dict[int, Rect]
    frames: tuple[tuple[Rect, Point], ...]
    ways: tuple[Way, ...]


def laid_out(request: Request) -> tuple[Drawing, Layout, str]:
    """The drawing that was asked for, and where it lies; or a simpler one, and a note that says so.

    Raises E0711 (status 2) where nothing here can draw, E0712 (status 2) where even the simplest drawing takes too long.
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
    raise error("E0712", f"`{graph.name[:80]}` cannot be laid out in {request.time_limit_s:g} s", status=2,
                help="`--format dot` writes the drawing as text")  # fmt: skip


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
    how = "by a few of its parts" if drawn is None else f"at the level `{drawn.level}`, equal blocks folded"
    return f"too large to draw as asked: drawn {how}"


def place(drawing: Drawing, request: Request) -> Layout:
    """Where Graphviz puts the drawing. Raises `TooSlow`, and E0711."""
    text = to_dot(drawing, request.options)
    return read(drawing, json.loads(run(text, "json0", request.time_limit_s)))


def read(drawing: Drawing, answer: dict[str, Any]) -> Layout:
    """Graphviz's JSON as a Layout."""
    left, low, right, high = map(float, answer["bb"].split(","))

    def point(text: str) -> Point:
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
    drawn = {(names[edge["tail"]], names[edge["head"]]): edge for edge in answer.get("edges", ())}
    ways = [_way(drawn[f"n{arrow.source}", f"n{arrow.target}"], point) for arrow in drawing.arrows]
    return Layout(right - left, high - low, boxes, tuple(frames), tuple(ways))


def _way(edge: dict[str, Any], point: Any) -> Way:
    """`e,x,y x,y x,y ...`: the tip, then the spline's points from the tail on."""
    words = edge["pos"].split()
    tips = [point(word) for word in words if word.startswith("e,")]
    points = tuple(point(word) for word in words if not word.startswith(("e,", "s,")))
    return Way(points, tips[0] if tips else points[-1], point(edge["lp"]) if "lp" in edge else None)
