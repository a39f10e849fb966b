"""`archdsl check`: everything that is wrong with specs, and their claims held against the truth."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, color_option, force_option, format_option, input_option, output_option


@click.command("check")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@arg_option
@input_option
@click.option("--strict", is_flag=True, help="A warning fails the check as well.")
@format_option("text", "json", "sarif")
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    args: dict[str, str],
    size: str | None,
    strict: bool,
    format: str,
    output: str | None,
    force: bool,
) -> int:
    """Everything that is wrong with specs, all of it at once.

    Each file's own network is checked and all its variants; a folder stands for its .yaml files. Published numbers
    under `claims` must be right at the precision they are written with. Exits with 1 where a spec is wrong.
    """
    import archdsl
    from archdsl.spec.open import parse_overrides

    report = archdsl.check(*specs, input=size, args=parse_overrides(args), progress=console.progress("checking"))
    console.give(report.text(format, console.style(output)), output, force, inputs=report.files)
    return max(report.status, int(strict and report.count("warning") > 0))
