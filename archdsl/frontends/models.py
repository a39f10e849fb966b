"""Open a model as a network, wherever a SPEC is read: an ONNX file, or `package.module:factory` on the command line."""

from __future__ import annotations

from collections.abc import Mapping

from archdsl.diagnostics.arguments import conflict
from archdsl.frontends.importing import read_model
from archdsl.network import Network
from archdsl.network.about import argument
from archdsl.network.open import from_spec
from archdsl.spec.models import is_factory


def open_model(source: str, args: Mapping[str, object], size: str | None) -> Network:
    """Return the network of a model, with its weights; its outputs are compared when they are read.

    `args` are passed to a factory, or set arguments of the spec that a file contains; `size` is the input size.

    Raises as `import_model` does, E0003 for arguments of a file that contains no spec.
    """
    factory = is_factory(source)
    model = read_model(source, input=size, args=literals(args) if factory else None)
    if args and not factory and not model.carried:
        raise conflict(f"`{source[-120:]}` contains no spec: `args` applies to a spec", help="leave out `args`")
    if not model.carried:
        return model.network
    network = from_spec(model.text, f"the spec in {source[-120:]}", args, size)
    network.model = model
    return network


def literals(args: Mapping[str, object]) -> dict[str, object]:
    """Return arguments of a factory: the value of a Python literal, or the text itself."""
    return {name: _literal(argument(value)) for name, value in args.items()}


def _literal(value: object) -> object:
    import ast

    try:
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        return value
