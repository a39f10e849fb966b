"""Draw networks in any style and format: a style makes a scene, and `scene/write.py` writes it in any format.

Each entry of a table names a function as `module:function`, so that only the module that a drawing needs is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice, check_names, check_type, conflict
from archdsl.drawing.model.drawing import LEVELS, View
from archdsl.drawing.panels import MOST
from archdsl.drawing.request import TIME_LIMIT_S, Diagram, Options, Request
from archdsl.drawing.scene import Scene
from archdsl.drawing.scene.readable import figures, readable
from archdsl.drawing.scene.steps import steps
from archdsl.drawing.scene.write import FORMATS as SCENE_FORMATS
from archdsl.drawing.scene.write import PAGED, Painter, pages
from archdsl.drawing.theme import LIGHT, Theme
from archdsl.graph import Graph

STYLES: Mapping[str, str] = {
    "graph": "archdsl.drawing.graph.printing:attempts",
    "volumes": "archdsl.drawing.volumes:attempts",
    "article": "archdsl.drawing.article:attempts",
    "sheets": "archdsl.drawing.sheets:attempts",
}
"""Style -> the function that draws a network in several ways, the best first: `Request -> Iterator[Painter]`."""

PHOTOGRAPH = "archdsl.drawing.article.photograph:attempts"
"""The same for nodes on a photograph, in the style `article`: `(Sequence[Request], Request) -> Iterator[Painter]`."""

OF_GRAPH: Mapping[str, str] = {
    "dot": "archdsl.drawing.graph.dot:write",
    "mmd": "archdsl.drawing.graph.mermaid:write",
    "html": "archdsl.drawing.page:write",
}
"""Formats that only the style `graph` has, of one network: `Request -> Diagram`."""

FORMATS = (*SCENE_FORMATS, *OF_GRAPH)


def formats(style: str) -> tuple[str, ...]:
    """Return the formats of a style."""
    return (*SCENE_FORMATS, *(OF_GRAPH if style == "graph" else ()))


def diagram(
    graph: Graph,
    format: str = "svg",
    view: View = View(),
    options: Options = Options(),
    style: str = "graph",
    time_limit_s: float = TIME_LIMIT_S,
) -> Diagram:
    """Draw a network: `draw` with one request."""
    return draw([Request(graph, view, options, time_limit_s)], format, style)


def draw(requests: Sequence[Request], format: str = "svg", style: str = "graph") -> Diagram:
    """Draw a network, or several side by side as one figure with the options of the first.

    A network that is too large, or whose layout takes longer than its `time_limit_s`, is drawn in less detail;
    `Diagram.note` says so. An incomplete network is drawn with marks at its unknown nodes; raises E0720 in a style or
    format that has no marks. Raises, all with status 2, E0003 for an option of another style or format, E0711 if no
    layout engine is installed, E0712 if even the simplest drawing takes too long, E0713 for a path that the network
    does not have, E0715 for a PNG that is too large, E0716 if the converter to PNG or PDF is not installed, E0717 if
    the style `article` has no figure, E0721 if no drawing is readable at the requested size, and the errors of `check`.
    """
    _check_all(requests, style, format)
    _check_fragment(requests, format)
    if format in OF_GRAPH:
        drawn: Diagram = load(OF_GRAPH[format])(requests[0])
        return drawn
    return SCENE_FORMATS[format](painter(requests, style), requests[0].options)


def painter(requests: Sequence[Request], style: str = "graph") -> Painter:
    """Return a function from the theme to the scene of the requests. Raises as `draw`."""
    _check_all(requests, style, "svg")
    attempts = load(STYLES[style])
    if requests[0].photo is not None:
        attempts = partial(load(PHOTOGRAPH), requests)
    elif len(requests) > 1:
        attempts = partial(figures, attempts, requests)
    return readable(attempts, requests[0])


def _check_all(requests: Sequence[Request], style: str, format: str) -> None:
    for request in requests:
        check(style, format, request.view)
        _check_marks(request.graph, style, format)
    check_several(requests, format)
    if style != "article" and any(request.photo is not None for request in requests):
        help = "`--image` needs `--style article`"
        raise error("E0727", f"the style `{style}` has no photographs", status=2, help=help)
    if style != "sheets" and any(request.options.true_scale for request in requests):
        raise conflict(f"`true_scale` applies to the style `sheets`; the style is `{style}`")


def _check_fragment(requests: Sequence[Request], format: str) -> None:
    if format != "tex" and any(request.options.fragment for request in requests):
        raise conflict(f"`fragment` applies to tex output; the format is {format}")


def draw_steps(requests: Sequence[Request], format: str = "svg", style: str = "graph") -> list[Diagram]:
    """Draw pictures that build up a drawing, one block in each; the last is the whole drawing.

    A `pptx` or `drawio` file has all of them. Raises as `draw`, and E0729 (status 2) for a format without steps.
    """
    if format in OF_GRAPH:
        formats_with = ", ".join(SCENE_FORMATS)
        raise error("E0729", f"{format} output has no steps", status=2, help=f"formats with steps: {formats_with}")
    _check_fragment(requests, format)
    paint, options = painter(requests, style), requests[0].options
    built: dict[str, list[Scene]] = {}

    def step(theme: Theme, number: int) -> Scene:
        if theme.name not in built:
            built[theme.name] = steps(paint(theme))
        return built[theme.name][number]

    step(LIGHT, 0)
    paints = [partial(step, number=number) for number in range(len(built[LIGHT.name]))]
    if format in PAGED:
        return [pages(format, paints, options)._replace(pictures=len(paints))]
    return [SCENE_FORMATS[format](p, options) for p in paints]


def check_several(requests: Sequence[Request], format: str) -> None:
    """Raises E0726 (status 2) for several pictures in a format of one, or more pictures than there are letters."""
    if len(requests) > MOST:
        raise error("E0726", f"a figure has at most {MOST} pictures, not {len(requests)}", status=2)
    if len(requests) > 1 and format in OF_GRAPH:
        message = f"{format} output shows one network, not {len(requests)} pictures"
        raise error("E0726", message, status=2, help=f"formats of a figure: {', '.join(SCENE_FORMATS)}")


def check(style: str, format: str, view: View = View()) -> None:
    """Check the arguments of a drawing.

    Raises, all with status 2, E0001 for an unknown style, format or level, E0004 for a path that is not a string, E0714
    for a format that the style does not have.
    """
    check_choice("style", style, STYLES)
    check_choice("level", view.level, LEVELS)
    check_choice("format", format, FORMATS)
    check_type("focus", view.focus, "the path of a block", str)
    check_names("expand", view.expand)
    if format not in formats(style):
        others = [name for name in STYLES if format in formats(name)]
        raise error(
            "E0714",
            f"the style `{style}` has no {format} output",
            status=2,
            help=f"formats of `{style}`: {', '.join(formats(style))}; styles with {format} output: {', '.join(others)}",
        )


def _check_marks(graph: Graph, style: str, format: str) -> None:
    """Raise E0720 for a drawing of an incomplete network that cannot mark what is unknown."""
    if graph.complete or (style == "graph" and format != "html"):
        return
    what = f"the style `{style}`" if style != "graph" else "the interactive page"
    marked = [name for name in formats("graph") if name != "html"]
    raise error(
        "E0720",
        f"{what} cannot draw `{graph.name}`, because its spec has errors: unknown sizes have no place in it",
        help=f"correct the spec, or use the style `graph` with {', '.join(marked[:-1])} or {marked[-1]}, "
        "which marks unknown nodes",
    )


def load(entry: str) -> Callable[..., Any]:
    """Import the function of a table entry: `module:function`."""
    module, _, name = entry.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
