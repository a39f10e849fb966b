"""Finds a spec: by path, by path and variant, by a name of the library, or on standard input."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from archdsl.diagnostics import ArchError, Label, Source, Span, closest, error
from archdsl.source import Map, Scalar, parse, read

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class SpecLocation:
    """The file that a SPEC means, and the variant of it (None: the file's own network)."""

    path: Path | str
    variant: str | None


@cache
def library_folder() -> Path:
    """Where the library's specs lie: inside the wheel, or beside the package in a checkout."""
    inside = Path(__file__).resolve().parents[1] / "specs"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "specs"


def library_files() -> list[Path]:
    return sorted(p for s in SUFFIXES for p in library_folder().glob(f"*{s}"))


def find_spec(spec: str, base: Path | None = None) -> SpecLocation:
    """What a SPEC means; a relative path is relative to `base`. Raises E0205 for a name that nobody bears."""
    if spec == "-":
        return SpecLocation("-", None)
    path, _, variant = spec.partition("#")
    if path.endswith(SUFFIXES) or "/" in path or "\\" in path:
        return SpecLocation(base / path if base is not None else Path(path), variant or None)
    found = _named(path)
    if found is None:
        near = closest(path, _names_safely())
        hint = f"did you mean `{near}`?" if near else "`archdsl list` shows them all"
        if os.path.exists(path):
            hint = f"for a file, write its path with its ending: `./{path}` or `{path}.yaml`"
        raise error("E0205", f"the library has no network `{path[:80]}`", help=hint)
    return SpecLocation(found.path, variant or found.variant)


def _named(name: str) -> SpecLocation | None:
    """The one place that bears a name. Raises E0206 where several do."""
    if not re.match(r"[A-Za-z_][A-Za-z0-9_-]{0,99}$", name, re.ASCII):
        return None
    quoted = rf"[\"']?{re.escape(name)}[\"']?"
    mark = re.compile(rf"^name\s*:\s*{quoted}\s*(#.*)?$|(?<![\w.-]){quoted}\s*:", re.MULTILINE)
    found: dict[str, tuple[SpecLocation, Span]] = {}
    for path in library_files():
        if path.stem == name or mark.search(path.read_text(encoding="utf-8", errors="replace")):
            _add(found, path, name)
    return found[name][0] if name in found else None


def _add(found: dict[str, tuple[SpecLocation, Span]], path: Path, only: str = "") -> None:
    """Adds the networks of a file, or the `only` one: its own, then its variants. Raises E0206 for a name given
    before."""
    for name, (variant, span) in _places(path).items():
        if only not in ("", name):
            continue
        if name in found:
            raise error(
                "E0206",
                f"two specs of the library are named `{name}`",
                span,
                label="and here",
                labels=(Label(found[name][1], "named so here"),),
                help="rename one: a network is found by its name alone",
            )
        found[name] = (SpecLocation(path, variant), span)


def _places(path: Path) -> dict[str, tuple[str | None, Span]]:
    """The names in a file: which variant each is (None: the file's own network), and where it is given."""
    tree = parse(read(path))
    if not isinstance(tree, Map):
        return {path.stem: (None, tree.span)}
    own, variants = tree.get("name"), tree.get("variants")
    name, span = (own.text, own.span) if isinstance(own, Scalar) else (path.stem, tree.span)
    out: dict[str, tuple[str | None, Span]] = {name: (None, span)}
    for name, entry in variants.entries.items() if isinstance(variants, Map) else ():
        if name in out:
            raise error(
                "E0206",
                f"two networks of `{path.name}` are named `{name}`",
                entry.key.span,
                label="and here",
                labels=(Label(out[name][1], "named so here"),),
            )
        out[name] = (name, entry.key.span)
    return out


def names_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """The name of a file's own network, and those of its variants."""
    name, *variants = _places(path)
    return name, tuple(variants)


def library_networks() -> dict[str, SpecLocation]:
    """Every network of the library by name. Raises E0206 where two specs claim one name."""
    out: dict[str, tuple[SpecLocation, Span]] = {}
    for path in library_files():
        _add(out, path)
    return {name: found for name, (found, _) in out.items()}


def _names_safely() -> list[str]:
    try:
        return list(library_networks())
    except ArchError:
        return [p.stem for p in library_files()]


def spec_files(specs: Iterable[str | Path]) -> list[str | Path]:
    """The SPECs, with each folder replaced by its spec files, sorted. Raises E0114 (status 2) for a folder without."""
    files: list[str | Path] = []
    for spec in specs:
        if spec == "-" or not os.path.isdir(spec):  # unlike Path.is_dir, also where the name is too long to be one
            files.append(spec)
            continue
        inside = sorted(str(p) for p in Path(spec).iterdir() if p.suffix in SUFFIXES and p.is_file())
        if not inside:
            raise error("E0114", f"there are no specs in {spec}", status=2, help="a spec's name ends in .yaml")
        files += inside
    return files


def read_source(found: SpecLocation) -> Source:
    return read(found.path)
