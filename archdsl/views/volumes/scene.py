"""The whole picture of a network as volumes: lines of rows, their ways, a title, and a legend that states the scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archdsl.graph import Graph
from archdsl.passes.count import count
from archdsl.passes.fold import Signatures
from archdsl.passes.structure import signatures
from archdsl.views.scene import Item, Mark, Path, Point, Polygon, Scene, Text, mix, rectangle, shorten, text_width
from archdsl.views.table import in_short
from archdsl.views.theme import LIGHT, Look, Theme
from archdsl.views.volumes.layout import CROWDED, GAP, LABEL, SMALL, TALLEST, Block, Layout, Plate, Spot, lines_of, scale_of
from archdsl.views.volumes.levels import is_u, levels
from archdsl.views.volumes.paint import box, labels, tooltip, volume
from archdsl.views.volumes.routes import ROUND, Router, Way
from archdsl.views.volumes.series import arrange, crowded, flat, links, tangled
from archdsl.views.volumes.stages import Stage, Staged, stage
from archdsl.views.words import TIMES

MARGIN = 16.0
LEAST = 330.0
"""The least width, which a legend needs."""
TITLE = 44.0
BETWEEN = 34.0
"""Room between two lines, through which the way leads from one to the next."""
ONE_LINE, LINE = 690.0, 560.0
"""A row up to this wide stays one line; a wider one is broken into lines of about the other width."""
MOST_STAGES, MOST_TANGLED = 140, 6
"""Blocks are opened as long as no more stages are drawn, and no more arcs that are not plain shortcuts."""
SCALE = (
    "Square-root scale: the height and depth of a box are those of its maps, its thickness the channels; the length of a "
    "bar, the units of a vector.",
)
WORDS: Mapping[Look, str] = {
    "input": "input",
    "conv": "convolution",
    "block": "block",
    "norm": "normalisation",
    "act": "activation",
    "pool": "pooling",
    "fc": "fully connected",
    "merge": "concatenation",
    "other": "other",
}
"""The words of the legend, in its order."""


def volumes(graph: Graph, theme: Theme = LIGHT, level: int | None = None) -> Scene:
    """A network as volumes, its blocks opened `level` deep (None: as deep as a page holds)."""
    same = signatures(graph, fields=False)
    return draw(graph, opened(graph, same) if level is None else stage(graph, same, level), theme)


def opened(graph: Graph, same: Signatures) -> Staged:
    """The stages of a network with its blocks opened as deep as a page holds, and no knot of arcs is seen."""
    found = stage(graph, same, 0)
    for level in range(1, 9):
        deeper = stage(graph, same, level)
        if deeper.stage_of == found.stage_of or sum(1 for _ in deeper.root.stages()) > MOST_STAGES:
            break
        if tangled(deeper) > max(tangled(found), MOST_TANGLED):
            break
        found = deeper
    return found


def draw(graph: Graph, staged: Staged, theme: Theme) -> Scene:
    """The scene of given stages."""
    stepped = is_u(staged)
    series = flat(staged) if stepped else arrange(staged)
    direct = links(series)
    scale = scale_of(staged.root.stages(), CROWDED if stepped or crowded(series) else TALLEST, 0.8 if stepped else 1.1)
    layout = Layout(staged, direct, scale)
    blocks = layout.blocks(series.pieces)
    rows = _stacked(levels(blocks)) if stepped else _place(_broken(blocks))
    spots = {spot.stage.number: spot for row in rows for spot in row.block.spots}
    router = Router(spots, [row.start for row in rows], [row.end for row in rows])
    edges, touching = staged.edges, layout.touching
    ways = router.routes(edges, direct, touching)
    if _make_room(rows, ways):
        router = Router(spots, [row.start for row in rows], [row.end for row in rows])
        ways = router.routes(edges, direct, touching)
    scene = Scene(graph.name, "", max(row.end for row in rows) + MARGIN, rows[-1].start.y + rows[-1].block.down, theme.background)
    _paint(scene, rows, ways, theme)
    _words(scene, graph, staged, theme)
    return scene


@dataclass(slots=True)
class _Row:
    """A line of the picture: its things, where its axis starts, and where it ends on the right."""

    block: Block
    start: Point
    end: float


def _broken(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks in lines, so that the picture is not much taller than wide."""
    total = sum(block.width + GAP for block in blocks)
    if total <= ONE_LINE:
        return [list(blocks)]
    for limit in (LINE, LINE * 1.15, LINE * 1.3, LINE * 1.5, LINE * 1.7, LINE * 2):
        lines = lines_of(blocks, limit)
        height = sum(max(b.up for b in line) + max(b.down for b in line) + BETWEEN for line in lines)
        if height <= 1.25 * max(sum(b.width + GAP for b in line) for line in lines):
            break
    return lines


