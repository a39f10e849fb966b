"""Where the names in a chart go: beside what they name, and over nothing else.

Those with the most neighbours choose first, the cheapest free one among places on rings around their ball; then all
choose again. All lengths are in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, inf, pi, sin
from typing import NamedTuple, TypeAlias

_RINGS = (2.0, 7.0, 13.0, 20.0, 28.0, 38.0, 50.0, 64.0, 80.0, 100.0)
"""Distances from a ball's edge to its name."""
_ANGLES = 24
_ROUNDS = 3
"""Each name chooses again when it knows where the others went."""
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
    """A place for each ball's name inside of `width` x `height`; None where nothing near it is free."""
    crowd = [sum(hypot(a.x - b.x, a.y - b.y) < _NEAR + a.radius + b.radius for b in balls) for a in balls]
    order = sorted(range(len(balls)), key=lambda n: (-crowd[n], balls[n].radius))
    frame = _Box(0.0, 0.0, width, height)
    placed: dict[int, Place] = {}
    for n in order * _ROUNDS:
        placed.pop(n, None)
        others = [(balls[m], at) for m, at in placed.items()]
        best = _cheapest(balls, n, _Taken(frame, [_box(ball, at) for ball, at in others],
                                          [(ball, at) for ball, at in others if at.leader is not None]))  # fmt: skip
        if best is not None:
            placed[n] = best
    return [placed.get(n) for n in range(len(balls))]


class _Taken(NamedTuple):
    """The plot's frame, the names placed in it, and the lines to them."""

    frame: _Box
    boxes: list[_Box]
    leaders: list[tuple[Ball, Place]]

    def leaves_free(self, ball: Ball, at: Place) -> bool:
        box = _box(ball, at)
        if not _within(box, self.frame) or any(_overlap(box, other) for other in self.boxes):
            return False
        if any(_cuts(other, there, box) for other, there in self.leaders):
            return False
        return at.leader is None or not any(_cuts(ball, at, other) for other in self.boxes)

    def crossings(self, ball: Ball, at: Place) -> int:
        """How many leaders the leader of this name would cross."""
        if at.leader is None:
            return 0
        own = ((ball.x, ball.y), at.leader)
        return sum(_cross(own, ((b.x, b.y), there.leader)) for b, there in self.leaders if there.leader is not None)


def _cheapest(balls: Sequence[Ball], n: int, taken: _Taken) -> Place | None:
    best, cheapest = None, inf
    for choice, distance in _choices(balls[n]):
        if distance >= cheapest:
            break  # the rings farther out only cost more
        if taken.leaves_free(balls[n], choice):
            cost = _cost(balls, n, choice, distance) + _CROSSING * taken.crossings(balls[n], choice)
            if cost < cheapest:
                best, cheapest = choice, cost
    return best


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


def _cuts(ball: Ball, at: Place, box: _Box) -> bool:
    """Whether the leader of a name runs through a box."""
    assert at.leader is not None
    return _segment_in(box, (ball.x, ball.y), at.leader)


def _segment_in(box: _Box, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Liang and Barsky's test of a segment against a box."""
    low, high = 0.0, 1.0
    for a, b, least, most in ((start[0], end[0], box.left, box.right), (start[1], end[1], box.bottom, box.top)):
        way = b - a
        if way == 0:
            if not least <= a <= most:
                return False
            continue
        first, last = sorted(((least - a) / way, (most - a) / way))
        low, high = max(low, first), min(high, last)
    return low <= high


def _cross(a: _Segment, b: _Segment) -> bool:
    def side(line: _Segment, point: tuple[float, float]) -> float:
        (x0, y0), (x1, y1) = line
        return (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0)

    return side(a, b[0]) * side(a, b[1]) < 0 and side(b, a[0]) * side(b, a[1]) < 0


def _cost(balls: Sequence[Ball], own: int, at: Place, distance: float) -> float:
    """Distance, and what lies beneath the name: another ball's middle costs most, as then it is not seen whose it is."""
    box = _box(balls[own], at)
    cost = distance + (4.0 if at.leader else 0.0)
    for n, ball in enumerate(balls):
        if n == own:
            continue
        across = max(box.left - ball.x, 0.0, ball.x - box.right)
        up = max(box.bottom - ball.y, 0.0, ball.y - box.top)
        gap = hypot(across, up)
        if gap < ball.radius:
            cost += 20.0 + 30.0 * (1 - gap / ball.radius)
        if gap < 4.0:
            cost += 40.0
    return cost
