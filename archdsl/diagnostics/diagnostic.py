"""A diagnostic as data, with the edits that repair the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl.diagnostics.place import Label, Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters of `span` by `text`; an empty span inserts, an empty text removes."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A repair: edits that are applied together. `title` is an imperative, as in ``replace `strid` by `stride` ``.

    A `safe` fix has one reading and keeps the meaning of all that was valid. Others guess, or change the network.
    """

    title: str
    edits: tuple[Edit, ...]
    safe: bool


@dataclass(frozen=True, slots=True)
class Diagnostic:
    code: str
    message: str
    span: Span | None = None
    label: str = ""
    severity: Severity = "error"
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""
    fixes: tuple[Fix, ...] = ()
    """Repairs, the best first. At most one of them is applied."""

    def sort_key(self) -> tuple[str, int, str]:
        if self.span is None:
            return ("", -1, self.code)
        return (self.span.source.name, self.span.start, self.code)
