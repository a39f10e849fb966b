"""`archdsl list`: the networks of the library."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import F, color_option, force_option, format_option, output_option

if TYPE_CHECKING:
    from archdsl.library.catalog import Entry

_SORTED_BY = ("family", "name", "year", "input", "classes", "params", "macs", "depth", "top1", "source")
_DROPPED = ("source", "classes", "family", "input", "depth", "year", "top-1 %")
"""Titles of columns that a narrow terminal goes without, the first one first."""
_POWER = {"": 0, "k": 3, "m": 6, "g": 9, "b": 9, "t": 12}


def _amount(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A number as one says it: `25e6`, `10M`, `1.5G`."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d[\d,_]*(?:\.\d+)?(?:e\d\d?)?)\s*([kmgbt]?)", value.strip().lower(), re.ASCII)
    if match is None:
        raise click.BadParameter(f"{value[:40]!r} is not a number such as 500k, 10M or 1.5G", ctx, param)
    return float(match[1].replace(",", "").replace("_", "")) * 10.0 ** _POWER[match[2]]


def _years(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """`2015`, `2014-2017`, `-2016`, `2019-`."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{4})|(\d{4})-(\d{4})?|-(\d{4})", value.strip(), re.ASCII)
    if match is None:
        raise click.BadParameter(
            f"{value[:40]!r} is not a year or a range such as 2014-2016, 2019- or -2015", ctx, param
        )
    first = int(match[1] or match[2] or 0)
    last = int(match[1] or match[3] or match[4] or 9999)
    if first > last:
        raise click.BadParameter(f"{value!r} ends before it begins", ctx, param)
    return first, last


def _limit(name: str, help: str, metavar: str = "N") -> Callable[[F], F]:
    return click.option(name, metavar=metavar, callback=_amount, help=help)


@click.command("list")
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@click.option("--family", "families", metavar="PATTERN", multiple=True, help="Only this family; may be repeated.")
@click.option(
    "--year", "years", callback=_years, metavar="YEARS", help="Of one year, or of years: 2014-2016, 2019-, -2015."
)
@_limit("--min-params", "At least so many parameters: 500k, 10M.")
@_limit("--max-params", "At most so many parameters.")
@_limit("--min-macs", "At least so many multiply-accumulates: 500M, 1.5G.")
@_limit("--max-macs", "At most so many multiply-accumulates.")
@_limit("--min-top1", "Only what was published as at least so accurate.", "PERCENT")
@click.option("--sort", type=click.Choice(_SORTED_BY), default="family", show_default=True, help="By which column.")
@click.option("-r", "--reverse", is_flag=True, help="The other way round: the largest, or latest, first.")
@format_option("table", "json", "csv", "markdown")
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    /,
    patterns: tuple[str, ...],
    families: tuple[str, ...],
    years: tuple[int, int] | None,
    sort: str,
    reverse: bool,
    format: str,
    output: str | None,
    force: bool,
    **limits: float | None,
) -> None:
    """The networks of the library, with size, cost and published accuracy; those whose name matches a PATTERN such as
    'resnet*'."""
    from archdsl.library.catalog import catalog
    from archdsl.library.columns import ordered

    entries = _named(catalog(console.progress("counting")), patterns, families)
    kept = [e for e in entries if _within(e, years, limits)]
    console.give(_text(console, ordered(kept, sort, reverse), format), output, force)
    if not kept:
        console.say(f"none of {len(entries)} networks is within these limits")


def _named(entries: Iterable[Entry], patterns: Sequence[str], families: Sequence[str]) -> list[Entry]:
    """Those of the families, and of the names. Raises E0205 (status 2) for a pattern that nothing bears."""
    from fnmatch import fnmatchcase

    entries = list(entries)
    for asked, known, what in (
        (families, {e.family for e in entries}, "family"),
        (patterns, {e.name for e in entries}, "network"),
    ):
        for pattern in asked:
            if not any(fnmatchcase(name, pattern) for name in known):
                raise _unknown(pattern, known, what)
    return [
        e
        for e in entries
        if (not families or any(fnmatchcase(e.family, p) for p in families))
        and (not patterns or any(fnmatchcase(e.name, p) for p in patterns))
    ]


def _unknown(asked: str, known: Iterable[str], what: str) -> Exception:
    from archdsl.diagnostics import closest, error

    near = closest(asked, sorted(known))
    return error(
        "E0205",
        f"the library has no {what} `{asked[:80]}`",
        status=2,
        help=f"did you mean `{near}`?" if near else "`archdsl list` shows them all",
    )


def _within(entry: Entry, years: tuple[int, int] | None, limits: dict[str, float | None]) -> bool:
    """Whether an entry keeps every limit that was given; what is unknown keeps none."""
    if years is not None and (entry.year is None or not years[0] <= entry.year <= years[1]):
        return False
    for name, limit in limits.items():
        side, _, figure = name.partition("_")
        value = getattr(entry, figure)
        if limit is not None and (value is None or (value < limit if side == "min" else value > limit)):
            return False
    return True


def _text(console: Console, entries: list[Entry], format: str) -> str:
    from archdsl.library import columns as lines

    if (text := lines.written(entries, format, lines.LISTED)) is not None:
        return text
    from archdsl.report.grid import grid

    if not entries:
        return ""
    titles, rows = lines.table(entries, lines.LISTED)
    style = console.style()
    right = {c.title for c in lines.COLUMNS.values() if c.right}
    families = len({e.family for e in entries})
    count = f"{_plural(len(entries), 'network')} in {_plural(families, 'family')}"
    return grid(titles, rows, right, style, _DROPPED) + style.paint("quiet", count) + "\n"


def _plural(number: int, word: str) -> str:
    return (
        f"{number} {word}" if number == 1 else f"{number} {word[:-1]}ies" if word.endswith("y") else f"{number} {word}s"
    )
