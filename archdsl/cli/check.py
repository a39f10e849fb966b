"""`archdsl check`: everything that is wrong with specs, and their claims held against the truth."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, color_option, force_option, format_option, input_option, output_option

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic
    from archdsl.library.check import Review

_STYLES = {"fine": "32", "error": "1;31", "warning": "1;33", "quiet": "2"}


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
    reviews = []
    paths = list(_expanded(specs))
    progress = console.progress("checking") if len(paths) > 1 else None
    for number, path in enumerate(paths):
        reviews.append(_review(path, args, size))
        if progress is not None:
            progress(number + 1, len(paths))
    console.give(_text(console, reviews, format, output), output, force, inputs=[p for p in paths if os.path.isfile(p)])
    warned = strict and any(r.count("warning") for r in reviews)
    return max(*(r.status for r in reviews), int(warned))


def _review(path: str, args: dict[str, str], size: str | None) -> Review:
    from archdsl.library.check import check

    return check(path, args, size)


def _expanded(specs: tuple[str, ...]) -> Iterator[str]:
    from archdsl.diagnostics import error
    from archdsl.spec.find import SUFFIXES

    for spec in specs:
        if spec == "-" or not os.path.isdir(spec):
            yield spec
            continue
        inside = sorted(str(p) for p in Path(spec).iterdir() if p.suffix in SUFFIXES and p.is_file())
        if not inside:
            raise error("E0114", f"there are no specs in {spec}", status=2, help="a spec's name ends in .yaml")
        yield from inside


def _text(console: Console, reviews: list[Review], format: str, output: str | None) -> str:
    if format == "text":
        color = console.paints(sys.stdout) if output in (None, "-") else console.color == "always"
        return "".join(_told(review, color) for review in reviews)
    import json

    from archdsl.diagnostics.machine import to_json, to_sarif
    from archdsl.version import __version__

    found: list[Diagnostic] = [d for review in reviews for d in review.diagnostics]
    return json.dumps(to_json(found) if format == "json" else to_sarif(found, __version__), indent=2) + "\n"


def _told(review: Review, color: bool) -> str:
    """A file's diagnostics, its line, and its claims."""
    from archdsl.diagnostics import escape_control, render_text

    def paint(style: str, text: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if color else text

    text = render_text(review.diagnostics, color)
    counts = [(review.count(severity), severity) for severity in ("error", "warning")]
    found = ", ".join(paint(word, f"{n} {word}{'s' if n > 1 else ''}") for n, word in counts if n)
    lines = [f"{escape_control(review.spec)}: {found or paint('fine', 'fine')}{_networks(review)}"]
    for name, verdicts in review.verdicts.items():
        told = ", ".join(map(str, verdicts))
        lines.append(paint("quiet", f"    {name} claims {told}"))
    return text + ("\n" if text else "") + "\n".join(lines) + "\n" + ("\n" if text else "")


def _networks(review: Review) -> str:
    """` (vgg16 and 7 variants)`."""
    if not review.networks:
        return ""
    others = len(review.networks) - 1
    return f" ({review.networks[0]}{f' and {others} variants' if others > 1 else ' and a variant' if others else ''})"
