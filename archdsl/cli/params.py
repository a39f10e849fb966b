"""`archdsl params`: what a network consists of and costs."""

from __future__ import annotations

from typing import Literal

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
    share: Literal["macs", "params"],
    format: str,
    output: str | None,
    force: bool,
) -> None:
    """Layers, shapes, parameters, operations and memory of a network.

    Equal blocks that follow one another share a row. Nothing is built or traced, and no weights are needed.
    """
    from archdsl.network import open_network
    from archdsl.report.params import params_report

    net = open_network(spec, args, size)
    text = params_report(
        net.graph, format, batch=batch, depth=depth, every_node=every, share=share, style=console.style(output)
    )
    console.tell(net.graph.notes)
    console.give(text, output, force, inputs=net.files)
