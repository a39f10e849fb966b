"""The chart of a comparison: which networks it shows, and notes on those it leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.marks import has_mark, marked
from archdsl.library.catalog import CatalogEntry
from archdsl.library.columns import COLUMNS, COMPARED, table
from archdsl.packages import require_package

CHART_FORMATS = ("svg", "html", "png", "pdf")
_LISTED = 8
"""Networks that a note inside a chart lists."""


@dataclass(frozen=True, slots=True)
class ComparisonChart:
    """`data` is the file's content; each note says which networks are left out, and why."""

    format: str
    data: bytes
    notes: tuple[str, ...]

    def check_target(self, path: str | Path, inputs: Sequence[str] = (), force: bool = False) -> None:
        """Raises E0701 to E0703 if `write` cannot write or must not replace the file."""
        check_target(path, inputs=inputs, force=force, replaceable=has_mark("drawing"))

    def write(self, path: str | Path, inputs: Sequence[str] = (), force: bool = False) -> WrittenFile:
        """Write the chart to a file, whole or not at all; never over `inputs`, over other files only with `force`.

        Raises E0701 to E0704.
        """
        with atomic_write(path, inputs=inputs, force=force, replaceable=has_mark("drawing")) as file:
            file.write(self.data)
        assert file.written is not None
        return file.written


def chart_format(path: str | Path) -> str:
    """The format of a chart by the ending of its file; `-`, standard output, is SVG.

    Raises E0001 for another ending, E0851 (status 2) where matplotlib is not installed.
    """
    format = "svg" if str(path) == "-" else Path(path).suffix.lower().removeprefix(".")
    _require(format)
    return format


def _require(format: str) -> None:
    check_choice("format", format, CHART_FORMATS)
    require_package("matplotlib", "E0851")


def comparison_chart(entries: Sequence[CatalogEntry], format: str) -> ComparisonChart:
    """The chart of the entries that have a published accuracy and the most common number of classes."""
    _require(format)
    from archdsl.drawing.chart.chart import ChartPoint, chart

    published = [e for e in entries if e.top1 is not None]
    if not published:
        raise error(
            "E0852",
            "there is nothing to plot: none of these networks has a published top-1 accuracy",
            help="`claims: {top1: 76.1}` in a spec says what was published",
        )
    classes = Counter(e.classes for e in published).most_common(1)[0][0]
    left_out = [
        ("no top-1 was published", [e.name for e in entries if e.top1 is None]),
        (f"not of {classes} classes", [e.name for e in published if e.classes != classes]),
    ]
    points = [
        ChartPoint(e.name, e.family, e.macs, e.params, e.top1)
        for e in published
        if e.top1 is not None and e.classes == classes
    ]
    inside = [f"not shown, {why}: {_first(names)}" for why, names in left_out if names]
    notes = tuple(f"not in the chart, {why}: {', '.join(names)}" for why, names in left_out if names)
    data = chart(points, "svg" if format == "html" else format, inside)  # type: ignore[arg-type]
    page = _page(data, entries, notes) if format == "html" else data
    return ComparisonChart(format, marked(page, format), notes)


def _page(drawing: bytes, entries: Sequence[CatalogEntry], notes: Sequence[str]) -> bytes:
    """The chart with a table of all entries."""
    from archdsl.drawing.chart.page import chart_page

    titles, rows = table(entries, COMPARED)
    columns = [(title, COLUMNS[name].right) for title, name in zip(titles, COMPARED, strict=True)]
    return chart_page(drawing, "Networks compared", notes, columns, rows)


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
