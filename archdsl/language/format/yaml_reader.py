"""Reads the text of a spec into a layout with its comments, blank lines, anchors and flow or block style."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from archdsl.diagnostics import Source, error
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf
from archdsl.source import parse, plain_value

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HEADER = re.compile(r"([|>])([-+0-9]*)[ \t]*(#.*)?$")


@dataclass(slots=True, eq=False)
class _Place:
    """An entry, its group, the enclosing place, and the start and end of its text."""

    entry: YamlEntry
    owner: _Open
    outer: _Place | None
    start: int
    end: int = 0


@dataclass(slots=True, eq=False)
class _Open:
    """A group with the start and end of its text; `column` is that of its entries, in block style."""

    group: YamlGroup
    place: _Place | None
    start: int
    column: int
    bracketed: bool
    end: int = 0
    key: YamlLeaf | None = None
    key_start: int = 0
    last: _Place | None = None


@dataclass(frozen=True, slots=True)
class _Comment:
    """A comment and its position."""

    text: str
    start: int
    own_line: bool
    blank_before: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """The layout of a spec; `head` has the directives and the `---` before it."""

    root: YamlGroup
    head: tuple[str, ...]


def read_layout(source: Source) -> Draft:
    """Return the layout of a spec. Raises the errors of `source.parse`, and E0202 if the spec is not a mapping."""
    tree = parse(source)
    reader = _Reader(tree.span.source)
    reader.read()
    if not isinstance(reader.root, YamlGroup) or not reader.root.mapping:
        raise error("E0202", "a spec must be a mapping with `input:` and `net:`", tree.span)
    _attach(reader)
    return Draft(reader.root, tuple(reader.head))


class _Reader:
    """Builds a layout from YAML events, which `parse` has checked."""

    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text
        self.root: YamlLayout | None = None
        self.root_open: _Open | None = None
        self.stack: list[_Open] = []
        self.places: list[_Place] = []
        self.flows: list[_Open] = []
        self.scalars: list[tuple[int, int]] = []
        self.header_comments: list[tuple[int, str]] = []
        self.head: list[str] = []

    def read(self) -> None:
        for event in yaml.parse(self.text, Loader=LOADER):
            if isinstance(event, yaml.DocumentStartEvent) and event.explicit:
                self.head += [f"%YAML {event.version[0]}.{event.version[1]}"] if event.version else []
                self.head.append("---")
            elif isinstance(event, yaml.ScalarEvent):
                self.scalar(event)
            elif isinstance(event, yaml.AliasEvent):
                self.alias(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self.open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.close(event)
            elif isinstance(event, yaml.DocumentEndEvent):
                break  # `parse` has checked that only comments follow

    def scalar(self, event: Any) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        if event.anchor:
            start = self.after_anchor(start)
        raw = self.text[start:end]
        top = self.stack[-1] if self.stack else None
        is_key = top is not None and top.group.mapping and top.key is None
        leaf = YamlLeaf(event.value, anchor=event.anchor or "", wrap="\n" in raw)
        if event.style in ("|", ">"):
            leaf = self.block_scalar(leaf, start, raw)
        elif not event.style and not is_key and not isinstance(plain_value(event.value), str):
            leaf.text, leaf.verbatim = event.value or "null", True
            if plain_value(event.value) is None:
                leaf.text = "null"
        self.scalars.append((start, start + len(raw.rstrip())))
        self.put(leaf, start, self.scalars[-1][1])

    def alias(self, event: Any) -> None:
        self.put(YamlLeaf(f"*{event.anchor}", verbatim=True), event.start_mark.index, event.end_mark.index)

    def block_scalar(self, leaf: YamlLeaf, start: int, raw: str) -> YamlLeaf:
        """Keep a block scalar line by line, or in quotes if its header has more than the style."""
        first, *rest = raw.rstrip().split("\n")
        header = _HEADER.match(first.rstrip("\r"))
        lines = [line.rstrip("\r") for line in rest]
        indent = next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), 0)
        if header and header[3]:
            self.header_comments.append((start, header[3]))
        if header and header[2] in ("", "-") and indent and "\t" not in raw:
            return YamlLeaf(header[1] + header[2], anchor=leaf.anchor, lines=tuple(line[indent:] for line in lines))
        return leaf

    def put(self, layout: YamlLayout, start: int, end: int) -> _Place | None:
        """Add a value or a key to the current group."""
        if not self.stack:
            self.root = layout
            return None
        top = self.stack[-1]
        if top.group.mapping and top.key is None:
            assert isinstance(layout, YamlLeaf)
            top.key, top.key_start = layout, start
            return None
        entry = YamlEntry(layout, top.key)
        place = _Place(entry, top, top.place, top.key_start if top.key is not None else start, end)
        top.key = None
        top.group.entries.append(entry)
        top.last = place
        self.places.append(place)
        return place

    def open(self, event: Any) -> None:
        start = event.start_mark.index
        if event.anchor:
            start = self.after_anchor(start)
        flow = bool(event.flow_style) and self.text[start : start + 1] in ("[", "{")
        group = YamlGroup(
            mapping=isinstance(event, yaml.MappingStartEvent), flow=bool(event.flow_style), anchor=event.anchor or ""
        )
        place = self.put(group, start, start)
        column = start - (self.text.rfind("\n", 0, start) + 1)
        opened = _Open(group, place, start, column, flow)
        if not self.stack:
            self.root_open = opened
        if flow:
            self.flows.append(opened)
        self.stack.append(opened)

    def after_anchor(self, at: int) -> int:
        """The start of the node with an anchor at `at`; comments can be in between."""
        match = re.compile(r"&\S+(?:\s+|#[^\n]*)*").match(self.text, at)
        return match.end() if match else at

    def close(self, event: Any) -> None:
        done = self.stack.pop()
        done.end = event.end_mark.index
        if done.place is not None:
            done.place.end = done.end if done.bracketed or done.last is None else done.last.end


# --- comments ----------------------------------------------------------------------------------------------


def _comments(reader: _Reader) -> Iterator[_Comment]:
    """Yield the comments: text from `#` on, between two scalars."""
    text = reader.text
    spans = [*sorted(reader.scalars), (len(text), len(text))]
    comments = list(reader.header_comments)
    at = 0
    for start, end in spans:
        comments += [(m.start(), m.group().rstrip()) for m in re.compile(r"#[^\n]*").finditer(text, at, start)]
        at = max(at, end)
    for start, line in sorted(comments):
        begin = text.rfind("\n", 0, start) + 1
        yield _Comment(line.rstrip(), start, not text[begin:start].strip(), _blank_before(text, begin))


def _blank_before(text: str, line_start: int) -> bool:
    before = text.rfind("\n", 0, max(line_start - 1, 0)) + 1
    return line_start > 0 and not text[before:line_start].strip()


def _attach(reader: _Reader) -> None:
    """Attach every comment to an entry, and every blank line to the entry after it."""
    places = sorted(reader.places, key=lambda p: (p.start, _depth(p)))
    starts = [p.start for p in places]
    comments = list(_comments(reader))
    beside = {_position(reader, c) for c in comments if not c.own_line}
    offsets = [c.start for c in comments]
    for flow in reader.flows:
        if bisect_right(offsets, flow.start) < bisect_left(offsets, flow.end):
            flow.group.flow = False
    for comment in comments:
        at = bisect_right(starts, comment.start)
        before = places[at - 1] if at else None
        after = places[at] if at < len(places) else None
        line, column = _position(reader, comment)
        place = None if comment.own_line else _beside(reader, comment, before)
        if place is not None:
            place.entry.aligned = not beside.isdisjoint({(line - 1, column), (line + 1, column)})
        else:
            _own_line(reader, comment, before, after)
    for n, place in enumerate(places):
        begin = reader.text.rfind("\n", 0, place.start) + 1
        fresh = n == 0 or places[n - 1].start < begin
        if fresh and _blank_before(reader.text, begin) and not place.owner.group.flow:
            place.entry.above += ("",)
    for opened in {id(p.owner): p.owner for p in places}.values():
        _tidy(opened.group)


def _depth(place: _Place) -> int:
    depth, outer = 0, place.outer
    while outer is not None:
        depth, outer = depth + 1, outer.outer
    return depth


def _position(reader: _Reader, comment: _Comment) -> tuple[int, int]:
    return reader.source.line_column(comment.start)


def _beside(reader: _Reader, comment: _Comment, place: _Place | None) -> _Place | None:
    """Attach a comment to the innermost entry that starts or ends on its line; None if there is none."""
    line, _ = _position(reader, comment)
    while place is not None:
        lines = {reader.source.line_column(at)[0] for at in (place.start, max(place.end - 1, place.start))}
        if line in lines and not place.owner.group.flow and not place.entry.beside:
            place.entry.beside = comment.text
            return place
        place = place.outer
    return None


def _own_line(reader: _Reader, comment: _Comment, before: _Place | None, after: _Place | None) -> None:
    """Attach a comment above the next entry, or below the last entry of a group that is deeper by its column."""
    lines = ("", comment.text) if comment.blank_before else (comment.text,)
    if not comment.own_line and after is not None:  # after a single dash
        after.entry.above += lines
        return
    column = comment.start - (reader.text.rfind("\n", 0, comment.start) + 1)
    place = before
    while place is not None and after is not None and after.outer is not place and after.owner is not place.owner:
        if _inside(place.owner, comment, column):
            break
        place = place.outer
    if after is not None and (place is None or after.outer is place or after.owner is place.owner):
        after.entry.above += lines
        return
    while after is None and place is not None and not _inside(place.owner, comment, column) and place.outer is not None:
        place = place.outer
    owner = place.owner if place is not None else reader.root_open
    assert owner is not None
    owner.group.below += lines


def _inside(opened: _Open, comment: _Comment, column: int) -> bool:
    """Whether a comment after the entries of a group belongs to it: by its brackets, else by its column."""
    if opened.bracketed:
        return opened.start < comment.start < opened.end
    around = opened.place.owner if opened.place is not None else None
    flush = around is not None and around.column == opened.column  # a list whose dashes are in the column of its key
    return column > opened.column if flush else column >= opened.column


def _tidy(group: YamlGroup) -> None:
    """Keep single blank lines, and none at the start or end of a group."""
    group.below = _single(group.below, False, True)
    for n, entry in enumerate(group.entries):
        entry.above = _single(entry.above, n == 0, False)


def _single(lines: tuple[str, ...], at_start: bool, at_end: bool) -> tuple[str, ...]:
    out: list[str] = []
    for line in lines:
        if line or (out and out[-1]) or (not out and not at_start):
            out.append(line)
    while at_end and out and not out[-1]:
        out.pop()
    return tuple(out)
