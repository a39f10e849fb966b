"""The interactive page: one HTML file that works offline and cannot execute anything from a spec.

Before any script has run, and where scripts or WebAssembly are blocked, the page shows its first drawing as SVG. The
other styles are in it as well.

The page consists of data and of scripts that are the same for every network. The data is in a `<script
type="application/json">` without any `<`; the scripts only set text. The Content-Security-Policy lists each script and
style by its hash, allows the layout's worker and WebAssembly, and forbids everything else.

The scripts in running order are `counts` (counts at any size), `compose` (boxes and arrows), `layout`, `paint`, `view`,
`panel`, `search`, `save`, `main`. Third-party code is in `vendor/`; `tools/page` builds it.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from contextlib import suppress
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from archdsl.diagnostics import ArchError, escape_control
from archdsl.drawing.diagram import STYLES, painter
from archdsl.drawing.model.drawing import View
from archdsl.drawing.model.focus import check_paths
from archdsl.drawing.page import figures
from archdsl.drawing.page.origins import Origins
from archdsl.drawing.page.outline import outline
from archdsl.drawing.request import Diagram, Options, Request
from archdsl.drawing.scene.write import svg
from archdsl.drawing.theme import DARK, LIGHT, LOOK_WORDS, Theme
from archdsl.graph import Graph
from archdsl.version import __version__

SCRIPTS = ("vendor/d3", "counts", "compose", "layout", "paint", "view", "panel", "search", "save", "main")
MAX_NODES, STILL_LIMIT_S = 4000, 3.0
"""A larger network has no pictures beside the interactive drawing, nor has one whose layout takes longer."""
MAX_TITLE = 200
"""Largest number of characters in the window's title."""


def write(request: Request) -> Diagram:
    """Write the page. Its layout engine runs in the browser. Raises E0713 for a path that the network does not have."""
    check_paths(request.graph, request.view)
    return Diagram(page(request.graph, request.view, request.options).encode())


def page(graph: Graph, view: View = View(), options: Options = Options()) -> str:
    """Return a network's page as HTML text; `view` and `options` set its initial state."""
    drawn = stills(graph, view, options)
    styles = [_colors(), _asset("page.css")]
    inside = [style for svg in drawn.values() for style in re.findall("<style>(.*?)</style>", svg)]
    scripts = [_asset(f"{name}.js") for name in SCRIPTS]
    head = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><!-- drawn by archdsl {__version__} -->',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts, [*styles, *inside])}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">',
        f"<title>{escape(_name(graph, options)[:MAX_TITLE])}</title>",
        *(f"<style>{style}</style>" for style in styles),
        "</head><body>",
    ]
    body = [
        _asset("page.html").replace("<!-- stills -->", "".join(_still(style, svg) for style, svg in drawn.items())),
        f'<script type="application/json" id="network">{_as_json(network(graph, view, options))}</script>',
        f'<script type="text/plain" id="layouter">{_asset("vendor/graphviz.js")}</script>',
        *(f"<script>{script}</script>" for script in scripts),
        "</body></html>\n",
    ]
    return "\n".join([*head, *body])


def stills(graph: Graph, view: View = View(), options: Options = Options()) -> dict[str, str]:
    """Return pictures for the page by style, as SVG: what it shows before its scripts have run, and the other styles.

    A style that cannot draw the network, or takes too long, is left out.
    """
    drawn = {}
    for style in STYLES if len(graph.nodes) <= MAX_NODES else ():
        with suppress(ArchError):
            paint = painter([Request(graph, view, options, STILL_LIMIT_S)], style)
            drawn[style] = svg(paint, options).data.decode().partition("?>\n")[2]
    return drawn


def _still(style: str, svg: str) -> str:
    return f'<figure class="still" id="still-{style}">{svg}</figure>'


def network(graph: Graph, view: View = View(), options: Options = Options()) -> dict[str, Any]:
    """Return the page's data of a network as JSON types."""
    origins = Origins()
    written = origins.of(graph)
    return {
        "name": _name(graph, options),
        "file": re.sub(r"[^\w.-]", "_", graph.name, flags=re.ASCII)[:60] or "network",
        "input": graph.input_spec.replace("x", " \u00d7 ")
        if len(graph.inputs) == 1
        else escape_control(graph.input_spec),
        "words": figures.words(graph),
        "sizes": figures.sizes(graph),
        "nodes": figures.nodes(graph),
        "outputs": {escape_control(name): node for name, node in graph.outputs.items()},
        "totals": figures.totals(graph),
        "items": outline(graph),
        "origins": {"nodes": written, **origins.data()},
        "looks": dict(LOOK_WORDS),
        "start": _start(view, options),
    }


# --- pieces ----------------------------------------------------------------------------------------------


def _name(graph: Graph, options: Options) -> str:
    return escape_control(graph.name if options.title is None else options.title)


def _start(view: View, options: Options) -> dict[str, Any]:
    return {
        "level": view.level,
        "expand": view.expand,
        "focus": view.focus,
        "colour": options.color,
        "direction": options.direction,
        "shapes": options.shapes,
        "theme": options.theme,
    }


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").rstrip("\n")


def _as_json(data: dict[str, Any]) -> str:
    """JSON for a script element: in ASCII, without the characters that are special in HTML."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: list[str], styles: list[str]) -> str:
    script = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; script-src {script} 'wasm-unsafe-eval'; style-src {' '.join(map(_hash, styles))}; "
        "worker-src blob:; img-src blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _colors() -> str:
    """The themes as CSS variables: light, or dark if the system or the reader prefers it."""
    looks = "".join(f".look-{look}{{--fill:var(--{look}-fill);--line:var(--{look}-line)}}" for look in LIGHT.colors)
    dark = _variables(DARK)
    return (
        f":root{{{_variables(LIGHT)}}}\n"
        f"@media (prefers-color-scheme: dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n{looks}"
    )


def _variables(theme: Theme) -> str:
    dark = theme is DARK
    named = {name: getattr(theme, name) for name in ("background", "ink", "quiet", "arrow", "stage")}
    named |= {
        f"{look}-{part}": value for look, color in theme.colors.items() for part, value in color._asdict().items()
    }
    named |= {
        "focus": "#D55E00" if not dark else "#FF9D4D",
        "accent-text": "#005A8C" if not dark else "#7CC4F2",
        "heat-full": "#B24A00" if dark else "#F58A3C",
        "shadow": "0 6px 24px rgb(0 0 0 / 0.16)" if not dark else "0 6px 24px rgb(0 0 0 / 0.6)",
    }
    return f"color-scheme:{theme.name};" + ";".join(f"--{name}:{value}" for name, value in named.items())
