"""What is said when the fault is ours. Loaded only when something went wrong."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from archdsl.diagnostics import Diagnostic
from archdsl.version import __version__

ISSUES = "https://github.com/archdsl/archdsl/issues"


def internal(problem: Exception) -> Diagnostic:
    """What a user can do about an error that should not exist."""
    if isinstance(problem, MemoryError) or "can't allocate memory" in str(
        problem
    ):  # torch's own kind is a RuntimeError
        return Diagnostic("E0999", "there is not enough memory for this")
    last = traceback.extract_tb(problem.__traceback__)[-1:]
    where = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in last)
    what = f"{type(problem).__name__}{where}: {str(problem)[:300]}"
    version = f"archdsl {__version__}, Python {sys.version.split()[0]}, {sys.platform}"
    return Diagnostic(
        "E0999",
        "internal error: archdsl failed where it should not",
        notes=(what, version),
        help=f"please report it at {ISSUES}; ARCHDSL_DEBUG=1 shows the traceback to send along",
    )
