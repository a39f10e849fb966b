"""Whether two graphs compute the same from the same tensors, whatever the order and the names of their nodes."""

from __future__ import annotations

from collections.abc import Hashable

from archdsl.graph import Graph, Node
from archdsl.ops import Add, Concat, Conv, Identity, Input, Maximum, Minimum, Mul, Pool
from archdsl.shapes import concrete

COMMUTATIVE = (Add, Mul, Maximum, Minimum)


def same_network(one: Graph, two: Graph) -> bool:
    """Return whether outputs, tensors, ops, shapes and wiring are equal; not the names of nodes without tensors.

    Nodes that differ only in the order of the inputs of a sum or product are equal, and so are a concat of several
    values and a chain of concats.
    """
    numbers: dict[Hashable, int] = {}
    outputs = [
        {name: numbered[node] for name, node in graph.outputs.items()}
        for graph in (one, two)
        for numbered in (signatures(graph, numbers),)
    ]
    tensors = [
        {t.key: (t.param.shape, t.param.trained) for t in graph.tensors if not t.node.training} for graph in (one, two)
    ]
    counts = [sum(not isinstance(n.op, Identity) for n in graph.nodes if not n.training) for graph in (one, two)]
    return outputs[0] == outputs[1] and tensors[0] == tensors[1] and counts[0] == counts[1]


def partners(one: Graph, two: Graph) -> dict[str, str]:
    """Return, for each node of `two`, the path of the node of `one` that computes the same."""
    numbers: dict[Hashable, int] = {}
    paths = {number: node.path for number, node in zip(signatures(one, numbers), one.nodes, strict=True)}
    pairs = zip(signatures(two, numbers), two.nodes, strict=True)
    return {node.path: paths[number] for number, node in pairs if number in paths}


def signatures(graph: Graph, numbers: dict[Hashable, int], named: bool = True) -> list[int]:
    """Return a number for each node, equal for equal computations; without `named`, whatever tensors and inputs are
    named."""
    out: list[int] = []
    joined: dict[int, tuple[int, ...]] = {}
    for node in graph.nodes:
        reads = tuple(out[i] for i in node.inputs)
        if isinstance(node.op, Identity):
            out.append(reads[0])
            continue
        if isinstance(node.op, COMMUTATIVE):
            reads = tuple(sorted(reads))
        if isinstance(node.op, Concat):
            reads = tuple(n for read in reads for n in joined.get(read, (read,)))
        keys = tuple(node.key(param) for param in node.reads) if named else ()
        name = node.path if named and isinstance(node.op, Input) else ""
        signature = (_meaning(node), reads, concrete(node.shape), keys, name)
        number = numbers.setdefault(signature, len(numbers))
        if isinstance(node.op, Concat):
            joined[number] = reads
        out.append(number)
    return out


def _meaning(node: Node) -> Hashable:
    """The op with its fields; padding as pixels."""
    fields = dict(node.op.explicit())
    pads: Hashable = None
    if isinstance(node.op, (Conv, Pool)):
        fields.pop("pad", None)
        pads = tuple(node.op.pads(concrete(node.in_shapes[0])))
        if isinstance(node.op, Pool):
            fields["stride"] = node.op.steps
    return node.op.name, tuple(sorted(fields.items())), pads
