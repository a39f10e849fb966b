"""The whole ONNX graph as data: nodes, named values, initializers, before any tensor exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from archdsl.backends.onnx.half_precision import Casts, Precision, cast, retyped, type_of
from archdsl.backends.onnx.lower import lower
from archdsl.backends.onnx.opsets import DEFAULT, in_opset
from archdsl.backends.onnx.records import Constant, Dtype, Initializer, OnnxLowering, OnnxNode, nbytes
from archdsl.backends.onnx.splits import joined
from archdsl.diagnostics import Diagnostic
from archdsl.graph import FreeSize, Graph, Node
from archdsl.ops import Slice
from archdsl.shapes import Shape, Size, at

Axis: TypeAlias = int | str
"""A size, or a symbol."""


@dataclass(frozen=True, slots=True)
class ValueInfo:
    """A named tensor of the ONNX graph, batch first."""

    name: str
    shape: tuple[Axis, ...]
    dtype: Dtype = "float32"


@dataclass(frozen=True, slots=True)
class Plan:
    """The ONNX graph without the elements of its tensors.

    `free` are the sizes that the file leaves free; `notes` report the sizes that it fixes, with the reason.
    """

    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    values: tuple[ValueInfo, ...]
    nodes: tuple[OnnxNode, ...]
    initializers: tuple[Initializer, ...]
    free: tuple[FreeSize, ...]
    notes: tuple[Diagnostic, ...]
    precision: Precision = "fp32"
    opset: int = DEFAULT

    @property
    def nbytes(self) -> int:
        """Bytes of all initializers."""
        return sum(map(nbytes, self.initializers))


def plan(
    graph: Graph,
    precision: Precision = "fp32",
    value_info: bool = True,
    free_sizes: bool = True,
    opset: int = DEFAULT,
) -> Plan:
    """Translate a graph: every node that an output needs, in order, without auxiliary heads.

    Each ONNX node is named after its path in the spec, each initializer after its tensor. The batch is symbolic. With
    `free_sizes`, height and width are symbolic too, if the network and the translation of each op allow that. In half
    precision (`types`) inputs and outputs are cast. `value_info` adds the shapes of all inner values; without it the
    plan has only those that `_summands` returns. Raises E0870 for a node that `opset` cannot express.
    """
    live, public = _live(graph), _public_names(graph)
    names = _value_names(
        graph,
        live,
        {name: i for name, i in public.items() if type_of(graph.nodes[i].op, precision) == "float32"},
        public,
    )
    nodes: list[OnnxNode] = []
    casts = Casts(nodes)
    initializers: dict[str, Initializer] = {}
    pins = _add_nodes(graph, live, precision, names, casts, initializers)
    _add_outputs(public, names, casts)
    split = {names[i]: at(graph.nodes[i].shape[0]) for n in live if isinstance(n.op, Slice) for i in n.inputs}
    nodes = in_opset(joined(nodes, initializers, split), initializers, opset, precision)
    free = tuple(size for size in graph.sizes if free_sizes and not size.pinned and size.name not in pins)
    batch = "N" if all(size.name != "N" for size in free) else "batch"
    symbols = {size.name for size in free}

    def value(name: str, shape: Shape, dtype: Dtype = "float32") -> ValueInfo:
        return ValueInfo(name, (batch, *(_axis(size, symbols) for size in shape)), dtype)

    shapes = {names[node.id]: node.shape for node in live}
    described = shapes.keys() - {*(names[i] for i in graph.inputs), *public}
    if not value_info:
        described &= _summands(nodes) if free else set()
    types = casts.types
    return Plan(
        tuple(value(names[i], graph.nodes[i].shape) for i in graph.inputs),
        tuple(value(name, graph.nodes[number].shape) for name, number in public.items()),
        tuple(value(name, shape, types.get(name, "float32")) for name, shape in shapes.items() if name in described),
        tuple(nodes),
        tuple(initializers.values()),
        free,
        _pin_notes(graph, pins) if free_sizes else (),
        precision,
        opset,
    )


def _add_nodes(
    graph: Graph,
    live: Sequence[Node],
    precision: Precision,
    names: dict[int, str],
    casts: Casts,
    initializers: dict[str, Initializer],
) -> dict[str, list[Node]]:
    """Lower every node and set the name of its value. Return the nodes that fix a free size, by its symbol."""
    constants: dict[Constant, str] = {}
    pins: dict[str, list[Node]] = {}
    for node in live:
        if node.id in graph.inputs:
            continue
        dtype = type_of(node.op, precision)
        lowered = retyped(lower(node, [casts.to(names[i], dtype) for i in node.inputs], names[node.id]), dtype)
        names[node.id] = lowered.output
        casts.types[lowered.output] = dtype
        casts.nodes += _sharing(lowered, initializers, constants)
        for symbol in lowered.pins:
            pins.setdefault(symbol, []).append(node)
    return pins


def _add_outputs(public: Mapping[str, int], names: Mapping[int, str], casts: Casts) -> None:
    """Give each output its public name and its type, float32."""
    for name, number in public.items():
        if casts.types.get(names[number], "float32") != "float32":
            casts.nodes.append(cast(f"output/{name}", names[number], name, "float32"))
        elif names[number] != name:  # an input, a value with two names, or the input of an op that does nothing
            casts.nodes.append(OnnxNode(f"output/{name}", "Identity", (names[number],), (name,), {}))


def _sharing(
    lowered: OnnxLowering, initializers: dict[str, Initializer], constants: dict[Constant, str]
) -> list[OnnxNode]:
    """Add the initializers and return the nodes. Equal constants become one, which has the name of the first."""
    same: dict[str, str] = {}
    for item in lowered.initializers:
        if isinstance(item, Constant):
            known = constants.setdefault(replace(item, name=""), item.name)
            if known != item.name:
                same[item.name] = known
                continue
        initializers[item.name] = item
    if not same:
        return list(lowered.nodes)
    return [replace(node, inputs=tuple(same.get(name, name) for name in node.inputs)) for node in lowered.nodes]


def _summands(nodes: Sequence[OnnxNode]) -> set[str]:
    """Return the inputs of additions.

    ONNX Runtime fuses an addition into the convolution before it only if it knows that both shapes are equal. If sizes
    are free, it cannot infer that after an op that it runs in another memory layout, so the file states these shapes.
    """
    return {name for node in nodes if node.op_type == "Add" for name in node.inputs}


def _live(graph: Graph) -> list[Node]:
    """Return the inputs, and the nodes that an output depends on, in their order."""
    live = set(graph.outputs.values())
    for node in reversed(graph.nodes):
        if node.id in live:
            live.update(node.inputs)
    return [node for node in graph.nodes if node.id in live or node.id in graph.inputs]


def _public_names(graph: Graph) -> dict[str, int]:
    """Return the outputs by their names in the file. Names are unique, so a name of an input or a tensor gets a
    suffix."""
    taken = {graph.nodes[i].path for i in graph.inputs} | {tensor.key for tensor in graph.tensors}
    return {(f"{name}/out" if name in taken else name): number for name, number in graph.outputs.items()}


def _value_names(
    graph: Graph, live: list[Node], direct: Mapping[str, int], public: Mapping[str, int]
) -> dict[int, str]:
    """Return a name for each node's value: its path, or its public name if it is an output without a cast (`direct`).

    A path that is taken becomes `path/out`.
    """
    keys = {tensor.key for tensor in graph.tensors}
    names = {i: graph.nodes[i].path for i in graph.inputs}
    for name, number in direct.items():
        names.setdefault(number, name)
    taken = keys | set(names.values()) | set(public)
    for node in live:
        if node.id not in names:
            names[node.id] = f"{node.path}/out" if node.path in taken else node.path
    return names


def _axis(size: Size, symbols: set[str]) -> Axis:
    if isinstance(size, int):
        return size
    return str(size) if size.symbol.name in symbols else size.default


def _pin_notes(graph: Graph, pins: Mapping[str, list[Node]]) -> tuple[Diagnostic, ...]:
    notes = []
    for size in graph.sizes:
        nodes = pins.get(size.name, [])
        if size.pinned or not nodes:
            continue
        first, more = nodes[0], f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        notes.append(
            Diagnostic(
                "N0701",
                f"{size.name} is fixed at {size.default} in the ONNX file",
                first.origin.span,
                label=f"`{first.path}`{more} can be expressed in ONNX for one size only",
                severity="note",
            )
        )
    return tuple(notes)
