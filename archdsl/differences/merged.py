"""Compose two networks as one drawing: equal boxes once, changed boxes with an old half above a new half."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from archdsl.differences.compare import Change, GraphDifference, Mark
from archdsl.drawing.graph.labels import content
from archdsl.drawing.model.arrows import skips
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import Arrow, Box, Drawing, Frame, View
from archdsl.graph import Graph
from archdsl.report.words import TIMES
from archdsl.shapes import concrete, format_shape

Members: TypeAlias = Sequence[Box | Frame]
Details: TypeAlias = Callable[[Drawing], Drawing]


class Apart(Exception):
    """The networks cannot be drawn as one drawing; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Merged(Drawing):
    """One drawing of two networks. A box with an `upper` half differs in its text.

    `marks` are those of the boxes, by number; `only` are the arrows, as pairs of boxes, that only the first (0) or
    second (1) network has.
    """

    marks: Mapping[int, Mark]
    only: Mapping[tuple[int, int], int]


def merge(
    difference: GraphDifference, view: View = View(), lumped: bool = False, details: Details = lambda drawing: drawing
) -> Merged:
    """Return both networks as one drawing; `details` adds what changed to the boxes of the second.

    Raises `Apart` if a box of one is part of several boxes of the other.
    """
    merging = _Merging(difference, view, lumped)
    merging.drawings[1] = details(merging.drawings[1])
    return merging.result()


def node_changes(difference: GraphDifference, which: int) -> Iterator[tuple[range, Change, int]]:
    """Yield the changes in the first (0) or second (1) network, outer ones first: nodes, the change, and the number of
    the line of the text to which it belongs."""
    pending = list(enumerate(difference.changes))
    while pending:
        line, change = pending.pop(0)
        for one in change.all:
            side = (one.before, one.after)[which]
            if side is not None:
                yield side.part.ids, one, line
        pending += [(line, inner) for one in change.all for inner in one.changes]


