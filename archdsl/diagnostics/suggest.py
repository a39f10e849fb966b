"""The known word that a misspelt one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

MAX_COMPARED = 500
"""Known words that one is compared with to find what was meant."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    return _closest(word[:64], tuple(islice(known, MAX_COMPARED)))


@lru_cache(maxsize=256)
def _closest(word: str, known: tuple[str, ...]) -> str | None:
    lowered = {k.lower(): k for k in reversed(known)}
    found = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.65)
    return lowered[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A help line: `did you mean ...?`, or the list of what there is when nothing is near."""
    known = list(known)
    best = closest(word, known)
    if best is not None:
        return f"did you mean `{best}`?"
    return "known: " + ", ".join(known[:40]) + (", ..." if len(known) > 40 else "") if known else ""
