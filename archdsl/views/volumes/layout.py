"""Where each volume stands: rows from left to right, branches one above the other, long rows broken into lines.

A volume is a box in space, seen from the right and above: x runs to the right, y down, and depth to the upper right by
`DEPTH_X`, `DEPTH_Y` of its length. Its place is the middle of its left face; the axis of a row is at y = 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt

from archdsl.views.metrics import text_width
from archdsl.views.scene import Point
from archdsl.views.volumes.series import Parallel, Piece, Series
from archdsl.views.volumes.stages import Group, Stage, Staged
from archdsl.views.words import TIMES

DEPTH_X, DEPTH_Y = 0.34, 0.29
TALLEST, CROWDED = 108.0, 84.0
"""Height of the tallest map, in points; where many branches stand one above the other, the second."""
LONGEST = 96.0
"""Length of the longest vector."""
THIN = 3.5
"""Thickness of what makes no channels: pools, norms, activations."""
BAR = 5.0
RADIUS = 5.0
GAP = 15.0
BAR_GAP = 9.0
ROW_GAP = 9.0
LANE = 9.0
"""Height that an arc takes above what it leads past."""
LABEL, SMALL = 7.5, 6.5
"""Sizes of the letters under a volume: channels, and kernel."""
PLATE = 5.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Points per square root of a pixel, of a channel, and of a vector's unit."""

    side: float
    channel: float
    unit: float


@dataclass(slots=True)
class Spot:
    """A stage's box: the middle of its left face, its thickness, height and depth in points."""

    stage: Stage
    width: float
    height: float
    depth: float
    x: float = 0.0
    y: float = 0.0
    level: int = 0
    """How many parallels it is in."""
    base: float = 0.0
    """Where its labels begin, below the axis."""
    kernel: str = ""
    """The kernel to be written below it, at `kernel_x` from its x."""
    kernel_x: float = 0.0
    kernel_y: float = 0.0
    """Its baseline, below `base`."""
    line: int = 0
    step: float = 0.0
    """Where the way from another level rises or falls to it; 0: it stands on the level of the one before."""

    @property
    def up(self) -> float:
        return self.height / 2 + self.depth * DEPTH_Y / 2

    @property
    def left(self) -> float:
        """The left end of its silhouette: the front face's."""
        return self.x - self.depth * DEPTH_X / 2

    @property
    def right(self) -> float:
        return self.x + self.width + self.depth * DEPTH_X / 2

    @property
    def out(self) -> Point:
        """The middle of its right face."""
        return Point(self.x + self.width, self.y)

    @property
    def into(self) -> Point:
        """Where an arrow that arrives along its axis meets its silhouette."""
        if self.depth and is_vector(self.stage.shape):
            return Point(self.x - self.height / 2 * DEPTH_X / DEPTH_Y, self.y)
        return Point(self.left, self.y)

    @property
    def top(self) -> Point:
        """The middle of its top face."""
        return Point(self.x + self.width / 2, self.y - self.height / 2)


@dataclass(slots=True)
class Plate:
    """The ground that a group stands on."""

    group: Group
    left: float
    top: float
    right: float
    bottom: float


@dataclass(slots=True)
class Caption:
    """Words below a group or a run: what it is called, how large its maps are, how often it comes."""

    text: str
    size: float
    bold: bool
    x: float
    y: float


@dataclass(slots=True)
class Block:
    """Things placed: from x = 0 to `width`, `up` above and `down` below the axis."""

    width: float = 0.0
    up: float = 0.0
    down: float = 0.0
    spots: list[Spot] = field(default_factory=list)
    plates: list[Plate] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)

    def take(self, other: Block, x: float, y: float) -> None:
        """Puts another block's things at x, y into this one."""
        for spot in other.spots:
            spot.x, spot.y = spot.x + x, spot.y + y
            spot.step += x if spot.step else 0
        for plate in other.plates:
            plate.left, plate.right = plate.left + x, plate.right + x
            plate.top, plate.bottom = plate.top + y, plate.bottom + y
        for caption in other.captions:
            caption.x, caption.y = caption.x + x, caption.y + y
        self.spots += other.spots
        self.captions += other.captions
        self.plates += other.plates
        self.width = max(self.width, x + other.width)
        self.up, self.down = max(self.up, other.up - y), max(self.down, other.down + y)


