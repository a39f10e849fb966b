"""Rows in aligned columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from archdsl.views.table import Style


def grid(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str], style: Style) -> str:
    """The rows under their titles; the columns named in `right` are flush right."""
    widths = [max([len(title), *(len(row[n]) for row in rows)]) for n, title in enumerate(titles)]

    def line(cells: Sequence[str], role: str) -> str:
        padded = [
            cell.rjust(width) if title in right else cell.ljust(width)
            for cell, width, title in zip(cells, widths, titles, strict=True)
        ]
        if role == "row":
            padded[0] = style.paint("path", padded[0])
            return "  ".join(padded).rstrip()
        return style.paint(role, "  ".join(padded).rstrip())

    rule = style.paint("quiet", ("─" if style.unicode else "-") * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join([line(titles, "head"), rule, *(line(row, "row") for row in rows)]) + "\n"
