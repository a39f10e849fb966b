"""The chart of a comparison, with notes on the networks that it omits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.axes import KINDS
from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_choice
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.overwrite_marks import has_mark, marked
from archdsl.library.catalog import CatalogEntry
from archdsl.library.columns import COLUMNS, LEFT, label, table
from archdsl.packages import require_package
from archdsl.report.text import few

if TYPE_CHECKING:
    from archdsl.drawing.chart.chart import ChartAxis

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


_UNITS = {"macs": (1e9, "GMACs"), "params": (1e6, "million parameters"), "activations": (1e6, "million activations")}


def comparison_chart(
    entries: Sequence[CatalogEntry],
    format: str,
    columns: Sequence[str],
    front: Sequence[str] = (),
    beaten: Sequence[CatalogEntry] = (),
    swept: Sequence[str] = (),
) -> ComparisonChart:
    """Draw the networks that have both figures: the first two of the front, or those that suit the networks.

    For published accuracies, only those with the most common number of classes. `columns` are those of the page's
    table, `beaten` are not on the front, `swept` are the arguments that name the variants of one spec.
    """
    _require(format)
    from archdsl.drawing.chart.chart import ChartPoint, Plot, chart

    shown = [*entries, *beaten]
    y, x = front[:2] if front else ("macs", "params") if swept else ("top1", "macs")
    lacking = {n: [e for e in shown if COLUMNS[n].number(e) in (None, inf)] for n in (y, x)}
    known = [e for e in shown if e not in lacking[x] and e not in lacking[y]]
    if not known:
        raise _nothing(x, y)
    of_accuracy = "top1" in (x, y)
    classes = Counter(e.classes for e in known).most_common(1)[0][0]
    other = [e for e in known if of_accuracy and e.classes != classes]
    left_out = [(f"no {_words(n)}", [label(e, swept) for e in lacking[n]]) for n in (y, x)] + [
        (f"number of classes is not {classes}", [e.name for e in other])
    ]
    kept = {*map(id, entries)}
    points = [
        ChartPoint(label(e, swept), e.family, COLUMNS[x].number(e), COLUMNS[y].number(e), e.params, id(e) in kept)
        for e in known
        if e not in other
    ]
    inside = [f"not in the chart, {why}: {few(names, _LISTED)}" for why, names in left_out if names]
    notes = tuple(f"not in the chart, {why}: {', '.join(names)}" for why, names in left_out if names)
    samples = {_sample(entry) for entry in known}
    plot = Plot(_axis(x), _axis(y), samples.pop() if len(samples) == 1 else "input", bool(front))
    data = chart(points, "svg" if format == "html" else format, inside, plot)  # type: ignore[arg-type]
    page = _page(data, table(shown, columns, [n for n in swept if n != "input"]), notes) if format == "html" else data
    return ComparisonChart(format, marked(page, format), notes)


def _axis(name: str) -> ChartAxis:
    from archdsl.drawing.chart.chart import MACS, TOP1, ChartAxis

    if name in ("macs", "top1"):
        return MACS if name == "macs" else TOP1
    column = COLUMNS[name]
    if column.unit == "bytes":
        return ChartAxis(column.title, column.title, 2**20)
    unit, words = _UNITS.get(name, (1, column.title))
    return ChartAxis(words, column.title, unit, column.unit == "percent")


def _words(name: str) -> str:
    bounded = "bounded " * (name == "receptive_field")
    return "published top-1" if name == "top1" else f"{bounded}{COLUMNS[name].title}"


def _nothing(x: str, y: str) -> ArchError:
    if "top1" in (x, y):
        message = "nothing to plot: none of these networks has a published top-1 accuracy"
        help_ = "add the published accuracy to the specs: `claims: {top1: 76.1}`; or choose other figures: `pareto`"
        return error("E0852", message, help=help_)
    return error("E0852", f"nothing to plot: none of these networks has {x} and {y}")


def _sample(entry: CatalogEntry) -> str:
    """What a network reads, `image` for `3x224x224`; `input` if it has several."""
    return "input" if "," in entry.input else KINDS[entry.axes[0]].bare


def _page(drawing: bytes, table: tuple[list[str], list[list[str]]], notes: Sequence[str]) -> bytes:
    """The chart with a table of all networks."""
    from archdsl.drawing.chart.page import chart_page

    titles, rows = table
    return chart_page(drawing, "Networks compared", notes, [(title, title not in LEFT) for title in titles], rows)
