"""Align the rows of two layouts: boxes of the same part stand at the same height."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archdsl.drawing.graph.positions import GraphLayout, Rect


class _Room(NamedTuple):
    """Space that is added between two heights of a layout."""

    start: float
    end: float
    height: float


def align_rows(first: GraphLayout, second: GraphLayout, pairs: Iterable[tuple[int, int]]) -> list[GraphLayout]:
    """Return both layouts with space between their rows, so that the boxes of each pair are at the same height.

    A row is all boxes with a height in common. A pair that would move a box up, or across another pair, is left as it
    is.
    """
    layouts = (first, second)
    rows = [_rows(layout.boxes.values()) for layout in layouts]
    rooms: tuple[list[_Room], list[_Room]] = ([], [])
    last = [-1, -1]
    for pair in sorted(pairs, key=lambda pair: first.boxes[pair[0]].y):
        tops = [layout.boxes[box].y for layout, box in zip(layouts, pair, strict=True)]
        places = [max(n for n, (top, _) in enumerate(side) if top <= y) for side, y in zip(rows, tops, strict=True)]
        if any(place <= before for place, before in zip(places, last, strict=True)):
            continue
        moved = [y + sum(room.height for room in added) for y, added in zip(tops, rooms, strict=True)]
        for side, place, added, y in zip(rows, places, rooms, moved, strict=True):
            if missing := max(moved) - y:
                start = side[place - 1][1] if place else 0.0
                added.append(_Room(start, side[place][0], missing))
        last = places
    return [_stretched(layout, added) for layout, added in zip(layouts, rooms, strict=True)]


def _rows(boxes: Iterable[Rect]) -> list[tuple[float, float]]:
    """The top and bottom of each row."""
    rows: list[tuple[float, float]] = []
    for box in sorted(boxes, key=lambda box: box.y):
        if rows and box.y <= rows[-1][1]:
            rows[-1] = (rows[-1][0], max(rows[-1][1], box.y + box.height))
        else:
            rows.append((box.y, box.y + box.height))
    return rows


def _stretched(layout: GraphLayout, rooms: Sequence[_Room]) -> GraphLayout:
    def added(y: float) -> float:
        return sum(min(max((y - r.start) / max(r.end - r.start, 0.01), 0.0), 1.0) * r.height for r in rooms)

    def at(rect: Rect) -> Rect:
        down = added(rect.y)
        return rect._replace(y=rect.y + down, height=rect.height + (added(rect.y + rect.height) - down))

    return layout.mapped(at)