def _place(lines: Sequence[Sequence[Block]]) -> list[_Row]:
    rows: list[_Row] = []
    left = MARGIN + (20 if len(lines) > 1 else 0)
    y = TITLE
    for number, line in enumerate(lines):
        row = Block()
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


def _stacked(levels: Sequence[Sequence[Block]]) -> list[_Row]:
    """Levels one below the other."""
    rows: list[_Row] = []
    y = TITLE
    for number, blocks in enumerate(levels):
        up, down = max(block.up for block in blocks), max(block.down for block in blocks)
        row = Block()
        for block in blocks:
            row.take(block, MARGIN, y + up)
        row.up, row.down = up, down
        rows.append(_row(number, row, Point(MARGIN, y + up), row.width))
        y += up + down + 8
    return rows


def _row(number: int, block: Block, start: Point, end: float) -> _Row:
    for thing in (*block.spots, *block.plates, *block.captions):
        thing.line = number
    return _Row(block, start, end)


def _make_room(rows: list[_Row], ways: Sequence[Way]) -> bool:
    """Moves lines down where arcs rise above them."""
    moved = 0.0
    for number, row in enumerate(rows):
        tops = [p.y for way in ways if way.arc and way.line == number for p in way.paths[-1]]
        moved += max(0.0, row.start.y - row.block.up - min(tops, default=row.start.y) + 2)
        row.start = Point(row.start.x, row.start.y + moved)
        for spot in row.block.spots:
            spot.y += moved
        for caption in row.block.captions:
            caption.y += moved
        for plate in row.block.plates:
            plate.top, plate.bottom = plate.top + moved, plate.bottom + moved
    return moved > 0


def _paint(scene: Scene, rows: Sequence[_Row], ways: Sequence[Way], theme: Theme) -> None:
    """Plates, then volumes and straight ways from left to right, then arcs, then words."""
    for row in rows:
        for plate in row.block.plates:
            scene.members.append(_plate(plate, theme))
    queue: list[tuple[float, int, Mark]] = []
    for row in rows:
        for spot in row.block.spots:
            queue.append((spot.x, 1, _stage(spot, theme)))
    spots = {spot.stage.number: spot for row in rows for spot in row.block.spots}
    for way in ways:
        if not way.arc:
            queue.append((spots[way.target].x - 0.01, 0, _way(way, theme)))
    scene.members += [mark for _, _, mark in sorted(queue, key=lambda entry: entry[:2])]
    scene.members += [_way(way, theme) for way in ways if way.arc]
    for row in rows:
        for spot in row.block.spots:
            scene.members += labels(spot, theme)
        for caption in row.block.captions:
            color = theme.ink if caption.bold else theme.quiet
            scene.members.append(Text(Point(caption.x, caption.y), caption.text, caption.size, color, bold=caption.bold))


def _plate(plate: Plate, theme: Theme) -> Mark:
    group = plate.group
    corners = rectangle(plate.left, plate.top, plate.right - plate.left, plate.bottom - plate.top)
    items: list[Item] = [Polygon(corners, theme.stage, mix(theme.stage, theme.ink, 0.14), 0.5, round=4)]
    facts = {"path": group.path, "copies": str(group.copies)}
    return Mark("group", group.name, f"{group.name}: {group.title}", items, facts)


