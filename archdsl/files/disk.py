"""Write blocks directly to the disk (`O_DIRECT`), without the page cache.

An output is synced before it is moved into place, so a copy of hundreds of megabytes in the page cache gains nothing.
Finding pages for VGG-16's 553 MB took 0.2 s to 1.4 s of processor time; direct writing took 0.1 s to 0.3 s, and the
cache keeps its contents.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import sys

BLOCK = 1 << 23
"""Size of the write buffer in bytes: larger than any disk needs for its maximum rate."""


class DirectFile(io.RawIOBase):
    """A file open for writing, with direct writes of whole blocks on Linux.

    A last partial block is written normally, on flush or close. So are all blocks if the file system has no `O_DIRECT`,
    or if a flush left the file at an offset that is not a multiple of the disk's block size.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._buffer = memoryview(mmap.mmap(-1, BLOCK))  # starts at a page boundary, as O_DIRECT requires
        self._used = 0
        self._has_direct = sys.platform == "linux"

    def fileno(self) -> int:
        return self._handle

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """Write all bytes. Raises OSError."""
        done = 0
        while done < len(data):
            count = min(len(data) - done, BLOCK - self._used)
            self._buffer[self._used : self._used + count] = data[done : done + count]
            self._used += count
            done += count
            if self._used == BLOCK:
                self._write_buffer(self._has_direct)
        return done

    def flush(self) -> None:
        if not self.closed:
            self._write_buffer(False)

    def close(self) -> None:
        if not self.closed:
            try:
                super().close()  # flushes
            finally:
                os.close(self._handle)

    def _write_buffer(self, direct: bool) -> None:
        rest, self._used = self._buffer[: self._used], 0
        while rest:
            try:
                if self._has_direct:
                    _set_direct(self._handle, direct)
                rest = rest[os.write(self._handle, rest) :]
            except OSError as failure:
                if not direct or failure.errno != errno.EINVAL:
                    raise
                direct = False  # not on this file system, or not at this offset


def _set_direct(handle: int, on: bool) -> None:
    import fcntl

    flags = fcntl.fcntl(handle, fcntl.F_GETFL)
    wanted = flags | os.O_DIRECT if on else flags & ~os.O_DIRECT
    if wanted != flags:
        fcntl.fcntl(handle, fcntl.F_SETFL, wanted)
