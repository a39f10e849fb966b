"""A dense block: every layer reads the outputs of all before it."""

from __future__ import annotations

from dataclasses import replace

from archdsl.analysis.parts import split
from archdsl.drawing.article.figure import SMALL, WORDS, Figure
from archdsl.drawing.heat import mix
from archdsl.drawing.scene import Circle, Cluster, Item, Path, Point, Polygon, Text, rectangle
from archdsl.drawing.theme import Theme
from archdsl.graph import Graph, Scope
from archdsl.ops import Concat
from archdsl.report.words import TIMES, part_figure
from archdsl.shapes import concrete

MOST = 5
"""Number of layers in the figure; of more layers the first ones, dots, and the last."""
PITCH = 84.0
LAYER = 30.0
SHORTER = 0.6
"""The length of an upright figure as a share of that from left to right."""


def dense_figure(graph: Graph, scope: Scope, theme: Theme, narrow: bool = False) -> Figure:
    """Return the figure: the layers from left to right, and an arc for every output that a later layer reads.

    A `narrow` figure runs from top to bottom, for a column and beside other blocks.
    """
    layers = layers_of(graph, scope)
    count = len(layers)
    shown = list(range(count)) if count <= MOST + 1 else [*range(MOST - 1), count - 1]
    hidden = count - len(shown)
    source = next(n for node in graph.nodes[scope.first : scope.end] for n in node.inputs if n < scope.first)
    in_shape = concrete(graph.nodes[source].shape)
    grown = [concrete(graph.nodes[graph.nodes[layer.stop].inputs[-1]].shape)[0] for layer in layers]
    figure = Figure("a dense block")
    gap = 26.0 if hidden else 0.0
    spots = [24 + PITCH * n + (gap if n == len(shown) else 0) for n in range(len(shown) + 1)]
    axis = 22 + 13 * len(shown) / 1.15
    _arcs(figure, spots, shown, axis, theme)
    _values(figure, spots, shown, [in_shape[0], *(grown[n] for n in shown)], axis, theme)
    for n, number in enumerate(shown):
        x = (spots[n] + spots[n + 1]) / 2 + (gap / 2 if n == len(shown) - 1 else 0)
        figure.members.append(
            _layer(x, axis, number, graph.nodes[layers[number].start].path, in_shape[0] + sum(grown[:number]), theme)
        )
    if hidden:
        x = spots[-2] + 20
        figure.members += [Circle(Point(x + 4.5 * n, axis), 1.1, theme.ink) for n in range(3)]
    total = in_shape[0] + sum(grown)
    figure.width = spots[-1] + 24
    figure.height = axis + 44
    last = graph.nodes[scope.end - 1]
    leaving = f" {TIMES} ".join(map(str, concrete(last.shape)))
    even = len(set(grown)) == 1
    sums = f"{in_shape[0]} + {count} {TIMES} {grown[0]} = {total}" if even else f"{total}"
    inside = "; ".join(_words(graph, scope, layers[0]))
    figure.notes = [
        f"{count} layers; each reads everything before it, concatenated, and adds "
        + (f"{grown[0]} channels of its own." if even else "channels of its own, as many as below each."),
        f"{'H' if even else 'H1'}: {inside}. Their concatenation: {sums} channels, {leaving}.",
    ]
    return _turned(figure, axis) if narrow else figure


def _turned(figure: Figure, axis: float) -> Figure:
    """The figure from top to bottom, with the arcs to the right of the layers and the names to the left."""
    left = 44.0
    turned = Figure(figure.kind, width=left + axis, height=figure.width * SHORTER + 6)

    def at(point: Point) -> Point:
        return Point(left + axis - point.y, point.x * SHORTER)

    def item(member: Item) -> Item:
        if isinstance(member, Text):
            below = member.at.y - axis
            if below < LAYER / 2:  # inside a layer
                return replace(member, at=Point(left, at(member.at).y + 3))
            return replace(member, at=Point(left - 17, at(member.at).y + below - 25), anchor="end")
        if isinstance(member, Circle):
            return replace(member, center=at(member.center))
        if not isinstance(member, (Polygon, Path)):
            return member
        points = tuple(map(at, member.points))
        if isinstance(member, Polygon):  # the writers want the top left corner of a rounded rectangle first
            points = (points[3], points[0], points[1], points[2])
        return replace(member, points=points)

    for member in figure.members:
        turned.members.append(
            replace(member, members=[item(inner) for inner in member.members if not isinstance(inner, Cluster)])
            if isinstance(member, Cluster)
            else item(member)
        )
    turned.notes = figure.notes
    return turned


