"""Rewrite a text file: its changes as a unified diff, and an atomic write."""

from __future__ import annotations

import stat
from pathlib import Path

from archdsl.diagnostics import error
from archdsl.files.atomic import atomic_write


def difference(name: str, before: str, after: str, what: str) -> str:
    """Return the changes as a unified diff, in which the new file is named `NAME (what)`; empty if there are none."""
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(True), after.splitlines(True), name, f"{name} ({what})")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def rewrite(name: str, before: str, after: str) -> None:
    """Replace a file that contains `before`, atomically; of a link, the target.

    Raises E0701 if the file cannot be written or no longer contains `before`, E0704 if the disk is full.
    """
    path = Path(name).resolve()
    if path.exists() and not path.stat().st_mode & stat.S_IWUSR:
        raise error("E0701", f"cannot write `{name[-120:]}`: the file is read-only", status=2)
    with atomic_write(path, replaceable=lambda target: True) as output:
        if path.read_bytes() != before.encode():
            raise error("E0701", f"cannot write `{name[-120:]}`: it changed in the meantime", status=2)
        output.write(after.encode())
