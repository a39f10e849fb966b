"""Text widths in Helvetica, Arial, Arimo and Liberation Sans, which have equal widths.

The layout of a drawing therefore does not depend on the fonts of the machine. `fonts/` contains Arimo.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from unicodedata import combining, east_asian_width

FAMILY = "Helvetica, Arial, Arimo, 'Liberation Sans', sans-serif"
FONTS = Path(__file__).resolve().parent / "fonts"
"""Arimo, regular and bold, reduced to Latin, Greek and Cyrillic: the font of PNG and PDF files."""


def _widths(text: str) -> tuple[int, ...]:
    """Widths of the characters from space to ~, in thousandths of the font size."""
    return tuple(map(int, text.split()))


_REGULAR = _widths(
    """
    278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278
    584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667
    944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333
    500 278 556 500 722 500 500 500 334 260 334 584
    """
)
_BOLD = _widths(
    """
    278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 333 333
    584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667 611 722 667 944
    667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611 611 389 556
    333 611 556 778 556 556 500 389 280 389 584
    """
)
_OTHERS = {"\u00a0": 278, "\u00d7": 584, "\u2026": 1000, "\u00b7": 333, "\u2013": 556}
_WIDE, _UNKNOWN = 1000, 620


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a text in points, at a font size in points."""
    table = _BOLD if bold else _REGULAR
    return sum(table[ord(c) - 32] if " " <= c <= "~" else _other(c) for c in text) * size / 1000


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
    return _OTHERS.get(char) or (_WIDE if east_asian_width(char) in "WF" else _UNKNOWN)
