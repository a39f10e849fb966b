"""The judge: a network computed node by node in float64, each node alone, and how far rounding may lead from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from archdsl.backends.torch.node import node_module
from archdsl.backends.weights import Array
from archdsl.graph import Graph, Node
from archdsl.runtime.bounds import ABSOLUTE, OF_INPUT, ROUNDOFF, SMALLEST, bound, difference, error_size
from archdsl.shapes import concrete


class Judged(NamedTuple):
    """What a node gives, in float64, and how far a run in `dtype` may be from it (`bounds.difference`)."""

    node: Node
    value: Array
    bound: float


def judge(graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str = "float32",
          seed: int = 0) -> Iterator[Judged]:  # fmt: skip
    """Every node that runs at inference, in order.

    `inputs` by the path of the input, batch first; `weights` as for `to_torch`. Values are let go when nobody reads them any
    more; `bounds.py` says what the bounds are.
    """
    last = _last_readers(graph)
    errors = torch.Generator().manual_seed(seed)
    exact: dict[int, Tensor] = {}
    erring: dict[int, Tensor] = {}
    with torch.no_grad():
        for node in graph.nodes:
            if node.training:
                continue
            if node.id in graph.inputs:
                given = torch.tensor(inputs[node.path]).double()
                exact[node.id], erring[node.id] = given, _off(given, ROUNDOFF[dtype], 0.0, errors)
            else:
                _run(node, weights, exact, erring, dtype, errors)
            value = exact[node.id].numpy()
            yield Judged(node, value, bound(difference(erring[node.id].numpy(), value), dtype))
            for source in {*node.inputs, node.id}:
                if last[source] <= node.id:
                    del exact[source], erring[source]


def judge_outputs(graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str = "float32",
                  seed: int = 0) -> dict[str, Judged]:  # fmt: skip
    """The network's outputs by name."""
    wanted = set(graph.outputs.values())
    found = {
        judged.node.id: judged for judged in judge(graph, weights, inputs, dtype, seed) if judged.node.id in wanted
    }
    return {name: found[number] for name, number in graph.outputs.items()}


def seeded_inputs(graph: Graph, batch: int = 2, seed: int = 0) -> dict[str, Array]:
    """Numbers for every input, standard normal, by its path; of the default size."""
    draw = np.random.default_rng(seed)
    return {
        graph.nodes[i].path: draw.standard_normal((batch, *concrete(graph.nodes[i].shape)), np.float32)
        for i in graph.inputs
    }


def _last_readers(graph: Graph) -> list[int]:
    last = list(range(len(graph.nodes)))
    for node in graph.nodes:
        if not node.training:
            for source in node.inputs:
                last[source] = node.id
    return last


def _run(node: Node, weights: Mapping[str, Array], exact: dict[int, Tensor], erring: dict[int, Tensor], dtype: str,
         errors: torch.Generator) -> None:  # fmt: skip
    """The node's value, and the same from inputs and tensors that are off."""
    size, least = error_size(node, dtype), SMALLEST[dtype]
    module = node_module(node, weights).double()
    given = [exact[i] for i in node.inputs]
    exact[node.id] = module(*given)
    astray = [erring[i] for i in node.inputs]
    if size:
        astray = [_off(value, size, least, errors) for value in astray]
        _put_off(module, size, errors)
    made = module(*astray)
    if not size:
        erring[node.id] = made
        return
    kind = type(node.op)
    least = 1.0 if kind in ABSOLUTE else least
    erring[node.id] = _off(made, size, least, errors, astray[0] if kind in OF_INPUT else made)


def _put_off(module: nn.Module, size: float, errors: torch.Generator) -> None:
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(_off(tensor, size, 0.0, errors))


def _off(value: Tensor, size: float, least: float, errors: torch.Generator, scale: Tensor | None = None) -> Tensor:
    """The value with every number off by `size` of itself (of `scale`, or of `least`), up or down."""
    signs = torch.empty(value.shape, dtype=torch.int8).random_(0, 2, generator=errors).mul_(2).sub_(1)
    by = (value if scale is None else scale).abs()
    return value + signs * (by + least).mul_(size)
