"""The columns of `list` and `compare`, and their rows as JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from math import inf, prod
from typing import Any, TypeAlias

from archdsl.diagnostics import escape_control, json_visible
from archdsl.language.expressions import show
from archdsl.library.catalog import CatalogEntry
from archdsl.library.demand import DEMANDED
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
    """The size of the smallest axis: a field of 427 x 427 is written `427`."""
    return min(_numbers(entry.receptive_field), default=inf)


def _extra(name: str) -> Callable[[CatalogEntry], float | None]:
    """The value of a column of `library.demand`."""
    return lambda entry: dict(entry.extra).get(name)


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
    "receptive_field": CatalogColumn(
        "receptive field", lambda e: e.receptive_field, unit="pixels", more=True, size=_field_size
    ),
    "weights": CatalogColumn("weights MiB", lambda e: e.weight_bytes, _mebibytes, unit="bytes", more=False),
    "top1": CatalogColumn("top-1 %", lambda e: e.top1, unit="percent", more=True),
    "source": CatalogColumn("source", lambda e: e.top1_source, right=False),
    "training": CatalogColumn("training MiB", _extra("training"), _mebibytes, unit="bytes", more=False),
    "sample": CatalogColumn("training MiB per sample", _extra("sample"), _mebibytes, unit="bytes", more=False),
    "estimated_ms": CatalogColumn("estimated ms", _extra("estimated_ms"), "{:.3g}".format, unit="ms", more=False),
    "step": CatalogColumn("training FLOPs", _extra("step"), _thousands, unit="count", more=False),
}
"""By the names that `--sort` accepts."""
LEFT = {column.title for column in COLUMNS.values() if not column.right}
"""Titles of the columns that are aligned to the left; all others are aligned to the right."""
RIGHT = {column.title for column in COLUMNS.values() if column.right}
FORMATS = ("table", "json", "csv", "markdown")
NUMERIC = tuple(name for name, column in COLUMNS.items() if column.unit)
"""Columns whose values are numbers: the figures of conditions, budgets and fronts."""
FIGURES = tuple(name for name in NUMERIC if COLUMNS[name].unit not in ("year", "percent") and name != "classes")
"""Figures that depend on the architecture alone: they can have a budget."""
COSTS = ("params", "weights", "macs", "depth", "activations", "peak", "receptive_field")
LISTED = ("name", "family", "task", "year", "input", "axes", "classes", "params", "macs", "depth", "top1", "source")
COMPARED = ("name", "year", "input", "classes", *COSTS, "top1", "source")
SORTED = (*COMPARED, *DEMANDED)
"""The columns that `--sort` of `compare` and `sweep` accepts."""


def ordered(entries: Iterable[CatalogEntry], by: str, reverse: bool = False) -> list[CatalogEntry]:
    """Return the entries sorted by a column, stable; unknown values come last in either direction."""
    rows, key = list(entries), COLUMNS[by].number
    known = [e for e in rows if key(e) is not None]
    return sorted(known, key=key, reverse=reverse) + [e for e in rows if key(e) is None]


def filled(columns: Sequence[str], entries: Sequence[CatalogEntry]) -> tuple[str, ...]:
    """Return the columns in which any entry has a value."""
    return tuple(name for name in columns if any(COLUMNS[name].value(e) not in (None, "") for e in entries))


# --- arguments -------------------------------------------------------------------------------------------


def label(entry: CatalogEntry, names: Sequence[str]) -> str:
    """Return the arguments of an entry with these names, `n=3 width=16`, and its `input`; without any, its name."""
    own = dict(entry.args) | {"input": entry.input}
    return " ".join(f"{name}={show(own[name])}" for name in names if name in own) or entry.name


def demanded(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the columns that are computed only where they are asked for."""
    return tuple(name for name in dict.fromkeys(names) if name in DEMANDED)


# --- formats ---------------------------------------------------------------------------------------------


def table(
    entries: Sequence[CatalogEntry], columns: Sequence[str], args: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows of cells; arguments `args` have columns of their own, after the name if it is shown."""
    chosen = [COLUMNS[name] for name in columns]
    known = {column.title for column in chosen}
    head = int(columns[:1] == ("name",))
    titles = [c.title for c in chosen]
    named = [f"{name}=" if name in known else name for name in args]
    rows = []
    for entry in entries:
        own, cells = dict(entry.args), [c.cell(entry) for c in chosen]
        set_ = [show(own[name]) if name in own else "" for name in args]
        rows.append([*cells[:head], *set_, *cells[head:]])
    return [*titles[:head], *named, *titles[head:]], rows


def written(entries: Sequence[CatalogEntry], format: str, columns: Sequence[str]) -> str:
    """Return the entries as `json` or `csv` with every field, or `markdown` with these columns."""
    if format == "json":
        return as_json(to_json(entries))
    return as_csv(to_json(entries)) if format == "csv" else as_markdown(*table(entries, columns))


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return JSON with one line for each row."""
    text = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return json_visible(f"[\n  {text}\n]\n" if text else "[]\n")


def to_json(entries: Sequence[CatalogEntry]) -> list[dict[str, Any]]:
    """Return the data of `--format json`: every field of each entry by name, None if unknown; `args` if any."""
    return [_facts(entry) for entry in entries]


def _facts(entry: CatalogEntry) -> dict[str, Any]:
    row = {f.name: getattr(entry, f.name) for f in fields(CatalogEntry) if f.name not in ("args", "extra")}
    args = {"args": {name: plain(value) for name, value in entry.args}} if entry.args else {}
    field = {"receptive_field": int(entry.receptive_field)} if entry.receptive_field.isdigit() else {}
    return {key: plain(fact) for key, fact in row.items()} | field | dict(entry.extra) | args


def plain(value: Any) -> Any:
    """Return a value of an argument as JSON has it: lists for tuples, floats for fractions."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, Fraction) else value


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of `to_json` as CSV. Arguments have columns of their own, named `args.n`."""
    flat = [flattened(row) for row in rows]
    titles = list(dict.fromkeys(key for row in flat for key in row)) or [f.name for f in fields(CatalogEntry)][:-2]
    out = io.StringIO()
    writer = csv.DictWriter(out, titles, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _in_csv(value) for key, value in row.items()} for row in flat)
    return out.getvalue()


def flattened(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `to_json` with its arguments beside the other fields, named `args.n`."""
    args = {f"args.{name}": value for name, value in row.get("args", {}).items()}
    return args | {key: value for key, value in row.items() if key != "args"}


def _in_csv(value: object) -> object:
    """Join numbers by spaces, and escape texts."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return csv_text(value) if isinstance(value, str) else value


def as_markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rules = [":--" if title in LEFT else "--:" for title in titles]
    return "".join("| " + " | ".join(_in_markdown(cell) for cell in line) + " |\n" for line in (titles, rules, *rows))


def _in_markdown(cell: str) -> str:
    """Escape the characters that make cells, links and tags in Markdown."""
    return re.sub(r"([\\|\[`*])", r"\\\1", escape_control(cell)).replace("<", "&lt;")
