"""`archdsl check`: report every error of specs, and compare their claims with the computed figures."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import (
    arg_option,
    color_option,
    input_option,
    result_options,
    specs_argument,
)


@click.command("check")
@specs_argument
@arg_option
@input_option
@click.option("--why", is_flag=True, help="Search for the reason of each claim that differs: another way of counting.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@result_options("text", "json", "sarif", "github")
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    args: dict[str, str],
    size: str | None,
    why: bool,
    strict: bool,
    format: str,
    output: str | None,
    force: bool,
) -> int:
    """Report everything that is wrong with specs, in one run.

    Checks each spec and all its variants; a folder means all .yaml and .yml files in it and its subfolders. The
    published figures under `claims` must agree with the network at the precision they are written with. Exits with 1 if
    a spec has errors.
    """
    import archdsl
    from archdsl.spec.open import parse_overrides

    report = archdsl.check(
        *specs, input=size, args=parse_overrides(args), why=why, progress=console.progress("checking")
    )
    console.write_output(report.text(format, console.style(output)), output, force, inputs=report.files)
    if output not in (None, "-"):
        console.print_note(report.summary)
    return max(report.status, int(strict and report.count("warning") > 0))
