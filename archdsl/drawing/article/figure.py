"""Shared parts of the article figures: the figure as data, boxes with text, grids of cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from archdsl.drawing.heat import mix
from archdsl.drawing.metrics import text_width, wrapped
from archdsl.drawing.scene import Cluster, Item, Point, Polygon, Scene, Text, moved, rectangle, shorten
from archdsl.drawing.theme import Look, Theme

WORDS, SMALL = 8.5, 7.0
MARGIN = 14.0
NOTE, NARROWEST = 7.5, 170.0
"""The size of notes, and the least width at which they are broken."""


@dataclass(slots=True)
class Figure:
    """A figure with its origin at the top left, its kind for the title, and notes for below it."""

    kind: str
    members: list[Cluster | Item] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    notes: list[str] = field(default_factory=list)
    about: str = ""
    """What the figure shows if not the part that was asked for: the chain around a fully connected layer."""


def framed(name: str, line: str, figure: Figure, theme: Theme, title: str | None) -> Scene:
    """Return the figure with the name or `title` (empty: none) and a line about it above, beside the name
    if there is space, and its notes below."""
    head = shorten(name if title is None else title, 48)
    beside = MARGIN + text_width(head, 13, bold=True) + 10
    notes = [line for note in figure.notes for line in wrapped(note, max(figure.width, NARROWEST), NOTE)]
    room = max(figure.width, *(text_width(note, NOTE) for note in notes), 0)
    under = beside + text_width(line, 8.5) - MARGIN > room
    wide = max(text_width(head, 13, bold=True), text_width(line, 8.5)) if under else 0.0
    width = max(room, wide if head else 0.0) + 2 * MARGIN
    top = (50.0 if under else 38.0) if head else MARGIN
    called = f"{head}: {line}" if head else line
    scene = Scene(called, "", width, top, theme.background, signs=tuple(note.rstrip(".") for note in figure.notes))
    scene.label = (name, line)
    if head:
        scene.members.append(Text(Point(MARGIN, 21), head, 13, theme.ink, "start", bold=True))
        at = Point(MARGIN, 34) if under else Point(beside, 21)
        scene.members.append(Text(at, line, 8.5, theme.quiet, "start"))
    left = (width - figure.width) / 2
    scene.members += [moved(member, left, top) for member in figure.members]
    scene.height = top + figure.height + 6
    for note in notes:
        scene.height += 11
        scene.members.append(Text(Point(MARGIN, scene.height), note, NOTE, theme.quiet, "start"))
    scene.height += MARGIN
    return scene


def label_box(
    x: float, y: float, width: float, height: float, look: Look, lines: tuple[str, str], theme: Theme
) -> list[Item]:
    """Return a rounded box centred at x with its top at y, with a line of text and a smaller one."""
    color = theme.colors[look]
    items: list[Item] = [Polygon(rectangle(x - width / 2, y, width, height), color.fill, color.line, 0.8, round=4)]
    title, tail = lines
    middle = y + height / 2
    if tail:
        items.append(Text(Point(x, middle - 1), title, WORDS, theme.ink))
        items.append(Text(Point(x, middle + 8), tail, SMALL, theme.quiet))
    else:
        items.append(Text(Point(x, middle + 3), title, WORDS, theme.ink))
    return items


def box_width(title: str, tail: str) -> float:
    return max(text_width(title, WORDS), text_width(tail, SMALL)) + 14


def grid(
    x: float,
    y: float,
    rows: int,
    columns: int,
    cell: float,
    theme: Theme,
    look: Look,
    text: Callable[[int, int], str] = lambda row, column: "",
    fill: Callable[[int, int], str] = lambda row, column: "",
) -> list[Item]:
    """Return a grid of cells with the texts and fill colours of two functions (empty colour: the background)."""
    line = theme.colors[look].line
    items: list[Item] = []
    for row in range(rows):
        for column in range(columns):
            color = fill(row, column) or theme.background
            items.append(
                Polygon(rectangle(x + column * cell, y + row * cell, cell, cell), color, mix(line, color, 0.35), 0.5)
            )
            words = text(row, column)
            if words:
                size = min(SMALL, cell * 0.62, cell * 0.9 / max(text_width(words, 1), 0.01))
                at = Point(x + (column + 0.5) * cell, y + (row + 0.5) * cell + size * 0.35)
                items.append(Text(at, words, size, theme.ink))
    items.append(Polygon(rectangle(x, y, columns * cell, rows * cell), "", line, 1.0))
    return items


def sheets(x: float, y: float, width: float, height: float, count: int, theme: Theme, look: Look) -> list[Item]:
    """Return at most two sheets behind a grid, for further channels."""
    color = theme.colors[look]
    behind = min(count, 3) - 1
    fill = mix(color.fill, theme.background, 0.4)
    return [
        Polygon(rectangle(x + 5 * n, y - 5 * n, width, height), fill, color.line, 0.6) for n in range(behind, 0, -1)
    ]
