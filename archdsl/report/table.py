"""The table of `archdsl params`.

This module lays it out without rich, whose import takes 55 ms of the 250 ms that the command may take. In a pipe the
table is plain and has its full width; in a terminal it fits the width and has colours, unless NO_COLOR is set.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TextIO, TypeAlias

from archdsl.analysis.parts import Part
from archdsl.analysis.receptive_field import format_field
from archdsl.analysis.summary import Row, Summary
from archdsl.diagnostics import escape_control
from archdsl.diagnostics.color import painted, takes_color
from archdsl.graph import FreeSize, Graph
from archdsl.report.words import part_written, run_name
from archdsl.shapes import format_shape

Share: TypeAlias = Literal["macs", "params"]

_GAP = "  "
_GOOD, _LEAST = (24, 24), (16, 8)
"""Least widths of path and op: as long as another column can be omitted instead, and after that."""
_NAMED = 5
"""The most nodes that a line below the table names."""


class Style(NamedTuple):
    """How to print text: the width in characters (None: unlimited), colours, and box characters for lines."""

    width: int | None = None
    color: bool = False
    unicode: bool = True

    def paint(self, role: str, text: str) -> str:
        return painted(role, text, self.color)


def style_of(stream: TextIO) -> Style:
    """Return the style for a stream, from its type (terminal or not), its encoding, NO_COLOR and TERM."""
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    width = None
    if stream.isatty():
        import shutil  # 2 ms, which a pipe does not need

        width = shutil.get_terminal_size().columns
    return Style(width, takes_color(stream), encoding.startswith("utf"))


class TableColumn(NamedTuple):
    """A column: its title, whether it is aligned to the right, and its cells."""

    title: str
    right: bool
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return max(len(self.title), max(map(len, self.cells), default=0))

    def cut(self, width: int, dots: str) -> TableColumn:
        """The column with at most `width` characters: paths are shortened in the middle, ops at the end."""
        return self._replace(cells=tuple(_shorten(c, width, dots, self.title == "path") for c in self.cells))


def params_table(summary: Summary, style: Style = Style(), share: Share = "macs") -> str:
    """Return the table as text: heading, rows, totals, auxiliary heads, and the convention of counting."""
    columns = _columns(summary, share)
    return laid_out(
        heading(summary.graph, summary.batch, style), columns, len(summary.rows), _footer(summary, style), style
    )


def laid_out(
    heading: str, columns: Sequence[TableColumn], count: int, footer: Sequence[str], style: Style = Style()
) -> str:
    """Return a table as text: the first `count` rows, a row of totals, further rows, and the lines below."""
    columns = _fit(list(columns), style)
    line = ("─" if style.unicode else "-") * (sum(c.width for c in columns) + len(_GAP) * (len(columns) - 1))
    body = list(zip(*(c.cells for c in columns), strict=True))
    text = [heading, ""]
    text.append(_line(columns, [c.title for c in columns], lambda n: "head", style))
    text.append(style.paint("quiet", line))
    text += [_line(columns, cells, _cell_role(columns, cells), style) for cells in body[:count]]
    text.append(style.paint("quiet", line))
    text.append(_line(columns, body[count], lambda n: "total", style))
    text += [_line(columns, cells, lambda n: "quiet", style) for cells in body[count + 1 :]]
    return "\n".join([*text, "", *footer]) + "\n"


# --- cells -----------------------------------------------------------------------------------------------


def _columns(summary: Summary, share: Share) -> list[TableColumn]:
    totals = summary.totals
    whole = (totals.macs if share == "macs" else totals.params) if summary.graph.complete else 0
    rows = [_cells(summary, row, getattr(row, share), whole) for row in summary.rows]
    everything = "100.0 %" if whole else "-"
    total = "total" if summary.graph.complete else "at least"
    rows.append([total, "", "", _number(totals.params), _number(totals.macs), everything, ""])
    if summary.aux_rows:
        rows.append(["training only:", "", "", "", "", "", ""])
    rows += [[*_cells(summary, row, 0, 0)[:5], "", ""] for row in summary.aux_rows]
    title = "of MACs" if share == "macs" else "of params"
    titles = ("path", "op", "output", "params", "MACs", title, "receptive field")
    return [TableColumn(t, n >= 2, tuple(row[n] for row in rows)) for n, t in enumerate(titles)]


def _cells(summary: Summary, row: Row, value: int, whole: int) -> list[str]:
    part = row.part
    share = f"{100 * value / whole:.1f} %" if value and whole else "-"
    return [
        part_path(part),
        part_written(summary.graph, part),
        format_shape(row.shape) or "?",
        _number(row.params) if row.known else at_least(row.params, False),
        _number(row.macs) if row.known else at_least(row.macs, False),
        share,
        format_field(row.field) if row.shape else "?",
    ]


def part_path(part: Part) -> str:
    """Return the path of a row: of a run of equal blocks, the first and the last, and their number."""
    path = part.path if len(part.copies) == 1 else f"{run_name(part, ' .. ')}  x{len(part.copies)}"
    return escape_control(path)


def at_least(value: int, known: bool) -> str:
    """Return a sum as text; if some of its terms are unknown, `>= 1,234`, or `?` if the others are 0."""
    return f"{value:,}" if known else f">= {value:,}" if value else "?"


def _number(value: int) -> str:
    return f"{value:,}" if value else "-"


def _shorten(text: str, width: int, dots: str, middle: bool) -> str:
    if len(text) <= width:
        return text
    if not middle:
        return text[: width - len(dots)] + dots
    end = (width - len(dots)) * 2 // 3
    return text[: width - len(dots) - end] + dots + text[len(text) - end :]


# --- layout ----------------------------------------------------------------------------------------------


def _fit(columns: list[TableColumn], style: Style) -> list[TableColumn]:
    """Columns that fit the width: paths and ops are shortened first, then the last columns are omitted."""
    if style.width is None:
        return columns
    dots = "…" if style.unicode else ".."
    while True:
        excess = sum(c.width + len(_GAP) for c in columns) - len(_GAP) - style.width
        path, op = columns[0], columns[1]
        least = _GOOD if len(columns) > 5 else _LEAST
        spare = max(path.width - least[0], 0) + max(op.width - least[1], 0)
        if excess > spare and len(columns) > 4:
            columns = columns[:-1]
            continue
        narrow = max(op.width - max(excess, 0), min(op.width, least[1]))
        excess -= op.width - narrow
        wide = max(path.width - max(excess, 0), min(path.width, least[0]))
        return [path.cut(wide, dots), op.cut(narrow, dots), *columns[2:]]


def _line(columns: Sequence[TableColumn], cells: Sequence[str], role: Callable[[int], str], style: Style) -> str:
    texts = []
    for n, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        padded = cell.rjust(column.width) if column.right else cell.ljust(column.width)
        texts.append(style.paint(role(n), padded) if role(n) else padded)
    return _GAP.join(texts).rstrip()


def _cell_role(columns: Sequence[TableColumn], cells: Sequence[str]) -> Callable[[int], str]:
    return lambda n: "path" if n == 0 else "quiet" if cells[n] == "-" or columns[n].title == "receptive field" else ""


# --- around the rows -------------------------------------------------------------------------------------


def heading(graph: Graph, batch: int, style: Style) -> str:
    """Return the line above a table: the name of the network, its input and the batch."""
    batch_text = f", batch {batch}" if batch > 1 else ""
    inputs = escape_control(graph.input_spec) or "?"
    return f"{style.paint('name', escape_control(graph.name))}  input {inputs}{batch_text}"


def _footer(summary: Summary, style: Style) -> list[str]:
    totals, graph = summary.totals, summary.graph
    least = "" if graph.complete else "at least "
    peak = in_bytes(totals.peak_memory_bytes)
    peak += f" at {escape_control(graph.nodes[summary.peak.node].path)}" if totals.peak_memory_bytes else ""
    deep = f"; {totals.depth} weighted layers deep" if graph.complete else ""
    entries = [
        (
            "params",
            f"{least}{totals.params:,} trained{f', {totals.buffers:,} in buffers' if totals.buffers else ''}; "
            f"{in_bytes(totals.weight_bytes)} of weights",
        ),
    ]
    if totals.aux_params:
        entries.append(("aux heads", f"{least}{totals.aux_params:,} more params, training only"))
    entries += [
        (
            "work",
            f"{least}{in_short(totals.macs)}MACs = {in_short(totals.flops)}FLOPs{deep}",
        ),
        ("memory", f"{least}{totals.activations:,} activations; peak {peak}"),
    ]
    if graph.unread:
        entries.append(("not run", _unread(summary)))
    if graph.sizes and graph.complete:
        sizes = _legal(graph.sizes)
        if graph.training_sizes not in ((), graph.sizes):
            heads = ", ".join(f"`{escape_control(name)}`" for name in graph.aux)
            sizes += f"; to train with {heads}: {_legal(graph.training_sizes)}"
        entries.append(("sizes", sizes))
    if not graph.complete:
        entries.append(
            ("incomplete", f"the spec has errors; {len(graph.unknown)} of {len(graph.nodes)} nodes unknown: ?")
        )
    entries.append(("counted", summary.convention))
    return footer_lines(entries, style)


def _legal(sizes: Sequence[FreeSize]) -> str:
    reasons = dict.fromkeys(size.pinned for size in sizes if size.pinned)
    return ", ".join(map(str, sizes)) + "".join(f" ({escape_control(reason)})" for reason in reasons)


def _unread(summary: Summary) -> str:
    """Name the nodes that no output depends on, and the parameters that the PyTorch module holds for them."""
    graph = summary.graph
    nodes = [graph.nodes[number] for number in sorted(graph.unread)]
    names = [escape_control(node.path) for node in nodes[:_NAMED]]
    names += [f"{len(nodes) - _NAMED} more"] if len(nodes) > _NAMED else []
    params = sum(param.numel for node in nodes for param in node.params if param.trained)
    held = f"; their {params:,} params are counted, because the PyTorch module holds them" if params else ""
    return f"{', '.join(names)}: no output depends on them, so their MACs and activations are not counted{held}"


def footer_lines(entries: Sequence[tuple[str, str]], style: Style) -> list[str]:
    """Return the lines below a table: a label and a text each."""
    return [line for label, text in entries for line in _entry(label, text, style)]


def _entry(label: str, text: str, style: Style) -> list[str]:
    head = label.ljust(11)
    width = max((style.width or 0) - len(head), 30) if style.width else 10_000
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    return [style.paint("quiet", head) + lines[0], *(" " * len(head) + line for line in lines[1:])]


def in_short(value: int) -> str:
    """Return a count with four digits and a unit: `4.089 G`, or `832 ` without one."""
    scaled, units = float(value), ["", "k", "M", "G", "T", "P", "E"]
    while abs(scaled) >= 999.95 and len(units) > 1:
        scaled /= 1000
        units.pop(0)
    if isinstance(value, int) and abs(value) < 1000:
        return f"{value} "
    return f"{scaled:#.4g} {units[0]}".replace(". ", " ")


def in_bytes(value: int) -> str:
    """Return a number of bytes with a decimal unit: `102.4 MB`."""
    return f"{in_short(value)}B"


def csv_text(text: str) -> str:
    """Escape control characters, and prefix a text with `'` if a spreadsheet would read it as a formula."""
    text = escape_control(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
