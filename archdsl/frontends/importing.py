"""`archdsl.import_model`: convert a model of another tool to a spec."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.axes import MOST
from archdsl.backends.spec.recover import Shorten, recover, stay_flat
from archdsl.backends.weights import Weights, save
from archdsl.backends.weights.resolve import still_random
from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.diagnostics.arguments import check_mappings, check_names, check_type, conflict
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.overwrite_marks import has_mark
from archdsl.graph import Graph
from archdsl.network import InputSize, Network, loads, size_text
from archdsl.packages import EXTRAS, require_package
from archdsl.shapes import Shape, concrete
from archdsl.spec.models import is_factory

if TYPE_CHECKING:
    from torch import nn

    from archdsl.frontends.equality import OutputCheck
    from archdsl.frontends.onnx_model import SourceModel
    from archdsl.frontends.summary import ImportSummary
    from archdsl.frontends.to_spec import ImportedSpec

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}", re.ASCII)
_SIZE = re.compile(rf"[1-9][0-9]{{0,8}}(?:x[1-9][0-9]{{0,8}}){{0,{MOST}}}", re.ASCII)


@dataclass(frozen=True)
class ImportedModel:
    """A model of another tool as a spec.

    `text` is the spec, `graph` the network that it defines; both were compared with the model, node by node. `carried`
    is True if the file was written by archdsl and contains this spec. `files` are those that were read.
    `lost` is what the model does not contain any more.
    """

    text: str
    graph: Graph
    carried: bool
    files: tuple[str, ...]
    lost: tuple[str, ...]
    _spec: ImportedSpec
    _compare: Callable[[ImportedSpec], OutputCheck]

    @cached_property
    def check(self) -> OutputCheck:
        """How the outputs of the model and its spec were compared. Raises E0848 if they differ, at the first access."""
        return self._compare(self._spec)

    @cached_property
    def weights(self) -> Weights:
        """The model's weights under the names of the spec. Those of a module are read when they are used: they are the
        tensors of the module, not copies. Raises E0845 if they cannot be separated any more."""
        return self._spec.weights()

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """W0849 if the check found that the spec is not equal at every size, or could not run; N0601 if norms were
        folded into layers. Raises as `weights` and `check` do."""
        return (*self.weights.notes, *self.check.warnings)

    @property
    def network(self) -> Network:
        """The network of the spec, as `archdsl.loads` opens it, with the weights of the model."""
        variant = None if self.carried else self.graph.name
        network = loads(self.text, variant=variant, name=f"{self.graph.name}.yaml")
        network.model = self
        return network

    @property
    def summary(self) -> ImportSummary:
        """What was found, checked and lost. Raises E0848 as `check` does."""
        from archdsl.frontends.summary import summarised

        return summarised(self._spec, self.carried, self.check, self.lost)

    @property
    def compared(self) -> bool:
        """Whether `check` has run."""
        return "check" in self.__dict__

    def compare_with(self, graph: Graph, weights: Weights) -> str:
        """Compare the outputs of the model with those of another graph that has the same inputs and outputs.

        Returns the reason if they cannot be compared, else an empty text. Raises E0848 if they differ.
        """
        return self._compare(replace(self._spec, graph=graph, weights=lambda: weights, values={})).reason

    def own_weights(self) -> Weights:
        """Return the weights after the check, with its warnings. Raises E0845 as `weights` does, E0848 as `check`."""
        notes = self.check.warnings
        return Weights(self.weights.entries, self.weights.source, (*self.weights.notes, *notes))

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        *,
        force: bool = False,
    ) -> tuple[WrittenFile, ...]:
        """Write the spec to `path`, and the weights to the safetensors file `weights`; None: not written.

        Everything is checked before the first file is written. Raises E0002 for weights that are not named
        `.safetensors`, E0701 to E0704, E0003 if both are one file, E0845 as `weights` does.
        """
        if path is not None and weights is not None and os.path.abspath(path) == os.path.abspath(weights):
            raise conflict("`weights` and the spec are one file", "give the weights another name")
        if path is not None:
            check_target(path, inputs=self.files, force=force)
        if weights is not None:
            check_target(weights, inputs=self.files, force=force, replaceable=has_mark("weights"))
            _check_suffix(Path(weights))
            values = self.weights
        written = []
        if path is not None:
            with atomic_write(path, inputs=self.files, force=force) as output:
                output.write(self.text.encode())
            written.append(output.written)
        if weights is not None:
            written.append(save(values, weights, {"name": self.graph.name}, inputs=self.files, force=force))
        return tuple(file for file in written if file is not None)


def _check_suffix(path: Path) -> None:
    """Raises E0002 for a name that other commands would read in another format."""
    if path.suffix.lower() != ".safetensors":
        raise error(
            "E0002",
            f"`weights` cannot be `{str(path)[-120:]}`: the file is written in the format of safetensors",
            status=2,
            help=f"`{path.with_suffix('.safetensors').name[:120]}` is possible",
        )


def import_model(
    source: str | os.PathLike[str] | nn.Module,
    input: InputSize | None = None,
    *,
    name: str | None = None,
    args: Mapping[str, object] | None = None,
    flat: bool = False,
    outputs: Sequence[str] = (),
) -> ImportedModel:
    """Convert a model to a spec: an ONNX file, a PyTorch module, or `package.module:factory` (a function that returns a
    module, or the module itself).

    `name` is the network's, by default that of the file or factory. `input` is the size of the one input, without the
    batch: `(3, 224, 224)`; a module needs it, a file only if it leaves sizes open. The factory is called with `args`;
    this runs its code. `flat` writes node after node, without blocks; of a file that archdsl wrote it reads the nodes,
    not the spec that it contains. `outputs` cut the model: nodes or values of a file, or paths of modules, after which
    nothing is read or refused; a file that archdsl wrote is then read by its nodes.

    Raises E0805 for a file that is not an ONNX model, E0841 to E0843 for what a spec cannot express, E0844 for a
    factory or module that fails, E0845 if the weights cannot be separated, E0846 for an input of unknown size, E0848 if
    the spec computes other outputs than the model, E0801 without torch; E0001 for an unknown output, E0002 for a wrong
    `name` or `input`, E0003 for `args` that do not apply, E0004 for an argument of another type.
    """
    shorten = stay_flat if flat else recover
    model = read_model(source, name=name, input=input, args=args, shorten=shorten, outputs=outputs)
    model.check  # noqa: B018 - other outputs are an error before anything is written
    return model


def read_model(
    source: str | os.PathLike[str] | nn.Module,
    *,
    name: str | None = None,
    input: InputSize | None = None,
    args: Mapping[str, object] | None = None,
    shorten: Shorten = recover,
    outputs: Sequence[str] = (),
) -> ImportedModel:
    """Convert a model as `import_model` does, but compare the outputs only when `check` or `own_weights` is used.

    `shorten` returns the spec of the flat graph, as in `to_spec`; with any but `recover`, a file that archdsl wrote is
    read by its nodes.
    """
    require_package("onnx")
    shape = _shape(input)
    check_names("outputs", outputs)
    if name is not None:
        check_name(name)
    module = _as_module(source)
    if module is not None:
        _only_for(args, "a module")
        kind = type(module).__name__
        return _from_module(module, name or _word(kind), shape, f"imported from {kind}", shorten, outputs)
    own_name = default_name(source)
    path = os.fspath(source)  # type: ignore[arg-type]
    if is_factory(path):
        return _from_factory(path, name or own_name, args or {}, shape, shorten, outputs)
    _only_for(args, "a file")
    return _from_file(Path(path), name, shorten, shape, outputs)


def _only_for(args: Mapping[str, object] | None, source: str) -> None:
    check_mappings(args=args)
    if args:
        raise conflict(f"`args` are passed to a factory; the model is {source}", "a factory is package.module:function")


def default_name(source: str | os.PathLike[str] | nn.Module) -> str:
    """Return the name of the network of a model: that of its class, factory or file. Raises E0004 for another type."""
    module = _as_module(source)
    if module is not None:
        return _word(type(module).__name__)
    check_type("source", source, "a path, `package.module:factory` or a torch.nn.Module", str, os.PathLike)
    path = os.fspath(source)  # type: ignore[arg-type]
    return _word(path.rpartition(":")[2].rpartition(".")[2] if is_factory(path) else Path(path).stem)


def check_name(name: object) -> None:
    """Raise E0002 unless it can be the name of a network."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return
    raise error(
        "E0002",
        f"`name` cannot be `{str(name)[:60]}`: 1 to 60 letters, digits and underscores, the first a letter",
        status=2,
        help=f"`{_word(str(name))}` is possible",
    )