def _stage(spot: Spot, theme: Theme) -> Mark:
    stage = spot.stage
    facts = {"stage": str(stage.number), "copies": str(stage.copies), "shape": "x".join(map(str, stage.shape))}
    return Mark("stage", stage.path, tooltip(stage), volume(spot, theme), facts)


def _way(way: Way, theme: Theme) -> Mark:
    items: list[Item] = []
    for n, (points, curved) in enumerate(zip(way.paths, way.curved, strict=True)):
        last = n == len(way.paths) - 1
        items.append(Path(points, theme.arrow, 0.7, head=last, curved=curved, round=0 if curved else ROUND))
    kind = "arc" if way.arc else "edge"
    return Mark(kind, f"{way.source}-{way.target}", "", items, {"source": str(way.source), "target": str(way.target)})


# --- title and legend ------------------------------------------------------------------------------------


def _words(scene: Scene, graph: Graph, staged: Staged, theme: Theme) -> None:
    """The title above, the legend and the scale below; the picture grows by them."""
    totals = count(graph)
    facts = [f"input {graph.input_spec.replace('x', f' {TIMES} ')}"] if len(graph.inputs) == 1 else []
    deep = f"{totals.depth} layer{'s' * (totals.depth != 1)} deep"
    facts += [f"{in_short(totals.params).rstrip()} params", f"{in_short(totals.macs)}MACs", deep]
    line = "  \u00b7  ".join(facts)
    name = shorten(graph.name, 60)
    scene.members.append(Text(Point(MARGIN, 22), name, 13, theme.ink, "start", bold=True))
    x = MARGIN + text_width(name, 13, bold=True) + 12
    wide = x + text_width(line, 8.5) > scene.width - MARGIN
    at = Point(MARGIN, 34) if wide else Point(x, 22)
    scene.members.append(Text(at, line, 8.5, theme.quiet, "start"))
    scene.width = max(scene.width, LEAST, at.x + text_width(line, 8.5) + MARGIN)
    scene.height += 16
    _legend(scene, staged, theme)
    notes = [*SCALE]
    if staged.aux:
        notes.append(f"Not drawn: {', '.join(staged.aux)} (training only).")
    for note in notes:
        for words in _wrapped(note, scene.width - 2 * MARGIN):
            scene.height += SMALL + 3
            scene.members.append(Text(Point(MARGIN, scene.height), words, SMALL, theme.quiet, "start"))
    scene.height += MARGIN - 4
    scene.description = f"{line}. {' '.join(SCALE)}"


def _wrapped(text: str, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, SMALL) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _legend(scene: Scene, staged: Staged, theme: Theme) -> None:
    stages = list(staged.root.stages())
    used = {s.look for s in stages if not s.sign} | {look for s in stages for look in s.bands}
    others = ", ".join(dict.fromkeys(s.title.partition(" ")[0] for s in stages if s.look == "other"))
    entries = [(look, shorten(others, 40) if look == "other" else words) for look, words in WORDS.items() if look in used]
    signs = dict.fromkeys(s.sign for s in stages if s.sign)
    x, y = MARGIN, scene.height + 8
    for look, words in entries:
        step = 16 + text_width(words, LABEL) + 14
        if x + step > scene.width and x > MARGIN:
            x, y = MARGIN, y + 14
        scene.members += box(x + 3, y - 2, 5, 8, 8, theme, look)
        scene.members.append(Text(Point(x + 15, y + 1), words, LABEL, theme.ink, "start"))
        x += step
    for sign in signs:
        words = "sum" if sign == "+" else "product"
        spot = Spot(Stage(0, "merge", "", "", (), sign=sign), 10, 10, 0, x, y - 2)
        scene.members += volume(spot, theme)
        scene.members.append(Text(Point(x + 14, y + 1), words, LABEL, theme.ink, "start"))
        x += 14 + text_width(words, LABEL) + 14
    scene.height = y + 6
