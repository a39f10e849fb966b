"""`archdsl list`: the networks of the library."""

from __future__ import annotations

import click

from archdsl.axes import KINDS, MOST
from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import Choice, Range, color_option, result_options
from archdsl.language.keys import TASKS
from archdsl.library.columns import FORMATS, LISTED

_AXES = ", ".join(f"{number} {kind.bare}" for number, kind in enumerate(KINDS))


@click.command("list")
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1, shell_complete=complete.networks)
@click.option("--family", metavar="PATTERN", multiple=True, help="Only families that match. May be repeated.")
@click.option("--task", type=Choice(TASKS), multiple=True, help="Only networks for this task. May be repeated.")
@click.option("--year", metavar="YEARS", help="Only this year or range: 2015, 2014-2016, 2019-, -2015.")
@click.option("--min-params", metavar="N", help="Minimum number of parameters: 500k, 10M.")
@click.option("--max-params", metavar="N", help="Maximum number of parameters.")
@click.option("--min-macs", metavar="N", help="Minimum number of MACs: 500M, 1.5G.")
@click.option("--max-macs", metavar="N", help="Maximum number of MACs.")
@click.option("--min-top1", metavar="PERCENT", help="Minimum published top-1 accuracy.")
@click.option("--axes", type=Range(0, MOST), help=f"Only networks with an input of so many spatial axes: {_AXES}.")
@click.option("--sort", type=Choice(LISTED), default="family", show_default=True, help="Sort by this column.")
@click.option("-r", "--reverse", is_flag=True, help="Sort in descending order.")
@result_options(*FORMATS)
@color_option
@click.pass_obj
def command(
    console: Console,
    /,
    patterns: tuple[str, ...],
    family: tuple[str, ...],
    task: tuple[str, ...],
    axes: int | None,
    sort: str,
    reverse: bool,
    format: str,
    output: str | None,
    force: bool,
    **limits: str | None,
) -> None:
    """List the networks of the library with size, cost and published accuracy.

    PATTERN selects networks by name: 'resnet*'.
    """
    import archdsl

    listing = archdsl.list(
        *patterns,
        family=family,
        task=task,
        axes=axes,
        sort=sort,
        reverse=reverse,
        progress=console.progress("counting"),
        **limits,
    )
    console.write_output(listing.text(format, console.style(output)), output, force)
    if not listing:
        console.print_note(f"none of {listing.total} networks is within these limits")