def layers_of(graph: Graph, scope: Scope) -> list[range]:
    """Return the node ids of each layer: the nodes before each concat."""
    starts = scope.first
    layers = []
    for member in scope.members:
        if isinstance(member, int) and type(graph.nodes[member].op) is Concat:
            layers.append(range(starts, member))
            starts = member + 1
    return layers


def _words(graph: Graph, scope: Scope, layer: range) -> list[str]:
    """The ops of a layer as text."""
    parts = [part for part in split(graph, scope) if part.ids.start in layer]
    parts = [
        inner
        for part in parts
        for inner in ((part,) if part.kind == "node" or part.scope is None else split(graph, part.scope))
    ]
    return [" ".join(filter(None, part_figure(graph, part))).removesuffix(" concat") for part in parts]


def _values(
    figure: Figure, spots: list[float], shown: list[int], channels: list[int], axis: float, theme: Theme
) -> None:
    """Add the input and each layer's output as a slab with its channels below."""
    for n, x in enumerate(spots):
        color = theme.colors["input" if n == 0 else "conv"]
        fill = color.fill if n == 0 else mix(color.fill, color.line, 0.25)
        items: list[Item] = [Polygon(rectangle(x - 4, axis - 13, 8, 26), fill, color.line, 0.9, round=2)]
        name = "x0" if n == 0 else f"x{shown[n - 1] + 1}"
        items.append(Text(Point(x, axis + 24), name, WORDS, theme.ink))
        items.append(Text(Point(x, axis + 33), str(channels[n]), SMALL, theme.quiet))
        figure.members.append(
            Cluster("value", name, f"{name}: {channels[n]} channels", items, {"channels": str(channels[n])})
        )


def _layer(x: float, axis: float, number: int, path: str, reads: int, theme: Theme) -> Cluster:
    color = theme.colors["block"]
    items: list[Item] = [
        Polygon(rectangle(x - LAYER / 2, axis - 9, LAYER, 18), color.fill, color.line, 0.9, round=4),
        Text(Point(x, axis + 3), f"H{number + 1}", WORDS, theme.ink),
    ]
    return Cluster("layer", path, f"{path}: reads {reads} channels", items, {"reads": str(reads)})


def _arcs(figure: Figure, spots: list[float], shown: list[int], axis: float, theme: Theme) -> None:
    """Add an arrow from each value to the next layer, and arcs above the row to all later ones.

    The layer after the dots is a later one for the value before them.
    """
    hues = [theme.colors[look].line for look in ("other", "conv", "pool", "fc", "act", "merge", "block")]
    for n in range(len(shown)):
        gap = spots[n + 1] - spots[n] - PITCH
        x = (spots[n] + spots[n + 1]) / 2 + gap / 2
        start = spots[n] + gap + (8 if gap else 0)
        arrows: list[Item] = [
            Path((Point(start + 4, axis), Point(x - LAYER / 2, axis)), theme.arrow, 0.8, head=True),
            Path((Point(x + LAYER / 2, axis), Point(spots[n + 1] - 4, axis)), theme.arrow, 0.8, head=True),
        ]
        if gap:
            arrows.append(Path((Point(spots[n] + 4, axis), Point(spots[n] + 16, axis)), theme.arrow, 0.8))
        figure.members.append(Cluster("edge", f"x{shown[n]}", "", arrows, {}))
    for source in range(len(spots)):
        for target in range(source, len(shown)):
            gap = spots[target + 1] - spots[target] - PITCH
            if source == target and not gap:
                continue  # the arrow
            end = (spots[target] + spots[target + 1]) / 2 + gap / 2 - 7 + 3.5 * (source % 5)
            lift = 13 + 13 * (target - source)
            points = (
                Point(spots[source], axis - 13),
                Point(spots[source] + 6, axis - 13 - lift),
                Point(end - 6, axis - 9 - lift),
                Point(end, axis - 9),
            )
            name = f"{source}-{target + 1}"
            arc = Path(points, hues[source % len(hues)], 0.9, head=True, curved=True)
            figure.members.append(Cluster("arc", name, "", [arc], {"source": str(source), "target": str(target + 1)}))
