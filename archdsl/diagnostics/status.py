"""The exit status of an error: 1 the spec, weights, model or image is wrong, 2 wrong usage or environment."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.error import ArchError

OPTIONS = ("-a ", "--input")
"""How the sources of values given as options are named: a mistake in one of them is wrong usage."""


def status_of(problem: ArchError) -> int:
    """2 where what is wrong stands on the command line itself, else what the error says."""
    return 2 if in_usage(problem.diagnostics) else problem.status


def in_usage(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether there are errors, and all of them are in what was typed, none in a file."""
    errors = [d for d in diagnostics if d.severity == "error"]
    return bool(errors) and all(map(_typed, errors))


def _typed(d: Diagnostic) -> bool:
    if d.span is None:
        return d.code == "E0205"  # no network of the name that was asked for
    return d.span.source.path is None and d.span.source.name.startswith(OPTIONS)
