"""Build the located tree from the events of PyYAML."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from archdsl.diagnostics import ArchError, Source, Span, did_you_mean, error
from archdsl.source.brackets import balanced
from archdsl.source.faults import key_twice, missing_value, short, tag_error, too_deep, unbalanced, word_span
from archdsl.source.files import FORBIDDEN, check_text, forbidden_character, lines
from archdsl.source.limits import MAX_ALIASED, MAX_DEPTH, MAX_NODES
from archdsl.source.syntax import Syntax
from archdsl.source.tree import Entry, Map, Scalar, Seq, Tree
from archdsl.source.values import WORDS, plain_value

Event: TypeAlias = Any
"""An event of PyYAML. Its stubs declare the marks as optional, but the events of a parser always have them."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(source: Source) -> Tree:
    """Return the tree of the YAML document in `source`. Raises E0101 to E0113 at the position of the error."""
    tree, problem = parse_known(source)
    if problem is not None:
        raise problem
    assert tree is not None
    return tree


def parse_known(source: Source) -> tuple[Tree | None, ArchError | None]:
    """Return the tree up to the first error, and the error that `parse` raises; None if there is none.

    In each collection that contains the error, an entry `CUT` takes the place of everything after it. The tree is None
    if the text is too large.
    """
    if source.text.startswith("\ufeff"):
        source = Source(source.name, source.text[1:], source.path)
    builder = _TreeBuilder(source)
    try:
        check_text(source)
        with collector_paused():
            _read(builder)
        if builder.root is None or (isinstance(builder.root, Scalar) and builder.root.value is None):
            raise error("E0109", "this spec is empty", Span(source, 0, 0), help="a spec begins with `net:`")
    except ArchError as problem:
        builder.cut()
        too_large = builder.nodes > MAX_NODES
        return None if too_large else builder.root, problem
    return builder.root, None


def _read(builder: _TreeBuilder) -> None:
    try:
        builder.read()
    except yaml.MarkedYAMLError as problem:
        raise Syntax(builder.source, problem, builder.in_flow, builder.end).error() from None
    except (yaml.YAMLError, ValueError, OverflowError) as problem:  # the pure parser: `"\U00110000"`
        raise error("E0101", f"this is not YAML: {problem}", Span(builder.source, builder.end, builder.end)) from None


