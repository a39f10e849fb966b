"""`archdsl import`: a spec from a model of another tool."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, color_option, force_option, input_option, output_option

if TYPE_CHECKING:
    from archdsl.frontends.onnx_model import Model
    from archdsl.frontends.to_spec import Imported
    from archdsl.runtime.model import ModelFacts
    from archdsl.shapes import Shape

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)


@click.command("import")
@click.argument("model", metavar="MODEL")
@output_option
@click.option("--weights", metavar="FILE", help="Write the model's numbers there: .safetensors.")
@click.option("--name", help="The network's name; by default the file's or the factory's.")
@click.option("--flat", is_flag=True, help="Read the nodes of a file of ours too, not the spec that it carries.")
@arg_option
@input_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    model: str,
    output: str | None,
    weights: str | None,
    name: str | None,
    flat: bool,
    args: dict[str, str],
    size: str | None,
    force: bool,
) -> None:
    """A spec from MODEL: an ONNX file, or package.module:factory, a function that makes a PyTorch module.

    A file of ours gives back the spec that it was made of. Any other comes out flat: node after node, with the names of
    its tensors kept where they can be. The factory is called with -a NAME=VALUE; naming one runs its code.
    """
    imported = _imported(model, name, flat, args, _shape(size))
    read = [model] if os.path.isfile(model) else []
    if weights is not None:
        from archdsl.backends.weights import save
        from archdsl.files.atomic import check_target
        from archdsl.files.marks import has_mark

        check_target(Path(weights), inputs=read, force=force, replaceable=has_mark("weights"))
        numbers = imported.weights()
        console.print_diagnostics(numbers.notes)
    console.write_output(imported.text, output, force, read)
    if weights is not None:
        save(numbers, weights, {"name": imported.graph.name}, inputs=read, force=force)


def _imported(model: str, name: str | None, flat: bool, args: dict[str, str], shape: Shape | None) -> Imported:
    from archdsl.packages import require_package

    require_package("onnx")
    if _FACTORY.fullmatch(model) and not os.path.exists(model):
        return _from_factory(model, name, args, shape)
    if args:
        raise click.UsageError("-a is for a factory, package.module:factory")
    from archdsl.frontends.limits import limited
    from archdsl.runtime.model import read_facts

    facts = read_facts(model)
    with limited(facts.size):
        return _from_file(facts, name, flat, shape)


def _from_file(facts: ModelFacts, name: str | None, flat: bool, shape: Shape | None) -> Imported:
    from archdsl.diagnostics import ArchError
    from archdsl.frontends.onnx_model import read
    from archdsl.frontends.own import own_spec
    from archdsl.frontends.to_spec import to_spec

    opened = read(facts.path)
    source = f"read from {facts.path.name}"
    if "spec" in facts.metadata and facts.producer == "archdsl":
        try:
            own = own_spec(opened, facts.metadata, source)
        except ArchError:
            if not flat:
                raise
        else:
            if not flat:
                return own
            shape = shape or (own.graph.nodes[own.graph.inputs[0]].shape if len(own.graph.inputs) == 1 else None)
    return to_spec(opened, _name(name or facts.metadata.get("name") or facts.path.stem), _sizes(opened, shape), source)


def _from_factory(model: str, name: str | None, args: dict[str, str], shape: Shape | None) -> Imported:
    from archdsl.packages import require_package

    if shape is None:
        raise click.UsageError("a module does not tell the size of its input: add --input 3x224x224")
    _require_module(model)
    require_package("torch", "E0801")
    from archdsl.frontends.to_spec import to_spec
    from archdsl.frontends.torch_module import call, trace
    from archdsl.shapes import concrete

    traced = trace(call(model, {key: _literal(value) for key, value in args.items()}), concrete(shape))
    sizes = dict.fromkeys(traced.shapes, shape)
    return to_spec(traced, _name(name or model.rpartition(":")[2].rpartition(".")[2]), sizes, f"made by {model}")


def _require_module(factory: str) -> None:
    """Raises E0844 where Python finds no such package: before torch is loaded, which takes seconds."""
    from importlib.util import find_spec

    from archdsl.diagnostics import error

    package = factory.partition(":")[0].partition(".")[0]
    sys.path.insert(0, os.getcwd())
    try:
        found = package in sys.modules or find_spec(package) is not None
    except (ImportError, ValueError):
        found = False
    finally:
        sys.path.pop(0)
    if not found:
        raise error(
            "E0844",
            f"`{factory[:120]}` cannot be called: Python finds no package `{package[:120]}`",
            status=2,
            help="it is looked for here and among what is installed: package.module:factory",
        )


def _shape(size: str | None) -> Shape | None:
    if size is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){0,3}", size) or size.count("x") not in (0, 2):
        raise click.BadParameter(f"{size[:60]!r} is not a size such as 3x224x224")
    return tuple(map(int, size.split("x")))


def _literal(text: str) -> object:
    """A value as Python writes it, else the word itself."""
    import ast

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _name(text: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:60]
    return word if word[:1].isalpha() else f"net_{word}" if word else "net"


def _sizes(model: Model, shape: Shape | None) -> dict[str, Shape]:
    """The inputs' shapes without the batch, from the file or from --input. Raises E0846 where a size is left open."""
    from archdsl.diagnostics import error

    if shape is not None:
        if len(model.shapes) != 1:
            raise click.UsageError(f"--input is for one input; the model has {len(model.shapes)}")
        return dict.fromkeys(model.shapes, shape)
    sizes: dict[str, Shape] = {}
    for name, found in model.shapes.items():
        inner = tuple(size for size in found[1:] if size is not None)
        if len(inner) != len(found) - 1 or len(inner) not in (1, 3):
            text = "x".join("?" if size is None else str(size) for size in found[:9])
            raise error(
                "E0846",
                f"the input `{name[:80]}` is {text or 'of no shape'}: not one image, or vector, of known size",
                status=2,
                help="give its size: --input 3x224x224",
            )
        sizes[name] = inner
    return sizes
