"""`archdsl.list`: the networks of the library that match names, families and limits."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from archdsl.axes import MOST
from archdsl.diagnostics import ArchError, did_you_mean, error
from archdsl.diagnostics.arguments import check_callables, check_choice, check_flags, check_names, check_range
from archdsl.language.keys import TASKS
from archdsl.library.catalog import CatalogEntry, catalog
from archdsl.library.columns import LISTED, ordered
from archdsl.library.limits import Amount, Years, limits
from archdsl.library.listing import Listing
from archdsl.progress import Progress
from archdsl.spec.find import library_networks


def list(
    *patterns: str,
    family: str | Sequence[str] = (),
    task: str | Sequence[str] = (),
    year: Years | None = None,
    min_params: Amount | None = None,
    max_params: Amount | None = None,
    min_macs: Amount | None = None,
    max_macs: Amount | None = None,
    min_top1: Amount | None = None,
    axes: int | None = None,
    sort: str = "name",
    reverse: bool = False,
    progress: Progress | None = None,
) -> Listing:
    """List the networks of the library whose names match one of `patterns` (`"resnet*"`), by default all.

    `family`: patterns of families. `task`: what they are for, such as `"segmentation"`, or several. `year`: `2015`,
    `"2014-2016"`, `"2019-"`. `min_*`, `max_*`: numbers, or texts such as `"10M"`; `min_top1` in percent. `axes`: the
    spatial axes of an input, 0 for vectors, 1 for signals, 2 for images, 3 for volumes. `sort`: a column of the
    listing; unknown values come last. A family, a task, a limit, axes or a column to sort by needs the costs of all
    networks: they are counted once, and `progress` is called with the number of counted networks and of all. Otherwise
    no network is elaborated.

    Raises E0001 for an unknown column or task, E0002 for a wrong limit or number of axes, E0205 for a pattern that
    matches nothing.
    """
    check_choice("sort", sort, LISTED)
    check_flags(reverse=reverse)
    check_callables(progress=progress)
    check_names("patterns", patterns)
    allowed = limits(
        year,
        {"params": min_params, "macs": min_macs, "top1": min_top1},
        {"params": max_params, "macs": max_macs},
    )
    families = (family,) if isinstance(family, str) else family
    check_names("family", families)
    tasks = (task,) if isinstance(task, str) else task
    check_names("task", tasks)
    for name in tasks:
        check_choice("task", name, TASKS)
    if axes is not None:
        check_range("axes", axes, 0, MOST)
    if not families and not tasks and not allowed and axes is None and sort == "name":
        names = sorted(library_networks(), reverse=reverse)
        return Listing(_matching(names, patterns, "network"), len(names), progress=progress)
    entries = catalog(progress)
    kept_families = {*_matching(sorted({e.family for e in entries}), families, "family")}
    kept_names = {*_matching([e.name for e in entries], patterns, "network")}
    kept = [e for e in entries if e.family in kept_families and e.name in kept_names and allowed.allow(e)]
    kept = [e for e in kept if (axes is None or axes in e.axes) and (not tasks or e.task in tasks)]
    return _listing(ordered(kept, sort, reverse), len(entries))


def _listing(entries: Sequence[CatalogEntry], total: int) -> Listing:
    return Listing([entry.name for entry in entries], total, entries)


def _matching(names: Sequence[str], patterns: Sequence[str], what: str) -> Sequence[str]:
    """The names that match one of the patterns; all names without patterns. Raises E0205 (status 2)."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise _unknown(pattern, names, what)
    return [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def _unknown(pattern: str, names: Sequence[str], what: str) -> ArchError:
    return error(
        "E0205", f"the library has no {what} `{pattern[:80]}`", status=2, help=did_you_mean(pattern, sorted(names))
    )
