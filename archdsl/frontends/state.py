"""The state of an import: the ops converted so far, and the shapes, aliases and channel order of the model's values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np

from archdsl.axes import axes_of
from archdsl.frontends.onnx_model import Array, SourceModel, SourceNode
from archdsl.ops.base import Op, OpError
from archdsl.shapes import Shape, concrete


@dataclass(frozen=True, slots=True)
class ImportedOp:
    """An op with the names of the values that it reads and writes, and its tensors by parameter name.

    `module` is the path of the module that it comes from; None if the file does not record it.
    """

    op: Op
    inputs: tuple[str, ...]
    output: str
    module: str | None
    tensors: Mapping[str, Array]
    shape: Shape

    @property
    def identity(self) -> Hashable:
        """Equal for two runs of one module: the op and its tensors, by their place in memory and not their values."""
        return (self.op, tuple((key, place(array), array.shape) for key, array in self.tensors.items() if array.ndim))


class Unsupported(Exception):
    """A node that archdsl does not support; the message is the reason."""


@dataclass
class ImportState:
    """What the import rules read and extend. Shapes are without the batch, channels first."""

    model: SourceModel
    shapes: dict[str, Shape]
    constants: dict[str, Array]
    ops: list[ImportedOp] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    """For the output of an identity, the value that it equals."""
    channels_last: set[str] = field(default_factory=set)
    """Values with their channels last."""
    consumed: set[int] = field(default_factory=set)
    """Indices of nodes that a rule converted together with an earlier node."""
    readers: dict[str, list[int]] = field(default_factory=dict)
    """For each value, the indices of the nodes that read it."""
    budget: int = 0
    """Bytes that constants computed from now on may take."""

    def value(self, name: str) -> str:
        """The value that `name` is an alias of, or `name` itself."""
        return self.aliases.get(name, name)

    def constant(self, node: SourceNode, index: int) -> Array | None:
        """The constant input at `index`; None if the input is absent or not constant."""
        return self.constants.get(node.inputs[index]) if index < len(node.inputs) and node.inputs[index] else None

    def require_constant(self, node: SourceNode, index: int, role: str) -> Array:
        """The constant input at `index`. Raises `Unsupported` if there is none; the message names its `role`."""
        constant = self.constant(node, index)
        if constant is None:
            raise Unsupported(f"its {role} is not a constant")
        return constant

    def of_size(self, node: SourceNode, sizes: Sequence[int]) -> str:
        """A value with these spatial sizes: one whose shape leads to an input of the node, else the last.

        Raises `Unsupported` if there is none.
        """
        sizes = tuple(sizes)
        fitting = [
            n for n, shape in self.shapes.items() if concrete(shape)[1:] == sizes and n not in self.channels_last
        ]
        pending = list(node.inputs[1:])
        while pending:
            maker = self.makers.get(pending.pop())
            if maker is not None and maker.op_type == "Shape" and self.value(maker.inputs[0]) in fitting:
                return maker.inputs[0]
            pending += [] if maker is None or maker.outputs[0] not in self.constants else maker.inputs
        if not fitting:
            raise Unsupported(f"no other value of the file has its size, {'x'.join(map(str, sizes))}")
        return fitting[-1]

    @cached_property
    def makers(self) -> dict[str, SourceNode]:
        """For each value, the node that computes it."""
        return {output: node for node in self.model.nodes for output in node.outputs}

    def shape(self, name: str) -> Shape:
        """The shape of a value. Raises `Unsupported` if it is unknown."""
        shape = self.shapes.get(self.value(name))
        if shape is None:
            raise Unsupported("the shape of its input is unknown")
        return shape

    def axes(self, name: str) -> int:
        """The number of spatial axes of a value."""
        return axes_of(self.shape(name))

    def spatial(self, name: str) -> list[int]:
        """The positions of a value's spatial axes in its tensor."""
        first = 1 if name in self.channels_last else 2
        return list(range(first, first + self.axes(name)))

    def listed_axes(self, node: SourceNode, rank: int) -> tuple[int, ...]:
        """The axes that a node lists, sorted, in a tensor of `rank` axes; none if it leaves them out."""
        constant = self.require_constant(node, 1, "list of axes") if any(node.inputs[1:]) else None
        axes = node.attributes.get("axes", ()) if constant is None else constant.reshape(-1)
        return tuple(sorted(int(axis) % rank for axis in axes))

    def is_channels(self, name: str, axis: int) -> bool:
        """Whether an axis of a value's tensor, which may be counted from the end, is that of the channels."""
        rank = self.axes(name) + 2
        return -rank <= axis < rank and axis % rank == (rank - 1 if name in self.channels_last else 1)

    def add(
        self,
        node: SourceNode,
        op: Op,
        output: str,
        tensors: Mapping[str, Array] = {},
        inputs: Sequence[str] | None = None,
        module: str | None = None,
    ) -> None:
        """Add an op. It reads the node's first input unless `inputs` is set. Raises `Unsupported` for wrong shapes."""
        names = tuple(inputs if inputs is not None else node.inputs[:1])
        values = tuple(self.value(name) for name in names)
        shapes = [self.shape(value) for value in values]
        if len({name in self.channels_last for name, shape in zip(names, shapes, strict=True) if axes_of(shape)}) > 1:
            raise Unsupported("some of its inputs have their channels last, and some first")
        settled = op.settle(shapes)
        try:
            shape = settled.infer(shapes)
        except OpError as problem:
            raise Unsupported(problem.message) from None
        for param in settled.params(shapes):
            if param.name in tensors and tuple(tensors[param.name].shape) != param.shape:
                raise Unsupported(f"its `{param.name or 'factor'}` is {tensors[param.name].shape}, not {param.shape}")
        self.ops.append(ImportedOp(settled, values, output, node.module if module is None else module, tensors, shape))
        self.shapes[output] = shape
        if any(name in self.channels_last for name in names):
            self.channels_last.add(output)

    def only_reader(self, value: str, op_type: str) -> tuple[int, SourceNode] | None:
        """The only node that reads a value, with its index; None if there are several, or it has another op type."""
        readers = self.readers.get(value, [])
        if len(readers) != 1 or value in self.model.outputs:
            return None
        node = self.model.nodes[readers[0]]
        return (readers[0], node) if node.op_type == op_type else None


ImportRule: TypeAlias = Callable[[ImportState, SourceNode], None]
"""Converts a node to ops and adds them to the state. Raises `Unsupported`."""


def place(array: Array) -> int:
    """The address of an array's values, which is equal for two arrays of one tensor."""
    return int(array.__array_interface__["data"][0])


def single(value: float) -> float:
    """The shortest decimal number with the same float32 value."""
    return float(str(np.float32(value)))
