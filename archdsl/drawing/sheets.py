"""The style `sheets`: feature maps as stacked sheets, as LeCun et al. 1998 drew LeNet-5 (figure 2).

A network, or a part of one, that is a chain of layers and blocks. A window on a map is drawn in the scale of that map,
with lines to the value that it gives. A signal's maps are lines, a volume's are cubes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from math import sqrt

from archdsl.axes import axes_of, sizes_words
from archdsl.diagnostics import error
from archdsl.drawing.article.figure import MARGIN, SMALL, WORDS, Figure, framed
from archdsl.drawing.heat import mix
from archdsl.drawing.metrics import text_width
from archdsl.drawing.model.drawing import View
from archdsl.drawing.model.focus import focus_on
from archdsl.drawing.model.heading import facts, heading
from archdsl.drawing.model.words import describe
from archdsl.drawing.panels import READ, rows_of
from archdsl.drawing.request import Request
from archdsl.drawing.scene import (
    Cluster,
    Item,
    Path,
    Point,
    Polygon,
    Scene,
    Text,
    arrow_id,
    rectangle,
    shorten,
)
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import Theme
from archdsl.drawing.volumes import staged_for
from archdsl.drawing.volumes.paint import box
from archdsl.drawing.volumes.spots import DEPTH_X, DEPTH_Y, is_vector
from archdsl.drawing.volumes.stages import Stage
from archdsl.graph import Graph
from archdsl.report.words import TIMES

SIDE, LONGEST, THIN = 80.0, 88.0, 6.0
"""The side of the largest map, the length of the longest vector, and the width of a vector and of a signal's map."""
MOST, MOST_CUBES, STEP = 12, 3, 3.2
"""The most sheets and cubes of a stack, and the distance between two."""
GAP, BETWEEN, LINE = 14.0, 26.0, 10.0
"""The least space between two stacks, between two rows, and the height of a line of text."""
LEFT, PLACE = 12.0, 0.6
"""Space beside the rows, and the place of a window on its map."""
SIZES = WORDS, SMALL
FACTORS = READ, 0.87, 1.0
"""By how much paper scales down a row that is as wide as it may be."""
SHARES = 1.0, 0.7, 0.5, 0.35
"""The sizes of maps and vectors: smaller ones for a picture that is too high."""
LETTERS = 24


@dataclass(slots=True)
class _Stack:
    """The maps of a stage: the size of one, the lines above and below, and the place of the middle of the stack."""

    stage: Stage
    window: tuple[int, ...]
    count: int
    wide: float
    high: float
    deep: float
    above: list[str]
    below: list[str]
    x: float = 0.0
    y: float = 0.0

    @property
    def id(self) -> str:
        return f"stack-{self.stage.path}"

    @property
    def width(self) -> float:
        return self.wide + self.deep * DEPTH_X + STEP * (self.count - 1)

    @property
    def height(self) -> float:
        return self.high + self.deep * DEPTH_Y + STEP * (self.count - 1)

    @property
    def room(self) -> float:
        """The width with its texts."""
        return max(self.width, *map(text_width, self.above, SIZES))

    @property
    def front(self) -> Point:
        """The top left corner of the sheet in front, the one at the lower right."""
        last = STEP * (self.count - 1)
        return Point(self.x - self.width / 2 + last, self.y - self.height / 2 + last + self.deep * DEPTH_Y)


