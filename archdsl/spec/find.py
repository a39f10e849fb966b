"""Find a spec by path, by path and variant, by its name in the library, or on standard input."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

from archdsl.diagnostics import ArchError, Label, Source, Span, closest, error, suggestion
from archdsl.source import Map, Scalar, parse, read

SUFFIXES = (".yaml", ".yml")
"""The endings of spec files, in small or capital letters."""


@dataclass(frozen=True, slots=True)
class SpecLocation:
    """The file that a SPEC refers to, and a variant in it (None: the file's own network)."""

    path: Path | str
    variant: str | None


@cache
def library_folder() -> Path:
    """The folder of the library's specs: inside the package if installed from a wheel, next to it in a checkout."""
    inside = Path(__file__).resolve().parents[1] / "specs"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "specs"


WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt")


def names_file(spec: str) -> bool:
    """Return whether a SPEC is the path of a file, and not the name of a network of the library."""
    return spec.lower().endswith(SUFFIXES) or "/" in spec or "\\" in spec


def library_files() -> list[Path]:
    return sorted(p for s in SUFFIXES for p in library_folder().glob(f"*{s}"))


def find_spec(spec: str, base: Path | None = None) -> SpecLocation:
    """Return the location that a SPEC refers to. A relative path is relative to `base`.

    Raises E0205 for a name that is not in the library, E0206 for a name that several specs have.
    """
    if spec == "-":
        return SpecLocation("-", None)
    if spec.lower().endswith(".onnx"):
        help = "`archdsl import` converts it"
        raise error("E0205", f"`{spec[-120:]}` is a model, which this command does not take", status=2, help=help)
    path, _, variant = spec.partition("#")
    if names_file(path):
        if base is None:
            _check_mark(spec, path)
        return SpecLocation(base / path if base is not None else Path(path), variant or None)
    location = _by_name(path)
    if location is None:
        _check_mark(spec, path)
        near = closest(path, _names_safely())
        hint = suggestion(path, near, _names_safely()) if near else "`archdsl list` lists them all"
        if path.lower().endswith(WEIGHTS_SUFFIXES):
            hint = f"weights need a spec: `NAME.yaml`, with `--weights {path[:80]}`"
            raise error("E0205", f"`{path[:80]}` is the name of a weights file, not of a network", help=hint)
        if re.search(r"\.[A-Za-z]+$", path) and not os.path.exists(path):
            raise error("E0205", f"no such file: `{path[:80]}`", status=2, help="SPEC ends in .yaml, a model in .onnx")
        if os.path.exists(path):
            hint = f"to read a file, write `./{path}` or `{path}.yaml`"
        raise error("E0205", f"the library has no network `{path[:80]}`", help=hint)
    return SpecLocation(location.path, variant or location.variant)


def _check_mark(spec: str, path: str) -> None:
    """Raises E0205 for a file whose name has a `#`."""
    if path != spec and os.path.exists(spec) and not os.path.exists(path):
        what = f"`#` separates a file and a variant: `{spec[-80:]}` is variant `{spec.partition('#')[2][:80]}`"
        raise error("E0205", f"{what} of `{path[-80:]}`", help="there is a file with this `#` in its name: rename it")


def _by_name(name: str) -> SpecLocation | None:
    """The library network of this name. Raises E0206 if there are several."""
    if not re.match(r"[A-Za-z_][A-Za-z0-9_-]{0,99}$", name, re.ASCII):
        return None
    quoted = rf"[\"']?{re.escape(name)}[\"']?"
    mark = re.compile(rf"^name\s*:\s*{quoted}\s*(#.*)?$|(?<![\w.-]){quoted}\s*:", re.MULTILINE)
    networks: dict[str, tuple[SpecLocation, Span]] = {}
    for path in library_files():
        text = "" if path.stem == name else path.read_text(encoding="utf-8", errors="replace")
        if path.stem == name or (name in text and mark.search(text)):
            _add(networks, path, name)
    return networks[name][0] if name in networks else None


def _add(networks: dict[str, tuple[SpecLocation, Span]], path: Path, only: str = "") -> None:
    """Add the networks of a file (its own, then its variants), or just `only`. Raises E0206 if a name is taken."""
    for name, (variant, span) in _names_in(path).items():
        if only not in ("", name):
            continue
        if name in networks:
            raise error(
                "E0206",
                f"two networks of the library are named `{name}`",
                span,
                label="used again here",
                labels=(Label(networks[name][1], "first used here"),),
                help="rename one of them",
            )
        networks[name] = (SpecLocation(path, variant), span)


def _names_in(path: Path) -> dict[str, tuple[str | None, Span]]:
    """The names in a file: the variant that each refers to (None: the file's own network), and its span."""
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
                label="used again here",
                labels=(Label(out[name][1], "first used here"),),
            )
        out[name] = (name, entry.key.span)
    return out


