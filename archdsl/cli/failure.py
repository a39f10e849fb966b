"""The exit status of what went wrong, and what is said when the fault is ours. Loaded only when something is."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from archdsl import __version__
from archdsl.diagnostics import ArchError, Diagnostic

ISSUES = "https://github.com/archdsl/archdsl/issues"
ON_THE_COMMAND_LINE = ("-a ", "--input")
"""How the sources of values given as options are named: a mistake in one of them is wrong usage."""


def status_of(problem: ArchError) -> int:
    """2 where what is wrong stands on the command line itself, else what the error says."""
    errors = [d for d in problem.diagnostics if d.severity == "error"]
    return 2 if errors and all(map(_in_usage, errors)) else problem.status


def _in_usage(d: Diagnostic) -> bool:
    if d.span is None:
        return d.code == "E0205"  # no network of the name that was asked for
    return d.span.source.path is None and d.span.source.name.startswith(ON_THE_COMMAND_LINE)


def internal(problem: Exception) -> Diagnostic:
    """What a user can do about an error that should not exist."""
    if isinstance(problem, MemoryError):
        return Diagnostic("E0999", "there is not enough memory for this")
    last = traceback.extract_tb(problem.__traceback__)[-1:]
    where = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in last)
    what = f"{type(problem).__name__}{where}: {str(problem)[:300]}"
    version = f"archdsl {__version__}, Python {sys.version.split()[0]}, {sys.platform}"
    return Diagnostic(
        "E0999", "internal error: archdsl failed where it should not", notes=(what, version),
        help=f"please report it at {ISSUES}; ARCHDSL_DEBUG=1 shows the traceback to send along",
    )  # fmt: skip
