"""Draw two networks side by side or merged, with changes marked by a sign, a line style and a colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from string import ascii_lowercase
from textwrap import wrap
from typing import NamedTuple

from archdsl.differences.compare import Change, Fact, GraphDifference, Mark
from archdsl.differences.merged import Apart, Merged, merge, node_changes
from archdsl.differences.report import SIGNS, change_name, change_words, whole_words
from archdsl.differences.rows import align_rows
from archdsl.drawing.graph.labels import BODY, SMALL
from archdsl.drawing.graph.layout import laid_out
from archdsl.drawing.graph.positions import GraphLayout
from archdsl.drawing.graph.scene import draw, halves, outline
from archdsl.drawing.metrics import text_width
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import Box, Drawing, View
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import (
    Cluster,
    Dashes,
    Element,
    Item,
    Path,
    Point,
    Polygon,
    Scene,
    Sheet,
    Text,
    prefixed,
    rectangle,
)
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import Theme

WORDS: Mapping[Mark, str] = {"removed": "removed", "changed": "changed", "added": "added", "moved": "renamed, or moved"}
_HALVES: Mapping[Mark, str] = {**WORDS, "changed": "changed: the old half above the new"}
_COLORS: Mapping[Mark, str] = {"added": "#009E73", "removed": "#D55E00", "changed": "#B88600", "moved": "#0072B2"}
"""From the palette of Okabe and Ito; white text is readable on all of them."""
_DASHES: Mapping[Mark, Dashes] = {"added": (), "removed": (6, 3), "changed": (8, 2, 2, 2), "moved": (2, 2)}
_SIGNS: Mapping[Mark, str] = {**SIGNS, "removed": "\u2013"}
_PRINT = "#222222"
_LINES, _WRAPPED, _LETTERS = 20, 4, 118
"""The largest number of lines in the list below the drawings, of lines for one change, and of characters in a line."""
_INSIDE = 4
"""The largest number of lines in a box that say what changed in it."""
_GAP, _TOP, _MARGIN, _BADGE, _STEP = 28.0, 34.0, 10.0, 13.0, 17.0
_LINE = 2.4
_PAPER = Sheet(1094.0, float("inf"))


class _Side(NamedTuple):
    """One of the two networks, or both merged: the drawing, its layout, the marks of its nodes, and the parts with
    changes inside."""

    drawing: Drawing
    layout: GraphLayout
    options: Options
    marks: Mapping[int, Mark]
    altered: frozenset[range] = frozenset()


def painter(
    difference: GraphDifference,
    names: tuple[str, str],
    view: View = View(),
    options: Options = Options(),
    merged: bool = False,
    settings: Sequence[Fact] = (),
) -> Painter:
    """Return a function from the theme to the picture: both networks side by side, or `merged` in one drawing if they
    have parts in common. `settings` are further differences of the specs. Raises as `drawing.diagram.diagram`."""
    sides, notes = list[_Side](), list[str]()
    lines = _list(difference, settings)
    if merged:
        titled = replace(options, title=" \u2192 ".join(names), legend=False)
        explain = partial(_explained, _details(difference, 1))
        try:
            one, place, note = laid_out(
                Request(difference.after, view, titled), partial(merge, difference, details=explain)
            )
            return lambda theme: replace(_whole([_Side(one, place, titled, {})], names, lines, theme), note=note)
        except Apart as reason:
            notes.append(f"drawn side by side, because the networks cannot be merged at this level: {reason}")
    for which, graph in enumerate((difference.before, difference.after)):
        titled = replace(options, title=names[which], legend=False)
        details = _details(difference, which)
        drawing, layout, note = laid_out(
            Request(graph, view, titled), lambda *level, of=graph, add=details: _explained(add, compose(of, *level))
        )
        sides.append(_Side(drawing, layout, titled, *_marks(difference, which)))
        notes += [note] if note else []
    pairs = list(_pairs(difference, *(side.drawing for side in sides)))
    sides = _marked_in_both(sides, pairs)
    if options.direction == "TB":
        layouts = align_rows(sides[0].layout, sides[1].layout, pairs)
        sides = [side._replace(layout=layout) for side, layout in zip(sides, layouts, strict=True)]
    note = "; ".join(dict.fromkeys(notes))
    return lambda theme: replace(_whole(sides, names, lines, theme), note=note)


def _pairs(difference: GraphDifference, before: Drawing, after: Drawing) -> Iterator[tuple[int, int]]:
    """The boxes of both drawings that begin with the same node."""
    boxes = {ids.start: box.number for box in after.boxes() for ids in box.copies}
    for box in before.boxes():
        partner = difference.partners.get(box.copies[0].start) if box.copies else None
        if partner in boxes:
            yield box.number, boxes[partner]


def _marked_in_both(sides: Sequence[_Side], pairs: Iterable[tuple[int, int]]) -> list[_Side]:
    """The sides with each box that changed marked in both: a node may be added to a stage that has no other change."""
    altered = [set(side.altered) for side in sides]
    boxes = [list(side.drawing.boxes()) for side in sides]
    for numbers in pairs:
        found = [drawn[number] for drawn, number in zip(boxes, numbers, strict=True)]
        marks = [{_of_copy(ids, side) for ids in box.everywhere} for box, side in zip(found, sides, strict=True)]
        for which in range(2):
            if marks[which] == {None} and marks[1 - which] == {"changed"}:
                altered[which].update(found[which].everywhere)
    return [side._replace(altered=frozenset(parts)) for side, parts in zip(sides, altered, strict=True)]


def _details(difference: GraphDifference, which: int) -> dict[range, tuple[str, ...]]:
    """What changed in each changed part, by its nodes in the first (0) or second (1) network: equal text in both."""
    details: dict[range, tuple[str, ...]] = {}
    pending = [change for change in difference.changes if change.mark == "changed"]
    while pending:
        change = pending.pop(0)
        for one in change.all:
            side = (one.before, one.after)[which]
            inside, before = one.side.part.path, one.before.part.path if one.before is not None else ""
            own = [
                (f"{change_name(inner, inside, before)} ", inner) for inner in one.changes if inner.mark == "changed"
            ]
            lines = [name + words for name, inner in own or [("", one)] if (words := _words(inner))]
            if side is not None and (lines or one.facts):
                more = f"and {len(lines) - _INSIDE + 1} more"
                lines = lines if len(lines) <= _INSIDE else [*lines[: _INSIDE - 1], more]
                details[side.part.ids] = tuple(line.replace("->", "\u2192") for line in lines)
        pending += [inner for one in change.all for inner in one.changes if inner.mark == "changed"]
    return details


def _words(change: Change) -> str:
    """What changed in the part itself, without what follows from other changes."""
    facts = tuple(fact for fact in change.facts if fact.name not in ("receives", "reads"))
    return change_words(replace(change, facts=facts, others=())) if facts else ""


def _explained(details: Mapping[range, tuple[str, ...]], drawing: Drawing) -> Drawing:
    """The drawing with the details in the boxes that have exactly the changed nodes, in any of their copies."""

    def explained(box: Box) -> Box:
        return replace(box, lines=(*box.lines, *next((details[ids] for ids in box.everywhere if ids in details), ())))

    return drawing.mapped(explained)


def _list(difference: GraphDifference, settings: Sequence[Fact]) -> list[tuple[Mark, str]]:
    """The changes as lines, with the details that boxes cannot show; the mark of a line that continues one is its."""
    lines: list[tuple[Mark, str]] = []
    whole = [f"{fact.name}: {whole_words(fact)}" for fact in (*difference.facts, *settings)]
    marks = [change.mark for change in difference.changes]
    marks += ["changed"] * len(whole)
    for number, text in enumerate((*map(_line, difference.changes), *whole)):
        own = wrap(text, _LETTERS, subsequent_indent="\u2003", max_lines=_WRAPPED, placeholder=" \u2026")
        if len(lines) + len(own) >= _LINES and number + 1 < len(marks):
            return [*lines, (marks[number], f"and {len(marks) - number} more: run archdsl diff")]
        lines += [(marks[number], row) for row in own]
    return lines


def _line(change: Change) -> str:
    inside = change.side.part.path
    before = change.before.part.path if change.before is not None else inside
    own = [inner for inner in change.changes if inner.mark != "changed" or _words(inner) or inner.changes]
    kind = change_words(change) if change.changes and not change.facts else ""
    if "->" in kind:  # `fire(16, 64) -> residual`: what it had is now deeper in it
        own = [inner for inner in own if inner.mark != "moved"]
    else:
        kind = ""
    parts = [kind, *(text for inner in own or change.changes * (not kind) for text in _inner(inner, inside, before))]
    return f"{change_name(change)}: {'; '.join(filter(None, parts)) or change_words(_own(change))}"


def _inner(change: Change, inside: str, before: str) -> Iterator[str]:
    """The texts of a change inside another: of a part in which only other parts changed, those of these."""
    if change.outer and not change.facts and not change.others:
        for inner in change.changes:
            yield from _inner(inner, inside, before)
    else:
        yield " ".join(
            filter(None, (_SIGNS[change.mark], change_name(change, inside, before), change_words(_own(change))))
        )


def _own(change: Change) -> Change:
    """The change without facts that follow from changes elsewhere, if it has other facts."""
    facts = tuple(fact for fact in change.facts if fact.name != "receives")
    return replace(change, facts=facts or change.facts)


def _marks(difference: GraphDifference, which: int) -> tuple[dict[int, Mark], frozenset[range]]:
    """The marks of the nodes that differ, by id, in the first (0) or second (1) network, and the changed parts around
    them."""
    changes = list(node_changes(difference, which))
    altered = frozenset(ids for ids, change, _ in changes if change.outer)
    return {i: change.mark for ids, change, _ in changes if ids not in altered for i in ids}, altered


def _of_copy(ids: range, side: _Side) -> Mark | None:
    """The mark of one of the copies that a box stands for."""
    if any(ids.start <= part.start and part.stop <= ids.stop for part in side.altered):
        return "changed"
    own = {side.marks.get(i) for i in ids}
    if len(own) == 1:
        return next(iter(own))
    return "changed" if own - {None, "moved"} else "moved"


def _mark(box: Box, side: _Side, theme: Theme) -> Cluster | None:
    """The outline and sign of a box that changed; if only some of its copies changed, the sign has their number."""
    rect, total = side.layout.boxes[box.number], len(box.everywhere)
    if isinstance(side.drawing, Merged):
        counted = Counter({side.drawing.marks.get(box.number): total})
    else:
        counted = Counter(_of_copy(ids, side) for ids in box.everywhere)
    of_halves: tuple[Mark, ...] = ("removed", "added")
    badges: list[Element] = []
    for (_, part), half in zip(halves(box, rect), of_halves if box.upper else (), strict=False):
        badges += _badge(part.x - _BADGE * 0.8, part.y + part.height / 2, _SIGNS[half], _color(half, theme))
    known = [(mark, count) for mark, count in counted.items() if mark is not None]
    if not known:
        return Cluster("halves", members=badges) if badges else None
    main: Mark = max(known, key=lambda item: item[1])[0]
    members: list[Element] = [outline(box, rect, "", _color(main, theme), _LINE, _DASHES[main], grown=1.5)]
    some = total > 1 and (len(known) > 1 or known[0][1] < total)
    x = rect.x - _BADGE * 0.6
    for mark, count in known:
        word = f"{_SIGNS[mark]}{count if some else ''}"
        members += _badge(x, rect.y, word, _color(mark, theme))
        x += _badge_width(word) + 1
    members += badges
    title = ", ".join(f"{count} of {total} {WORDS[mark]}" for mark, count in known)
    return Cluster(f"mark {main}", title=title, members=members, facts={"path": box.path})


def _of_one(arrow: Cluster, which: int, theme: Theme) -> Cluster:
    """The arrow of one of the two networks, in the colour and style of its mark."""
    mark: Mark = "added" if which else "removed"
    color, dashes = _color(mark, theme), _DASHES[mark]
    members = (replace(m, line=color, width=1.8, dashes=dashes) if isinstance(m, Path) else m for m in arrow.members)
    return replace(arrow, members=list(members))


def _color(mark: Mark, theme: Theme) -> str:
    return _PRINT if theme.patterns else _COLORS[mark]


def _badge_width(word: str) -> float:
    return max(_BADGE, text_width(word, SMALL + 1, True) + 6)


def _badge(x: float, y: float, word: str, color: str) -> list[Item]:
    width = _badge_width(word)
    body = Polygon(rectangle(x, y - _BADGE / 2, width, _BADGE), color, round=_BADGE / 2)
    return [body, Text(Point(x + width / 2, y + 3.6), word, SMALL + 1, "#FFFFFF", bold=True)]


def _panel(side: _Side, theme: Theme) -> Scene:
    """The drawing of one network, with the marks on top."""
    scene = draw(side.drawing, side.layout, side.options, theme)
    both = side.drawing
    drawing = next(member for member in scene.members if isinstance(member, Cluster) and member.kind == "drawing")
    members = list(drawing.members)
    if isinstance(both, Merged):
        arrows = iter(both.arrows)
        for n, member in enumerate(members):
            if isinstance(member, Cluster) and member.kind == "arrow":
                arrow = next(arrows)
                which = both.only.get((arrow.source, arrow.target))
                members[n] = member if which is None else _of_one(member, which, theme)
    signs = (_mark(box, side, theme) for box in both.boxes())
    drawing.members = [*members, Cluster("marks", members=[sign for sign in signs if sign is not None])]
    return scene


def _whole(sides: Sequence[_Side], names: tuple[str, str], lines: Sequence[tuple[Mark, str]], theme: Theme) -> Scene:
    """The legend, the drawings side by side, and the list of changes."""
    panels = [_panel(side, theme) for side in sides]
    key_width, key = _legend(WORDS if len(sides) > 1 else _HALVES, theme)
    list_width = max((text_width(text, BODY) + 24 for _, text in lines), default=0.0)
    drawn = sum(p.width for p in panels) + _GAP * (len(panels) - 1)
    width = max(drawn, key_width, list_width) + 2 * _MARGIN
    below = _TOP + max(p.height for p in panels) + _MARGIN
    scene = replace(
        panels[0],
        title=f"{names[0][:150]} and {names[1][:150]}",
        description="; ".join(panel.description for panel in panels),
        width=width,
        height=below + _STEP * len(lines) + _MARGIN,
        members=[Cluster("legend", members=key, shift=Point((width - key_width) / 2, 12))],
        paper=_PAPER,
    )
    x = (width - drawn) / 2
    for letter, panel in zip(ascii_lowercase, panels, strict=False):
        inner = [prefixed(member, f"{letter}-") for member in panel.members]  # the networks have the same paths
        scene.members.append(Cluster("panel", members=inner, shift=Point(x, _TOP)))
        x += panel.width + _GAP
    for number, (mark, text) in enumerate(lines):
        y = below + _STEP * number
        badge = [] if text.startswith("\u2003") else _badge(_MARGIN, y + 6, _SIGNS[mark], _color(mark, theme))
        words = Text(Point(_MARGIN + 22, y + 9.6), text, BODY, theme.ink, "start")
        scene.members.append(Cluster("change", members=[*badge, words]))
    return scene


def _legend(words: Mapping[Mark, str], theme: Theme) -> tuple[float, list[Element]]:
    x, members = 0.0, list[Element]()
    for mark, word in words.items():
        color = _color(mark, theme)
        members.append(Polygon(rectangle(x + 8, 0.5, 26, 12), "", color, _LINE, 4, _DASHES[mark]))
        members += _badge(x, 2.0, _SIGNS[mark], color)
        members.append(Text(Point(x + 40, 10), word, BODY, theme.quiet, "start"))
        x += 40 + text_width(word, BODY) + 22
    return x - 22, members