def attempts(request: Request) -> Iterator[Painter]:
    """Yield drawings with fewer and fewer stacks in a row, then with smaller maps. Raises E0713 for an unknown
    focus, E0717 if the stages are no chain; both of status 2."""
    graph, view, options = request.graph, request.view, request.options
    collapsed = View("layer" if view.level == "layer" else "network", view.focus, view.expand)
    staged = staged_for(graph, collapsed)
    stages = list(staged.root.stages())
    if set(staged.edges) - {(a.number, b.number) for a, b in pairwise(stages)} or len(stages) < 2:
        raise error(
            "E0717",
            f"`{view.focus or graph.name}` has branches, and no figure in the style `sheets`",
            status=2,
            help=f"the style draws a chain: {_less(view)}, or use the style `volumes`",
        )
    focus = focus_on(graph, view)
    described, head, counts = describe(graph, focus), heading(graph, focus), ", ".join(facts(graph, focus))

    def painted(theme: Theme, room: float, share: float) -> Scene:
        figure = Figure("feature maps as sheets")
        stacks = _stacks(graph, stages, options.true_scale, share)
        _place(figure, stacks, room, theme)
        figure.notes = [" ".join(_signs(stacks, options.true_scale))]
        scene = framed(head, counts, figure, theme, options.title)
        scene.title = options.title or head  # a description adds the facts
        return described(scene)

    for share, factor in product(SHARES, FACTORS):
        yield partial(painted, room=options.page_points / factor - 2 * MARGIN, share=share)


def _less(view: View) -> str:
    """The options that leave a part without branches."""
    chosen = {"`--level layer`": view.level == "layer", "`--expand`": bool(view.expand)}
    leave = " and ".join(option for option, is_set in chosen.items() if is_set)
    return ", ".join(
        filter(None, (f"leave out {leave}" * bool(leave), f"set {'another ' * bool(view.focus)}`--focus`"))
    )


def _signs(stacks: Sequence[_Stack], true_scale: bool) -> Iterator[str]:
    """What the signs of a picture mean; only of those that it has."""
    yield f"Sizes {'in proportion' if true_scale else 'on a square-root scale'}."
    for most, noun, deep in ((MOST, "maps", False), (MOST_CUBES, "volumes", True)):
        if any(stack.count == most < stack.stage.shape[0] and (stack.deep > 0) == deep for stack in stacks):
            yield f"At most {most} {noun} are drawn."
    if any(a.y == b.y and _has_window(a, b) for a, b in pairwise(stacks)):
        yield "A small rectangle is a window, with lines to its value."


def _stacks(graph: Graph, stages: Sequence[Stage], true_scale: bool, share: float) -> list[_Stack]:
    """The stacks, on one scale for maps and one for vectors, with this share of their largest size."""

    def scaled(size: int) -> float:
        return size if true_scale else sqrt(size)

    largest = scaled(max((size for stage in stages for size in stage.shape[1:]), default=1))
    longest = scaled(max((stage.shape[0] for stage in stages if is_vector(stage.shape)), default=1))
    side, unit = share * SIDE / largest, share * LONGEST / max(longest, scaled(64))
    return [_stack(graph, stage, scaled, side, unit) for stage in stages]


def _stack(graph: Graph, stage: Stage, scaled: Callable[[int], float], side: float, unit: float) -> _Stack:
    path = stage.last or stage.path
    last = path.rpartition(".")[2]
    name = shorten(last if last[:1].isalpha() else path, LETTERS)
    below = [shorten(word, LETTERS) for word in _op(stage)] if stage.look != "input" else []
    if is_vector(stage.shape):
        return _Stack(stage, (), 1, THIN, unit * scaled(stage.shape[0]), 0.0, [name, str(stage.shape[0])], below)
    *deep, high, wide = [max(side * scaled(size), 1.0) for size in stage.shape[1:]] + [THIN] * (len(stage.shape) < 3)
    above = [name, f"{stage.shape[0]} @ {sizes_words(stage.shape, TIMES)}"]
    count = min(stage.shape[0], MOST_CUBES if deep else MOST)
    return _Stack(stage, _window(graph, stage), count, wide, high, sum(deep), above, below)


