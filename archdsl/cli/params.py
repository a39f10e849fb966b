"""`archdsl params`: layers, shapes, parameters, MACs and memory of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

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

if TYPE_CHECKING:
    from archdsl.network import Network
    from archdsl.report.table import Style


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
@click.option("--training", is_flag=True, help="Count a training step: memory, FLOPs, what each node stores.")
@click.option("--optimizer", type=Choice(["sgd", "adam", "adamw"]), help="Optimiser of --training. Default: sgd.")
@click.option("--precision", type=Choice(["fp32", "amp"]), help="Precision of --training. Default: fp32.")
@click.option("--device", type=Choice(["cuda", "cpu"]), help="Device of --training. Default: cuda.")
@click.option("--checkpoint", is_flag=True, help="With --training, compute blocks again instead of storing values.")
@click.option("--memory", metavar="BYTES", help="With --training, print the largest batch that fits, e.g. in 24GiB.")
@result_options("table", "json", "csv", "markdown")
@color_option
@click.pass_obj
def command(
    console: Console,
    /,
    spec: str,
    args: dict[str, str],
    size: str | None,
    batch: int,
    depth: int | None,
    every: bool,
    share: Literal["macs", "params"],
    training: bool,
    format: str,
    output: str | None,
    force: bool,
    **options: Any,
) -> int:
    """Print layers, shapes, parameters, MACs and memory of a network.

    Consecutive equal blocks share a row. Builds and traces no model, and needs no weights. If the spec has errors,
    prints them, then what is known: `?` marks what is not, and totals are lower bounds. Exits with 1 then.
    """
    from archdsl.diagnostics.arguments import conflict
    from archdsl.network import open_network
    from archdsl.report.params import params_report

    if training:
        if share != "macs":
            raise conflict("`share` is for the table without `training`", "remove `--share`")
        net = open_network(spec, args, size)
        text, notes = _training(net, options, batch, format, depth, every, console.style(output))
        for note in notes:
            console.print_note(note)
        console.write_output(text, output, force, inputs=net.files)
        return 0
    if unused := next((name for name, value in options.items() if value), None):
        raise conflict(f"`{unused}` is an option of `training`", f"add `--training`, or remove `--{unused}`")
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


def _training(
    net: Network, options: Mapping[str, Any], batch: int, format: str, depth: int | None, every: bool, style: Style
) -> tuple[str, tuple[str, ...]]:
    """The report of a training step, and notes."""
    from archdsl.network.training import training_cost
    from archdsl.planning.training import memory_bytes
    from archdsl.report.training import fits, training_report

    chosen = {name: value for name, value in options.items() if value and name != "memory"}
    cost = training_cost(net, batch=batch, **chosen)
    memory = None if options["memory"] is None else memory_bytes(net, cost, options["memory"])
    text = training_report(net.graph, cost, format, depth=depth, every_node=every, style=style, memory=memory)
    rest = (fits(cost, memory),) if memory is not None and format == "csv" else ()
    return text, (*cost.notes, *rest)
