"""Colours by the share of the network's params, MACs or memory that a box has."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.drawing.model.drawing import Cost, Drawing
from archdsl.drawing.request import Heat
from archdsl.drawing.theme import Theme
from archdsl.report.table import in_bytes, in_short

_EVEN = 0.179
"""The luminance at which black and white have the same contrast."""
_WORDS: dict[Heat, str] = {"params": "params", "macs": "MACs", "memory": "bytes of outputs"}


class HeatScale(NamedTuple):
    """A colour scale from zero to `most`, the largest value of a box."""

    quantity: Heat
    most: int

    def value(self, cost: Cost) -> int:
        return int(getattr(cost, self.quantity))

    def label(self, cost: Cost) -> str:
        """Return a value with its unit, such as `2.36 M params`."""
        value = self.value(cost)
        if self.quantity == "memory":
            return in_bytes(value)
        return (
            f"{in_short(value)}{_WORDS[self.quantity]}"
            if self.quantity == "macs"
            else f"{in_short(value).rstrip()} {_WORDS[self.quantity]}"
        )

    def fill(self, cost: Cost, theme: Theme) -> str:
        """Return the fill colour of a box."""
        part = self.value(cost) / self.most if self.most else 0.0
        return mix(theme.heat[0], theme.heat[1], part**0.5)

    def ink(self, cost: Cost, theme: Theme) -> str:
        """Return black or white, whichever has more contrast with the fill (WCAG 2.2, relative luminance)."""
        return "#000000" if luminance(self.fill(cost, theme)) > _EVEN else "#FFFFFF"


def scale(drawing: Drawing, quantity: Heat) -> HeatScale | None:
    """Return the scale of a drawing; None for `kind`, which uses the colours of the theme."""
    if quantity == "kind":
        return None
    empty = HeatScale(quantity, 0)
    return empty._replace(most=max((empty.value(box.cost) for box in drawing.boxes()), default=0))


def luminance(color: str) -> float:
    """Return the relative luminance, from 0 (black) to 1 (white).
    https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [value / 255 for value in _rgb(color)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def mix(low: str, high: str, part: float) -> str:
    """Return the colour at `part` (0 to 1) of the way from `low` to `high`."""
    pairs = zip(_rgb(low), _rgb(high), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * part):02X}" for a, b in pairs)
