"""Write a drawing of a network to a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from archdsl.diagnostics import Diagnostic
from archdsl.drawing.diagram import FORMATS, check, check_several, draw, draw_steps
from archdsl.drawing.request import Request
from archdsl.files import endings
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.overwrite_marks import has_mark, marked

Format: TypeAlias = Literal["svg", "png", "pdf", "dot", "mmd", "tex", "pptx", "drawio", "html"]
SUFFIXES = {f".{format}": format for format in FORMATS} | {
    ".gv": "dot",
    ".mermaid": "mmd",
    ".tikz": "tex",
    ".htm": "html",
}
"""Suffix of a file -> format."""
_ENDINGS = {format: [suffix for suffix, own in SUFFIXES.items() if own == format] for format in FORMATS}
MAX_NAME = 120
"""Characters of the name of a file, if it is made of the names of networks."""


@dataclass(frozen=True, slots=True)
class SavedDiagram(WrittenFile):
    """A written drawing; `notes` contains N0719 if the drawing was simplified, N0722 if steps are one picture."""

    format: str
    notes: tuple[Diagnostic, ...]
    smallest_pt: float | None = None
    """Font size of the smallest text on paper, at a width of `width_mm`; None for dot, mmd and html."""
    width_mm: float | None = None
    paths: tuple[Path, ...] = ()
    """All files; of steps, several, and `path` is the last one, with the whole drawing."""


def format_of(path: str | os.PathLike[str] | None, format: str | None) -> str:
    """Return `format`, or by default that of the path's suffix, or SVG. Raises E0001 for an unknown suffix, E0003
    for one of another format."""
    return endings.format_of(path, format, _ENDINGS) or "svg"


def save(
    requests: Sequence[Request],
    path: str | os.PathLike[str] | None,
    format: str | None,
    style: str,
    *,
    steps: bool = False,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
) -> SavedDiagram:
    """Draw networks and write the drawing to `path`, by default NAME.FORMAT or NAME-NAME.FORMAT in the current folder.

    With `steps`, a picture for each step: in one file if the format has pages, else in NAME-1.FORMAT, NAME-2.FORMAT.
    The slides of a pptx file have the paper `slide` if no size is requested.

    Raises the errors of `draw`, and E0701 to E0704 for a path that cannot be written.
    """
    format = format_of(path, format)
    check(style, format, requests[0].view)
    check_several(requests, format)
    name = "-".join(dict.fromkeys(request.graph.name for request in requests))[:MAX_NAME]
    target, inputs = Path(path or f"{name}.{format}"), tuple(inputs)
    mark = has_mark("drawing")
    check_target(target, inputs=inputs, force=force, replaceable=mark)
    if steps and format == "pptx" and requests[0].options.target is None:
        requests = [replace(each, options=replace(each.options, paper="slide")) for each in requests]
    drawings = draw_steps(requests, format, style) if steps else [draw(requests, format, style)]
    digits = len(str(len(drawings)))
    stems = (
        [f"{target.stem}-{n:0{digits}}" for n in range(1, len(drawings) + 1)] if len(drawings) > 1 else [target.stem]
    )
    targets = [target.with_stem(stem) for stem in stems]
    for each in targets:
        check_target(each, inputs=inputs, force=force, replaceable=mark)
    written: list[WrittenFile] = []
    for each, drawn in zip(targets, drawings, strict=True):
        with atomic_write(each, inputs=inputs, force=force, replaceable=mark) as file:
            file.write(marked(drawn.data, format))
        assert file.written is not None
        written.append(file.written)
    path, size, paths = written[-1].path, sum(file.size for file in written), tuple(file.path for file in written)
    notes = [Diagnostic("N0719", drawn.note, severity="note")] if drawn.note else []
    if steps and sum(drawn.pictures for drawn in drawings) == 1:
        message = "the steps are one picture: this drawing has no boxes that could be added one by one"
        notes.append(Diagnostic("N0722", message, severity="note"))
    return SavedDiagram(path, size, format, tuple(notes), drawn.smallest_pt, drawn.width_mm, paths)
