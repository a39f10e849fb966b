"""Progress of long work, reported to functions that the caller passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the finished and the total amount of one piece of work."""

Watch: TypeAlias = Callable[[str], Progress | None]
"""Called with the name of a piece of work when it starts; returns a function for its progress, or None."""


def watched(watch: Watch | None, work: str) -> Progress:
    """Return the function for the progress of a piece of work; it does nothing if `watch` or its result is None."""
    progress = None if watch is None else watch(work)
    return _ignore if progress is None else progress


def _ignore(done: int, total: int) -> None:
    pass
