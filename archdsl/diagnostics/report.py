"""Collects diagnostics: the same mistake at the same place once, and not more than a reader reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.error import ArchError
from archdsl.diagnostics.place import Span

MAX_DIFFERENT, MAX_COPIES = 200, 5_000
"""Diagnostics that one report holds, and errors that it counts."""


class Enough(Exception):
    """More errors than anybody reads: what collects them shall stop, and tell those that it has."""


@dataclass
class Report:
    """Collects diagnostics. The same mistake at the same place (36 copies of a block) is kept once, counted."""

    items: dict[tuple[str, Span | None, str], tuple[Diagnostic, int]] = field(default_factory=dict)
    told: int = 0

    def add(self, diagnostic: Diagnostic) -> None:
        """Raises Enough after 200 different errors, or 5,000 copies; further warnings are dropped."""
        key = (diagnostic.code, diagnostic.span, "" if diagnostic.span else diagnostic.message)
        first, count = self.items.get(key, (diagnostic, 0))
        if diagnostic.severity == "error":
            self.told += 1
            if self.told > MAX_COPIES or (not count and len(self.items) >= MAX_DIFFERENT):
                raise Enough
        if count or len(self.items) < MAX_DIFFERENT:
            self.items[key] = (first, count + 1)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d, _ in self.items.values())

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """In the order of the source; copies collapsed into a note `and N more like it`."""
        told = sorted((_collapsed(d, n) for d, n in self.items.values()), key=Diagnostic.sort_key)
        if len(told) >= MAX_DIFFERENT:
            told[-1] = replace(told[-1], notes=(*told[-1].notes, f"these are the first {MAX_DIFFERENT}; there is more"))
        return tuple(told)

    def raise_errors(self) -> None:
        if self.failed:
            raise ArchError(self.diagnostics())


def _collapsed(d: Diagnostic, copies: int) -> Diagnostic:
    """The diagnostic, saying how many copies it stands for: behind the first block call, or in a note of its own."""
    if copies == 1:
        return d
    more = f"and {copies - 1:,} more like it"
    called = next((n for n, note in enumerate(d.notes) if note.startswith("in ")), None)
    if called is None:
        return replace(d, notes=(*d.notes, more))
    return replace(d, notes=tuple(f"{note} ({more})" if n == called else note for n, note in enumerate(d.notes)))