def is_vector(shape: Sequence[int]) -> bool:
    """Whether a stage is drawn as a bar: a vector, or maps of one pixel."""
    return len(shape) != 3 or shape[1] == shape[2] == 1


def scale_of(stages: Iterable[Stage], tallest: float = TALLEST, thickness: float = 1.1) -> Scale:
    """The scale at which the largest map, the most channels and the longest vector have their set sizes."""
    shapes = [stage.shape for stage in stages]
    side = max((max(shape[1:]) for shape in shapes if not is_vector(shape)), default=1)
    channels = max((shape[0] for shape in shapes if not is_vector(shape)), default=1)
    units = max((shape[0] for shape in shapes if is_vector(shape)), default=1)
    return Scale(tallest / sqrt(side), max(thickness, 26 / sqrt(channels)), LONGEST / sqrt(max(units, 64)))


def spot_of(stage: Stage, scale: Scale) -> Spot:
    """The box of a stage, from the shape that leaves it."""
    if stage.sign:
        return Spot(stage, 2 * RADIUS, 2 * RADIUS, 0.0)
    if is_vector(stage.shape):
        return Spot(stage, BAR, BAR, scale.unit * sqrt(stage.shape[0]))
    channels, height, width = stage.shape
    thick = scale.channel * sqrt(channels) if stage.look not in ("pool", "norm", "act", "other") else THIN
    return Spot(stage, thick, scale.side * sqrt(height), scale.side * sqrt(width))


