"""Loads a network from a SPEC or from text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TypeAlias, cast

from archdsl.diagnostics import ArchError, Source, error
from archdsl.diagnostics.arguments import check_flags, check_type, conflict
from archdsl.diagnostics.status import status_of
from archdsl.elaborate import known_graph
from archdsl.network.checks import check_complete
from archdsl.network.network import Network
from archdsl.spec.models import is_factory, names_model, opened
from archdsl.spec.open import Spec, from_known_source, known_document_of, known_spec, parse_overrides, resized

AnyPath: TypeAlias = str | os.PathLike[str]
ArgValue: TypeAlias = "bool | int | float | str | Sequence[ArgValue] | None"
"""A value for an argument of a spec."""
InputSize: TypeAlias = str | int | Sequence[int]
"""Channels and the size of each axis, `"3x224x224"` or `(3, 224, 224)`; for a vector, its length."""


_MODELS = "archdsl.frontends.models"
"""Opens a model as a network. It is a layer above, so it is named, and imported when a SPEC is a model."""


def load(spec: AnyPath, /, *, input: InputSize | None = None, partial: bool = False, **args: ArgValue) -> Network:
    """Load the network of a SPEC: a path, `path#variant`, a name of the library (`resnet101`), or an ONNX file.

    An ONNX file that archdsl wrote contains its spec; any other is imported, and its outputs are compared with those of
    the spec when its weights are read. The network has the weights of the file where no others are set.

    `input` overrides the input's size (`"3x320x320"`, `(3, 320, 320)`), `args` the spec's own arguments
    (`classes=3`). With `partial`, a spec with errors gives an incomplete network, with these `errors` and a graph of
    what is known.

    Raises ArchError with all errors of the spec, with `partial` only if the file cannot be read, `input` is wrong, or
    the spec has no argument of a name in `args`; E0004 for a `spec` or `input` of another type.
    """
    check_type("spec", spec, "a path or a name", str, os.PathLike)
    check_flags(partial=partial)
    return _opened(spec, args, size_text(input), partial)


def loads(
    text: str, /, *, variant: str | None = None, name: str = "<string>", partial: bool = False, **args: ArgValue
) -> Network:
    """Load the network of a spec from text. `partial` as for `load`. Raises as `load` does."""
    from archdsl.source import decode

    check_type("text", text, "a spec as text", str)
    check_type("variant", variant, "a name", str, type(None))
    check_flags(partial=partial)
    source = decode(text.encode(errors="surrogatepass"), name)
    return _network(*from_known_source(source, variant), args, None, partial)


def of_source(
    source: Source,
    variant: str | None,
    args: Mapping[str, object],
    input: InputSize | None = None,
    partial: bool = False,
) -> Network:
    """Return the network of a text that was read. The other parameters are those of `load`, which raises the same."""
    return _network(*from_known_source(source, variant), args, size_text(input), partial)


def as_network(
    source: AnyPath | Network, args: Mapping[str, object] | None = None, input: InputSize | None = None
) -> Network:
    """Return the network of a SPEC, loaded with `args` and `input` as `load` does; a `Network` is returned as it is.

    Raises ArchError as `load` does; E0003 if a `Network` comes with `args` or `input`, E0005 if it is incomplete.
    """
    if not isinstance(source, Network):
        expected = "its `.network`" if hasattr(type(source), "network") else "a path, a name or a network"
        check_type("spec", source, expected, str, os.PathLike)
        return _opened(source, args or {}, size_text(input))
    check_complete(source.graph, source.errors)
    if args or input is not None:
        raise conflict(
            f"`{source.name}` is already loaded: `args` and `input` apply to a spec", help="pass them to `archdsl.load`"
        )
    return source


def open_network(spec: AnyPath, args: Mapping[str, str], size: str | None = None, partial: bool = False) -> Network:
    """Load a network as `load` does, with arguments as a spec writes them: `{"n": "[3, 4, 6, 3]"}`."""
    return _opened(spec, parse_overrides(args), size_text(size), partial)


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


def _opened(spec: AnyPath, args: Mapping[str, object], size: str | None, partial: bool = False) -> Network:
    if names_model(spec):
        network = cast("Network", import_module(_MODELS).open_model(os.fspath(spec), args, size))
        seen = opened.get()
        if seen is not None:
            seen.append(network)
        return network
    if is_factory(spec):
        raise error(
            "E0205",
            f"`{str(spec)[:120]}` is a factory of PyTorch modules, which only the command line calls",
            status=2,
            help="in Python: `archdsl.import_model(...).network`",
        )
    return _network(*known_spec(spec if isinstance(spec, str) else Path(spec)), args, size, partial)


def from_spec(text: str, name: str, args: Mapping[str, object], size: str | None) -> Network:
    """Return the network of a spec that a model contains or was converted to. Raises as `load` does."""
    from archdsl.source import decode

    return _network(*from_known_source(decode(text.encode(), name), None), args, size, False)


def known_network(spec: Spec, unread: ArchError | None) -> Network:
    """Return the network of a spec as `from_known_source` returns it, incomplete if it has errors. Raises nothing."""
    return _network(spec, unread, {}, None, True)


def _network(
    spec: Spec, unread: ArchError | None, args: Mapping[str, object], size: str | None, partial: bool
) -> Network:
    """The network of a spec. Raises the errors of the first stage that has some: reading, structure, elaboration; if
    `partial`, only those of the command line."""
    if unread is not None and not partial:
        raise unread
    try:
        document, malformed = known_document_of(spec, size)
        if malformed is not None and not partial:
            raise malformed
        graph, wrong = known_graph(document, args)
        problem = unread or malformed or wrong
        if problem is not None and size is not None:
            problem = resized(problem, spec, size)
        if problem is not None and (not partial or status_of(problem) != 1):
            raise problem
    except ArchError as e:
        raise e if size is None else resized(e, spec, size) from None
    network = Network(document, graph if problem is None else replace(graph, complete=False), args, problem)
    network.opened = _network, (spec, unread, dict(args), size, partial)
    return network
