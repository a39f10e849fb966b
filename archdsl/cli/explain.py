"""`archdsl explain`: what a code means."""

from __future__ import annotations

import sys

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option


@click.command("explain")
@click.argument("code", required=False)
@color_option
@click.pass_obj
def command(console: Console, code: str | None) -> None:
    """What a code like E0412 means: why it is a rule, a spec that breaks it, and the same spec repaired.

    Without CODE, all codes with a line each.
    """
    from archdsl import explain

    if code is None:
        console.give(explain.listing())
    else:
        _show(console, explain.page(code).text)


def _show(console: Console, text: str) -> None:
    """Set for reading on a terminal; elsewhere as it is written."""
    if not sys.stdout.isatty() or not console.paints(sys.stdout):
        console.give(text)
        return
    from rich.console import Console as Terminal
    from rich.markdown import Markdown

    Terminal().print(Markdown(text, code_theme="ansi_dark"))
