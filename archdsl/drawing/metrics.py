"""Text widths in Helvetica, Arial, Arimo and Liberation Sans, which have equal widths, and in the font `serif`.

The layout of a drawing uses those of Helvetica, so it does not depend on the fonts of the machine. Nearly every text is
narrower in a serif font. `fonts/` contains Arimo, and Archdsl Serif, which is as wide as Times but for its signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from unicodedata import combining, east_asian_width

from archdsl.drawing.paper import Font

FAMILIES: Mapping[Font, str] = {
    "sans": "Helvetica, Arial, Arimo, 'Liberation Sans', sans-serif",
    "serif": "'Times New Roman', Times, Tinos, 'Liberation Serif', serif",
}
FONTS = Path(__file__).resolve().parent / "fonts"
"""Arimo and Archdsl Serif, regular and bold, reduced to Latin, Greek and Cyrillic: the fonts of PNG and PDF files."""
EMBEDDED: Mapping[Font, str] = {"sans": "Arimo", "serif": "Archdsl Serif"}
_CHARACTERS = {
    char: n for n, char in enumerate((*map(chr, range(32, 127)), *"\u00a0\u00d7\u2212\u2026\u00b7\u2013\u2192"))
}
"""From space to ~, and the signs of drawings; each with its number in the tables."""


def _widths(text: str) -> tuple[int, ...]:
    """Widths of the characters of `_CHARACTERS`, in thousandths of the font size."""
    return tuple(map(int, text.split()))


_REGULAR = _widths(
    """
    278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278
    584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667
    944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333
    500 278 556 500 722 500 500 500 334 260 334 584
    278 584 584 1000 333 556 1000
    """
)
_BOLD = _widths(
    """
    278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 333 333
    584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667 611 722 667 944
    667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611 611 389 556
    333 611 556 778 556 556 500 389 280 389 584
    278 584 584 1000 333 556 1000
    """
)
_SERIF = _widths(
    """
    250 333 408 500 500 747 778 180 333 333 500 685 250 333 250 278 500 500 500 500 500 500 500 500 500 500 278 278
    685 685 685 444 921 722 667 667 722 611 556 722 722 333 373 722 611 889 722 722 557 722 667 556 611 722 722 944
    722 722 612 333 278 333 469 500 333 444 500 444 500 444 333 500 500 278 278 500 278 778 500 500 500 500 333 389
    278 500 500 722 500 500 444 480 200 480 541
    250 640 685 1000 250 500 926
    """
)
_SERIF_BOLD = _widths(
    """
    250 333 555 500 500 749 833 278 333 333 500 750 250 333 250 278 500 500 500 500 500 500 500 500 500 500 333 333
    750 750 750 500 930 722 667 722 722 667 611 778 778 389 500 778 667 944 722 778 611 778 722 556 667 722 722 1000
    722 722 667 333 278 333 581 500 333 500 556 444 556 444 333 500 556 278 333 556 278 833 556 500 556 556 444 389
    333 556 500 722 500 500 444 394 220 394 520
    250 702 750 1000 250 500 977
    """
)
_TABLES = {"sans": (_REGULAR, _BOLD), "serif": (_SERIF, _SERIF_BOLD)}
_WIDE, _UNKNOWN = 1000, 620


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, bold: bool = False, font: Font = "sans") -> float:
    """Return the width of a text in points, at a font size in points."""
    table = _TABLES[font][bold]
    return sum(table[_CHARACTERS[c]] if c in _CHARACTERS else _other(c) for c in text) * size / 1000


def is_exact(text: str) -> bool:
    """Whether the width of every character is known; other widths are estimates."""
    return all(char in _CHARACTERS for char in text)


def wrapped(text: str, width: float, size: float, bold: bool = False, mark: str = " ") -> list[str]:
    """Break a text at each `mark` into lines of at most `width` points; a wider word is a line, an empty text none."""
    lines: list[str] = []
    for word in text.split(mark) if text else ():
        longer = f"{lines[-1]}{mark}{word}" if lines else word
        if lines and text_width(longer, size, bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _other(char: str) -> int:
    if combining(char):
        return 0
    return _WIDE if east_asian_width(char) in "WF" else _UNKNOWN
