"""The error that carries diagnostics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.place import Span
from archdsl.diagnostics.text import render_text


class ArchError(Exception):
    """One or more diagnostics, at least one of them an error. `str()` is what the command line prints.

    `status` is the exit status that fits: 1 the spec, weights or model are wrong, 2 usage or environment.
    """

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic], status: int = 1) -> None:
        items = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = items
        self.status = status
        super().__init__(items)

    def __str__(self) -> str:
        return render_text(self.diagnostics).rstrip("\n")


def error(code: str, message: str, span: Span | None = None, *, status: int = 1, **more: Any) -> ArchError:
    """An `ArchError` of one diagnostic, to be raised."""
    return ArchError(Diagnostic(code, message, span, **more), status)
