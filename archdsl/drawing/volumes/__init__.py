"""A network as volumes: 3-D boxes as large as its feature maps, arcs for what skips, branches side by side.

`stages` says what is drawn, `series` what stands in a row and what side by side, `spots` how large, `layout` and
`levels` where, `routes` how the edges run, `paint` what a box looks like, `scene` makes the picture of it. Needs no
layout engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archdsl.analysis.count import count_nodes
from archdsl.analysis.equal_scopes import signatures
from archdsl.analysis.memory import BYTES_PER_VALUE
from archdsl.analysis.parts import Part, Signatures
from archdsl.drawing.heat import HeatScale
from archdsl.drawing.model.drawing import EVERYTHING, NOTHING, Cost, View
from archdsl.drawing.model.focus import focus_on, known, need_path
from archdsl.drawing.model.heading import facts, heading
from archdsl.drawing.request import Diagram, Request
from archdsl.drawing.scene import Scene, write
from archdsl.drawing.theme import Theme
from archdsl.drawing.volumes.scene import Appearance, draw
from archdsl.drawing.volumes.series import tangled
from archdsl.drawing.volumes.stages import Staged, stage
from archdsl.drawing.volumes.words import Words
from archdsl.graph import Graph

MOST_STAGES, MOST_TANGLED = 140, 6
"""Blocks are opened as long as no more stages are drawn, and no more arcs that are not plain shortcuts."""
DEEPEST = 32


def svg(request: Request) -> Diagram:
    """The picture as SVG."""
    return write.svg(painter(request), request.options)


def tex(request: Request) -> Diagram:
    """The picture as a LaTeX document that draws it with TikZ."""
    return write.tex(painter(request), request.options)


def painter(request: Request) -> Callable[[Theme], Scene]:
    """The request as a function of the theme. Raises E0713 (status 2) for a path that the network has not.

    Level `network` closes every block, `layer` opens all; `block` opens them as deep as a page holds. The options
    `direction` and `legend` mean nothing here: volumes run from left to right, and always have their legend.
    """
    graph, options = request.graph, request.options
    staged = staged_for(graph, request.view)
    focus = focus_on(graph, request.view.focus) if request.view.focus else None
    title = heading(graph, focus) if options.title is None else options.title
    words = Words(title, facts(graph, focus))
    costs = _costs(graph, staged)
    heat = None
    if options.color != "kind":
        heat = HeatScale(options.color, max(getattr(cost, options.color) for cost in costs.values()))
    return lambda theme: draw(staged, Appearance(words, theme, options.shapes, heat, costs, options.width_points))


def staged_for(graph: Graph, view: View) -> Staged:
    """The stages of what a view shows."""
    paths = known(graph)
    for path in (view.focus, *view.unfold):
        if path and path != EVERYTHING:
            need_path(graph.name, paths, path)
    same = _apart(graph, view.unfold)
    part = focus_on(graph, view.focus).part if view.focus else None
    if view.level == "block":
        return opened(graph, same, part)
    return stage(graph, same, 0 if view.level == "network" else DEEPEST, part)


def opened(graph: Graph, same: Signatures, part: Part | None = None) -> Staged:
    """The stages with blocks opened as deep as a page holds, and no knot of arcs is seen."""
    found = stage(graph, same, 0, part)
    for level in range(1, DEEPEST):
        deeper = stage(graph, same, level, part)
        if deeper.stage_of == found.stage_of or sum(1 for _ in deeper.root.stages()) > MOST_STAGES:
            break
        if tangled(deeper) > max(tangled(found), MOST_TANGLED):
            break
        found = deeper
    return found


def _apart(graph: Graph, unfold: tuple[str, ...]) -> Signatures:
    """Which scopes are equal; those that are to be unfolded, and the members of unfolded sequences, equal nothing."""
    same = signatures(graph, fields=False)
    for number, scope in enumerate(graph.root.walk()):
        around = scope.parent.path if scope.parent is not None else ""
        if EVERYTHING in unfold or scope.path in unfold or around in unfold:
            same[scope] = -1 - number
    return same


def _costs(graph: Graph, staged: Staged) -> Mapping[int, Cost]:
    """What each stage costs, all copies together."""
    found = {s.number: NOTHING for s in staged.root.stages()}
    for number, counted in zip(staged.stage_of, count_nodes(graph), strict=True):
        if number in found:
            found[number] = found[number].plus(
                Cost(counted.params, counted.macs, counted.activations * BYTES_PER_VALUE)
            )
    return found
