"""Generates `docs/gallery.md`: a network of every file of the library, in every style that can draw it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import archdsl
from archdsl.axes import axes_of
from archdsl.graph import Graph
from archdsl.spec.find import library_files
from archdsl.spec.open import read_spec

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "docs/gallery"
HEAD = """\
# Gallery

<!-- `tools/docs.py` generates this page and its pictures. -->

One network of every file of the library, drawn by `archdsl diagram NAME --style STYLE`: `graph` on the left, `volumes`
on the right, and below a figure of its first block in the style `article`. Examples without a paper come first,
then the networks of papers, oldest first. All pictures are drawn from the specs, without manual changes.

The pictures are SVG and follow the reader's preference for a dark theme. `-o NAME.pdf`, `.png` and `.tex` (TikZ) write
the same picture for a paper, `--theme print` uses greys and patterns, `--focus PATH` draws one block only.

## Five figures that explain networks

"""
FIGURES = {
    "perceptron": "neurons: each reads all neurons of the previous layer",
    "edge_filter": "a convolution: its filter from the spec, one window computed",
    "googlenet_2014": "an inception block: parallel branches, concatenated",
    "resnet20": "a residual block: the input is added to the output of the layers",
    "densenet121": "a dense block: each layer reads the outputs of all previous layers",
}


class Entry(NamedTuple):
    """A network of the gallery."""

    name: str
    path: Path
    about: str
    year: int


def entries() -> list[Entry]:
    """Return one network for each file of the library, by year and name."""
    networks = []
    for path in library_files():
        document = read_spec(path)
        paper = document.paper
        year = paper.year if paper is not None and paper.year is not None else 0
        about = f"{escape(paper.title or '')}, {year}. " if paper is not None else ""
        networks.append(Entry(document.name, path, about, year))
    return sorted(networks, key=lambda entry: (entry.year, entry.name))


def styles(graph: Graph) -> tuple[str, ...]:
    """Return the styles that can draw a graph: `volumes` needs feature maps."""
    return ("graph", "volumes", "article") if any(axes_of(node.shape) for node in graph.nodes) else ("graph", "article")


def gallery_page() -> str:
    """Return the page, which reads the sizes of the pictures."""
    cells = "".join(
        f'<td align="center" valign="bottom">{_image(name, "article", 280)}<br>{words}</td>'
        for name, words in FIGURES.items()
    )
    first, second = cells.split("</td>")[:3], cells.split("</td>")[3:5]
    rows = "".join(f"<tr>{''.join(f'{cell}</td>' for cell in row)}</tr>\n" for row in (first, second))
    return HEAD + f"<table>\n{rows}</table>\n\n## The library\n" + "".join(map(_section, entries()))


def _section(entry: Entry) -> str:
    graph = archdsl.load(entry.name).graph
    right = [_image(entry.name, "volumes", 550)] if "volumes" in styles(graph) else []
    right.append(_image(entry.name, "article", 400))
    left = _image(entry.name, "graph", 270)
    return (
        f"\n### {entry.name}\n\n{entry.about}[{entry.path.name}](../specs/{entry.path.name})\n\n<table><tr>\n"
        f'<td valign="top">{left}</td>\n<td valign="top">{"<br>".join(right)}</td>\n</tr></table>\n'
    )


def _image(name: str, style: str, most: int) -> str:
    """An existing picture at its own width, at most `most`."""
    with (ROOT / FOLDER / f"{name}-{style}.svg").open(encoding="utf-8") as file:
        match = re.search(r'<svg[^>]*? width="([0-9.]+)"', file.read(2000))
    assert match is not None
    width = min(round(float(match[1])), most)
    return f'<img width="{width}" alt="{name}, style {style}" src="gallery/{name}-{style}.svg">'


def pictures(names: frozenset[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield path and text of each picture (of the networks `names`), for `graph` the existing one if it is current."""
    for entry in entries():
        if names is None or entry.name in names:
            graph = archdsl.load(entry.name).graph
            for style in styles(graph):
                path = f"{FOLDER}/{entry.name}-{style}.svg"
                yield path, _graph(graph, path) if style == "graph" else drawn(graph, style)


def drawn(graph: Graph, style: str) -> str:
    """Return a picture in a style without Graphviz, the same on every machine."""
    from archdsl.drawing.diagram import diagram

    return diagram(graph, style=style).data.decode()


def _graph(graph: Graph, path: str) -> str:
    """The existing picture if it contains the hash of its DOT text: Graphviz's layout differs between machines."""
    from archdsl.drawing.diagram import diagram

    mark = dot_mark(graph)
    old = ROOT / path
    if old.exists() and mark in (text := old.read_text(encoding="utf-8")):
        return text
    head, end, rest = diagram(graph).data.decode().partition("?>\n")
    return head + end + mark + rest


def dot_mark(graph: Graph) -> str:
    """Return the SVG comment with the hash of the DOT text of a picture."""
    from archdsl.drawing.graph.dot import to_dot
    from archdsl.drawing.model.compose import compose

    text = to_dot(compose(graph), whole=True)
    return f"<!-- archdsl diagram; DOT {hashlib.sha256(text.encode()).hexdigest()} -->\n"
