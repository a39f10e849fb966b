"""The whole ONNX graph as data: nodes, named values, initializers, before any tensor exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from archdsl.backends.onnx.lower import lower
from archdsl.backends.onnx.records import Constant, Dtype, Initializer, OnnxLowering, OnnxNode, nbytes
from archdsl.backends.onnx.splits import joined
from archdsl.backends.onnx.types import Casts, Precision, cast, retyped, type_of
from archdsl.diagnostics import Diagnostic
from archdsl.graph import FreeSize, Graph, Node
from archdsl.ops import Slice
from archdsl.shapes import Shape, Size, at

Axis: TypeAlias = int | str
"""A number, or a symbol."""


@dataclass(frozen=True, slots=True)
class ValueInfo:
    """A named tensor of the ONNX graph, batch first."""

    name: str
    shape: tuple[Axis, ...]
    dtype: Dtype = "float32"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything but the numbers. `free` are the sizes that stay open; `notes` say which do not, and why."""

    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    values: tuple[ValueInfo, ...]
    nodes: tuple[OnnxNode, ...]
    initializers: tuple[Initializer, ...]
    free: tuple[FreeSize, ...]
    notes: tuple[Diagnostic, ...]
    precision: Precision = "fp32"

    @property
    def nbytes(self) -> int:
        """Bytes of all initializers."""
        return sum(map(nbytes, self.initializers))


def plan(graph: Graph, precision: Precision = "fp32", value_info: bool = True, free_sizes: bool = True) -> Plan:
    """What the graph becomes: every node that an output needs, in order, auxiliary heads left out.

    Nodes bear their paths, initializers the names of the network's tensors. The batch is symbolic; height and width
    are with `free_sizes`, where the network and each op's translation leave them free. In half precision (`types`)
    inputs and outputs are cast. Without `value_info` the plan tells of inner values only those that `_summands` finds.
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
    nodes = joined(nodes, initializers, split)
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
    )


def _add_nodes(
    graph: Graph,
    live: Sequence[Node],
    precision: Precision,
    names: dict[int, str],
    casts: Casts,
    initializers: dict[str, Initializer],
) -> dict[str, list[Node]]:
    """Lowers every node, and sets the name of its value; returns the nodes that fix a free size, by its symbol."""
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
    """Gives each output its public name and its type, float32."""
    for name, number in public.items():
        if casts.types.get(names[number], "float32") != "float32":
            casts.nodes.append(cast(f"output/{name}", names[number], name, "float32"))
        elif names[number] != name:  # an input, a value with two names, or one that an op passed on unchanged
            casts.nodes.append(OnnxNode(f"output/{name}", "Identity", (names[number],), (name,), {}))


def _sharing(
    lowered: OnnxLowering, initializers: dict[str, Initializer], constants: dict[Constant, str]
) -> list[OnnxNode]:
    """The nodes, their initializers added to those known; constants of equal numbers are one, named by the first."""
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
    """The values that are added to one another. Where their sizes are free, ONNX Runtime adds within the convolution
    before only if it is told that they are equal; it cannot infer that behind an op that it keeps in another memory
    layout."""
    return {name for node in nodes if node.op_type == "Add" for name in node.inputs}


def _live(graph: Graph) -> list[Node]:
    """The inputs, and the nodes that an output depends on, in their order."""
    wanted = set(graph.outputs.values())
    for node in reversed(graph.nodes):
        if node.id in wanted:
            wanted.update(node.inputs)
    return [node for node in graph.nodes if node.id in wanted or node.id in graph.inputs]


def _public_names(graph: Graph) -> dict[str, int]:
    """The outputs as the file names them. A name may stand for one thing only, so one that an input or a tensor
    has already gets a suffix."""
    taken = {graph.nodes[i].path for i in graph.inputs} | {tensor.key for tensor in graph.tensors}
    return {(f"{name}/out" if name in taken else name): number for name, number in graph.outputs.items()}


def _value_names(
    graph: Graph, live: list[Node], direct: Mapping[str, int], public: Mapping[str, int]
) -> dict[int, str]:
    """A name for each node's value: its path, an output's public name where it is that output as it stands (`direct`),
    or where either is taken `path/out`."""
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
                label=f"`{first.path}`{more} can be said there for one size only",
                severity="note",
            )
        )
    return tuple(notes)
