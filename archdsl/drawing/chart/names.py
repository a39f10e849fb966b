"""Where the names in a chart go: beside what they name, and over nothing else.

Those with the most neighbours choose first, the cheapest among places on rings around their ball. A name may send
others away, which then choose anew; it costs the more the oftener they were sent. All lengths are in points.
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
"""Choices for each name, on average, before the search ends."""
_ROUNDS = 5
"""How often each name, the worst placed first, chooses again among what is free once all have a place."""
_EVICTED = 60.0
"""What it costs to send another name away; more each time it is sent."""
_CROSSING = 25.0
_MARGIN = 1.5
"""Room around a name."""
_NEAR = 40.0
_LEADER_FROM = 5.0
"""A name farther away from its ball has a line to it."""


class Ball(NamedTuple):
    """A disc, and the size of the name that belongs to it."""

    x: float
    y: float
    radius: float
    width: float
    height: float


class Place(NamedTuple):
    """The middle of a name; `leader` is a line from the ball's middle to the name's edge, where one is needed."""

    x: float
    y: float
    leader: tuple[float, float] | None


_Segment: TypeAlias = tuple[tuple[float, float], tuple[float, float]]


class _Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float


def place(balls: Sequence[Ball], width: float, height: float) -> list[Place | None]:
    """A place for each ball's name inside of `width` x `height`; None where the search ends before there is one."""
    crowd = [sum(hypot(a.x - b.x, a.y - b.y) < _NEAR + a.radius + b.radius for b in balls) for a in balls]
    waiting = deque(sorted(range(len(balls)), key=lambda n: (-crowd[n], balls[n].radius)))
    frame = _Box(0.0, 0.0, width, height)
    names = _Names(balls, [_options(balls, n, frame) for n in range(len(balls))], {}, Counter())
    for _ in range(_STEPS * len(balls)):
        if not waiting:
            break
        n = waiting.popleft()
        best = names.cheapest(n)
        if best is None:
            continue
        for m in names.in_the_way(n, best):
            del names.placed[m]
            names.moved[m] += 1
            waiting.append(m)
        names.placed[n] = best
    for n in sorted(names.placed, key=lambda n: -names.placed[n].cost) * _ROUNDS:
        names.placed[n] = names.cheapest(n, polite=True) or names.placed[n]
    return [names.placed[n].place if n in names.placed else None for n in range(len(balls))]


class _Option(NamedTuple):
    """A place that a name may take, and what it costs whatever else is there."""

    cost: float
    box: _Box
    place: Place
    line: _Segment | None


class _Names(NamedTuple):
    """Each name's options, the cheapest first; those that have a place; how often each had to give one up."""

    balls: Sequence[Ball]
    options: Sequence[Sequence[_Option]]
    placed: dict[int, _Option]
    moved: Counter[int]

    def cheapest(self, n: int, polite: bool = False) -> _Option | None:
        """The best place for a name: cheap itself, and in the way of few; `polite`: of none."""
        best, least = None, inf
        for option in self.options[n]:
            if option.cost >= least:
                break
            cost = option.cost + _CROSSING * self.crossings(n, option)
            if cost < least:
                others = self.in_the_way(n, option)
                cost += sum(_EVICTED * (1 + self.moved[m]) for m in others)
                if cost < least and not (polite and others):
                    best, least = option, cost
        return best

    def in_the_way(self, n: int, option: _Option) -> list[int]:
        """The names that would lie under this one, or whose line would meet it, or that its line would meet."""
        _, box, _, line = option
        return [
            m
            for m, other in self.placed.items()
            if m != n
            and (
                _overlap(box, other.box)
                or (other.line is not None and _cuts(other.line, box))
                or (line is not None and _cuts(line, other.box))
            )
        ]

    def crossings(self, n: int, option: _Option) -> int:
        """How many lines to names the line to this one would cross."""
        if option.line is None:
            return 0
        lines = (other.line for m, other in self.placed.items() if m != n)
        return sum(line is not None and _cross(option.line, line) for line in lines)


def _options(balls: Sequence[Ball], n: int, frame: _Box) -> list[_Option]:
    ball = balls[n]
    reach = ball.radius + _RINGS[-1] + ball.width
    near = [
        b
        for m, b in enumerate(balls)
        if m != n and abs(b.x - ball.x) < reach + b.radius and abs(b.y - ball.y) < reach + b.radius
    ]
    out = []
    for place, distance in _choices(ball):
        box = _box(ball, place)
        if _within(box, frame):
            line = ((ball.x, ball.y), place.leader) if place.leader is not None else None
            out.append(_Option(_cost(near, box, distance, place), box, place, line))
    return sorted(out, key=lambda option: option.cost)


def _choices(ball: Ball) -> list[tuple[Place, float]]:
    """Places around a ball, each with its distance; in the ball itself, where the name fits."""
    out = []
    if hypot(ball.width, ball.height) < 2 * ball.radius - 2:
        out.append((Place(ball.x, ball.y, None), 0.0))
    for ring in _RINGS:
        for step in range(_ANGLES):
            across, up = cos(2 * pi * step / _ANGLES), sin(2 * pi * step / _ANGLES)
            edge = ball.radius + ring
            # The name's box touches the ring from outside, at the side that faces the ball.
            x = ball.x + across * edge + _sign(across) * ball.width / 2
            y = ball.y + up * edge + _sign(up) * ball.height / 2
            leader = None
            if ring > _LEADER_FROM:
                leader = (x - _sign(across) * ball.width / 2, y - _sign(up) * ball.height / 2)
            out.append((Place(x, y, leader), ring))
    return out


def _sign(value: float) -> float:
    return max(-1.0, min(1.0, 3 * value))


def _box(ball: Ball, at: Place) -> _Box:
    across, up = ball.width / 2 + _MARGIN, ball.height / 2 + _MARGIN / 2
    return _Box(at.x - across, at.y - up, at.x + across, at.y + up)


def _within(box: _Box, frame: _Box) -> bool:
    return box.left >= frame.left and box.bottom >= frame.bottom and box.right <= frame.right and box.top <= frame.top


def _overlap(a: _Box, b: _Box) -> bool:
    return a.left < b.right and b.left < a.right and a.bottom < b.top and b.bottom < a.top


def _cuts(line: _Segment, box: _Box) -> bool:
    """Whether a line runs through a box: the test of Liang and Barsky."""
    (x0, y0), (x1, y1) = line
    if max(x0, x1) < box.left or min(x0, x1) > box.right or max(y0, y1) < box.bottom or min(y0, y1) > box.top:
        return False
    low, high = 0.0, 1.0
    for a, b, least, most in ((x0, x1, box.left, box.right), (y0, y1, box.bottom, box.top)):
        way = b - a
        if way != 0:
            first, last = sorted(((least - a) / way, (most - a) / way))
            low, high = max(low, first), min(high, last)
    return low <= high


def _cross(a: _Segment, b: _Segment) -> bool:
    def side(line: _Segment, point: tuple[float, float]) -> float:
        (x0, y0), (x1, y1) = line
        return (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0)

    return side(a, b[0]) * side(a, b[1]) < 0 and side(b, a[0]) * side(b, a[1]) < 0


def _cost(near: Sequence[Ball], box: _Box, distance: float, at: Place) -> float:
    """Distance, and what lies beneath the name: another ball's middle costs most, as then it is not seen whose it
    is."""
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
