"""A drawing of a network in any style and format: two tables, and the one function that looks things up in them.

A style or a format is one file, with a function here: `Request -> Diagram`, named `module:function` so that only what
is asked for is loaded.
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
"""Style -> format -> what writes it."""

CONVERTED: Mapping[str, str] = {"png": "archdsl.drawing.picture:png", "pdf": "archdsl.drawing.picture:pdf"}
"""Formats that are made of a style's SVG: `(SVG, Options) -> bytes`."""

FORMATS = tuple(dict.fromkeys([*CONVERTED, *(format for own in STYLES.values() for format in own)]))


def formats(style: str) -> tuple[str, ...]:
    """The formats that a style can be had in."""
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
    """A network drawn.

    What is too large, or cannot be laid out in `time_limit_s` seconds, is drawn more simply, and `note` says so.
    Errors, all of status 2: E0711 nothing here can draw, E0712 even the simplest drawing takes too long, E0713 the
    network has no such path, E0714 the style is not drawn in this format, and those of `check`.
    """
    check(style, format, view)
    own = STYLES[style].get(format)
    request = Request(graph, view, options, time_limit_s)
    if own is not None:
        made: Diagram = load(own)(request)
        return made
    drawn: Diagram = load(STYLES[style]["svg"])(request)
    return Diagram(load(CONVERTED[format])(drawn.data, options), drawn.note)


def check(style: str, format: str, view: View = View()) -> None:
    """Raises E0001 for an unknown style, format or level, E0004 for paths that are no strings, E0714 for a format that
    the style is not drawn in; all of status 2."""
    check_choice("style", style, STYLES)
    check_choice("level", view.level, LEVELS)
    check_choice("format", format, FORMATS)
    check_type("focus", view.focus, "the path of a block", str)
    check_names("unfold", view.unfold)
    if format not in formats(style):
        others = [name for name in STYLES if format in formats(name)]
        raise error(
            "E0714",
            f"the style `{style}` is not drawn as {format}",
            status=2,
            help=f"its formats: {', '.join(formats(style))}; {format} can be had of: {', '.join(others)}",
        )


def load(place: str) -> Callable[..., Any]:
    """What a place of the tables names: `module:function`."""
    module, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
