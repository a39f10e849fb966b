"""The figure of fully connected layers: neurons, each with links to all neurons of the layer before."""

from __future__ import annotations

from archdsl.axes import axes_of
from archdsl.drawing.article.figure import SMALL, WORDS, Figure, grid
from archdsl.drawing.heat import mix
from archdsl.drawing.metrics import text_width
from archdsl.drawing.scene import Circle, Cluster, Item, Path, Point, Text
from archdsl.drawing.theme import Theme
from archdsl.graph import Graph, Node
from archdsl.ops import Fc, Flatten, Input
from archdsl.report.words import TIMES
from archdsl.shapes import concrete, numel

MOST = 8
"""A wider layer is drawn as its first and last neurons with dots between."""
RADIUS, PITCH, COLUMN, NARROW = 7.0, 20.0, 92.0, 58.0
GRID, PIXEL = (4, 4), 20.0
"""The largest image that is drawn beside its neurons, and the side of a pixel in points."""


def perceptron(graph: Graph, node: Node, theme: Theme, narrow: bool = False) -> Figure:
    """Return the figure of the chain of fully connected layers around a layer, with the input of the chain."""
    pitch = NARROW if narrow else COLUMN
    layers = chain(graph, node)
    widths = [numel(layers[0].in_shapes[0]), *(numel(layer.shape) for layer in layers)]
    figure = Figure(
        "neurons of the fully connected layers" if len(layers) > 1 else "neurons of a fully connected layer"
    )
    figure.about = " to ".join(dict.fromkeys((layers[0].path, layers[-1].path)))
    tallest = max(len(_shown(width)) for width in widths)
    middle = 14 + tallest * PITCH / 2
    first = graph.nodes[layers[0].inputs[0]]
    flat = isinstance(first.op, Flatten)
    read = graph.nodes[first.inputs[0]] if flat else first
    left = _add_pixels(figure, concrete(read.shape) if isinstance(read.op, Input) else (), middle, theme)
    columns = [_column(width, left + n * pitch, middle) for n, width in enumerate(widths)]
    names = [read.written_path, *(layer.path for layer in layers)]
    for n, layer in enumerate(layers):
        links: list[Item] = [
            Path((Point(a.x + RADIUS, a.y), Point(b.x - RADIUS, b.y)), mix(theme.arrow, theme.background, 0.45), 0.5)
            for a in columns[n]
            if a is not None
            for b in columns[n + 1]
            if b is not None
        ]
        facts = {"from": str(widths[n]), "to": str(widths[n + 1])}
        figure.members.append(
            Cluster("links", layer.path, f"{widths[n]} {TIMES} {widths[n + 1]} weights", links, facts)
        )
    bottom = middle + tallest * PITCH / 2 + 8
    for n, (column, width) in enumerate(zip(columns, widths, strict=True)):
        kind = "input" if n == 0 else "fc"
        letter = "x" if n == 0 else ""
        figure.members.append(_neurons(column, names[n], kind, width, letter, theme))
        x = left + n * pitch
        figure.members.append(Text(Point(x, bottom), names[n].rpartition(".")[2][:16], WORDS, theme.ink))
        words = (
            f"{'flattened: ' * flat}{width}" if n == 0 else " ".join((str(width), *_activation(graph, layers[n - 1])))
        )
        figure.members.append(Text(Point(x, bottom + 10), words, SMALL, theme.quiet))
    _count(figure, layers, widths, Point(left, bottom + 24), pitch, theme)
    figure.notes.insert(0, _formula(graph, layers[0], widths[0]))
    figure.width = left + 30 + pitch * len(layers)
    figure.height = bottom + 28
    return figure


def _add_pixels(figure: Figure, shape: tuple[int, ...], middle: float, theme: Theme) -> float:
    """Add a small grey image whose pixels are the inputs, and return the x of the neurons of the input."""
    if (
        axes_of(shape) != len(GRID)
        or shape[0] > 1
        or any(size > most for size, most in zip(shape[1:], GRID, strict=True))
    ):
        return 30.0
    rows, columns = shape[1:]
    top, left, width = middle - PITCH / 2 - rows * PIXEL / 2, 8.0, columns * PIXEL
    items = grid(left, top, rows, columns, PIXEL, theme, "input", lambda row, column: f"x{row * columns + column + 1}")
    figure.members.append(Cluster("pixels", "image", f"{rows} {TIMES} {columns} pixels", items))
    start, end = Point(left + width + 6, middle - PITCH / 2), Point(left + width + 28, middle - PITCH / 2)
    figure.members.append(Path((start, end), theme.arrow, 0.9, head=True))
    figure.members.append(Text(Point(left + width / 2, top - 6), "image", WORDS, theme.ink))
    return end.x + 26


