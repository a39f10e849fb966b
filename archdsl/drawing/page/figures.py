"""Data from which the page's scripts compute all counts: sizes as formulas, counts, lifetimes.

A size is a number, or ``[symbol, m, p, q, r]`` for ``m * ((symbol + p) // q) + r``. Integers that a float cannot
represent are strings; the scripts compute with integers of any length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias

from archdsl.analysis.count import CONVENTION, NodeCount, count, count_nodes
from archdsl.analysis.memory import last_reads, storages
from archdsl.analysis.receptive_field import ReceptiveField, receptive_fields
from archdsl.axes import KINDS, in_short, kind_of, listed
from archdsl.diagnostics import escape_control
from archdsl.drawing.page.stored import Part, stored_parts
from archdsl.graph import FreeSize, Graph, Node, Tensor
from archdsl.ops import AvgPool
from archdsl.report.words import node_written
from archdsl.shapes import Dim, Shape, Size, concrete

Data: TypeAlias = dict[str, Any]
_EXACT = 2**53
"""From here on a float cannot represent every integer."""


class Work(NamedTuple):
    """A node's MACs as a formula: `each` for every value of `of` (input or output), or in total if `of` is empty."""

    each: int
    of: Literal["", "input", "output"]

    def at(self, inputs: Sequence[Shape], output: Shape) -> int:
        shape: Shape = {"": (), "input": inputs[0] if inputs else (), "output": output}[self.of]
        return self.each * prod(concrete(shape))


def sizes(graph: Graph) -> list[Data]:
    """Return the free sizes of the inputs with their legal values."""
    return [{**size._asdict(), "pinned": escape_control(size.pinned)} for size in _sizes(graph)]


def _sizes(graph: Graph) -> tuple[FreeSize, ...]:
    """The sizes at which everything that is drawn runs, auxiliary heads as well."""
    return graph.training_sizes or graph.sizes


def words(graph: Graph) -> Data:
    """Return what an input and its points are called, and the sizes that may be equal; empty for fewer than two."""
    shapes = [graph.nodes[i].shape for i in graph.inputs if graph.nodes[i].known]
    kinds = {kind for kind in map(kind_of, shapes) if kind.letters} or {*map(kind_of, shapes)}
    equal = kind_of(shapes[0]).sizes if len(shapes) == 1 else ()
    return {
        "input": next(iter(kinds)).bare if len(kinds) == 1 else "input",
        "points": [kind.point for kind in KINDS],
        "equal": listed(equal) if len(equal) > 1 else "",
    }


def nodes(graph: Graph) -> list[Data]:
    """Return the data of each node, by id."""
    samples = sample_sizes(graph)
    parts = stored_parts(graph, samples)
    owner, last = storages(graph), last_reads(graph)
    adapted = _adapted(graph)
    rows = []
    for node, counted, field in zip(graph.nodes, count_nodes(graph), receptive_fields(graph), strict=True):
        macs = Work(0, "") if node.id in graph.unread else work(node, samples)
        row = _row(graph, node, counted, macs) | {"unread": node.id in graph.unread}
        row |= {"memory": owner[node.id], "until": last[node.id], "field": _field(field, adapted[node.id])}
        row |= {"stored": [_part(part, each) for part, each in parts[node.id].items()]}
        rows.append({name: value for name, value in row.items() if value not in (0, "", [], False)})
    return rows


def totals(graph: Graph) -> Data:
    """Return the counts that do not depend on the input's size, and the counting convention."""
    counts = count(graph)
    return {
        "params": number(counts.params),
        "buffers": number(counts.buffers),
        "aux": number(counts.aux_params),
        "weights": number(counts.weight_bytes),
        "depth": counts.depth,
        "convention": CONVENTION.replace("one sample", "Counted for the batch", 1),
    }


def sample_sizes(graph: Graph) -> list[dict[str, int]]:
    """Return a few legal input sizes on which formulas are tested."""
    free = _sizes(graph)
    return [
        {
            size.name: size.default
            if size.pinned
            else max(size.minimum, size.default + size.step * steps[axis % len(steps)])
            for axis, size in enumerate(free)
        }
        for steps in ((0, 0, 0), (-(2**40), 1, 2), (3, -1, 5), (64, 33, -2))
    ]


def work(node: Node, samples: Sequence[Mapping[str, int]]) -> Work:
    """Return the formula of a node's MACs, tested on every sample against the op's count."""
    if not node.macs:
        return Work(0, "")
    free = any(isinstance(size, Dim) for shape in (*node.in_shapes, node.shape) for size in shape)
    bases: tuple[Literal["", "input", "output"], ...] = ("output", "input") if free else ("",)
    for of in bases:
        per, rest = divmod(node.macs, Work(1, of).at(node.in_shapes, node.shape))
        if not rest and all(_holds(Work(per, of), node, sample) for sample in samples):
            return Work(per, of)
    raise AssertionError(f"the MACs of `{node.op.name}` are no multiple of its input or output")


def number(value: int) -> int | str:
    """Return an integer as data."""
    return value if abs(value) < _EXACT else str(value)


def size(value: Size) -> int | str | list[Any]:
    """Return a size as data."""
    return (
        number(value)
        if isinstance(value, int)
        else [value.symbol.name, *map(number, (value.m, value.p, value.q, value.r))]
    )


# --- pieces ----------------------------------------------------------------------------------------------


def _holds(formula: Work, node: Node, sample: Mapping[str, int]) -> bool:
    inputs, output = [concrete(shape, sample) for shape in node.in_shapes], concrete(node.shape, sample)
    return formula.at(inputs, output) == node.op.macs(inputs, output)


def _row(graph: Graph, node: Node, counted: NodeCount, macs: Work) -> Data:
    return {
        "path": escape_control(node.path),
        "kind": node.op.name,
        "text": node_written(graph, node),
        "fields": escape_control(_fields(node)),
        "inputs": list(node.sources),
        "shape": [size(s) for s in node.shape],
        "tensors": [_tensor(Tensor(node.key(param), param, node)) for param in node.params],
        "params": number(counted.params),
        "buffers": number(counted.buffers),
        "macs": [number(macs.each), macs.of] if macs.each else 0,
        "view": not node.op.stored and bool(node.inputs),
        "training": node.training,
    }


def _fields(node: Node) -> str:
    """The fields that are numbers, for the search: `kernel 3x3, stride 2, groups 32`."""
    said = node.op.explicit().items()
    sizes = ((name, in_short(value) if name in node.op.per_axis else value) for name, value in said)
    return ", ".join(f"{name} {value}" for name, value in sizes if isinstance(value, int | str))[:200]


def _tensor(tensor: Tensor) -> list[Any]:
    return [escape_control(tensor.key), list(tensor.param.shape), tensor.param.trained]


def _part(part: Part, each: Fraction) -> list[int | str]:
    return [number(each.numerator), number(each.denominator), part.of, int(part.batched)]


def _field(field: ReceptiveField | None, adapted: bool) -> list[int | bool]:
    return [] if field is None else [*field, adapted]


def _adapted(graph: Graph) -> list[bool]:
    """Whether a node's receptive field depends on the input's size: it comes after an adaptive pool of a free size."""
    adapted: list[bool] = []
    for node in graph.nodes:
        own = isinstance(node.op, AvgPool) and node.op.adaptive and any(isinstance(s, Dim) for s in node.in_shapes[0])
        adapted.append(own or any(adapted[i] for i in node.inputs))
    return adapted