class Layout:
    """Places the pieces of one network."""

    def __init__(self, staged: Staged, direct: set[tuple[int, int]], scale: Scale, shapes: bool = True) -> None:
        self.scale, self.shapes = scale, shapes
        self.leaving = Counter(source for source, _ in staged.edges)
        self.entering = Counter(target for edge in staged.edges if edge in direct for target in edge[1:])
        self.touching: set[tuple[int, int]] = set()
        """The pairs of stages that touch: no arrow is drawn between them."""

    def piece(self, piece: Piece, level: int = 0, outer: bool = True) -> Block:
        if isinstance(piece, Stage):
            return self.run([piece], level)
        if isinstance(piece, Parallel):
            return self.parallel(piece, level + 1)
        if piece.group is None:
            return self.row(piece.pieces, level)
        return self.plate(piece, level, outer)

    def plate(self, series: Series, level: int, outer: bool) -> Block:
        """A group on its plate, with room below for its name (its size, where it is an outer one) and its xN."""
        assert series.group is not None
        inner = self.row(series.pieces, level)
        group = series.group
        times = f"{TIMES}{group.copies}" if group.copies > 1 else ""
        size = size_of(inner.spots[-1].stage) if outer and self.shapes else ""
        width = max(inner.width, text_width(group.name, LABEL), text_width(size, SMALL) + 2 * text_width(times, 9)) + 2 * PLATE
        block = Block()
        block.take(inner, (width - inner.width) / 2, 0)
        y = inner.down + LABEL + 3
        block.captions.append(Caption(group.name, LABEL, False, width / 2, y))
        if size or times:
            y += SMALL + 3
            block.captions += [Caption(size, SMALL, False, width / 2, y)] if size else []
        if times:
            block.captions.append(Caption(times, 9.0, True, width - PLATE - text_width(times, 9) / 2, y))
        block.width, block.up, block.down = width, inner.up + PLATE, y + PLATE - 1
        block.plates.append(Plate(group, 0, -block.up, width, block.down))
        return block

    def blocks(self, pieces: Sequence[Piece]) -> list[Block]:
        """The blocks of the net itself, one after the other; below a run of volumes stands the size of its maps."""
        blocks = self._blocks(pieces, 0)
        for block in blocks:
            size = "" if block.plates or not self.shapes else size_of(block.spots[0].stage)
            if size:
                _add_size(block, size)
        return blocks

    def row(self, pieces: Sequence[Piece], level: int) -> Block:
        """Pieces from left to right; volumes of one size touch."""
        block = Block()
        for blocks in self._blocks(pieces, level):
            block.take(blocks, block.width + (GAP if block.spots else 0), 0)
        return block

    def _blocks(self, pieces: Sequence[Piece], level: int) -> list[Block]:
        blocks: list[Block] = []
        run: list[Stage] = []
        for piece in pieces:
            if isinstance(piece, Stage) and run and (self._touch(run, piece) or self._bars(run[-1], piece)):
                run.append(piece)
                continue
            blocks += [self.run(run, level)] if run else []
            run = [piece] if isinstance(piece, Stage) else []
            if not isinstance(piece, Stage):
                blocks.append(self.piece(piece, level, outer=level == 0))
        return blocks + ([self.run(run, level)] if run else [])

    def _touch(self, run: Sequence[Stage], second: Stage) -> bool:
        """Whether a stage stands at the last of a run without a gap: maps no larger, one way from one to the other."""
        first = run[-1]
        if first.sign or second.sign or first.look == "input" or is_vector(first.shape) or is_vector(second.shape):
            return False
        if self.leaving[first.number] != 1 or self.entering[second.number] != 1 or (first.look == "pool" and len(run) > 1):
            return False
        smaller = second.look == "pool" and second.shape[1:] <= first.shape[1:]
        if first.shape[1:] != second.shape[1:] and not smaller:
            return False
        self.touching.add((first.number, second.number))
        return True

    def _bars(self, first: Stage, second: Stage) -> bool:
        """Whether two vectors follow one another: bars stand closer than boxes."""
        return (
            not (first.sign or second.sign) and is_vector(first.shape) and is_vector(second.shape) and self.entering[second.number] == 1
        )

    def run(self, stages: Sequence[Stage], level: int) -> Block:
        """Volumes that touch, their labels on one line below them; where a label is wider than its volume, air."""
        spots = [spot_of(stage, self.scale) for stage in stages]
        bars = all(is_vector(stage.shape) and not stage.sign for stage in stages)
        kernels = _kernels(spots)
        x = spots[0].depth * DEPTH_X / 2
        labelled = -1e9
        for spot, kernel in zip(spots, _slots(spots), strict=True):
            words = text_width(label(spot.stage), LABEL)
            slot = max(spot.width + (2 * BAR_GAP if bars else 0), words + 2.5 if words else 0.0, kernel)
            spot.x = x + (slot - spot.width) / 2
            spot.level = level
            if bars:
                spot.x = max(spot.x, labelled + 3 + words / 2 - spot.width / 2 + spot.depth * DEPTH_X / 2)
                labelled = spot.x + spot.width / 2 - spot.depth * DEPTH_X / 2 + words / 2
            x = spot.x + (slot + spot.width) / 2
        base = max(spot.up for spot in spots)
        named = any(label(spot.stage) for spot in spots)
        lines = (LABEL + 1 if named else 1) + (SMALL + 1.5 if kernels else 0)
        block = Block(spots=spots, up=base, down=base + lines)
        for spot in spots:
            spot.base, spot.kernel_y = base, (LABEL + 1.5 if named else 2.0) + SMALL
        for run in kernels:
            first, last, front = run[0], run[-1], max(spot.depth for spot in spots) * DEPTH_X / 2
            first.kernel_x = (last.x + last.width - first.x) / 2 - front
            first.kernel = first.stage.kernel
        _widen(block)
        return block

    def parallel(self, parallel: Parallel, level: int) -> Block:
        """Rows one above the other; with a main row that one on the axis, the others above it."""
        rows = [self.row(row.pieces, level) for row in parallel.rows]
        width = max(row.width for row in rows)
        block = Block()
        main = max(range(len(rows)), key=lambda n: (len(parallel.rows[n].pieces), rows[n].width))
        if parallel.main:
            block.take(rows[main], (width - rows[main].width) / 2, 0)
            for n, row in enumerate(rows):
                if n != main:
                    block.take(row, (width - row.width) / 2, -(block.up + row.down + ROW_GAP))
        else:
            total = sum(row.up + row.down for row in rows) + ROW_GAP * (len(rows) - 1)
            y = -total / 2
            for row in rows:
                block.take(row, (width - row.width) / 2, y + row.up)
                y += row.up + row.down + ROW_GAP
        block.width = width
        block.up += LANE if parallel.bypass else 0
        return block