def names_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the name of a file's own network, and the names of its variants."""
    name, *variants = _names_in(path)
    return name, tuple(variants)


def library_networks() -> dict[str, SpecLocation]:
    """Return every network of the library by name. Raises E0206 if two networks have the same name."""
    networks: dict[str, tuple[SpecLocation, Span]] = {}
    for path in library_files():
        _add(networks, path)
    return {name: location for name, (location, _) in networks.items()}


_NAMES = re.compile(r"^name: *([\w-]+)|^variants:.*\n((?:[ #].*\n|\n)*)", re.MULTILINE)
_VARIANT = re.compile(r"^  ([\w-]+):", re.MULTILINE)


def library_names() -> list[str]:
    """Return the names of all networks of the library, sorted: read from the lines of the specs, without parsing."""
    names: set[str] = set()
    for path in library_files():
        found = [*_NAMES.finditer(path.read_text(encoding="utf-8", errors="replace"))]
        names |= {match[1] for match in found if match[1]} or {path.stem}
        names |= {name for match in found if match[2] for name in _VARIANT.findall(match[2])}
    return sorted(names)


def _names_safely() -> list[str]:
    try:
        return list(library_networks())
    except ArchError:
        return [p.stem for p in library_files()]


_SPEC = re.compile(r"""^(\{|\{.*[{,\s])?["']?(net|extends|archdsl)["']?\s*:""", re.MULTILINE)


def looks_like_spec(text: str) -> bool:
    """Return whether a text has a line with a key `net`, `extends` or `archdsl` at the top; others are any YAML."""
    return _SPEC.search(text) is not None


def spec_files(specs: Iterable[str | Path]) -> list[str | Path]:
    """Replace each folder among the SPECs by its spec files and those of its subfolders, sorted.

    Links to folders, hidden folders and virtual environments are left out. Raises E0114 (status 2) if a folder has
    none, E0114 if one cannot be read.
    """
    files: list[str | Path] = []
    for spec in specs:
        if spec == "-" or not os.path.isdir(spec):  # unlike Path.is_dir, it does not raise for an overlong name
            files.append(spec)
            continue
        inside = sorted(_inside(Path(spec)))
        if not inside:
            raise no_specs(spec, "the names of specs end in .yaml")
        files += inside
    return files


def no_specs(folder: str | Path, help: str) -> ArchError:
    return error("E0114", f"there are no specs in {folder}", status=2, help=help)


def _inside(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if name[0] != "." and not os.path.exists(f"{path}/{name}/pyvenv.cfg")]
        files = (Path(path, name) for name in names if name.lower().endswith(SUFFIXES))
        yield from (file for file in files if file.is_file())


def _unreadable(problem: OSError) -> NoReturn:
    folder = str(problem.filename)[-120:]
    raise error("E0114", f"cannot read the folder {folder}: {problem.strerror}", status=2) from None


def read_source(location: SpecLocation) -> Source:
    return read(location.path)
