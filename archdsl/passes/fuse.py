"""Passes that merge two nodes into one, and replace ops by forms that runtimes execute faster."""

from __future__ import annotations

from dataclasses import replace

from archdsl.analysis.head import is_global_average
from archdsl.graph import Graph
from archdsl.ops import AvgPool, Concat, Conv, Gap, HardSigmoid, HardSwish, Mul, Op, Pad, Sigmoid, Silu
from archdsl.passes.edit import Edit, observed, sole_reader

_GATES: dict[type[Op], type[Op]] = {Sigmoid: Silu, HardSigmoid: HardSwish}


def merge_pads(graph: Graph) -> Graph:
    """Merge a zero pad into the padding of the convolutions that read it, if nothing else does."""
    edit, seen = Edit(graph), observed(graph)
    for node in reversed(graph.nodes):
        op, readers = node.op, edit.readers(node.id)
        if not isinstance(op, Pad) or op.measured or (op.mode, *op.channels, op.value) != ("constant", 0, 0, 0):
            continue
        if min(op.sides(node.in_shapes[0])) < 0:
            continue
        if not readers or node.id in seen or not all(isinstance(r.op, Conv) for r in readers):
            continue
        for reader in readers:
            assert isinstance(reader.op, Conv)
            own = reader.op.pads(reader.in_shapes[0])
            pads = tuple(a + b for a, b in zip(own, op.sides(node.in_shapes[0]), strict=True))
            edit.nodes[reader.id] = replace(reader, op=reader.op.model_copy(update={"pad": pads}))
        edit.bypass(node.id, node.inputs[0])
    return edit.apply()


def fuse_gates(graph: Graph) -> Graph:
    """Replace `x * sigmoid(x)` by SiLU, and `x * hardsigmoid(x)` by hard-swish."""
    edit = Edit(graph)
    for node in graph.nodes:
        if not isinstance(node.op, Mul) or len(node.inputs) != 2:
            continue
        for gate, value in (node.inputs, node.inputs[::-1]):
            gate_node = graph.nodes[gate]
            fused = _GATES.get(type(gate_node.op))
            plain = fused is not None and not gate_node.op.explicit()
            if fused is not None and plain and gate_node.inputs == (value,) and sole_reader(graph, gate) is node:
                edit.nodes[node.id] = replace(node, op=fused(), inputs=(value,))
                edit.drop(gate)
                break
    return edit.apply()


def merge_concats(graph: Graph) -> Graph:
    """Merge a concat into the next concat if nothing else reads it."""
    edit = Edit(graph)
    for node in graph.nodes:
        if not isinstance(node.op, Concat):
            continue
        inputs: list[int] = []
        for source in node.inputs:
            inner = edit.nodes[source]
            if isinstance(inner.op, Concat) and sole_reader(graph, source) is node and node.inputs.count(source) == 1:
                inputs += inner.inputs
                edit.drop(source)
            else:
                inputs.append(source)
        if len(inputs) > len(node.inputs):
            edit.nodes[node.id] = replace(node, inputs=tuple(inputs))
    return edit.apply()


def global_pools(graph: Graph) -> Graph:
    """Replace an average pool by the global average pool if its only window is the whole image."""
    edit = Edit(graph)
    for node in graph.nodes:
        if isinstance(node.op, AvgPool) and is_global_average(node):
            edit.nodes[node.id] = replace(node, op=Gap())
    return edit.apply()
