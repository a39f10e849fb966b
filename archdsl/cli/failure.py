"""The diagnostic of an internal error. Imported only when one happens."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from archdsl.diagnostics import Diagnostic
from archdsl.version import __version__

ISSUES = "https://github.com/archdsl/archdsl/issues"


def internal(problem: Exception) -> Diagnostic:
    """Return E0999 for an exception that no check expects, with what a report of it needs."""
    # torch raises a RuntimeError instead of a MemoryError.
    if isinstance(problem, MemoryError) or "can't allocate memory" in str(problem):
        return Diagnostic("E0999", "not enough memory")
    last = traceback.extract_tb(problem.__traceback__)[-1:]
    where = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in last)
    what = f"{type(problem).__name__}{where}: {str(problem)[:300]}"
    version = f"archdsl {__version__}, Python {sys.version.split()[0]}, {sys.platform}"
    return Diagnostic(
        "E0999",
        "internal error: this is a bug in archdsl",
        notes=(what, version),
        help=f"please report it at {ISSUES} with the traceback, which ARCHDSL_DEBUG=1 prints",
    )
