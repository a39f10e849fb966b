"""Figures of inception and residual blocks: from top to bottom, branches side by side, shortcuts around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from archdsl.analysis.parts import Part
from archdsl.diagnostics import error
from archdsl.drawing.article.figure import SMALL, WORDS, Figure, box_width, label_box
from archdsl.drawing.article.windows import Bar, branches_of, concats, input_grid
from archdsl.drawing.heat import mix
from archdsl.drawing.metrics import text_width
from archdsl.drawing.model.focus import crossing
from archdsl.drawing.scene import Circle, Cluster, Item, Path, Point, Text, arrow_id, shorten
from archdsl.drawing.theme import Theme
from archdsl.drawing.volumes.paint import sign_items
from archdsl.drawing.volumes.series import Parallel, Piece, Series, arrange, links
from archdsl.drawing.volumes.stages import Stage, Staged, stage
from archdsl.graph import Graph, Scope
from archdsl.report.words import TIMES
from archdsl.shapes import format_shape

MOST_BOXES = 24
LANE = 11.0
"""Space between bypasses."""
IDENTITY = 34.0
"""Width of the word beside a shortcut."""
LEVELS = (99, 3, 2, 1, 0)
"""Levels of inner blocks that are expanded, from all to none: the first whose boxes fit is drawn."""
RESIDUAL = "a residual block"
INCEPTION = "an inception block"
BESIDE = 92.0
"""Space for the windows of an inception block."""
GAP = 17.0
APART = 9.0
"""Space between branches."""
RADIUS = 7.0


@dataclass(slots=True)
class _BoxSpot:
    """A placed stage: the x of its middle, the y of its top, its size."""

    stage: Stage
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    level: int = 0


@dataclass(slots=True)
class _BoxColumn:
    """Boxes below one another, extending `left` and `right` of the axis at x = 0."""

    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    spots: list[_BoxSpot] = field(default_factory=list)

    def take(self, other: _BoxColumn, x: float, y: float) -> None:
        for spot in other.spots:
            spot.x, spot.y = spot.x + x, spot.y + y
        self.spots += other.spots
        self.left, self.right = max(self.left, other.left - x), max(self.right, other.right + x)
        self.height = max(self.height, y + other.height)


def block_figure(graph: Graph, scope: Scope, kind: str, theme: Theme, narrow: bool = False) -> Figure:
    """Return the figure of a block with every layer in it; `kind` is what the title calls it.

    If these are more than `MOST_BOXES` boxes, or an arrow would cross a box, inner blocks are a box each. A residual
    block has the labels x and F(x). A `narrow` inception block has its channels in the second line of a box, and no
    windows. Raises E0717 (status 2) if there is no such drawing.
    """
    part = Part(scope.path, scope.path, "block", (range(scope.first, scope.end),), scope)
    outputs = crossing(graph, part.ids)[1]
    for level in LEVELS if len(outputs) == 1 else ():
        staged = stage(graph, None, level, part)
        if len(set(staged.stage_of) - {-1}) <= MOST_BOXES:
            if narrow and kind == INCEPTION:
                _shorten_titles(staged)
            figure, spots = _placed(graph, staged, kind, theme, narrow)
            if not _crossed(figure, spots):
                _add_output(figure, graph, scope, spots[max(spots)], theme)
                return figure
    inner = ", ".join(dict.fromkeys(s.path for s in scope.walk() if s.block and s.path != scope.path))
    cause = f"has {len(outputs)} outputs" if len(outputs) > 1 else "is too large"
    raise error(
        "E0717",
        f"`{scope.path}` of `{graph.name}` {cause} for a figure of the style `article`",
        status=2,
        help=f"a figure has one output, at most {MOST_BOXES} boxes, and no arrow across a box"
        + (f"; blocks in this part: {shorten(inner, 200)}" if inner else ""),
    )


def _shorten_titles(staged: Staged) -> None:
    """Move what follows the op in a title to the words below it: `64 relu` below `1x1 conv`."""
    for one in staged.root.stages():
        one.title, _, rest = one.title.partition(", ")
        one.words = (*([rest] if rest else []), *one.words)


def _placed(graph: Graph, staged: Staged, kind: str, theme: Theme, narrow: bool) -> tuple[Figure, dict[int, _BoxSpot]]:
    """The figure without its output, and the place of each box by its number."""
    series = arrange(staged)
    column = _series(series, 0)
    residual = kind == RESIDUAL
    figure = Figure(kind)
    bypass = _bypasses(staged, series)
    branches = branches_of(graph, staged, series, theme) if kind == INCEPTION else []
    hues = {number: branch.hue for branch in branches for number in branch.stages}
    bars = concats(graph, staged, hues) if hues else {}
    spots = {spot.stage.number: spot for spot in column.spots}
    paths = [spots[number].stage.path if number in spots else "" for number in range(max(spots) + 1)]
    windows = [] if narrow else input_grid(branches, paths, theme)
    left, right = max(column.left + 4, 52.0), column.right + 4
    figure.members += windows
    left += BESIDE * bool(windows)
    for spot in column.spots:
        spot.x += left
        figure.members.append(_drawn(spot, theme, bars.get(spot.stage.number)))
    direct = links(series)
    for edge in staged.edges:
        if edge in direct:
            end = spots[edge[1]]
            bar = bars.get(edge[1])
            end = replace(end, x=end.x + bar.middle(edge[0])) if bar else end
            figure.members.append(_arrow(spots[edge[0]], end, edge, hues.get(edge[0], hues.get(edge[1], theme.arrow))))
    lanes: dict[tuple[int, int], float] = {}  # with the word beside it
    for edge in bypass:
        named = residual and spots[edge[1]].stage.sign == "+"
        lane = _lane(spots, edge, lanes)
        lanes[edge] = lane + IDENTITY * named
        figure.members.append(_around(spots, edge, lane, named, theme))
    if residual:
        figure.members += _formula(column.spots, any(spots[target].stage.sign == "+" for _, target in bypass), theme)
    named_ends = (spots[n].x + bar.reach(_bar_words(spots[n].stage)) for n, bar in bars.items())
    figure.width = max(left + right, 0.0, *(x + 8 for x in (*lanes.values(), *named_ends)))
    figure.height = column.height
    return figure, spots


def _crossed(figure: Figure, spots: dict[int, _BoxSpot]) -> bool:
    """Whether an arrow runs through a box that it neither leaves nor enters."""
    for mark in figure.members:
        if not isinstance(mark, Cluster) or mark.kind not in ("edge", "arc"):
            continue
        others = [spot for number, spot in spots.items() if str(number) not in mark.facts.values()]
        points = (point for path in mark.members if isinstance(path, Path) for point in path.along())
        if any(_holds(spot, point) for point in points for spot in others):
            return True
    return False


def _holds(spot: _BoxSpot, point: Point) -> bool:
    return abs(point.x - spot.x) < spot.width / 2 and spot.y < point.y < spot.y + spot.height


def _formula(spots: Sequence[_BoxSpot], identity: bool, theme: Theme) -> list[Cluster]:
    """The labels of He et al. 2015, Figure 2: x, F(x), and their sum."""
    first = spots[0]
    merges = [spot for spot in spots if spot.stage.sign == "+"]
    x = Text(Point(first.x - first.width / 2 + 2, first.y + first.height / 2 + 3), "x", WORDS, theme.ink, "end")
    labels = [Cluster("label", members=[x], id=f"label-{first.stage.path}")]
    for spot in merges[-1:]:
        items: list[Item] = []
        before = spots[spots.index(spot) - 1]
        scaled = before.stage.title.startswith(TIMES)
        if len(spots) > 2:  # else the branch is empty, and x itself arrives here
            below = before if scaled else spot
            items.append(Text(Point(below.x - 5, below.y - 5), "F(x)", WORDS, theme.ink, "end"))
        factor = before.stage.title.removeprefix(TIMES).strip() + " " if scaled else ""
        words = f"{factor}F(x) + {'x' if identity else 'Wx'}"
        items.append(Text(Point(spot.x - RADIUS - 5, spot.y + RADIUS + 3), words, WORDS, theme.ink, "end"))
        labels.append(Cluster("label", members=items, id=f"label-{spot.stage.path}"))
    return labels


def _bypasses(staged: Staged, series: Series) -> list[tuple[int, int]]:
    return sorted(set(staged.edges) - links(series), key=lambda edge: edge[1] - edge[0])


def _series(series: Series, level: int) -> _BoxColumn:
    column = _BoxColumn()
    for piece in series.pieces:
        column.take(_piece(piece, level), 0, column.height + (GAP if column.spots else 0))
    return column


def _piece(piece: Piece, level: int) -> _BoxColumn:
    if isinstance(piece, Series):
        return _series(piece, level)
    if isinstance(piece, Parallel):
        return _parallel(piece, level + 1)
    width, height = 2 * RADIUS, 2 * RADIUS
    if not piece.sign:
        title, tail = _lines(piece)
        width, height = box_width(title, tail), 24.0 if tail else 17.0
    return _BoxColumn(width / 2, width / 2, height, [_BoxSpot(piece, width, height, level=level)])


def _parallel(parallel: Parallel, level: int) -> _BoxColumn:
    """Branches side by side; a residual block's body stays on the axis, its shortcut is to the right."""
    rows = [_series(row, level) for row in parallel.rows]
    column = _BoxColumn()
    tallest = max(row.height for row in rows)
    if parallel.main:
        main = max(range(len(rows)), key=lambda n: len(parallel.rows[n].pieces))
        order = [rows[main], *(row for n, row in enumerate(rows) if n != main)]
        x = -order[0].left
    else:
        order = rows
        x = -(sum(row.left + row.right for row in rows) + APART * (len(rows) - 1)) / 2
    for row in order:
        column.take(row, x + row.left, (tallest - row.height) / 2)
        x += row.left + row.right + APART
    column.right += APART if parallel.bypass else 0
    column.height = tallest + 8
    for spot in column.spots:
        spot.y += 4
    return column


