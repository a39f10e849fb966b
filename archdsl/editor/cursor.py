"""Where the cursor is in a text that may not be YAML: the keys around it, and the words before it."""

from __future__ import annotations

import re
from typing import NamedTuple

_KEY = re.compile(r"""\s*(?:- +)*["']?([^\s"'{}\[\],#&*:][^"'{}\[\]#:]*?)["']?\s*:(?:\s|$)""")
_INDENT = re.compile(r"[ ]*(?:-(?: +|$))*")
MAX_LINES = 5_000
"""The most lines above the cursor that are searched for its keys."""


class Cursor(NamedTuple):
    """`path`: the keys around the cursor, from the root. `words`: the text before it in the same key or value."""

    path: tuple[str, ...]
    words: str
    is_key: bool
    """Whether a key can be written here."""
    in_list: bool = False
    comment: bool = False


def cursor_at(text: str, offset: int) -> Cursor:
    """Return where an offset is. Keys are found by their indentation, so errors in other lines do not matter."""
    start = text.rfind("\n", 0, offset) + 1
    line = text[start:offset]
    if re.search(r"(^|\s)#", line):
        return Cursor((), "", False, comment=True)
    lead = _INDENT.match(line)
    assert lead is not None
    dashes = line[: lead.end()].find("-")
    path = _keys_above(text, start, lead.end() if dashes < 0 else dashes, dashes >= 0)
    return _in_line(line[lead.end() :], path, "-" in lead.group())


def _keys_above(text: str, start: int, indent: int, in_list: bool) -> tuple[str, ...]:
    """The keys of the lines above that are indented less; a list may be indented as its key."""
    path: list[str] = []
    for _ in range(MAX_LINES):
        if start == 0:
            break
        end = start - 1
        start = text.rfind("\n", 0, end) + 1
        line = text[start:end]
        lead = _INDENT.match(line)
        key = _KEY.match(line)
        if lead is None or key is None or line.lstrip().startswith("#"):
            continue
        column = lead.end()
        if column < indent or (in_list and column == indent and "-" not in lead.group()):
            path.insert(0, key[1].strip())
            dash = line[:column].find("-")
            indent, in_list = (column, False) if dash < 0 else (dash, True)
        if indent == 0:
            break
    return tuple(path)


def _in_line(line: str, path: tuple[str, ...], in_list: bool) -> Cursor:
    """Go through `key: {key: [words`: each bracket opens a collection, each comma ends an entry."""
    stack: list[tuple[str, tuple[str, ...]]] = []
    parens = begin = 0
    is_value = in_list
    for at, char in enumerate(line):
        if char in "()":
            parens = max(0, parens + (1 if char == "(" else -1))
        elif parens:
            continue
        elif char == ":" and (at + 1 == len(line) or line[at + 1] in " \t"):
            path, begin, is_value = (*path, line[begin:at].strip().strip("\"'")), at + 1, True
        elif char in "{[" and not line[begin:at].strip():
            stack.append((char, path))
            begin, is_value = at + 1, char == "["
        elif char in "}]" and stack and (stack[-1][0] == "{") == (char == "}"):
            path, begin = stack.pop()[1], at + 1
        elif char == "," and stack and "<-" not in line[begin:at]:
            path, begin, is_value = stack[-1][1], at + 1, stack[-1][0] == "["
    in_list = in_list if not stack else stack[-1][0] == "["
    return Cursor(path, line[begin:].lstrip(), not is_value, in_list)