def _shape(size: InputSize | None) -> Shape | None:
    text = size_text(size)
    if text is None:
        return None
    if not _SIZE.fullmatch(text):
        reason = "the size of the one input, such as 3x224x224, or one number"
        raise error("E0002", f"`input` cannot be `{text[:60]}`: it is {reason}", status=2)
    return tuple(map(int, text.split("x")))


# --- a file ----------------------------------------------------------------------------------------------


def _from_file(
    path: Path, name: str | None, shorten: Shorten, shape: Shape | None, outputs: Sequence[str]
) -> ImportedModel:
    from archdsl.frontends.archdsl_files import own_spec
    from archdsl.frontends.checks import check_file
    from archdsl.frontends.cut import cut
    from archdsl.frontends.limits import limited
    from archdsl.frontends.onnx_model import read
    from archdsl.frontends.summary import lost_facts
    from archdsl.frontends.to_spec import to_spec
    from archdsl.runtime.model import read_facts

    facts = read_facts(path)
    flat = shorten is not recover
    with limited(facts.size):
        model = read(facts.path, partial(cut, outputs=outputs))
        source = still_random(facts.weights, f"imported from {facts.path.name}")
        if facts.has_spec and not outputs:
            try:
                own = own_spec(model, facts.metadata, source)
            except ArchError:
                if not flat:
                    raise
            else:
                if not flat:
                    return _imported(own, True, partial(check_file, facts, model), (str(path),))
                shape = shape or (own.graph.nodes[own.graph.inputs[0]].shape if len(own.graph.inputs) == 1 else None)
        title = name or _word(facts.metadata.get("name") or facts.path.stem)
        spec = to_spec(model, title, _sizes(model, shape), source, shorten)
        compare = partial(check_file, facts, model, outputs=outputs)
        return _imported(spec, False, compare, (str(path),), lost_facts(model))