def _lines(stage: Stage) -> tuple[str, str]:
    if stage.look == "input":
        return f" {TIMES} ".join(map(str, stage.shape)), ""
    return stage.title, " ".join(stage.words)


def _bar_words(stage: Stage) -> str:
    return " ".join((stage.title, *stage.words))


def _drawn(spot: _BoxSpot, theme: Theme, bar: Bar | None = None) -> Cluster:
    stage = spot.stage
    facts = {"shape": "x".join(map(str, stage.shape)), "stage": str(stage.number)}
    items: list[Item]
    if stage.sign:
        color = theme.colors["merge"]
        center = Point(spot.x, spot.y + RADIUS)
        items = [Circle(center, RADIUS, mix(color.fill, theme.background, 0.3), color.line, 0.9)]
        items += sign_items(stage.sign, center, 3.6, 1.0, theme)
        if stage.words:
            items.append(
                Text(Point(spot.x - RADIUS - 5, spot.y + RADIUS + 11), " ".join(stage.words), SMALL, theme.quiet, "end")
            )
    elif bar is not None:
        items = bar.drawn(Point(spot.x, spot.y + spot.height / 2), _bar_words(stage), theme)
    elif stage.look == "input":
        items = [Text(Point(spot.x, spot.y + spot.height / 2 + 3), _lines(stage)[0], WORDS, theme.ink)]
    else:
        items = label_box(spot.x, spot.y, spot.width, spot.height, stage.look, _lines(stage), theme)
    return Cluster("stage", stage.path, f"{stage.path}: {stage.title}", items, facts, id=f"stage-{stage.path}")


