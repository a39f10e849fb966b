"""The differentiable calls of a training step of the PyTorch module of a graph. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from archdsl.analysis.parts import is_block
from archdsl.analysis.training import Call, Device, Precision, Tape, Tensor
from archdsl.backends.torch.lower import lower
from archdsl.backends.torch.steps import Argument, Expr, Weight
from archdsl.backends.torch.steps import Call as Function
from archdsl.backends.torch.tape_rules import apply
from archdsl.backends.torch.tracer import FLOAT, Tracer
from archdsl.graph import Graph, Node, Scope
from archdsl.ops import Input

INPUT = Tensor(0, held=True)
"""An input of the network: no gradient is computed for it."""


def trace(
    graph: Graph,
    device: Device = "cuda",
    precision: Precision = "fp32",
    checkpoint: bool = False,
    inputs: Tensor = INPUT,
    sizes: Mapping[str, int] | None = None,
) -> Tape:
    """Return the calls of a forward pass in training, with auxiliary heads, and of a loss after each output.

    `checkpoint`: each outermost block runs again in the backward. `inputs`: the kind of the inputs.
    `sizes`: as for `Tracer`; the MACs are those of the spec's sizes.
    """
    t = Tracer(graph, device, precision, sizes)
    values: dict[int, Tensor] = {}
    for node in forward_order(graph):
        t.node = node
        if isinstance(node.op, Input):
            values[node.id] = replace(inputs, values=t.out)
        elif node.id not in graph.unread:
            values[node.id] = run(t, node, [values[i] for i in node.inputs])
    calls = tuple(t.calls)
    ends = dict.fromkeys([*graph.outputs.values(), *(head.node for head in graph.aux.values())])
    for end in ends:
        _cross_entropy(t, graph.nodes[end], values[end])
    return Tape(
        calls,
        tuple(values[i] for i in graph.inputs),
        tuple(values[end] for end in ends),
        tuple(x for x in t.fixtures.values() if x.leaf),
        sum(x.bytes(1) for x in t.fixtures.values()) + sum(t.constants.values()),
        tuple(t.calls[len(calls) :]),
        _outermost_blocks(graph, calls) if checkpoint else (),
    )


def run(t: Tracer, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    """Record a node."""
    t.node = node
    lowered = lower(node.op, node.in_shapes)
    if lowered.module is not None and (not node.implied or lowered.call is None):
        return apply(t, lowered.module.target, inputs, dict(lowered.module.arguments))
    value = _evaluated(t, lowered.call, inputs)
    assert isinstance(value, Tensor)
    return value


def _evaluated(t: Tracer, expr: Expr, inputs: Sequence[Tensor]) -> Any:
    """Record an expression. A number that depends on sizes, as for a crop, is None."""
    if isinstance(expr, Argument):
        return inputs[expr.index]
    if isinstance(expr, Weight):
        return t.fixture("")
    if isinstance(expr, tuple):
        return tuple(_evaluated(t, item, inputs) for item in expr)
    if not isinstance(expr, Function):
        return expr
    args = [_evaluated(t, item, inputs) for item in expr.args]
    reads = [one for item in args for one in (item if isinstance(item, tuple) else (item,)) if isinstance(one, Tensor)]
    if not reads or expr.target in ("size", "sizes"):
        return None
    return apply(t, expr.target, reads, dict(expr.kwargs))


def _cross_entropy(t: Tracer, node: Node, output: Tensor) -> None:
    """Record the loss of an output: the logarithm of its softmax, and one number."""
    t.node = node
    logarithms = t.call(t.cast(output, FLOAT), saves="y")
    t.calls.append(Call(node.id, (logarithms,), Tensor(1, batched=False, grad=output.grad)))


def forward_order(graph: Graph) -> list[Node]:
    """Return the nodes as the module runs them: an auxiliary head after the part of the net that it reads."""
    parts: list[list[Node]] = []
    homes: list[object] = []
    for node in graph.nodes:
        home = _outermost(node)
        if not homes or home is None or home is not homes[-1]:
            parts.append([])
            homes.append(home)
        parts[-1].append(node)
    order = [part for part in parts if not part[0].training]
    for head in (part for part in parts if part[0].training):
        ids = {node.id for node in head}
        reads = {i for node in head for i in node.inputs} - ids
        place = max((n for n, part in enumerate(order, 1) if any(node.id in reads for node in part)), default=0)
        while place < len(order) and order[place][0].training:
            place += 1
        order.insert(place, head)
    return [node for part in order for node in part]


def _outermost(node: Node) -> Scope | None:
    """The outermost scope with a name around a node."""
    found, scope = None, node.scope
    while scope.parent is not None:
        found = scope if scope.name is not None else found
        scope = scope.parent
    return found


def _outermost_blocks(graph: Graph, calls: Sequence[Call]) -> tuple[range, ...]:
    """The ranges of calls of the outermost blocks that the backward reaches."""
    blocks: dict[int, Scope] = {}
    for scope in graph.root.walk():
        if scope is not graph.root and is_block(scope):
            for node in range(scope.first, scope.end):
                blocks.setdefault(node, scope)
    ranges: list[range] = []
    for block, group in groupby(range(len(calls)), lambda n: blocks.get(calls[n].node)):
        numbers = list(group)
        if block is not None and any(calls[n].result.grad for n in numbers):
            ranges.append(range(numbers[0], numbers[-1] + 1))
    return tuple(ranges)
