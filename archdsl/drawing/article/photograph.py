"""Nodes on a photograph: the part of it that each sees, and what each answers, in one scale.

A single map is about as large as the photograph, with larger pixels after a stride; a pixel of several maps is as
large as one of the photograph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle
from math import ceil
from string import ascii_lowercase
from typing import NamedTuple

from archdsl.axes import in_short
from archdsl.drawing.article.figure import MARGIN, SMALL, WORDS, Figure, framed, grid
from archdsl.drawing.metrics import text_width
from archdsl.drawing.panels import READ, rows_of
from archdsl.drawing.request import Photo, Request, Response
from archdsl.drawing.scene import PORTRAIT, Cluster, Dashes, Item, Path, Point, Polygon, Raster, Scene, Text, rectangle
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import Look, Theme
from archdsl.graph import Node
from archdsl.ops import Conv
from archdsl.report.words import TIMES
from archdsl.shapes import concrete

LARGE, SIDE = 210.0, 150.0
"""The longest side of the photograph, alone and beside responses."""
SMALLEST = 28.0
"""A map that would be smaller is enlarged."""
LINE, APART, BETWEEN = 10.0, 20.0, 4.0
"""Height of a line of text, and the space between tiles and between the maps of one."""
FACTORS = READ, 0.75, 0.87, 1.0
"""By how much paper scales down a row that is as wide as it may be."""
KEY = 18.0
"""Space for the line before a text."""
PATTERNS: tuple[Dashes, ...] = (), (5.0, 2.0), (1.2, 1.8), (7.0, 2.0, 1.5, 2.0)
WIDEST_FILTER, CELL = 7, 13.0
HUES: tuple[Look, ...] = ("conv", "fc", "merge", "pool", "block", "act")
INSET = 3.0
"""Distance between the rectangles of fields that are equal inside of the image."""
TINY = 6.0
"""A rectangle of fewer points has a thin line."""


class _Line(NamedTuple):
    text: str
    hue: str = ""
    """The colour of the line before it; empty: no line."""
    dashes: Dashes = ()


class _Tile(NamedTuple):
    """A picture with lines of text below; the first line is its name."""

    width: float
    height: float
    items: list[Item]
    lines: list[_Line]

    @property
    def room(self) -> float:
        """The width with the lines."""
        texts = (text_width(line.text, WORDS if n == 0 else SMALL) for n, line in enumerate(self.lines))
        return max(self.width, *(width + KEY * bool(line.hue) for width, line in zip(texts, self.lines, strict=True)))


def attempts(requests: Sequence[Request], request: Request) -> Iterator[Painter]:
    """Yield figures of all requests, which have the same photograph, with the options of `request`: on paper, with
    fewer and fewer pictures in a row."""
    options = request.options
    for factor in FACTORS:
        yield painter(requests, options.title, options.page_points / factor - 2 * MARGIN)


def painter(requests: Sequence[Request], title: str | None = None, room: float = PORTRAIT.width) -> Painter:
    """Return a function from the theme to the figure of all requests, whose rows have at most `room` points."""
    photos = [request.photo for request in requests if request.photo is not None]
    nodes = [request.graph.nodes[photo.node] for request, photo in zip(requests, photos, strict=True)]
    names = [request.view.focus or node.written_path for request, node in zip(requests, nodes, strict=True)]
    networks = dict.fromkeys(request.graph.name for request in requests)
    if len(networks) > 1:
        names = [request.graph.name for request in requests]

    def painted(theme: Theme) -> Scene:
        figure = _figure(photos, nodes, names, room, theme)
        scene = framed(" and ".join(networks), figure.kind, figure, theme, title)
        texts = (member.text for member in figure.members if isinstance(member, Text))
        scene.description = "; ".join(texts)
        return scene

    return painted


def _figure(photos: Sequence[Photo], nodes: Sequence[Node], names: Sequence[str], room: float, theme: Theme) -> Figure:
    answers = [(n, photo.response) for n, photo in enumerate(photos) if photo.response is not None]
    seen = photos[0].seen
    scale = (SIDE if answers else LARGE) / max(seen.columns, seen.rows)
    tiles = [_input(photos, names, scale, theme), *_filter([nodes[n] for n, _ in answers], theme)]
    for letter, (n, response) in zip(ascii_lowercase, answers, strict=False):
        label = f"({letter}) {names[n]}" if len(answers) > 1 else names[n]
        tiles.append(_maps(response, photos[n].sizes, [label, *_settings(nodes[n])], scale, theme))
    figure = Figure("responses to a photograph" if answers else "receptive fields on a photograph")
    _place(figure, tiles, room, theme)
    notes = ["A rectangle is the receptive field of the value in the middle of a map."]
    if answers:
        notes.append("Values beyond black and white are drawn as these.")
        notes.append("A pixel of a map is as large as one of the input, unless the map is enlarged.")
    silent = [
        name for name, photo in zip(names, photos, strict=True) if photo.response is None and len(photo.sizes) == 3
    ]
    if silent:
        notes.append(f"No response of {', '.join(silent)}: that of random weights means nothing. `--weights` draws it.")
    figure.notes = [*notes, *photos[0].notes]
    return figure


def _input(photos: Sequence[Photo], names: Sequence[str], scale: float, theme: Theme) -> _Tile:
    """The photograph, with the receptive field of each node, the largest first."""
    seen = photos[0].seen
    items: list[Item] = [Raster(Point(0, 0), seen.columns * scale, seen.rows * scale, seen)]
    lines = [_Line(photos[0].name), _Line(f" {TIMES} ".join(map(str, (seen.channels, seen.rows, seen.columns))))]
    fields: dict[tuple[tuple[int, int], ...], list[str]] = {}
    for photo, name in zip(photos, names, strict=True):
        fields.setdefault(photo.field or (), []).append(name)
    clipped: Counter[tuple[tuple[int, int], ...]] = Counter()
    sides = (seen.rows, seen.columns)
    for (field, those), look, pattern in zip(fields.items(), cycle(HUES), cycle(PATTERNS), strict=False):
        hue = theme.colors[look].line
        part = tuple(
            (max(a, 0), min(b, most))
            for (a, b), most in zip(field or ((0, seen.rows), (0, seen.columns)), sides, strict=True)
        )
        (top, bottom), (left, right) = (
            (a * scale + INSET * clipped[part], b * scale - INSET * clipped[part]) for a, b in part
        )
        clipped[part] += 1
        corners, thin = rectangle(left, top, right - left, bottom - top), bottom - top < TINY
        items += [] if thin else [Polygon(corners, "", theme.background, 2.4)]
        dashes = pattern if theme.patterns else ()  # in print all hues are black
        items.append(Polygon(corners, "", hue, 0.6 if thin else 1.2, dashes=dashes))
        size = f" {TIMES} ".join(str(b - a) for a, b in field) + " pixels" if field else "the whole image"
        lines.append(_Line(f"{', '.join(those)} see{'s' * (len(those) == 1)} {size}", hue, dashes))
    return _Tile(seen.columns * scale, seen.rows * scale, items, lines)


def _filter(nodes: Sequence[Node], theme: Theme) -> list[_Tile]:
    """The filter, if all responses are those of the same one, which the spec contains."""
    filters = {_weights(node) for node in nodes}
    if len(filters) != 1 or (weights := filters.pop()) is None:
        return []
    rows, columns = weights[0], len(weights[1]) // weights[0]

    def text(row: int, column: int) -> str:
        return f"{weights[1][row * columns + column]:g}".replace("-", "\u2212")

    fill = theme.colors["conv"].fill
    items = grid(0, 0, rows, columns, CELL, theme, "conv", text, lambda row, column: fill)
    return [
        _Tile(columns * CELL, rows * CELL, items, [_Line(f"{rows}{TIMES}{columns} filter"), _Line("of every channel")])
    ]


def _weights(node: Node) -> tuple[int, tuple[float, ...]] | None:
    """The rows and the weights of the only filter of a convolution, which is the same for each channel."""
    op = node.op
    if not isinstance(op, Conv) or op.weight is None or op.out > 1 or max(op.kernel) > WIDEST_FILTER:
        return None
    size = op.kernel[0] * op.kernel[1]
    every = op.fixed_weight(concrete(node.in_shapes[0])[0])
    own = {every[n : n + size] for n in range(0, len(every), size)}
    return (op.kernel[0], every[:size]) if len(own) == 1 else None


def _settings(node: Node) -> list[str]:
    return [f"stride {in_short(node.op.stride, TIMES)}"] if isinstance(node.op, Conv) else []


def _maps(response: Response, sizes: Sequence[int], lines: list[str], scale: float, theme: Theme) -> _Tile:
    """The maps in rows, one scale for all; a single map and maps that would be too small are enlarged, which a line
    says."""
    rows, columns = sizes[1:]
    longest = scale * max(rows, columns)
    factor = max(1, ceil(SMALLEST / longest) if response.maps[1:] else round(SIDE / longest))
    width, height = columns * scale * factor, rows * scale * factor
    across, down = (max(1, int((SIDE + 2 * BETWEEN) / (extent + BETWEEN))) for extent in (width, height))
    maps = response.maps[: across * down]
    across, down = min(across, len(maps)), ceil(len(maps) / across)
    items: list[Item] = []
    for n, bitmap in enumerate(maps):
        x, y = n % across * (width + BETWEEN), n // across * (height + BETWEEN)
        items.append(Raster(Point(x, y), width, height, bitmap))
        items.append(Polygon(rectangle(x, y, width, height), "", theme.quiet, 0.5))
    shape = f" {TIMES} ".join(map(str, sizes)) + (f", enlarged {factor} times" if factor > 1 else "")
    some = [f"map{f's 1 to {len(maps)}' if maps[1:] else ' 1'} of {sizes[0]}"] if sizes[0] > len(maps) else []
    span = f"black {response.black:g}, white {response.white:g}".replace("-", "\u2212")
    extremes = f"values from {response.least:.3g} to {response.most:.3g}".replace("-", "\u2212")
    lines = [*lines[:1], ", ".join((*lines[1:], shape)), *some, span, extremes]
    return _Tile(
        across * (width + BETWEEN) - BETWEEN, down * (height + BETWEEN) - BETWEEN, items, list(map(_Line, lines))
    )


def _place(figure: Figure, tiles: Sequence[_Tile], room: float, theme: Theme) -> None:
    """Put the tiles in rows, the lines of a row at one height."""
    rows = list(rows_of([tile.room for tile in tiles], room, APART))
    figure.width = max(sum(tiles[n].room for n in row) + APART * (len(row) - 1) for row in rows)
    for row in rows:
        x = (figure.width - sum(tiles[n].room for n in row) - APART * (len(row) - 1)) / 2
        high = max(tiles[n].height for n in row)
        for tile in (tiles[n] for n in row):
            middle = x + tile.room / 2
            shift = Point(middle - tile.width / 2, figure.height + (high - tile.height) / 2)
            figure.members.append(Cluster("tile", tile.lines[0].text, "", tile.items, {}, shift))
            for n, line in enumerate(tile.lines):
                y, size = figure.height + high + 12 + LINE * n, WORDS if n == 0 else SMALL
                start = middle - (text_width(line.text, size) + KEY * bool(line.hue)) / 2
                color = theme.quiet if n and not line.hue else theme.ink
                if line.hue:
                    key = Point(start, y - 2.5), Point(start + KEY - 4, y - 2.5)
                    figure.members.append(Path(key, line.hue, 1.4, line.dashes))
                figure.members.append(Text(Point(start + KEY * bool(line.hue), y), line.text, size, color, "start"))
            x += tile.room + APART
        figure.height += high + 12 + LINE * max(len(tiles[n].lines) for n in row) + 4
