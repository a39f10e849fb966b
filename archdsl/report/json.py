"""The counts of a network as JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from archdsl.analysis.count import NodeCount, convention, count, count_nodes
from archdsl.analysis.receptive_field import ReceptiveField, receptive_fields
from archdsl.analysis.summary import Row, Summary
from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.machine import to_json
from archdsl.graph import Graph, Node
from archdsl.report.table import at_least
from archdsl.report.words import kind_of, part_written
from archdsl.shapes import concrete, format_shape

_COLUMNS = ("path", "op", "inputs", "output", "params", "macs", "receptive_field", "line")


def params_json(graph: Graph, batch: int = 1, errors: Sequence[Diagnostic] = ()) -> dict[str, Any]:
    """Return the data of `archdsl params --format json`.

    Shapes have no batch axis; MACs, FLOPs, activations and peak memory are for `batch` samples. `nodes` run at
    inference, and their params and MACs sum to the totals; auxiliary heads are only in `aux_params`. `unread` are the
    paths of those that no output depends on: they have params, but nothing runs them. `line` is the line of the spec
    (from 1), null for a spec without text.

    If `complete` is false, the spec has the `errors`, the totals are lower bounds, and the output, params, MACs and
    receptive field of an unknown node are null.
    """
    counts = count_nodes(graph)
    totals = count(graph, batch, counts)
    return {
        "name": graph.name,
        "input": graph.input_spec,
        "complete": graph.complete,
        "errors": to_json(errors),
        "convention": convention(batch),
        "totals": {
            "params": totals.params,
            "buffers": totals.buffers,
            "aux_params": totals.aux_params,
            "macs": totals.macs,
            "flops": totals.flops,
            "activations": totals.activations,
            "peak_memory_bytes": totals.peak_memory_bytes,
            "weight_bytes": totals.weight_bytes,
        },
        "unread": [node.path for node in graph.nodes if node.id in graph.unread],
        "nodes": [
            _node(graph, node, counted, field, batch)
            for node, counted, field in zip(graph.nodes, counts, receptive_fields(graph), strict=True)
            if not node.training
        ],
    }


def _node(graph: Graph, node: Node, counted: NodeCount, field: ReceptiveField | None, batch: int) -> dict[str, Any]:
    return {
        "path": node.path,
        "op": kind_of(node),
        "inputs": [graph.nodes[i].path for i in node.inputs],
        "output": list(concrete(node.shape)) if node.known else None,
        "params": counted.params if node.known else None,
        "macs": batch * counted.macs if node.known else None,
        "receptive_field": None if field is None else list(field),
        "line": node.origin.span.line if node.origin.span.source.text else None,
    }


def params_csv(graph: Graph, batch: int = 1) -> str:
    """Return the nodes of `params_json` as CSV with a header: paths joined by spaces, sizes by `x`, `?` if unknown."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for node in params_json(graph, batch)["nodes"]:
        field = node["receptive_field"]
        known = node["output"] is not None
        writer.writerow(
            [
                node["path"],
                node["op"],
                " ".join(node["inputs"]),
                *(("x".join(map(str, node["output"])), node["params"], node["macs"]) if known else "???"),
                ("" if known else "?") if field is None else "x".join(map(str, field)),
                "" if node["line"] is None else node["line"],
            ]
        )
    return out.getvalue()


def params_markdown(summary: Summary) -> str:
    """Return the table of a summary as GitHub Markdown: equal blocks collapsed, totals last, the convention below."""
    totals = summary.totals
    lines = ["| path | op | output | params | MACs |", "| :-- | :-- | --: | --: | --: |"]
    lines += [_markdown_row(summary.graph, row) for row in summary.rows]
    total = "total" if summary.graph.complete else "at least"
    lines.append(f"| **{total}** | | | **{totals.params:,}** | **{totals.macs:,}** |")
    if totals.aux_params:
        lines.append(f"| auxiliary heads (training only) | | | {totals.aux_params:,} | |")
    return "\n".join([*lines, "", f"Counted for {summary.convention}.", ""])


def _markdown_row(graph: Graph, row: Row) -> str:
    part = row.part
    path = f"`{part.path}`" if part.last == part.path else f"`{part.path}` .. `{part.last}` x{len(part.copies)}"
    op = part_written(graph, part).replace("|", "\\|").replace("`", "'")
    shape = format_shape(row.shape) or "?"
    params, macs = at_least(row.params, row.known), at_least(row.macs, row.known)
    return f"| {path} | {f'`{op}`' if op else ''} | {shape} | {params} | {macs} |"
