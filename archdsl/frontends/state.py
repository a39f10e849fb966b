"""The state of an import: the ops converted so far, and for each value of the file where the spec has its numbers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from archdsl.axes import axes_of
from archdsl.frontends.layout import Axes, Factors, joined, route, same, settled, size_of, standard, tidy, whole_axes
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


class View(NamedTuple):
    """A tensor of the file: the value of the spec that has its numbers, and how it holds them (`layout.py`)."""

    value: str
    axes: Axes

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the tensor after the batch."""
        return tuple(map(size_of, self.axes))


class Unsupported(Exception):
    """A node that archdsl does not support; the message is the reason."""


@dataclass
class ImportState:
    """What the import rules read and extend. Shapes are those of the spec: without the batch, channels first."""

    model: SourceModel
    shapes: dict[str, Shape]
    constants: dict[str, Array]
    ops: list[ImportedOp] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)
    """The tensors of the file that are no constants."""
    unknown: set[str] = field(default_factory=set)
    """Tensors that depend on an unsupported node."""
    consumed: set[int] = field(default_factory=set)
    """Indices of nodes that a rule converted together with an earlier node."""
    readers: dict[str, list[int]] = field(default_factory=dict)
    """For each tensor, the indices of the nodes that read it."""
    lowest_pads: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Tensors that only max pools read, which pad them further by this: they were padded with the lowest number."""
    budget: int = 0
    """Bytes that constants computed from now on may take."""
    index: int = 0
    """The index of the node that is converted."""
    _moved: dict[tuple[str, Op], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.views |= {name: View(name, standard(concrete(shape))) for name, shape in self.shapes.items()}
        for index, node in enumerate(self.model.nodes):
            for name in node.inputs:
                self.readers.setdefault(name, []).append(index)

    # --- constants ---

    def constant(self, node: SourceNode, index: int) -> Array | None:
        """The constant input at `index`; None if it is absent. Raises `Unsupported` if it is no constant."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        return self.require_constant(node, index, f"input {index + 1}")

    def require_constant(self, node: SourceNode, index: int, role: str) -> Array:
        """The constant input at `index`. Raises `Unsupported` if there is none; the message names its `role`."""
        constant = self.constants.get(node.inputs[index]) if index < len(node.inputs) else None
        if constant is None:
            raise Unsupported(f"its {role} is not a constant")
        return constant

    def listed_axes(self, node: SourceNode, rank: int) -> tuple[int, ...]:
        """The axes that a node lists, sorted, in a tensor of `rank` axes; none if it leaves them out."""
        listed = self.constant(node, 1)
        axes = [int(axis) for axis in (() if listed is None else listed.reshape(-1))]
        if any(not -rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) < len(axes):
            raise Unsupported("it lists an axis that does not exist, or one twice")
        return tuple(sorted(axis % rank for axis in axes))

    # --- tensors ---

    @cached_property
    def batch(self) -> int:
        """The batch of the inputs that the file fixes, else 1."""
        batches = {shape[0] for shape in self.model.shapes.values() if shape}
        return next(iter(batches)) or 1 if len(batches) == 1 else 1

    def view(self, name: str) -> View:
        """The tensor `name`. Raises `Unsupported` if it is a constant, or unknown."""
        view = self.views.get(name)
        if view is None:
            raise Unsupported("one of its inputs is a constant" if name in self.constants else "its input is unknown")
        return view

    def value(self, name: str) -> str:
        """The value of the spec that has the numbers of a tensor."""
        return self.view(name).value

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of that value, which may have other axes than the tensor."""
        return concrete(self.shapes[self.value(name)])

    def axes(self, name: str) -> int:
        """The number of spatial axes of that value."""
        return axes_of(self.shape(name))

    def is_standard(self, name: str) -> bool:
        """Whether a tensor has the value's own axes."""
        return same(self.view(name).axes, standard(self.shape(name)))

    @property
    def channels_last(self) -> frozenset[str]:
        """The tensors, and the inputs of the file, that have their channels last."""
        turned = (name for name, view in self.views.items() if self._is_last(view))
        return self.model.channels_last.union(turned)

    @property
    def turned(self) -> dict[str, str]:
        """For each value that a node of the file computes with its channels last, the name of its tensor."""
        return {v.value: name for name, v in self.views.items() if v.value == f"{name}/value" and self._is_last(v)}

    def _is_last(self, view: View) -> bool:
        whole = standard(concrete(self.shapes[view.value]))
        return same(view.axes, (*whole[1:], whole[0])) and not same(view.axes, whole)

    def whole_axes(self, name: str) -> list[int | None] | None:
        """For each axis of a tensor after the batch, that of the value (`layout.whole_axes`)."""
        return whole_axes(self.view(name).axes, self.shape(name))

    def axis(self, node: SourceNode, default: int, name: str = "axis") -> int:
        """The axis that a node names, counted after the batch. Raises `Unsupported` for the batch, or none."""
        axis, rank = node.attributes.get(name, default), len(self.view(node.inputs[0]).axes) + 1
        if not -rank <= axis < rank or axis % rank == 0:
            raise Unsupported("its axis is the batch, or does not exist")
        return int(axis % rank) - 1

    def is_channels(self, name: str, factors: Factors) -> bool:
        """Whether factors of a tensor are all its channels, in order."""
        return tidy(factors) == tidy(standard(self.shape(name))[0])

    def is_space(self, name: str, factors: Factors) -> bool:
        """Whether factors of a tensor are all its spatial axes, in any order."""
        wanted = tidy(joined(standard(self.shape(name))[1:]))
        return size_of(factors) == size_of(wanted) and all(axis for axis, _, _ in factors)

    def standard(self, name: str) -> str:
        """A value of the spec with the axes of a tensor, made by ops that move values if needed.

        Raises `Unsupported` if no ops of a spec do that.
        """
        view, shape = self.view(name), self.shape(name)
        if same(view.axes, standard(shape)):
            return view.value
        steps = route(settled(view.axes, shape), shape)
        if steps is None:
            if self._is_last(view):
                raise Unsupported("it needs its channels first, but its input has its channels last")
            raise Unsupported(f"no op of a spec moves the numbers of {(1, *shape)} into {(1, *view.sizes)} so")
        value = view.value
        for op in steps:
            after = self._moved.get((value, op))
            if after is None:
                after = f"{value}/{op.name}"
                self.add(SourceNode(op.name, "", None, (), (), {}), op, after, inputs=[value])
                self._moved[value, op] = after
            value = after
        return value

    def with_standard_inputs(self, node: SourceNode) -> SourceNode:
        """The node with inputs that have the axes of the values."""
        return replace(node, inputs=tuple(self.standard(n) if n in self.views else n for n in node.inputs))

    def alias(self, name: str, source: str, axes: Axes | None = None) -> None:
        """Define a tensor that has the numbers of another one, in its layout or in a new one."""
        view = self.view(source)
        self.views[name] = view if axes is None else View(view.value, settled(axes, self.shape(source)))

    def add(
        self,
        node: SourceNode,
        op: Op,
        output: str,
        tensors: Mapping[str, Array] = {},
        inputs: Sequence[str] | None = None,
        module: str | None = None,
        axes: Axes | None = None,
    ) -> None:
        """Add an op. It reads the node's first input unless `inputs` is set.

        `axes` is the layout of the output's tensor, for an op that works on the inputs' values in any layout; else they
        must have the axes of the value. Raises `Unsupported` for wrong shapes and tensors.
        """
        names = tuple(inputs if inputs is not None else node.inputs[:1])
        values = tuple(self.standard(name) if axes is None else self.value(name) for name in names)
        shapes = [self.shapes[value] for value in values]
        try:
            settled_op = op.settle(shapes)
            shape = settled_op.infer(shapes)
        except OpError as problem:
            raise Unsupported(problem.message) from None
        for param in settled_op.params(shapes):
            if param.name in tensors:
                _check_tensor(param.name or "factor", tensors[param.name], param.shape)
        layout = standard(concrete(shape)) if axes is None else settled(axes, concrete(shape))
        value = output if same(layout, standard(concrete(shape))) else f"{output}/value"
        module = node.module if module is None else module
        self.ops.append(ImportedOp(settled_op, values, value, module, tensors, shape))
        self.shapes[value] = shape
        self.views[value] = View(value, standard(concrete(shape)))
        self.views[output] = View(value, layout)

    # --- other nodes ---

    def of_size(self, node: SourceNode, sizes: Sequence[int]) -> str:
        """A value with these spatial sizes: one whose shape leads to an input of the node, else the last.

        Raises `Unsupported` if there is none.
        """
        fitting = self.fitting(sizes)
        pending = list(node.inputs[1:])
        while pending:
            maker = self.makers.get(pending.pop())
            if maker is not None and maker.op_type == "Shape" and maker.inputs[0] in self.views:
                value = self.value(maker.inputs[0])
                if value in fitting:
                    return value
            pending += [] if maker is None or maker.outputs[0] not in self.constants else maker.inputs
        if not fitting:
            text = "x".join(map(str, sizes))
            raise Unsupported(f"a spec resizes by whole factors or to the size of another value, and none is {text}")
        return fitting[-1]

    def fitting(self, sizes: Sequence[int]) -> list[str]:
        """The values with these spatial sizes."""
        return [name for name, shape in self.shapes.items() if concrete(shape)[1:] == tuple(sizes)]

    def shapes_of_larger_inputs(self, more: int) -> dict[str, tuple[int, ...]] | None:
        """The shapes of all values if each spatial size of the inputs were larger by `more`; None if an op is not
        defined there."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name in self.model.shapes:
            channels, *sizes = concrete(self.shapes[name])
            shapes[name] = (channels, *(size + more for size in sizes))
        try:
            for one in self.ops:
                shapes[one.output] = concrete(one.op.infer([shapes[value] for value in one.inputs]))
        except OpError:
            return None
        return shapes

    def from_shape(self, name: str) -> bool:
        """Whether a constant is computed from the shape of a value."""
        pending, seen = [name], {name}
        while pending:
            maker = self.makers.get(pending.pop())
            if maker is not None and maker.op_type == "Shape":
                return True
            fresh = [one for one in (() if maker is None else maker.inputs) if one not in seen]
            pending += fresh
            seen.update(fresh)
        return False

    @cached_property
    def makers(self) -> dict[str, SourceNode]:
        """For each tensor, the node that computes it."""
        return {output: node for node in self.model.nodes for output in node.outputs}

    def only_reader(self, name: str, op_type: str) -> tuple[int, SourceNode] | None:
        """The only node that reads a tensor, with its index; None if there are several, or it has another op type."""
        readers = self.readers.get(name, [])
        if len(readers) != 1 or name in self.model.outputs or readers[0] in self.consumed:
            return None
        node = self.model.nodes[readers[0]]
        return (readers[0], node) if node.op_type == op_type else None


def _check_tensor(name: str, tensor: Array, shape: Sequence[int]) -> None:
    if tuple(tensor.shape) != tuple(shape):
        raise Unsupported(f"its `{name}` is {tensor.shape}, not {tuple(shape)}")
    if name != "num_batches_tracked" and tensor.dtype.kind != "f":
        raise Unsupported(f"its `{name}` contains numbers of the type {tensor.dtype}, not floating-point ones")
    if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
        raise Unsupported(f"its `{name}` contains NaN or infinite numbers")


ImportRule: TypeAlias = Callable[[ImportState, SourceNode], None]
"""Converts a node to ops and adds them to the state. Raises `Unsupported`."""


def place(array: Array) -> int:
    """The address of an array's values, which is equal for two arrays of one tensor."""
    return int(array.__array_interface__["data"][0])


def single(value: float) -> float:
    """The shortest decimal number with the same float32 value."""
    return float(str(np.float32(value)))
