"""The figure of a convolution: a window slides over the input and computes one output value at each position.

If the filter's weights are in the spec, one window is computed. The pixels are an example: a bright corner. A figure is
flat: a signal is one row of cells, a volume as many slices as the window reads, one below the other. So a window, a
stride and a position have three axes here: slices, rows and columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from archdsl.axes import MOST, axes_of, in_short, kind_of
from archdsl.drawing.article.figure import SMALL, WORDS, Figure, grid, sheets
from archdsl.drawing.heat import mix
from archdsl.drawing.metrics import text_width
from archdsl.drawing.scene import DASHES, Cluster, Item, Path, Point, Polygon, Text, rectangle
from archdsl.drawing.theme import Theme
from archdsl.graph import Graph, Node
from archdsl.ops import Conv
from archdsl.ops.conv import reach_of
from archdsl.report.words import TIMES
from archdsl.shapes import Pads, concrete

PLACES = 4
"""Number of output rows and columns in the figure."""
DARK_PIXEL, BRIGHT_PIXEL = 1, 9
BRIGHT_PART = ("", "end", "corner", "corner")
"""Where the example is bright, by the number of axes."""
FILTER = ("", "{}-tap filter", "{} filter", "{} filter")
"""What a filter of a size is called, by the number of axes."""
BRACKET = 15.0
"""Distance of the line that joins the slices of the filter, to the right of them."""
APART, NEAR, BELOW = 46.0, 28.0, 22.0
"""Space between input, filter and output, also in a narrow figure, and between slices: for sheets of more channels."""
TALLEST = 270.0
WIDEST_TABLE = 32
"""Number of maps and filters up to which a connection table is drawn."""


def convolution(graph: Graph, node: Node, theme: Theme, narrow: bool = False) -> Figure:
    """Return the figure: the first corner of the input with its padding, the filter, that of the output."""
    view = _Corner(node, narrow)
    apart = APART if not narrow or view.slices > 1 else NEAR
    out = Figure("a convolution")
    top = 14.0
    words = view.captions()
    half = [max(text_width(first, WORDS), text_width(second, SMALL)) / 2 for first, second in words]
    width, height = view.columns * view.cell, (view.slices - 1) * view.pitch + view.rows * view.cell
    out_wide, out_high = view.places[2] * view.out_cell, view.places[1] * view.out_cell
    middle = top + max(height, out_high) / 2
    middles = [middle + (n - (view.slices - 1) / 2) * view.pitch for n in range(view.slices)]
    x = max(6.0 + (34.0 if view.leading else 0.0), half[0] - width / 2)
    filter_wide = view.kernel[2] * view.cell
    filter_x = x + width + max(apart, half[0] + half[1] + 8 - (width + filter_wide) / 2)
    out_x = filter_x + filter_wide + max(apart, half[1] + half[2] + 8 - (filter_wide + out_wide) / 2)
    corner = _Places(
        Point(x, top),
        Point(filter_x, middles[0] - view.kernel[1] * view.cell / 2),
        Point(out_x, middle - out_high / 2),
    )
    out.members += [
        Cluster("input", "input", "", view.stacked(view.input, corner.input, theme), {}),
        Cluster("kernel", node.path, "", view.stacked(view.filter, corner.filter, theme), {}),
        Cluster("output", "output", "", view.output(corner.output.x, corner.output.y, theme), {}),
    ]
    out.members += _rays(view, corner, theme)
    out.members += [Text(Point((x + width + filter_x) / 2 + 4, y + 12.5), "*", 22, theme.ink) for y in middles]
    out.members.append(Text(Point((filter_x + filter_wide + out_x) / 2 + 4.5, middle + 5), "=", 16, theme.ink))
    out.members += _slice_names(view, corner, theme)
    bottom = max(top + height, corner.output.y + out_high) + 13
    centers = (x + width / 2, filter_x + filter_wide / 2, out_x + out_wide / 2)
    for at, (first, second) in zip(centers, words, strict=True):
        out.members.append(Text(Point(at, bottom), first, WORDS, theme.ink))
        out.members.append(Text(Point(at, bottom + 10), second, SMALL, theme.quiet))
    out.width = max(out_x + out_wide + 16, centers[-1] + half[2])
    out.height = bottom + 14
    if view.op.table and max(view.op.out, view.shape[0]) <= WIDEST_TABLE:
        _add_table(out, view, theme)
    out.notes = view.arithmetic()
    return out


class _Places(NamedTuple):
    """The top left corners of the three parts, each at its first slice."""

    input: Point
    filter: Point
    output: Point


class _Corner:
    """The part of a convolution in the figure."""

    def __init__(self, node: Node, narrow: bool) -> None:
        op = node.op
        assert isinstance(op, Conv)
        self.node, self.op = node, op
        self.shape, result = concrete(node.in_shapes[0]), concrete(node.shape)
        self.kind = kind_of(self.shape)
        self.pads: Pads = op.pads(node.in_shapes[0])
        self.kernel, self.stride, self.dilation = _three(op.kernel), _three(op.stride), _three(op.dilation)
        self.begins, self.sizes = _three(self.pads.begins, 0), _three(self.shape[1:])
        places = max(1, min(PLACES, *result[1:], 4 if max(self.kernel) <= 3 else 3 if max(self.kernel) <= 5 else 2))
        self.places = _three([places] * len(op.kernel))
        """The number of output values along each axis; of a volume's output, one slice is drawn."""
        self.at = _three([min(1, places - 1)] * len(op.kernel), 0)
        """The position of the output value that is computed."""
        self.slices = self.kernel[0]
        _, self.rows, self.columns = (
            min(reach + (count - 1) * step, size + pad)
            for reach, count, step, size, pad in zip(
                reach_of(self.kernel, self.dilation),
                self.places,
                self.stride,
                self.sizes,
                _three(self.pads.sums, 0),
                strict=True,
            )
        )
        self.cell = min(
            12.0 if narrow else 15.0, 150.0 / max(self.rows, self.columns), TALLEST / (self.slices * self.rows)
        )
        self.out_cell = max(self.cell, 15.0 if narrow else 17.0)
        self.pitch = self.rows * self.cell + BELOW
        """The distance from a slice to the next."""
        self.leading = self.kind.letters[:-2]
        """The axis of the slices."""
        self.channels = self.shape[0] // op.groups
        size = prod(self.kernel)
        weights = op.fixed_weight(self.shape[0]) if op.weight is not None else ()
        self.weight = weights[:size] or None
        """The weights of the first filter and channel, if they are in the spec."""
        self.alike = len({weights[n * size : (n + 1) * size] for n in range(self.channels)}) == 1

    def first(self, out: Sequence[int]) -> tuple[int, ...]:
        """The first pixel of the window of an output position, counted with the padding."""
        return tuple(place * step for place, step in zip(out, self.stride, strict=True))

    def window(self, out: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """The pixels of a window in the order of the weights, counted with the padding."""
        for taps in product(*map(range, self.kernel)):
            yield tuple(a + n * d for a, n, d in zip(self.first(out), taps, self.dilation, strict=True))

    def slice_at(self, number: int) -> int:
        """The place of a slice of the window, counted with the padding."""
        return self.at[0] * self.stride[0] + number * self.dilation[0]

    def pixel(self, at: Sequence[int]) -> int | None:
        """The example pixel: bright to the lower right; None for padding."""
        own = [place - begin for place, begin in zip(at, self.begins, strict=True)]
        if any(not 0 <= place < size for place, size in zip(own, self.sizes, strict=True)):
            return None
        reach = zip(self.first(self.at), self.kernel, self.dilation, self.begins, strict=True)
        edges = [first + taps // 2 * apart - begin for first, taps, apart, begin in reach]
        bright = all(place >= edge for place, edge in zip(own, edges, strict=True))
        return BRIGHT_PIXEL if bright else DARK_PIXEL

    def sum_at(self, out: Sequence[int]) -> float:
        """The sum of one channel at an output position, without bias."""
        assert self.weight is not None
        return sum(w * (self.pixel(at) or 0) for w, at in zip(self.weight, self.window(out), strict=True))

    def bias(self) -> float:
        bias = self.op.bias
        return float(bias[0]) if isinstance(bias, tuple) else 0.0 if isinstance(bias, bool) else float(bias)

    def stacked(self, draw: Callable[[int, float, float, Theme], list[Item]], at: Point, theme: Theme) -> list[Item]:
        """All slices of a part, one below the other."""
        return [item for n in range(self.slices) for item in draw(n, at.x, at.y + n * self.pitch, theme)]

    def input(self, number: int, x: float, y: float, theme: Theme) -> list[Item]:
        """A slice of the input's corner: channels as sheets, padding grey, the window coloured."""
        window = mix(theme.colors["conv"].fill, theme.colors["conv"].line, 0.35)
        grey = mix(theme.background, theme.ink, 0.10)
        depth, inside = self.slice_at(number), set(self.window(self.at))

        def text(row: int, column: int) -> str:
            pixel = self.pixel((depth, row, column))
            if self.weight is None or self.cell < 9:
                return "0" if pixel is None and self.cell >= 9 else ""
            return "0" if pixel is None else str(pixel)

        def fill(row: int, column: int) -> str:
            if (depth, row, column) in inside:
                return window
            return grey if self.pixel((depth, row, column)) is None else ""

        items = sheets(x, y, self.columns * self.cell, self.rows * self.cell, self.shape[0], theme, "input")
        return items + grid(x, y, self.rows, self.columns, self.cell, theme, "input", text, fill)

    def filter(self, number: int, x: float, y: float, theme: Theme) -> list[Item]:
        """A slice of the filter: its weights if the spec has them, else their names."""
        _, rows, columns = self.kernel

        def text(row: int, column: int) -> str:
            n = (number * rows + row) * columns + column
            if self.weight is not None:
                return f"{self.weight[n]:g}".replace("-", "\u2212")
            return f"w{n + 1}" if max(self.kernel) <= 3 and self.cell >= 9 else ""

        fill = theme.colors["conv"].fill
        items = sheets(x, y, columns * self.cell, rows * self.cell, self.channels, theme, "conv")
        return items + grid(x, y, rows, columns, self.cell, theme, "conv", text, lambda row, column: fill)

    def output(self, x: float, y: float, theme: Theme) -> list[Item]:
        """The output's corner, the value of the window coloured."""
        window = mix(theme.colors["fc"].fill, theme.colors["fc"].line, 0.35)
        depth, rows, columns = self.at[0], self.places[1], self.places[2]

        def text(row: int, column: int) -> str:
            if self.weight is None:
                return "y" if (row, column) == self.at[1:] else ""
            if not self.alike:
                return ""
            value = self.channels * self.sum_at((depth, row, column)) + self.bias()
            return f"{value:g}".replace("-", "\u2212")

        def fill(row: int, column: int) -> str:
            return window if (row, column) == self.at[1:] else ""

        items = sheets(x, y, columns * self.out_cell, rows * self.out_cell, self.op.out, theme, "fc")
        return items + grid(x, y, rows, columns, self.out_cell, theme, "fc", text, fill)

    def slice_words(self, number: int) -> str:
        """The place of a slice of the input, counted from 1."""
        place = self.slice_at(number) - self.begins[0]
        return f"{self.leading} {place + 1}" if 0 <= place < self.sizes[0] else "padding"

    def captions(self) -> tuple[tuple[str, str], ...]:
        """Two lines below the input, the filter and the output."""
        kernel = FILTER[axes_of(self.shape)].format(TIMES.join(map(str, self.op.kernel)))
        output = f"output, {self.leading} {self.at[0] + 1}" if self.leading else "output"
        read, written = (f" {TIMES} ".join(map(str, shape)) for shape in (self.shape, concrete(self.node.shape)))
        return ("input", read), (kernel, self.settings()), (output, written)

    def settings(self) -> str:
        """Stride and padding as text."""
        stride = f"stride {in_short(self.op.stride, TIMES)}"
        apart = any(step > 1 for step in self.dilation)
        stride += f", dilation {in_short(self.op.dilation, TIMES)}" if apart else ""
        pads = f"padding {self.pads[0]}" if len(set(self.pads)) == 1 else "padding " + ",".join(map(str, self.pads))
        return f"{stride}, {pads}" if any(self.pads) else f"{stride}, no padding"

    def arithmetic(self) -> list[str]:
        """The computation of one window if the weights are in the spec, else the count of parameters."""
        if self.weight is None:
            return self._counted()
        if not self.alike:
            weights = f" {TIMES} ".join(map(str, (*self.op.kernel, self.channels)))
            return [f"The filter is written in the spec: {weights} weights for each of {self.op.out} outputs."]
        return self._worked_out()

    def _counted(self) -> list[str]:
        """The sum of one output, the channels that a filter reads if not all, and the count of parameters."""
        maps = Counter(map(len, self.op.table)) if self.op.table else Counter({self.channels: self.op.out})
        own = {param.name: param.numel for param in self.node.reads}
        bias = " + b" if "bias" in own else ""
        last = prod(self.kernel) * self.channels if len(maps) == 1 else "n"
        lines = [f"y = w1 x1 + w2 x2 + \u2026 + w{last} x{last}{bias}: the same weights at every place."]
        if self.op.table:
            kinds = ", ".join(f"{maps[n]} read{'s' * (maps[n] == 1)} {n}" for n in sorted(maps))
            lines.append(f"Of {self.op.out} filters, {kinds} of the {self.shape[0]} maps, as the table shows.")
        elif self.op.groups > 1:
            groups = "depthwise" if self.channels == 1 else f"{self.op.groups} groups"
            lines.append(f"Each filter reads {self.channels} of the {self.shape[0]} channels: {groups}.")
        read = (
            sum(count * n for n, count in maps.items()) if self.op.table else f"{self.channels} {TIMES} {self.op.out}"
        )
        weights = f"{f' {TIMES} '.join(map(str, self.op.kernel))} {TIMES} {read} weights"
        others = [
            f"{count} {'biases' if name == 'bias' else f'{name}s'}" for name, count in own.items() if name != "weight"
        ]
        lines.append(f"{' + '.join([weights, *others])} = {sum(own.values()):,} parameters.")
        return lines

    def _worked_out(self) -> list[str]:
        assert self.weight is not None
        groups = Counter((w, self.pixel(at) or 0) for w, at in zip(self.weight, self.window(self.at), strict=True))
        terms = [f"{count} {TIMES} ({weight:g} \u00b7 {pixel})" for (weight, pixel), count in groups.items()]
        one = self.sum_at(self.at)
        total = one * self.channels + self.bias()
        lines = [f"In the window: {' + '.join(terms)} = {one:g}".replace("-", "\u2212")]
        if self.channels > 1 or self.bias():
            bias = f", with the bias {self.bias():g}" if self.bias() else ""
            lines[0] += f"; over {self.channels} equal channels{bias}: {total:g}".replace("-", "\u2212")
        part = BRIGHT_PART[axes_of(self.shape)]
        example = f"The filter is the spec's; the {self.kind.point}s are an example, a bright {part} in the dark."
        return [f"{lines[0]}.", example]


def _add_table(figure: Figure, view: _Corner, theme: Theme) -> None:
    """Add the connection table below: a row for each map of the input, a column for each filter, crosses as read."""
    assert view.op.table is not None
    cell, x, y = 11.0, 34.0, figure.height + 22
    read = view.op.table
    items = grid(
        x,
        y,
        view.shape[0],
        view.op.out,
        cell,
        theme,
        "conv",
        lambda row, column: "\u00d7" if row in read[column] else "",
        lambda row, column: theme.colors["conv"].fill if row in read[column] else "",
    )
    items.append(Text(Point(x, y - 13), "maps that each filter reads", WORDS, theme.ink, "start"))
    items += [Text(Point(x + (n + 0.5) * cell, y - 3), str(n), 6, theme.quiet) for n in range(view.op.out)]
    items += [Text(Point(x - 3, y + (n + 0.7) * cell), str(n), 6, theme.quiet, "end") for n in range(view.shape[0])]
    figure.members.append(Cluster("table", "table", "", items, {}))
    figure.width = max(figure.width, x + view.op.out * cell + 16)
    figure.height = y + view.shape[0] * cell + 10


def _three(values: Sequence[int], one: int = 1) -> tuple[int, ...]:
    """The values of the axes as slices, rows and columns."""
    return (*(one,) * (MOST - len(values)), *values)


def _slice_names(view: _Corner, corner: _Places, theme: Theme) -> list[Item]:
    """The place of each slice of the input, and the sum over the slices of the filter."""
    if not view.leading:
        return []
    items: list[Item] = []
    for n in range(view.slices):
        y = corner.input.y + n * view.pitch + view.rows * view.cell / 2
        items.append(Text(Point(corner.input.x - 5, y + 2.5), view.slice_words(n), SMALL, theme.quiet, "end"))
        if n:
            x = corner.filter.x + view.kernel[2] * view.cell / 2
            y = corner.filter.y + (n - 0.5) * view.pitch + view.kernel[1] * view.cell / 2
            items.append(Text(Point(x, y + 5), "+", 14, theme.ink))
    return items


def _rays(view: _Corner, corner: _Places, theme: Theme) -> list[Item]:
    """Lines from the corners of the window to those of the filter, and from there to the output value."""
    _, top, left = (place * view.cell for place in view.first(view.at))
    _, high, wide = (reach * view.cell for reach in reach_of(view.kernel, view.dilation))
    line = theme.colors["conv"].line
    height, right = view.kernel[1] * view.cell, corner.input.x + left + wide
    items: list[Item] = []
    for n in range(view.slices):
        y, ky = corner.input.y + n * view.pitch + top, corner.filter.y + n * view.pitch
        items.append(Polygon(rectangle(corner.input.x + left, y, wide, high), "", line, 1.4))
        for a, b in ((y, ky), (y + high, ky + height)):
            items.append(Path((Point(right, a), Point(corner.filter.x, b)), line, 0.6, DASHES))
    edge, place = corner.filter.x + view.kernel[2] * view.cell, view.at[2] * view.out_cell
    end, row = corner.output.x + place, corner.output.y + view.at[1] * view.out_cell
    color, first, middle = theme.colors["fc"].line, corner.filter.y, corner.filter.y
    if view.slices > 1:
        edge, last = edge + BRACKET, first + (view.slices - 1) * view.pitch + height
        items.append(
            Path((Point(edge - 3, first), Point(edge, first), Point(edge, last), Point(edge - 3, last)), color, 0.6)
        )
        middle = (first + last - height) / 2
    for b, c in ((middle, row), (middle + height, row + view.out_cell)):
        items.append(Path((Point(edge, b), Point(end, c)), color, 0.6, DASHES))
    return items
