"""Writes a YAML layout: leaves and groups with their comments.

`fmt`, `expand` and `expand --flat` each create a layout, and this module alone decides on line breaks and quotes: block
style with an indent of two spaces, and flow style if it is requested and fits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TypeAlias

from archdsl.diagnostics import ArchError
from archdsl.source import plain_value
from archdsl.source.brackets import balanced

WIDTH = 120
"""Maximum width of a flow collection without its comment; long texts are never cut."""
_MARK = "\0"
"""Marks a comment to align; the text of a spec cannot contain it."""
_FILLED = 12
"""Lists of at least this many numbers or words that do not fit in a line are filled line by line."""


@dataclass(slots=True, eq=False)
class YamlLeaf:
    """A scalar: a string, or with `verbatim` a text to print as it is (a number, `null`, an alias).

    `wrap`: the text was on several lines and can be wrapped. `lines`: the body of a block scalar; `text` is its header.
    """

    text: str
    verbatim: bool = False
    anchor: str = ""
    wrap: bool = False
    lines: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class YamlEntry:
    """An item of a list (without key) or of a mapping; `above` are comments and, as "", blank lines.

    `aligned`: the comment beside it was in the same column as the one above or below, and stays aligned.
    """

    value: YamlLayout
    key: YamlLeaf | None = None
    above: tuple[str, ...] = ()
    beside: str = ""
    aligned: bool = False


@dataclass(slots=True, eq=False)
class YamlGroup:
    """A list or a mapping, with `flow` on one line if it fits. `below`: comments after its last entry."""

    entries: list[YamlEntry] = field(default_factory=list)
    mapping: bool = True
    flow: bool = False
    anchor: str = ""
    below: tuple[str, ...] = ()

    def get(self, key: str) -> YamlLayout | None:
        """Return the value of a key, or None."""
        return next((e.value for e in self.entries if e.key is not None and e.key.text == key), None)

    def put(self, key: str, value: YamlLayout) -> None:
        """Set the value of a key; a new key goes last."""
        entry = next((e for e in self.entries if e.key is not None and e.key.text == key), None)
        if entry is not None:
            entry.value = value
        else:
            self.entries.append(YamlEntry(value, YamlLeaf(key)))

    def drop(self, key: str) -> None:
        """Remove a key."""
        self.entries = [e for e in self.entries if e.key is None or e.key.text != key]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of a mapping, in order."""
        return tuple(e.key.text for e in self.entries if e.key is not None)

    @property
    def commented(self) -> bool:
        """Whether there is a comment anywhere inside."""
        return bool(self.below) or any(
            any(e.above) or e.beside or (isinstance(e.value, YamlGroup) and e.value.commented) for e in self.entries
        )

    @property
    def anchored(self) -> bool:
        """Whether this, or anything inside, has an anchor or is an alias."""
        return bool(self.anchor) or any(
            e.value.anchored if isinstance(e.value, YamlGroup) else is_alias(e.value) or bool(e.value.anchor)
            for e in self.entries
        )


YamlLayout: TypeAlias = YamlLeaf | YamlGroup


def is_alias(leaf: YamlLeaf) -> bool:
    """Return whether a leaf is an alias, `*name`."""
    return leaf.verbatim and leaf.text.startswith("*")


def mapping(values: Mapping[str, YamlLayout], flow: bool = False) -> YamlGroup:
    """Return a mapping as a group."""
    return YamlGroup([YamlEntry(value, YamlLeaf(key)) for key, value in values.items()], flow=flow)


def listing(values: Sequence[YamlLayout], flow: bool = False) -> YamlGroup:
    """Return a list as a group."""
    return YamlGroup([YamlEntry(value) for value in values], mapping=False, flow=flow)


# --- quotes --------------------------------------------------------------------------------------------------


def plain_safe(text: str, flow: bool, key: bool = False) -> bool:
    """Return whether YAML reads the text as the same string without quotes."""
    if not text or text != text.strip() or not text.isprintable() or text[0] in ",[]{}#&*!|>'\"%@`":
        return False
    if text[0] in "-?:" and (len(text) == 1 or text[1] in (" ,[]{}" if flow else " ")):
        return False
    if ": " in text or " #" in text or text.endswith(":") or text.startswith(("---", "...")) or text == "<<":
        return False
    # In flow style the reader takes an unmatched parenthesis for a call that YAML split at its comma.
    if flow and (text[0] == ":" or any(c in ",[]{}?" for c in text) or not balanced(text)):
        return False
    try:
        value = plain_value(text)
    except ArchError:
        return False
    return value is not None if key else isinstance(value, str)


def plain_or_quoted(text: str, flow: bool, key: bool = False) -> str:
    """Return the text, in quotes if YAML would not read it as the same string without them."""
    return text if plain_safe(text, flow, key) else quoted(text)


def quoted(text: str) -> str:
    """Return the text in quotes."""
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    # Invisible characters are escaped; unlike JSON, YAML has no surrogate pairs.
    return "".join(
        c if c.isprintable() or ord(c) < 128 else f"\\u{ord(c):04x}" if ord(c) < 65536 else f"\\U{ord(c):08x}"
        for c in json.dumps(text, ensure_ascii=False)
    )


