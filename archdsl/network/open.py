"""Loads a network from a SPEC or from text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_type, conflict
from archdsl.elaborate import elaborate
from archdsl.language.document import Document
from archdsl.network.network import Network
from archdsl.spec.open import document_of, from_source, open_spec, parse_overrides, resized

AnyPath: TypeAlias = str | os.PathLike[str]
ArgValue: TypeAlias = "bool | int | float | str | Sequence[ArgValue] | None"
"""A value for an argument of a spec."""
InputSize: TypeAlias = str | int | Sequence[int]
"""Channels, height and width, `"3x224x224"` or `(3, 224, 224)`; for a vector, its length."""


def load(spec: AnyPath, /, *, input: InputSize | None = None, **args: ArgValue) -> Network:
    """Load the network of a SPEC: a path, `path#variant`, or a name of the library (`resnet101`).

    `input` overrides the input's size (`"3x320x320"`, `(3, 320, 320)`), `args` the spec's own arguments
    (`classes=3`). Raises ArchError with all errors of the spec; E0004 for a `spec` or `input` of another type.
    """
    check_type("spec", spec, "a path or a name", str, os.PathLike)
    return _sized(spec, args, size_text(input))


def loads(text: str, /, *, variant: str | None = None, name: str = "<string>", **args: ArgValue) -> Network:
    """Load the network of a spec from text. Raises as `load` does."""
    from archdsl.source import decode

    check_type("text", text, "a spec as text", str)
    check_type("variant", variant, "a name", str, type(None))
    return _network(document_of(from_source(decode(text.encode(errors="surrogatepass"), name), variant)), args)


def as_network(
    source: AnyPath | Network, args: Mapping[str, object] | None = None, input: InputSize | None = None
) -> Network:
    """Return the network of a SPEC, loaded with `args` and `input` as `load` does; a `Network` is returned as it is.

    Raises ArchError as `load` does; E0003 if a `Network` comes with `args` or `input`.
    """
    if not isinstance(source, Network):
        check_type("spec", source, "a path, a name or a network", str, os.PathLike)
        return _sized(source, args or {}, size_text(input))
    if args or input is not None:
        raise conflict(
            f"`{source.name}` is already loaded: `args` and `input` apply to a spec", help="pass them to `archdsl.load`"
        )
    return source


def open_network(spec: AnyPath, args: Mapping[str, str], size: str | None = None) -> Network:
    """Load a network as `load` does, with arguments as a spec writes them: `{"n": "[3, 4, 6, 3]"}`."""
    return _sized(spec, parse_overrides(args), size_text(size))


def size_text(size: InputSize | None) -> str | None:
    """Return an input size as a spec writes it, `3x224x224`. Raises E0002 if it is empty, E0004 for another type."""
    if size is None or (isinstance(size, str) and size.strip()):
        return size
    sizes = (size,) if isinstance(size, int) else size
    if isinstance(size, (bool, bytes)) or not isinstance(sizes, Sequence):
        check_type("input", size, "a size such as `3x224x224` or (3, 224, 224)")
    if not sizes or isinstance(size, str):
        raise error("E0002", "`input` is empty: pass a size such as `3x224x224`", status=2)
    return "x".join(map(str, sizes))


def _sized(spec: AnyPath, args: Mapping[str, object], size: str | None) -> Network:
    opened = open_spec(spec if isinstance(spec, str) else Path(spec))
    try:
        return _network(document_of(opened, size), args)
    except ArchError as problem:
        raise problem if size is None else resized(problem, opened, size) from None


def _network(document: Document, args: Mapping[str, object]) -> Network:
    return Network(document, elaborate(document, args), args)
