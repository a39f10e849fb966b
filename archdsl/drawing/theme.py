"""The colours of all drawings: light, dark, and grey for print.

The palette is Okabe and Ito's (2008), which colour-blind readers can distinguish: full colours for lines, tints for
fills. On a light background, lines are darker. Text has a contrast of at least 4.5 with what is behind it, and an
outline of at least 3. Colour is never the only information: each box also has text, and each volume a pattern or text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Look: TypeAlias = Literal["input", "output", "conv", "block", "pool", "fc", "norm", "act", "merge", "other", "unknown"]
"""The category of a box, which selects its colour. `unknown`: it contains unknown nodes of an incomplete network."""

LOOK_WORDS: Mapping[Look, str] = {
    "conv": "convolution",
    "block": "block",
    "pool": "pooling",
    "fc": "fully connected",
    "norm": "normalisation",
    "act": "activation",
    "merge": "merge",
    "other": "other",
    "unknown": "unknown: errors in the spec",
}
"""The legend's text for each category."""


class Color(NamedTuple):
    """Fill and line colour of a box."""

    fill: str
    line: str


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a drawing: `ink` for text, `quiet` for secondary text, `stage` for the area behind a stage."""

    name: str
    background: str
    ink: str
    quiet: str
    arrow: str
    stage: str
    colors: Mapping[Look, Color]
    heat: tuple[str, str]
    """The colours of the smallest and the largest share."""
    patterns: bool = False
    """Whether categories are hatched, for print."""


_LINES: Mapping[Look, str] = {
    "conv": "#448EB8",
    "block": "#0072B2",
    "pool": "#B37C00",
    "fc": "#00936B",
    "norm": "#968D18",
    "act": "#D35D00",
    "merge": "#B66C95",
    "other": "#888888",
    "unknown": "#E0301E",
}
_DARK_LINES: Mapping[Look, str] = {
    "conv": "#56B4E9",
    "block": "#147DB8",
    "pool": "#E69F00",
    "fc": "#009E73",
    "norm": "#C8BC20",
    "act": "#D55E00",
    "merge": "#CC79A7",
    "other": "#888888",
    "unknown": "#E0301E",
}
_LIGHT: Mapping[Look, str] = {
    "conv": "#DDF0FB",
    "block": "#CCE3F0",
    "pool": "#FBEBCC",
    "fc": "#CCECE3",
    "norm": "#FCFAD9",
    "act": "#F7DFCC",
    "merge": "#F5E4ED",
    "other": "#EEEEEE",
    "unknown": "#FFFFFF",
}
_DARK: Mapping[Look, str] = {
    "conv": "#1D3B4D",
    "block": "#0A2F47",
    "pool": "#4A3408",
    "fc": "#073B2D",
    "norm": "#3F3B0E",
    "act": "#4A230A",
    "merge": "#452A3A",
    "other": "#333333",
    "unknown": "#14171A",
}
_GREYS: Mapping[Look, str] = {
    "conv": "#FFFFFF",
    "block": "#E6E6E6",
    "pool": "#CCCCCC",
    "fc": "#D9D9D9",
    "norm": "#F2F2F2",
    "act": "#F2F2F2",
    "merge": "#FFFFFF",
    "other": "#FFFFFF",
    "unknown": "#FFFFFF",
}


def _colors(fills: Mapping[Look, str], lines: Mapping[Look, str], edge: Color) -> Mapping[Look, Color]:
    return {"input": edge, "output": edge, **{look: Color(fills[look], lines[look]) for look in fills}}


LIGHT = Theme(
    "light",
    "#FFFFFF",
    "#000000",
    "#5C5C5C",
    "#444444",
    "#F4F4F4",
    _colors(_LIGHT, _LINES, Color("#FFFFFF", "#555555")),
    ("#FFF9F0", "#D55E00"),
)
DARK = Theme(
    "dark",
    "#14171A",
    "#EDEDED",
    "#A8A8A8",
    "#B5B5B5",
    "#1E2226",
    _colors(_DARK, _DARK_LINES, Color("#14171A", "#A8A8A8")),
    ("#241A12", "#E8702A"),
)
PRINT = Theme(
    "print",
    "#FFFFFF",
    "#000000",
    "#444444",
    "#222222",
    "#F7F7F7",
    _colors(_GREYS, dict.fromkeys(_GREYS, "#222222"), Color("#FFFFFF", "#222222")),
    ("#FFFFFF", "#777777"),
    patterns=True,
)

THEMES: Mapping[str, Theme] = {theme.name: theme for theme in (LIGHT, DARK, PRINT)}
