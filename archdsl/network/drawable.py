"""The drawings of a network, or of several side by side: the part of `Network` that writes and shows them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_names, conflict

if TYPE_CHECKING:
    from archdsl.backends.weights.resolve import WeightsSource
    from archdsl.compilation.onnx_options import AnyPath
    from archdsl.drawing.model.drawing import Level
    from archdsl.drawing.paper import Font, PaperName
    from archdsl.drawing.request import Direction, Heat, Options, Request, Style, ThemeChoice
    from archdsl.drawing.save import Format, SavedDiagram
    from archdsl.drawing.shown import Page, Picture
    from archdsl.network.photograph import Photographed


class Drawable:
    """What is drawn: one network, or the several of a figure. `files` are those that no drawing may replace."""

    @property
    def networks(self) -> tuple[Photographed, ...]:
        """The networks, in the order in which they are drawn."""
        raise NotImplementedError

    @property
    def files(self) -> tuple[str, ...]:
        return ()

    def diagram(
        self,
        level: Level = "block",
        style: Style = "graph",
        focus: str | Sequence[str] = "",
        expand: Sequence[str] = (),
        *,
        image: AnyPath | None = None,
        weights: WeightsSource | None = None,
        theme: ThemeChoice = "auto",
        color: Heat = "kind",
        shapes: bool = True,
        title: str | None = None,
        legend: bool = False,
        direction: Direction = "TB",
        width_mm: int | None = None,
        height_mm: int | None = None,
        paper: PaperName | None = None,
        min_font: float | None = None,
        font: Font | None = None,
        font_size: float | None = None,
        true_scale: bool = False,
    ) -> Picture:
        """Return the drawing, which a notebook shows; `str` and `.svg` are its SVG text, `.save(path)` writes a file,
        `.caption` and `.alt` are texts for a document.

        `level`: network, block or layer; `focus`: the path of the one block to draw, or several paths for a picture of
        each, side by side; `expand`: paths of collapsed blocks to expand. `image`: a photograph, for the style
        `article`: what each focus sees of it, and what it answers with the filters of the spec or with `weights`. The
        others are those of `archdsl.drawing.request.Options`. Raises E0711 to E0717 and E0721; E0001 for an unknown
        name, E0002 for a size out of range, E0004 for an argument of another type, E0726 for a focus too many; with an
        image as `archdsl.network.photograph.photographed`.
        """
        from archdsl.drawing.request import Options
        from archdsl.drawing.shown import Picture

        size = width_mm, height_mm, paper, min_font, font, font_size
        options = Options(theme, color, shapes, title, legend, direction, *size, true_scale=true_scale)
        requests = self._requests(level, focus, expand, options, image, weights)
        return Picture(requests, style, self._read_files(image))

    def page(
        self,
        level: Level = "block",
        focus: str = "",
        expand: Sequence[str] = (),
        *,
        theme: ThemeChoice = "auto",
        color: Heat = "kind",
        shapes: bool = True,
        title: str | None = None,
        legend: bool = False,
        direction: Direction = "TB",
    ) -> Page:
        """Return the interactive page, which a notebook shows in a frame; `str` and `.html` are its HTML text, one file
        that works offline, and `.save(path)` writes it. The parameters are those of `diagram` and set its first view.
        Raises as `diagram` does, E0726 for several networks."""
        from archdsl.drawing.request import Options
        from archdsl.drawing.shown import Page

        options = Options(theme, color, shapes, title, legend, direction)
        return Page(self._requests(level, focus, expand, options), files=self.files)

    def save_diagram(
        self,
        path: AnyPath | None = None,
        format: Format | None = None,
        level: Level = "block",
        style: Style = "graph",
        focus: str | Sequence[str] = "",
        expand: Sequence[str] = (),
        *,
        image: AnyPath | None = None,
        weights: WeightsSource | None = None,
        theme: ThemeChoice = "auto",
        color: Heat = "kind",
        shapes: bool = True,
        title: str | None = None,
        legend: bool = False,
        direction: Direction = "TB",
        dpi: int = 144,
        width_mm: int | None = None,
        height_mm: int | None = None,
        paper: PaperName | None = None,
        min_font: float | None = None,
        font: Font | None = None,
        font_size: float | None = None,
        true_scale: bool = False,
        fragment: bool = False,
        steps: bool = False,
        force: bool = False,
    ) -> SavedDiagram:
        """Write the drawing as svg, png, pdf, pptx, drawio, tex, dot, mmd or html.

        `path` is by default NAME with the suffix of the format in the current folder; `format` is by default that of
        the suffix of `path`. `dpi` is the resolution of a PNG, from 10 to 1200. `fragment`: TeX output is only the
        `tikzpicture`. `steps`: write pictures that build the drawing up, one block in each. The other parameters are
        those of `diagram`. Raises as `diagram` does, E0701 to E0704 if the file cannot be written, E0714 for a format
        that the style does not have, E0729 for one without steps.
        """
        from archdsl.drawing.request import Options
        from archdsl.drawing.save import save

        size = width_mm, height_mm, paper, min_font, font, font_size
        options = Options(theme, color, shapes, title, legend, direction, *size, dpi, fragment, true_scale)
        requests = self._requests(level, focus, expand, options, image, weights)
        return save(requests, path, format, style, steps=steps, inputs=self._read_files(image), force=force)

    def _read_files(self, image: AnyPath | None) -> tuple[str, ...]:
        """The files that no drawing may replace."""
        return (*self.files, *([] if image is None else [os.fspath(image)]))

    def _requests(
        self,
        level: Level,
        focus: str | Sequence[str],
        expand: Sequence[str],
        options: Options,
        image: AnyPath | None = None,
        weights: WeightsSource | None = None,
    ) -> list[Request]:
        """A request for each picture: of each network with its own focus or the same, or of one with each focus.

        Raises E0004 if `focus` or `expand` is not a list of names, E0726 if there are not as many focuses as networks.
        """
        from archdsl.drawing.model.drawing import View
        from archdsl.drawing.request import Request

        check_names("expand", expand)
        if not isinstance(focus, str):
            check_names("focus", focus)
        paths: list[str] = [focus] if isinstance(focus, str) else list(focus) or [""]
        networks = self.networks
        if len(networks) == 1 or len(paths) == 1:
            pairs = [(network, path) for network in networks for path in paths]
        elif len(networks) == len(paths):
            pairs = list(zip(networks, paths, strict=True))
        else:
            message = f"{len(paths)} focuses for {len(networks)} networks"
            raise error("E0726", message, status=2, help="set one for all, or one for each (`''`: all of it)")
        requests = [Request(network.graph, View(level, path, tuple(expand)), options) for network, path in pairs]
        if image is None and weights is not None:
            raise conflict(
                "`weights` without `image`", help="the weights answer to an image: add it, or leave them out"
            )
        if image is None:
            return requests
        from archdsl.network.photograph import photographed

        return photographed([network for network, _ in pairs], requests, image, weights)

    def _repr_mimebundle_(
        self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> dict[str, str]:
        bundle = {"text/plain": repr(self)}
        try:
            bundle["image/svg+xml"] = self.diagram(theme="light").svg
        except Exception:  # a notebook must show the text even if drawing fails
            return bundle
        return bundle
