"""Lay out an encoder and decoder as a U: one level for each size of maps, the largest on top."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from archdsl.drawing.volumes.spots import GAP, Arrangement, is_vector
from archdsl.drawing.volumes.stages import Stage, Staged, StageGroup

STEP = 13.0
"""Horizontal space for a route between levels."""
NEAR = 0.75
"""Maps that lose a smaller share of their pixels lose a border only."""


def is_u(staged: Staged) -> bool:
    """Whether maps become smaller and larger again, with an edge from before the smallest map to after it.

    A stage must enlarge its input: large maps of a second input are no decoder.
    """
    areas = [_area(stage.shape) for stage in map(_last, staged.root.members) if not is_vector(stage.shape)]
    if not areas:
        return False
    low = areas.index(min(areas))
    if not any(area > areas[low] for area in areas[:low]) or not any(area > areas[low] for area in areas[low:]):
        return False
    area = {s.number: _area(s.shape) for s in staged.root.stages()}
    if not any(0 < area[source] < area[target] for source, target in staged.edges):
        return False
    return bool(_skips(staged, low))


def levels(staged: Staged, blocks: Sequence[Arrangement]) -> list[list[Arrangement]]:
    """Return the blocks of each level, largest maps first, at their horizontal positions."""
    level_of = _levels(staged)
    rows: list[list[Arrangement]] = [[] for _ in range(max(level_of.values()) + 1)]
    x = 0.0
    before = -1
    for block in blocks:
        level = level_of[block.spots[-1].stage.number]
        gap = 0.0 if before < 0 else GAP if level == before else STEP
        moved = Arrangement()
        moved.take(block, x + gap, 0)
        if before not in (-1, level):
            first = moved.spots[0]
            first.step = x + STEP / 2
        rows[level].append(moved)
        x = moved.width
        before = level
    return [row for row in rows if row]


def _levels(staged: Staged) -> dict[int, int]:
    """The level of each stage, by the size of its maps; that of a decoder is the one of the encoder that it reads.

    Without padding, the maps of an encoder and its decoder differ, and those of neighbours by a border.
    """
    members = staged.root.members
    areas = [_area(_last(member).shape) for member in members]
    as_large_as = {area: area for area in {*areas, *(_area(s.shape) for s in staged.root.stages())}}

    def largest(area: int) -> int:
        while as_large_as[area] != area:
            area = as_large_as[area]
        return area

    low = areas.index(min(area for area in areas if area))
    near = [(n, n + 1) for n, (a, b) in enumerate(pairwise(areas)) if a > b > a * NEAR]
    for first, second in (*_skips(staged, low), *near):
        small, large = sorted((largest(areas[first]), largest(areas[second])))
        as_large_as[small] = large if small else small
    order = sorted({largest(area) for area in as_large_as}, reverse=True)
    return {s.number: order.index(largest(_area(s.shape))) for s in staged.root.stages()}


def _skips(staged: Staged, low: int) -> list[tuple[int, int]]:
    """The edges from a member before the smallest maps to one after them."""
    place = {
        s.number: n for n, m in enumerate(staged.root.members) for s in ([m] if isinstance(m, Stage) else m.stages())
    }
    pairs = [(place[source], place[target]) for source, target in staged.edges]
    return [(source, target) for source, target in pairs if source < low < target]


def _last(member: Stage | StageGroup) -> Stage:
    return member if isinstance(member, Stage) else list(member.stages())[-1]


def _area(shape: Sequence[int]) -> int:
    return 0 if is_vector(shape) else prod(shape[1:])
