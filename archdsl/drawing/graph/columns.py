"""Break a tall drawing into columns: an arrow leads from the foot of one column to the head of the next.

A drawing is cut where a single arrow crosses. Lengths are in points; y grows downwards.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from itertools import pairwise

from archdsl.drawing.graph.labels import arrow_content
from archdsl.drawing.graph.positions import XY, GraphLayout, Rect, Spline, at_point
from archdsl.drawing.model.drawing import Drawing

_APART = 26.0
"""Space between two columns, for the arrow to the next one."""
_FOOT, _HEAD = 20.0, 14.0
"""Space below and above a column for that arrow, and for its label below."""
_ROUND = 5.0


def in_columns(drawing: Drawing, layout: GraphLayout, count: int, sideways: bool = False) -> GraphLayout | None:
    """Return a layout in `count` columns of about equal height, `sideways` in rows; None if it cannot be cut so."""
    if sideways:
        unlabelled = layout._replace(splines=tuple(spline._replace(label=None) for spline in layout.splines))
        broken = in_columns(drawing, _transposed(unlabelled), count)
        return broken and _transposed(broken)
    cuts = _cuts(drawing, layout)
    chosen = _even([-1.0, *cuts, layout.height], count)
    if len(chosen) != count + 1:
        return None
    return _moved(drawing, layout, cuts, chosen)


def _cuts(drawing: Drawing, layout: GraphLayout) -> dict[float, int]:
    """The heights at which one arrow and nothing else crosses, and the number of that arrow."""
    solid = sorted((rect.y, rect.y + rect.height) for rect in (*layout.boxes.values(), *(r for r, _ in layout.frames)))
    gaps, end = [], 0.0
    for top, bottom in solid:
        if top > end > 0:
            gaps.append((end + top) / 2)
        end = max(end, bottom)
    cuts: dict[float, int] = {}
    middles = {number: rect.y + rect.height / 2 for number, rect in layout.boxes.items()}
    for y in gaps:
        crossing = [n for n, a in enumerate(drawing.arrows) if middles[a.source] < y < middles[a.target]]
        if len(crossing) == 1 and crossing[0] not in cuts.values():
            cuts[y] = crossing[0]
    return cuts


def _even(heights: Sequence[float], count: int) -> list[float]:
    """The first and the last height and those between that make the highest of `count` parts as low as possible."""
    best = {(0, 0): (0.0, [heights[0]])}
    for part in range(1, count + 1):
        for end in range(1, len(heights)):
            for start in (n for n in range(end) if (n, part - 1) in best):
                highest, before = best[start, part - 1]
                choice = max(highest, heights[end] - heights[start]), [*before, heights[end]]
                best[end, part] = min(choice, best.get((end, part), choice))
    return best.get((len(heights) - 1, count), (0.0, []))[1]


class _Column:
    """The part of a layout between two heights: the numbers of its boxes, frames and arrows, and its extent."""

    def __init__(self, drawing: Drawing, layout: GraphLayout, top: float, bottom: float, cut: Collection[int]) -> None:
        self.boxes = [n for n, rect in layout.boxes.items() if top < rect.y < bottom]
        self.frames = [n for n, (rect, _) in enumerate(layout.frames) if top < rect.y < bottom]
        self.arrows = [n for n, a in enumerate(drawing.arrows) if a.source in self.boxes and n not in cut]
        rects = [layout.boxes[n] for n in self.boxes] + [layout.frames[n][0] for n in self.frames]
        spans = [(rect.x, rect.x + rect.width) for rect in rects]
        for n in self.arrows:
            spans += [(x, x) for x, _ in layout.splines[n].points]
            if (label := layout.splines[n].label) is not None:
                half = arrow_content(drawing.arrows[n].label).width / 2
                spans.append((label[0] - half, label[0] + half))
        self.left, self.right = min(left for left, _ in spans), max(right for _, right in spans)
        self.top, self.bottom = min(rect.y for rect in rects), max(rect.y + rect.height for rect in rects)


def _moved(drawing: Drawing, layout: GraphLayout, cuts: dict[float, int], chosen: Sequence[float]) -> GraphLayout:
    arrows = [cuts[y] for y in chosen[1:-1]]
    boxes, frames, splines = dict(layout.boxes), list(layout.frames), list(layout.splines)
    x, feet = 0.0, [0.0]
    turns: list[XY] = []
    for top, bottom in pairwise(chosen):
        column = _Column(drawing, layout, top, bottom, arrows)
        right, down = x - column.left, (_HEAD if x else 0.0) - column.top
        at = partial(Rect.shifted, right=right, down=down)
        boxes.update({n: at(boxes[n]) for n in column.boxes})
        for n in column.frames:
            frames[n] = at(frames[n][0]), at_point(at, frames[n][1])
        for n in column.arrows:
            splines[n] = splines[n].mapped(at)
        x += column.right - column.left + _APART
        feet.append(column.bottom + down)
        turns.append((x - _APART / 2, feet[-1] + _FOOT - 2))
    for number, turn in zip(arrows, turns, strict=False):
        source, target = (boxes[n] for n in (drawing.arrows[number].source, drawing.arrows[number].target))
        splines[number] = _around(source, target, *turn)
    height = max(feet[-1], *(foot + _FOOT for foot in feet[1:-1]))
    return layout._replace(width=x - _APART, height=height, boxes=boxes, frames=tuple(frames), splines=tuple(splines))


def _around(source: Rect, target: Rect, gutter: float, foot: float) -> Spline:
    """From the foot of a box around the end of its column to the head of a box in the next one."""
    start, tip = (source.x + source.width / 2, source.y + source.height), (target.x + target.width / 2, target.y)
    corners = [(start[0], foot), (gutter, foot), (gutter, 2.0), (tip[0], 2.0)]
    points = [start]
    for before, corner, after in zip([start, *corners], corners, [*corners[1:], tip], strict=False):
        enter, leave = _toward(corner, before), _toward(corner, after)
        points += [points[-1], enter, enter, corner, corner, leave]
    neck = (tip[0], tip[1] - 3)
    return Spline((*points, points[-1], neck, neck), tip, None, foot=1 + 2 * 6)


def _toward(corner: XY, other: XY) -> XY:
    """A point on the way from a corner to another point, where its rounding ends."""
    x, y = other[0] - corner[0], other[1] - corner[1]
    share = min(_ROUND / max(abs(x) + abs(y), 0.01), 0.5)
    return corner[0] + share * x, corner[1] + share * y


def _transposed(layout: GraphLayout) -> GraphLayout:
    return layout.mapped(lambda rect: Rect(rect.y, rect.x, rect.height, rect.width))
