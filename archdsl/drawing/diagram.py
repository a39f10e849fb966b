"""Draw a network in any style and format, from one table of styles and one of converters.

Each entry is a function `Request -> Diagram`. It is named as `module:function`, so that only the module that a drawing
needs is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice, check_names, check_type
from archdsl.drawing.model.drawing import LEVELS, View
from archdsl.drawing.request import TIME_LIMIT_S, Diagram, Options, Request
from archdsl.graph import Graph

STYLES: Mapping[str, Mapping[str, str]] = {
    "graph": {
        "svg": "archdsl.drawing.graph.scene:svg",
        "tex": "archdsl.drawing.graph.scene:tex",
        "dot": "archdsl.drawing.graph.dot:write",
        "mmd": "archdsl.drawing.graph.mermaid:write",
        "html": "archdsl.drawing.page:write",
    },
    "volumes": {"svg": "archdsl.drawing.volumes:svg", "tex": "archdsl.drawing.volumes:tex"},
    "article": {"svg": "archdsl.drawing.article:svg", "tex": "archdsl.drawing.article:tex"},
}
"""Style -> format -> the function that writes it."""

CONVERTED: Mapping[str, str] = {"png": "archdsl.drawing.picture:png", "pdf": "archdsl.drawing.picture:pdf"}
"""Formats that are converted from a style's SVG: `(SVG, Options) -> bytes`."""

FORMATS = tuple(dict.fromkeys([*CONVERTED, *(format for own in STYLES.values() for format in own)]))


def formats(style: str) -> tuple[str, ...]:
    """Return the formats of a style."""
    own = tuple(STYLES[style])
    return own + tuple(CONVERTED) if "svg" in own else own


def diagram(
    graph: Graph,
    format: str = "svg",
    view: View = View(),
    options: Options = Options(),
    style: str = "graph",
    time_limit_s: float = TIME_LIMIT_S,
) -> Diagram:
    """Draw a network.

    A network that is too large, or whose layout takes longer than `time_limit_s` seconds, is drawn in less detail;
    `Diagram.note` says so. An incomplete network is drawn with marks at its unknown nodes; raises E0720 in a style or
    format that has no marks. Raises, all with status 2, E0711 if no layout engine is installed, E0712 if even the
    simplest drawing takes too long, E0713 for a path that the network does not have, E0715 for a PNG that is too large,
    E0716 if the converter to PNG or PDF is not installed, E0717 if the style `article` has no figure, and the errors of
    `check`.
    """
    check(style, format, view)
    _check_marks(graph, style, format)
    writer = STYLES[style].get(format)
    request = Request(graph, view, options, time_limit_s)
    drawn: Diagram = load(writer or STYLES[style]["svg"])(request)
    return drawn if writer else Diagram(load(CONVERTED[format])(drawn.data, options), drawn.note)


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
