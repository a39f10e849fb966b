"""`archdsl.compare`: networks side by side, those that meet a condition, and a chart of two figures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.diagnostics.arguments import (
    check_callables,
    check_choice,
    check_mappings,
    check_type,
)
from archdsl.diagnostics.status import status_of
from archdsl.language.expressions import show
from archdsl.library.catalog import CatalogEntry, entry_of
from archdsl.library.choice import Choice, choice
from archdsl.library.columns import (
    COLUMNS,
    COMPARED,
    COSTS,
    FORMATS,
    LEFT,
    SORTED,
    as_csv,
    as_json,
    as_markdown,
    demanded,
    filled,
    flattened,
    plain,
    table,
    to_json,
)
from archdsl.library.comparison_chart import ComparisonChart, comparison_chart
from archdsl.library.demand import conventions
from archdsl.network import Network, as_network
from archdsl.packages import require_package
from archdsl.progress import Progress
from archdsl.report.shown import ShownAsText, html_table
from archdsl.report.table import Style
from archdsl.report.text import few
from archdsl.spec.patterns import expanded

if TYPE_CHECKING:
    import pandas

_PAGE_WIDTH = 120
"""Characters per line up to which each network gets a column, if the width of the page is unknown."""
_DROPPED = ("source", "classes", "year", "input", "activations", "depth", "receptive field", "weights MiB", "peak MiB")
"""Titles of the columns that a narrow terminal omits, in this order."""
_LISTED = 6
"""Settings with the same error that a text lists."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """A setting for which the spec has errors: its arguments, its input size, and the first error."""

    args: Mapping[str, Any]
    input: str | None
    error: Diagnostic

    @property
    def setting(self) -> str:
        """`n=3 width=16`, and the input size if one was set."""
        return " ".join([*(f"{name}={show(value)}" for name, value in self.args.items()), *filter(None, [self.input])])

    def to_json(self) -> dict[str, Any]:
        """Return a row beside those of the networks: `args`, `input`, and `error` with `code` and `message`."""
        args = {name: plain(value) for name, value in self.args.items()}
        return {"args": args, "input": self.input, "error": f"{self.error.code}: {self.error.message}"}


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(ShownAsText):
    """Networks with their costs, in order; `files` are the specs that were read.

    `beaten` are the networks that meet the condition, but are not on the Pareto front of the figures `front`. `invalid`
    are the settings of a sweep that the spec does not allow. `notes` name repeated networks and those that lack a
    figure. `demanded` are the columns that were computed because they were asked for. `swept` are the arguments with
    several values, and `input` if there are several sizes.
    """

    entries: tuple[CatalogEntry, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()
    beaten: tuple[CatalogEntry, ...] = ()
    front: tuple[str, ...] = ()
    invalid: tuple[Invalid, ...] = ()
    demanded: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns in which any network has a value; of the variants of one spec, those that differ."""
        own = filled((*COMPARED[:-2], *self.demanded, *COMPARED[-2:]), self.entries)
        shown = (*COSTS, *self.demanded, *self.swept)
        return tuple(name for name in own if name in shown) if self.swept else own

    @property
    def args(self) -> Mapping[str, str]:
        """The arguments that were set to one value in all networks, as text."""
        first = self.entries[0].args if self.entries else ()
        return {name: show(value) for name, value in first if name not in self.swept}

    @property
    def _table(self) -> tuple[list[str], list[list[str]]]:
        return table(self.entries, self.columns, [name for name in self.swept if name != "input"])

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """A row of printed cells for each network, one cell for each of `columns`."""
        return tuple(map(tuple, self._table[1]))

    def to_json(self) -> list[dict[str, Any]]:
        """The data of `archdsl compare --format json`: a dictionary per network, with `args` if they were set.

        Invalid settings follow, with `args`, `input` and `error`.
        """
        return [*to_json(self.entries), *(one.to_json() for one in self.invalid)]

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows of `to_json` as a table, arguments as columns `args.n`. Raises E0807 without pandas.

        A receptive field is a number of pixels: that of the smallest axis, infinite if it is the whole input.
        """
        require_package("pandas", help="pip install pandas")
        import pandas

        rows = [flattened(row) for row in self.to_json()]
        for row, entry in zip(rows, self.entries, strict=False):  # invalid settings follow
            row["receptive_field"] = COLUMNS["receptive_field"].number(entry)
        return pandas.DataFrame(rows)

    def text(self, format: str = "table", style: Style = Style()) -> str:
        """Return the comparison as `table`, `json`, `csv` or `markdown`; `style` applies to a table.

        Raises E0001 for another format.
        """
        check_choice("format", format, FORMATS)
        if format in ("json", "csv"):
            return as_json(self.to_json()) if format == "json" else as_csv(self.to_json())
        return _as_table(self, style) if format == "table" else as_markdown(*self._table)

    def _repr_html_(self) -> str:
        titles, rows = self._table
        return html_table(titles, rows, {*titles} - LEFT)

    def chart(self, format: str = "svg") -> ComparisonChart:
        """Draw a chart of two figures; a bubble's area shows the parameters.

        The figures are the first two of `front`, by default MACs and top-1 accuracy as in Bianco et al. 2018; for the
        variants of one spec, parameters and MACs. `format`: svg, html, png or pdf. The chart omits networks that lack a
        figure, and for accuracies those whose number of classes is not the most common one; its notes list them.
        Raises E0001 for an unknown format, E0851 without matplotlib, E0852 if no network has both figures.
        """
        columns = self.columns if self.swept else COMPARED
        return comparison_chart(self.entries, format, columns, self.front, self.beaten, self.swept)


def compare(
    *specs: str | Path | Network,
    args: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
    where: str | None = None,
    pareto: str | Sequence[str] = (),
    sort: str | None = None,
    reverse: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Compare the costs of networks, each network once.

    A SPEC is an argument of `load`, a loaded network, or a pattern: `"resnet*"`, `"specs/*.yaml"`, `"net.yaml#*"`.
    `args` and `input` set arguments and the input size of all of them; published accuracies then do not apply, and
    networks without such an argument are left out, with a note.

    `where` keeps the networks that meet a condition on their figures: `"params < 5M and peak < 2GiB"`. `pareto` names
    two or more figures, `"top1,macs"`, and keeps the networks that no other one beats: none is better in one of these
    figures and at least equal in the others. `sort`: a column; by default the order of `specs`. A network that lacks a
    figure of `where` or `pareto` is left out, with a note. `progress` is called with the number of counted networks and
    of all.

    Raises the errors of all specs together, with the SPEC of each; E0001 for an unknown column, E0003 for `reverse`
    without `sort` and for a loaded network with `args` or `input`, E0204 and E0205 for a pattern that matches nothing;
    E0303 to E0306 and E0912 for a wrong condition, E0913 if no network is left.
    """
    for spec in specs:
        check_type("spec", spec, "a path, a name or a network", str, os.PathLike, Network)
    check_mappings(args=args)
    check_callables(progress=progress)
    if not specs:
        raise error("E0002", "`specs` is empty: pass at least one SPEC", status=2)
    asked = choice(where, pareto, sort, reverse, SORTED)
    comparison = _counted(expanded(specs), args or {}, input, asked, progress)
    return chosen(comparison, asked)


