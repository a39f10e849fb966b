"""Silence the warnings of decoders, which may quote the contents of a file, while any thread decodes."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_ACTIVE: list[warnings.catch_warnings] = []
"""One entry per thread that decodes; the first restores the filters, after the last thread is done.

`warnings.catch_warnings` alone would restore them in the order in which threads end, and leave those of one in place.
"""


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore all warnings of the process until no thread is in this context any more."""
    with _LOCK:
        _ACTIVE.append(warnings.catch_warnings())
        if len(_ACTIVE) == 1:
            _ACTIVE[0].__enter__()
            warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with _LOCK:
            if len(_ACTIVE) == 1:
                _ACTIVE[0].__exit__(None, None, None)
                _ACTIVE.clear()
            else:
                _ACTIVE.pop()
