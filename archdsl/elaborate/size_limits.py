"""Collects the rules that nodes set for the free sizes of the input, and gives the legal sizes that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd, lcm

from archdsl.graph import FreeSize
from archdsl.shapes import Dim, Size, Symbol


@dataclass
class SizeLimits:
    """The smallest input sizes and their steps, so far."""

    least: dict[Symbol, int] = field(default_factory=dict)
    steps: dict[Symbol, int] = field(default_factory=dict)

    def at_least(self, size: Size, number: int) -> None:
        """Limit the input size from below, so that `size` is at least `number`."""
        if isinstance(size, Dim):
            need = size.q * -(-(number - size.r) // size.m) - size.p
            self.least[size.symbol] = max(need, self.least.get(size.symbol, 1))

    def in_steps(self, symbol: Symbol, step: int) -> None:
        """Limit the input size to steps from its default."""
        self.steps[symbol] = lcm(self.steps.get(symbol, 1), step)

    def multiple(self, size: Size, number: int) -> None:
        """Limit the input size to steps from its default, so that `size` stays a multiple of `number`."""
        if isinstance(size, Dim):
            self.in_steps(size.symbol, size.q * (number // gcd(size.m, number)))

    def joined(self, other: SizeLimits) -> SizeLimits:
        """Return the limits that contain both."""
        limits = SizeLimits(dict(self.least), dict(self.steps))
        for symbol, least in other.least.items():
            limits.least[symbol] = max(least, limits.least.get(symbol, 1))
        for symbol, step in other.steps.items():
            limits.in_steps(symbol, step)
        return limits

    def free_sizes(self, symbols: Sequence[Symbol], pinned: Mapping[str, str]) -> tuple[FreeSize, ...]:
        """Return the free sizes with their smallest legal values and steps; `pinned` has reasons by name."""
        out = []
        for symbol in symbols:
            step = self.steps.get(symbol, 1)
            least = max(self.least.get(symbol, 1), 1)
            least += (symbol.default - least) % step
            out.append(FreeSize(symbol.name, symbol.default, least, step, pinned.get(symbol.name, "")))
        return tuple(out)
