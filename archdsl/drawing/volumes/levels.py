"""Lay out an encoder and decoder as a U: one level for each size of maps, the largest on top."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from archdsl.drawing.volumes.spots import GAP, Arrangement, is_vector
from archdsl.drawing.volumes.stages import Stage, Staged, StageGroup

STEP = 13.0
"""Horizontal space for a route between levels."""


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
    place = {
        s.number: n for n, m in enumerate(staged.root.members) for s in ([m] if isinstance(m, Stage) else m.stages())
    }
    return any(
        place[source] < low < place[target] and place[target] - place[source] > 1 for source, target in staged.edges
    )


def levels(blocks: Sequence[Arrangement]) -> list[list[Arrangement]]:
    """Return the blocks of each level, largest maps first, at their horizontal positions."""
    sizes = sorted({_area(block.spots[-1].stage.shape) for block in blocks}, reverse=True)
    rows: list[list[Arrangement]] = [[] for _ in sizes]
    x = 0.0
    before = -1
    for block in blocks:
        level = sizes.index(_area(block.spots[-1].stage.shape))
        gap = 0.0 if before < 0 else GAP if level == before else STEP
        moved = Arrangement()
        moved.take(block, x + gap, 0)
        if before not in (-1, level):
            first = moved.spots[0]
            first.step = x + STEP / 2
        rows[level].append(moved)
        x = moved.width
        before = level
    return rows


def _last(member: Stage | StageGroup) -> Stage:
    return member if isinstance(member, Stage) else list(member.stages())[-1]


def _area(shape: Sequence[int]) -> int:
    return 0 if is_vector(shape) else prod(shape[1:])
