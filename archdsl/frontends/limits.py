"""Limits of time and memory for reading a file from a stranger."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from archdsl.diagnostics import ArchError, error

SECONDS = 120
"""Limit of processor time; the largest networks of torchvision need 5 s."""
MEMORY = 4 << 30
"""Limit in bytes, beyond the memory in use already and eight times the size of the file."""


@contextmanager
def limited(size: int, seconds: int = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Limit the time and memory of a `with` block that reads a file of `size` bytes. Raises E0847 if it needs more.

    On Windows, and outside the main thread, nothing is limited.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    import resource

    def stop(number: int, frame: FrameType | None) -> None:
        raise _too_expensive(f"{seconds} seconds of processor time")

    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {
        resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime) + seconds,
        resource.RLIMIT_AS: memory_in_use() + memory + 8 * size,
    }
    before = {kind: resource.getrlimit(kind) for kind in limits}
    handler = signal.signal(signal.SIGXCPU, stop)
    try:
        for kind, (soft, hard) in before.items():
            finite = [limit for limit in (limits[kind], soft, hard) if limit != resource.RLIM_INFINITY]
            resource.setrlimit(kind, (min(finite), hard))
        yield
    except MemoryError:
        raise _too_expensive(f"{memory >> 30} GiB of memory") from None
    finally:
        for kind, old in before.items():
            resource.setrlimit(kind, old)
        signal.signal(signal.SIGXCPU, handler)


def _too_expensive(limit: str) -> ArchError:
    return error(
        "E0847",
        f"reading the model needs more than {limit}, the limit",
        help="no network needs so much: check the file",
    )


def memory_in_use() -> int:
    """Bytes of address space in use; 64 GiB if the system does not report it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * 4096
    except (OSError, ValueError):
        return 1 << 36
