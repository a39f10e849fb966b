"""Collect diagnostics: each error at each position once, and a limited number of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.error import ArchError
from archdsl.diagnostics.place import Span

MAX_DIFFERENT, MAX_COPIES = 200, 5_000
"""The largest number of different diagnostics in a report, and of errors that it counts."""


class TooManyErrors(Exception):
    """The report is full: stop, and print the errors collected so far."""


@dataclass
class Report:
    """Collects diagnostics. The same error at the same position (36 copies of a block) is kept once, with a count."""

    items: dict[tuple[str, Span | None, str], tuple[Diagnostic, int]] = field(default_factory=dict)
    errors: int = 0

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a diagnostic. Raises TooManyErrors after 200 different errors or 5,000 copies; drops further warnings."""
        key = (diagnostic.code, diagnostic.span, "" if diagnostic.span else diagnostic.message)
        first, count = self.items.get(key, (diagnostic, 0))
        if diagnostic.severity == "error":
            self.errors += 1
            if self.errors > MAX_COPIES or (not count and len(self.items) >= MAX_DIFFERENT):
                raise TooManyErrors
        if count or len(self.items) < MAX_DIFFERENT:
            self.items[key] = (first, count + 1)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def mark(self) -> tuple[int, int]:
        """Return the present state, for `errors_since` and `revert`."""
        return len(self.items), self.errors

    def errors_since(self, mark: tuple[int, int]) -> list[Diagnostic]:
        """Return the errors that were added after `mark`."""
        if self.errors == mark[1]:
            return []
        return [d for d, _ in islice(self.items.values(), mark[0], None) if d.severity == "error"]

    def revert(self, mark: tuple[int, int]) -> None:
        """Remove what was added after `mark`."""
        self.items = dict(islice(self.items.items(), mark[0]))
        self.errors = mark[1]

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d, _ in self.items.values())

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Return the diagnostics in the order of the source; copies become a note `and N more like it`."""
        ordered = sorted((_with_copies(d, n) for d, n in self.items.values()), key=Diagnostic.sort_key)
        if len(ordered) >= MAX_DIFFERENT:
            note = f"only the first {MAX_DIFFERENT} are listed"
            ordered[-1] = replace(ordered[-1], notes=(*ordered[-1].notes, note))
        return tuple(ordered)

    def raise_errors(self) -> None:
        if self.failed:
            raise ArchError(self.diagnostics())


def _with_copies(d: Diagnostic, copies: int) -> Diagnostic:
    """The diagnostic with the number of its copies, after the first block call or in a separate note."""
    if copies == 1:
        return d
    more = f"and {copies - 1:,} more like it"
    call = next((n for n, note in enumerate(d.notes) if note.startswith("in ")), None)
    if call is None:
        return replace(d, notes=(*d.notes, more))
    return replace(d, notes=tuple(f"{note} ({more})" if n == call else note for n, note in enumerate(d.notes)))
