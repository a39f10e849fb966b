"""Drawings as objects: a notebook shows them, `str` is their SVG or HTML, and they can be saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from archdsl.diagnostics import escape_control
from archdsl.drawing.diagram import draw, painter
from archdsl.drawing.request import DPI, Request
from archdsl.drawing.save import Format, SavedDiagram, save
from archdsl.drawing.scene.write import png, svg
from archdsl.drawing.theme import LIGHT

_FRAME = "width:100%;height:640px;border:1px solid #8884;border-radius:8px"


class Picture:
    """A drawing that a notebook shows as a picture.

    `svg`: its SVG text. `caption`: what it shows, its parameters and MACs, and what its signs mean. `alt`: an
    alternative text of at most 300 characters: the counts and the first parts. `note`: how it was simplified (empty if
    it was not). `files` are those that no drawing may replace. Raises as `archdsl.drawing.diagram.draw`.
    """

    def __init__(self, requests: Sequence[Request], style: str = "graph", files: Sequence[str] = ()) -> None:
        self._requests, self._style, self._files = tuple(requests), style, tuple(files)
        self._painter = painter(requests, style)
        scene = self._painter(LIGHT)
        self.caption, self.alt, self.note = scene.caption, scene.alt, scene.note
        self.svg = svg(self._painter, requests[0].options).data.decode()

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        format: Format | None = None,
        *,
        dpi: int = DPI,
        force: bool = False,
    ) -> SavedDiagram:
        """Write the drawing to a file. The parameters are those of `Network.save_diagram`; raises as that does."""
        requests = [replace(request, options=replace(request.options, dpi=dpi)) for request in self._requests]
        return save(requests, path, format, self._style, inputs=self._files, force=force)

    def png(self, dpi: int = DPI) -> bytes:
        """Return the drawing as PNG; the theme `auto` is light. Raises E0715 if it is too large."""
        return png(self._painter, replace(self._requests[0].options, dpi=dpi)).data

    def __str__(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Picture {self.alt}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        options = self._requests[0].options
        # The theme of a notebook can differ from the system's.
        shown = replace(options, theme="light") if options.theme == "auto" else options
        return {"text/plain": self.alt, "image/svg+xml": svg(self._painter, shown).data.decode()}


class Page:
    """The interactive page of a network, which a notebook shows in a frame.

    `html`: the page as text, one file that works offline. Raises as `archdsl.drawing.diagram.draw`.
    """

    def __init__(self, requests: Sequence[Request], files: Sequence[str] = ()) -> None:
        self._requests, self._files = tuple(requests), tuple(files)
        self.html = draw(requests, "html").data.decode()

    def save(self, path: str | os.PathLike[str] | None = None, *, force: bool = False) -> SavedDiagram:
        """Write the page to a file, by default NAME.html. Raises E0701 to E0704 if it cannot be written."""
        return save(self._requests, path, "html", "graph", inputs=self._files, force=force)

    def __str__(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<Page {escape_control(self._requests[0].graph.name)}>"

    def _repr_html_(self) -> str:
        """The page in a frame of its own origin, in which its scripts cannot reach the notebook."""
        title, sandbox = escape(escape_control(self._requests[0].graph.name)), "allow-scripts allow-downloads"
        return f'<iframe title="{title}" sandbox="{sandbox}" style="{_FRAME}" srcdoc="{escape(self.html)}"></iframe>'
