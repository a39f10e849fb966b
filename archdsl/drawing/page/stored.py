"""Formulas of what a training step stores, from which the page's scripts compute it at any size of the input."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import NamedTuple, TypeAlias

from archdsl.analysis.training import Tensor, stored
from archdsl.backends.torch.tape import trace
from archdsl.graph import Graph
from archdsl.shapes import concrete


class Part(NamedTuple):
    """Bytes in proportion to the values of a node's output, or a number of bytes if `of` is -1; once or by sample."""

    of: int
    batched: bool


Parts: TypeAlias = dict[Part, Fraction]


def stored_parts(graph: Graph, samples: Sequence[Mapping[str, int]]) -> list[Parts]:
    """Return for each node, by id, the bytes of its parts, tested at each of the samples.

    All are empty if a tensor is in proportion to no output, as a padded copy of an input, or if the samples store
    different tensors, as a layer of one position, which makes views where others copy.
    """
    runs = [stored(trace(graph, sizes=sample)) for sample in samples]
    rows: list[Parts] = [defaultdict(Fraction) for _ in graph.nodes]
    if len({tuple(node for node, _ in run) for run in runs}) > 1:
        return rows
    values = [[prod(concrete(node.shape, sample)) for sample in samples] for node in graph.nodes]
    for same in zip(*runs, strict=True):
        node = graph.nodes[same[0][0]]
        found = _part([tensor.owner for _, tensor in same], {of: values[of] for of in (node.id, *node.inputs)})
        if found is None:
            return [{} for _ in rows]
        rows[node.id][found[0]] += found[1]
    return rows


def _part(tensors: Sequence[Tensor], values: Mapping[int, Sequence[int]]) -> tuple[Part, Fraction] | None:
    """The formula of a tensor, by its sizes at the samples; `values`: those of the node's output and inputs."""
    sizes, batched = [tensor.bytes(1) for tensor in tensors], tensors[0].batched
    if len(set(sizes)) == 1:
        return Part(-1, batched), Fraction(sizes[0])
    for of, counts in values.items():
        ratios = {Fraction(a, b) for a, b in zip(sizes, counts, strict=True)}
        if len(ratios) == 1:
            return Part(of, batched), ratios.pop()
    return None
