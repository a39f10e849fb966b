"""Place the volumes: rows from left to right, branches above one another, long rows broken into lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import inf

from archdsl.drawing.metrics import text_width
from archdsl.drawing.volumes.series import Parallel, Piece, Series
from archdsl.drawing.volumes.spots import (
    BAR_GAP,
    DEPTH_X,
    GAP,
    LABEL,
    LANE,
    PLATE,
    ROW_GAP,
    SMALL,
    Arrangement,
    Caption,
    Plate,
    Spot,
    VolumeScale,
    is_vector,
    label,
    size_of,
    spot_of,
    thick_with_channels,
)
from archdsl.drawing.volumes.stages import Stage, Staged
from archdsl.report.words import TIMES


class Placer:
    """Places the pieces of one network."""

    def __init__(
        self,
        staged: Staged,
        direct: set[tuple[int, int]],
        scale: VolumeScale,
        shapes: bool = True,
        windows: bool = True,
        longest: float = inf,
    ) -> None:
        self.scale, self.shapes, self.windows, self.longest = scale, shapes, windows, longest
        self.leaving = Counter(source for source, _ in staged.edges)
        self.entering = Counter(target for edge in staged.edges if edge in direct for target in edge[1:])
        self.touching: set[tuple[int, int]] = set()
        """The pairs of stages that touch: no arrow is drawn between them."""

    def piece(self, piece: Piece, level: int = 0, outer: bool = True) -> Arrangement:
        if isinstance(piece, Stage):
            return self.run([piece], level)
        if isinstance(piece, Parallel):
            return self.parallel(piece, level + 1)
        if piece.group is None:
            return self.row(piece.pieces, level)
        return self.plate(piece, level, outer)

    def plate(self, series: Series, level: int, outer: bool) -> Arrangement:
        """A group on its plate, with its name and xN below, and the size of its maps if it is an outer group."""
        assert series.group is not None
        inner = self.row(series.pieces, level)
        group = series.group
        times = f"{TIMES}{group.copies}" if group.copies > 1 else ""
        size = size_of(inner.spots[-1].stage) if outer and self.shapes else ""
        width = (
            max(inner.width, text_width(group.name, LABEL), text_width(size, SMALL) + 2 * text_width(times, 9))
            + 2 * PLATE
        )
        block = Arrangement()
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

    def blocks(self, pieces: Sequence[Piece]) -> list[Arrangement]:
        """Return the top-level blocks; each run of volumes has the size of its maps as a caption."""
        blocks = self._blocks(pieces, 0)
        for block in blocks:
            if not _several_inputs(block.spots):
                self._add_size(block)
        return blocks

    def row(self, pieces: Sequence[Piece], level: int, sized: bool = False) -> Arrangement:
        """Pieces from left to right; volumes of equal size touch. `sized`: each run has the size of its maps."""
        block = Arrangement()
        for blocks in self._blocks(pieces, level):
            if sized:
                self._add_size(blocks)
            block.take(blocks, block.width + (GAP if block.spots else 0), 0)
        return block

    def _add_size(self, block: Arrangement) -> None:
        size = "" if block.plates or not self.shapes else size_of(block.spots[0].stage)
        if size:
            _add_size(block, size)

    def _blocks(self, pieces: Sequence[Piece], level: int) -> list[Arrangement]:
        blocks: list[Arrangement] = []
        run: list[Stage] = []
        for piece in pieces:
            if isinstance(piece, Stage) and run and (self._touch(run, piece) or self._bars(run[-1], piece)):
                run.append(piece)
                continue
            blocks += self._runs(run, level)
            run = [piece] if isinstance(piece, Stage) else []
            if not isinstance(piece, Stage):
                blocks.append(self.piece(piece, level, outer=level == 0))
        return blocks + self._runs(run, level)

    def _runs(self, run: Sequence[Stage], level: int) -> list[Arrangement]:
        """A run as one block, or as several blocks if it is longer than a line."""
        if not run:
            return []
        block, half = self.run(run, level), len(run) // 2
        if level or not half or block.width <= self.longest:
            return [block]
        self.touching.discard((run[half - 1].number, run[half].number))
        return [*self._runs(run[:half], level), *self._runs(run[half:], level)]

    def _touch(self, run: Sequence[Stage], second: Stage) -> bool:
        """Whether a stage touches the last one of a run: its maps are no larger, and it is the only reader.

        Boxes whose thickness is not their channels never touch.
        """
        first = run[-1]
        if not thick_with_channels(second.shape):
            return False
        if first.sign or second.sign or first.look == "input" or is_vector(first.shape) or is_vector(second.shape):
            return False
        if (
            self.leaving[first.number] != 1
            or self.entering[second.number] != 1
            or (first.look == "pool" and len(run) > 1)
        ):
            return False
        if second.look == "pool":
            touch = all(after <= before for before, after in zip(first.shape[1:], second.shape[1:], strict=True))
        else:
            touch = first.shape[1:] == second.shape[1:]
        if not touch:
            return False
        self.touching.add((first.number, second.number))
        return True

    def _bars(self, first: Stage, second: Stage) -> bool:
        """Whether two vectors are neighbours: bars are closer together than boxes."""
        return (
            not (first.sign or second.sign)
            and is_vector(first.shape)
            and is_vector(second.shape)
            and self.entering[second.number] == 1
        )

    def run(self, stages: Sequence[Stage], level: int) -> Arrangement:
        """Volumes that touch, with their labels on one line below; a label wider than its volume adds a gap."""
        spots = [spot_of(stage, self.scale) for stage in stages]
        for spot in spots:
            spot.words = spot.stage.kernel if self.windows or spot.stage.look == "block" else ""
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
        block = Arrangement(spots=spots, up=base, down=base + lines)
        for spot in spots:
            spot.base, spot.kernel_y = base, (LABEL + 1.5 if named else 2.0) + SMALL
        for run in kernels:
            first, last, front = run[0], run[-1], max(spot.depth for spot in spots) * DEPTH_X / 2
            first.kernel_x = (last.x + last.width - first.x) / 2 - front
            first.kernel = first.words
        _widen(block)
        return block

    def parallel(self, parallel: Parallel, level: int) -> Arrangement:
        """Rows above one another; a main row is on the axis, the others above it."""
        rows = [self.row(row.pieces, level) for row in parallel.rows]
        if _several_inputs([spot for row in rows for spot in row.spots]):
            rows = [self.row(row.pieces, level, sized=True) for row in parallel.rows]
        width = max(row.width for row in rows)
        block = Arrangement()
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


def _several_inputs(spots: Sequence[Spot]) -> bool:
    """Whether branches begin with inputs, whose maps have sizes of their own: each run has its own caption."""
    return sum(spot.stage.look == "input" for spot in spots) > 1


def _add_size(block: Arrangement, size: str) -> None:
    """Add the size of the maps as a caption below the volumes that touch."""
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
    """Runs of neighbours with one kernel, which is written once below them, except for pools that touch others."""
    runs: list[list[Spot]] = []
    for spot in spots:
        kernel = spot.words if spot.stage.look != "pool" or spot is spots[0] else ""
        if not kernel:
            continue
        if runs and runs[-1][0].words == kernel and runs[-1][-1].stage.number == spot.stage.number - 1:
            runs[-1].append(spot)
        else:
            runs.append([spot])
    return runs


def _slots(spots: Sequence[Spot]) -> list[float]:
    """The width that each volume needs for the kernel text, which neighbours with the same kernel share."""
    need = {spot.stage.number: 0.0 for spot in spots}
    runs = _kernels(spots)
    if len(runs) > 1:
        for run in runs:
            for spot in run:
                need[spot.stage.number] = (text_width(run[0].words, SMALL) + 3) / len(run)
    return list(need.values())


def _widen(block: Arrangement) -> None:
    """Widen a block for labels and bars that extend beyond its volumes."""
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


def lines_of(blocks: Sequence[Arrangement], limit: float) -> list[list[Arrangement]]:
    """Break blocks into as few lines of about equal width as fit `limit`; a wider block has a line of its own."""
    ends = [0.0, *accumulate(block.width + GAP for block in blocks)]
    count = max(1, -(-int(ends[-1]) // int(limit)))
    best: dict[tuple[int, int], tuple[float, int]] = {(0, 0): (0.0, 0)}
    for end in range(1, len(blocks) + 1):
        for start in range(end - 1, -1, -1):
            width = ends[end] - ends[start]
            if width > 2 * limit and start < end - 1:
                break
            for line in range(1, count + 1):
                if (start, line - 1) in best:
                    cost = best[start, line - 1][0] + (width - ends[-1] / count) ** 2
                    if (end, line) not in best or cost < best[end, line][0]:
                        best[end, line] = cost, start
    line = max(line for end, line in best if end == len(blocks))
    breaks = [len(blocks)]
    while line:
        breaks.append(best[breaks[-1], line][1])
        line -= 1
    return [list(blocks[a:b]) for a, b in pairwise(reversed(breaks))]