def size_of(stage: Stage) -> str:
    """Height and width of a stage's maps; nothing for vectors."""
    return "" if is_vector(stage.shape) else f"{stage.shape[1]}{TIMES}{stage.shape[2]}"


def label(stage: Stage) -> str:
    """The number under a volume: channels or units, where it makes new ones."""
    if stage.sign or not stage.shape or (stage.look in ("pool", "norm", "act", "other") and not is_vector(stage.shape)):
        return ""
    return str(stage.shape[0])


def _add_size(block: Block, size: str) -> None:
    """Writes the size of the maps below the volumes that touch, in their middle."""
    first = block.spots[0]
    last = [spot for spot in block.spots if spot.stage.look != "pool" or spot is first][-1]
    middle = (first.left + last.x + last.width - first.depth * DEPTH_X / 2) / 2
    half = text_width(size, SMALL) / 2
    shift = max(0.0, half - middle)
    for spot in block.spots:
        spot.x += shift
    block.width = max(block.width + shift, middle + shift + half)
    block.down += SMALL + 3
    block.captions.append(Caption(size, SMALL, False, middle + shift, block.down - 1))


def _kernels(spots: Sequence[Spot]) -> list[list[Spot]]:
    """Neighbours that share a kernel, which is written once below them. A pool's is left out where it touches others."""
    runs: list[list[Spot]] = []
    for spot in spots:
        kernel = spot.stage.kernel if spot.stage.look != "pool" or spot is spots[0] else ""
        if not kernel:
            continue
        if runs and runs[-1][0].stage.kernel == kernel and runs[-1][-1].stage.number == spot.stage.number - 1:
            runs[-1].append(spot)
        else:
            runs.append([spot])
    return runs


def _slots(spots: Sequence[Spot]) -> list[float]:
    """The width that each volume needs for the kernel below it, shared by those that share the kernel."""
    need = {spot.stage.number: 0.0 for spot in spots}
    runs = _kernels(spots)
    if len(runs) > 1:
        for run in runs:
            for spot in run:
                need[spot.stage.number] = (text_width(run[0].stage.kernel, SMALL) + 3) / len(run)
    return list(need.values())


def _widen(block: Block) -> None:
    """Room for what reaches beyond the volumes on either side: labels, the ends of bars."""
    spans = [(spot.left, spot.right) for spot in block.spots]
    for spot in block.spots:
        front = spot.depth * DEPTH_X / 2
        for words, size, x in ((spot.kernel, SMALL, spot.kernel_x), (label(spot.stage), LABEL, spot.width / 2 - front)):
            half = text_width(words, size) / 2 if words else 0.0
            spans.append((spot.x + x - half, spot.x + x + half))
    shift = -min(left for left, _ in spans)
    for spot in block.spots:
        spot.x += shift
    block.width = shift + max(right for _, right in spans)


def lines_of(blocks: Sequence[Block], limit: float) -> list[list[Block]]:
    """Blocks broken into lines of about equal width, as few as fit `limit`; a block wider than that has its own."""
    total = sum(block.width + GAP for block in blocks)
    count = max(1, -(-int(total) // int(limit)))
    best: dict[tuple[int, int], tuple[float, tuple[int, ...]]] = {(0, 0): (0.0, ())}
    for end in range(1, len(blocks) + 1):
        for line in range(1, count + 1):
            for start in range(end):
                if (start, line - 1) not in best:
                    continue
                cost, breaks = best[start, line - 1]
                width = sum(block.width + GAP for block in blocks[start:end])
                cost += (width - total / count) ** 2
                if (end, line) not in best or cost < best[end, line][0]:
                    best[end, line] = cost, (*breaks, end)
    lines = max(line for end, line in best if end == len(blocks))
    breaks = (0, *best[len(blocks), lines][1])
    return [list(blocks[a:b]) for a, b in pairwise(breaks)]
