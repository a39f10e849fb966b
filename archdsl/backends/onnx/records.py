"""What lowering gives: ONNX nodes and initializers as plain data, and the emitter that collects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

from archdsl.graph import Node
from archdsl.ops.base import Param
from archdsl.shapes import Size

Attribute: TypeAlias = int | float | str | tuple[int, ...] | tuple[float, ...]
Dtype: TypeAlias = Literal["float32", "int64", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node of an ONNX graph. An empty input name is an optional input left out."""

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
    """Numbers that the lowering needs, row by row; a single one fills the whole shape."""

    name: str
    shape: tuple[int, ...]
    values: tuple[float, ...] | tuple[int, ...]
    dtype: Dtype = "float32"


@dataclass(frozen=True, slots=True)
class Derived:
    """The tensor `key` of the network, whose shape is `stored`, in another form: times `factor`, row by row in `shape`.

    With `rows`, its i-th slice goes to place `rows[i]` of the first two axes taken as one; the rest is 0.
    """

    name: str
    shape: tuple[int, ...]
    key: str
    stored: tuple[int, ...]
    factor: float = 1.0
    rows: tuple[int, ...] | None = None
    dtype: Dtype = "float32"


Initializer: TypeAlias = Stored | Constant | Derived


_SIZES: Mapping[Dtype, int] = {"float32": 4, "int64": 8, "float16": 2, "bfloat16": 2}


def nbytes(item: Initializer) -> int:
    return prod(item.shape) * _SIZES[item.dtype]


@dataclass(frozen=True, slots=True)
class OnnxLowering:
    """An op as ONNX says it. `output` is the name of its result: that of its input where there is nothing to do.

    `pins` are the symbols whose default the nodes took as a number.
    """

    nodes: tuple[OnnxNode, ...]
    initializers: tuple[Initializer, ...]
    output: str
    pins: tuple[str, ...]


class Emitter:
    """Collects what one node becomes. `x` is its (first) input's name; values between are named `path/what`."""

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
        """A node on the way; its name, and that of its value, is `path/what`."""
        name = f"{self.node.path}/{what}"
        self._nodes.append(OnnxNode(name, op_type, inputs, (name,), attributes))
        return name

    def last(self, op_type: str, *inputs: str, **attributes: Attribute) -> None:
        """The node whose value is the op's: it bears the op's path."""
        self._nodes.append(OnnxNode(self.node.path, op_type, inputs, (self.output,), attributes))

    def skip(self) -> None:
        """The op does nothing: whoever reads it reads its input."""
        self.output = self.x

    def has(self, name: str) -> bool:
        return name in self._params

    def param(self, name: str) -> str:
        """The network's own tensor."""
        param = self._params[name]
        return self._keep(Stored(self.node.key(param), param.shape, param.dtype))

    def derived(
        self, what: str, name: str, shape: tuple[int, ...], factor: float = 1.0, rows: tuple[int, ...] | None = None
    ) -> str:
        """The network's tensor `name` in another form; itself where the form is its own."""
        param: Param = self._params[name]
        if param.shape == shape and factor == 1.0 and rows is None:
            return self.param(name)
        return self._keep(Derived(f"{self.node.path}/{what}", shape, self.node.key(param), param.shape, factor, rows))

    def floats(self, what: str, values: float | Sequence[float], shape: tuple[int, ...] = ()) -> str:
        numbers = (float(values),) if isinstance(values, int | float) else tuple(map(float, values))
        return self._keep(Constant(f"{self.node.path}/{what}", shape, numbers))

    def ints(self, what: str, values: Sequence[int]) -> str:
        return self._keep(Constant(f"{self.node.path}/{what}", (len(values),), tuple(values), "int64"))

    def number(self, size: Size) -> int:
        """The size as a number; one that is free is pinned by this to its default."""
        if isinstance(size, int):
            return size
        self._pins[size.symbol.name] = None
        return size.default

    def result(self) -> OnnxLowering:
        return OnnxLowering(tuple(self._nodes), tuple(self._initializers.values()), self.output, tuple(self._pins))

    def _keep(self, item: Initializer) -> str:
        self._initializers[item.name] = item
        return item.name
