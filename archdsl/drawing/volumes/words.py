"""The texts above and below the volumes: the heading, the legend and the scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from archdsl.drawing.heat import HeatScale, mix
from archdsl.drawing.metrics import text_width, wrapped
from archdsl.drawing.model.drawing import NOTHING, Cost
from archdsl.drawing.scene import Point, Polygon, Scene, Text, rectangle, shorten
from archdsl.drawing.theme import Look, Theme
from archdsl.drawing.volumes.paint import box, volume
from archdsl.drawing.volumes.spots import LABEL, SMALL, Spot, scale_words
from archdsl.drawing.volumes.stages import Stage, Staged, StageGroup
from archdsl.report.words import TIMES

MARGIN = 16.0
LEAST = 330.0
"""The smallest width of a picture, which its legend needs."""
HEAD, FACTS = 13.0, 8.5
_SWATCH = 18.0
WORDS: Mapping[Look, str] = {
    "input": "input",
    "conv": "convolution",
    "block": "block",
    "norm": "normalisation",
    "act": "activation",
    "pool": "pooling",
    "fc": "fully connected",
    "merge": "concatenation",
    "other": "other",
}
"""The legend's text for each category, in order."""
_SIGNS = {
    "+": "sum",
    "\u2212": "difference",
    "\u00d7": "product",
    "\u00f7": "quotient",
    "max": "maximum",
    "min": "minimum",
}


class Heading(NamedTuple):
    """The title of a picture (empty: no heading) and the facts beside or below it."""

    title: str
    facts: tuple[str, ...]


def head_lines(heading: Heading, room: float | None, width: float) -> list[Text]:
    """Return the title, and the facts beside or below it in a picture of a width; broken to fit `room`."""
    if not heading.title:
        return []
    title, facts = shorten(heading.title, 70), "  \u00b7  ".join(heading.facts)
    most = inf if room is None else room - 2 * MARGIN
    lines = [Text(Point(MARGIN, 22), line, HEAD, "", "start", bold=True) for line in wrapped(title, most, HEAD, True)]
    for n, line in enumerate(lines):
        lines[n] = replace(line, at=Point(MARGIN, 22 + 15 * n))
    beside, last = MARGIN + text_width(title, HEAD, bold=True) + 12, lines[-1].at.y
    if len(lines) == 1 and beside + text_width(facts, FACTS) <= width - MARGIN:
        return [*lines, Text(Point(beside, last), facts, FACTS, "", "start")]
    rows = wrapped(facts, most, FACTS, mark="  \u00b7  ")
    return lines + [Text(Point(MARGIN, last + 12 + 11 * n), row, FACTS, "", "start") for n, row in enumerate(rows)]


def head_height(lines: Sequence[Text]) -> float:
    """Return the height of the heading."""
    return lines[-1].at.y + 12 if lines else MARGIN


def add_head(scene: Scene, lines: Sequence[Text], theme: Theme) -> None:
    """Add the lines of the heading; a narrow picture becomes wider."""
    for line in lines:
        scene.members.append(replace(line, color=theme.ink if line.bold else theme.quiet))
        scene.width = max(scene.width, line.at.x + text_width(line.text, line.size, line.bold) + MARGIN)


def add_foot(scene: Scene, staged: Staged, heat: HeatScale | None, theme: Theme) -> None:
    """Add the legend and the scale; the picture becomes higher."""
    scene.height += 14
    if heat is None:
        _legend(scene, staged, theme)
    else:
        _heat(scene, heat, theme)
    for line in wrapped(" ".join(f"{sign}." for sign in scene.signs), scene.width - 2 * MARGIN, SMALL):
        scene.height += SMALL + 3
        scene.members.append(Text(Point(MARGIN, scene.height), line, SMALL, theme.quiet, "start"))
    scene.height += MARGIN - 4


def signs(staged: Staged) -> Iterator[str]:
    """Yield what the picture and its caption say about how it is drawn."""
    yield scale_words(staged.root.stages())
    runs = (isinstance(member, StageGroup) and member.copies > 1 for member in staged.root.members)
    if any(runs) or any(stage.look == "block" and stage.copies > 1 for stage in staged.root.stages()):
        yield f"{TIMES}N: N equal blocks, one behind the other"
    if staged.aux:
        yield f"Not drawn: {shorten(', '.join(staged.aux), 80)} (training only)"


def _legend(scene: Scene, staged: Staged, theme: Theme) -> None:
    """Add a small box for each category in the picture, and the circles."""
    stages = list(staged.root.stages())
    used = {s.look for s in stages if not s.sign} | {look for s in stages for look in s.bands}
    others = ", ".join(dict.fromkeys(s.title.partition(" ")[0] for s in stages if s.look == "other"))
    entries: list[tuple[Look | str, str]] = [
        (k, shorten(others, 40) if k == "other" else v) for k, v in WORDS.items() if k in used
    ]
    entries += [(sign, _SIGNS[sign]) for sign in dict.fromkeys(s.sign for s in stages if s.sign)]
    x, y = MARGIN, scene.height + 8
    for look, words in entries:
        step = _SWATCH + text_width(words, LABEL) + 14
        if x + step - 14 > scene.width - MARGIN and x > MARGIN:
            x, y = MARGIN, y + 14
        if look in WORDS:
            scene.members += box(x + 2, y - 2, 9, 8, 8, theme, look)  # type: ignore[arg-type]
        else:
            scene.members += volume(Spot(Stage(0, "merge", "", "", (), sign=look), 10, 10, 0, x, y - 2), theme)
        scene.members.append(Text(Point(x + _SWATCH, y + 1), words, LABEL, theme.ink, "start"))
        x += step
    scene.height = y + 6


def _heat(scene: Scene, heat: HeatScale, theme: Theme) -> None:
    """Add the colour scale, from zero to the maximum."""
    y = scene.height + 4
    scene.members.append(Text(Point(MARGIN, y + 5), "0", LABEL, theme.ink, "start"))
    for n in range(24):
        color = mix(*theme.heat, (n / 23) ** 0.5)
        scene.members.append(Polygon(rectangle(MARGIN + 8 + 5 * n, y - 2, 5.3, 8), color))
    most = heat.label(Cost(heat.most, heat.most, heat.most) if heat.most else NOTHING)
    scene.members.append(Text(Point(MARGIN + 134, y + 5), most, LABEL, theme.ink, "start"))
    scene.height = y + 10