def _op(stage: Stage) -> list[str]:
    """The op between two stacks: its name, and its window with what follows it."""
    if stage.look == "block":
        return [stage.title, f"{stage.copies} {TIMES}" if stage.copies > 1 else ""]
    words = stage.title.partition(",")[0].split(" ")
    name = " ".join(words[1:] if words[0][:1].isdigit() else words)
    name = {"conv": "convolution", "fc": "full connection"}.get(name.partition(" ")[0], name)
    copies = f"{stage.copies} {TIMES} " if stage.copies > 1 else ""
    return [name, f"{copies}{' '.join((stage.kernel, *stage.words))}".strip()]


def _window(graph: Graph, stage: Stage) -> tuple[int, ...]:
    """The window of a layer; none for a block, and for what reads all of a map."""
    if stage.look == "block":
        return ()
    own = (
        node
        for node in graph.nodes
        if node.path == stage.path or node.path.startswith((f"{stage.path}.", f"{stage.path}/"))
    )
    kernels = (getattr(node.op, "kernel", None) for node in own)
    return next((k for k in kernels if isinstance(k, tuple) and axes_of(stage.shape) == len(k)), ())


def _place(figure: Figure, stacks: Sequence[_Stack], room: float, theme: Theme) -> None:
    """Put the stacks in rows, each with its texts, and add what joins them."""
    steps = [stacks[0].room, *(_apart(a, b) for a, b in pairwise(stacks))]
    rows = _balanced(steps, room - stacks[0].room)
    y = 0.0
    for row in rows:
        x, half = LEFT, max(stacks[n].height for n in row) / 2
        turn, bottom = y - BETWEEN / 2, y + 2 * LINE + 6 + 2 * half
        for n in row:
            x += steps[n] if n > row[0] else stacks[n].room / 2 + (_between(stacks[n]) if n else 0.0)
            stacks[n].x, stacks[n].y = x, bottom - half
            middle = (stacks[n - 1].x + x) / 2 if n > row[0] else x - stacks[n].room / 2 - _between(stacks[n]) / 2
            texts = list(_texts(stacks[n], Point(middle, bottom), theme))
            figure.members.append(Cluster("label", members=texts, id=f"label-{stacks[n].stage.path}"))
        figure.width = max(figure.width, x + stacks[row[-1]].room / 2 + LEFT)
        if row[0]:
            figure.members.append(_turn(stacks[row[0] - 1], stacks[row[0]], turn, theme))
        figure.height = bottom + 2 * LINE + 6
        y = figure.height + BETWEEN
    for number, stack in enumerate(stacks):
        figure.members.append(_drawn(stack, theme))
        if number and stack.y == stacks[number - 1].y:
            figure.members.append(_joined(stacks[number - 1], stack, theme))


def _balanced(steps: Sequence[float], room: float) -> list[list[int]]:
    """As few rows as the room allows, all about as long."""
    rows = list(rows_of(steps, room, 0))
    while 1 < len(rows) < len(steps) and len(closer := list(rows_of(steps, room * 0.97, 0))) == len(rows):
        rows, room = closer, room * 0.97
    return rows


def _turn(a: _Stack, b: _Stack, y: float, theme: Theme) -> Cluster:
    """The way from the end of a row to the start of the next, at y between them."""
    right = a.x + max(a.width, a.room) / 2 + 6
    start, last = Point(a.x + a.width / 2 + 4, a.y), Point(b.x - b.width / 2 - 3, b.y)
    corners = Point(right, a.y), Point(right, y), Point(2, y), Point(2, b.y)
    return _edge(a, b, Path((start, *corners, last), theme.arrow, 0.7, head=True, round=4))


def _edge(a: _Stack, b: _Stack, path: Path) -> Cluster:
    """An arrow from a stack to the next."""
    ends = a.id, b.id
    return Cluster("edge", members=[path], id=arrow_id(*ends), ends=ends)


def _between(stack: _Stack) -> float:
    """The width of the texts of the op before a stack."""
    return max(map(text_width, stack.below, SIZES), default=0.0) + 8


