"""The folder in which archdsl keeps what it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ARCHDSL_CACHE, or `archdsl` in the user's cache folder; it may not exist.

    Raises RuntimeError if there is none, or its path is relative: that would be a folder of the working directory.
    """
    own = os.environ.get("ARCHDSL_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    folder = Path(own or base).expanduser()
    if folder == Path("/.cache") or not folder.is_absolute():
        raise RuntimeError("no cache folder")
    return folder if own else folder / "archdsl"
