"""`archdsl explain`: what a code means."""

from __future__ import annotations

import re
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
        return
    wanted = _meant(code.strip().upper(), explain.codes())
    if wanted not in explain.codes():
        raise click.UsageError(f"there is no code {code[:40]!r}; {_near(wanted, explain.codes())}")
    _show(console, explain.page(wanted).text)


def _meant(code: str, codes: tuple[str, ...]) -> str:
    """`E0412` for `412`: the number alone says which, unless an error and a warning share it."""
    match = re.fullmatch(r"([EWN]?)([0-9]{1,4})", code)
    if match is None:
        return code
    same = [known for known in codes if known[1:] == match[2].zfill(4)]
    return next((known for known in same if known[0] == match[1] or not match[1]), code)


def _near(code: str, codes: tuple[str, ...]) -> str:
    from archdsl.diagnostics import closest

    same = next((known for known in codes if code[1:] and known[1:] == code[1:].zfill(4)), None)
    best = same or closest(code, [known for known in codes if known[:3] == code[:3]]) or closest(code, codes)
    return f"did you mean {best}?" if best else "`archdsl explain` lists all codes"


def _show(console: Console, text: str) -> None:
    """Set for reading on a terminal; elsewhere as it is written."""
    if not sys.stdout.isatty() or not console.paints(sys.stdout):
        console.give(text)
        return
    from rich.console import Console as Terminal
    from rich.markdown import Markdown

    Terminal().print(Markdown(text, code_theme="ansi_dark"))
