"""The style `volumes`: feature maps as 3-D boxes of their size, skip connections as arcs, branches side by side.

`stages` chooses what is drawn, `series` finds rows and branches, `spots` sets the sizes, `layout` and `levels` the
positions, `routes` the paths of edges, `paint` draws a box, and `scene` combines everything. Needs no layout engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

from archdsl.analysis.count import NodeCount, count_nodes
from archdsl.analysis.equal_scopes import signatures
from archdsl.analysis.memory import BYTES_PER_VALUE
from archdsl.analysis.parts import Part, Signatures
from archdsl.drawing.heat import HeatScale
from archdsl.drawing.model.drawing import EVERYTHING, NOTHING, Cost, View
from archdsl.drawing.model.focus import focus_on
from archdsl.drawing.model.heading import facts, heading
from archdsl.drawing.model.words import describe
from archdsl.drawing.paper import MIN_FONT
from archdsl.drawing.request import Request, Target
from archdsl.drawing.scene import PORTRAIT, Scene
from archdsl.drawing.scene.printing import printed
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import PRINT, Theme
from archdsl.drawing.volumes.scene import Appearance, Fit, crossed, draw
from archdsl.drawing.volumes.series import tangled
from archdsl.drawing.volumes.spots import SMALL
from archdsl.drawing.volumes.stages import Staged, stage
from archdsl.drawing.volumes.words import Heading
from archdsl.graph import Graph

MOST_STAGES, MOST_TANGLED = 140, 6
"""Blocks are expanded up to this many stages, and up to this many arcs that are not plain shortcuts."""
DEEPEST = 32
FITS = (*(Fit(size=size) for size in (1.0, 0.75, 0.55, 0.4)), *(Fit(size=size, windows=False) for size in (0.55, 0.4)))
FLAT = tuple(Fit(size=size, windows=windows, flat=True) for windows in (True, False) for size in (0.6, 0.4))
"""What is tried on paper for each depth: first `FITS`, then `FLAT`."""

_Painters: TypeAlias = Callable[..., Painter]
"""Returns the painter of stages, with a fit and a note."""


def attempts(request: Request) -> Iterator[Painter]:
    """Yield the drawing with smaller volumes, without windows, with fewer blocks expanded, and without branches and
    levels; last those whose arrows cross texts.

    Without a size on paper, yield one drawing: the first that is readable on a page, or else that of natural size.
    """
    staged, painters = staged_for(request.graph, request.view), _painters(request)
    if request.options.target is not None:
        yield from _uncrossed(_fitted(request, painters, staged, request.options.target))
        return
    natural = painters(staged)
    fitted = _uncrossed(chain([natural], _fitted(request, painters, staged, Target(PORTRAIT, MIN_FONT))))
    yield next((paint for paint in fitted if round(printed(paint(PRINT)).smallest, 2) >= MIN_FONT), natural)


def _fitted(request: Request, painters: _Painters, staged: Staged, target: Target) -> Iterator[Painter]:
    """The drawing in lines of the width of a target; blocks that the request expands stay so if it has no target."""
    view, room = request.view, target.sheet.width * SMALL / target.least
    note = "fewer blocks are expanded: more would be too small at this size" if view.level == "layer" else ""
    kept = request.options.target is None and (view.level == "layer" or view.expand)
    depths = (staged, *(() if kept else _simpler(request.graph, view, staged)))
    for fits in (FITS, FLAT):
        for number, depth in enumerate(depths):
            for fit in fits:
                yield painters(depth, fit._replace(room=room), note if number else "")


def _uncrossed(painters: Iterable[Painter]) -> Iterator[Painter]:
    """The same drawings, last those whose arrows cross texts: the fewest first."""
    last: list[tuple[int, Painter]] = []
    for paint in painters:
        if count := crossed(paint(PRINT)):
            last.append((count, paint))
        else:
            yield paint
    yield from (paint for _, paint in sorted(last, key=lambda pair: pair[0]))


def _simpler(graph: Graph, view: View, staged: Staged) -> Iterator[Staged]:
    """The stages with fewer and fewer blocks expanded."""
    count = sum(1 for _ in staged.root.stages())
    for level in range(DEEPEST if view.level == "layer" else 6, -1, -1) if EVERYTHING not in view.expand else ():
        fewer = stage(graph, _apart(graph, view.expand), level, focus_on(graph, view))
        if (stages := sum(1 for _ in fewer.root.stages())) < count:
            count = stages
            yield fewer


def painter(request: Request) -> Painter:
    """Return a function from the theme to the scene. Raises E0713 (status 2) for a path that the network does not have.

    The level `network` expands no block, `layer` expands all, `block` as many as fit on a page. The options `direction`
    and `legend` have no effect: volumes run from left to right and always have a legend.
    """
    return _painters(request)(staged_for(request.graph, request.view))


def _painters(request: Request) -> _Painters:
    """Return a function that returns the painter of stages."""
    graph, options = request.graph, request.options
    focus = focus_on(graph, request.view)
    described, counted, words = describe(graph, focus), count_nodes(graph), facts(graph, focus)
    label = (heading(graph, focus), ", ".join(words))
    title = Heading(label[0] if options.title is None else options.title, words)

    def painter(staged: Staged, fit: Fit = Fit(), note: str = "") -> Painter:
        costs, heat = _costs(counted, staged), None
        if options.color != "kind":
            heat = HeatScale(options.color, max(getattr(cost, options.color) for cost in costs.values()))
        painted: dict[str, Scene] = {}

        def paint(theme: Theme) -> Scene:
            if theme.name not in painted:
                scene = draw(staged, Appearance(title, theme, options.shapes, heat, costs, fit))
                painted[theme.name] = described(replace(scene, label=label, note=note))
            return painted[theme.name]

        return paint

    return painter


def staged_for(graph: Graph, view: View) -> Staged:
    """Return the stages of a view. Raises E0713 as `focus_on`."""
    part, same = focus_on(graph, view), _apart(graph, view.expand)
    if EVERYTHING in view.expand:
        return stage(graph, same, DEEPEST, part)
    if view.level == "block":
        return opened(graph, same, part)
    return stage(graph, same, 0 if view.level == "network" else DEEPEST, part)


def opened(graph: Graph, same: Signatures, part: Part | None = None) -> Staged:
    """Return the stages with blocks expanded as far as a page holds them without a tangle of arcs."""
    staged = stage(graph, same, 0, part)
    for level in range(1, DEEPEST):
        deeper = stage(graph, same, level, part)
        if deeper.stage_of == staged.stage_of or sum(1 for _ in deeper.root.stages()) > MOST_STAGES:
            break
        if tangled(deeper) > max(tangled(staged), MOST_TANGLED):
            break
        staged = deeper
    return staged


def _apart(graph: Graph, expand: tuple[str, ...]) -> Signatures:
    """The signatures of scopes; those of expanded scopes and of the members of expanded sequences are unique."""
    same = signatures(graph, fields=False)
    for number, scope in enumerate(graph.root.walk()):
        around = scope.parent.path if scope.parent is not None else ""
        if EVERYTHING in expand or scope.path in expand or around in expand:
            same[scope] = -1 - number
    return same


def _costs(nodes: Sequence[NodeCount], staged: Staged) -> Mapping[int, Cost]:
    """The cost of each stage with all its copies."""
    costs = {s.number: NOTHING for s in staged.root.stages()}
    for number, counted in zip(staged.stage_of, nodes, strict=True):
        if number in costs:
            costs[number] = costs[number].plus(
                Cost(counted.params, counted.macs, counted.activations * BYTES_PER_VALUE)
            )
    return costs
