"""The result of `archdsl.list`: names of networks, and on demand the costs of each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

from archdsl.diagnostics.arguments import check_choice
from archdsl.library.catalog import CatalogEntry, catalog
from archdsl.library.columns import FORMATS, LEFT, LISTED, Fact, table, to_json, written
from archdsl.progress import Progress
from archdsl.report.grid import grid
from archdsl.report.shown import html_table, pre
from archdsl.report.table import Style

_DROPPED = ("source", "axes", "classes", "task", "family", "input", "depth", "year", "top-1 %")
"""Titles of the columns that a narrow terminal omits, in this order."""


class Listing(Sequence[str]):
    """A sequence of names of library networks; `entries` has the costs of the same networks.

    `total` is the number of networks in the library. The costs are counted when `entries` is first read, which takes
    seconds for the whole library, and cached between runs.
    """

    def __init__(
        self,
        names: Sequence[str],
        total: int,
        entries: Sequence[CatalogEntry] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.names = tuple(names)
        self.total = total
        self._progress = progress
        if entries is not None:
            self.__dict__["entries"] = tuple(entries)

    @cached_property
    def entries(self) -> tuple[CatalogEntry, ...]:
        """Costs, paper and published accuracy of each network, in the order of the names."""
        by_name = {entry.name: entry for entry in catalog(self._progress)}
        return tuple(by_name[name] for name in self.names)

    def to_json(self) -> list[dict[str, Fact]]:
        """The data of `archdsl list --format json`: one dictionary per network."""
        return to_json(self.entries)

    def text(self, format: str = "table", style: Style = Style()) -> str:
        """Return the listing as `table`, `json`, `csv` or `markdown`; `style` applies to a table.

        Raises E0001 for another format.
        """
        check_choice("format", format, FORMATS)
        if format != "table":
            return written(self.entries, format, LISTED)
        return _as_table(self.entries, style) if self.entries else ""

    def _repr_html_(self) -> str:
        """The table, or only the names where the library would have to be counted first."""
        if "entries" not in self.__dict__:
            return pre(repr(self))
        titles, rows = table(self.entries, LISTED)
        return html_table(titles, rows, {*titles} - LEFT)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self.names[index]

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"<{len(self)} of {self.total} networks: {', '.join(self.names)}>"


def _as_table(entries: Sequence[CatalogEntry], style: Style) -> str:
    titles, rows = table(entries, LISTED)
    families = len({entry.family for entry in entries})
    count = f"{_plural(len(entries), 'network', 'networks')} in {_plural(families, 'family', 'families')}"
    return grid(titles, rows, {*titles} - LEFT, style, _DROPPED) + style.paint("quiet", count) + "\n"


def _plural(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
