"""`archdsl.solve`: the best setting of a spec's arguments within budgets."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf, prod
from typing import Any

from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_callables, check_choice, check_range, conflict
from archdsl.language.expressions import Value
from archdsl.library.catalog import CatalogEntry, entry_of
from archdsl.library.columns import COLUMNS, FIGURES, demanded
from archdsl.library.conditions import Condition, Missing
from archdsl.network import Network
from archdsl.network.open import ArgValue, InputSize, size_text
from archdsl.planning import budgets as costs
from archdsl.planning.budgets import TIES, WHERE, Amount, Budget, number, read_budgets
from archdsl.planning.grid import LIMIT, MOST, searched, shown, words_of
from archdsl.planning.scaling import Coefficients, checked, phis, scaled
from archdsl.planning.search import Grid, NotMonotone, Point, Row, TooMany
from archdsl.planning.solution import Method, Setting, Solution
from archdsl.planning.variants import Variants
from archdsl.progress import Progress

PHI = "phi"
"""The figure of a setting that is the scaling."""
_FIRST = 3
"""Invalid settings that the solution names."""


def solve(
    spec: str | os.PathLike[str],
    *,
    over: str | Mapping[str, Sequence[ArgValue] | str | None] | Sequence[str] | None = None,
    budgets: Mapping[str, Amount | Sequence[Amount]] | None = None,
    maximise: str | None = None,
    where: str | None = None,
    scale: bool | float | None = None,
    coefficients: Sequence[float] = Coefficients(),
    args: Mapping[str, object] | None = None,
    input: InputSize | None = None,
    limit: int = LIMIT,
    progress: Progress | None = None,
) -> Solution:
    """Find the best setting of the arguments `over` within budgets.

    `over`: the values of each argument, `{"n": range(1, 19), "width": None}` or `"n=1..18,width"`; without values,
    those from the `min` to the `max` of its declaration. `budgets`: by figure, `{"params": "<=5M"}`, or a list of
    several. `maximise`: the figure that is to be large; of settings that are equally good, the one with the fewest MACs
    is chosen, then the one with the fewest parameters. `where`: a condition on the figures and on `over`. `scale`, in
    place of `over`: scale the network by this number, or with True by the largest within the budgets, with these
    `coefficients` (Tan and Le 2019). `args` and `input` apply to all settings.

    Up to `limit` settings are all counted, which proves the result. If there are more, a monotone search counts at most
    as many; it assumes that figures grow with every argument, and checks that on what it counts.

    Raises E0915 if no setting meets the budgets, E0916 if an argument changes no figure, E0917 if a figure falls while
    an argument grows, E0918 if `limit` settings do not suffice, E0919 if nothing can be scaled, and the errors of the
    arguments, the budgets and the spec.
    """
    check_range("limit", limit, 1, MOST)
    check_callables(progress=progress)
    bounds = read_budgets(budgets or {})
    _check_together(over is not None, bool(bounds) or where is not None, maximise, scale)
    variants = Variants(spec)
    values, wrong = variants.document.known_arguments(dict[str, Any](args or {}))
    if wrong is not None:
        raise wrong
    fixed = {name: values[name] for name in args or {}}
    goal = PHI if maximise is None else maximise
    ranges = {} if over is None else searched(variants.document, over, values, fixed)
    condition = None if where is None else Condition(where, tuple(ranges), words_of(ranges))
    bounds += () if where is None else (Budget(WHERE, ">=", 1, where),)
    names = tuple(dict.fromkeys((*(bound.figure for bound in bounds), goal, *TIES)))
    extra = demanded((*names, *(condition.figures if condition is not None else ())))
    settings = _Settings(variants, fixed, size_text(input), names, condition, progress, extra)
    settings.ranges = ranges
    if over is None:
        settings.coefficients = checked(coefficients, scale)
        settings.ranges = {PHI: phis() if scale is True else (float(scale or 0),)}
    search = _Search(settings, bounds, goal, limit)
    try:
        solution = search.solution()
    except ArchError as problem:
        if scale is not True or problem.diagnostics[0].code != "E0915" or all(bound.upper for bound in bounds):
            raise
    else:
        if scale is not True or solution.next is not None:
            return solution
    settings.ranges = {PHI: phis(further=True)}
    further = _Search(settings, bounds, goal, limit)
    if not further.grid.monotone:
        further.grid.rows |= search.grid.rows  # the same scalings come first
    return further.solution()


def _check_together(over: bool, budget: bool, maximise: str | None, scale: bool | float | None) -> None:
    if over == (scale is not None):
        raise conflict("set `over` or `scale`", help="`over` names the arguments that may change, such as `n,width`")
    if over and maximise is None:
        raise conflict("`over` needs `maximise`: the figure that is to be large, such as `depth`")
    if not over and maximise is not None:
        raise conflict("`scale` finds the largest scaling: omit `maximise`")
    if maximise is not None:
        check_choice("maximise", maximise, FIGURES)
    if not budget and (over or scale is True):
        raise conflict("there is no budget", help="set at least one, such as `--params '<=5M'`")


@dataclass
class _Settings:
    """The settings of a grid, and what was counted of them."""

    variants: Variants
    fixed: Mapping[str, Value]
    input: str | None
    names: Sequence[str]
    """The figures of a row."""
    condition: Condition | None
    progress: Progress | None
    extra: tuple[str, ...] = ()
    """Figures that are computed only because they are asked for."""
    ranges: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    coefficients: Coefficients | None = None
    """If set, the only range is that of phi."""
    entries: dict[Point, CatalogEntry] = field(default_factory=dict)
    reasons: dict[Point, str] = field(default_factory=dict)
    """Why a setting is invalid."""

    @cached_property
    def base(self) -> Network:
        """The network that is scaled."""
        return self.variants.network(self.fixed, self.input)

    def values(self, point: Point) -> dict[str, Value]:
        """Return the values of a point by name."""
        return {name: values[n] for (name, values), n in zip(self.ranges.items(), point, strict=True)}

    def setting(self, point: Point, reasons: Sequence[str] = ()) -> Setting:
        """Return the arguments and the input of a point."""
        args, figures = self.values(point), self.entries.get(point)
        if self.coefficients is None:
            return Setting({**self.fixed, **args}, self.input, figures, tuple(reasons))
        phi = float(args[PHI])  # type: ignore[arg-type]
        args, size = scaled(self.base, phi, self.coefficients)
        return Setting({**self.fixed, **args}, size or self.input, figures, tuple(reasons), phi)

    def count(self, point: Point) -> Row | None:
        """Return the figures of a setting by name; None if it is invalid."""
        if self.progress is not None:
            self.progress(len(self.entries) + len(self.reasons), prod(map(len, self.ranges.values())))
        setting = self.setting(point)
        try:
            network = self.variants.network(setting.args, setting.input)
        except ArchError as problem:
            self.reasons[point] = problem.diagnostics[0].message
            return None
        entry = entry_of(network, False, self.extra)
        self.entries[point] = entry
        row = {name: number(name, entry) for name in self.names if name in COLUMNS}
        if self.condition is not None:
            row[WHERE] = float(self._holds(self.condition, entry))
        return row if setting.phi is None else row | {PHI: setting.phi}

    def _holds(self, condition: Condition, entry: CatalogEntry) -> bool:
        try:
            return condition.holds(entry)
        except Missing as figure:
            raise error("E0915", f"`{entry.name}` has no {figure}, which `where` needs", status=2) from None

    def check_idle(self) -> None:
        """Raise E0916 for an argument that changes no figure where several of its values were counted."""
        for axis, name in enumerate(self.ranges):
            groups: dict[Point, list[CatalogEntry]] = defaultdict(list)
            for point, entry in self.entries.items():
                groups[point[:axis] + point[axis + 1 :]].append(replace(entry, args=()))
            several = [group for group in groups.values() if len(group) > 1]
            if name != PHI and several and all(entry == group[0] for group in several for entry in group):
                message = f"`{name}` changes no figure: not the parameters, MACs, depth, memory or receptive field"
                raise error("E0916", message, help=f"leave it out of `over`; `-a {name}=VALUE` sets it")


@dataclass
class _Search:
    """The search for the best of the settings."""

    settings: _Settings
    budgets: tuple[Budget, ...]
    goal: str
    limit: int

    @cached_property
    def grid(self) -> Grid:
        sizes = [len(values) for values in self.settings.ranges.values()]
        return Grid(sizes, self.settings.count, prod(sizes) > self.limit, self.limit)

    def solution(self) -> Solution:
        """Return the solution. Raises E0915 to E0918."""
        if self.settings.condition is not None and self.grid.monotone:
            help_ = f"use fewer values, or `--limit {self.grid.whole}`"
            raise conflict(f"`where` needs all {self.grid.whole:,} settings to be counted", help=help_)
        try:
            best = self.grid.best(costs.within(self.budgets, self.goal))
            self.settings.check_idle()
            if best is None:
                raise self._nothing(self.grid.best(costs.closest(self.budgets, self.goal)))
            better = self.grid.best(costs.better(self.budgets, self.goal, self._row(best)[self.goal]))
        except NotMonotone as problem:
            raise self._falls(problem) from None
        except TooMany:
            raise self._too_many() from None
        return self._solution(best, better)

    def _row(self, point: Point) -> Row:
        row = self.grid.row(point)
        assert row is not None
        return row

    def _solution(self, best: Point, better: Point | None) -> Solution:
        settings, chosen, goal = self.settings, self.settings.setting(best), self._row(best)[self.goal]
        rows = [row for row in self.grid.rows.values() if row is not None and row[self.goal] == goal]
        return Solution(
            network=settings.variants.network(chosen.args, chosen.input),
            setting=chosen,
            maximise=self.goal,
            budgets=tuple(budget for budget in self.budgets if budget.figure != WHERE),
            next=None if better is None else settings.setting(better, self._reasons(better)),
            method=self._method(),
            ties=None if self.grid.monotone else sum(not costs.misses(self.budgets, row, row) for row in rows) - 1,
            invalid=tuple(settings.setting(point, [why]) for point, why in list(settings.reasons.items())[:_FIRST]),
            spec=settings.variants.spec,
        )

    def _method(self) -> Method:
        grid, name = self.grid, "monotone" if self.grid.monotone else "exhaustive"
        ranges = {name: shown(values) for name, values in self.settings.ranges.items()}
        return Method(name, grid.whole, len(grid.rows), len(self.settings.reasons), grid.compared, ranges)

    def _reasons(self, point: Point) -> list[str]:
        """Why a setting fails: the budgets that it misses."""
        row, entry = self._row(point), self.settings.entries[point]
        return [_reason(budget, row, entry) for budget in self.budgets if budget.excess(row[budget.figure])]

    def _nothing(self, closest: Point | None) -> ArchError:
        """E0915: what comes closest, and the budget that it misses by most."""
        if closest is None:
            (point, why), *others = self.settings.reasons.items()
            which = f"all {len(others) + 1:,} settings are invalid" if others else "the setting is invalid"
            return error("E0915", f"{which}; {self.settings.setting(point)}: {why}")
        row = self._row(closest)
        binding = max(self.budgets, key=lambda budget: budget.excess(row[budget.figure]))
        notes = f"closest: {self.settings.setting(closest)}: {'; '.join(self._reasons(closest))}", str(self._method())
        change = (
            "change this condition"
            if binding.figure == WHERE
            else f"{'raise' if binding.upper else 'lower'} this budget"
        )
        message = f"no setting meets the budgets; `{binding}` binds"
        return error("E0915", message, notes=notes, help=f"{change}, or allow other values")

    def _falls(self, problem: NotMonotone) -> ArchError:
        settings, name = self.settings, problem.name
        low, high = settings.setting(problem.low), settings.setting(problem.high)
        values = [
            str(one.phi) if name == PHI else COLUMNS[name].cell(one.figures) for one in (low, high) if one.figures
        ]
        return error(
            "E0917",
            f"a monotone search is not possible: {name} falls from {values[0]} to {values[-1]}, but no argument falls",
            notes=(f"{low}: {values[0]}", f"{high}: {values[-1]}"),
            help=f"use fewer values: all of at most {self.limit:,} settings are counted; `--limit` sets this number",
        )

    def _too_many(self) -> ArchError:
        known = [
            (cost, point)
            for point, row in self.grid.rows.items()
            if row and (cost := costs.within(self.budgets, self.goal)(row, row)) is not None
        ]
        best = (
            f"the best of them: {self.settings.setting(min(known)[1])}" if known else "none of them meets the budgets"
        )
        return error(
            "E0918",
            f"{len(self.grid.rows):,} of {self.grid.whole:,} settings were counted, and the best one is not known",
            notes=(best,),
            help="use fewer values, such as `width=16..128/16`, or raise `--limit`",
        )


def _reason(budget: Budget, row: Row, entry: CatalogEntry) -> str:
    """Return why a setting fails: `params 5,234,112 is 4.7 % above 5M`."""
    if budget.figure == WHERE:
        return f"`{budget.text}` is false"
    excess, column = budget.excess(row[budget.figure]), COLUMNS[budget.figure]
    side = "above" if budget.upper else "below"
    by = f"{100 * excess:.3g} % {side}" if 1e-4 < excess < 10 else side
    times = f", by a factor of {1 + excess:,.0f}" if budget.upper and budget.limit and 10 <= excess < inf else ""
    return f"{column.title} {column.cell(entry)} is {by} the budget {budget.operator} {budget.text}{times}"
