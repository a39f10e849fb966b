"""Suggest a known word for a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

MAX_COMPARED = 500
"""The largest number of known words that a misspelt one is compared with."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most similar to `word`; None if none is similar."""
    return _closest(word[:64], tuple(islice(known, MAX_COMPARED)))


@lru_cache(maxsize=256)
def _closest(word: str, known: tuple[str, ...]) -> str | None:
    lowered = {k.lower(): k for k in reversed(known)}
    matches = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.65)
    return lowered[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a help line: `did you mean ...?`, or the known words if none is similar."""
    known = list(known)
    best = closest(word, known)
    if best is not None:
        return f"did you mean `{best}`?"
    return "known: " + ", ".join(known[:40]) + (", ..." if len(known) > 40 else "") if known else ""
