"""The networks of the library with what they cost, remembered between runs.

Each has to be elaborated to be counted. The result is kept in the user's cache folder under a key that changes with
any spec and any file of this package; where nothing can be kept, everything is counted anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from archdsl import library


@dataclass(frozen=True, slots=True)
class Entry:
    """One network. `family` is the name of the network whose file it is a variant of, or its own."""

    name: str
    family: str
    year: int | None
    input: str
    params: int
    macs: int
    depth: int
    title: str
    file: str


def catalog(progress: Callable[[int, int], None] | None = None) -> tuple[Entry, ...]:
    """Every network of the library, family by family. Raises ArchError where one of its specs is wrong."""
    key = _key()
    entries = _remembered(key)
    if entries is None:
        entries = _counted(progress)
        _remember(key, entries)
    return entries


def _counted(progress: Callable[[int, int], None] | None) -> tuple[Entry, ...]:
    from archdsl.network import open_network

    names = library.names()
    out = []
    for number, (name, found) in enumerate(names.items()):
        net = open_network(name, {})
        paper, totals = net.document.paper, net.totals
        out.append(
            Entry(name, net.document.family, paper.year if paper else None, net.graph.input_spec, totals.params,
                  totals.macs, totals.depth, paper.title if paper else "", Path(found.path).name)
        )  # fmt: skip
        if progress is not None:
            progress(number + 1, len(names))
    return tuple(out)


# --- remembered ------------------------------------------------------------------------------------------


def _key() -> str:
    """Changes with the text of any spec, and with any file of the package that counts them."""
    digest = hashlib.sha256()
    for path in library.files():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    package = Path(__file__).parent
    for folder, folders, names in os.walk(package):
        folders.sort()
        for name in sorted(n for n in names if n.endswith(".py")):
            found = os.stat(os.path.join(folder, name))
            digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _place() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    return Path(base).expanduser() / "archdsl" / "catalog.json"


def _remembered(key: str) -> tuple[Entry, ...] | None:
    try:
        data = json.loads(_place().read_text(encoding="utf-8"))
        return tuple(_entry(row) for row in data["entries"]) if data["key"] == key else None
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):
        return None


def _entry(row: dict[str, Any]) -> Entry:
    numbers = {"year", "params", "macs", "depth"}
    for field in fields(Entry):
        kind = int if field.name in numbers else str
        if not isinstance(row[field.name], kind) and not (field.name == "year" and row["year"] is None):
            raise TypeError(field.name)
    return Entry(**row)


def _remember(key: str, entries: tuple[Entry, ...]) -> None:
    from archdsl.diagnostics import ArchError
    from archdsl.files import atomic_write

    with suppress(OSError, RuntimeError, ArchError):
        place = _place()
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place, force=True) as file:
            file.write(json.dumps({"key": key, "entries": [asdict(e) for e in entries]}).encode())