def _imported(
    imported: ImportedSpec,
    carried: bool,
    compare: Callable[[ImportedSpec], OutputCheck],
    files: tuple[str, ...] = (),
    lost: tuple[str, ...] = (),
) -> ImportedModel:
    return ImportedModel(imported.text, imported.graph, carried, files, lost, imported, compare)


def _word(text: str) -> str:
    """A name for the network, as near to `text` as a name can be."""
    word = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:60]
    return word if word[:1].isalpha() else f"net_{word}"[:60].rstrip("_")


def _sizes(model: SourceModel, shape: Shape | None) -> dict[str, Shape]:
    """The inputs' shapes without the batch, from the file or from `shape`. Raises E0846 for an open size, E0003 if
    `shape` is set and there are several inputs."""
    if shape is not None:
        if len(model.shapes) != 1:
            raise conflict(f"`input` is the size of one input; the model has {len(model.shapes)}")
        return dict.fromkeys(model.shapes, shape)
    sizes: dict[str, Shape] = {}
    for name, written in model.shapes.items():
        inner = tuple(size for size in written[1:] if size is not None)
        if len(inner) != len(written) - 1 or not 1 <= len(inner) <= MOST + 1:
            text = "x".join("?" if size is None else str(size) for size in written[:9])
            shown = f"the shape {text}" if text else "no shape"
            message = f"the input `{name[:80]}` has {shown}: not 1 to {MOST + 1} known sizes after the batch"
            raise _unknown_size(message, len(model.shapes))
        sizes[name] = inner
    return sizes


def _unknown_size(message: str, inputs: int = 1) -> ArchError:
    several = "fix the sizes of all inputs in the file: onnx.tools.update_model_dims.update_inputs_outputs_dims"
    return error("E0846", message, status=2, help=several if inputs > 1 else "set `input` to its size: 3x224x224")


# --- a module --------------------------------------------------------------------------------------------


def _as_module(source: object) -> nn.Module | None:
    """The source if it is a PyTorch module. Does not import torch: whoever has a module already did."""
    torch = sys.modules.get("torch")
    return source if torch is not None and isinstance(source, torch.nn.Module) else None


def _from_factory(
    factory: str,
    name: str,
    args: Mapping[str, object],
    shape: Shape | None,
    shorten: Shorten,
    outputs: Sequence[str],
) -> ImportedModel:
    _require_module(factory)
    require_package("torch", "E0801")
    _require_size(shape)
    from archdsl.frontends.torch_module import call

    return _from_module(call(factory, args), name, shape, f"imported from {factory}", shorten, outputs)


def _from_module(
    module: nn.Module, name: str, shape: Shape | None, source: str, shorten: Shorten, outputs: Sequence[str]
) -> ImportedModel:
    size = _require_size(shape)
    from archdsl.frontends.checks import check_module
    from archdsl.frontends.cut import stopped
    from archdsl.frontends.summary import module_facts
    from archdsl.frontends.to_spec import to_spec
    from archdsl.frontends.torch_module import trace, with_values

    filled = with_values(module)
    with stopped(filled, outputs):
        model = trace(filled, concrete(size))
    spec = to_spec(model, name, dict.fromkeys(model.shapes, size), source, shorten)
    if filled is not module:
        spec = replace(spec, weights=_no_weights)
    return _imported(spec, False, partial(check_module, module, outputs=outputs), lost=module_facts(module))


def _no_weights() -> Weights:
    raise error(
        "E0845",
        "the module is on the device `meta`: its tensors have no values",
        help="create the module outside `torch.device('meta')`, or read only its structure",
    )


def _require_size(shape: Shape | None) -> Shape:
    if shape is None:
        raise _unknown_size("a module does not define the size of its input")
    return shape


def _require_module(factory: str) -> None:
    """Raises E0844 if Python finds no such package; checked before importing torch, which takes seconds."""
    from importlib.util import find_spec

    package = factory.partition(":")[0].partition(".")[0]
    sys.path.insert(0, os.getcwd())
    try:
        exists = package in sys.modules or find_spec(package) is not None
    except (ImportError, ValueError):
        exists = False
    finally:
        sys.path.pop(0)
    if not exists and package in EXTRAS:
        require_package(package)
    if not exists:
        raise error(
            "E0844",
            f"`{factory[:120]}` cannot be called: Python finds no package `{package[:120]}`",
            status=2,
            help="package.module:factory names a package of the current folder, or an installed one",
        )
