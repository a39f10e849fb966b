"""Lay out expressions as Black does: on one line, else with all items on a second line, else with one item per line."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

WIDTH = 100
INDENT = "    "

Doc: TypeAlias = "str | SourceGroup | Joined | Infix"


@dataclass(frozen=True, slots=True)
class SourceGroup:
    """`head`, items separated by commas, `tail`; `spread`: one item per line even if they fit on one line."""

    head: str
    items: tuple[Doc, ...]
    tail: str = ")"
    spread: bool = False
    comma: bool = True
    """Whether a comma may follow the last item (not after a generator)."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts one after the other; only the last group in it can be broken into lines."""

    parts: tuple[Doc, ...]


@dataclass(frozen=True, slots=True)
class Infix:
    """Operands with an operator between them."""

    operator: str
    items: tuple[Doc, ...]


def flat(doc: Doc) -> str:
    """Return the expression on one line."""
    if isinstance(doc, str):
        return doc
    if isinstance(doc, Joined):
        return "".join(map(flat, doc.parts))
    if isinstance(doc, Infix):
        return f" {doc.operator} ".join(map(flat, doc.items))
    return f"{doc.head}{', '.join(map(flat, doc.items))}{doc.tail}"


def tuple_of(items: tuple[Doc, ...]) -> Doc:
    """Return `(a, b)`, or `(a,)` for one item."""
    return SourceGroup("(", items) if len(items) != 1 else Joined(("(", items[0], ",)"))


def fill(name: str, rows: Sequence[str]) -> str:
    """Return `name = (row, row, ...)` with wrapped rows, for constants with too many items for one per line."""
    lines = []
    for row in rows:
        lines += textwrap.wrap(
            f"{row},",
            WIDTH,
            initial_indent=INDENT,
            subsequent_indent=f"{INDENT} ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(["# fmt: off", f"{name} = (", *lines, ")", "# fmt: on"])


def _spread(doc: Doc) -> bool:
    if isinstance(doc, str):
        return False
    if isinstance(doc, Joined):
        return any(map(_spread, doc.parts))
    if isinstance(doc, Infix):
        return any(map(_spread, doc.items))
    return doc.spread or any(map(_spread, doc.items))


def lay(before: str, doc: Doc, after: str = "", indent: str = "") -> list[str]:
    """Return the lines of `before`, the expression, and `after`."""
    line = f"{indent}{before}{flat(doc)}{after}"
    if isinstance(doc, str) or (len(line) <= WIDTH and not _spread(doc)):
        return [line]
    if isinstance(doc, Joined):
        return _lay_joined(before, doc, after, indent)
    if isinstance(doc, Infix):
        inner = indent + INDENT
        rows = [f"{inner}{f'{doc.operator} ' if n else ''}{flat(item)}" for n, item in enumerate(doc.items)]
        return [f"{indent}{before}(", *rows, f"{indent}){after}"]
    lines = [f"{indent}{before}{doc.head}"]
    inner = f"{indent}{INDENT}{', '.join(map(flat, doc.items))}"
    if len(inner) <= WIDTH and not _spread(doc):
        return [*lines, inner, f"{indent}{doc.tail}{after}"]
    for number, item in enumerate(doc.items, 1):
        comma = "," if doc.comma or number < len(doc.items) else ""
        lines += lay("", item, comma, indent + INDENT)
    return [*lines, f"{indent}{doc.tail}{after}"]


def _lay_joined(before: str, doc: Joined, after: str, indent: str) -> list[str]:
    groups = [n for n, part in enumerate(doc.parts) if not isinstance(part, str)]
    if not groups:
        return [f"{indent}{before}{flat(doc)}{after}"]
    last = groups[-1]
    head = before + "".join(map(flat, doc.parts[:last]))
    return lay(head, doc.parts[last], "".join(map(flat, doc.parts[last + 1 :])) + after, indent)


def wrap(text: str, width: int = WIDTH - 2) -> list[str]:
    """Wrap a text to lines of at most `width` columns."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]
