"""An `ArchError` in IPython and in a notebook: the diagnostics, without the frames of archdsl."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from archdsl.diagnostics.color import painted
from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.text import render_text

_PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep
_IPYTHON = (f"{os.sep}IPython{os.sep}", f"{os.sep}ipykernel{os.sep}")


def traceback_lines(trace: TracebackType | None, diagnostics: Sequence[Diagnostic]) -> list[str]:
    """Return the lines of the reader's cells and files that led to the error, then the diagnostics.

    With ARCHDSL_DEBUG=1 every frame is listed. NO_COLOR removes the colours.
    """
    color = not os.environ.get("NO_COLOR")
    if os.environ.get("ARCHDSL_DEBUG") == "1":
        frames = traceback.format_tb(trace)
    else:
        frames = list(_own(trace))
    lines = [line for frame in frames for line in frame.splitlines()]
    return [*(painted("quiet", line, color) for line in lines), *render_text(diagnostics, color).splitlines()]


def _own(trace: TracebackType | None) -> Iterator[str]:
    """The frames before the call of archdsl. The file of a cell does not exist."""
    for frame in traceback.extract_tb(trace):
        if frame.filename.startswith(_PACKAGE):
            return
        if not any(part in frame.filename for part in _IPYTHON):
            place = frame.filename if os.path.exists(frame.filename) else "this notebook"
            yield f"{place}, line {frame.lineno}, in {frame.name}\n    {frame.line}"
