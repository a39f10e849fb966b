"""The translation of an exported program, node by node: the values of its nodes, and the ONNX nodes emitted so far.

The program runs a batch of `BATCH`, so that the batch is not taken for another axis of size 1; emitted nodes have a
batch of 1, as the import rules expect. Reshapes and reductions are not emitted before they are read: a reshape of a
reshape is one reshape, and `mean(3).mean(2)` one mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.state import Unsupported

BATCH = 2

MAX_COMPUTED = 1 << 16
"""Elements that a constant computed from constants may have."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """A value that is not emitted yet: a value of `shape`, reduced over `axes` if `reduction` is set, then reshaped."""

    source: str
    shape: tuple[int, ...]
    reduction: str = ""
    axes: frozenset[int] = frozenset()

    @property
    def reduced(self) -> tuple[int, ...]:
        return tuple(1 if axis in self.axes else size for axis, size in enumerate(self.shape))


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor of the module, or one computed from its tensors.

    `name` is that in the state_dict; empty for computed ones. `reshaped`: its values are those of `name` in another
    shape. `learned` is a parameter that it is computed from, if there is one.
    """

    tensor: torch.Tensor
    name: str = ""
    reshaped: bool = False
    learned: str = ""


class Translation:
    def __init__(self, program: ExportedProgram, names: Mapping[int, list[str]], paths: Mapping[str, str]) -> None:
        """`names`: for the address of each tensor of the module, all its names; `paths`: for each path of a module, the
        first path of the same module."""
        self.program, self.names, self.paths = program, names, paths
        self.nodes: list[SourceNode] = []
        self.arrays: dict[str, Array] = {}
        self.origins: dict[str, str] = {}
        self.values: dict[fx.Node, str | tuple[str, ...]] = {}
        self.lazy: dict[fx.Node, Lazy] = {}
        self.constants: dict[fx.Node, Constant] = {}
        self.node: fx.Node = next(iter(program.graph.nodes))
        """The node being translated; after `Unsupported`, the one that is not supported."""
        self._count = 0

    # --- inputs and constants ----------------------------------------------------------------------------------

    def placeholders(self) -> dict[str, tuple[int, ...]]:
        """Bind the tensors of the module, and return the shapes of the inputs by the names of their values."""
        kinds = {spec.arg.name: spec for spec in self.program.graph_signature.input_specs}
        tensors: dict[str, Any] = {**self.program.constants, **self.program.state_dict}
        shapes = {}
        for node in self.program.graph.nodes:
            if node.op != "placeholder":
                continue
            spec = kinds[node.name]
            if spec.kind == InputKind.USER_INPUT:
                self.values[node] = f"%{node.name}"
                shapes[f"%{node.name}"] = (1, *self.shape(node)[1:])
            elif spec.target is not None and isinstance(tensors.get(spec.target), torch.Tensor):
                tensor, parameter = tensors[spec.target], spec.kind == InputKind.PARAMETER
                self.constants[node] = Constant(tensor, spec.target, learned=spec.target if parameter else "")
        return shapes

    def evaluate(self, node: fx.Node) -> bool:
        """Whether a node reads constants only; its value is then computed by PyTorch itself."""
        inputs = [self.constants.get(read) for read in node.all_input_nodes]
        result = node.meta.get("val")
        if not isinstance(result, torch.Tensor) or any(one is None for one in inputs):
            return False
        if torch.Tag.nondeterministic_seeded in node.target.tags:  # type: ignore[union-attr]
            raise Unsupported("its values are random")
        if node.target._schema.is_mutable:  # type: ignore[union-attr]
            raise Unsupported("it changes a tensor of the module")
        known = [one for one in inputs if one is not None]
        if result.numel() > max([MAX_COMPUTED, *(one.tensor.numel() for one in known)]):
            raise Unsupported(f"it makes a constant of {result.numel():,} values")
        arguments = fx.map_arg((node.args, node.kwargs), lambda read: self.constants[read].tensor)
        with torch.no_grad():
            tensor = node.target(*arguments[0], **arguments[1])  # type: ignore[operator]
        source = known[0] if len(known) == 1 else None
        same = source is not None and source.name and address(tensor) == address(source.tensor) != 0
        if source is not None and same and tensor.is_contiguous() and tensor.numel() == source.tensor.numel():
            reshaped = source.reshaped or tensor.shape != source.tensor.shape
            self.constants[node] = Constant(tensor, source.name, reshaped, source.learned)
        else:
            self.constants[node] = Constant(tensor, learned=next((one.learned for one in known if one.learned), ""))
        return True

    def array(self, values: object, dtype: type = np.int64) -> str:
        """The name of a new constant that no tensor of the module contains."""
        name = f"%{self.node.name}/c{len(self.arrays)}"
        self.arrays[name] = np.asarray(values, dtype)
        return name

    def parameter(self, node: object) -> bool:
        """Whether a node is a parameter of the module, perhaps in another shape, and not computed from one."""
        constant = self.constants.get(node) if isinstance(node, fx.Node) else None
        return constant is not None and constant.learned == constant.name != ""

    def _bound(self, node: fx.Node) -> str:
        """The name of a constant for the node being translated, under its own name if it is a tensor of the module."""
        constant = self.constants[node]
        if constant.learned and not constant.name:
            raise Unsupported(f"it reads a value that is computed from the parameter `{constant.learned}`")
        if not constant.name:
            return self.array(numbers(constant.tensor), numbers(constant.tensor).dtype.type)
        known = self.names.get(address(constant.tensor), [constant.name])
        module = self.module(self.node)
        own = [name for name in known if name.rpartition(".")[0] == module]
        name = (own or known)[0]
        if constant.reshaped:
            origin, name = name, f"%{node.name}"
            self.origins[name] = origin
        self.arrays[name] = numbers(constant.tensor)
        return name

    # --- values ------------------------------------------------------------------------------------------------

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        return tuple(map(int, node.meta["val"].shape))

    def is_constant(self, node: object) -> bool:
        return not isinstance(node, fx.Node) or node in self.constants

    def value(self, node: object) -> str:
        """The name of the value of a node, emitted now if it was not read before; or of a number as a constant."""
        if not isinstance(node, fx.Node):
            if node is None:
                return ""
            return self.array(node, np.float32)
        if node in self.constants:
            return self._bound(node)
        if node in self.lazy and node not in self.values:
            reader, self.node = self.node, node
            self.values[node] = self.materialise(self.lazy[node], self.shape(node))
            self.node = reader
        value = self.values[node]
        if isinstance(value, tuple):
            raise Unsupported("it reads several values at once")
        return value

    def materialise(self, lazy: Lazy, shape: tuple[int, ...]) -> str:
        name = lazy.source
        if lazy.shape[0] != BATCH or shape[:1] != (BATCH,) or 0 in lazy.axes:
            raise Unsupported("it does not keep the batch apart")
        if lazy.axes:
            name = self.emit(lazy.reduction, name, self.array(sorted(lazy.axes)), keepdims=1)
        if shape == lazy.reduced:
            return name
        if shape == (BATCH, prod(lazy.reduced[1:])):
            return self.emit("Flatten", name)
        return self.reshape(name, shape)

    def reshape(self, name: str, shape: tuple[int, ...]) -> str:
        return self.emit("Reshape", name, self.array((1, *shape[1:])))

    def view(self, node: fx.Node) -> Lazy:
        """The value of a node as one that can be reshaped or reduced further."""
        return self.lazy[node] if node in self.lazy else Lazy(self.value(node), self.shape(node))

    def module(self, node: fx.Node) -> str:
        """The path of the module that a node comes from."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = str(stack[-1][0]) if stack else ""
        return self.paths.get(path, path)

    def emit(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return the name of its output; of several outputs, the first. Their names are numbered."""
        self._count += 1
        first = f"%{self.node.name}" + (f"/{self._count}" if self._count else "")
        names = (first, *(f"{first}.{n}" for n in range(1, outputs)))
        module = self.module(self.node)
        label = f"{module} ({self.node.target})".lstrip()
        self.nodes.append(SourceNode(op_type, label, module, inputs, names, attributes))
        return first


def numbers(tensor: torch.Tensor) -> Array:
    """The tensor as an array that shares its memory, except for bfloat16, which NumPy does not have."""
    tensor = tensor.detach().cpu()
    array: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
