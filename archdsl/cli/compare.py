"""`archdsl compare`: networks side by side, and as a chart of accuracy against cost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option, force_option, format_option, input_option, output_option
from archdsl.packages import require_package

if TYPE_CHECKING:
    from archdsl.diagnostics import ArchError
    from archdsl.library.catalog import Entry

_PLOTS = ("svg", "html", "png", "pdf")
_PAGE_WIDTH = 120
"""Columns up to which networks stand side by side where nothing says how wide the page is."""
_DROPPED = ("source", "classes", "year", "input", "activations", "depth", "receptive field", "weights MiB", "peak MiB")
_NAMED = 8
"""Networks that a note in a chart names."""


@click.command("compare")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.option("--plot", metavar="FILE", help="Also the chart of accuracy against MACs: x.svg, x.html, x.png or x.pdf.")
@click.option("--sort", metavar="COLUMN", help="By params, macs, top1, year ...; default: as given.")
@click.option("-r", "--reverse", is_flag=True, help="The largest first.")
@input_option
@format_option("table", "json", "csv", "markdown")
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    plot: str | None,
    sort: str | None,
    reverse: bool,
    size: str | None,
    format: str,
    output: str | None,
    force: bool,
) -> None:
    """Networks side by side: size, cost, depth, memory, receptive field, published accuracy.

    A SPEC with a star is a pattern of names in the library: 'resnet*'. The chart is that of Bianco et al. 2018: a ball
    for each network whose accuracy was published, its area the parameters.
    """
    kind = _plot_kind(plot)
    if kind:  # before the networks are counted, which takes seconds for '*'
        require_package("matplotlib", "E0851")
    _check_sort(sort, reverse)
    entries, files = _entries(console, specs, size)
    if sort:
        from archdsl.library.columns import ordered

        entries = ordered(entries, sort, reverse)
    drawn = _plotted(entries, kind) if kind else None
    if plot is not None and plot != "-":
        _check_plot(plot, files, force)
    if plot != "-" or (output and output != "-"):
        console.give(_text(console, entries, format), output, force, inputs=files)
    if drawn is not None and plot is not None and kind is not None:
        _write(console, drawn[0], plot, files, force)
        for note in drawn[1]:
            console.say(f"note: {note}")


def _plot_kind(plot: str | None) -> str | None:
    if plot is None or plot == "-":
        return "svg" if plot else None
    kind = Path(plot).suffix.lower().removeprefix(".")
    if kind not in _PLOTS:
        raise click.UsageError(f"--plot {plot[:80]}: the ending is one of {', '.join(f'.{k}' for k in _PLOTS)}")
    return kind


def _check_sort(sort: str | None, reverse: bool) -> None:
    from archdsl.diagnostics import did_you_mean
    from archdsl.library.columns import COMPARED

    if reverse and not sort:
        raise click.UsageError("--reverse goes with --sort")
    if sort and sort not in COMPARED:
        raise click.UsageError(f"--sort {sort[:40]!r}: {did_you_mean(sort, COMPARED)}")


# --- what is compared ------------------------------------------------------------------------------------


def _entries(console: Console, specs: Sequence[str], size: str | None) -> tuple[list[Entry], tuple[str, ...]]:
    """A line for each network, each once, and the files that were read. Raises ArchError with what is wrong in all."""
    from archdsl.diagnostics import ArchError
    from archdsl.library.catalog import entry_of
    from archdsl.network import open_network

    wanted = [name for spec in specs for name in _expanded(spec)]
    progress = console.progress("counting")
    entries: dict[tuple[str, str], Entry] = {}
    files: list[str] = []
    problems: list[ArchError] = []
    for number, spec in enumerate(dict.fromkeys(wanted)):
        try:
            net = open_network(spec, {}, size)
        except ArchError as problem:
            problems.append(problem)
        else:
            entries[net.name, net.fingerprint] = entry_of(net, published=size is None)
            files += net.files
        if progress is not None:
            progress(number + 1, len(wanted))
    if problems:
        raise _together(problems)
    return _told_apart(list(entries.values())), tuple(files)


def _expanded(spec: str) -> list[str]:
    """The names of the library that a pattern means; else the SPEC itself."""
    if not any(c in spec for c in "*?[") or os.path.exists(spec):
        return [spec]
    from fnmatch import fnmatchcase

    from archdsl.diagnostics import error
    from archdsl.spec.find import library_networks

    names = [name for name in library_networks() if fnmatchcase(name, spec)]
    if not names:
        raise error(
            "E0205", f"the library has no network `{spec[:80]}`", status=2, help="`archdsl list` shows them all"
        )
    return names


def _together(problems: Sequence[ArchError]) -> ArchError:
    """All that is wrong, each mistake once: a mistake in a file is told once for all its variants."""
    from archdsl.diagnostics import ArchError
    from archdsl.diagnostics.status import status_of

    found = {(d.code, d.message, d.span): d for problem in problems for d in problem.diagnostics}
    return ArchError(found.values(), min(status_of(problem) for problem in problems))


def _told_apart(entries: list[Entry]) -> list[Entry]:
    """Networks of one name get that of their file as well."""
    from dataclasses import replace

    many = Counter(e.name for e in entries)
    out = [replace(e, name=f"{e.name} ({e.file})") if many[e.name] > 1 else e for e in entries]
    seen: Counter[str] = Counter()
    for n, e in enumerate(out):
        seen[e.name] += 1
        if seen[e.name] > 1:
            out[n] = replace(e, name=f"{e.name} {seen[e.name]}")
    return out


# --- the table -------------------------------------------------------------------------------------------


def _text(console: Console, entries: list[Entry], format: str) -> str:
    from archdsl.library import columns as lines

    columns = lines.filled(lines.COMPARED, entries)
    if (text := lines.written(entries, format, columns)) is not None:
        return text
    from archdsl.analysis.count import CONVENTION
    from archdsl.report.grid import grid

    style = console.style()
    titles, rows = lines.table(entries, columns)
    beside = ["", *(row[0] for row in rows)]
    turned = [[title, *(row[n] for row in rows)] for n, title in enumerate(titles) if n]
    room = style.width or _PAGE_WIDTH
    width = sum(max(map(len, column)) + 2 for column in zip(beside, *turned, strict=True)) - 2
    if width <= room:
        text = grid(beside, turned, set(beside[1:]), style)
    else:
        text = grid(titles, rows, {c.title for c in lines.COLUMNS.values() if c.right}, style, _DROPPED)
    return f"{text}\n{style.paint('quiet', f'counted   {CONVENTION}; the receptive field is that of the last feature map')}\n"


# --- the chart -------------------------------------------------------------------------------------------


def _plotted(entries: Sequence[Entry], kind: str) -> tuple[bytes, list[str]]:
    """The chart, and what is not in it: networks without a published accuracy, and those of another task."""
    from archdsl.diagnostics import error
    from archdsl.drawing.chart.chart import Point, chart
    from archdsl.library import columns as lines

    known = [e for e in entries if e.top1 is not None]
    if not known:
        raise error(
            "E0852",
            "there is nothing to plot: none of these networks has a published top-1 accuracy",
            help="`claims: {top1: 76.1}` in a spec says what was published",
        )
    task = Counter(e.classes for e in known).most_common(1)[0][0]
    shown = [e for e in known if e.classes == task]
    left = [
        ("no top-1 was published", [e for e in entries if e.top1 is None]),
        (f"not of {task} classes", [e for e in known if e.classes != task]),
    ]
    notes = [f"not in the chart, {why}: {', '.join(e.name for e in missing)}" for why, missing in left if missing]
    points = [Point(e.name, e.family, e.macs, e.params, e.top1) for e in shown if e.top1 is not None]
    brief = [f"not shown, {why}: {_some([e.name for e in missing])}" for why, missing in left if missing]
    drawn = chart(points, "svg" if kind == "html" else kind, brief)  # type: ignore[arg-type]
    if kind != "html":
        return drawn, notes
    from archdsl.drawing.chart.page import chart_page

    titles, rows = lines.table(entries, lines.COMPARED)
    columns = [(title, lines.COLUMNS[name].right) for title, name in zip(titles, lines.COMPARED, strict=True)]
    return chart_page(drawn, "Networks compared", notes, columns, rows), notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _check_plot(plot: str, files: Sequence[str], force: bool) -> None:
    """Refuses before anything is printed."""
    from archdsl.files.atomic import check_target
    from archdsl.files.marks import ours

    check_target(plot, inputs=files, force=force, mine=ours("drawing"))


def _write(console: Console, data: bytes, plot: str, files: Sequence[str], force: bool) -> None:
    from archdsl.files.marks import marked, ours

    kind = Path(plot).suffix.lower().removeprefix(".") if plot != "-" else "svg"
    data = marked(data, kind)
    if plot == "-":
        console.give_bytes(data, None)
        return
    from archdsl.diagnostics import escape_control
    from archdsl.files.atomic import atomic_write
    from archdsl.report.table import in_bytes

    with atomic_write(plot, inputs=files, force=force, mine=ours("drawing")) as file:
        file.write(data)
    console.say(f"wrote {escape_control(plot)}  {in_bytes(len(data))}")
