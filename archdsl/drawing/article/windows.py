"""The colours of an inception block: each branch has one, in its window on the input and its slice of the output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from archdsl.axes import axes_of
from archdsl.drawing.article.figure import SMALL, grid
from archdsl.drawing.heat import mix
from archdsl.drawing.metrics import text_width
from archdsl.drawing.scene import Cluster, Item, Point, Polygon, Text, rectangle
from archdsl.drawing.theme import Look, Theme
from archdsl.drawing.volumes.series import Parallel, Series
from archdsl.drawing.volumes.stages import Stage, Staged
from archdsl.graph import Graph
from archdsl.ops import Concat
from archdsl.ops.conv import reach_of
from archdsl.report.words import TIMES
from archdsl.shapes import concrete

HUES: tuple[Look, ...] = ("conv", "pool", "fc", "act", "merge", "block", "norm")
SIDE, CELL = 63.0, 9.0
INSET = 1.6
"""Distance between the outlines of equal windows."""
BAR, HIGH = 108.0, 13.0
"""Size of the concatenation."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch: its stages, its colour, and the size of its window on the input; no size if it has branches."""

    stages: tuple[int, ...]
    hue: str
    window: tuple[int, ...]


def branches_of(graph: Graph, staged: Staged, series: Series, theme: Theme) -> list[Branch]:
    """Return the branches of an inception block, from left to right, if there is a colour for each."""
    rows = [row for piece in series.pieces if isinstance(piece, Parallel) for row in piece.rows]
    if len(rows) > len(HUES):
        return []
    return [
        Branch(tuple(_stages(row)), theme.colors[hue].line, _window(graph, staged, row))
        for row, hue in zip(rows, HUES, strict=False)
    ]


def _stages(series: Series) -> list[int]:
    rows = [row for piece in series.pieces if isinstance(piece, Parallel) for row in piece.rows]
    inner = [piece for piece in series.pieces if isinstance(piece, Series)]
    own = [piece.number for piece in series.pieces if isinstance(piece, Stage)]
    return own + [number for row in (*rows, *inner) for number in _stages(row)]


def _is_chain(series: Series) -> bool:
    return all(isinstance(piece, Stage) or (isinstance(piece, Series) and _is_chain(piece)) for piece in series.pieces)


def _window(graph: Graph, staged: Staged, row: Series) -> tuple[int, ...]:
    """The window of a chain of layers on its input: that of the first, widened by all later ones."""
    if not _is_chain(row):
        return ()
    stages = _stages(row)
    sizes, apart = None, None
    for node in graph.nodes:
        kernel = getattr(node.op, "kernel", None)
        if (
            staged.stage_of[node.id] not in stages
            or not isinstance(kernel, tuple)
            or axes_of(node.shape) != len(kernel)
        ):
            continue
        ones = (1,) * len(kernel)
        sizes, apart = sizes or ones, apart or ones
        reach = reach_of(kernel, getattr(node.op, "dilation", ones))
        sizes = tuple(size + (r - 1) * a for size, r, a in zip(sizes, reach, apart, strict=True))
        steps = getattr(node.op, "steps", None) or getattr(node.op, "stride", None) or ones
        apart = tuple(a * step for a, step in zip(apart, steps, strict=True))
    return sizes or ()


def input_grid(branches: Sequence[Branch], paths: Sequence[str], theme: Theme) -> list[Cluster]:
    """Return the input, and the window of each branch on its middle with the size below; none without a size for each.

    `paths` are those of all stages: each window is named after the first stage of its branch, so that both are one step
    of a build-up. The grid of a signal has windows one cell high; that of a volume is one slice.
    """
    if not branches or not all(branch.window for branch in branches):
        return []
    cells = max(max(branch.window) for branch in branches) + 2
    cell = min(CELL, SIDE / cells)
    side = cells * cell
    items: list[Item] = grid(0, 0, cells, cells, cell, theme, "input")
    items.append(Text(Point(0, side + 10), "windows on the input", SMALL, theme.quiet, "start"))
    sizes = {"sizes": " ".join(map(str, (max(b.window) for b in branches)))}
    out = [Cluster("windows", "windows", "", items, sizes)]
    seen: Counter[tuple[int, ...]] = Counter()
    for n, branch in sorted(enumerate(branches), key=lambda pair: pair[1].window, reverse=True):
        inset = INSET * seen[branch.window]
        seen[branch.window] += 1
        high, wide = (size * cell - 2 * inset for size in (1, *branch.window)[-2:])
        corners = rectangle((side - wide) / 2, (side - high) / 2, wide, high)
        y = side + 15 + 10 * n
        own: list[Item] = [Polygon(corners, mix(branch.hue, theme.background, 0.8), branch.hue, 1.3)]
        own += [] if theme.patterns else [Polygon(rectangle(0, y, 6, 6), branch.hue)]  # in print all hues are black
        own.append(Text(Point(10, y + 6), TIMES.join(map(str, branch.window)), SMALL, theme.ink, "start"))
        out.append(Cluster("window", members=own, id=f"window-{paths[branch.stages[0]]}"))
    return out


@dataclass(frozen=True, slots=True)
class Bar:
    """A concatenation as a bar: a slice for each input, as wide as its channels."""

    sources: tuple[tuple[int, int], ...]
    """The stage and the channels of each input, in order."""
    hues: Mapping[int, str]

    def ends(self) -> list[float]:
        """Return the ends of the slices, from the middle of the bar."""
        total = sum(channels for _, channels in self.sources)
        return [BAR * (part / total - 0.5) for part in accumulate((c for _, c in self.sources), initial=0)]

    def middle(self, number: int) -> float:
        """Return the middle of the slice of a stage."""
        spans = zip(self.sources, pairwise(self.ends()), strict=True)
        return next(((a + b) / 2 for (stage, _), (a, b) in spans if stage == number), 0.0)

    def reach(self, words: str) -> float:
        """Return the distance from the middle of the bar to the end of the words at its right."""
        return BAR / 2 + 5 + text_width(words, SMALL)

    def drawn(self, center: Point, words: str, theme: Theme) -> list[Item]:
        """Return its items: each slice in the colour of its branch, with its channels if they fit."""
        items: list[Item] = []
        for (number, channels), (left, right) in zip(self.sources, pairwise(self.ends()), strict=True):
            hue = self.hues.get(number, theme.colors["merge"].line)
            corners = rectangle(center.x + left, center.y - HIGH / 2, right - left, HIGH)
            items.append(Polygon(corners, mix(hue, theme.background, 0.6), hue, 0.8))
            if text_width(str(channels), SMALL) < right - left - 2:
                middle = Point(center.x + (left + right) / 2, center.y + 2.5)
                items.append(Text(middle, str(channels), SMALL, theme.ink))
        items.append(Text(Point(center.x + BAR / 2 + 5, center.y + 2.5), words, SMALL, theme.quiet, "start"))
        return items


def concats(graph: Graph, staged: Staged, hues: Mapping[int, str]) -> dict[int, Bar]:
    """Return the bar of each stage that is a concatenation of channels."""
    joins = {stage.number for stage in staged.root.stages() if stage.look == "merge"}
    return {
        staged.stage_of[node.id]: Bar(
            tuple((staged.stage_of[n], concrete(graph.nodes[n].shape)[0]) for n in node.inputs), hues
        )
        for node in graph.nodes
        if type(node.op) is Concat and staged.stage_of[node.id] in joins
    }
