"""Brackets of a text: how deep each character lies, and where they do not match."""

from __future__ import annotations

from collections.abc import Iterator

OPENING, CLOSING = "([{", ")]}"


def depths(text: str, opening: str = OPENING, closing: str = CLOSING) -> Iterator[tuple[int, str, int]]:
    """Index and character of a text, and the number of brackets that are open behind it; below 0 where one too many
    closes."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char in opening) - (char in closing)
        yield at, char, depth


def outside(text: str, separators: str, opening: str = OPENING, closing: str = CLOSING) -> list[int]:
    """Where the separators stand that no bracket holds."""
    return [at for at, char, depth in depths(text, opening, closing) if not depth and char in separators]


def balanced(text: str, opening: str = "(", closing: str = ")") -> bool:
    """Whether every bracket is closed, and none closes nothing; one kind of bracket is looked at."""
    depth = 0
    for _, _, depth in depths(text, opening, closing):
        if depth < 0:
            return False
    return not depth


def unmatched(text: str) -> int | None:
    """The first bracket that closes nothing, else the last that is never closed; None where all match."""
    opened: list[int] = []
    for at, char in enumerate(text):
        if char in OPENING:
            opened.append(at)
        elif char in CLOSING:
            if not opened or OPENING.index(text[opened[-1]]) != CLOSING.index(char):
                return at
            opened.pop()
    return opened[-1] if opened else None
