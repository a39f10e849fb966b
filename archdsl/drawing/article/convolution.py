"""The figure of a convolution: a window slides over the input and computes one output value at each position.

If the filter's weights are in the spec, one window is computed. The pixels are an example: a bright corner.
"""

from __future__ import annotations

from archdsl.drawing.article.figure import SMALL, WORDS, Figure, grid, sheets
from archdsl.drawing.heat import mix
from archdsl.drawing.scene import DASHES, Cluster, Item, Path, Point, Polygon, Text, rectangle
from archdsl.drawing.theme import Theme
from archdsl.graph import Graph, Node
from archdsl.ops import Conv
from archdsl.report.words import TIMES
from archdsl.shapes import Pads, concrete

PLACES = 4
"""Number of output rows and columns in the figure."""
DARK_PIXEL, BRIGHT_PIXEL = 1, 9


def convolution(graph: Graph, node: Node, theme: Theme) -> Figure:
    """Return the figure: the top left corner of the input with its padding, the filter, that of the output."""
    op = node.op
    assert isinstance(op, Conv)
    view = _Corner(node)
    out = Figure("a convolution")
    top = 14.0
    x = 6.0
    out.members.append(Cluster("input", "input", "", view.input(x, top, theme), {}))
    width, height = view.columns * view.cell, view.rows * view.cell
    middle = top + max(height, view.places * view.out_cell) / 2
    kx = x + width + 46
    kernel_y = middle - view.kernel[0] * view.cell / 2
    out.members.append(Cluster("kernel", node.path, "", view.filter(kx, kernel_y, theme), {}))
    ox = kx + view.kernel[1] * view.cell + 46
    oy = middle - view.places * view.out_cell / 2
    out.members.append(Cluster("output", "output", "", view.output(ox, oy, theme), {}))
    out.members += _rays(view, x, top, kx, kernel_y, ox, oy, theme)
    out.members += [
        Text(Point(x + width + 25, middle + 5), "\u2217", 18, theme.ink),
        Text(Point(ox - 22, middle + 5), "=", 16, theme.ink),
    ]
    bottom = max(top + height, oy + view.places * view.out_cell) + 13
    for at, first, second in (
        (x + width / 2, "input", f" {TIMES} ".join(map(str, view.shape))),
        (kx + view.kernel[1] * view.cell / 2, f"{op.kernel[0]}{TIMES}{op.kernel[1]} filter", view.settings()),
        (ox + view.places * view.out_cell / 2, "output", f" {TIMES} ".join(map(str, concrete(node.shape)))),
    ):
        out.members.append(Text(Point(at, bottom), first, WORDS, theme.ink))
        out.members.append(Text(Point(at, bottom + 10), second, SMALL, theme.quiet))
    out.width = ox + view.places * view.out_cell + 16
    out.height = bottom + 14
    out.notes = view.arithmetic()
    return out


