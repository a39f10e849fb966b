"""A YAML text as it will be printed: leaves and groups that know their comments, laid out in lines.

`fmt`, `expand` and `expand --flat` make a layout each, and this module alone decides where lines break and
what stands in quotes: block style, two blanks a level, flow style where it was asked for and fits.
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
"""Columns that a flow collection may reach; comments do not count, and a long text is never cut."""
_MARK = "\0"
"""Stands before a comment that is to be aligned; no text of a spec can hold it."""
_FILLED = 12
"""From so many numbers or words on, a list that does not fit is filled line by line, not put one to a line."""


@dataclass(slots=True, eq=False)
class YamlLeaf:
    """A scalar. A string, unless `verbatim`: then `text` is printed as it is (a number, `null`, an alias).

    `wrap`: the text stood on several lines, and may again. `lines`: the body of a block scalar whose header is `text`.
    """

    text: str
    verbatim: bool = False
    anchor: str = ""
    wrap: bool = False
    lines: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class YamlEntry:
    """An item of a list (without key) or of a mapping; `above` are comments and, as "", blank lines.

    `aligned`: the comment beside it stood below or above another in the same column, and shall again.
    """

    value: YamlLayout
    key: YamlLeaf | None = None
    above: tuple[str, ...] = ()
    beside: str = ""
    aligned: bool = False


@dataclass(slots=True, eq=False)
class YamlGroup:
    """A list or a mapping; with `flow` on one line where it fits. `below`: comments behind its last entry."""

    entries: list[YamlEntry] = field(default_factory=list)
    mapping: bool = True
    flow: bool = False
    anchor: str = ""
    below: tuple[str, ...] = ()

    def get(self, key: str) -> YamlLayout | None:
        return next((e.value for e in self.entries if e.key is not None and e.key.text == key), None)

    def put(self, key: str, value: YamlLayout) -> None:
        """Sets the value of a key, a new key going last."""
        found = next((e for e in self.entries if e.key is not None and e.key.text == key), None)
        if found is not None:
            found.value = value
        else:
            self.entries.append(YamlEntry(value, YamlLeaf(key)))

    def drop(self, key: str) -> None:
        self.entries = [e for e in self.entries if e.key is None or e.key.text != key]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(e.key.text for e in self.entries if e.key is not None)

    @property
    def commented(self) -> bool:
        """Whether a comment stands anywhere inside."""
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
    return leaf.verbatim and leaf.text.startswith("*")


def mapping(values: Mapping[str, YamlLayout], flow: bool = False) -> YamlGroup:
    return YamlGroup([YamlEntry(value, YamlLeaf(key)) for key, value in values.items()], flow=flow)


def listing(values: Sequence[YamlLayout], flow: bool = False) -> YamlGroup:
    return YamlGroup([YamlEntry(value) for value in values], mapping=False, flow=flow)


# --- quotes --------------------------------------------------------------------------------------------------


def plain_safe(text: str, flow: bool, key: bool = False) -> bool:
    """Whether YAML reads the text back as this very string without quotes."""
    if not text or text != text.strip() or not text.isprintable() or text[0] in ",[]{}#&*!|>'\"%@`":
        return False
    if text[0] in "-?:" and (len(text) == 1 or text[1] in (" ,[]{}" if flow else " ")):
        return False
    if ": " in text or " #" in text or text.endswith(":") or text.startswith(("---", "...")) or text == "<<":
        return False
    # In flow style the reader takes a lone parenthesis for a call that YAML split at its comma.
    if flow and (text[0] == ":" or any(c in ",[]{}?" for c in text) or not balanced(text)):
        return False
    try:
        value = plain_value(text)
    except ArchError:
        return False
    return value is not None if key else isinstance(value, str)


def quoted(text: str) -> str:
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    # What is invisible is written so that it can be seen; YAML has no pairs of surrogates, as JSON has.
    return "".join(
        c if c.isprintable() or ord(c) < 128 else f"\\u{ord(c):04x}" if ord(c) < 65536 else f"\\U{ord(c):08x}"
        for c in json.dumps(text, ensure_ascii=False)
    )


def leaf_text(leaf: YamlLeaf, flow: bool, key: bool = False) -> str:
    text = leaf.text if leaf.verbatim or leaf.lines or plain_safe(leaf.text, flow, key) else quoted(leaf.text)
    return f"&{leaf.anchor} {text}" if leaf.anchor else text


# --- flow ----------------------------------------------------------------------------------------------------


def flow_text(layout: YamlLayout) -> str | None:
    """The layout in flow style, None where that cannot hold it: comments, and texts of several lines."""
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
    """The text, with a line feed at its end."""
    return "\n".join(_aligned(_block(root, 0))) + "\n"


def _aligned(lines: list[str]) -> list[str]:
    """Puts the marked comments of lines that follow one another into one column."""
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
    """`- - x` and `- key: x`: a group whose first line stands behind the dash; comments before it go above."""
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
    return _folded(text.split(" "), head, " " * (indent + 2))


def _folded(words: list[str], head: str, pad: str) -> list[str]:
    """The words of a plain text, over as many lines as it takes."""
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
    """A long list of words or numbers in flow style, as many to a line as fit."""
    pad = " " * (indent + 4)
    items = [f"{flow_text(e.value)}," for e in group.entries]
    items[0], items[-1] = "[" + items[0], items[-1][:-1] + "]"
    lines = _folded(items, head, pad)
    return [*lines[:-1], lines[-1] + beside]
