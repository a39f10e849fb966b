"""SPECs that are patterns: `resnet*` of the library, `specs/*.yaml` for files, `net.yaml#*` for variants of a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from typing import TypeVar, cast

from archdsl.diagnostics import closest, error
from archdsl.spec.find import SUFFIXES, find_spec, library_networks, names_file, names_of

T = TypeVar("T")
_MAGIC = "*?["


def expanded(specs: Iterable[T]) -> list[T]:
    """Replace each pattern among the SPECs by the SPECs that it matches, in the order of the library or of the names.

    Anything else stays: names, paths, networks. Raises E0205 (status 2) for a pattern that matches nothing, E0204 for
    one of variants, and the errors of a file whose variants are asked for.
    """
    found = [one for spec in specs for one in (_matches(spec) if isinstance(spec, str) else [spec])]
    return cast("list[T]", found)  # T includes the text of a pattern


def _matches(spec: str) -> Sequence[str]:
    head, mark, variant = spec.partition("#")
    if not _is_pattern(spec) or os.path.exists(spec):
        return [spec]
    heads = _heads(head) if _is_pattern(head) and not os.path.exists(head) else [head]
    if not _is_pattern(variant):
        return [f"{one}{mark}{variant}" for one in heads]
    return list(dict.fromkeys(found for one in heads for found in _networks(one, variant)))


def _is_pattern(text: str) -> bool:
    return any(c in text for c in _MAGIC)


def _heads(pattern: str) -> Sequence[str]:
    """Files if the pattern is a path, else names of the library."""
    if names_file(pattern):
        files = sorted(path for path in glob(pattern) if path.lower().endswith(SUFFIXES))
        if not files:
            raise error("E0205", f"no spec matches `{pattern[:80]}`", status=2, help="the names of specs end in .yaml")
        return files
    known = library_networks()
    return [name for name in known if fnmatchcase(name, pattern)] or _nothing("E0205", "the library", pattern, known)


def _networks(head: str, pattern: str) -> Sequence[str]:
    """The networks of a file: its own, and its variants."""
    own, variants = names_of(Path(find_spec(head).path))
    names = [name for name in (own, *variants) if fnmatchcase(name, pattern)]
    return [f"{head}#{name}" for name in names or _nothing("E0204", f"`{head}`", pattern, (own, *variants))]


def _nothing(code: str, place: str, pattern: str, known: Iterable[str]) -> Sequence[str]:
    best = closest(pattern.strip(_MAGIC + "]"), known)
    listed = ", ".join(known) if code == "E0204" else ""
    help = f"did you mean `{best}`?" if best else f"it has {listed}" if listed else "`archdsl list` lists all"
    raise error(code, f"{place} has no network `{pattern[:80]}`", status=2, help=help)
