"""`archdsl.compare`: networks side by side, and a chart of accuracy against cost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.diagnostics.arguments import (
    check_callables,
    check_choice,
    check_flags,
    check_mappings,
    check_type,
    conflict,
)
from archdsl.diagnostics.status import status_of
from archdsl.library.catalog import CatalogEntry, entry_of
from archdsl.library.columns import COMPARED, FORMATS, RIGHT, filled, ordered, table, to_json, written
from archdsl.library.comparison_chart import ComparisonChart, comparison_chart
from archdsl.network import Network, as_network
from archdsl.progress import Progress
from archdsl.report.shown import ShownAsText, html_table
from archdsl.report.table import Style
from archdsl.source import Scalar
from archdsl.spec.patterns import expanded

_PAGE_WIDTH = 120
"""Characters per line up to which each network gets a column, if the width of the page is unknown."""
_DROPPED = ("source", "classes", "year", "input", "activations", "depth", "receptive field", "weights MiB", "peak MiB")
"""Titles of the columns that a narrow terminal omits, in this order."""


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(ShownAsText):
    """Networks with their costs, in order; `files` are the specs that were read, `notes` name repeated networks.

    `args` are the arguments that were set in all of them, as text.
    """

    entries: tuple[CatalogEntry, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()
    args: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns in which any network has a value."""
        return filled(COMPARED, self.entries)

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """A row of printed cells for each network, one cell for each of `columns`."""
        return tuple(tuple(row) for row in table(self.entries, self.columns)[1])

    def to_json(self) -> list[dict[str, Any]]:
        """The data of `archdsl compare --format json`: one dictionary per network, with `args` if they were set."""
        return to_json(self.entries, self.args)

    def text(self, format: str = "table", style: Style = Style()) -> str:
        """Return the comparison as `table`, `json`, `csv` or `markdown`; `style` applies to a table.

        Raises E0001 for another format.
        """
        check_choice("format", format, FORMATS)
        return _as_table(self, style) if format == "table" else written(self.entries, format, self.columns, self.args)

    def _repr_html_(self) -> str:
        titles, rows = table(self.entries, self.columns)
        return html_table(titles, rows, RIGHT)

    def chart(self, format: str = "svg") -> ComparisonChart:
        """Draw the chart of Bianco et al. 2018: top-1 accuracy against MACs; a bubble's area shows the parameters.

        `format`: svg, html, png or pdf. The chart omits networks without a published accuracy and those whose number of
        classes is not the most common one; its notes list them. Raises E0001 for an unknown format, E0851 without
        matplotlib, E0852 if no network has a published accuracy.
        """
        return comparison_chart(self.entries, format)


def compare(
    *specs: str | Path | Network,
    args: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
    sort: str | None = None,
    reverse: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Compare the costs of networks, each network once.

    A SPEC is an argument of `load`, a loaded network, or a pattern: `"resnet*"`, `"specs/*.yaml"`, `"net.yaml#*"`.
    `args` and `input` set arguments and the input size of all of them; published accuracies then do not apply. `sort`:
    a column; by default the order of `specs`. `progress` is called with the number of counted networks and of all.

    Raises the errors of all specs together, with the SPEC of each; E0001 for an unknown column, E0003 for `reverse`
    without `sort` and for a loaded network with `args` or `input`, E0204 and E0205 for a pattern that matches nothing.
    """
    if sort is not None:
        check_choice("sort", sort, COMPARED)
    if reverse and sort is None:
        raise conflict("`reverse` needs `sort`")
    for spec in specs:
        check_type("spec", spec, "a path, a name or a network", str, os.PathLike, Network)
    check_flags(reverse=reverse)
    check_mappings(args=args)
    check_callables(progress=progress)
    if not specs:
        raise error("E0002", "`specs` is empty: pass at least one SPEC", status=2)
    comparison = _counted(expanded(specs), args or {}, input, progress)
    if sort is None:
        return comparison
    return replace(comparison, entries=tuple(ordered(comparison.entries, sort, reverse)))


def _counted(
    specs: Sequence[str | Path | Network],
    args: Mapping[str, object],
    input: str | Sequence[int] | None,
    progress: Progress | None,
) -> Comparison:
    entries: dict[tuple[str, str], CatalogEntry] = {}
    first: dict[tuple[str, str], str] = {}
    files: list[str] = []
    problems: list[tuple[str, ArchError]] = []
    repeated = [spec for spec, times in Counter(map(str, specs)).items() if times > 1]
    unique = tuple(dict.fromkeys(specs))
    for number, spec in enumerate(unique):
        try:
            net = as_network(spec, args, input)
        except ArchError as problem:
            problems.append((str(spec), problem))
        else:
            key = net.name, net.fingerprint
            if key in entries:
                repeated.append(f"{spec} (the same network as {first[key]})")
            entries[key] = entry_of(net, published=input is None)
            first.setdefault(key, str(spec))
            files += net.files
        if progress is not None:
            progress(number + 1, len(unique))
    if problems:
        raise _together(problems)
    notes = (f"compared once: {', '.join(repeated)}",) if repeated else ()
    return Comparison(
        _with_distinct_names(list(entries.values())),
        tuple(files),
        notes,
        {name: _text(value) for name, value in args.items()},
    )


def _text(value: object) -> str:
    return value.text if isinstance(value, Scalar) else str(value)


def _together(problems: Sequence[tuple[str, ArchError]]) -> ArchError:
    """Merge all errors, each once, with the SPECs that have it: the variants of a file share its errors."""
    unique: dict[tuple[object, ...], tuple[Diagnostic, list[str]]] = {}
    for spec, problem in problems:
        for d in problem.diagnostics:
            place = None if d.span is None else (d.span.source.name, d.span.start)
            unique.setdefault((d.code, d.message, place), (d, []))[1].append(spec)
    named = [replace(d, notes=(*d.notes, f"in {', '.join(specs)}")) for d, specs in unique.values()]
    return ArchError(named, min(status_of(problem) for _, problem in problems))


def _with_distinct_names(entries: Sequence[CatalogEntry]) -> tuple[CatalogEntry, ...]:
    """Append the file to a name that several networks have, then a number."""
    count = Counter(entry.name for entry in entries)
    out = []
    uses: Counter[str] = Counter()
    for entry in entries:
        name = f"{entry.name} ({entry.file})" if count[entry.name] > 1 else entry.name
        uses[name] += 1
        out.append(replace(entry, name=f"{name} {uses[name]}" if uses[name] > 1 else name))
    return tuple(out)


def _as_table(comparison: Comparison, style: Style) -> str:
    """A table with a column per network if the page is wide enough, else with a row."""
    from archdsl.analysis.count import CONVENTION
    from archdsl.report.grid import grid

    titles, rows = table(comparison.entries, comparison.columns)
    names = ["", *(row[0] for row in rows)]
    turned = [[title, *(row[n] for row in rows)] for n, title in enumerate(titles) if n]
    width = sum(max(map(len, column)) + 2 for column in zip(names, *turned, strict=True)) - 2
    if width <= (style.width or _PAGE_WIDTH):
        text = grid(names, turned, set(names[1:]), style)
    else:
        text = grid(titles, rows, RIGHT, style, _DROPPED)
    note = f"counted   {CONVENTION}; the receptive field is that of the last feature map"
    args = ", ".join(f"{name}={value}" for name, value in comparison.args.items())
    lines = [f"arguments {args}"] * bool(args) + [note]
    return "\n".join([text, *(style.paint("quiet", line) for line in lines)]) + "\n"