def _arrow(a: _BoxSpot, b: _BoxSpot, edge: tuple[int, int], line: str) -> Cluster:
    """An arrow straight down, or with an S in the gap where rows split or join."""
    start, end = Point(a.x, a.y + a.height), Point(b.x, b.y)
    items: list[Item]
    if abs(a.x - b.x) < 0.5:
        items = [Path((start, end), line, 0.9, head=True)]
    elif b.level >= a.level:
        bend = Point(b.x, min(start.y + GAP + 4, end.y - 5))
        middle = (start.y + bend.y) / 2
        items = [
            Path((start, Point(a.x, middle), Point(b.x, middle), bend), line, 0.9, curved=True),
            Path((bend, end), line, 0.9, head=True),
        ]
    else:
        bend = Point(a.x, max(end.y - GAP - 4, start.y))
        middle = (bend.y + end.y - 5) / 2
        items = [
            Path((start, bend), line, 0.9),
            Path((bend, Point(a.x, middle), Point(b.x, middle), Point(b.x, end.y - 5)), line, 0.9, curved=True),
            Path((Point(b.x, end.y - 5), end), line, 0.9, head=True),
        ]
    return _edge("edge", edge, (a, b), items)


def _edge(kind: str, edge: tuple[int, int], spots: tuple[_BoxSpot, _BoxSpot], items: list[Item]) -> Cluster:
    source, target = (f"stage-{spot.stage.path}" for spot in spots)
    facts = {"source": str(edge[0]), "target": str(edge[1])}
    return Cluster(kind, f"{edge[0]}-{edge[1]}", "", items, facts, id=arrow_id(source, target), ends=(source, target))


