"""The exit status of an error: 1 for an error in a spec, weights, model or image, 2 for wrong usage or environment."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.error import ArchError

OPTIONS = ("-a ", "--input", "-o")
"""How the names of sources from the command line begin: an error in one of them is wrong usage."""


def status_of(problem: ArchError) -> int:
    """Return 2 if all errors are on the command line itself, else the status of the error."""
    return 2 if in_usage(problem.diagnostics) else problem.status


def in_usage(diagnostics: Iterable[Diagnostic]) -> bool:
    """Return whether there are errors, and all of them are on the command line, none in a file."""
    errors = [d for d in diagnostics if d.severity == "error"]
    return bool(errors) and all(map(_on_command_line, errors))


def _on_command_line(d: Diagnostic) -> bool:
    if d.span is None:
        return d.code == "E0205"  # the library has no network of this name
    return d.span.source.path is None and d.span.source.name.startswith(OPTIONS)
