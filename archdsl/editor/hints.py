"""Inlay hints: the output shape at the end of each node's line."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.editor.places import outputs, shapes
from archdsl.editor.positions import Positions
from archdsl.editor.snapshot import Snapshot
from archdsl.graph import Node


class Hint(NamedTuple):
    """A text after the character at `offset`; `detail` has the shapes as formulas of the input's size."""

    offset: int
    text: str
    detail: str


def hints(snapshot: Snapshot, lines: Positions) -> list[Hint]:
    """Return the output shape of each line with nodes; `lines` are those of the snapshot's text.

    A line that is built several times has the first shape, and the number of other shapes. A line that is being typed
    has none while the text has an error, nor has a line that may depend on a broken one.
    """
    old = lines if snapshot.shown is snapshot.network else Positions(snapshot.shown.document.source.text)
    by_line: dict[int, dict[str | None, Node]] = {}
    for (start, end), copies in outputs(snapshot.shown).items():
        here = snapshot.here(start, end)
        if here is None or lines.line_of(here[0]) != (line := lines.line_of(here[1])):
            continue
        if old is not lines and old.line_text(old.line_of(end)) != lines.line_text(line):
            continue
        known = by_line.setdefault(line, {})
        for call, node in copies.items():
            if call not in known or known[call].id < node.id:
                known[call] = node
    out = []
    for line, known in sorted(by_line.items()):
        nodes = [node for node in known.values() if node.known]
        if nodes:
            out.append(Hint(lines.line_end(line), f"→ {shapes(nodes)}", shapes(nodes, symbolic=True)))
    return out