def _lane(spots: dict[int, _BoxSpot], edge: tuple[int, int], lanes: dict[tuple[int, int], float]) -> float:
    """The x of a bypass: to the right of the boxes beside it, and of the bypasses that run beside it."""
    past = [spot.x + spot.width / 2 for number, spot in spots.items() if edge[0] <= number <= edge[1]]
    past += [x for (source, target), x in lanes.items() if source < edge[1] and edge[0] < target]
    return max(past) + LANE


def _around(spots: dict[int, _BoxSpot], edge: tuple[int, int], x: float, named: bool, theme: Theme) -> Cluster:
    """A bypass at x, to the right of the boxes between."""
    a, b = spots[edge[0]], spots[edge[1]]
    out = a.y + a.height + 5
    side = Point(b.x + b.width / 2, b.y + b.height / 2)
    path = (Point(a.x, a.y + a.height), Point(a.x, out), Point(x, out), Point(x, side.y), side)
    items: list[Item] = [Path(path, theme.arrow, 0.9, head=True, round=9)]
    if named:
        items.append(Text(Point(x + 5, (out + side.y) / 2 + 3), "identity", SMALL, theme.quiet, "start"))
    return _edge("arc", edge, (a, b), items)


def _add_output(figure: Figure, graph: Graph, scope: Scope, last: _BoxSpot, theme: Theme) -> None:
    """Add the output shape below an arrow."""
    words = format_shape(graph.nodes[scope.end - 1].shape, times=f" {TIMES} ")
    below = last.y + last.height
    arrow = Path((Point(last.x, below), Point(last.x, below + GAP + 2)), theme.arrow, 0.9, head=True)
    shape = Text(Point(last.x, below + GAP + 10.3), words, WORDS, theme.ink)
    source, target = f"stage-{last.stage.path}", f"output-{scope.path}"
    figure.members += [
        Cluster("edge", members=[arrow], id=arrow_id(source, target), ends=(source, target)),
        Cluster("output", members=[shape], facts={"stage": str(last.stage.number + 1)}, id=target),
    ]
    figure.height += GAP + 12
    figure.width = max(figure.width, last.x + text_width(words, WORDS) / 2 + 4, last.x + 60)
