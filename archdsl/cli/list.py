"""`archdsl list`: the networks of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option, force_option, format_option, output_option

if TYPE_CHECKING:
    from archdsl.catalog import Entry

_SORTED_BY = ("family", "name", "year", "params", "macs")


@click.command("list")
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@click.option("--sort", type=click.Choice(_SORTED_BY), default="family", show_default=True, help="In which order.")
@format_option("table", "json", "csv", "markdown")
@output_option
@force_option
@color_option
@click.pass_obj
def command(console: Console, patterns: tuple[str, ...], sort: str, format: str, output: str | None,
            force: bool) -> None:  # fmt: skip
    """The networks of the library, with size and cost; those whose name matches a PATTERN such as 'resnet*'."""
    from archdsl.catalog import catalog

    entries = _chosen(catalog(console.progress("counting")), patterns)
    if sort != "family":
        entries.sort(key=lambda e: (getattr(e, sort) is None, getattr(e, sort)))
    console.give(_text(console, entries, format), output, force)


def _chosen(entries: tuple[Entry, ...], patterns: tuple[str, ...]) -> list[Entry]:
    from fnmatch import fnmatchcase

    chosen = [e for e in entries if not patterns or any(fnmatchcase(e.name, p) for p in patterns)]
    if not chosen:
        from archdsl.diagnostics import closest, error

        asked = patterns[0] if patterns else ""
        near = closest(asked, [e.name for e in entries])
        raise error("E0205", f"the library has no network `{asked[:80]}`", status=2,
                    help=f"did you mean `{near}`?" if near else "`archdsl list` shows them all")  # fmt: skip
    return chosen


def _text(console: Console, entries: list[Entry], format: str) -> str:
    if format == "json":
        import json

        return "[\n  " + ",\n  ".join(json.dumps(_facts(e)) for e in entries) + "\n]\n"
    if format == "csv":
        import csv
        import io

        out = io.StringIO()
        writer = csv.DictWriter(out, list(_facts(entries[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_facts, entries))
        return out.getvalue()
    titles = ("name", "family", "year", "input", "params", "MACs", "depth")
    rows = [
        (e.name, e.family, str(e.year or ""), e.input, f"{e.params:,}", f"{e.macs:,}", str(e.depth)) for e in entries
    ]
    if format == "markdown":
        lines = [titles, (":--", ":--", "--:", "--:", "--:", "--:", "--:"), *rows]
        return "".join("| " + " | ".join(line) + " |\n" for line in lines)
    from archdsl.cli.grid import grid

    families = len({e.family for e in entries})
    count = (
        f"{len(entries)} network{'s' if len(entries) > 1 else ''} in {families} famil{'ies' if families > 1 else 'y'}"
    )
    style = console.style()
    return grid(titles, rows, {"year", "input", "params", "MACs", "depth"}, style) + style.paint("quiet", count) + "\n"


def _facts(entry: Entry) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(entry)
