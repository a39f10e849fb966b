"""Colours that say how large a share of the network's params, MACs or memory a box has."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.drawing.model.drawing import Cost, Drawing
from archdsl.drawing.request import Heat
from archdsl.drawing.theme import Theme
from archdsl.report.table import in_bytes, in_short

_EVEN = 0.179
"""The luminance with which black and white have the same contrast."""
_WORDS: dict[Heat, str] = {"params": "params", "macs": "MACs", "memory": "bytes of outputs"}


class HeatScale(NamedTuple):
    """From nothing to `most`, the largest of the boxes."""

    what: Heat
    most: int

    def value(self, cost: Cost) -> int:
        return int(getattr(cost, self.what))

    def said(self, cost: Cost) -> str:
        """`2.36 M params`."""
        value = self.value(cost)
        if self.what == "memory":
            return in_bytes(value)
        return (
            f"{in_short(value)}{_WORDS[self.what]}"
            if self.what == "macs"
            else f"{in_short(value).rstrip()} {_WORDS[self.what]}"
        )

    def fill(self, cost: Cost, theme: Theme) -> str:
        """The box's colour."""
        part = self.value(cost) / self.most if self.most else 0.0
        return mix(theme.heat[0], theme.heat[1], part**0.5)

    def ink(self, cost: Cost, theme: Theme) -> str:
        """Black or white, whichever has more contrast with it (WCAG 2.2, relative luminance)."""
        return "#000000" if luminance(self.fill(cost, theme)) > _EVEN else "#FFFFFF"


def scale(drawing: Drawing, what: Heat) -> HeatScale | None:
    """None for `kind`, whose colours are those of the theme."""
    if what == "kind":
        return None
    found = HeatScale(what, 0)
    return HeatScale(what, max((found.value(box.cost) for box in drawing.boxes()), default=0))


def luminance(color: str) -> float:
    """From 0, black, to 1, white. https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [value / 255 for value in _rgb(color)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def mix(low: str, high: str, part: float) -> str:
    """A colour between two."""
    pairs = zip(_rgb(low), _rgb(high), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * part):02X}" for a, b in pairs)
