"""`archdsl params`: layers, shapes, parameters, MACs and memory of a network."""

from __future__ import annotations

from typing import Literal

import click

from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    Range,
    arg_option,
    color_option,
    input_option,
    result_options,
    spec_argument,
)


@click.command("params")
@spec_argument
@arg_option
@input_option
@click.option("--batch", type=Range(1, 2**31 - 1), default=1, show_default=True, help="Batch size for MACs and memory.")
@click.option("--depth", type=Range(0, 64), help="Levels of nested blocks with rows of their own. Default: 1.")
@click.option("--all", "every", is_flag=True, help="Print a row for every node.")
@click.option(
    "--share",
    type=Choice(["macs", "params"]),
    default="macs",
    show_default=True,
    help="Total that the percentages refer to.",
)
@result_options("table", "json", "csv", "markdown")
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
    share: Literal["macs", "params"],
    format: str,
    output: str | None,
    force: bool,
) -> int:
    """Print layers, shapes, parameters, MACs and memory of a network.

    Consecutive equal blocks share a row. Builds and traces no model, and needs no weights. If the spec has errors,
    prints them, then what is known: `?` marks what is not, and totals are lower bounds. Exits with 1 then.
    """
    from archdsl.network import open_network
    from archdsl.report.params import params_report

    net = open_network(spec, args, size, partial=True)
    text = params_report(
        net.graph,
        format,
        batch=batch,
        depth=depth,
        every_node=every,
        share=share,
        style=console.style(output),
        errors=net.errors,
    )
    console.print_diagnostics(net.graph.notes if net.problem is None else net.problem.diagnostics)
    if net.nodes or format in ("json", "csv"):
        console.write_output(text, output, force, inputs=net.files)
    else:
        console.print_note("nothing is known of this network, so there is no table")
    return 0 if net.complete else 1
