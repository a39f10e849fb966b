"""Results in a notebook: their text in the colours of a terminal, or a table. Every text is escaped."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from archdsl.report.table import Style
from archdsl.report.text import xml

_CSS = {
    "1": "font-weight:bold",
    "2": "opacity:.65",
    "31": "color:#d13438",
    "32": "color:#218838",
    "33": "color:#b58900",
    "34": "color:#3b82f6",
    "35": "color:#a855f7",
    "36": "color:#0891b2",
}
"""Parameters of `archdsl.diagnostics.color`, in colours that are legible on light and on dark pages."""
_PAINTED = re.compile(r"\x1b\[([\d;]+)m(.*?)\x1b\[0m", re.DOTALL)
_PRE = "font-family:monospace;white-space:pre;overflow-x:auto;line-height:1.3;margin:0"


class ShownAsText:
    """A result with a method `text(style=...)`, which is also what a notebook and `repr` show."""

    __slots__ = ()

    def _repr_html_(self: Any) -> str:
        return pre(self.text(style=Style(color=True)))

    def __repr__(self: Any) -> str:
        text: str = self.text(style=Style())
        return text.rstrip("\n")


class Text(str):
    """A text of several lines, which a notebook and IPython show as they are."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return pre(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.rstrip("\n"))


def pre(text: str) -> str:
    """Return text of a terminal as HTML, its colours as styles."""
    parts, at = [], 0
    for match in _PAINTED.finditer(text):
        style = ";".join(_CSS[code] for code in match[1].split(";") if code in _CSS)
        parts += [_lines(text[at : match.start()]), f'<span style="{style}">{_lines(match[2])}</span>']
        at = match.end()
    return f'<pre style="{_PRE}">{"".join(parts)}{_lines(text[at:])}</pre>'


def html_table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str]) -> str:
    """Return rows of cells under their titles as HTML, with the columns in `right` aligned to the right."""
    sides = ["right" if title in right else "left" for title in titles]

    def line(tag: str, cells: Sequence[str]) -> str:
        row = "".join(
            f'<{tag} style="text-align:{side}">{xml(cell)}</{tag}>' for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{row}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', titles)}</thead><tbody>{body}</tbody></table>"


def _lines(text: str) -> str:
    return "\n".join(map(xml, text.split("\n")))
