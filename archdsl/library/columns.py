"""The columns of `list` and `compare`, and their rows as JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import inf, prod
from typing import Any, TypeAlias

from archdsl.diagnostics import escape_control, json_visible
from archdsl.library.catalog import CatalogEntry
from archdsl.library.quantities import Unit
from archdsl.report.table import csv_text


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column: `value` is what it shows (None: unknown), `show` formats it.

    A column of numbers has a `unit`; `more` says which of two numbers is the better one, None that neither is.
    """

    title: str
    value: Callable[[CatalogEntry], Any]
    show: Callable[[Any], str] = str
    right: bool = True
    unit: Unit | None = None
    more: bool | None = None
    size: Callable[[CatalogEntry], Any] | None = None
    """The sort key, where it is not `value`."""

    def cell(self, entry: CatalogEntry) -> str:
        value = self.value(entry)
        return "" if value is None else self.show(value)

    def number(self, entry: CatalogEntry) -> Any:
        """Return the sort key; None if it is unknown. It is a number if the column has a unit."""
        value = self.value(entry)
        if value in (None, ""):
            return None
        return value if self.size is None else self.size(entry)


Fact: TypeAlias = str | int | float | list[int] | None


def _thousands(value: int) -> str:
    return f"{value:,}"


def _mebibytes(value: int) -> str:
    return f"{value / 2**20:,.1f}" if value >= 2**19 else f"{value / 2**20:.2g}"


def _input_size(entry: CatalogEntry) -> tuple[int, str]:
    """How many numbers one sample has in all inputs: `image: 3x224x224, meta: 8`."""
    return sum(prod(_numbers(one.rpartition(": ")[2])) for one in entry.input.split(", ")), entry.input


def _field_size(entry: CatalogEntry) -> float:
    """The mean size of an axis: a field of 427 x 427 is written `427`."""
    sizes = _numbers(entry.receptive_field)
    return prod(sizes) ** (1 / len(sizes)) if sizes else inf


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


COLUMNS: Mapping[str, CatalogColumn] = {
    "name": CatalogColumn("name", lambda e: e.name, right=False),
    "family": CatalogColumn("family", lambda e: e.family, right=False),
    "task": CatalogColumn("task", lambda e: e.task, right=False),
    "year": CatalogColumn("year", lambda e: e.year, unit="year"),
    "input": CatalogColumn("input", lambda e: e.input, size=_input_size),
    "axes": CatalogColumn("axes", lambda e: e.axes, lambda axes: ", ".join(map(str, axes))),
    "classes": CatalogColumn("classes", lambda e: e.classes, unit="count"),
    "params": CatalogColumn("params", lambda e: e.params, _thousands, unit="count", more=False),
    "macs": CatalogColumn("MACs", lambda e: e.macs, _thousands, unit="count", more=False),
    "depth": CatalogColumn("depth", lambda e: e.depth, unit="layers", more=True),
    "activations": CatalogColumn("activations", lambda e: e.activations, _thousands, unit="count", more=False),
    "peak": CatalogColumn("peak MiB", lambda e: e.peak_memory_bytes, _mebibytes, unit="bytes", more=False),
    "field": CatalogColumn("receptive field", lambda e: e.receptive_field, unit="pixels", more=True, size=_field_size),
    "weights": CatalogColumn("weights MiB", lambda e: e.weight_bytes, _mebibytes, unit="bytes", more=False),
    "top1": CatalogColumn("top-1 %", lambda e: e.top1, unit="percent", more=True),
    "source": CatalogColumn("source", lambda e: e.top1_source, right=False),
}
"""By the names that `--sort` accepts."""
RIGHT = {column.title for column in COLUMNS.values() if column.right}
"""Titles of the columns that are aligned to the right."""
FORMATS = ("table", "json", "csv", "markdown")
NUMERIC = tuple(name for name, column in COLUMNS.items() if column.unit)
"""Columns whose values are numbers: the figures of conditions, budgets and fronts."""
COSTS = ("params", "weights", "macs", "depth", "activations", "peak", "field")
LISTED = ("name", "family", "task", "year", "input", "axes", "classes", "params", "macs", "depth", "top1", "source")
COMPARED = ("name", "year", "input", "classes", *COSTS, "top1", "source")


def ordered(entries: Iterable[CatalogEntry], by: str, reverse: bool = False) -> list[CatalogEntry]:
    """Return the entries sorted by a column, stable; unknown values come last in either direction."""
    rows, key = list(entries), COLUMNS[by].number
    known = [e for e in rows if key(e) is not None]
    return sorted(known, key=key, reverse=reverse) + [e for e in rows if key(e) is None]


def filled(columns: Sequence[str], entries: Sequence[CatalogEntry]) -> tuple[str, ...]:
    """Return the columns in which any entry has a value."""
    return tuple(name for name in columns if any(COLUMNS[name].value(e) not in (None, "") for e in entries))


# --- formats ---------------------------------------------------------------------------------------------


def table(entries: Sequence[CatalogEntry], columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows of cells."""
    chosen = [COLUMNS[name] for name in columns]
    return [c.title for c in chosen], [[c.cell(e) for c in chosen] for e in entries]


def written(
    entries: Sequence[CatalogEntry], format: str, columns: Sequence[str], args: Mapping[str, str] | None = None
) -> str:
    """Return the entries as `json` or `csv` with every field, or `markdown` with these columns; JSON has `args`."""
    if format == "json":
        return as_json(entries, args)
    return as_csv(entries) if format == "csv" else as_markdown(entries, columns)


def as_json(entries: Sequence[CatalogEntry], args: Mapping[str, str] | None = None) -> str:
    """Return JSON with one line for each entry."""
    rows = ",\n  ".join(json.dumps(facts, ensure_ascii=False) for facts in to_json(entries, args))
    return json_visible(f"[\n  {rows}\n]\n" if rows else "[]\n")


def to_json(entries: Sequence[CatalogEntry], args: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the data of `--format json`: every field of each entry by name, None if unknown; `args` if any."""
    rows = [asdict(e) for e in entries]
    more = {"args": dict(args)} if args else {}
    return [{key: list(f) if isinstance(f, tuple) else f for key, f in row.items()} | more for row in rows]


def as_csv(entries: Sequence[CatalogEntry]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [f.name for f in fields(CatalogEntry)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _in_csv(value) for key, value in asdict(e).items()} for e in entries)
    return out.getvalue()


def _in_csv(value: object) -> object:
    """Join numbers by spaces, and escape texts."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return csv_text(value) if isinstance(value, str) else value


def as_markdown(entries: Sequence[CatalogEntry], columns: Sequence[str]) -> str:
    titles, rows = table(entries, columns)
    rules = ["--:" if COLUMNS[name].right else ":--" for name in columns]
    return "".join("| " + " | ".join(_in_markdown(cell) for cell in line) + " |\n" for line in (titles, rules, *rows))


def _in_markdown(cell: str) -> str:
    """Escape the characters that make cells, links and tags in Markdown."""
    return re.sub(r"([\\|\[`*])", r"\\\1", escape_control(cell)).replace("<", "&lt;")