def _apart(a: _Stack, b: _Stack) -> float:
    """The distance between the middles of two stacks: space for both, and for the texts above and between them."""
    above = sum(max(map(text_width, stack.above, SIZES)) for stack in (a, b)) / 2 + 8
    return max((a.width + b.width) / 2 + GAP, above, _between(b))


def _texts(stack: _Stack, between: Point, theme: Theme) -> Iterator[Text]:
    top = stack.y - stack.height / 2
    for n, (line, color) in enumerate(zip(stack.above, (theme.ink, theme.quiet), strict=True)):
        yield Text(Point(stack.x, top - 5 - LINE * (1 - n)), line, SIZES[n], color)
    for n, (line, color) in enumerate(zip(stack.below, (theme.ink, theme.quiet), strict=False)):
        if line:
            yield Text(Point(between.x, between.y + LINE * (n + 1)), line, SIZES[n], color)


def _drawn(stack: _Stack, theme: Theme) -> Cluster:
    """The sheets from the back to the front."""
    stage, color = stack.stage, theme.colors[stack.stage.look]
    items: list[Item] = []
    for n in reversed(range(stack.count)):
        x, y = stack.front.x - STEP * n, stack.front.y - STEP * n
        if stack.deep:
            shift = stack.deep * DEPTH_X / 2, stack.deep * DEPTH_Y / 2
            items += box(
                x + shift[0], y + stack.high / 2 - shift[1], stack.wide, stack.high, stack.deep, theme, stage.look
            )
        else:
            items.append(Polygon(rectangle(x, y, stack.wide, stack.high), color.fill, color.line, 0.6))
    facts = {"shape": "x".join(map(str, stage.shape)), "sheets": str(stack.count)}
    return Cluster("stack", stage.path, f"{stage.path}: {stage.title}", items, facts, id=stack.id)


def _has_window(a: _Stack, b: _Stack) -> bool:
    """Whether a window on a map leads to its value."""
    return bool(b.window) and not is_vector(a.stage.shape)


def _joined(a: _Stack, b: _Stack, theme: Theme) -> Cluster:
    """A window on the map in front and lines to its value; all of a map or vector and lines to all of a vector; or an
    arrow."""
    if is_vector(b.stage.shape) and b.stage.look != "block" and not b.window:
        right = a.front.x + a.wide
        fan = [
            Path(
                (Point(right, a.front.y + down * a.high), Point(b.front.x, b.front.y + down * b.high)), theme.arrow, 0.5
            )
            for down in (0, 1)
        ]
        return Cluster("window", members=fan, id=f"window-{b.stage.path}")
    if _has_window(a, b):
        return Cluster("window", members=list(_windowed(a, b, theme)), id=f"window-{b.stage.path}")
    ends = Point(a.x + a.width / 2 + 4, a.y), Point(b.x - b.width / 2 - 3, b.y)
    return _edge(a, b, Path(ends, theme.arrow, 0.7, head=True))


def _windowed(a: _Stack, b: _Stack, theme: Theme) -> Iterator[Item]:
    """A window on the map in front, its value, and lines between."""
    shares = [min(1.0, k / size) for k, size in zip(b.window, a.stage.shape[1:], strict=True)]
    high, wide = a.high * shares[-min(2, len(shares))], a.wide * (shares[-1] if len(shares) > 1 else 1)
    x, y = a.front.x + (a.wide - wide) * PLACE, a.front.y + (a.high - high) * PLACE
    dot = max(1.2, b.high / max(b.stage.shape[1:]))
    at = Point(b.front.x + (b.wide - dot) * PLACE, b.front.y + (b.high - dot) * PLACE)
    line = mix(theme.arrow, theme.background, 0.2)
    yield Polygon(rectangle(x, y, wide, high), theme.background, line, 0.7)
    yield Polygon(rectangle(at.x, at.y, dot, dot), line)
    for down in (0, 1):
        yield Path((Point(x + wide, y + down * high), Point(at.x, at.y + down * dot)), line, 0.5)
