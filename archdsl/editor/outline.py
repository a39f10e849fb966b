"""The sections, blocks and nodes of a text as an outline, and what can be folded."""

from __future__ import annotations

import re
from typing import NamedTuple

from archdsl.diagnostics import Span
from archdsl.editor.places import outputs, shapes
from archdsl.editor.positions import Positions
from archdsl.editor.snapshot import Snapshot
from archdsl.source import Entry, Map, Scalar, Seq, Tree

MAX_SYMBOLS = 5_000
"""The most entries of an outline; a longer one is cut, as nobody reads it."""
_COMMENTS = re.compile(r"^[ \t]*#.*(?:\r?\n[ \t]*#.*)+", re.MULTILINE)
_KINDS = {"args": "argument", "blocks": "block", "variants": "network", "net": "node", "aux": "node", "inputs": "input"}

_INSIDE = {"block": "node", "argument": "section"}


class Item(NamedTuple):
    """An entry of the outline: `span` has its key and its value, `key` is selected when the editor goes there."""

    name: str
    kind: str
    """section, argument, block, network, input, or node"""
    detail: str
    span: Span
    key: Span
    children: tuple[Item, ...]


def outline(snapshot: Snapshot) -> tuple[Item, ...]:
    """Return the outline of a text. The detail of a node is its text and its output shape."""
    shown = {}
    for (start, end), nodes in outputs(snapshot.shown).items():
        known = [node for node in nodes.values() if node.known]
        here = snapshot.here(start, end)
        if known and here is not None:
            shown[here] = f" → {shapes(known)}"
    left = MAX_SYMBOLS

    def items(tree: Tree, kind: str) -> tuple[Item, ...]:
        return tuple(item(entry, kind) for entry in tree.entries.values()) if isinstance(tree, Map) and left > 0 else ()

    def item(entry: Entry, kind: str) -> Item:
        nonlocal left
        left -= 1
        key, value = entry
        text = " ".join(value.text.split())[:60] if isinstance(value, Scalar) else ""
        detail = f"{text}{shown.get((value.span.start, value.span.end), '')}".strip()
        inner = _KINDS.get(key.text, "section") if kind in ("section", "network") else _INSIDE.get(kind, kind)
        return Item(key.text or "?", kind, detail, key.span.to(value.span), key.span, items(value, inner))

    return items(snapshot.tree, "section")


def folds(snapshot: Snapshot, lines: Positions) -> list[tuple[int, int, bool]]:
    """Return the first and the last line of what can be folded, and whether it is a comment."""
    out = [
        (lines.line_of(block.start()), lines.line_of(block.end()), True) for block in _COMMENTS.finditer(snapshot.text)
    ]
    stack: list[tuple[Span, Tree]] = [(entry.key.span, entry.value) for entry in snapshot.tree.entries.values()]
    while stack:
        start, tree = stack.pop()
        if isinstance(tree, Scalar) and "\n" not in tree.span.text:
            continue
        first, last = lines.line_of(start.start), lines.line_of(tree.span.end)
        if first < last:
            out.append((first, last, False))
        if isinstance(tree, Map):
            stack += [(entry.key.span, entry.value) for entry in tree.entries.values()]
        elif isinstance(tree, Seq):
            stack += [(item.span, item) for item in tree.items]
    return sorted(set(out))