class _Merging:
    def __init__(self, difference: GraphDifference, view: View, lumped: bool) -> None:
        self.changes = [list(node_changes(difference, which)) for which in range(2)]
        self.marks_of = [
            {i: (one.mark, line) for ids, one, line in own if not one.outer for i in ids} for own in self.changes
        ]
        self.partners = difference.partners, {b: a for a, b in difference.partners.items()}
        self.drawings = self._composed((difference.before, difference.after), view, lumped)
        self.pairs = self._paired()
        self.numbers: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """The number of each box of both drawings in the merged drawing."""
        self.marks: dict[int, Mark] = {}
        self.count = 0

    def result(self) -> Merged:
        a, b = self.drawings
        members = self._members(*self._frames_of_both())
        rows = (a.facts, b.facts) if len(a.facts) == len(b.facts) else ((", ".join(a.facts),), (", ".join(b.facts),))
        facts = [_both(*pair) for pair in zip(*rows, strict=True)]
        arrows, only = self._arrows()
        title = f"{a.title} \u2192 {b.title}"
        return Merged(title, title, tuple(facts), b.view, members, arrows, self.marks, only)

    # --- which box is which ---------------------------------------------------------------------------------------

    def _composed(self, graphs: Sequence[Graph], view: View, lumped: bool) -> list[Drawing]:
        """Both drawings; only parts that changed equally, and correspond to one box of the other, are collapsed."""
        breaks: tuple[set[int], set[int]] = (set(), set())
        while True:
            drawings = [compose(g, view, lumped, b) for g, b in zip(graphs, breaks, strict=True)]
            self.places = [dict(_places(drawing.members)) for drawing in drawings]
            before = sum(map(len, breaks))
            for which, drawing in enumerate(drawings):
                runs = (pair for member in drawing.walk() for pair in pairwise(member.copies))
                breaks[which].update(b.start for a, b in runs if self._kinds(a, which) != self._kinds(b, which))
            if sum(map(len, breaks)) == before:
                return drawings

    def _kinds(self, ids: range, which: int) -> list[tuple[object, int | None]]:
        """For each node its mark and the box of the other drawing that has its partner."""
        other = self.places[1 - which]
        return [(self.marks_of[which].get(i), other.get(self.partners[which].get(i, -1))) for i in ids]

    def _paired(self) -> dict[int, int]:
        """The boxes of the second drawing that correspond to boxes of the first, in the order of both."""
        old, new = self.places
        links = {(old[a], new[b]) for a, b in self.partners[0].items() if a in old and b in new}
        outputs = [{box.title: box.number for box in drawing.boxes() if not box.copies} for drawing in self.drawings]
        links |= {(number, outputs[1][title]) for title, number in outputs[0].items() if title in outputs[1]}
        if any(len({link[n] for link in links}) < len(links) for n in range(2)):
            raise Apart("a box of one corresponds to several boxes of the other")
        pairs: dict[int, int] = {}
        for a, b in sorted(links):
            if b > max(pairs.values(), default=-1):
                pairs[a] = b
        kinds = {box.number: box.kind for box in self.drawings[0].boxes()}
        if not {kinds[a] for a in pairs} - {"input", "output"}:
            raise Apart("they have no part in common")
        return pairs

    # --- frames -------------------------------------------------------------------------------------------------

    def _key(self, member: Box | Frame, which: int) -> object:
        """Equal for a member of both drawings: a pair of boxes, or frames around the same pairs."""
        boxes = [member] if isinstance(member, Box) else member.boxes()
        known = self.pairs if which == 0 else {b: b for b in self.pairs.values()}
        inside = frozenset(known[box.number] for box in boxes if box.number in known)
        kind = (member.stage, member.count) if isinstance(member, Frame) else ()
        return (inside, kind) if inside else (which, id(member))

    def _frames_of_both(self) -> list[Members]:
        """The members without frames that surround other boxes, or another number of copies, in the other drawing."""
        keys = [Counter(self._key(frame, n) for frame in self.drawings[n].frames()) for n in range(2)]
        common = keys[0] & keys[1]

        def kept(members: Members, which: int, left: Counter[object]) -> Iterator[Box | Frame]:
            for member in members:
                key = self._key(member, which)
                if isinstance(member, Box):
                    yield member
                elif left[key] > 0 or isinstance(key, tuple) and key[0] == which:
                    left[key] -= 1
                    yield replace(member, members=tuple(kept(member.members, which, left)))
                elif member.count > 1:
                    raise Apart("their repeated blocks differ")
                else:
                    yield from kept(member.members, which, left)

        return [list(kept(drawing.members, n, Counter(common))) for n, drawing in enumerate(self.drawings)]

    def _members(self, before: Members, after: Members) -> tuple[Box | Frame, ...]:
        """Both lists as one: between members of both those of the first network, then those of the second."""
        keys = [[self._key(member, n) for member in side] for n, side in enumerate((before, after))]
        new = {key: n for n, key in enumerate(keys[1])}
        merged: list[Box | Frame] = []
        at = 0
        for member, key in zip(before, keys[0], strict=True):
            if key not in new:
                merged.append(self._member(member, None))
                continue
            merged += [self._member(None, other) for other in after[at : new[key]]]
            merged.append(self._member(member, after[new[key]]))
            at = new[key] + 1
        return (*merged, *(self._member(None, other) for other in after[at:]))

    def _member(self, a: Box | Frame | None, b: Box | Frame | None) -> Box | Frame:
        if isinstance(a, Box) or isinstance(b, Box):
            assert not isinstance(a, Frame) and not isinstance(b, Frame)
            return self._box(a, b)
        members = self._members(a.members if a else (), b.members if b else ())
        own = b or a
        assert own is not None
        names = (_both(a.name, b.name), _both(a.title, b.title)) if a and b else (own.name, own.title)
        return replace(own, name=names[0], title=names[1], members=members)

    # --- boxes and arrows -----------------------------------------------------------------------------------------

    def _box(self, a: Box | None, b: Box | None) -> Box:
        number = self.count
        self.count += 1
        own = [(n, box) for n, box in enumerate((a, b)) if box is not None]
        for n, box in own:
            self.numbers[n][box.number] = number
        mark = self._mark(own)
        if mark is not None:
            self.marks[number] = mark
        last = replace(own[-1][1], number=number)
        if mark == "moved" or (mark and a and b and _path(a) != _path(b)):
            last = replace(
                last, lines=(*last.lines, _both(*(_path(box) for _, box in own)) if a and b else self._moved(*own[0]))
            )
        if not (a and b) or mark == "moved" or content(a).lines == content(last).lines:
            return last
        return replace(last, sign="", upper=replace(a, sign=""))

    def _mark(self, own: Sequence[tuple[int, Box]]) -> Mark | None:
        found = {self.marks_of[n].get(i, (None,))[0] for n, box in own for ids in box.copies for i in ids}
        if len(own) == 1:
            if len(found - {"moved"}) > 1 or found & {None, "changed"}:
                raise Apart("equal parts are in different boxes")
            return "moved" if found == {"moved"} else "added" if own[0][0] else "removed"
        return None if found <= {None} else "moved" if found <= {None, "moved"} else "changed"

    def _moved(self, which: int, box: Box) -> str:
        one = next(one for ids, one, _ in self.changes[which] if box.copies[0].start in ids)
        assert one.before is not None and one.after is not None
        return f"moved to {one.after.part.path}" if which == 0 else f"moved from {one.before.part.path}"

    def _arrows(self) -> tuple[tuple[Arrow, ...], dict[tuple[int, int], int]]:
        ends: dict[tuple[int, int], dict[int, Arrow]] = {}
        for n, (drawing, numbers) in enumerate(zip(self.drawings, self.numbers, strict=True)):
            for arrow in drawing.arrows:
                ends.setdefault((numbers[arrow.source], numbers[arrow.target]), {})[n] = arrow
        around = skips(ends)
        arrows: list[Arrow] = []
        labelled: set[tuple[int, str]] = set()
        for (source, target), own in sorted(ends.items()):
            label = _label([*own.values()])
            label = "" if (source, label) in labelled else label
            labelled.add((source, label))
            skip = (source, target) in around
            arrows.append(replace(own[max(own)], source=source, target=target, label=label, skip=skip))
        return tuple(arrows), {pair: next(iter(own)) for pair, own in ends.items() if len(own) == 1}


def _places(members: Members, shifts: Sequence[int] = (0,)) -> Iterator[tuple[int, int]]:
    """Yield the nodes of all copies, each with the number of its box."""
    for member in members:
        if isinstance(member, Box):
            yield from ((i + by, member.number) for by in shifts for ids in member.copies for i in ids)
        else:
            steps = [copy.start - member.copies[0].start for copy in member.copies] or [0]
            yield from _places(member.members, [by + step for by in shifts for step in steps])


def _path(box: Box) -> str:
    return box.path if box.path == box.last or not box.last else f"{box.path} \u2026 {box.last}"


def _both(before: str, after: str) -> str:
    return after if before == after else f"{before} \u2192 {after}"


def _label(arrows: Sequence[Arrow]) -> str:
    first, last = arrows[0], arrows[-1]
    if not first.label and not last.label or concrete(first.shape) == concrete(last.shape):
        return last.label or first.label
    return _both(*(arrow.label or format_shape(arrow.shape, times=f" {TIMES} ") for arrow in arrows))
