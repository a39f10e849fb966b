"""A small network for the tests of the editor, and how a test names a place in it."""

from __future__ import annotations

from pathlib import Path

from archdsl.diagnostics import Source
from archdsl.editor.positions import Positions
from archdsl.editor.snapshot import Snapshot, snapshots

TINY = """# größer 🙂
name: tiny
input: 3x32x32
args: {classes: 10, width: 16}
defaults: {conv: bn relu}
blocks:
  basic(w, s=1):
    residual:
      conv1: 3x3 conv w /s
      conv2: 3x3 conv w linear
    then: relu
net:
  stem: 3x3 conv width
  body: 2 * basic(32, 2 if first else 1)
  same: basic(32)
  pool: gap
  fc: fc classes
variants:
  wide: {width: 32}
"""


def snapshot(text: str = TINY, before: Snapshot | None = None, path: Path | None = None) -> Snapshot:
    """The first snapshot of a text."""
    return next(snapshots(Source("tiny.yaml", text, path), before))


def shown(snapshot: Snapshot) -> dict[str, str]:
    """The hints by the text of their lines."""
    from archdsl.editor.hints import hints

    lines = Positions(snapshot.text)
    return {lines.line_text(lines.line_of(h.offset)).strip(): h.text for h in hints(snapshot, lines)}


def at(text: str) -> int:
    """The offset in TINY that `|` marks in a part of it."""
    return TINY.index(text.replace("|", "")) + text.index("|")
