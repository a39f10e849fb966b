"""YAML text to a tree in which every key and every value knows its place.

The tree is built from the events of PyYAML's C parser, never from its nodes: the C composer overflows its
stack on deeply nested text, forgets positions, and lets the last of two equal keys win. Only the core
types of YAML 1.2 exist here (`on` and `1_000` are strings, `1e-4` is a number); tags, merge keys, duplicate
keys and further documents are errors, and everything that can grow has a limit.
"""

from __future__ import annotations

import gc
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import EllipsisType
from typing import Any, NamedTuple, NoReturn, TypeAlias

import yaml

from archdsl.diagnostics import ArchError, Label, Source, Span, did_you_mean, error

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 400_000
"""Keys and values with aliases expanded; a tree of so many takes about 250 MB."""
MAX_ALIASED = 10_000
"""Nodes that all aliases together may stand for."""
MAX_DIGITS = 100

Event: TypeAlias = Any
"""An event of PyYAML; its stubs call the marks optional, which they are not on what a parser returns."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

PlainValue: TypeAlias = bool | int | float | str | None

QUOTE_HELP = 'quote it: "f(1, 2)", or use block style: `- - f(1, 2)` is a list of one without quotes'


class Scalar(NamedTuple):
    """A word, number or string. `value` is typed by YAML 1.2's core schema; a quoted one and a key are strings.

    `text` is the scalar's own text (`1409.1550` keeps its last 0); `offset` is where `text[0]` stands in
    the source, None where the text does not stand there verbatim (escapes, several lines).
    """

    value: PlainValue
    text: str
    span: Span
    plain: bool = True
    offset: int | None = None

    def part(self, start: int, end: int) -> Span:
        """The place of `text[start:end]`; the whole scalar's where the text does not stand verbatim."""
        if self.offset is None:
            return self.span
        return Span(self.span.source, self.offset + start, self.offset + end)

    def piece(self, start: int, end: int, value: PlainValue | EllipsisType = ...) -> Scalar:
        """A scalar of `text[start:end]`; its value is that text unless one is given."""
        text = self.text[start:end]
        offset = None if self.offset is None else self.offset + start
        return Scalar(text if value is ... else value, text, self.part(start, end), self.plain, offset)


class Seq(NamedTuple):
    items: tuple[Tree, ...]
    span: Span
    flow: bool


class Entry(NamedTuple):
    key: Scalar
    value: Tree


class Map(NamedTuple):
    """`entries` in written order, by the text of their keys."""

    entries: dict[str, Entry]
    span: Span
    flow: bool

    def get(self, key: str) -> Tree | None:
        entry = self.entries.get(key)
        return None if entry is None else entry.value


Tree: TypeAlias = Scalar | Seq | Map

# --- files -------------------------------------------------------------------------------------------------


