"""Place the names of a chart beside their balls, with little overlap.

Names with the most neighbours choose first: the cheapest position on rings around their ball. A name may displace
others, which then choose again; each displacement of the same name costs more. All lengths are in points.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from math import cos, hypot, inf, pi, sin
from typing import NamedTuple, TypeAlias

_RINGS = (2.0, 7.0, 13.0, 20.0, 28.0, 38.0, 50.0, 64.0, 80.0, 100.0, 125.0, 155.0)
"""Distances from a ball's edge to its name."""
_ANGLES = 24
_STEPS = 14
"""Average number of choices for each name before the search ends."""
_ROUNDS = 5
"""How often each name, the most expensive first, chooses again among the free positions at the end."""
_EVICTED = 60.0
"""Cost of displacing another name, multiplied by the number of its displacements."""
_CROSSING = 25.0
_MARGIN = 1.5
"""Space around a name."""
_NEAR = 40.0
_LEADER_FROM = 5.0
"""A name farther away from its ball has a leader line."""


class Ball(NamedTuple):
    """A disc and the size of its name."""

    x: float
    y: float
    radius: float
    width: float
    height: float


class NamePosition(NamedTuple):
    """The middle of a name; `leader` is the end of a line from the middle of the ball, if one is needed."""

    x: float
    y: float
    leader: tuple[float, float] | None


_Segment: TypeAlias = tuple[tuple[float, float], tuple[float, float]]


