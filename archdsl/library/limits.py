"""Limits of a listing: years and numbers as a user writes them, and the entries within them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from archdsl.diagnostics import ArchError, error
from archdsl.library.catalog import CatalogEntry

Amount: TypeAlias = str | float
"""A number, or one as text with a suffix: `500k`, `10M`, `1.5G`."""
Years: TypeAlias = str | int
"""One year, or a range as text: `2014-2016`, `2019-`, `-2015`."""

_POWER = {"": 0, "k": 3, "m": 6, "g": 9, "b": 9, "t": 12}
_SHOWN = 40


class ListingLimits(NamedTuple):
    """Limits by the name of a field: `least` and `most`, both inclusive."""

    years: tuple[int, int] | None
    least: Mapping[str, float]
    most: Mapping[str, float]

    def __bool__(self) -> bool:
        return self.years is not None or bool(self.least or self.most)

    def allow(self, entry: CatalogEntry) -> bool:
        """Return whether an entry is within every limit; an unknown value is within none."""
        if self.years is not None and (entry.year is None or not self.years[0] <= entry.year <= self.years[1]):
            return False
        return all(_known(entry, fact) >= limit for fact, limit in self.least.items()) and all(
            _known(entry, fact) <= limit for fact, limit in self.most.items()
        )


def _known(entry: CatalogEntry, fact: str) -> float:
    value: float | None = getattr(entry, fact)
    return float("nan") if value is None else value


def limits(years: Years | None, least: Mapping[str, Amount | None], most: Mapping[str, Amount | None]) -> ListingLimits:
    """Parse the limits that are not None. Raises E0002 for a text that is no number, or no range of years."""
    return ListingLimits(
        None if years is None else _range(years),
        {fact: _amount(f"min_{fact}", value) for fact, value in least.items() if value is not None},
        {fact: _amount(f"max_{fact}", value) for fact, value in most.items() if value is not None},
    )


def _amount(parameter: str, value: Amount) -> float:
    text = str(value).strip().lower()
    match = re.fullmatch(r"(\d[\d,_]*(?:\.\d+)?(?:e\+?\d\d?)?)\s*([kmgbt]?)", text, re.ASCII)
    if match is None:
        raise _wrong(parameter, value, "a number such as 500k, 10M or 1.5G")
    return float(match[1].replace(",", "").replace("_", "")) * 10.0 ** _POWER[match[2]]


def _range(years: Years) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{4})|(\d{4})-(\d{4})?|-(\d{4})", str(years).strip(), re.ASCII)
    if match is None:
        raise _wrong("year", years, "a year or a range such as 2014-2016, 2019- or -2015")
    first = int(match[1] or match[2] or 0)
    last = int(match[1] or match[3] or match[4] or 9999)
    if first > last:
        raise _wrong("year", years, "the first year must not be after the last")
    return first, last


def _wrong(parameter: str, value: object, right: str) -> ArchError:
    return error("E0002", f"`{parameter}` cannot be `{str(value)[:_SHOWN]}`: {right}", status=2)
