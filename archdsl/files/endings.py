"""The format of a file by the ending of its name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from archdsl.diagnostics import Source, Span, closest, error
from archdsl.diagnostics.arguments import check_paths, conflict

F = TypeVar("F", bound=str)

REPORTS: Mapping[str, tuple[str, ...]] = {
    "text": (".txt",),
    "table": (".txt",),
    "json": (".json",),
    "csv": (".csv",),
    "markdown": (".md",),
    "sarif": (".sarif", ".json"),
    "github": (".txt",),
}
"""The endings of each format of a report."""


def format_of(path: str | os.PathLike[str] | None, format: F | None, endings: Mapping[F, Sequence[str]]) -> F | None:
    """Return `format`, or by default the first format that has the ending of `path`; None if nothing says it.

    `endings`: those of each format, such as `.svg`. A name without an ending, and `-`, fit every format. Raises E0001
    for an ending that no format has, E0003 if `format` has other endings.
    """
    check_paths(path=path)
    _check_name(path, [one for own in endings.values() for one in own])
    ending = "" if path is None else Path(path).suffix.lower()
    if not ending:
        return format
    formats = [name for name, own in endings.items() if ending in own]
    if not formats:
        check_ending(path, [one for own in endings.values() for one in own])
    if format is None:
        return formats[0]
    if format in endings and format not in formats:
        raise conflict(
            f"`{str(path)[-60:]}` has the ending of a file of the format {formats[0]}, not {format}",
            help=f"write a name that ends in `{endings[format][0]}`",
        )
    return format


def check_ending(path: str | os.PathLike[str] | None, known: Iterable[str]) -> None:
    """Raise E0001 (status 2) if the name of a file has an ending that is not `known`."""
    text = "" if path is None else os.fspath(path)
    ending, choices = Path(text).suffix, tuple(dict.fromkeys(known))
    _check_name(path, choices)
    if not ending or ending.lower() in choices:
        return
    best = closest(ending, choices)
    raise error(
        "E0001",
        f"unknown ending `{ending[:40]}`; choose one of: {', '.join(choices)}",
        Span(Source("-o", text), len(text) - len(ending), len(text)),
        status=2,
        help=f"did you mean `{best}`?" if best else "",
    )


def _check_name(path: str | os.PathLike[str] | None, known: Iterable[str]) -> None:
    """Raise E0002 (status 2) for an empty name, an ending without a name (`.svg`), or a name that ends in a dot."""
    if path is None:
        return
    name = Path(path).name
    if not os.fspath(path) or (name != ".." and name.endswith(".")) or name.lower() in known:
        raise error("E0002", f"`{name[-60:]}` is not the name of a file with an ending", status=2)
