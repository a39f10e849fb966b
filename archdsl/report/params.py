"""The report of `archdsl params` in each format."""

from __future__ import annotations

import json
from collections.abc import Sequence

from archdsl.analysis.summary import summarize
from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.arguments import check_choice, check_range, conflict
from archdsl.graph import Graph
from archdsl.report.json import params_csv, params_json, params_markdown
from archdsl.report.table import Share, Style, params_table

FORMATS = ("table", "json", "csv", "markdown")
SHARES: tuple[Share, ...] = ("macs", "params")
MAX_BATCH = 2**31 - 1
MAX_DEPTH = 64


def params_report(
    graph: Graph,
    format: str = "table",
    *,
    batch: int = 1,
    depth: int | None = None,
    every_node: bool = False,
    share: Share = "macs",
    style: Style = Style(),
    errors: Sequence[Diagnostic] = (),
) -> str:
    """Return layers, shapes, parameters, MACs and memory of a network, as text in one of `FORMATS`.

    `batch`: batch size for MACs and memory. `depth`: levels of nested blocks with rows of their own, by default 1;
    with `every_node` each node has a row instead. JSON and CSV always list every node. `share`: total that the
    percentages of a table refer to. `style` applies to a table. `errors`: those of the spec, for JSON.

    Raises E0001 for an unknown format or share, E0002 for a batch or depth outside its range, E0003 if `depth`,
    `every_node` and the format exclude each other.
    """
    check_choice("share", share, SHARES)
    check_range("batch", batch, 1, MAX_BATCH)
    check_rows(format, depth, every_node)
    if format in ("json", "csv"):
        return params_csv(graph, batch) if format == "csv" else _as_json(graph, batch, errors)
    summary = summarize(graph, 1 if depth is None else depth, every_node, batch)
    return params_markdown(summary) if format == "markdown" else params_table(summary, style, share)


def check_rows(format: str, depth: int | None, every_node: bool) -> None:
    """Raise E0001 for an unknown format, E0002 for a depth outside its range, E0003 if they exclude each other."""
    check_choice("format", format, FORMATS)
    if depth is not None:
        check_range("depth", depth, 0, MAX_DEPTH)
        if every_node:
            raise conflict("`depth` cannot be set with `all`, which prints a row for every node")
    if format in ("json", "csv") and (every_node or depth is not None):
        raise conflict(f"format {format} always lists every node: remove `all` and `depth`")


def _as_json(graph: Graph, batch: int, errors: Sequence[Diagnostic]) -> str:
    """JSON with one node per line."""
    report = params_json(graph, batch, errors)
    head = json.dumps({k: v for k, v in report.items() if k != "nodes"}, indent=2)
    nodes = ",\n    ".join(map(json.dumps, report["nodes"]))
    return f'{head[:-2]},\n  "nodes": [\n    {nodes}\n  ]\n}}\n'
