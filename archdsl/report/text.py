"""Text of a spec on its way into a drawing: shown, never obeyed."""

from __future__ import annotations

import unicodedata
from html import escape

from archdsl.diagnostics import escape_control


def visible(text: str) -> str:
    """Control, bidirectional and invisible characters, and what XML may not hold, as escapes; lines made one."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c) != "Cn" else ascii(c)[1:-1] for c in escape_control(text.replace("\t", " "))
    )


def xml(text: str) -> str:
    """Any text as the inside of an element or of a quoted attribute."""
    return escape(visible(text))
