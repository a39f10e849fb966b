"""Open a file of images, and turn what decoders raise into errors of that file."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from archdsl.diagnostics import ArchError, error
from archdsl.files.atomic import NotRegular, open_regular, reason
from archdsl.runtime.images.pixels import Unusable, unreadable
from archdsl.runtime.images.quiet import quiet
from archdsl.runtime.images.source import Source


class Bounded:
    """A file whose reads are no longer than the rest of it: a length in a damaged header must not allocate memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size = file, os.fstat(file.fileno()).st_size

    def read(self, count: int | None = -1) -> bytes:
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if count is None or count < 0 else min(count, left))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def opened(source: Source, path: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file of the sample, by default its first. Raises E0804 if it cannot be read, also within the context."""
    try:
        file = open_regular(path or source.path)
    except NotRegular:
        raise unreadable(source, "it is not a regular file") from None
    except (OSError, ValueError) as problem:
        raise error("E0804", f"cannot read `{source.name[-120:]}`: {reason(problem)}", status=2) from None
    part = f"`{path.name[-120:]}`" if path is not None and len(source.paths) > 1 else "it"
    with file, quiet():
        try:
            yield cast(BinaryIO, Bounded(file))
        except (ArchError, MemoryError):
            raise
        except Unusable as problem:
            raise unreadable(source, str(problem)) from None
        except (OSError, EOFError, zlib.error):
            raise unreadable(source, f"{part} is truncated or damaged") from None
        except Exception as problem:  # decoders raise anything for a damaged file
            raise unreadable(source, f"{part} is damaged ({type(problem).__name__})") from None
