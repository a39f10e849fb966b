"""How long work reports how far it is: through functions that the caller passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the finished and the whole amount of one piece of work."""

Watch: TypeAlias = Callable[[str], Progress | None]
"""Called with the name of a piece of work when it starts; returns the function that follows it, or None."""


def watched(watch: Watch | None, work: str) -> Progress:
    """The function that follows a piece of work; it does nothing if nobody watches."""
    progress = None if watch is None else watch(work)
    return _ignore if progress is None else progress


def _ignore(done: int, whole: int) -> None:
    pass