class _Corner:
    """The part of a convolution in the figure."""

    def __init__(self, node: Node) -> None:
        op = node.op
        assert isinstance(op, Conv)
        self.node, self.op = node, op
        shape, result = concrete(node.in_shapes[0]), concrete(node.shape)
        self.shape = shape
        self.kernel, self.stride = op.kernel, op.stride
        self.pads: Pads = op.pads(node.in_shapes[0])
        self.places = max(
            1, min(PLACES, result[1], result[2], 4 if max(self.kernel) <= 3 else 3 if max(self.kernel) <= 5 else 2)
        )
        self.rows = min(self.kernel[0] + (self.places - 1) * self.stride[0], shape[1] + self.pads.sums[0])
        self.columns = min(self.kernel[1] + (self.places - 1) * self.stride[1], shape[2] + self.pads.sums[1])
        self.cell = min(15.0, 150.0 / max(self.rows, self.columns))
        self.out_cell = max(self.cell, 17.0)
        self.at = min(1, self.places - 1)
        """Row and column of the output value that is computed."""
        self.channels = shape[0] // op.groups
        size = self.kernel[0] * self.kernel[1]
        weights = op.fixed_weight(shape[0]) if op.weight is not None else ()
        self.weight = weights[:size] or None
        """The weights of the first filter and channel, if they are in the spec."""
        self.alike = len({weights[n * size : (n + 1) * size] for n in range(self.channels)}) == 1

    def pixel(self, row: int, column: int) -> int | None:
        """The example pixel: bright to the lower right; None for padding."""
        row, column = row - self.pads.begins[0], column - self.pads.begins[1]
        if row < 0 or column < 0 or row >= self.shape[1] or column >= self.shape[2]:
            return None
        edge = self.at * self.stride[0] + self.kernel[0] // 2 - self.pads.begins[0]
        return BRIGHT_PIXEL if row >= edge and column >= edge else DARK_PIXEL

    def in_window(self, row: int, column: int) -> bool:
        top, left = self.at * self.stride[0], self.at * self.stride[1]
        return top <= row < top + self.kernel[0] and left <= column < left + self.kernel[1]

    def sum_at(self, out_row: int, out_column: int) -> float:
        """The sum of one channel at an output position, without bias."""
        assert self.weight is not None
        total = 0.0
        for n, weight in enumerate(self.weight):
            row = out_row * self.stride[0] + n // self.kernel[1]
            column = out_column * self.stride[1] + n % self.kernel[1]
            total += weight * (self.pixel(row, column) or 0)
        return total

    def bias(self) -> float:
        bias = self.op.bias
        return float(bias[0]) if isinstance(bias, tuple) else 0.0 if isinstance(bias, bool) else float(bias)

    def input(self, x: float, y: float, theme: Theme) -> list[Item]:
        """The input's corner: channels as sheets, padding grey, the window coloured."""
        window = mix(theme.colors["conv"].fill, theme.colors["conv"].line, 0.35)
        grey = mix(theme.background, theme.ink, 0.10)

        def text(row: int, column: int) -> str:
            pixel = self.pixel(row, column)
            if self.weight is None or self.cell < 9:
                return "0" if pixel is None and self.cell >= 9 else ""
            return "0" if pixel is None else str(pixel)

        def fill(row: int, column: int) -> str:
            if self.in_window(row, column):
                return window
            return grey if self.pixel(row, column) is None else ""

        items = sheets(x, y, self.columns * self.cell, self.rows * self.cell, self.shape[0], theme, "input")
        return items + grid(x, y, self.rows, self.columns, self.cell, theme, "input", text, fill)

    def filter(self, x: float, y: float, theme: Theme) -> list[Item]:
        """The filter: its weights if the spec has them, else their names."""

        def text(row: int, column: int) -> str:
            n = row * self.kernel[1] + column
            if self.weight is not None:
                return f"{self.weight[n]:g}".replace("-", "\u2212")
            return f"w{n + 1}" if max(self.kernel) <= 3 else ""

        fill = theme.colors["conv"].fill
        items = sheets(x, y, self.kernel[1] * self.cell, self.kernel[0] * self.cell, self.channels, theme, "conv")
        return items + grid(
            x, y, self.kernel[0], self.kernel[1], self.cell, theme, "conv", text, lambda row, column: fill
        )

    def output(self, x: float, y: float, theme: Theme) -> list[Item]:
        """The output's corner, the value of the window coloured."""
        window = mix(theme.colors["fc"].fill, theme.colors["fc"].line, 0.35)

        def text(row: int, column: int) -> str:
            if self.weight is None:
                return "y" if row == column == self.at else ""
            if not self.alike:
                return ""
            return f"{self.channels * self.sum_at(row, column) + self.bias():g}".replace("-", "\u2212")

        items = sheets(x, y, self.places * self.out_cell, self.places * self.out_cell, self.op.out, theme, "fc")
        return items + grid(
            x,
            y,
            self.places,
            self.places,
            self.out_cell,
            theme,
            "fc",
            text,
            lambda row, column: window if row == column == self.at else "",
        )

    def settings(self) -> str:
        """Stride and padding as text."""
        stride = (
            f"stride {self.stride[0]}"
            if self.stride[0] == self.stride[1]
            else f"stride {self.stride[0]}{TIMES}{self.stride[1]}"
        )
        pads = (
            f"padding {self.pads.begins[0]}" if len(set(self.pads)) == 1 else "padding " + ",".join(map(str, self.pads))
        )
        return f"{stride}, {pads}" if any(self.pads) else f"{stride}, no padding"

    def arithmetic(self) -> list[str]:
        """The computation of one window if the weights are in the spec, else the count of parameters."""
        height, width = self.kernel
        weights = f"{height} {TIMES} {width} {TIMES} {self.channels}"
        own = height * width * self.channels
        if self.weight is None:
            bias = any(param.name == "bias" for param in self.node.reads)
            total = sum(param.numel for param in self.node.reads)
            each = f"{weights} + 1 = {own + 1}" if bias else f"{weights} = {own}"
            return [
                f"y = w1 x1 + w2 x2 + \u2026 + w{own} x{own}{' + b' if bias else ''}: the same weights at every place.",
                f"{each} weights for one filter, {self.op.out} filter{'s' * (self.op.out != 1)}: {total:,} parameters.",
            ]
        if not self.alike:
            return [f"The filter is written in the spec: {weights} weights for each of {self.op.out} outputs."]
        return self._worked_out()

    def _worked_out(self) -> list[str]:
        assert self.weight is not None
        groups: dict[tuple[float, int], int] = {}
        for n, weight in enumerate(self.weight):
            row, column = self.at * self.stride[0] + n // self.kernel[1], self.at * self.stride[1] + n % self.kernel[1]
            key = weight, self.pixel(row, column) or 0
            groups[key] = groups.get(key, 0) + 1
        terms = [f"{count} {TIMES} ({weight:g} \u00b7 {pixel})" for (weight, pixel), count in groups.items()]
        one = self.sum_at(self.at, self.at)
        total = one * self.channels + self.bias()
        lines = [f"In the window: {' + '.join(terms)} = {one:g}".replace("-", "\u2212")]
        if self.channels > 1 or self.bias():
            bias = f", with the bias {self.bias():g}" if self.bias() else ""
            lines[0] += f"; over {self.channels} equal channels{bias}: {total:g}".replace("-", "\u2212")
        return [f"{lines[0]}.", "The filter is the spec's; the pixels are an example, a bright corner in the dark."]


def _rays(view: _Corner, x: float, y: float, kx: float, ky: float, ox: float, oy: float, theme: Theme) -> list[Item]:
    """Lines from the corners of the window to those of the filter, and from there to the output value."""
    top, left = view.at * view.stride[0] * view.cell, view.at * view.stride[1] * view.cell
    height, width = view.kernel[0] * view.cell, view.kernel[1] * view.cell
    place = view.at * view.out_cell
    line = theme.colors["conv"].line
    right = x + left + width
    items: list[Item] = [Polygon(rectangle(x + left, y + top, width, height), "", line, 1.4)]
    for a, b in ((y + top, ky), (y + top + height, ky + height)):
        items.append(Path((Point(right, a), Point(kx, b)), line, 0.6, DASHES))
    for b, c in ((ky, oy + place), (ky + height, oy + place + view.out_cell)):
        items.append(Path((Point(kx + width, b), Point(ox + place, c)), theme.colors["fc"].line, 0.6, DASHES))
    return items
