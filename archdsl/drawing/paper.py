"""Sizes on paper: the presets of publishers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Font: TypeAlias = Literal["sans", "serif"]
PaperName: TypeAlias = Literal["ieee", "acm", "springer", "miccai", "a4", "slide"]

PAGE_MM = 240
"""Height of the text on an A4 or letter page, in millimetres."""
MIN_FONT = 6.0
"""The smallest font size on paper in points, if a size on paper is requested."""


class Paper(NamedTuple):
    """The largest figure in one column of a publication, or a whole slide, and its font and theme."""

    width_mm: int
    height_mm: int
    font: Font = "sans"
    min_font: float = MIN_FONT
    theme: Literal["print", "auto"] = "print"
    font_size: float | None = None
    """The largest size of the main labels; None: that of the style."""


PAPERS: Mapping[PaperName, Paper] = {
    "ieee": Paper(88, 228, "serif"),
    "acm": Paper(84, 225, "serif"),
    "springer": Paper(84, 234),
    "miccai": Paper(122, 193, "serif"),
    "a4": Paper(170, PAGE_MM),
    "slide": Paper(338, 190, "sans", 10.0, "auto", 24.0),
}
"""IEEE: a column of 3.5 in (two: 182 mm), at most 9 in high, in Times or Helvetica (IEEE Author Center). ACM: a column
of acmart's sigconf (two: 178 mm). Springer: 84 mm (two columns: 174 mm), at most 234 mm high, in Helvetica or Arial
(artwork guidelines). MICCAI: the text of Springer's LNCS, 12.2 cm x 19.3 cm, in Times. Slide:
16:9, as PowerPoint's widescreen; the picture has both sides."""
