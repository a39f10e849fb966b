"""`archdsl fmt`: rewrite specs in the short form, with one layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import color_option

if TYPE_CHECKING:
    from archdsl.backends.spec.format_files import FormattedFile


@click.command("fmt")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, shell_complete=complete.files)
@click.option(
    "--check", is_flag=True, help="Write nothing; list the files that would change and exit with 1 if there are any."
)
@click.option("--diff", is_flag=True, help="Write nothing; print the changes.")
@color_option
@click.pass_obj
def command(console: Console, files: tuple[str, ...], check: bool, diff: bool) -> int:
    """Rewrite specs in the short form, in place; - formats standard input to standard output.

    Keeps comments, the order of keys and the meaning: a file whose network would change is not written. A folder means
    all .yaml and .yml files in it and its subfolders.
    """
    from archdsl.backends.spec.format_files import format_files
    from archdsl.diagnostics import ArchError
    from archdsl.diagnostics.status import status_of

    status = changed = 0
    for file in format_files(files):
        try:
            if file.problem is not None:
                raise file.problem
            _report(console, file, check, diff)
        except ArchError as problem:  # the other files are still formatted
            console.print_diagnostics(problem.diagnostics)
            status = max(status, status_of(problem))
        changed += file.changed
    if check and changed:
        console.print_note(f"{changed} file{'s' if changed > 1 else ''} would change")
    return max(status, int(check and changed > 0))


def _report(console: Console, file: FormattedFile, check: bool, diff: bool) -> None:
    """Print or write one file, depending on the options."""
    from archdsl.diagnostics import line_start

    if check and file.changed:
        console.write_output(f"{line_start(file.name)}\n")
    if diff:
        console.write_output(file.difference())
    if not check and not diff and file.name == "-":
        console.write_output(file.after)
    elif not check and not diff and file.changed:
        file.write()
        console.print_note(f"formatted {file.name}")
