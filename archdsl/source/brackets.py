"""Brackets in a text: nesting depth, and brackets that do not match."""

from __future__ import annotations

from collections.abc import Iterator

OPENING, CLOSING = "([{", ")]}"


def depths(text: str, opening: str = OPENING, closing: str = CLOSING) -> Iterator[tuple[int, str, int]]:
    """Yield each index and character, and the number of open brackets after it; negative after an unmatched closing
    bracket."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char in opening) - (char in closing)
        yield at, char, depth


def outside(text: str, separators: str, opening: str = OPENING, closing: str = CLOSING) -> list[int]:
    """Return the indices of the separators outside all brackets."""
    return [at for at, char, depth in depths(text, opening, closing) if not depth and char in separators]


def balanced(text: str, opening: str = "(", closing: str = ")") -> bool:
    """Return whether all brackets of this kind match."""
    depth = 0
    for _, _, depth in depths(text, opening, closing):
        if depth < 0:
            return False
    return not depth


def unmatched(text: str) -> int | None:
    """Return the index of the first unmatched closing bracket, else of the last unclosed one; None if all match."""
    opened: list[int] = []
    for at, char in enumerate(text):
        if char in OPENING:
            opened.append(at)
        elif char in CLOSING:
            if not opened or OPENING.index(text[opened[-1]]) != CLOSING.index(char):
                return at
            opened.pop()
    return opened[-1] if opened else None
