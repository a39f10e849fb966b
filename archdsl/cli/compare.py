"""`archdsl compare`: networks side by side, those that meet a condition, and a chart of two figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import (
    arg_option,
    color_option,
    input_option,
    result_options,
    specs_argument,
)
from archdsl.library.columns import FORMATS, SORTED

if TYPE_CHECKING:
    from archdsl.library.compare import Comparison

F = TypeVar("F", bound=Callable[..., Any])


def _all_of(context: click.Context, option: click.Parameter, conditions: tuple[str, ...]) -> str | None:
    """One condition for all: each in parentheses if there are several."""
    if len(conditions) < 2:
        return next(iter(conditions), None)
    return " and ".join(f"({one})" for one in conditions)


def where_option(help: str) -> Callable[[F], F]:
    """Return the option of a condition."""
    return click.option("--where", metavar="CONDITION", multiple=True, callback=_all_of, help=help)


def choice_options(command: F) -> F:
    """Add the options that choose networks, order them and draw them."""
    options = (
        where_option("Keep those that meet it: 'params < 5M and peak < 2GiB'. May be repeated."),
        click.option(
            "--pareto",
            metavar="FIGURE,FIGURE",
            default="",
            help="Keep those that no other one beats in these figures: depth,macs, or top1,macs of published networks.",
        ),
        click.option(
            "--plot",
            metavar="FILE",
            shell_complete=complete.files,
            help="Write a chart of the first two figures of --pareto: .svg, .html, .png or .pdf.",
        ),
        click.option(
            "--sort",
            metavar="COLUMN",
            shell_complete=complete.one_of(*SORTED),
            help="Sort by this column, such as macs.",
        ),
        click.option("-r", "--reverse", is_flag=True, help="Sort in descending order."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("compare")
@specs_argument
@choice_options
@arg_option
@input_option
@result_options(*FORMATS)
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    args: dict[str, str],
    where: str | None,
    pareto: str,
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
    has a bubble for each network, whose area shows the number of parameters; without `--pareto` it shows the published
    accuracy against MACs, as in Bianco et al. 2018.
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
        where=where,
        pareto=pareto,
        sort=sort,
        reverse=reverse,
        progress=console.progress("counting"),
    )
    print_comparison(console, comparison, format, output, plot, plot_format, force)


def print_comparison(
    console: Console,
    comparison: Comparison,
    format: str,
    output: str | None,
    plot: str | None,
    plot_format: str | None,
    force: bool,
) -> None:
    """Write the rows, the chart if one is wanted, and the notes."""
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
