"""A diagnostic as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl.diagnostics.fixes import Fix, Proposal
from archdsl.diagnostics.place import Label, Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What is wrong at one place of a spec: its code, message, span, labels of other places, notes, help and fixes."""

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    severity: Severity = "error"
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""
    fixes: tuple[Fix, ...] = ()
    """Repairs, the best first. At most one of them is applied. If `help` is a `Proposal`, its fix is here."""

    def __post_init__(self) -> None:
        if isinstance(self.help, Proposal) and self.span is not None and not self.fixes:
            object.__setattr__(self, "fixes", self.help.fixes(self.span))

    @property
    def text(self) -> str:
        """All its texts, one below the other, for a tool that shows the place itself."""
        label, help_ = [self.label] * bool(self.label), [f"help: {self.help}"] * bool(self.help)
        return "\n".join([self.message, *label, *self.notes, *help_])

    def sort_key(self) -> tuple[str, int, str]:
        if self.span is None:
            return ("", -1, self.code)
        return (self.span.source.name, self.span.start, self.code)