def _formula(graph: Graph, layer: Node, width: int) -> str:
    """What one neuron of the first layer computes."""
    terms = [f"w{n} x{n}" for n in range(1, width + 1)]
    shown = terms if width <= MOST else [*terms[:2], "\u2026", terms[-1]]
    if any(param.name == "bias" for param in layer.reads):
        shown.append("b")
    curve = "".join(_activation(graph, layer))
    if curve == "softmax":
        curve = "softmax over the layer of "
    total = " + ".join(shown)
    return f"One neuron of {layer.path}: {f'{curve}({total})' if curve else total}."


def chain(graph: Graph, node: Node) -> list[Node]:
    """The chain of fully connected layers around a node, with only activations and dropout between."""
    chain = [node]
    while (before := _layer_before(graph, chain[0])) is not None:
        chain.insert(0, before)
    by_source = {
        source.id: layer
        for layer in graph.nodes
        if isinstance(layer.op, Fc) and (source := _layer_before(graph, layer))
    }
    while chain[-1].id in by_source:
        chain.append(by_source[chain[-1].id])
    return chain


def _layer_before(graph: Graph, node: Node) -> Node | None:
    source = graph.nodes[node.inputs[0]]
    while source.op.role or not source.op.inference:
        source = graph.nodes[source.inputs[0]]
    return source if isinstance(source.op, Fc) and source.op.kernel is None else None


def _activation(graph: Graph, layer: Node) -> list[str]:
    """The activation after a layer."""
    readers = graph.consumers[layer.id]
    return [graph.nodes[n].op.name for n in readers[:1] if graph.nodes[n].op.role]


def _shown(width: int) -> list[int | None]:
    """The indices of the neurons in the figure; None stands for dots."""
    if width <= MOST:
        return list(range(width))
    return [*range(MOST // 2), None, *range(width - MOST // 2 + 2, width)]


def _column(width: int, x: float, middle: float) -> list[Point | None]:
    shown = _shown(width)
    top = middle - (len(shown) - 1) * PITCH / 2
    return [None if number is None else Point(x, top + n * PITCH) for n, number in enumerate(shown)]


def _neurons(column: list[Point | None], name: str, kind: str, width: int, letter: str, theme: Theme) -> Cluster:
    color = theme.colors["fc" if kind == "fc" else "input"]
    items: list[Item] = [Circle(p, RADIUS, color.fill, color.line, 0.9) for p in column if p is not None]
    for number, spot in zip(_shown(width), column, strict=True):
        if letter and number is not None and spot is not None:
            at = Point(spot.x - RADIUS - 4, spot.y + 2.5)
            items.append(Text(at, f"{letter}{number + 1}", SMALL, theme.ink, "end"))
    if None in column:
        n = column.index(None)
        above = column[n - 1]
        assert above is not None
        items += [Circle(Point(above.x, above.y + PITCH + 4.5 * step), 1.1, theme.ink) for step in (-1, 0, 1)]
    return Cluster(
        "layer",
        name,
        f"{name}: {width} neurons",
        items,
        {"neurons": str(width), "shown": str(len(column) - column.count(None))},
    )


def _count(figure: Figure, layers: list[Node], widths: list[int], at: Point, pitch: float, theme: Theme) -> None:
    """Add the counts of weights and biases below the links."""
    total = 0
    for n, layer in enumerate(layers):
        params = sum(param.numel for param in layer.reads)
        total += params
        bias = params - widths[n] * widths[n + 1]
        words = f"{widths[n]}{TIMES}{widths[n + 1]}" + (f" + {bias}" if bias else "")
        figure.members.append(Text(Point(at.x + (n + 0.5) * pitch, at.y), words, SMALL, theme.quiet))
        figure.width = max(figure.width, text_width(words, SMALL))
    figure.notes.append(f"Each link is a weight, each neuron has a bias: {total:,} parameters.")