def chosen(comparison: Comparison, asked: Choice) -> Comparison:
    """Return the networks that meet the condition and are on the front, sorted. Raises E0913 if there are none."""
    kept, beaten, notes = asked.apply(comparison.entries, comparison.swept)
    return replace(comparison, entries=kept, beaten=beaten, notes=(*comparison.notes, *notes), front=asked.front)


def _counted(
    specs: Sequence[str | Path | Network],
    args: Mapping[str, object],
    input: str | Sequence[int] | None,
    asked: Choice,
    progress: Progress | None,
) -> Comparison:
    entries: dict[tuple[str, str], CatalogEntry] = {}
    first: dict[tuple[str, str], str] = {}
    files: list[str] = []
    problems: list[tuple[str, ArchError]] = []
    repeated = [spec for spec, times in Counter(map(str, specs)).items() if times > 1]
    unique, extra = tuple(dict.fromkeys(specs)), demanded(asked.figures)
    for number, spec in enumerate(unique):
        try:
            net = as_network(spec, args, input)
        except ArchError as problem:
            problems.append((str(spec), problem))
        else:
            key = net.name, net.fingerprint
            if key in entries:
                repeated.append(f"{spec} (the same network as {first[key]})")
            entries[key] = entry_of(net, input is None, extra)
            first.setdefault(key, str(spec))
            files += net.files
        if progress is not None:
            progress(number + 1, len(unique))
    lacking = [spec for spec, problem in problems if _lacks_argument(problem)]
    if problems and (len(lacking) < len(problems) or not entries):
        raise _together(problems)
    notes = [f"compared once: {', '.join(repeated)}"] if repeated else []
    if lacking:
        notes.append(
            f"left out, without the argument {' or '.join(f'`{name}`' for name in args)}: {', '.join(lacking)}"
        )
    return Comparison(_with_distinct_names(list(entries.values())), tuple(files), tuple(notes), demanded=extra)


def _lacks_argument(problem: ArchError) -> bool:
    return all(d.code == "E0212" and "has no argument" in d.message for d in problem.diagnostics)


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
    """A table with a column per network if the page is wide enough, else with a row; rows for variants of a spec."""
    from archdsl.analysis.count import CONVENTION
    from archdsl.report.grid import grid

    titles, rows = comparison._table
    names = ["", *(row[0] for row in rows)]
    turned = [[title, *(row[n] for row in rows)] for n, title in enumerate(titles) if n]
    width = sum(max(map(len, column)) + 2 for column in zip(names, *turned, strict=True)) - 2 if turned else 0
    if not comparison.swept and width <= (style.width or _PAGE_WIDTH):
        text = grid(names, turned, set(names[1:]), style)
    else:
        text = grid(titles, rows, {*titles} - LEFT, style, _DROPPED)
    note = f"counted   {CONVENTION}; the receptive field is that of the last feature map"
    args = ", ".join(f"{name}={value}" for name, value in comparison.args.items())
    lines = [f"arguments {args}"] * bool(args) + [note]
    lines += [f"{label:9} {text}" for label, text in conventions(comparison.demanded)]
    return "\n".join([text, *(style.paint("quiet", line) for line in lines), *invalid_lines(comparison)]) + "\n"


def invalid_lines(comparison: Comparison) -> list[str]:
    """The invalid settings, those with the same error in one line."""
    reasons: dict[str, list[str]] = {}
    for one in comparison.invalid:
        reasons.setdefault(f"{one.error.code}: {one.error.message}", []).append(one.setting)
    lines = [f"{len(settings)} x {reason}: {few(settings, _LISTED)}" for reason, settings in reasons.items()]
    return ["", f"invalid   {len(comparison.invalid)} settings", *lines] if lines else []
