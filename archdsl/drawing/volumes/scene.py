"""Compose the picture of a network as volumes: rows of blocks in lines or levels, routes, heading and legend."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from archdsl.drawing.heat import HeatScale, mix
from archdsl.drawing.model.drawing import Cost
from archdsl.drawing.scene import Cluster, Item, Path, Point, Polygon, Scene, Text, arrow_id, rectangle
from archdsl.drawing.scene.things import extent
from archdsl.drawing.theme import Theme
from archdsl.drawing.volumes.layout import Placer, lines_of
from archdsl.drawing.volumes.levels import is_u, levels
from archdsl.drawing.volumes.paint import labels, tooltip, volume
from archdsl.drawing.volumes.routes import ROUND, Lane, Route, Router
from archdsl.drawing.volumes.series import arrange, crowded, flat, links
from archdsl.drawing.volumes.spots import CROWDED, GAP, LABEL, TALLEST, Arrangement, Plate, Spot, scale_of
from archdsl.drawing.volumes.stages import Staged
from archdsl.drawing.volumes.words import LEAST, MARGIN, Heading, add_foot, add_head, head_height, head_lines, signs

BETWEEN = 34.0
"""Space between two lines, for the route from one to the next."""
TURN = 30.0
"""Space beside the lines, for the route to the next line."""
ONE_LINE, LINE = 690.0, 560.0
"""A row of at most the first width stays one line; a wider one is broken into lines of about the second."""


class Fit(NamedTuple):
    """How a picture is fitted to paper."""

    room: float | None = None
    """The width at which its text is readable: lines are broken there. None: lines are about as wide as a page."""
    size: float = 1.0
    """The size of the volumes relative to the text."""
    windows: bool = True
    """Whether kernels are written below the volumes."""
    flat: bool = False
    """Whether all volumes are in written order, in lines, with arcs instead of branches and levels."""


NATURAL = Fit()
"""Without a size on paper."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """The appearance of a picture: its heading, its theme and its options."""

    heading: Heading
    theme: Theme
    shapes: bool = True
    """Whether channels and sizes are written below the volumes."""
    heat: HeatScale | None = None
    costs: Mapping[int, Cost] | None = None
    """The cost of each stage, if `heat` is set."""
    fit: Fit = NATURAL


def draw(staged: Staged, look: Appearance) -> Scene:
    """Return the scene of the stages."""
    stepped = is_u(staged) and not look.fit.flat
    series = flat(staged) if stepped or look.fit.flat else arrange(staged)
    direct = links(series)
    tallest, thickness = CROWDED if stepped or crowded(series) else TALLEST, 0.8 if stepped else 1.1
    scale = scale_of(staged.root.stages(), tallest, thickness, look.fit.size)
    longest = inf if look.fit.room is None else look.fit.room - 2 * MARGIN - TURN - GAP
    layout = Placer(staged, direct, scale, look.shapes, look.fit.windows, longest)
    blocks = layout.blocks(series.pieces)
    rows = _stacked(levels(staged, blocks)) if stepped else _place(_broken(blocks, look.fit.room))
    width = max(min(LEAST, look.fit.room or LEAST), max(row.end for row in rows) + MARGIN)
    head = head_lines(look.heading, width if look.fit.room else None, width)
    routes = _routed(rows, staged, direct, layout.touching, head_height(head))
    width = max(width, max((p.x for route in routes for path in route.paths for p in path), default=0.0) + MARGIN / 2)
    scene = Scene(
        look.heading.title or staged.name, "", width, rows[-1].start.y + rows[-1].block.down, look.theme.background
    )
    scene.body = LABEL
    scene.description, scene.signs = ", ".join(look.heading.facts), tuple(signs(staged))
    add_head(scene, head, look.theme)
    _paint(scene, rows, routes, look)
    add_foot(scene, staged, look.heat, look.theme)
    return scene


def crossed(scene: Scene) -> int:
    """Count the texts that arrows cross."""
    arrows = [m for m in scene.members if isinstance(m, Cluster) and m.ends]
    points = sorted(p for arrow in arrows for item in arrow.members if isinstance(item, Path) for p in item.along(1.5))
    boxes = (extent(item) for item in scene.items() if isinstance(item, Text))
    return sum(
        any(box.top < y < box.bottom for _, y in points[bisect(points, (box.left,)) : bisect(points, (box.right,))])
        for box in boxes
    )


def _routed(
    rows: list[_PictureRow], staged: Staged, direct: set[tuple[int, int]], touching: set[tuple[int, int]], top: float
) -> list[Route]:
    """The routes of all edges; the rows are moved down to make space for arcs above them."""
    spots = {spot.stage.number: spot for row in rows for spot in row.block.spots}
    for _ in range(2):
        router = Router(spots, [row.start for row in rows], [row.end for row in rows])
        router.routes(staged.edges, direct, touching)
        _make_room(rows, router.arcs, top)
    router = Router(spots, [row.start for row in rows], [row.end for row in rows])
    return router.routes(staged.edges, direct, touching)


def _broken(blocks: Sequence[Arrangement], width: float | None) -> list[list[Arrangement]]:
    """Blocks in lines of at most a width, or by default not much taller than wide."""
    total = _width(blocks)
    room = ONE_LINE if width is None else width - 2 * MARGIN
    if total <= room:
        return [list(blocks)]
    if width is not None:
        choices = [lines_of(blocks, (room - TURN) * share) for share in (1, 0.9, 0.8, 0.7, 0.6, 0.5)]
        return next((lines for lines in choices if max(map(_width, lines)) <= room - TURN), choices[-1])
    for limit in (LINE, LINE * 1.15, LINE * 1.3, LINE * 1.5, LINE * 1.7, LINE * 2):
        lines = lines_of(blocks, limit)
        height = sum(max(b.up for b in line) + max(b.down for b in line) + BETWEEN for line in lines)
        if height <= 1.25 * max(map(_width, lines)):
            break
    return lines


@dataclass(slots=True)
class _PictureRow:
    """A line of the picture: its block, the start of its axis, and its right end."""

    block: Arrangement
    start: Point
    end: float
    gap: float = BETWEEN
    """Space above it."""


def _width(line: Sequence[Arrangement]) -> float:
    return sum(block.width + GAP for block in line)


def _place(lines: Sequence[Sequence[Arrangement]]) -> list[_PictureRow]:
    rows: list[_PictureRow] = []
    left = MARGIN + (20 if len(lines) > 1 else 0)
    y = 0.0
    for number, line in enumerate(lines):
        row = Arrangement()
        x = left
        up = max(block.up for block in line)
        for block in line:
            row.take(block, x, y + up)
            x += block.width + GAP
        row.down = max(block.down for block in line)
        row.up = up
        rows.append(_row(number, row, Point(left - GAP, y + up), x - GAP + 10 * (len(lines) > 1)))
        y += up + row.down + BETWEEN
    return rows


def _stacked(levels: Sequence[Sequence[Arrangement]]) -> list[_PictureRow]:
    """Levels below one another."""
    rows: list[_PictureRow] = []
    y = 0.0
    for number, blocks in enumerate(levels):
        up, down = max(block.up for block in blocks), max(block.down for block in blocks)
        row = Arrangement()
        for block in blocks:
            row.take(block, MARGIN, y + up)
        row.up, row.down = up, down
        rows.append(_row(number, row, Point(MARGIN, y + up), row.width, 8.0))
        y += up + down + 8
    return rows


def _row(number: int, block: Arrangement, start: Point, end: float, gap: float = BETWEEN) -> _PictureRow:
    for spot in block.spots:
        spot.line = number
    return _PictureRow(block, start, end, gap)


def _make_room(rows: list[_PictureRow], arcs: Sequence[Lane], top: float) -> None:
    """Move each line below the one above it, with space for its arcs."""
    for number, row in enumerate(rows):
        high = [
            row.start.y - row.block.up,
            *(lane.y - 2 for lane in arcs if lane.line == number),
        ]
        room = row.gap if number else top
        before = rows[number - 1].start.y + rows[number - 1].block.down if number else 0.0
        moved = before + room - min(high)
        row.start = Point(row.start.x, row.start.y + moved)
        for spot in row.block.spots:
            spot.y += moved
        for caption in row.block.captions:
            caption.y += moved
        for plate in row.block.plates:
            plate.top, plate.bottom = plate.top + moved, plate.bottom + moved


def _paint(scene: Scene, rows: Sequence[_PictureRow], routes: Sequence[Route], look: Appearance) -> None:
    """Add plates, then volumes and straight routes from left to right, then arcs, then texts."""
    theme = look.theme
    for row in rows:
        for plate in row.block.plates:
            scene.members.append(_plate(plate, theme))
    queue: list[tuple[float, int, Cluster]] = []
    for row in rows:
        for spot in row.block.spots:
            queue.append((spot.x, 1, _stage(spot, look)))
    spots = {spot.stage.number: spot for row in rows for spot in row.block.spots}
    for route in routes:
        if not route.arc:
            queue.append((spots[route.target].x - 0.01, 0, _route(route, spots, theme)))
    scene.members += [mark for _, _, mark in sorted(queue, key=lambda entry: entry[:2])]
    scene.members += [_route(route, spots, theme) for route in routes if route.arc]
    for row in rows:
        words = {spot.stage.path: labels(spot, theme, look.shapes) for spot in row.block.spots}
        for caption in row.block.captions:
            nearest = min(row.block.spots, key=lambda spot: abs(spot.x + spot.width / 2 - caption.x))
            color, at = theme.ink if caption.bold else theme.quiet, Point(caption.x, caption.y)
            words[nearest.stage.path].append(Text(at, caption.text, caption.size, color, bold=caption.bold))
        labelled = {f"label-{path}": items for path, items in words.items() if items}
        scene.members += [Cluster("label", members=items, id=id) for id, items in labelled.items()]


def _plate(plate: Plate, theme: Theme) -> Cluster:
    group = plate.group
    corners = rectangle(plate.left, plate.top, plate.right - plate.left, plate.bottom - plate.top)
    items: list[Item] = [Polygon(corners, theme.stage, mix(theme.stage, theme.ink, 0.45), 0.4, round=4)]
    facts = {"path": group.path, "copies": str(group.copies)}
    return Cluster("group", group.name, f"{group.name}: {group.title}", items, facts, id=f"group-{group.path}")


def _stage(spot: Spot, look: Appearance) -> Cluster:
    stage = spot.stage
    facts = {"stage": str(stage.number), "copies": str(stage.copies), "shape": "x".join(map(str, stage.shape))}
    fill = ""
    if look.heat is not None and look.costs is not None:
        fill = look.heat.fill(look.costs[stage.number], look.theme)
    items = volume(spot, look.theme, fill)
    return Cluster("stage", stage.path, tooltip(stage), items, facts, id=f"stage-{stage.path}")


def _route(route: Route, spots: Mapping[int, Spot], theme: Theme) -> Cluster:
    items: list[Item] = []
    for n, (points, curved) in enumerate(zip(route.paths, route.curved, strict=True)):
        last = n == len(route.paths) - 1
        items.append(Path(points, theme.arrow, 0.7, head=last, curved=curved, round=0 if curved else ROUND))
    kind = "arc" if route.arc else "edge"
    source, target = (f"stage-{spots[n].stage.path}" for n in (route.source, route.target))
    facts = {"source": str(route.source), "target": str(route.target)}
    name, id = f"{route.source}-{route.target}", arrow_id(source, target)
    return Cluster(kind, name, "", items, facts, id=id, ends=(source, target))
