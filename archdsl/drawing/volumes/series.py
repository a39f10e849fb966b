"""Find the series and parallel parts of a network from its edges.

A stage that every path passes through is a cut. The stages between two cuts are a knot. The connected components of a
knot are parallel branches, each a row that is divided in the same way; an edge from cut to cut is a bypass. A knot with
one component and no bypass keeps its written order, and its other edges are drawn as arcs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from archdsl.drawing.volumes.stages import Stage, Staged, StageGroup

ENTRY = -1


@dataclass(slots=True)
class Series:
    """Pieces in a row."""

    pieces: list[Piece] = field(default_factory=list)
    group: StageGroup | None = None
    """The expanded block that contains them; None for the net and for branches."""


@dataclass(slots=True)
class Parallel:
    """Branches between two cuts, in written order; `bypass`: an edge skips all of them."""

    rows: list[Series]
    bypass: bool
    main: bool
    """Whether the longest row is on the axis and the others above it: a residual block's body and shortcut."""


Piece: TypeAlias = Stage | Series | Parallel
_Edges: TypeAlias = frozenset[tuple[int, int]]


def arrange(staged: Staged) -> Series:
    """Arrange the stages of a network in series and in parallel."""
    return _group(staged.root, staged.edges)


def flat(staged: Staged) -> Series:
    """Arrange the members of the net in one row, whatever edges skip them: for levels."""
    return Series([m if isinstance(m, Stage) else _group(m, staged.edges) for m in staged.root.members])


def _group(group: StageGroup, edges: Iterable[tuple[int, int]]) -> Series:
    """A group with its inner groups. The recursion is as deep as blocks are nested, which the language limits."""
    members = group.members
    place = {s.number: n for n, m in enumerate(members) for s in ([m] if isinstance(m, Stage) else m.stages())}
    entries = [s for s, t in edges if s not in place and place.get(t) == 0]
    lifted = set()
    for source, target in edges:
        if target in place and (source in place or source in entries[:1]):
            lifted.add((place.get(source, ENTRY), place[target]))
    if not entries:  # several inputs are the starts of parallel branches
        lifted |= {(ENTRY, n) for n in range(len(members)) if all(target != n for _, target in lifted)}
    pieces: list[Stage | Series] = [m if isinstance(m, Stage) else _group(m, edges) for m in members]
    return Series(
        _series(list(range(len(members))), frozenset(e for e in lifted if e[0] != e[1]), pieces),
        group if group.name else None,
    )


def _series(order: Sequence[int], edges: _Edges, pieces: Sequence[Stage | Series]) -> list[Piece]:
    """The members `order` in a row; edges from ENTRY enter it, edges to higher numbers leave it."""
    out: list[Piece] = []
    knot: list[int] = []
    before = ENTRY
    leaps = Counter(source + 1 for source, _ in edges)
    leaps.subtract(target for _, target in edges)
    over = sum(leaps[number] for number in leaps if number < order[0])
    """Number of edges that skip the current member."""
    passed = order[0]
    for number in order:
        while passed <= number:
            over += leaps[passed]
            passed += 1
        if over:
            knot.append(number)
            continue
        out += _knot(knot, before, number, edges, pieces) if knot else []
        knot = []
        out.append(pieces[number])
        before = number
    end = max(order) + 1
    out += _knot(knot, before, end, edges, pieces) if knot else []
    return out


def _knot(knot: list[int], before: int, after: int, edges: _Edges, pieces: Sequence[Stage | Series]) -> list[Piece]:
    parts = _connected(knot, edges)
    bypass = (before, after) in edges
    if len(parts) == 1 and not bypass:
        return [pieces[n] for n in knot]
    rows = []
    for part in parts:
        mine = set(part)
        inner = {
            (s if s in mine else ENTRY, t if t in mine else part[-1] + 1) for s, t in edges if s in mine or t in mine
        }
        rows.append(Series(_series(part, frozenset(e for e in inner if e[0] in mine or e[1] in mine), pieces)))
    merge = pieces[after] if after < len(pieces) else None
    summed = isinstance(merge, Stage) and bool(merge.sign)
    return [Parallel(rows, bypass, bypass or (summed and len(rows) == 2))]


def _connected(knot: Sequence[int], edges: _Edges) -> list[list[int]]:
    """The connected components of a knot, each in order."""
    root = {n: n for n in knot}

    def find(n: int) -> int:
        while root[n] != n:
            n = root[n]
        return n

    for source, target in edges:
        if source in root and target in root:
            first, second = sorted((find(source), find(target)))
            root[second] = first
    parts: dict[int, list[int]] = {}
    for n in knot:
        parts.setdefault(find(n), []).append(n)
    return list(parts.values())


def links(series: Series) -> set[tuple[int, int]]:
    """Return the pairs of neighbouring stages, in a row or where rows split and join; other edges are arcs."""
    pairs: set[tuple[int, int]] = set()
    pending = [series]
    while pending:
        row = pending.pop()
        for before, after in pairwise(row.pieces):
            pairs |= {(source, target) for source in tails(before) for target in heads(after)}
        for piece in row.pieces:
            pending += [piece] if isinstance(piece, Series) else piece.rows if isinstance(piece, Parallel) else []
    return pairs


def heads(piece: Piece) -> list[int]:
    """Return the numbers of the stages that a piece begins with."""
    if isinstance(piece, Stage):
        return [piece.number]
    if isinstance(piece, Series):
        return heads(piece.pieces[0])
    return [number for row in piece.rows for number in heads(row)]


def tails(piece: Piece) -> list[int]:
    """Return the numbers of the stages that a piece ends with."""
    if isinstance(piece, Stage):
        return [piece.number]
    if isinstance(piece, Series):
        return tails(piece.pieces[-1])
    return [number for row in piece.rows for number in tails(row)]


def crowded(series: Series) -> bool:
    """Whether there are more than two parallel branches anywhere."""
    pending = [series]
    while pending:
        for piece in pending.pop().pieces:
            if isinstance(piece, Parallel) and len(piece.rows) > 2:
                return True
            pending += [piece] if isinstance(piece, Series) else piece.rows if isinstance(piece, Parallel) else []
    return False


def tangled(staged: Staged) -> int:
    """Count the arcs that are not the bypass of parallel branches."""
    series = arrange(staged)
    plain = 0
    pending = [series]
    while pending:
        for piece in pending.pop().pieces:
            plain += isinstance(piece, Parallel) and piece.bypass
            pending += [piece] if isinstance(piece, Series) else piece.rows if isinstance(piece, Parallel) else []
    return len(set(staged.edges) - links(series)) - plain
