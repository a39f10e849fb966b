"""The report of `archdsl params --training` in each format."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from archdsl.analysis.summary import Row, Summary, summarize
from archdsl.analysis.training import TrainingCost
from archdsl.graph import Graph
from archdsl.report.params import check_rows
from archdsl.report.table import (
    Style,
    TableColumn,
    footer_lines,
    heading,
    in_bytes,
    in_short,
    laid_out,
    part_path,
)
from archdsl.report.words import kind_of, part_written
from archdsl.shapes import concrete, format_shape

_TITLES = ("path", "op", "output", "params", "stored bytes", "of stored", "FLOPs")
_CSV = ("path", "op", "output", "params", "stored_bytes", "flops")


def training_report(
    graph: Graph,
    cost: TrainingCost,
    format: str = "table",
    *,
    depth: int | None = None,
    every_node: bool = False,
    style: Style = Style(),
    memory: int | None = None,
) -> str:
    """Return what a training step costs as `table`, `json`, `csv` (nodes only) or `markdown`.

    `depth` and `every_node` as for `params_report`, which raises the same. `memory`: bytes, for which the largest batch
    is added.
    """
    check_rows(format, depth, every_node)
    if format == "json":
        return json.dumps(training_json(graph, cost, memory), indent=2) + "\n"
    if format == "csv":
        return _as_csv(graph, cost)
    summary = summarize(graph, 1 if depth is None else depth, every_node, cost.batch)
    cells = [_cells(summary, cost, row) for row in (*summary.rows, *summary.aux_rows)]
    params = sum(row.params for row in (*summary.rows, *summary.aux_rows))
    total = ["total", "", "", _number(params), _number(cost.stored_bytes), "100.0 %", _number(cost.flops)]
    entries = _entries(graph, cost, memory)
    if format == "markdown":
        lines = [_TITLES, (":--", ":--", *["--:"] * 5), *cells, total]
        table = "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
        return table + "\n" + "".join(f"* {label}: {text}\n" for label, text in entries)
    columns = [TableColumn(title, n >= 2, tuple(row[n] for row in (*cells, total))) for n, title in enumerate(_TITLES)]
    return laid_out(heading(graph, cost.batch, style), columns, len(cells), footer_lines(entries, style), style)


def _cells(summary: Summary, cost: TrainingCost, row: Row) -> list[str]:
    own = cost.nodes[row.part.ids.start : row.part.ids.stop]
    stored = sum(node.stored for node in own)
    return [
        part_path(row.part),
        part_written(summary.graph, row.part),
        format_shape(row.shape),
        _number(row.params),
        _number(stored),
        f"{100 * stored / cost.stored_bytes:.1f} %" if stored else "-",
        _number(sum(node.flops for node in own)),
    ]


def _number(value: int) -> str:
    return f"{value:,}" if value else "-"


def _entries(graph: Graph, cost: TrainingCost, memory: int | None) -> list[tuple[str, str]]:
    """What is below the table: a label and a text each."""
    fixed = f"weights {in_bytes(cost.weight_bytes)}, gradients {in_bytes(cost.gradient_bytes)}"
    fixed += f", {cost.optimizer} {in_bytes(cost.state_bytes)}" if cost.state_bytes else ""
    again = f", {_flops(cost.recomputed_flops)} again for checkpointed blocks" if cost.checkpoint else ""
    entries = [
        ("memory", f"{fixed}, input {in_bytes(cost.input_bytes)}, stored {in_bytes(cost.stored_bytes)}"),
        ("peak", f"{in_bytes(cost.peak_bytes)} at {cost.peak_node} ({cost.peak_phase})"),
        (
            "work",
            f"{_flops(cost.flops)} for a step: {_flops(cost.forward_flops)} forward, "
            f"{_flops(cost.backward_flops)} backward{again}",
        ),
    ]
    if memory is not None:
        entries.append(("batch", fits(cost, memory)))
    return [*entries, ("counted", convention(cost))]


def _flops(value: int) -> str:
    return f"{in_short(value)}FLOPs"


def fits(cost: TrainingCost, memory: int) -> str:
    """Return the largest batch that fits, what it needs, and what the next sample needs."""
    most = cost.largest_batch(memory)
    each = cost.peak(most + 1) - cost.peak(most)
    return (
        f"at most {most:,} in {in_bytes(memory)}: {in_bytes(cost.peak(most))}, and {in_bytes(each)} for one more sample"
    )


def convention(cost: TrainingCost) -> str:
    """Return how the figures are counted, in one line."""
    precision = "fp32" if cost.precision == "fp32" else "autocast to fp16"
    blocks = ", blocks checkpointed" if cost.checkpoint else ""
    return (
        f"a batch of {cost.batch}, {precision}, {cost.optimizer} on {cost.device}{blocks}; what the generated module "
        "stores for backward, each tensor once, in the row that stores it first; cross-entropy; without workspaces "
        "of convolutions, the allocator's rounding and the memory of CUDA itself"
    )


def training_json(graph: Graph, cost: TrainingCost, memory: int | None = None) -> dict[str, Any]:
    """Return the data of `archdsl params --training --format json`, bytes and FLOPs for the batch."""
    fields = ("batch", "optimizer", "precision", "device", "checkpoint")
    totals = ("weight_bytes", "gradient_bytes", "state_bytes", "input_bytes", "stored_bytes", "peak_bytes")
    work = ("flops", "forward_flops", "backward_flops", "recomputed_flops")
    fit = {} if memory is None else {"memory_bytes": memory, "largest_batch": cost.largest_batch(memory)}
    return {
        "name": graph.name,
        "input": graph.input_spec,
        "convention": convention(cost),
        **{name: getattr(cost, name) for name in fields},
        "totals": {name: getattr(cost, name) for name in (*totals, *work)},
        "peak": {"path": cost.peak_node, "phase": cost.peak_phase},
        **fit,
        "notes": list(cost.notes),
        "nodes": _nodes(graph, cost),
    }


def _nodes(graph: Graph, cost: TrainingCost) -> list[dict[str, Any]]:
    return [
        {
            "path": node.path,
            "op": kind_of(node),
            "output": list(concrete(node.shape)),
            "params": sum(param.numel for param in node.params if param.trained),
            "stored_bytes": own.stored,
            "flops": own.flops,
        }
        for node, own in zip(graph.nodes, cost.nodes, strict=True)
    ]


def _as_csv(graph: Graph, cost: TrainingCost) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, _CSV, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"output": "x".join(map(str, row["output"]))} for row in _nodes(graph, cost))
    return out.getvalue()
