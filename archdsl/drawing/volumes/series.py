"""From edges to what stands in a row and what side by side.

A stage that every path passes is a cut. Between two cuts stands a knot: its connected parts are parallel branches, each
a row of its own, taken apart in the same way; an edge from cut to cut is a bypass around them. A knot that is neither
is kept in written order, and arcs lead past what they skip.
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
    pieces: list[Piece] = field(default_factory=list)
    group: StageGroup | None = None
    """The opened block that it is; None for the net and for branches."""


@dataclass(slots=True)
class Parallel:
    """Branches between two cuts, in written order; `bypass`: an edge leads past all of them."""

    rows: list[Series]
    bypass: bool
    main: bool
    """The longest row goes straight on, the others stand above it: a residual's body and its shortcut."""


Piece: TypeAlias = Stage | Series | Parallel
_Edges: TypeAlias = frozenset[tuple[int, int]]


def arrange(staged: Staged) -> Series:
    """The stages of a network, in series and in parallel."""
    return _group(staged.root, staged.edges)


def flat(staged: Staged) -> Series:
    """The same, but the members of the net one after the other whatever leads past them: for levels."""
    return Series([m if isinstance(m, Stage) else _group(m, staged.edges) for m in staged.root.members])


def _group(group: StageGroup, edges: Iterable[tuple[int, int]]) -> Series:
    """A group, with the groups inside of it; they are as deep as blocks are nested, which the language bounds."""
    members = group.members
    place = {s.number: n for n, m in enumerate(members) for s in ([m] if isinstance(m, Stage) else m.stages())}
    entries = [s for s, t in edges if s not in place and place.get(t) == 0]
    lifted = set()
    for source, target in edges:
        if target in place and (source in place or source in entries[:1]):
            lifted.add((place.get(source, ENTRY), place[target]))
    pieces: list[Stage | Series] = [m if isinstance(m, Stage) else _group(m, edges) for m in members]
    return Series(
        _series(list(range(len(members))), frozenset(e for e in lifted if e[0] != e[1]), pieces),
        group if group.name else None,
    )


def _series(order: Sequence[int], edges: _Edges, pieces: Sequence[Stage | Series]) -> list[Piece]:
    """The members `order` in a row; edges from ENTRY, and to numbers behind them, lead in and out."""
    out: list[Piece] = []
    knot: list[int] = []
    before = ENTRY
    leaps = Counter(source + 1 for source, _ in edges)
    leaps.subtract(target for _, target in edges)
    over = sum(leaps[number] for number in leaps if number < order[0])
    """How many edges lead past the member at hand."""
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
    """The connected parts of a knot, each in order."""
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
    """The pairs of stages that stand next to each other, in a row or where rows part and meet; other edges are arcs."""
    found: set[tuple[int, int]] = set()
    pending = [series]
    while pending:
        row = pending.pop()
        for before, after in pairwise(row.pieces):
            found |= {(source, target) for source in tails(before) for target in heads(after)}
        for piece in row.pieces:
            pending += [piece] if isinstance(piece, Series) else piece.rows if isinstance(piece, Parallel) else []
    return found


def heads(piece: Piece) -> list[int]:
    """The stages that a piece begins with, by number."""
    if isinstance(piece, Stage):
        return [piece.number]
    if isinstance(piece, Series):
        return heads(piece.pieces[0])
    return [number for row in piece.rows for number in heads(row)]


def tails(piece: Piece) -> list[int]:
    """The stages that a piece ends with, by number."""
    if isinstance(piece, Stage):
        return [piece.number]
    if isinstance(piece, Series):
        return tails(piece.pieces[-1])
    return [number for row in piece.rows for number in tails(row)]


def crowded(series: Series) -> bool:
    """Whether anywhere more than two branches stand one above the other."""
    pending = [series]
    while pending:
        for piece in pending.pop().pieces:
            if isinstance(piece, Parallel) and len(piece.rows) > 2:
                return True
            pending += [piece] if isinstance(piece, Series) else piece.rows if isinstance(piece, Parallel) else []
    return False


def tangled(staged: Staged) -> int:
    """How many arcs there are that are not the one bypass of parallel branches."""
    series = arrange(staged)
    plain = 0
    pending = [series]
    while pending:
        for piece in pending.pop().pieces:
            plain += isinstance(piece, Parallel) and piece.bypass
            pending += [piece] if isinstance(piece, Series) else piece.rows if isinstance(piece, Parallel) else []
    return len(set(staged.edges) - links(series)) - plain
