"""`archdsl compare`: networks side by side, and as a chart of accuracy against cost."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import Choice, color_option, force_option, format_option, input_option, output_option
from archdsl.library.columns import COMPARED, FORMATS


@click.command("compare")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.option("--plot", metavar="FILE", help="Also the chart of accuracy against MACs: x.svg, x.html, x.png or x.pdf.")
@click.option("--sort", type=Choice(COMPARED), help="By which column; default: as given.")
@click.option("-r", "--reverse", is_flag=True, help="The largest first.")
@input_option
@format_option(*FORMATS)
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    plot: str | None,
    sort: str | None,
    reverse: bool,
    size: str | None,
    format: str,
    output: str | None,
    force: bool,
) -> None:
    """Networks side by side: size, cost, depth, memory, receptive field, published accuracy.

    A SPEC with a star is a pattern of names in the library: 'resnet*'. The chart is that of Bianco et al. 2018: a ball
    for each network whose accuracy was published, its area the parameters.
    """
    import archdsl
    from archdsl.library.comparison_chart import chart_format

    kind = None if plot is None else chart_format(plot)  # before the networks are counted, which takes seconds for '*'
    comparison = archdsl.compare(*specs, input=size, sort=sort, reverse=reverse, progress=console.progress("counting"))
    chart = None if kind is None else comparison.chart(kind)
    if plot is not None and chart is not None:
        chart.check_target(plot, comparison.files, force)
    if plot != "-" or (output and output != "-"):
        console.give(comparison.text(format, console.style(output)), output, force, inputs=comparison.files)
    if plot == "-" and chart is not None:
        console.give_bytes(chart.data, None)
    elif plot is not None and chart is not None:
        console.wrote(chart.write(plot, comparison.files, force))
    for note in chart.notes if chart is not None else ():
        console.say(f"note: {note}")
