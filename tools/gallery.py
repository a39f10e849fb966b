"""`docs/gallery.md`: a network of every file of the library, in every style that applies to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import archdsl
from archdsl.graph import Graph
from archdsl.spec.find import library_files
from archdsl.spec.open import read_spec

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "docs/gallery"
HEAD = """\
# Gallery

One network of every file of the library, oldest first, as `archdsl diagram NAME --style STYLE`
draws it: `graph` on the left, `volumes` on the right, below that a figure of style `article` of its first block. All of it
is drawn from the spec; nothing was moved by hand. `tools/docs.py` makes this page and its pictures.

They are SVG, dark where the reader prefers that. `-o NAME.pdf`, `.png` and `.tex` give the same picture for a paper (`.tex`
is TikZ), `--theme print` greys and patterns, `--focus PATH` one block alone.

## Five figures that explain networks

"""
FIGURES = {
    "perceptron": "neurons: every one reads all of the layer before it",
    "edge_filter": "a convolution, its filter written in the spec, one window worked out",
    "googlenet": "an inception block: branches side by side, concatenated",
    "resnet20": "a residual block: the input is added to what the layers make of it",
    "densenet121": "a dense block: every layer reads all that was made before it",
}


class Entry(NamedTuple):
    """A network of the gallery."""

    name: str
    path: Path
    about: str
    year: int


def entries() -> list[Entry]:
    """The library's networks by year and name, one for each file."""
    found = []
    for path in library_files():
        document = read_spec(path)
        paper = document.paper
        year = paper.year if paper is not None and paper.year is not None else 0
        about = f"{escape(paper.title or '')}, {year}. " if paper is not None else ""
        found.append(Entry(document.name, path, about, year))
    return sorted(found, key=lambda entry: (entry.year, entry.name))


def styles(graph: Graph) -> tuple[str, ...]:
    """The styles that apply: volumes need maps."""
    return (
        ("graph", "volumes", "article") if any(len(node.shape) == 3 for node in graph.nodes) else ("graph", "article")
    )


def gallery_page() -> str:
    """The page itself, to be made after its pictures."""
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
    return (
        f"\n### {entry.name}\n\n{entry.about}[{entry.path.name}](../specs/{entry.path.name})\n\n<table><tr>\n"
        f'<td valign="top">{_image(entry.name, "graph", 270)}</td>\n<td valign="top">{"<br>".join(right)}</td>\n</tr></table>\n'
    )


def _image(name: str, style: str, most: int) -> str:
    """A picture that is there already, at its own width or `most`."""
    with (ROOT / FOLDER / f"{name}-{style}.svg").open(encoding="utf-8") as file:
        found = re.search(r'<svg[^>]*? width="([0-9.]+)"', file.read(2000))
    assert found is not None
    return f'<img width="{min(round(float(found[1])), most)}" alt="{name}, style {style}" src="gallery/{name}-{style}.svg">'


def pictures(names: frozenset[str] | None = None) -> Iterator[tuple[str, str]]:
    """Path and text of each picture (of the networks `names`); a graph's is the one there is, if that is current."""
    for entry in entries():
        if names is None or entry.name in names:
            graph = archdsl.load(entry.name).graph
            for style in styles(graph):
                path = f"{FOLDER}/{entry.name}-{style}.svg"
                yield path, _graph(graph, path) if style == "graph" else drawn(graph, style)


def drawn(graph: Graph, style: str) -> str:
    """A picture of a style that Graphviz has no part in: the same on every machine."""
    from archdsl.drawing.diagram import diagram

    return diagram(graph, style=style).data.decode()


def _graph(graph: Graph, path: str) -> str:
    """A graph's picture bears the hash of its DOT text: where Graphviz puts things differs from machine to machine."""
    from archdsl.drawing.diagram import diagram

    mark = dot_mark(graph)
    old = ROOT / path
    if old.exists() and mark in (text := old.read_text(encoding="utf-8")):
        return text
    head, end, rest = diagram(graph).data.decode().partition("?>\n")
    return head + end + mark + rest


def dot_mark(graph: Graph) -> str:
    """The comment that says of which DOT text a picture was made."""
    from archdsl.drawing.graph.dot import to_dot
    from archdsl.drawing.model.compose import compose

    text = to_dot(compose(graph), whole=True)
    return f"<!-- archdsl diagram; DOT {hashlib.sha256(text.encode()).hexdigest()} -->\n"
