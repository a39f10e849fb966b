"""`archdsl diff`: report the changes between two networks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    arg_option,
    color_option,
    force_option,
    input_option,
    named_values,
    output_option,
)

if TYPE_CHECKING:
    from archdsl.differences.diff import Format, NetworkDifference
    from archdsl.drawing.model.drawing import Level
    from archdsl.drawing.request import ThemeChoice


@click.command("diff")
@click.argument("specs", metavar="A B", nargs=-1, required=True, shell_complete=complete.specs)
@arg_option
@named_values(("--before",), "Set an argument of A only: --before g=1. May be repeated.")
@named_values(("--after",), "Set an argument of B only: --after g=32. May be repeated.")
@input_option
@click.option(
    "--format",
    "format",
    type=Choice(["text", "json", "svg", "html", "png", "pdf", "tex", "pptx", "drawio"]),
    help="Output format. Default: by FILE's ending, else text.",
)
@click.option(
    "--level",
    type=Choice(["network", "block", "layer"]),
    default="block",
    show_default=True,
    help="Level of detail of a drawing.",
)
@click.option(
    "--theme",
    type=Choice(["auto", "light", "dark", "print"]),
    default="auto",
    show_default=True,
    help="Colours of a drawing.",
)
@click.option(
    "--merged", is_flag=True, help="Draw one picture of both: equal boxes once, changed boxes in an old and a new half."
)
@output_option()
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    args: dict[str, str],
    before: dict[str, str],
    after: dict[str, str],
    size: str | None,
    format: Format | None,
    level: Level,
    theme: ThemeChoice,
    merged: bool,
    output: str | None,
    force: bool,
) -> int:
    """Report the changes from network A to network B: blocks, costs, and which weights can be reused.

    Exits with 0 if both describe the same network, even in different words, and with 1 if not. Also accepts the
    arguments with which git calls an external diff (docs/diff.md).
    """
    import archdsl
    from archdsl.differences.git import ARGUMENTS, git_diff
    from archdsl.spec.open import parse_overrides

    if len(specs) in ARGUMENTS:
        console.write_output(git_diff(specs, console.style()))
        return 0
    if len(specs) != 2:
        raise click.UsageError(f"diff compares two networks; got {len(specs)}")
    if output in (None, "-") and format in ("png", "pdf", "pptx") and sys.stdout.isatty():
        raise click.UsageError(
            f"cannot write a {format.upper()} file to a terminal: name a file with -o, or use a pipe"
        )
    difference = archdsl.diff(
        *specs,
        args=parse_overrides(args),
        before=parse_overrides(before),
        after=parse_overrides(after),
        input=size,
    )
    if output is None or output == "-":
        _print(console, difference, format or "text", level, theme, merged)
    else:
        _save(console, difference, output, format, level, theme, merged, force)
    return int(not difference.equal)


def _print(
    console: Console, difference: NetworkDifference, format: Format, level: Level, theme: ThemeChoice, merged: bool
) -> None:
    if format == "text" and not merged:
        console.write_output(difference.text(console.style()))
    elif format == "json" and not merged:
        console.write_output(json.dumps(difference.data(), indent=2) + "\n")
    else:
        drawn = difference.render(format, level=level, theme=theme, merged=merged)
        _note(console, drawn.note)
        console.write_bytes(drawn.data, None)


def _save(
    console: Console,
    difference: NetworkDifference,
    output: str,
    format: Format | None,
    level: Level,
    theme: ThemeChoice,
    merged: bool,
    force: bool,
) -> None:
    from archdsl.diagnostics import escape_control
    from archdsl.report.table import in_bytes

    saved = difference.save(output, format, level=level, theme=theme, merged=merged, force=force)
    _note(console, saved.note)
    console.print_note(f"wrote {escape_control(output)}  {in_bytes(saved.size)}")


def _note(console: Console, note: str) -> None:
    if note:
        console.print_note(f"note: {note}")
