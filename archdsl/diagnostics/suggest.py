"""Suggest a known word for a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

from archdsl.diagnostics.fixes import Proposal

MAX_COMPARED = 500
"""The largest number of known words that a misspelt one is compared with."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most similar to `word`; None if none is similar."""
    return next(iter(_nearest(word[:64], tuple(islice(known, MAX_COMPARED)))), None)


@lru_cache(maxsize=256)
def _nearest(word: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The most similar known words: several, at most three, if they are equally similar."""
    lowered = {k.lower(): k for k in reversed(known)}
    matches = difflib.get_close_matches(word.lower(), list(lowered), n=3, cutoff=0.65)
    ratios = [difflib.SequenceMatcher(None, match, word.lower()).ratio() for match in matches]
    return tuple(lowered[match] for match, ratio in zip(matches, ratios, strict=True) if ratio == ratios[0])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a help line: `did you mean ...?`, or the known words if none is similar."""
    known = list(known)
    best = closest(word, known)
    if best is not None:
        return suggestion(word, best, known)
    return "known: " + ", ".join(known[:40]) + (", ..." if len(known) > 40 else "") if known else ""


def suggestion(word: str, best: str, known: Iterable[str] = ()) -> Proposal:
    """Return `did you mean ...?`, with the fix that writes `best` in place of `word`, and the words as near as `best`.

    The fix is safe if `best` is the only word of `known` that is one typing error away: a letter too many, missing,
    wrong, or two exchanged.
    """
    known = tuple(islice(known, MAX_COMPARED))
    typos = {k for k in known if _one_typo(word, k)}
    near = _nearest(word[:64], known)
    offered = " or ".join(f"`{k}`" for k in (near if best in near else (best,)))
    return Proposal(f"did you mean {offered}?", best, word, safe=len(word) > 3 and typos == {best})


def _one_typo(word: str, known: str) -> bool:
    """Whether one typing error in letters makes `word` of `known`; a digit is never one: `conv1` and `conv2` differ."""
    if word == known or [*filter(str.isdigit, word)] != [*filter(str.isdigit, known)]:
        return False
    same = next((n for n, (a, b) in enumerate(zip(word, known, strict=False)) if a != b), min(len(word), len(known)))
    a, b = word[same:], known[same:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[1::-1] == b[:2] and a[2:] == b[2:])
