"""A figure of several pictures: side by side, each with a letter below, and one caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from string import ascii_lowercase

from archdsl.drawing.metrics import text_width, wrapped
from archdsl.drawing.model.words import LONGEST_ALT, alt
from archdsl.drawing.request import Options
from archdsl.drawing.scene import PORTRAIT, Cluster, Element, Point, Scene, Text, prefixed, shorten
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import Theme

MOST = len(ascii_lowercase)
"""The largest number of pictures: each has a letter."""
GAP, MARGIN = 14.0, 12.0
LABEL, CAPTION = 9.5, 8.5
BELOW = 20.0
"""Height of a label."""
READ = 0.66
"""The smallest factor by which paper may scale a row of pictures down; a row that is wider is broken."""


def side_by_side(painters: Sequence[Painter], options: Options) -> Painter:
    """Return a painter of one picture: all of them in rows, with labels (a), (b) and a caption.

    The caption is the requested title, or by default what each picture shows; an empty title removes it, and the names
    in the labels.
    """
    return lambda theme: _figure([paint(theme) for paint in painters], options, theme)


def _least_factor(panels: Sequence[Scene], options: Options) -> float:
    """The smallest factor at which the text of the pictures has the requested size on paper."""
    if options.target is None:
        return READ
    sizes = (item.size for panel in panels for item in panel.items() if isinstance(item, Text))
    return min(1.0, options.target.least / min(sizes, default=CAPTION))


def _figure(panels: Sequence[Scene], options: Options, theme: Theme) -> Scene:
    named = options.title != ""
    letters = [f"({letter})" for letter in ascii_lowercase]
    networks = dict.fromkeys(panel.label[0] for panel in panels)
    one = len(networks) == 1  # a picture of one of its parts has the kind and the path of that in the second line
    names = [panel.label[1].partition(": ")[2] or panel.label[1] if one else panel.label[0] for panel in panels]
    names = [shorten(name, 44) if named else "" for name in names]
    labels = [f"{letter} {name}".rstrip() for letter, name in zip(letters, names, strict=False)]
    slots = [max(panel.width, text_width(label, LABEL, bold=True)) for panel, label in zip(panels, labels, strict=True)]
    rows = list(rows_of(slots, options.page_points / _least_factor(panels, options) - 2 * MARGIN))
    width = max(sum(slots[n] for n in row) + GAP * (len(row) - 1) for row in rows) + 2 * MARGIN
    members: list[Element] = []
    y = 0.0
    for row in rows:
        high = max(panels[n].height for n in row)
        x = (width - sum(slots[n] for n in row) - GAP * (len(row) - 1)) / 2
        for n in row:
            panel, middle = panels[n], x + slots[n] / 2
            shift = Point(middle - panel.width / 2, y + (high - panel.height) / 2)
            inner = [prefixed(member, f"{letters[n][1]}-") for member in panel.members]
            members.append(Cluster("panel", panel.label[0], panel.title, inner, {"panel": letters[n]}, shift))
            members.append(Text(Point(middle, y + high + LABEL), labels[n], LABEL, theme.ink, bold=True))
            x += slots[n] + GAP
        y += high + BELOW
    lines = [panel.label[1] if one else ": ".join(filter(None, panel.label)) for panel in panels]
    described = "; ".join(f"{letter} {line}" for letter, line in zip(letters, lines, strict=False))
    described = f"{next(iter(networks))}: {described}" if one else described
    for line in wrapped(described if options.title is None else options.title, width - 2 * MARGIN, CAPTION):
        y += CAPTION + 3
        members.append(Text(Point(MARGIN, y), line, CAPTION, theme.ink, "start"))
    return replace(
        panels[0],
        title=described,
        description=" ".join(f"{a} {panel.description}" for a, panel in zip(letters, panels, strict=False)),
        shows="; ".join(f"{a} {panel.shows}" for a, panel in zip(letters, panels, strict=False)),
        signs=tuple(_signs(panels)),
        alt=_alt(panels),
        width=width,
        height=y + MARGIN,
        members=members,
        paper=None if any(panel.paper is None for panel in panels) else PORTRAIT,
        key=repr([panel.key for panel in panels]),
        note="; ".join(dict.fromkeys(panel.note for panel in panels if panel.note)),
    )


def _signs(panels: Sequence[Scene]) -> Iterator[str]:
    """How the pictures are drawn: each sentence once, with the letters of its pictures if they are not all."""
    for sign in dict.fromkeys(sign for panel in panels for sign in panel.signs):
        drawn = [f"({letter})" for letter, panel in zip(ascii_lowercase, panels, strict=False) if sign in panel.signs]
        yield sign if len(drawn) == len(panels) else f"{', '.join(drawn)}: {sign}"


def _alt(panels: Sequence[Scene]) -> str:
    """The alternative text of a figure, in which each picture has the same number of characters."""
    room = LONGEST_ALT // len(panels) - len("(a) ; ")
    texts = (alt(panel.label[0], panel.description, max(room, 1)) for panel in panels)
    text = "; ".join(f"({letter}) {text}" for letter, text in zip(ascii_lowercase, texts, strict=False))
    return shorten(text, LONGEST_ALT)


def rows_of(widths: Sequence[float], room: float, gap: float = GAP) -> Iterator[list[int]]:
    """Yield the numbers of the pictures in each row, which is as long as the room allows."""
    row: list[int] = []
    for number, width in enumerate(widths):
        if row and sum(widths[n] for n in row) + width + gap * len(row) > room:
            yield row
            row = []
        row.append(number)
    yield row
