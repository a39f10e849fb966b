"""Tables with aligned columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from archdsl.diagnostics import escape_control
from archdsl.report.table import Style

_GAP = "  "


def grid(
    titles: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str], style: Style, drop: Sequence[str] = ()
) -> str:
    """Return the rows under their titles, with the columns in `right` aligned to the right.

    If the style has a width, the columns in `drop` are omitted one by one until the rest fits, and listed in the
    last line.
    """
    rows = [[escape_control(cell) for cell in row] for row in rows]
    widths = {title: max([len(title), *(len(row[n]) for row in rows)]) for n, title in enumerate(titles)}
    kept = list(titles)
    for title in drop:
        if style.width is None or sum(widths[t] + len(_GAP) for t in kept) - len(_GAP) <= style.width:
            break
        kept.remove(title)

    def line(cells: Sequence[str], role: str) -> str:
        pairs = [(t, c) for t, c in zip(titles, cells, strict=True) if t in kept]
        padded = [c.rjust(widths[t]) if t in right else c.ljust(widths[t]) for t, c in pairs]
        if role == "row":
            padded[0] = style.paint("path", padded[0])
            return _GAP.join(padded).rstrip()
        return style.paint(role, _GAP.join(padded).rstrip())

    whole = sum(widths[t] for t in kept) + len(_GAP) * (len(kept) - 1)
    text = [line(titles, "head"), style.paint("quiet", ("─" if style.unicode else "-") * whole)]
    text += [line(row, "row") for row in rows]
    left_out = [t for t in titles if t not in kept]
    if left_out:
        text.append(style.paint("quiet", f"omitted to fit the width: {', '.join(left_out)}"))
    return "\n".join(text) + "\n"


def markdown_grid(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str]) -> str:
    """Return the rows under their titles as a table in Markdown, with the columns in `right` aligned to the right."""
    lines = [titles, ["--:" if title in right else ":--" for title in titles], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