def read(path: Path | str) -> Source:
    """The text of a regular file, or of standard input for `-`.

    Errors: E0114 it cannot be read, E0107 it is too large, E0108 it is not UTF-8.
    """
    if str(path) == "-":
        return decode(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>")
    name = str(path)
    try:
        data = _read_regular(path)
    except (OSError, ValueError) as problem:
        raise _unreadable(name, problem) from None
    return decode(data, name, Path(path))


def _read_regular(path: Path | str) -> bytes:
    _refuse_special(Path(path).stat().st_mode, str(path))
    # What was looked at may have been replaced: without O_NONBLOCK, opening a FIFO waits for ever.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        _refuse_special(found.st_mode, str(path))
        if found.st_size > MAX_BYTES:
            raise _too_large(str(path), f"{found.st_size:,} bytes")
        return file.read(MAX_BYTES + 1)


def _refuse_special(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise error("E0114", f"cannot read {name}: it is a directory", status=2, help="name a file inside it")
    if not stat.S_ISREG(mode):
        raise error("E0114", f"cannot read {name}: it is not a regular file", status=2)


def _unreadable(name: str, problem: OSError | ValueError) -> ArchError:
    help_ = ""
    if isinstance(problem, FileNotFoundError | NotADirectoryError):
        why, help_ = "there is no such file", "name a file with .yaml, or a network of the library"
    elif isinstance(problem, PermissionError):
        why = "permission denied"
    else:
        why = (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)
    return error("E0114", f"cannot read {_short(name) if len(name) > 200 else name}: {why}", status=2, help=help_)


def _too_large(name: str, size: str, span: Span | None = None) -> ArchError:
    return error("E0107", f"{name} is too large: {size}, the limit is {MAX_BYTES // 1024 // 1024} MiB", span)


def decode(data: bytes, name: str, path: Path | None = None) -> Source:
    """The bytes of a spec as text; a byte order mark is dropped.

    Errors: E0107 more than 4 MiB, E0108 not UTF-8 (with the place).
    """
    if len(data) > MAX_BYTES:
        raise _too_large(name, f"more than {MAX_BYTES:,} bytes")
    try:
        return Source(name, data.decode("utf-8").removeprefix("\ufeff"), path)
    except UnicodeDecodeError as problem:
        source = Source(name, data.decode("utf-8", "replace"), path)
        at = len(data[: problem.start].decode("utf-8"))
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            message = "this file is UTF-16, not UTF-8"
        else:
            message = f"byte 0x{data[problem.start]:02x} is not UTF-8"
        raise error("E0108", message, Span(source, at, at + 1), help="save the file as UTF-8") from None


# Characters that no spec needs. Lone carriage returns, NEL, LS and PS are line breaks to YAML 1.1 but not to
# an editor: allowing them would make line numbers ambiguous.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)")


def _check_text(source: Source) -> None:
    """Errors: E0107 too long, E0108 a forbidden character, E0103 a %TAG directive."""
    if len(source.text) > MAX_BYTES:
        raise _too_large(source.name, f"{len(source.text):,} characters", Span(source, 0, 0))
    found = _FORBIDDEN.search(source.text)
    if found:
        raise _forbidden(found.group(), Span(source, found.start(), found.end()))
    # libyaml compares every %TAG with all before it, which takes minutes for a file full of them.
    at = 0
    for line in _lines(source.text, 0):
        if line.strip() and not line.startswith(("#", "%")):
            break
        if line.startswith("%TAG"):
            raise _tag_error(Span(source, at, at + 4))
        at += len(line)


def _forbidden(char: str, span: Span) -> ArchError:
    help_ = "is this a text file in UTF-8?" if char == "\0" else ""
    return error("E0108", f"the character U+{ord(char):04X} is not allowed in a spec", span, help=help_)


def _lines(text: str, start: int) -> Iterator[str]:
    """The lines from `start` on, one at a time, line ends kept."""
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


# --- plain scalars -----------------------------------------------------------------------------------------

_WORDS: dict[str, PlainValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((f"{s}.{w}" for s in ("", "+") for w in ("inf", "Inf", "INF")), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMERIC_START = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?[0-9]++\Z")
_BASED = re.compile(r"0o[0-7]++\Z|0x[0-9a-fA-F]++\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]++|[0-9]++(?:\.[0-9]*+)?)(?:[eE][-+]?[0-9]++)?\Z")


def plain_value(text: str, span: Span | None = None) -> PlainValue:
    """What a plain scalar means in YAML 1.2's core schema.

    Errors: E0111 a number of more than 100 digits, or beyond a float's range.
    """
    if text[:1] not in _NUMERIC_START:
        return _WORDS.get(text, text)
    if _INT.match(text):
        _check_length(text, span)
        return int(text)
    if _FLOAT.match(text):
        _check_length(text, span)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise error("E0111", f"{text} is beyond the range of a float", span)
        return number
    if _BASED.match(text):
        _check_length(text, span)
        return int(text, 0)
    return _WORDS.get(text, text)


def _check_length(text: str, span: Span | None) -> None:
    if len(text) > MAX_DIGITS:
        raise error("E0111", f"a number of {len(text):,} digits; the limit is {MAX_DIGITS}", span)


# --- the tree ----------------------------------------------------------------------------------------------


def parse(source: Source) -> Tree:
    """The tree of the one YAML document of `source`.

    Errors: E0101 to E0113, each at its place; see the names of the functions that raise them.
    """
    if source.text.startswith("\ufeff"):
        source = Source(source.name, source.text[1:], source.path)
    _check_text(source)
    builder = _Builder(source)
    try:
        with collector_paused():
            builder.read()
    except yaml.MarkedYAMLError as problem:
        raise _Syntax(source, problem, builder.in_flow, builder.end).error() from None
    except (yaml.YAMLError, ValueError, OverflowError) as problem:  # the pure parser: `"\U00110000"`
        raise error("E0101", f"this is not YAML: {problem}", Span(source, builder.end, builder.end)) from None
    if builder.root is None or (isinstance(builder.root, Scalar) and builder.root.value is None):
        raise error("E0109", "this spec is empty", Span(source, 0, 0), help="a spec begins with `net:`")
    return builder.root


@contextmanager
def collector_paused() -> Iterator[None]:
    """Trees and graphs only grow while they are made; collections meanwhile would double the time for a large one."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(slots=True, eq=False)
class _Open:
    """A collection being read. `items` is None for a mapping; `height` is that of its highest child so far."""

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


class _Builder:
    """Takes the events in turn. `end` is where the last thing read ended, `nodes` counts with aliases expanded."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.root: Tree | None = None
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchored | None] = {}  # None while the collection is open
        self.nodes = 0
        self.aliased = 0
        self.end = 0
        self.done = False
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
            if self.done:
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
            if begin >= start and self.text[begin:end] == text:  # the mark of an anchored one begins at its anchor
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
        """A scalar in quotes, or a block scalar (`|`, `>`), whose mark goes on to the next line."""
        start: int = event.start_mark.index
        end: int = event.end_mark.index
        style = event.style
        offset = None
        if style in "|>":
            end = start + len(self.text[start:end].rstrip())
        else:
            if style == '"' and (found := _FORBIDDEN.search(text)):
                raise _forbidden(found.group(), Span(self.source, start, end))
            begin = end - len(text) - 1
            if begin > start and self.text[begin : end - 1] == text and self.text[begin - 1] == style:
                start, offset = begin - 1, begin
        self.end = end
        return Scalar(text, text, Span(self.source, start, end), False, offset)

    def set_key(self, top: _Open, key: Scalar) -> None:
        text = key.text
        if text == "<<" and key.plain:
            help_ = "write the keys out; a variant, `defaults` or a block shares what is common"
            raise error("E0104", "merge keys (`<<`) are not part of YAML 1.2", key.span, help=help_)
        if not text or (key.plain and _WORDS.get(text, text) is None):
            raise error("E0112", "this key is empty", key.span, help="a key is a word or a quoted string")
        if text in top.entries:
            first = Label(top.entries[text].key.span, "first written here")
            raise error(
                "E0102", f"the key `{_short(text)}` appears twice", key.span, label="again here", labels=(first,)
            )
        top.key = key

    def attach(self, top: _Open | None, node: Tree) -> None:
        if top is None:
            self.root = node
        elif top.items is not None:
            top.items.append(node)
        else:
            key = top.key
            assert key is not None
            top.entries[key.text] = Entry(key, node)
            top.key = None

    def check_flow(self, top: _Open, node: Scalar) -> None:
        """Errors: E0113 where YAML has split something at a comma or bracket."""
        text = node.text
        if not text:
            if top.items is None and top.key is not None:
                raise _lonely_key(top.key, node.span)
        elif ("(" in text or ")" in text) and not _balanced(text):
            raise _unbalanced(node)

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
        if event.flow_style and end > start:  # not the pair `a: b` of `[a: b]`, which has no bracket of its own
            end -= 1
        span = Span(self.source, end, min(end + 1, len(self.text)))
        if len(self.stack) >= MAX_DEPTH:
            raise _too_deep(span)
        top = self.stack[-1] if self.stack else None
        if top is not None and top.items is None and top.key is None:
            what = "mapping" if items is None else "list"
            raise error("E0112", f"a key must be a word, not a {what}", span)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.end = end
        self.stack.append(_Open(end, event.flow_style, items, event.anchor, self.nodes - 1))

    def close(self, event: Event) -> None:
        done = self.stack.pop()
        if done.flow and event.end_mark.index > event.start_mark.index:
            self.end = event.end_mark.index
        span = Span(self.source, done.start, max(self.end, done.start))
        node: Tree
        if done.items is None:
            node = Map(done.entries, span, done.flow)
        else:
            node = Seq(tuple(done.items), span, done.flow)
        height = done.height + 1
        if done.anchor is not None:
            self.anchors[done.anchor] = _Anchored(node, self.nodes - done.nodes_before, height)
        top = None
        if self.stack:
            top = self.stack[-1]
            top.height = max(top.height, height)
        self.attach(top, node)

    def alias(self, event: Event) -> None:
        name: str = event.anchor
        self.end = event.end_mark.index
        span = Span(self.source, event.start_mark.index, self.end)
        if name not in self.anchors:
            help_ = did_you_mean(name, self.anchors) or "a value that starts with `*` is a YAML alias: quote it"
            raise error("E0101", f"no anchor `&{_short(name)}` stands before this alias", span, help=help_)
        target = self.anchors[name]
        if target is None:
            raise error("E0105", f"`*{_short(name)}` stands inside the node that it refers to: a cycle", span)
        top = self.stack[-1]  # an alias cannot be the root: nothing stands before it
        if top.items is None and top.key is None:
            raise error("E0112", "a key must be a word, not an alias", span)
        self.aliased += target.size
        self.nodes += target.size
        if self.aliased > MAX_ALIASED or self.nodes > MAX_NODES:
            raise error("E0105", f"the aliases up to here stand for more than {MAX_ALIASED:,} nodes", span)
        if len(self.stack) + target.height > MAX_DEPTH:
            raise _too_deep(span)
        top.height = max(top.height, target.height)
        self.attach(top, target.tree)

    def finish(self, event: Event) -> None:
        """Looks at what follows the document: the parser's own look at it takes quadratic time in bad cases."""
        at: int = event.end_mark.index
        ended: bool = event.explicit
        for line in _lines(self.text, at):
            word = line.strip()
            if word.startswith("...") and not ended:
                ended = True
            elif word and not word.startswith("#"):
                if ended or line.startswith(("---", "%")):
                    at = at + line.index(word[0])
                    span = Span(self.source, at, at + min(len(word), 3))
                    raise error("E0110", "a second document begins here", span, help="one file holds one spec")
                return  # the parser says what is wrong with it
            at += len(line)
        self.done = True

    def tag(self, event: Event) -> ArchError:
        at = self.text.index("!", event.start_mark.index)
        return _tag_error(_word_span(self.source, at))

    def too_many_nodes(self, event: Event) -> ArchError:
        at: int = event.start_mark.index
        return error("E0107", f"more than {MAX_NODES:,} keys and values", Span(self.source, at, at + 1))


def _too_deep(span: Span) -> ArchError:
    return error("E0106", f"nested deeper than {MAX_DEPTH} levels", span)


def _tag_error(span: Span) -> ArchError:
    help_ = "remove it, or quote the value if the `!` belongs to it"
    note = "a tag is never executed, whatever it names"
    return error("E0103", f"YAML tags such as `{span.text}` are not allowed", span, notes=(note,), help=help_)


def _short(text: str) -> str:
    """For a message: at most 80 characters."""
    return text if len(text) <= 80 else text[:77] + "..."


def _word_span(source: Source, at: int) -> Span:
    """The characters from `at` up to white space or a comma; at least one, at most 80."""
    found = re.compile(r"[^\s,]{1,80}").match(source.text, at)
    return Span(source, at, found.end() if found else min(at + 1, len(source.text)))


# --- traps of the flow style -------------------------------------------------------------------------------


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0


def _unbalanced(node: Scalar) -> ArchError:
    """`[f(1, 2)]`: the scalar is `f(1`, and what was meant goes on behind the comma."""
    text, start = node.span.source.text, node.span.start
    line_end = text.find("\n", start)
    rest = text[start : min(len(text) if line_end < 0 else line_end, start + 400)]
    ends = [at for at in range(len(node.text), len(rest)) if rest[at] == ")" and _balanced(rest[: at + 1])]
    if ends and "," in rest[: ends[0]]:
        span = Span(node.span.source, start, start + ends[0] + 1)
        return error("E0113", f"YAML splits `{span.text}` at its comma here, inside brackets", span, help=QUOTE_HELP)
    message = f"the parentheses of `{_short(node.text)}` do not match; YAML splits at every comma inside brackets"
    return error("E0113", message, node.span, help=QUOTE_HELP)


def _lonely_key(key: Scalar, value: Span) -> ArchError:
    if ":" in key.span.source.text[key.span.end : value.start]:
        message, help_ = f"the key `{_short(key.text)}` has no value", "write `null` for none, or leave the key out"
    else:
        message = f"`{_short(key.text)}` has no value: inside `{{}}` every part between commas is `key: value`"
        help_ = QUOTE_HELP
    return error("E0113", message, key.span, help=help_)


# --- what the parser says, said clearly --------------------------------------------------------------------


class _Syntax:
    """Turns an error of PyYAML into one message at the place where a reader would look."""

    def __init__(self, source: Source, problem: yaml.MarkedYAMLError, in_flow: bool, end: int) -> None:
        self.source = source
        self.text = source.text
        self.problem: str = problem.problem or "this is not YAML"
        self.context: str = problem.context or ""
        self.in_flow = in_flow
        self.end = end  # of the last thing that was understood: the parser looks far ahead of it
        mark, opened = problem.problem_mark, problem.context_mark
        self.at = min(mark.index if mark else 0, len(self.text))
        self.opened = min(opened.index if opened else self.at, len(self.text))
        self.char = self.text[self.at : self.at + 1]
        self.shown = f"`{self.char}`" if self.char.strip() else "the end of the line"

    def error(self) -> ArchError:
        """Errors: E0101; E0103 an unknown tag, E0108 an impossible character, E0113 brackets inside brackets."""
        if "\t" in self.indentation() and (self.first_on_line() or self.char == "\t"):
            self.fail("a tab in the indentation", self.at, help="use spaces")
        self.nested()
        if "unexpected ':'" in self.problem:
            self.fail("a `:` needs a space behind it", self.opened)
        if "tag handle" in self.problem or "a tag" in self.context:
            raise _tag_error(_word_span(self.source, self.text.find("!", self.opened)))
        if "Unicode character escape" in self.problem:
            span = Span(self.source, self.at, self.at + 4)
            raise error("E0108", "this escape stands for a character that does not exist", span)
        if "quoted scalar" in self.context:
            self.quoted()
        if "alias" in self.context or "anchor" in self.context:
            self.alias()
        if "cannot start any token" in self.problem:
            help_ = "quote the whole value" if self.char.strip() else ""
            self.fail(f"a value cannot begin with {self.shown}", self.at, help=help_)
        if "flow" in self.context or self.in_flow:
            self.flow()
        self.block()

    def fail(self, message: str, at: int, label: str = "", **more: Any) -> NoReturn:
        raise error("E0101", message, _word_span(self.source, at), label=label, **more)

    def indentation(self) -> str:
        start = self.text.rfind("\n", 0, self.at) + 1
        line = self.text[start : self.at + 1]
        return line[: len(line) - len(line.lstrip())]

    def first_on_line(self) -> bool:
        return not self.text[self.text.rfind("\n", 0, self.at) + 1 : self.at].strip()

    def quoted(self) -> NoReturn:
        span = Span(self.source, self.opened, self.opened + 1)
        if "end of stream" in self.problem or "document indicator" in self.problem:
            raise error("E0101", "this quote is never closed", span, label="opened here")
        found = re.compile(r"\\(?:[xuU][0-9a-fA-F]*)?.?").match(self.text, self.text.find("\\", self.at))
        escape = found.group() if found else "\\"
        at = found.start() if found else self.at
        help_ = "inside single quotes a backslash is just a backslash"
        raise error("E0101", f"`{escape}` is not an escape", Span(self.source, at, at + len(escape)), help=help_)

    def alias(self) -> NoReturn:
        sign = self.text[self.opened : self.opened + 1]
        help_ = "quote the whole value" + (', as in `"*rows[i]"`' if sign == "*" else "")
        kind = "alias" if sign == "*" else "anchor"
        self.fail(f"a value that begins with `{sign}` is a YAML {kind}, and this is not one", self.opened, help=help_)

    def nested(self) -> None:
        """`[n[0] * block(64)]`: inside brackets YAML ends the word `n` at its bracket.

        The parser complains there, or further on in the line, where it takes `*` for an alias.
        """
        start = max(self.text.rfind("\n", 0, self.at) + 1, self.end - 1)
        between = self.text[start : self.at + 1]
        found = re.search(r"[^\s,:'\"\[\]{}][\[{]", between)
        if not found or (not self.in_flow and not re.search(r"(?:^|[\s,\[{])[\[{]", between)):
            return
        begin = bracket = start + found.end() - 1
        while begin > bracket - 60 and self.text[begin - 1 : begin] not in ("", " ", "\t", "\n", ",", "[", "{"):
            begin -= 1
        whole = re.compile(r".[^\[\]{}\n]{,60}[\]}]").match(self.text, bracket)
        span = Span(self.source, begin, whole.end() if whole else bracket + 1)
        char = self.text[bracket]
        message = f"inside brackets YAML cannot read `{span.text}`: its `{char}` begins a new list or mapping"
        raise error("E0113", message, span, help=QUOTE_HELP)

    def flow(self) -> NoReturn:
        opening = self.text[self.opened : self.opened + 1]
        where = Span(self.source, self.opened, self.opened + 1)
        if opening in ("[", "{") and "expected ','" in self.problem:
            if not self.text[self.at :].strip():
                raise error("E0101", f"this `{opening}` is never closed", where, label="opened here")
            expected = f"expected `,` or `{']' if opening == '[' else '}'}`"
            label = Label(where, "opened here")
            line_start = self.text.rfind("\n", 0, self.at) + 1
            if self.char == ":" and line_start > self.opened:
                at = line_start + len(self.indentation())
                self.fail(f"{expected} before this key", at, labels=(label,), help="close the line above")
            help_ = "quote a value that holds brackets or `: `"
            self.fail(f"{expected}, found {self.shown}", self.at, labels=(label,), help=help_)
        self.fail(f"something is missing before {self.shown}", self.at)

    def block(self) -> NoReturn:
        if "mapping values" in self.problem:
            self.second_colon()
        if "sequence entries" in self.problem:
            if self.first_on_line():
                self.fail("a list cannot begin here", self.at, help="the line above has a value already")
            self.fail("a list cannot begin here", self.at, help="put `- ` on a line of its own, below its key")
        if "expected ':'" in self.problem:
            self.fail("a key without `:`", self.opened, help="write `key: value`, or `- value` in a list")
        if "mapping keys" in self.problem:
            self.fail("a key cannot begin here", self.at)
        if "directive" in self.context or "YAML document" in self.problem:
            self.fail("only `%YAML 1.2` may stand before a spec", self.text.rfind("\n", 0, self.at) + 1)
        if self.char and self.char in "]},":
            self.fail("a value cannot begin with `,`" if self.char == "," else f"{self.shown} closes nothing", self.at)
        if self.char == ":" and self.first_on_line():
            self.fail("a key is missing before `:`", self.at)
        if "parsing a block" in self.context:
            self.misfit()
        if "document start" in self.problem:
            self.fail("this belongs to nothing", self.at, help="check the indentation")
        self.fail(f"this is not YAML: {self.problem}", self.at)

    def second_colon(self) -> NoReturn:
        line = self.text[self.text.rfind("\n", 0, self.at) + 1 : self.at]
        if re.search(r":\s", line):
            self.fail("a second `:` in one line", self.at, help="quote the value, or put it on a line of its own")
        if len(line) > 1024:
            raise error("E0101", "a key has at most 1,024 characters", Span(self.source, self.at - len(line), self.at))
        help_ = "the line above has a value already: check the indentation"
        self.fail("this `:` makes a key where none can stand", self.at, help=help_)

    def misfit(self) -> NoReturn:
        """A token that continues neither the collection it stands in nor one around it."""
        if not self.first_on_line():
            self.fail("more text after a complete value", self.at, help="quote the whole value")
        what = "mapping" if "mapping" in self.context else "list"
        label = Label(_word_span(self.source, self.opened), f"the {what} begins here")
        message = f"this line does not fit the {what} around it"
        self.fail(message, self.at, labels=(label,), help="check the indentation")
