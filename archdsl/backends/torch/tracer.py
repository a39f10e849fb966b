"""Records the differentiable calls of a training step, with tensors that have sizes only. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from archdsl.analysis.training import Call, Device, Precision, Tensor
from archdsl.graph import Graph, Node
from archdsl.ops.base import Param
from archdsl.shapes import Shape, concrete

HALF, FLOAT, INDEX = 2, 4, 8
"""Bytes of a value."""


class Tracer:
    """Records the calls of the rules of one node after another: the functions that these rules call.

    `sizes`: the sizes of the network's inputs by symbol, by default those of the spec.
    """

    def __init__(
        self,
        graph: Graph,
        device: Device = "cuda",
        precision: Precision = "fp32",
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        self.graph, self.device, self.amp, self.sizes = graph, device, precision == "amp", sizes
        self.calls: list[Call] = []
        self.fixtures = {tensor.key: _fixture(tensor.param) for tensor in graph.tensors}
        """The parameters and buffers by their keys."""
        self.halves: dict[Tensor, Tensor] = {}
        self.constants: dict[str, int] = {}
        """Bytes of the buffers that a module has besides those of its op, by the path of its node."""
        self.node: Node = graph.nodes[0]

    @property
    def out(self) -> int:
        """Values of the node's output for one sample."""
        return prod(self.concrete(self.node.shape))

    @property
    def positions(self) -> int:
        """Positions of the first input: 1 for a vector."""
        return prod(self.concrete(self.node.in_shapes[0][1:]))

    def concrete(self, shape: Shape) -> tuple[int, ...]:
        return concrete(shape, self.sizes)

    def fixture(self, name: str) -> Tensor:
        """Return a parameter or buffer of the node."""
        key = self.node.key(next(p for p in self.node.reads if p.name == name))
        return self.fixtures[key]

    def weights(self) -> tuple[Tensor, ...]:
        """Return the trained and fixed parameters of the node, without the buffers of a norm."""
        names = [p.name for p in self.node.reads if not p.name.startswith(("running", "num_batches"))]
        return tuple(self.fixture(name) for name in names)

    def extra(self, values: int, batched: bool = True, size: int = FLOAT) -> Tensor:
        """Return a tensor that a function computes for its backward: statistics, indices, a mask."""
        return Tensor(values, batched, size)

    def masks(self, x: Tensor, count: int) -> tuple[Tensor, ...]:
        """Return tensors of booleans of the size of a tensor."""
        return tuple(Tensor(x.values, x.batched, 1) for _ in range(count))

    def call(
        self,
        *reads: Tensor,
        values: int | None = None,
        saves: str = "",
        extra: Sequence[Tensor] = (),
        same: bool = False,
        size: int | None = None,
        scratch: Sequence[Tensor] = (),
        macs: int = 0,
        last: bool | None = None,
    ) -> Tensor:
        """Record a function. `saves`: "x" its inputs, "y" its result. By default the result is like the first input."""
        x = reads[0]
        batched = any(read.batched for read in reads)
        grad = any(read.grad for read in reads)
        size = max(read.size for read in reads) if size is None else size
        y = Tensor(x.values if values is None else values, batched, size, grad, last=x.last if last is None else last)
        kept = (*(reads if "x" in saves else ()), *((y,) if "y" in saves else ()), *extra) if grad else ()
        self.calls.append(Call(self.node.id, reads, y, kept, same, tuple(scratch), macs))
        return y

    def repeat(self, x: Tensor) -> Tensor:
        """Record the repetition of a parameter for each sample."""
        y = Tensor(x.values, True, x.size, x.grad)
        self.calls.append(Call(self.node.id, (x,), y))
        return y

    def view(self, x: Tensor, values: int | None = None, last: bool | None = None, batched: bool = False) -> Tensor:
        """Record a view: of some of the values, of all, or with values repeated, for each sample if `batched`."""
        last = x.last if last is None else last
        batched = x.batched or batched
        y = replace(x, batched=batched, leaf=False, last=last, view_of=x.owner, values=values or x.values)
        self.calls.append(Call(self.node.id, (x,), y, same=values is None))
        return y

    def cast(self, x: Tensor, size: int) -> Tensor:
        """Record autocast's conversion; that of a parameter is made once in a step."""
        if not self.amp or x.size == size or x.size == INDEX:
            return x
        if x not in self.halves or not x.fixture:
            self.halves[x] = self.call(x, size=size)
        return self.halves[x]


def _fixture(param: Param) -> Tensor:
    size = INDEX if param.dtype == "int64" else FLOAT
    return Tensor(param.numel, False, size, param.trained, held=True, fixture=True, leaf=param.trained)
