"""`archdsl params`: what a network consists of and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    Range,
    arg_option,
    color_option,
    force_option,
    format_option,
    input_option,
    output_option,
    spec_argument,
)

if TYPE_CHECKING:
    from archdsl.graph import Graph


@click.command("params")
@spec_argument
@arg_option
@input_option
@click.option("--batch", type=Range(1, 2**31 - 1), default=1, help="Samples that MACs and memory are for.")
@click.option("--depth", type=Range(0, 64), help="Levels of blocks that get rows of their own (1).")
@click.option("--all", "every", is_flag=True, help="A row for every single node.")
@click.option("--share", type=Choice(["macs", "params"]), default="macs", help="What the share is a share of.")
@format_option("table", "json", "csv", "markdown")
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    spec: str,
    args: dict[str, str],
    size: str | None,
    batch: int,
    depth: int | None,
    every: bool,
    share: str,
    format: str,
    output: str | None,
    force: bool,
) -> None:
    """Layers, shapes, parameters, operations and memory of a network.

    Equal blocks that follow one another share a row. Nothing is built or traced, and no weights are needed.
    """
    if every and depth is not None:
        raise click.UsageError("--all shows every node: --depth cannot be given with it")
    if format in ("json", "csv") and (every or depth is not None):
        raise click.UsageError(f"--format {format} always lists every node: leave out --all and --depth")
    from archdsl.network import open_network

    net = open_network(spec, args, size)
    console.tell(net.graph.notes)
    text = _text(console, net.graph, format, batch, 1 if depth is None else depth, every, share)
    console.give(text, output, force, inputs=net.files)


def _text(console: Console, graph: Graph, format: str, batch: int, depth: int, every: bool, share: str) -> str:
    if format == "csv":
        from archdsl.report.json import params_csv

        return params_csv(graph, batch)
    if format == "json":
        from archdsl.report.json import params_json

        return _json_text(params_json(graph, batch))
    from archdsl.analysis.summary import summarize

    summary = summarize(graph, depth, every, batch)
    if format == "markdown":
        from archdsl.report.json import params_markdown

        return params_markdown(summary)
    from archdsl.report.table import params_table

    return params_table(summary, console.style(), share)  # type: ignore[arg-type]


def _json_text(report: dict[str, Any]) -> str:
    """JSON that a person can read as well: one node a line."""
    import json

    head = json.dumps({k: v for k, v in report.items() if k != "nodes"}, indent=2)
    nodes = ",\n    ".join(map(json.dumps, report["nodes"]))
    return f'{head[:-2]},\n  "nodes": [\n    {nodes}\n  ]\n}}\n'
