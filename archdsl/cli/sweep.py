"""`archdsl sweep`: the costs of every combination of values of a spec's arguments."""

from __future__ import annotations

import click

from archdsl.cli.compare import choice_options, print_comparison
from archdsl.cli.console import Console
from archdsl.cli.options import Range, color_option, named_values, result_options, spec_argument
from archdsl.library.columns import FORMATS


@click.command("sweep")
@spec_argument
@named_values(
    ("-a", "--arg", "args"), "Values of an argument: n=1..18, width=16..128/16, n=[3,4,6,3],[2,2,2,2]. May be repeated."
)
@click.option(
    "--input",
    "sizes",
    metavar="SIZE,...",
    multiple=True,
    help="Input sizes: 1x512x512,1x1024x1024. May be repeated.",
)
@choice_options
@click.option("--limit", type=Range(1, 1_000_000), default=10_000, show_default=True, help="Settings to count at most.")
@result_options(*FORMATS)
@color_option
@click.pass_obj
def command(
    console: Console,
    spec: str,
    args: dict[str, str],
    sizes: tuple[str, ...],
    where: str | None,
    pareto: str,
    plot: str | None,
    sort: str | None,
    reverse: bool,
    limit: int,
    format: str,
    output: str | None,
    force: bool,
) -> None:
    """Count every combination of values of a spec's arguments: parameters, MACs, depth, memory, receptive field.

    Values are ranges, `1..18` or with a step `16..128/16`, and lists, `16,32,64`. Settings that the spec does not allow
    are listed with the reason. A condition can name the arguments, too: `--where 'n >= 4 and macs < 1G'`.
    """
    import archdsl
    from archdsl.library.comparison_chart import chart_format

    plot_format = None if plot is None else chart_format(plot)
    result = archdsl.sweep(
        spec,
        args,
        input=",".join(sizes) or None,
        where=where,
        pareto=pareto,
        sort=sort,
        reverse=reverse,
        limit=limit,
        progress=console.progress("counting"),
    )
    print_comparison(console, result, format, output, plot, plot_format, force)
