"""Budgets on figures of a network, and the costs by which `search` finds the best settings within them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice, check_mappings, check_range, check_type
from archdsl.library.catalog import CatalogEntry
from archdsl.library.columns import COLUMNS, FIGURES
from archdsl.library.quantities import quantity
from archdsl.planning.grid import plain_number
from archdsl.planning.search import Cost, Row

TIES = ("macs", "params")
"""Of settings that are equally good, the one with the fewest MACs is chosen, then that with the fewest parameters."""
_FORM = re.compile(r"\s*(<=|>=|<|>|)\s*([^\s<>=].*)", re.DOTALL)
Amount: TypeAlias = str | int | float
WHERE = "where"
"""The figure of a condition: 1 if it is true."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound on a figure: `params <= 5M`. `limit` is in the unit of the figure, `text` what was written."""

    figure: str
    operator: str
    limit: float
    text: str

    def __str__(self) -> str:
        return self.text if self.figure == WHERE else f"{self.figure} {self.operator} {self.text}"

    @property
    def upper(self) -> bool:
        """Whether it is an upper bound."""
        return self.operator in ("<", "<=")

    def excess(self, value: float) -> float:
        """Return by which part of the limit a figure misses it, 0 if it is met."""
        over = value - self.limit if self.upper else self.limit - value
        if over < 0 or (over == 0 and self.operator in ("<=", ">=")):
            return 0.0
        return max(over / (abs(self.limit) or 1.0), 1e-9)


def read_budgets(budgets: Mapping[str, Amount | Sequence[Amount]]) -> tuple[Budget, ...]:
    """Return budgets such as `{"params": "<=5M", "macs": 1e9}`; a number without a sign is an upper bound.

    A list has several of one figure: `{"params": [">=1M", "<=5M"]}`.

    Raises E0001 for a figure that cannot have a budget, E0912 for a unit that does not fit it.
    """
    check_mappings(budgets=budgets)
    listed = ((name, value if isinstance(value, list | tuple) else [value]) for name, value in budgets.items())
    return tuple(_budget(name, plain_number(one)) for name, many in listed for one in many)  # type: ignore[arg-type]


def _budget(name: str, value: Amount) -> Budget:
    check_choice("budgets", name, FIGURES)
    check_type(name, value, "a budget such as `<=5M`", str, int, float)
    if not isinstance(value, str):
        check_range(name, value, 0, 2**63, whole=False)
        return Budget(name, "<=", value, str(value))
    match = _FORM.fullmatch(value)
    if match is None:
        raise error("E0002", f"`{name}` cannot be `{value}`: write `<=N`, `<N`, `>=N`, `>N` or `N`", status=2)
    unit = COLUMNS[name].unit
    assert unit is not None
    return Budget(name, match[1] or "<=", quantity(match[2], unit, name), match[2].strip())


def number(name: str, entry: CatalogEntry) -> float:
    """Return a figure of a network. Raises E0915 if the network lacks it."""
    value: float | None = COLUMNS[name].number(entry)
    if value is None:
        raise error("E0915", f"`{entry.name}` has no {COLUMNS[name].title}")
    return value


def misses(budgets: Sequence[Budget], least: Row | None, most: Row | None) -> float:
    """Return the largest excess of any budget that all points of a box have at least."""
    ends = ((budget, least if budget.upper else most) for budget in budgets)
    return max((budget.excess(row[budget.figure]) for budget, row in ends if row), default=0.0)


def _ties(least: Row | None) -> tuple[float, ...]:
    return tuple(least[name] for name in TIES) if least else (-inf,) * len(TIES)


def within(budgets: Sequence[Budget], goal: str) -> Cost:
    """The largest `goal` within the budgets."""
    cap = min((b.limit for b in budgets if b.figure == goal and b.upper), default=inf)

    def cost(least: Row | None, most: Row | None) -> tuple[float, ...] | None:
        if misses(budgets, least, most):
            return None
        return -min(most[goal] if most else inf, cap), *_ties(least)

    return cost


def better(budgets: Sequence[Budget], goal: str, than: float) -> Cost:
    """The smallest `goal` above `than`; of several, that which misses its budgets by least."""

    def cost(least: Row | None, most: Row | None) -> tuple[float, ...] | None:
        if most and most[goal] <= than:
            return None
        return max(least[goal] if least else than, than), misses(budgets, least, most), *_ties(least)

    return cost


def closest(budgets: Sequence[Budget], goal: str) -> Cost:
    """That which misses its budgets by least: the one that it misses most, then all; of several, the largest `goal`."""

    def cost(least: Row | None, most: Row | None) -> tuple[float, ...] | None:
        together = sum(misses([budget], least, most) for budget in budgets)
        return misses(budgets, least, most), together, -(most[goal] if most else inf), *_ties(least)

    return cost