CUT = "?"
"""The key of the entry that replaces everything after an error; no name of the language."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause garbage collection while a tree or graph is built, which only grows: collections would double the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(slots=True, eq=False)
class _OpenNode:
    """A collection being read. `items` is None for a mapping; `height` is the largest height of its children so far."""

    start: int
    flow: bool
    items: list[Tree] | None
    anchor: str | None
    nodes_before: int
    entries: dict[str, Entry] = field(default_factory=dict)
    key: Scalar | None = None
    height: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Anchored:
    tree: Tree
    size: int
    height: int


class _TreeBuilder:
    """Builds the tree event by event. `end` is the end of the last token; `nodes` counts with aliases expanded."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.root: Tree | None = None
        self.stack: list[_OpenNode] = []
        self.anchors: dict[str, _Anchored | None] = {}  # None while the collection is open
        self.nodes = 0
        self.aliased = 0
        self.end = 0
        self.finished = False
        self.handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.SequenceStartEvent: self.open_sequence,
            yaml.MappingStartEvent: self.open_mapping,
            yaml.SequenceEndEvent: self.close,
            yaml.MappingEndEvent: self.close,
            yaml.AliasEvent: self.alias,
            yaml.DocumentEndEvent: self.finish,
            yaml.DocumentStartEvent: self.ignore,
            yaml.StreamStartEvent: self.ignore,
            yaml.StreamEndEvent: self.ignore,
        }

    @property
    def in_flow(self) -> bool:
        return bool(self.stack) and self.stack[-1].flow

    def read(self) -> None:
        handlers = self.handlers
        for event in yaml.parse(self.text, Loader=LOADER):
            handlers[event.__class__](event)
            if self.finished:
                break

    def ignore(self, event: Event) -> None:
        pass

    def scalar(self, event: Event) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.too_many_nodes(event)
        if event.tag is not None:
            raise self.tag(event)
        text: str = event.value
        top = self.stack[-1] if self.stack else None
        node: Scalar
        if event.style:
            node = self.quoted(event, text)
        else:
            start: int = event.start_mark.index
            end: int = event.end_mark.index
            self.end = max(self.end, end)
            offset = None
            begin = end - len(text)
            if begin >= start and self.text[begin:end] == text:  # the mark of an anchored scalar starts at its anchor
                start = offset = begin
            node = Scalar(text, text, Span(self.source, start, end), True, offset)
            if top is not None and top.flow:
                self.check_flow(top, node)
        if top is not None and top.items is None and top.key is None:
            self.set_key(top, node)
        else:
            if node.plain:
                value = plain_value(text, node.span)
                node = node if value is text else node._replace(value=value)
            self.attach(top, node)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(node, 1, 0)

    def quoted(self, event: Event, text: str) -> Scalar:
        """A scalar in quotes, or a block scalar (`|`, `>`), whose mark extends to the next line."""
        start: int = event.start_mark.index
        end: int = event.end_mark.index
        style = event.style
        offset = None
        if style in "|>":
            end = start + len(self.text[start:end].rstrip())
        else:
            if style == '"' and (match := FORBIDDEN.search(text)):
                raise forbidden_character(match.group(), Span(self.source, start, end))
            begin = end - len(text) - 1
            if begin > start and self.text[begin : end - 1] == text and self.text[begin - 1] == style:
                start, offset = begin - 1, begin
        self.end = end
        return Scalar(text, text, Span(self.source, start, end), False, offset)

    def set_key(self, top: _OpenNode, key: Scalar) -> None:
        text = key.text
        if text == "<<" and key.plain:
            help_ = "write the keys out, or use `defaults`, a block or a variant for common parts"
            raise error("E0104", "merge keys (`<<`) are not part of YAML 1.2", key.span, help=help_)
        if not text or (key.plain and WORDS.get(text, text) is None):
            raise error("E0112", "this key is empty", key.span, help="a key is a word or a quoted string")
        if text in top.entries:
            if top.flow and key.plain and self.text[key.span.end :][:80].lstrip()[:1] in (",", "}"):
                raise missing_value(key, key.span, top.entries)
            raise key_twice(key, top.entries[text].key)
        top.key = key

    def attach(self, top: _OpenNode | None, node: Tree) -> None:
        if top is None:
            self.root = node
        elif top.items is not None:
            top.items.append(node)
        else:
            key = top.key
            assert key is not None
            top.entries[key.text] = Entry(key, node)
            top.key = None

    def check_flow(self, top: _OpenNode, node: Scalar) -> None:
        """Raise E0113 if YAML split a value at a comma or bracket."""
        text = node.text
        if not text:
            if top.items is None and top.key is not None:
                raise missing_value(top.key, node.span, top.entries)
        elif ("(" in text or ")" in text) and not balanced(text):
            raise unbalanced(node)

    def open_sequence(self, event: Event) -> None:
        self.open(event, [])

    def open_mapping(self, event: Event) -> None:
        self.open(event, None)

    def open(self, event: Event, items: list[Tree] | None) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.too_many_nodes(event)
        start, end = event.start_mark.index, event.end_mark.index
        if event.tag is not None:
            raise self.tag(event)
        if event.flow_style and end > start:  # not the pair `a: b` in `[a: b]`, which has no bracket of its own
            end -= 1
        span = Span(self.source, end, min(end + 1, len(self.text)))
        if len(self.stack) >= MAX_DEPTH:
            raise too_deep(span)
        top = self.stack[-1] if self.stack else None
        if top is not None and top.items is None and top.key is None:
            what = "mapping" if items is None else "list"
            raise error("E0112", f"a key must be a word, not a {what}", span)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.end = end
        self.stack.append(_OpenNode(end, event.flow_style, items, event.anchor, self.nodes - 1))

    def close(self, event: Event) -> None:
        closed = self.stack.pop()
        if closed.flow and event.end_mark.index > event.start_mark.index:
            self.end = event.end_mark.index
        span = Span(self.source, closed.start, max(self.end, closed.start))
        node: Tree
        if closed.items is None:
            node = Map(closed.entries, span, closed.flow)
        else:
            node = Seq(tuple(closed.items), span, closed.flow)
        height = closed.height + 1
        if closed.anchor is not None:
            self.anchors[closed.anchor] = _Anchored(node, self.nodes - closed.nodes_before, height)
        top = None
        if self.stack:
            top = self.stack[-1]
            top.height = max(top.height, height)
        self.attach(top, node)

    def cut(self) -> None:
        """Close all open collections after an error, each with an entry `CUT` for what is missing."""
        here = Span(self.source, min(self.end, len(self.text)), min(self.end, len(self.text)))
        missing = Scalar(None, "", here)
        while self.stack:
            top = self.stack[-1]
            if top.items is not None:
                top.items.append(missing)
            else:
                if top.key is not None:
                    self.attach(top, missing)
                top.entries.setdefault(CUT, Entry(Scalar(CUT, CUT, here), missing))
            self.stack.pop()
            span = Span(self.source, top.start, max(here.end, top.start))
            entries, items = top.entries, top.items
            self.attach(
                self.stack[-1] if self.stack else None,
                Map(entries, span, top.flow) if items is None else Seq(tuple(items), span, top.flow),
            )

    def alias(self, event: Event) -> None:
        name: str = event.anchor
        self.end = event.end_mark.index
        span = Span(self.source, event.start_mark.index, self.end)
        if name not in self.anchors:
            help_ = did_you_mean(name, self.anchors) or "a value that begins with `*` is a YAML alias: quote it"
            raise error("E0101", f"there is no anchor `&{short(name)}` before this alias", span, help=help_)
        target = self.anchors[name]
        if target is None:
            raise error("E0105", f"`*{short(name)}` refers to a node that contains it: a cycle", span)
        top = self.stack[-1]  # an alias cannot be the root: its anchor comes first
        if top.items is None and top.key is None:
            raise error("E0112", "a key must be a word, not an alias", span)
        self.aliased += target.size
        self.nodes += target.size
        if self.aliased > MAX_ALIASED or self.nodes > MAX_NODES:
            raise error("E0105", f"the aliases up to here expand to more than {MAX_ALIASED:,} nodes", span)
        if len(self.stack) + target.height > MAX_DEPTH:
            raise too_deep(span)
        top.height = max(top.height, target.height)
        self.attach(top, target.tree)

    def finish(self, event: Event) -> None:
        """Check the text after the document: PyYAML's own check takes quadratic time in bad cases."""
        at: int = event.end_mark.index
        ended: bool = event.explicit
        for line in lines(self.text, at):
            word = line.strip()
            if word.startswith("...") and not ended:
                ended = True
            elif word and not word.startswith("#"):
                if ended or line.startswith(("---", "%")):
                    at = at + line.index(word[0])
                    span = Span(self.source, at, at + min(len(word), 3))
                    raise error("E0110", "a second document begins here", span, help="a file contains one spec")
                return  # PyYAML reports the error in it
            at += len(line)
        self.finished = True

    def tag(self, event: Event) -> ArchError:
        at = self.text.index("!", event.start_mark.index)
        return tag_error(word_span(self.source, at))

    def too_many_nodes(self, event: Event) -> ArchError:
        at: int = event.start_mark.index
        return error("E0107", f"the spec has more than {MAX_NODES:,} keys and values", Span(self.source, at, at + 1))
