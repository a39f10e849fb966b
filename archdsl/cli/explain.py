"""`archdsl explain`: what a code or an op means."""

from __future__ import annotations

import sys

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import color_option


@click.command("explain")
@click.argument("code", required=False, shell_complete=complete.codes)
@color_option
@click.pass_obj
def command(console: Console, code: str | None) -> None:
    """Explain a code such as E0412: the rule and its reason, a wrong spec and the corrected spec.

    CODE may also be an op such as conv: its shapes, parameters and errors. Without CODE, lists all codes.
    """
    from archdsl import explain
    from archdsl.ops import OPS_BY_NAME, described

    if code is None:
        console.write_output(explain.listing())
    elif code in OPS_BY_NAME:
        console.write_output(
            f"{described(code)}\n\nFields and an example: {explain.HOME}/blob/main/docs/ops.md#{code}\n"
        )
    else:
        _show(console, explain.page(code).text)


def _show(console: Console, text: str) -> None:
    """Print Markdown: formatted on a terminal, unchanged elsewhere."""
    if not sys.stdout.isatty() or not console.paints(sys.stdout):
        console.write_output(text)
        return
    from rich.console import Console as Terminal
    from rich.markdown import Markdown

    Terminal().print(Markdown(text, code_theme="ansi_dark"))
