"""Which of many networks are kept: those that meet a condition and are on a Pareto front, in the order of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_choice, check_flags, check_type, conflict
from archdsl.library.catalog import CatalogEntry
from archdsl.library.columns import COLUMNS, NUMERIC, label, ordered
from archdsl.library.conditions import Condition, Missing
from archdsl.report.text import few

_LISTED = 12
"""Networks without a figure that a note lists."""
DIRECTED = tuple(name for name in NUMERIC if COLUMNS[name].more is not None)
"""Figures of which more or less is better."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A condition, the figures of a front, and an order; each may be missing."""

    where: Condition | None
    front: tuple[str, ...]
    sort: str | None
    reverse: bool

    @property
    def figures(self) -> tuple[str, ...]:
        """All columns that are needed."""
        named = self.where.figures if self.where is not None else ()
        return tuple(
            dict.fromkeys(
                (*named, *self.front, *([self.sort] if self.sort is not None and self.sort in COLUMNS else ()))
            )
        )

    def apply(
        self, entries: Sequence[CatalogEntry], swept: Sequence[str] = ()
    ) -> tuple[tuple[CatalogEntry, ...], tuple[CatalogEntry, ...], tuple[str, ...]]:
        """Return the kept networks, those that are only beaten, and notes on networks that lack a figure.

        A note calls a network by its arguments `swept`, if there are some.

        Raises E0913 if none is kept.
        """
        missing: dict[str, list[str]] = {}
        kept = []
        for entry in entries:
            try:
                lacks = next((name for name in self.front if COLUMNS[name].number(entry) is None), None)
                if self.where is not None and not self.where.holds(entry):
                    continue
            except Missing as figure:
                lacks = str(figure)
            if lacks is None:
                kept.append(entry)
            else:
                missing.setdefault(f"without {COLUMNS[lacks].title}", []).append(label(entry, swept))
        if "top1" in self.front and kept:
            classes = Counter(entry.classes for entry in kept).most_common(1)[0][0]
            others = [entry.name for entry in kept if entry.classes != classes]
            missing |= (
                {f"of other than {classes} classes, so their accuracy does not compare": others} if others else {}
            )
            kept = [entry for entry in kept if entry.classes == classes]
        notes = tuple(f"left out, {why}: {few(lacking, _LISTED)}" for why, lacking in missing.items())
        hidden = self.where.hidden if self.where is not None else ()
        notes += tuple(f"`{name}` in the condition is the figure, not the argument" for name in hidden)
        if not kept and entries:
            raise self._none(len(entries), notes)
        best = front(kept, self.front) if self.front else kept
        on_front = {*map(id, best)}
        beaten = tuple(entry for entry in kept if id(entry) not in on_front)
        if self.sort is not None:
            best = self._sorted(best, self.sort)
        return tuple(best), beaten, notes

    def _sorted(self, entries: Sequence[CatalogEntry], by: str) -> list[CatalogEntry]:
        if by in COLUMNS:
            return ordered(entries, by, self.reverse)
        return sorted(entries, key=lambda entry: sort_key(dict(entry.args)[by]), reverse=self.reverse)

    def _none(self, number: int, notes: Sequence[str]) -> ArchError:
        wanted = f"meets `{self.where.text[:120]}`" if self.where is not None else f"has {' and '.join(self.front)}"
        return error("E0913", f"none of {number:,} networks {wanted}", notes=notes)


def choice(
    where: str | None,
    pareto: str | Sequence[str],
    sort: str | None,
    reverse: bool,
    columns: Collection[str],
    arguments: Collection[str] = (),
    words: Collection[str] = (),
) -> Choice:
    """Check the parameters of `compare` and `sweep`; a condition and `sort` can also name `arguments`.

    `words` are the values of arguments that are names.

    Raises E0001 to E0004, and the errors of a condition.
    """
    check_flags(reverse=reverse)
    if sort is not None:
        check_choice("sort", sort, (*columns, *arguments))
    if reverse and sort is None:
        raise conflict("`reverse` needs `sort`")
    check_type("where", where, "a condition such as `params < 5M`", str, type(None))
    names = [name.strip() for name in filter(None, pareto.split(","))] if isinstance(pareto, str) else list(pareto)
    for name in names:
        check_choice("pareto", name, DIRECTED)
    if names and len({*names}) < 2:
        raise error("E0002", "`pareto` needs two figures or more: `top1,macs`", status=2)
    return Choice(
        Condition(where, arguments, words) if where is not None else None, tuple(dict.fromkeys(names)), sort, reverse
    )


def sort_key(value: object) -> tuple[bool, float, str]:
    """Numbers and lists of numbers by size, before names."""
    numbers = [one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, (int, float))]
    return not numbers, sum(numbers), str(value)


def front(entries: Sequence[CatalogEntry], figures: Sequence[str]) -> list[CatalogEntry]:
    """Return the entries that no other one beats: better in one of the figures, and at least equal in the others."""
    signs = [-1 if COLUMNS[name].more else 1 for name in figures]
    costs = [tuple(s * COLUMNS[name].number(e) for s, name in zip(signs, figures, strict=True)) for e in entries]
    best: list[tuple[float, ...]] = []
    for cost in sorted({*costs}):  # what beats a cost comes before it
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for other in best):
            best.append(cost)
    return [entry for entry, cost in zip(entries, costs, strict=True) if cost in {*best}]
