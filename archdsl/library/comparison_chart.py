"""The chart of a comparison, with notes on the networks that it omits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archdsl.axes import KINDS
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.overwrite_marks import has_mark, marked
from archdsl.library.catalog import CatalogEntry
from archdsl.library.columns import COLUMNS, COMPARED, table
from archdsl.packages import require_package
from archdsl.report.text import few

CHART_FORMATS = ("svg", "html", "png", "pdf")
_LISTED = 8
"""Networks that a note in the chart lists at most."""


@dataclass(frozen=True, slots=True)
class ComparisonChart:
    """A chart: `data` is the content of its file; each note lists networks that it omits, and the reason."""

    format: str
    data: bytes
    notes: tuple[str, ...]

    def check_target(self, path: str | Path, inputs: Sequence[str] = (), force: bool = False) -> None:
        """Raise E0701 to E0703 if `write` cannot write or must not replace the file."""
        check_target(path, inputs=inputs, force=force, replaceable=has_mark("drawing"))

    def write(self, path: str | Path, inputs: Sequence[str] = (), force: bool = False) -> WrittenFile:
        """Write the chart to a file, completely or not at all.

        Never overwrites `inputs`; overwrites files that archdsl did not write only with `force`. Raises E0701 to E0704.
        """
        with atomic_write(path, inputs=inputs, force=force, replaceable=has_mark("drawing")) as file:
            file.write(self.data)
        assert file.written is not None
        return file.written


def chart_format(path: str | Path) -> str:
    """Return the format of a chart by the ending of its file; SVG for `-`, standard output.

    Raises E0001 for another ending, E0851 (status 2) if matplotlib is not installed.
    """
    format = "svg" if str(path) == "-" else Path(path).suffix.lower().removeprefix(".")
    _require(format)
    return format


def _require(format: str) -> None:
    check_choice("format", format, CHART_FORMATS)
    require_package("matplotlib", "E0851")


def comparison_chart(entries: Sequence[CatalogEntry], format: str) -> ComparisonChart:
    """Draw the entries that have a published accuracy and the most common number of classes."""
    _require(format)
    from archdsl.drawing.chart.chart import ChartPoint, chart

    published = [e for e in entries if e.top1 is not None]
    if not published:
        raise error(
            "E0852",
            "nothing to plot: none of these networks has a published top-1 accuracy",
            help="add the published accuracy to the specs: `claims: {top1: 76.1}`",
        )
    classes = Counter(e.classes for e in published).most_common(1)[0][0]
    left_out = [
        ("no published top-1", [e.name for e in entries if e.top1 is None]),
        (f"number of classes is not {classes}", [e.name for e in published if e.classes != classes]),
    ]
    points = [
        ChartPoint(e.name, e.family, e.macs, e.params, e.top1, _sample(e))
        for e in published
        if e.top1 is not None and e.classes == classes
    ]
    inside = [f"not in the chart, {why}: {few(names, _LISTED)}" for why, names in left_out if names]
    notes = tuple(f"not in the chart, {why}: {', '.join(names)}" for why, names in left_out if names)
    data = chart(points, "svg" if format == "html" else format, inside)  # type: ignore[arg-type]
    page = _page(data, entries, notes) if format == "html" else data
    return ComparisonChart(format, marked(page, format), notes)


def _sample(entry: CatalogEntry) -> str:
    """What a network reads, `image` for `3x224x224`; `input` if it has several."""
    return "input" if "," in entry.input else KINDS[entry.axes[0]].bare


def _page(drawing: bytes, entries: Sequence[CatalogEntry], notes: Sequence[str]) -> bytes:
    """The chart with a table of all entries."""
    from archdsl.drawing.chart.page import chart_page

    titles, rows = table(entries, COMPARED)
    columns = [(title, COLUMNS[name].right) for title, name in zip(titles, COMPARED, strict=True)]
    return chart_page(drawing, "Networks compared", notes, columns, rows)
