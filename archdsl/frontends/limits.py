"""A stranger's file may cost so much time and memory, and no more."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from archdsl.diagnostics import ArchError, error

SECONDS = 120
"""Of processor time; the largest networks of torchvision need five."""
MEMORY = 4 << 30
"""Bytes beyond what is taken already, and eight times the file."""


@contextmanager
def limited(size: int, seconds: int = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Raises E0847 where what is done inside, for a file of `size` bytes, needs more. Elsewhere than on Unix, and
    outside of the main thread, nothing is limited."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    import resource

    def over(number: int, frame: FrameType | None) -> None:
        raise _refused(f"{seconds} seconds of processor time")

    used = resource.getrusage(resource.RUSAGE_SELF)
    wanted = {
        resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime) + seconds,
        resource.RLIMIT_AS: _taken() + memory + 8 * size,
    }
    before = {kind: resource.getrlimit(kind) for kind in wanted}
    handler = signal.signal(signal.SIGXCPU, over)
    try:
        for kind, (soft, hard) in before.items():
            room = [limit for limit in (wanted[kind], soft, hard) if limit != resource.RLIM_INFINITY]
            resource.setrlimit(kind, (min(room), hard))
        yield
    except MemoryError:
        raise _refused(f"{memory >> 30} GiB of memory") from None
    finally:
        for kind, limits in before.items():
            resource.setrlimit(kind, limits)
        signal.signal(signal.SIGXCPU, handler)


def _refused(what: str) -> ArchError:
    return error(
        "E0847", f"the model needs more than {what} to be read: it is refused", help="is it what it says it is?"
    )


def _taken() -> int:
    """Bytes of address space in use; where the system does not tell, many."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * 4096
    except (OSError, ValueError):
        return 1 << 36