def leaf_text(leaf: YamlLeaf, flow: bool, key: bool = False) -> str:
    """Return a leaf as text, in quotes if it needs them."""
    text = leaf.text if leaf.verbatim or leaf.lines else plain_or_quoted(leaf.text, flow, key)
    return f"&{leaf.anchor} {text}" if leaf.anchor else text


# --- flow ----------------------------------------------------------------------------------------------------


def flow_text(layout: YamlLayout) -> str | None:
    """Return the layout in flow style, or None if it has comments or texts of several lines."""
    if isinstance(layout, YamlLeaf):
        return None if layout.lines else leaf_text(layout, flow=True)
    if layout.commented:
        return None
    parts = []
    for entry in layout.entries:
        value = flow_text(entry.value)
        if value is None:
            return None
        parts.append(value if entry.key is None else f"{leaf_text(entry.key, True, key=True)}: {value}")
    text = "{" + ", ".join(parts) + "}" if layout.mapping else "[" + ", ".join(parts) + "]"
    return f"&{layout.anchor} {text}" if layout.anchor else text


# --- lines ---------------------------------------------------------------------------------------------------


def write(root: YamlGroup) -> str:
    """Return the layout as text that ends with a line break."""
    return "\n".join(_aligned(_block(root, 0))) + "\n"


def _aligned(lines: list[str]) -> list[str]:
    """Put the marked comments of consecutive lines into one column."""
    out: list[str] = []
    for marked, run in groupby(lines, key=lambda line: _MARK in line):
        parts = [line.partition(_MARK) for line in run]
        width = max(len(before) for before, _, _ in parts) if marked else 0
        out += [before.ljust(width) + comment for before, _, comment in parts]
    return out


def _comments(lines: tuple[str, ...], indent: int) -> list[str]:
    return [" " * indent + line if line else "" for line in lines]


def _block(group: YamlGroup, indent: int) -> list[str]:
    out: list[str] = []
    for entry in group.entries:
        out += _comments(entry.above, indent)
        out += _entry(entry, indent)
    return out + _comments(group.below, indent)


def _entry(entry: YamlEntry, indent: int) -> list[str]:
    head = " " * indent + ("-" if entry.key is None else leaf_text(entry.key, False, key=True) + ":")
    beside = f"{_MARK if entry.aligned else ''} {entry.beside}" if entry.beside else ""
    value = entry.value
    if isinstance(value, YamlLeaf):
        return _leaf(value, head, indent, beside)
    if value.flow or not value.entries:
        text = flow_text(value)
        if text is not None and (len(head) + 1 + len(text) <= WIDTH or not value.entries):
            return [f"{head} {text}{beside}"]
        if text is not None and entry.key is not None and indent + 2 + len(text) <= WIDTH:
            return [f"{head}{beside}", " " * (indent + 2) + text]
        if text is not None and _fillable(value):
            return _filled(value, head, indent, beside)
    anchor = f" &{value.anchor}" if value.anchor else ""
    if entry.key is not None or anchor:
        return [f"{head}{anchor}{beside}", *_block(value, indent + 2)]
    return _inline(value, indent, entry.beside)


def _inline(value: YamlGroup, indent: int, beside: str) -> list[str]:
    """A group whose first line follows the dash, `- - x` or `- key: x`; comments before it go above."""
    first = value.entries[0]
    body = _block(replace(value, entries=[replace(first, above=()), *value.entries[1:]]), indent + 2)
    above = tuple(line for line in (beside, *first.above) if line)
    while body[0].lstrip().startswith("#"):  # from further inside: `- - x`
        above += (body[0].lstrip(),)
        body = body[1:]
    return [*_comments(above, indent), " " * indent + "- " + body[0][indent + 2 :], *body[1:]]


def _leaf(leaf: YamlLeaf, head: str, indent: int, beside: str) -> list[str]:
    text = leaf_text(leaf, flow=False)
    if leaf.lines:
        body = [" " * (indent + 2) + line if line else "" for line in leaf.lines]
        return [f"{head} {text}{beside}", *body]
    plain = text == leaf.text and "  " not in text and not beside
    if not (leaf.wrap and plain) or len(head) + 1 + len(text) <= WIDTH:
        return [f"{head} {text}{beside}".rstrip()]
    return _wrapped(text.split(" "), head, " " * (indent + 2))


def _wrapped(words: list[str], head: str, pad: str) -> list[str]:
    """The words of a plain text, wrapped into lines."""
    lines, line = [], head
    for word in words:
        if len(line) + 1 + len(word) > WIDTH and line not in (head, pad):
            lines.append(line)
            line = pad + word
        else:
            line = f"{line} {word}"
    return [*lines, line]


def _fillable(group: YamlGroup) -> bool:
    leaves = [e.value for e in group.entries if isinstance(e.value, YamlLeaf)]
    return (
        not group.mapping and not group.anchor and len(group.entries) >= _FILLED and len(leaves) == len(group.entries)
    )


def _filled(group: YamlGroup, head: str, indent: int, beside: str) -> list[str]:
    """A long list of words or numbers in flow style, with as many in a line as fit."""
    pad = " " * (indent + 4)
    items = [f"{flow_text(e.value)}," for e in group.entries]
    items[0], items[-1] = "[" + items[0], items[-1][:-1] + "]"
    lines = _wrapped(items, head, pad)
    return [*lines[:-1], lines[-1] + beside]
