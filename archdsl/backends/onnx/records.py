"""The result of lowering: ONNX nodes and initializers as plain data, and the emitter that collects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

from archdsl.graph import Node
from archdsl.graph_recipes import Folded
from archdsl.ops.base import Param
from archdsl.shapes import Size

Attribute: TypeAlias = int | float | str | tuple[int, ...] | tuple[float, ...]
Dtype: TypeAlias = Literal["float32", "int64", "float16", "bfloat16", "uint8"]


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node of an ONNX graph. An empty input name is an optional input that is left out."""

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Stored:
    """An initializer that is a tensor of the network, under its own name."""

    name: str
    shape: tuple[int, ...]
    dtype: Dtype = "float32"


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant that the lowering needs: its elements, row by row, or a single one that fills the whole shape."""

    name: str
    shape: tuple[int, ...]
    values: tuple[float, ...] | tuple[int, ...]
    dtype: Dtype = "float32"


@dataclass(frozen=True, slots=True)
class Derived:
    """The tensor `key` of the network, of the shape `stored`, multiplied by `factor` and reshaped to `shape`.

    With `rows`, its i-th slice goes to index `rows[i]` of the first two axes flattened into one; the rest is 0. With a
    `recipe`, the tensor is what that computes from the network's tensors.
    """

    name: str
    shape: tuple[int, ...]
    key: str
    stored: tuple[int, ...]
    factor: float = 1.0
    rows: tuple[int, ...] | None = None
    dtype: Dtype = "float32"
    recipe: Folded | None = None


Initializer: TypeAlias = Stored | Constant | Derived


_SIZES: Mapping[Dtype, int] = {"float32": 4, "int64": 8, "float16": 2, "bfloat16": 2, "uint8": 1}


def nbytes(item: Initializer) -> int:
    return prod(item.shape) * _SIZES[item.dtype]


@dataclass(frozen=True, slots=True)
class OnnxLowering:
    """An op as ONNX nodes. `output` is the name of its output: that of its input if there is nothing to do.

    `pins` are the symbols of free sizes that the nodes fix at their defaults.
    """

    nodes: tuple[OnnxNode, ...]
    initializers: tuple[Initializer, ...]
    output: str
    pins: tuple[str, ...]


class Emitter:
    """Collects the ONNX nodes of one node. `x` is the name of its first input; inner values are named `path/what`."""

    def __init__(self, node: Node, inputs: Sequence[str], output: str) -> None:
        self.node = node
        self.inputs = tuple(inputs)
        self.output = output
        self._nodes: list[OnnxNode] = []
        self._initializers: dict[str, Initializer] = {}
        self._pins: dict[str, None] = {}
        self._params = {param.name: param for param in node.reads}

    @property
    def x(self) -> str:
        return self.inputs[0]

    def step(self, what: str, op_type: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an inner node. Return its name, `path/what`, which is that of its value, too."""
        name = f"{self.node.path}/{what}"
        self._nodes.append(OnnxNode(name, op_type, inputs, (name,), attributes))
        return name

    def last(self, op_type: str, *inputs: str, **attributes: Attribute) -> None:
        """Add the node whose value is the op's output. It is named after the op's path."""
        self._nodes.append(OnnxNode(self.node.path, op_type, inputs, (self.output,), attributes))

    def skip(self) -> None:
        """Add nothing: nodes that would have read the op's output read its input instead."""
        self.output = self.x

    def has(self, name: str) -> bool:
        return name in self._params

    def param(self, name: str) -> str:
        """Add the network's tensor `name`, and return its name in the file."""
        param = self._params[name]
        return self._keep(Stored(self.node.key(param), param.shape, param.dtype))

    def derived(
        self, what: str, name: str, shape: tuple[int, ...], factor: float = 1.0, rows: tuple[int, ...] | None = None
    ) -> str:
        """Add the network's tensor `name`, transformed unless there is nothing to change, and return its name."""
        param: Param = self._params[name]
        if param.shape == shape and factor == 1.0 and rows is None:
            return self.param(name)
        return self._keep(Derived(f"{self.node.path}/{what}", shape, self.node.key(param), param.shape, factor, rows))

    def computed(self, what: str, name: str, recipe: Folded) -> str:
        """Add a tensor in place of the network's tensor `name`, and return its name. Nodes that share it share both."""
        param = self._params[name]
        key = self.node.key(param)
        owner = key.removesuffix(f".{name}")
        return self._keep(Derived(f"{owner}/{what}", param.shape, key, param.shape, recipe=recipe))

    def floats(self, what: str, values: float | Sequence[float], shape: tuple[int, ...] = ()) -> str:
        numbers = (float(values),) if isinstance(values, int | float) else tuple(map(float, values))
        return self._keep(Constant(f"{self.node.path}/{what}", shape, numbers))

    def ints(self, what: str, values: Sequence[int]) -> str:
        return self._keep(Constant(f"{self.node.path}/{what}", (len(values),), tuple(values), "int64"))

    def whole(self, what: str, value: int) -> str:
        """Add a number without an axis."""
        return self._keep(Constant(f"{self.node.path}/{what}", (), (value,), "int64"))

    def number(self, size: Size) -> int:
        """Return the size as a number. This fixes a free size at its default."""
        if isinstance(size, int):
            return size
        self._pins[size.symbol.name] = None
        return size.default

    def result(self) -> OnnxLowering:
        return OnnxLowering(tuple(self._nodes), tuple(self._initializers.values()), self.output, tuple(self._pins))

    def _keep(self, item: Initializer) -> str:
        self._initializers[item.name] = item
        return item.name
