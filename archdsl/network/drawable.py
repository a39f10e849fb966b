"""The drawings of a network: the part of `Network` that writes and shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archdsl.diagnostics.arguments import check_names
from archdsl.graph import Graph

if TYPE_CHECKING:
    from archdsl.compilation.onnx_options import AnyPath
    from archdsl.drawing.model.drawing import Level, View
    from archdsl.drawing.request import Direction, Heat, Style, ThemeChoice
    from archdsl.drawing.save import Format, SavedDiagram


class Drawable:
    """What has a graph, and is drawn. `files` are those that no drawing may replace."""

    graph: Graph

    @property
    def files(self) -> tuple[str, ...]:
        return ()

    def diagram(
        self,
        level: Level = "block",
        style: Style = "graph",
        focus: str = "",
        expand: Sequence[str] = (),
        *,
        theme: ThemeChoice = "auto",
        color: Heat = "kind",
        shapes: bool = True,
        title: str | None = None,
        legend: bool = False,
        direction: Direction = "TB",
        width_mm: int | None = None,
    ) -> str:
        """Return the drawing as SVG text.

        `level`: network, block or layer; `focus`: the path of the one block to draw; `expand`: paths of collapsed
        blocks to expand. The others are those of `archdsl.drawing.request.Options`. Raises E0711 to E0717; E0001 for an
        unknown name, E0002 for a width outside 20 to 2000, E0004 for an argument of another type.
        """
        from archdsl.drawing.diagram import diagram
        from archdsl.drawing.request import Options

        view = _view(level, focus, expand)
        options = Options(theme, color, shapes, title, legend, direction, width_mm=width_mm)
        return diagram(self.graph, "svg", view, options, style).data.decode()

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
    ) -> str:
        """Return the interactive page as HTML text, one file that works offline. The parameters are those of `diagram`
        and set its first view. Raises as `diagram` does."""
        from archdsl.drawing.diagram import diagram
        from archdsl.drawing.request import Options

        view = _view(level, focus, expand)
        options = Options(theme, color, shapes, title, legend, direction)
        return diagram(self.graph, "html", view, options).data.decode()

    def save_diagram(
        self,
        path: AnyPath | None = None,
        format: Format | None = None,
        level: Level = "block",
        style: Style = "graph",
        focus: str = "",
        expand: Sequence[str] = (),
        *,
        theme: ThemeChoice = "auto",
        color: Heat = "kind",
        shapes: bool = True,
        title: str | None = None,
        legend: bool = False,
        direction: Direction = "TB",
        dpi: int = 144,
        width_mm: int | None = None,
        force: bool = False,
    ) -> SavedDiagram:
        """Write the drawing as svg, png, pdf, dot, mmd, tex or html.

        `path` is by default NAME with the suffix of the format in the current folder; `format` is by default that of
        the suffix of `path`. `dpi` is the resolution of a PNG, from 10 to 1200. The other parameters are those of
        `diagram`. Raises as `diagram` does, E0701 to E0704 if the file cannot be written, E0714 for a format that the
        style does not have.
        """
        from archdsl.drawing.request import Options
        from archdsl.drawing.save import save

        view = _view(level, focus, expand)
        options = Options(theme, color, shapes, title, legend, direction, dpi, width_mm)
        return save(self.graph, path, format, view, options, style, inputs=self.files, force=force)

    def _repr_mimebundle_(
        self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> dict[str, str]:
        bundle = {"text/plain": repr(self)}
        try:
            # The theme of a notebook can differ from the system's.
            bundle["image/svg+xml"] = self.diagram(theme="light")
        except Exception:  # a notebook must show the text even if drawing fails
            return bundle
        return bundle


def _view(level: Level, focus: str, expand: Sequence[str]) -> View:
    """The part of a network to draw. Raises E0004 if `expand` is not a list of names."""
    from archdsl.drawing.model.drawing import View

    check_names("expand", expand)
    return View(level, focus, tuple(expand))
