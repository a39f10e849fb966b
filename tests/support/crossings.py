"""Count the texts of a drawing that something else crosses, from its scene: the curves and rectangles as painted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import hypot
from typing import NamedTuple

from archdsl.drawing.metrics import text_width
from archdsl.drawing.scene import Circle, Cluster, Path, Point, Polygon, Scene, Text

CELL = 48.0


class Ink(NamedTuple):
    """The rectangle that the letters of a text cover."""

    left: float
    top: float
    right: float
    bottom: float

    def near(self, point: Point, by: float = 0.0) -> bool:
        return self.left - by < point.x < self.right + by and self.top - by < point.y < self.bottom + by

    def meets(self, other: Ink) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def distance(self, point: Point) -> float:
        x = max(self.left - point.x, 0.0, point.x - self.right)
        return hypot(x, max(self.top - point.y, 0.0, point.y - self.bottom))


def ink(text: Text) -> Ink:
    wide = text_width(text.text, text.size, text.bold)
    left = text.at.x - (wide / 2 if text.anchor == "middle" else wide if text.anchor == "end" else 0)
    return Ink(left, text.at.y - 0.72 * text.size, left + wide, text.at.y + 0.2 * text.size)


def around(points: Iterable[Point]) -> Ink:
    xs, ys = zip(*points, strict=True)
    return Ink(min(xs), min(ys), max(xs), max(ys))


def edge(rect: Ink) -> Iterator[Point]:
    """Points on the border, two points apart."""
    for n in range(int((rect.right - rect.left) / 2) + 1):
        yield from (Point(rect.left + 2 * n, y) for y in (rect.top, rect.bottom))
    for n in range(int((rect.bottom - rect.top) / 2) + 1):
        yield from (Point(x, rect.top + 2 * n) for x in (rect.left, rect.right))


def cells(rect: Ink, by: float = 0.0) -> Iterator[tuple[int, int]]:
    for column in range(int((rect.left - by) // CELL), int((rect.right + by) // CELL) + 1):
        for row in range(int((rect.top - by) // CELL), int((rect.bottom + by) // CELL) + 1):
            yield column, row


class Found(NamedTuple):
    """The titles and labels of a drawing, and the faults, each with the text that it concerns."""

    texts: int
    faults: list[tuple[str, str]]

    def of(self, kind: str) -> list[str]:
        return [text for fault, text in self.faults if fault == kind]

    @property
    def bad(self) -> int:
        """How many texts have a fault."""
        return len({text for _, text in self.faults})


def crossings(scene: Scene, labels: Sequence[str] = ()) -> Found:
    """Return what crosses the titles of frames and the labels of arrows.

    `arrow`: an arrow through a text. `border`: the border of a frame through it. `text`, `box`: it overlaps another
    text, or a box. `astray`: a label is nearer to an arrow from another box than to its own. `missing`: one of
    `labels`, which the drawing should have, is not painted.
    """
    drawing = next(m for m in scene.members if isinstance(m, Cluster) and m.kind == "drawing")
    members = [m for m in drawing.members if isinstance(m, Cluster)]
    lines: dict[tuple[int, int], list[tuple[int, str, Point]]] = defaultdict(list)
    borders: dict[tuple[int, int], list[Point]] = defaultdict(list)
    rects: dict[tuple[int, int], list[Ink]] = defaultdict(list)
    boxes: dict[str, Ink] = {}
    texts: list[tuple[str, Ink, int, str]] = []
    """Each with the number of its cluster, and for a label the box from which its arrow comes."""
    for number, cluster in enumerate(members):
        source = cluster.facts.get("from", "")
        for item in cluster.members:
            if isinstance(item, Circle):
                (x, y), r = item.center, item.radius
                boxes[cluster.facts["box"]] = Ink(x - r, y - r, x + r, y + r)
            elif isinstance(item, Path):
                for point in item.along(1.5):
                    lines[int(point.x // CELL), int(point.y // CELL)].append((number, source, point))
            elif isinstance(item, Text) and not cluster.kind.startswith("box"):
                texts.append((item.text, ink(item), number, source))
            elif isinstance(item, Polygon) and cluster.kind.startswith("frame"):
                for point in edge(around(item.points)):
                    borders[int(point.x // CELL), int(point.y // CELL)].append(point)
            elif isinstance(item, Polygon) and cluster.kind.startswith("box"):
                boxes[cluster.facts["box"]] = around(item.points)
                for cell in cells(around(item.points)):
                    rects[cell].append(around(item.points))
    faults = []
    for n, (text, rect, number, source) in enumerate(texts):
        name = f"{n}: {text}"
        near = [entry for cell in cells(rect, 14.0) for entry in lines[cell] if rect.near(entry[2], 14.0)]
        faults += [("arrow", name)] * len({who for who, _, point in near if rect.near(point)})
        if any(rect.near(point) for cell in cells(rect) for point in borders[cell]):
            faults.append(("border", name))
        if any(rect.meets(box) for cell in cells(rect) for box in rects[cell]):
            faults.append(("box", name))
        if any(rect.meets(other) for m, (_, other, owner, _) in enumerate(texts) if m != n and owner != number):
            faults.append(("text", name))
        if source:
            own = min((rect.distance(point) for who, other, point in near if other == source), default=15.0)
            own = min(own, *(rect.distance(point) for point in edge(boxes[source])))
            foreign = min((rect.distance(point) for _, other, point in near if other != source), default=15.0)
            if foreign < own:
                faults.append(("astray", name))
    shown = Counter(text for text, _, _, source in texts if source)
    lost = Counter(labels) - shown
    faults += [("missing", f"missing {n}: {text}") for text in lost for n in range(lost[text])]
    return Found(len(texts) + lost.total(), faults)