class _Rectangle(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float


def place_names(balls: Sequence[Ball], width: float, height: float) -> list[NamePosition | None]:
    """Return a position for each ball's name within `width` x `height`; None if the search found none."""
    crowd = [sum(hypot(a.x - b.x, a.y - b.y) < _NEAR + a.radius + b.radius for b in balls) for a in balls]
    waiting = deque(sorted(range(len(balls)), key=lambda n: (-crowd[n], balls[n].radius)))
    frame = _Rectangle(0.0, 0.0, width, height)
    names = _Names(balls, [_candidates(balls, n, frame) for n in range(len(balls))], {}, Counter())
    for _ in range(_STEPS * len(balls)):
        if not waiting:
            break
        n = waiting.popleft()
        best = names.cheapest(n)
        if best is None:
            continue
        for m in _in_the_way(best, names.near(n, best)):
            del names.placed[m]
            names.moved[m] += 1
            waiting.append(m)
        names.placed[n] = best
    for n in sorted(names.placed, key=lambda n: -names.placed[n].cost) * _ROUNDS:
        names.placed[n] = names.cheapest(n, polite=True) or names.placed[n]
    return [names.placed[n].position if n in names.placed else None for n in range(len(balls))]


class _Candidate(NamedTuple):
    """A possible position of a name, and its cost without regard to other names."""

    cost: float
    box: _Rectangle
    position: NamePosition
    line: _Segment | None
    reach: _Rectangle
    """The rectangle around the box and the leader line."""


class _Names(NamedTuple):
    """The candidates of each name, the cheapest first; the placed names; the number of displacements of each."""

    balls: Sequence[Ball]
    candidates: Sequence[Sequence[_Candidate]]
    placed: dict[int, _Candidate]
    moved: Counter[int]

    def near(self, n: int, candidate: _Candidate) -> list[tuple[int, _Candidate]]:
        """The other placed names, with their numbers, that can meet a candidate."""
        return [(m, other) for m, other in self.placed.items() if m != n and _overlap(candidate.reach, other.reach)]

    def cheapest(self, n: int, polite: bool = False) -> _Candidate | None:
        """The cheapest candidate of a name, including displacements; `polite` allows no displacement."""
        best, least = None, inf
        for candidate in self.candidates[n]:
            if candidate.cost >= least:
                break
            near = self.near(n, candidate)
            cost = candidate.cost + _CROSSING * _crossings(candidate, near)
            if cost < least:
                others = _in_the_way(candidate, near)
                cost += sum(_EVICTED * (1 + self.moved[m]) for m in others)
                if cost < least and not (polite and others):
                    best, least = candidate, cost
        return best


def _in_the_way(candidate: _Candidate, near: Sequence[tuple[int, _Candidate]]) -> list[int]:
    """The names that overlap a candidate, or whose leader line or box its box or leader line meets."""
    box, line = candidate.box, candidate.line
    return [
        m
        for m, other in near
        if _overlap(box, other.box)
        or (other.line is not None and _cuts(other.line, box))
        or (line is not None and _cuts(line, other.box))
    ]


def _crossings(candidate: _Candidate, near: Sequence[tuple[int, _Candidate]]) -> int:
    """The number of leader lines that the leader line of a candidate crosses."""
    line = candidate.line
    return sum(line is not None and other.line is not None and _cross(line, other.line) for _, other in near)


def _candidates(balls: Sequence[Ball], n: int, frame: _Rectangle) -> list[_Candidate]:
    ball = balls[n]
    reach = ball.radius + _RINGS[-1] + ball.width
    near = [
        b
        for m, b in enumerate(balls)
        if m != n and abs(b.x - ball.x) < reach + b.radius and abs(b.y - ball.y) < reach + b.radius
    ]
    out = []
    for position, distance in _positions(ball):
        box = _box(ball, position)
        if _within(box, frame):
            line = ((ball.x, ball.y), position.leader) if position.leader is not None else None
            cost = _cost(near, box, distance, position)
            out.append(_Candidate(cost, box, position, line, _around(box, line)))
    return sorted(out, key=lambda candidate: candidate.cost)


def _positions(ball: Ball) -> list[tuple[NamePosition, float]]:
    """Positions around a ball, each with its distance, and one in the ball if the name fits."""
    out = []
    if hypot(ball.width, ball.height) < 2 * ball.radius - 2:
        out.append((NamePosition(ball.x, ball.y, None), 0.0))
    for ring in _RINGS:
        for step in range(_ANGLES):
            across, up = cos(2 * pi * step / _ANGLES), sin(2 * pi * step / _ANGLES)
            edge = ball.radius + ring
            # The name touches the ring from outside.
            x = ball.x + across * edge + _sign(across) * ball.width / 2
            y = ball.y + up * edge + _sign(up) * ball.height / 2
            leader = None
            if ring > _LEADER_FROM:
                leader = (x - _sign(across) * ball.width / 2, y - _sign(up) * ball.height / 2)
            out.append((NamePosition(x, y, leader), ring))
    return out


def _sign(value: float) -> float:
    return max(-1.0, min(1.0, 3 * value))


def _box(ball: Ball, at: NamePosition) -> _Rectangle:
    across, up = ball.width / 2 + _MARGIN, ball.height / 2 + _MARGIN / 2
    return _Rectangle(at.x - across, at.y - up, at.x + across, at.y + up)


def _around(box: _Rectangle, line: _Segment | None) -> _Rectangle:
    xs, ys = zip(*(line or ()), (box.left, box.bottom), (box.right, box.top), strict=True)
    return _Rectangle(min(xs), min(ys), max(xs), max(ys))


def _within(box: _Rectangle, frame: _Rectangle) -> bool:
    return box.left >= frame.left and box.bottom >= frame.bottom and box.right <= frame.right and box.top <= frame.top


def _overlap(a: _Rectangle, b: _Rectangle) -> bool:
    return a.left < b.right and b.left < a.right and a.bottom < b.top and b.bottom < a.top


def _cuts(line: _Segment, box: _Rectangle) -> bool:
    """Whether a line crosses a rectangle: the test of Liang and Barsky."""
    (x0, y0), (x1, y1) = line
    if max(x0, x1) < box.left or min(x0, x1) > box.right or max(y0, y1) < box.bottom or min(y0, y1) > box.top:
        return False
    low, high = 0.0, 1.0
    for a, b, least, most in ((x0, x1, box.left, box.right), (y0, y1, box.bottom, box.top)):
        delta = b - a
        if delta != 0:
            first, last = sorted(((least - a) / delta, (most - a) / delta))
            low, high = max(low, first), min(high, last)
    return low <= high


def _cross(a: _Segment, b: _Segment) -> bool:
    def side(line: _Segment, point: tuple[float, float]) -> float:
        (x0, y0), (x1, y1) = line
        return (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0)

    return side(a, b[0]) * side(a, b[1]) < 0 and side(b, a[0]) * side(b, a[1]) < 0


def _cost(near: Sequence[Ball], box: _Rectangle, distance: float, at: NamePosition) -> float:
    """The distance, plus a cost for balls beneath the name: most for another ball's middle, which would be
    ambiguous."""
    cost = distance + (4.0 if at.leader else 0.0)
    for ball in near:
        across = max(box.left - ball.x, 0.0, ball.x - box.right)
        up = max(box.bottom - ball.y, 0.0, ball.y - box.top)
        gap = hypot(across, up)
        if gap < ball.radius:
            cost += 20.0 + 30.0 * (1 - gap / ball.radius)
        if gap < 4.0:
            cost += 40.0
    return cost
