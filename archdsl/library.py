"""Finds a spec: by path, by path and variant, by a name of the library, or on standard input."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from archdsl.diagnostics import ArchError, Source, closest, error
from archdsl.source import Map, Scalar, parse, read

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Found:
    """The file that a SPEC means, and the variant of it (None: the file's own network)."""

    path: Path | str
    variant: str | None


@cache
def folder() -> Path:
    """Where the library's specs lie: inside the wheel, or beside the package in a checkout."""
    inside = Path(__file__).resolve().parent / "specs"
    return inside if inside.is_dir() else Path(__file__).resolve().parent.parent / "specs"


def files() -> list[Path]:
    return sorted(p for s in SUFFIXES for p in folder().glob(f"*{s}"))


def find(spec: str, base: Path | None = None) -> Found:
    """What a SPEC means; a relative path is relative to `base`. Raises E0205 for a name that nobody bears."""
    if spec == "-":
        return Found("-", None)
    path, _, variant = spec.partition("#")
    if path.endswith(SUFFIXES) or "/" in path or "\\" in path:
        return Found(base / path if base is not None else Path(path), variant or None)
    found = _named(path)
    if found is None:
        near = closest(path, _names_safely())
        hint = f"did you mean `{near}`?" if near else "`archdsl list` shows them all"
        if os.path.exists(path):
            hint = f"for a file, write its path with its ending: `./{path}` or `{path}.yaml`"
        raise error("E0205", f"the library has no network `{path[:80]}`", help=hint)
    return Found(found.path, variant or found.variant)


def _named(name: str) -> Found | None:
    if not re.match(r"[A-Za-z_][A-Za-z0-9_-]{0,99}$", name, re.ASCII):
        return None
    direct = folder() / f"{name}.yaml"
    if direct.is_file():
        return Found(direct, None)
    mark = re.compile(rf"^(name\s*:\s*[\"']?{re.escape(name)}[\"']?\s*(#.*)?$|\s+[\"']?{re.escape(name)}[\"']?\s*:)", re.MULTILINE)
    for path in files():
        if mark.search(path.read_text(encoding="utf-8", errors="replace")):
            own, variants = names_of(path)
            if name == own:
                return Found(path, None)
            if name in variants:
                return Found(path, name)
    return None


def names_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """The name of a file's own network, and those of its variants."""
    tree = parse(read(path))
    if not isinstance(tree, Map):
        return path.stem, ()
    own, variants = tree.get("name"), tree.get("variants")
    name = own.text if isinstance(own, Scalar) else path.stem
    return name, tuple(variants.entries) if isinstance(variants, Map) else ()


def names() -> dict[str, Found]:
    """Every network of the library by name. Raises E0206 where two specs claim one name."""
    out: dict[str, Found] = {}
    for path in files():
        own, variants = names_of(path)
        for name, found in [(own, Found(path, None)), *((v, Found(path, v)) for v in variants)]:
            if name in out:
                raise error("E0206", f"two specs of the library are named `{name}`: {out[name].path} and {path}")
            out[name] = found
    return out


def _names_safely() -> list[str]:
    try:
        return list(names())
    except ArchError:
        return [p.stem for p in files()]


def source_of(found: Found) -> Source:
    return read(found.path)


def list_names() -> list[str]:
    """The names of all networks of the library, variants included."""
    return sorted(names())
