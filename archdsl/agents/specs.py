"""The specs of an agent: a text, a name of the library, or a file below one folder. Nothing else is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from archdsl.diagnostics import ArchError, Source, error
from archdsl.network import Network, of_source
from archdsl.source import decode
from archdsl.spec.find import SUFFIXES, SpecLocation, find_spec, read_source

root: ContextVar[Path | None] = ContextVar("root", default=None)
"""The resolved folder whose files an agent may name; None: no files."""

_NAME = re.compile(r"[A-Za-z_][\w-]*(#[\w-]+)?", re.ASCII)
_FILE = re.compile(r"[^\n{]*\.(ya?ml|onnx)(#[\w-]+)?|[^\n:{]*[/\\][^\n:{]*", re.ASCII | re.IGNORECASE)
"""One line that ends as a file, or has a slash and is no mapping."""
_TEXT = "<spec>"
"""The name of a text in messages."""


def source_of(spec: str) -> tuple[Source, str | None]:
    """Return the text that an agent refers to, and the variant in it.

    Raises E0114 for a file that may not be read, E0205 for an unknown name, E0107 for a text of more than 4 MiB.
    """
    spec = spec if "\n" in spec else spec.strip()
    if _NAME.fullmatch(spec):
        location = find_spec(spec)
    elif _FILE.fullmatch(spec):
        location = _below_root(spec)
    else:
        folder = root.get()
        # Not a file: `extends` and `labels` of the text are relative to its folder.
        path = None if folder is None else folder / "network"
        return decode(spec.encode(errors="surrogatepass"), _TEXT, path), None
    return read_source(location), location.variant


def network_of(
    spec: str, args: Mapping[str, Any] | None = None, input: str | None = None, partial: bool = False
) -> Network:
    """Return the network of a spec, as `archdsl.load` does. Raises as `source_of` and `archdsl.load`."""
    return of_source(*source_of(spec), args or {}, input, partial)


def _below_root(spec: str) -> SpecLocation:
    path, _, variant = spec.partition("#")
    folder = root.get()
    if folder is None:
        help = "pass the text of the spec, or start the server with `--root FOLDER`"
        raise _refused(path, "this server reads no files", help)
    file = (folder / path).resolve()
    if not file.is_relative_to(folder):
        raise _refused(path, "it is not below the folder that this server reads", "pass the text of the spec")
    if file.suffix.lower() not in SUFFIXES:
        raise _refused(path, "it is not a .yaml file", "`archdsl import` converts a model to a spec")
    return SpecLocation(file, variant or None)


def _refused(path: str, why: str, help: str) -> ArchError:
    return error("E0114", f"cannot read {path[:200]}: {why}", status=2, help=help)
