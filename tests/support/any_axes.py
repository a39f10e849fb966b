"""Texts of specs for signals, images and volumes: `<3,2,1> conv 8` is `3 conv 8`, `3x2 conv 8` or `3x2x1 conv 8`."""

from __future__ import annotations

import re


def for_axes(text: str, axes: int) -> str:
    """Return the text for inputs with so many axes.

    `<3>` has one number for all axes, `<3,2,1>` one for each, and `[1,0,2|0,1,1]` one for each begin and end.
    """

    def window(match: re.Match[str]) -> str:
        numbers = match[1].split(",")
        numbers = numbers[:axes] if len(numbers) > 1 else numbers * axes
        return f"[{','.join(numbers)}]" if match.string[match.start() - 1] == "=" else "x".join(numbers)

    def sides(match: re.Match[str]) -> str:
        return "[" + ",".join(",".join(part.split(",")[:axes]) for part in match[1].split("|")) + "]"

    return re.sub(r"<([\d,]+)>", window, re.sub(r"\[([-\d,]+\|[-\d,]+)\]", sides, text))
