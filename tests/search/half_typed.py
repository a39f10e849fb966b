"""Texts that are being typed, and all that an editor asks about each: `python -m tests.search.half_typed --count 2000`.

An edit types a line of a library file again, or a new line after it, character by character, also with line ends of
Windows and with characters beyond ASCII before it. Every state is read with the state before it, as in an editor.
Nothing may raise; and the lines that are not being typed keep their shapes.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from archdsl.diagnostics import Source
from archdsl.editor.completion import complete
from archdsl.editor.edits import fixes, formatting
from archdsl.editor.hints import hints
from archdsl.editor.hover import hover
from archdsl.editor.names import definitions, occurrence_at, references
from archdsl.editor.outline import folds, outline
from archdsl.editor.positions import Positions
from archdsl.editor.snapshot import Snapshot, snapshots
from archdsl.spec.find import library_files

MAX_NODES = 400
"""The most nodes of a file that is typed in, so that 2,000 states take minutes."""


@dataclass
class Found:
    """What the states have shown so far. `lines`: in all states, those that had a shape and are not being typed."""

    states: int = 0
    not_yaml: int = 0
    wrong: int = 0
    """States with an error that is not one of YAML."""
    crashes: list[str] = field(default_factory=list)
    lines: int = 0
    kept: int = 0
    """Lines that still have a shape."""
    opened_lines: int = 0
    opened: int = 0
    """The same, if the file was opened in this state, so that nothing is known of an earlier one."""
    slowest: float = 0.0


@cache
def original(path: Path) -> Snapshot:
    """A file of the library, read."""
    return next(snapshots(Source(str(path), path.read_text("utf-8"), path)))


def typed(text: str, draw: random.Random) -> tuple[int, bool, Iterator[tuple[str, int]]]:
    """An edit: its line, whether that is a new one, and the states of the text with the place of the cursor."""
    lines = text.split("\n")
    first = next(n for n, line in enumerate(lines) if line.startswith(("args:", "blocks:", "net:")))
    number = draw.randrange(first, len(lines))
    new = draw.random() < 0.3
    if new:
        lines.insert(number, draw.choice(lines))
    line = lines[number]
    start = sum(len(one) + 1 for one in lines[:number])
    begin = len(line) - len(line.lstrip()) if draw.random() < 0.7 else draw.randrange(len(line) + 1)

    def states() -> Iterator[tuple[str, int]]:
        for length in range(begin, len(line) + 1):
            yield "\n".join([*lines[:number], line[:length], *lines[number + 1 :]]), start + length

    return number, new, states()


def ask(snapshot: Snapshot, offset: int, draw: random.Random) -> set[int]:
    """Ask all that an editor asks at a cursor; return the lines with a shape."""
    lines = Positions(snapshot.text)
    elsewhere = draw.randrange(len(snapshot.text) + 1)
    position = lines.position(elsewhere)
    assert lines.offset(*position) in (elsewhere, elsewhere - 1)
    for at in (offset, elsewhere):
        hover(snapshot, at)
        complete(snapshot, snapshot.text, at)
        definitions(snapshot, at)
        here = occurrence_at(snapshot, at)
        if here is not None:
            assert here in references(snapshot, here.symbol)
        for _, fix in fixes(snapshot, at, at):
            assert fix.edits
    outline(snapshot)
    folds(snapshot, lines)
    if draw.random() < 0.02:
        formatting(snapshot.source)
    return {lines.line_of(hint.offset) for hint in hints(snapshot, lines)}


def search(count: int, seed: int = 0) -> Found:
    """Read `count` states; print each that raises."""
    found, draw = Found(), random.Random(seed)
    while found.states < count:
        path = draw.choice(library_files())
        if len(original(path).network.nodes) > MAX_NODES:
            continue
        text = original(path).text
        if draw.random() < 0.3:
            text = text.replace("\nname:", "\n# größer, schöner \N{SLIGHTLY SMILING FACE}\nname:", 1)
        if draw.random() < 0.3:
            text = text.replace("\n", "\r\n")
        before = next(snapshots(Source(str(path), text, path)))
        number, new, states = typed(text, draw)
        shown = ask(before, 0, draw)
        others = {line + (new and line >= number) for line in shown if new or line != number}
        for state, offset in states:
            if found.states >= count:
                break
            found.states += 1
            source = Source(str(path), state, path)
            begin = time.perf_counter()
            try:
                before = next(snapshots(source, before))
                shown = ask(before, offset, draw)
                found.slowest = max(found.slowest, time.perf_counter() - begin)
                if draw.random() < 0.1:
                    found.opened += len(others & ask(next(snapshots(source)), offset, draw))
                    found.opened_lines += len(others)
            except Exception:
                trouble = f"{path.stem}, line {number + 1}, at {offset}:\n{traceback.format_exc()}"
                found.crashes.append(trouble)
                print(trouble, flush=True)
                break
            codes = [d.code for d in before.diagnostics if d.severity == "error"]
            found.not_yaml += any(code.startswith("E01") for code in codes)
            found.wrong += bool(codes) and not any(code.startswith("E01") for code in codes)
            found.lines += len(others)
            found.kept += len(others & shown)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="states (2,000)")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    found = search(chosen.count, chosen.seed)
    print(
        f"{found.states:,} states: {found.not_yaml / found.states:.0%} not YAML, {found.wrong / found.states:.0%} with "
        f"other errors; {len(found.crashes)} crashes; {found.kept / max(found.lines, 1):.1%} of the other lines keep "
        f"their shapes, {found.opened / max(found.opened_lines, 1):.1%} if the file is opened so; "
        f"slowest answer to all requests {found.slowest * 1e3:.0f} ms"
    )
    return 1 if found.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
