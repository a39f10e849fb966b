"""`archdsl fix`: repair specs with the fixes of their diagnostics."""

from __future__ import annotations

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import color_option


@click.command("fix")
@click.argument("files", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete.files)
@click.option("--unsafe", is_flag=True, help="Also apply fixes that guess, or that change the network.")
@click.option("--diff", is_flag=True, help="Write nothing; print the changes.")
@color_option
@click.pass_obj
def command(console: Console, files: tuple[str, ...], unsafe: bool, diff: bool) -> int:
    """Repair specs in place, and report what remains; - repairs standard input to standard output.

    Only wrong text changes; a fix that would add errors is undone. A folder means all .yaml and .yml
    files in it and its subfolders that have a key net, extends or archdsl. Exits with 1 if a spec still has errors.
    """
    import archdsl
    from archdsl.diagnostics import ArchError, escape_control, line_start
    from archdsl.diagnostics.status import status_of
    from archdsl.library.check_report import CheckReport

    report = archdsl.fix(*files, unsafe=unsafe, progress=console.progress("fixing"))
    printed = diff or "-" in files
    status, unwritten = report.status, set()
    for file in report.files:
        try:
            console.write_output(file.difference() if diff else file.after) if printed else file.write()
        except ArchError as problem:  # the other files are still repaired
            console.print_diagnostics(problem.diagnostics)
            status = max(status, status_of(problem))
            unwritten.add(file.name)
            continue
        for fixed in file.applied:
            console.print_note(escape_control(f"{'would fix' if diff else 'fixed'} {fixed}"))
        for undone in file.undone:
            console.print_note(escape_control(f"not fixed {undone}: this would add errors"))
        if file.unsafe and not unsafe:
            console.print_note(line_start(f"{file.name}: --unsafe tries {file.unsafe} more"))
    if printed:
        console.print_diagnostics(report.remaining.diagnostics)
    else:
        written = tuple(file.checked for file in report.files if file.name not in unwritten)
        console.write_output(CheckReport(written).text("text", console.style()))
    return status
