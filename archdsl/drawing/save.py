"""Write a drawing of a network to a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.arguments import check_choice, check_paths
from archdsl.drawing.diagram import FORMATS, check, check_several, draw
from archdsl.drawing.request import Request
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.overwrite_marks import has_mark, marked

Format: TypeAlias = Literal["svg", "png", "pdf", "dot", "mmd", "tex", "html"]
SUFFIXES = {f".{format}": format for format in FORMATS} | {
    ".gv": "dot",
    ".mermaid": "mmd",
    ".tikz": "tex",
    ".htm": "html",
}
"""Suffix of a file -> format."""
MAX_NAME = 120
"""Characters of the name of a file, if it is made of the names of networks."""


@dataclass(frozen=True, slots=True)
class SavedDiagram(WrittenFile):
    """A written drawing; `notes` contains N0719 if the drawing was simplified."""

    format: str
    notes: tuple[Diagnostic, ...]
    smallest_pt: float | None = None
    """Font size of the smallest text on paper, at a width of `width_mm`; None for dot, mmd and html."""
    width_mm: float | None = None


def format_of(path: str | os.PathLike[str] | None, format: str | None) -> str:
    """Return `format`, or by default that of the path's suffix, or SVG. Raises E0001 for an unknown suffix."""
    check_paths(path=path)
    suffix = "" if path is None else Path(path).suffix.lower()
    if format is None and suffix:
        check_choice("format", suffix[1:], (known[1:] for known in SUFFIXES))
        return SUFFIXES[suffix]
    return format or "svg"


def save(
    requests: Sequence[Request],
    path: str | os.PathLike[str] | None,
    format: str | None,
    style: str,
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
) -> SavedDiagram:
    """Draw networks and write the drawing to `path`, by default NAME.FORMAT or NAME-NAME.FORMAT in the current folder.

    Raises the errors of `draw`, and E0701 to E0704 for a path that cannot be written.
    """
    format = format_of(path, format)
    check(style, format, requests[0].view)
    check_several(requests, format)
    name = "-".join(dict.fromkeys(request.graph.name for request in requests))[:MAX_NAME]
    target, inputs = Path(path or f"{name}.{format}"), tuple(inputs)
    check_target(target, inputs=inputs, force=force, replaceable=has_mark("drawing"))
    drawn = draw(requests, format, style)
    with atomic_write(target, inputs=inputs, force=force, replaceable=has_mark("drawing")) as file:
        file.write(marked(drawn.data, format))
    assert file.written is not None
    notes = (Diagnostic("N0719", drawn.note, severity="note"),) if drawn.note else ()
    return SavedDiagram(file.written.path, file.written.size, format, notes, drawn.smallest_pt, drawn.width_mm)
