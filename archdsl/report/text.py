"""Escaping of text from a spec, so that a drawing shows it and nothing interprets it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

from archdsl.diagnostics import escape_control


def visible(text: str) -> str:
    """Escape control, bidirectional and invisible characters, line breaks, and characters that XML forbids."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c) != "Cn" else ascii(c)[1:-1] for c in escape_control(text.replace("\t", " "))
    )


def xml(text: str) -> str:
    """Escape any text for an XML element or a quoted attribute."""
    return escape(visible(text))


def few(names: Sequence[str], most: int) -> str:
    """Return `a, b and 3 more`: the first names, and the number of the others."""
    others = len(names) - most
    return ", ".join(names[:most]) + (f" and {others:,} more" if others > 0 else "")
