"""`ArchError`, the exception that contains diagnostics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.place import Span
from archdsl.diagnostics.text import render_text


class ArchError(Exception):
    """One or more diagnostics, at least one of them an error. `str()` is the text that the command line prints.

    `status` is the exit status: 1 for an error in the spec, weights or model, 2 for wrong usage or environment.
    """

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic], status: int = 1) -> None:
        items = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = items
        self.status = status
        super().__init__(items)

    def __str__(self) -> str:
        return render_text(self.diagnostics).rstrip("\n")

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython and a notebook print: the reader's own frames, then the diagnostics."""
        from archdsl.diagnostics.notebook import traceback_lines

        return traceback_lines(self.__traceback__, self.diagnostics)


def error(code: str, message: str, span: Span | None = None, *, status: int = 1, **more: Any) -> ArchError:
    """Return an `ArchError` with one diagnostic."""
    return ArchError(Diagnostic(code, message, span, **more), status)
