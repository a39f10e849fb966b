"""`archdsl passes`: what each pass changes in an ONNX file."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import (
    arg_option,
    color_option,
    disable_option,
    input_option,
    result_options,
    spec_argument,
)


@click.command("passes")
@spec_argument
@disable_option
@arg_option
@input_option
@result_options("table", "json", "markdown")
@color_option
@click.pass_obj
def command(
    console: Console,
    spec: str,
    disable: tuple[str, ...],
    args: dict[str, str],
    size: str | None,
    format: str,
    output: str | None,
    force: bool,
) -> None:
    """List what each pass of `compile` changes in a network's ONNX file: nodes, bytes of weights, MACs.

    Each pass reads the result of the one before it. --disable skips one, `compile -O0` skips all. Needs no weights.
    """
    from archdsl.backends.onnx.effects import passes_report
    from archdsl.network import open_network
    from archdsl.passes.optimise import passes_without

    net = open_network(spec, args, size)
    report = passes_report(net.graph, passes_without(disable))
    console.print_diagnostics(net.graph.notes)
    console.write_output(report.text(format, console.style(output)), output, force, inputs=net.files)
