"""`archdsl compare`: networks side by side, and a chart of accuracy against cost."""

from __future__ import annotations

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    arg_option,
    color_option,
    input_option,
    result_options,
    specs_argument,
)
from archdsl.library.columns import COMPARED, FORMATS


@click.command("compare")
@specs_argument
@click.option(
    "--plot",
    metavar="FILE",
    shell_complete=complete.files,
    help="Write a chart of accuracy against MACs: .svg, .html, .png or .pdf.",
)
@click.option("--sort", type=Choice(COMPARED), help="Sort by this column. Default: the order of SPEC.")
@click.option("-r", "--reverse", is_flag=True, help="Sort in descending order.")
@arg_option
@input_option
@result_options(*FORMATS)
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    args: dict[str, str],
    plot: str | None,
    sort: str | None,
    reverse: bool,
    size: str | None,
    format: str,
    output: str | None,
    force: bool,
) -> None:
    """Compare networks: size, cost, depth, memory, receptive field, published accuracy.

    A SPEC may be a pattern: 'resnet*' of the library, 'specs/*.yaml', 'net.yaml#*': all networks of a file. The chart
    follows Bianco et al. 2018: one bubble for each network with a published accuracy; its area shows the number of
    parameters.
    """
    import archdsl
    from archdsl.library.comparison_chart import chart_format
    from archdsl.spec.open import parse_overrides

    # A wrong ending is reported before the networks are counted, which takes seconds for '*'.
    plot_format = None if plot is None else chart_format(plot)
    comparison = archdsl.compare(
        *specs,
        args=parse_overrides(args),
        input=size,
        sort=sort,
        reverse=reverse,
        progress=console.progress("counting"),
    )
    chart = None if plot_format is None else comparison.chart(plot_format)
    if plot is not None and chart is not None:
        chart.check_target(plot, comparison.files, force)
    if plot != "-" or (output and output != "-"):
        console.write_output(comparison.text(format, console.style(output)), output, force, inputs=comparison.files)
    if plot == "-" and chart is not None:
        console.write_bytes(chart.data, None)
    elif plot is not None and chart is not None:
        console.print_written(chart.write(plot, comparison.files, force))
    for note in (*comparison.notes, *(chart.notes if chart is not None else ())):
        console.print_note(f"note: {note}")
