"""The float64 reference: each node of a network computed alone, with the tolerance that rounding needs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from archdsl.backends.torch.node import node_module
from archdsl.backends.weights import Array
from archdsl.graph import Graph, Node
from archdsl.ops import Norm
from archdsl.shapes import concrete
from archdsl.verification.tolerance import (
    ROUNDOFF,
    SMALLEST,
    Deviation,
    Float64Array,
    channel_differences,
    error_size,
    steadied,
    tolerances,
    worst_channel,
)

COPIES, FEW, CHEAP = 4, 1024, 1 << 22
"""Erring runs of a node that gives few numbers, at little cost: of few numbers one run says little."""
_ALONE = 1 << 24
"""Below so many multiply-accumulates, and in grouped convolutions, threads only wait for one another."""


class Reference(NamedTuple):
    """A node's value in float64, and for each channel the tolerance of a run in `dtype` (`tolerance.tolerances`)."""

    node: Node
    value: Array
    tolerances: Float64Array
    dtype: str

    def deviation(self, value: Array) -> Deviation:
        """How far a value of the node deviates from this one."""
        return worst_channel(channel_differences(value, self.value, self.dtype), self.tolerances)


@torch.no_grad()  # around the whole it would hold for the caller too, between two nodes
def reference_values(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Array],
    dtype: str = "float32",
    seed: int = 0,
    known: Mapping[str, Array] | None = None,
) -> Iterator[Reference]:
    """Every node that runs at inference, in order.

    With `known`, values of nodes by their paths, the nodes behind one of those are computed from what it is known to
    give: each node is then checked alone, given its own inputs, and earlier errors do not count.

    `inputs` by the path of the input, batch first; `weights` as for `to_torch`. Values are let go when nobody reads
    them any more; `tolerance.py` defines the tolerances.
    """
    last = _last_readers(graph)
    errors = torch.Generator().manual_seed(seed)
    threads = torch.get_num_threads()
    exact: dict[int, Tensor] = {}
    erring: dict[int, list[Tensor]] = {}
    for node in graph.nodes:
        if node.training:
            continue
        if node.id in graph.inputs:
            given = torch.tensor(inputs[node.path]).double()
            exact[node.id], erring[node.id] = given, [_off(given, ROUNDOFF[dtype], 0.0, errors)]
        else:
            _run(node, weights, exact, erring, dtype, errors, threads)
        torch.set_num_threads(threads)
        value = exact[node.id].numpy()
        spread = np.maximum.reduce([channel_differences(run.numpy(), value, dtype) for run in erring[node.id]])
        yield Reference(node, value, tolerances(steadied(spread, value), dtype), dtype)
        if known is not None and node.path in known and known[node.path].size == value.size:
            exact[node.id] = torch.tensor(known[node.path]).double().reshape(exact[node.id].shape)
            erring[node.id] = [exact[node.id]]
        for source in {*node.inputs, node.id}:
            if last[source] <= node.id:
                del exact[source], erring[source]


def reference_outputs(
    graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str = "float32", seed: int = 0
) -> dict[str, Reference]:
    """The network's outputs by name."""
    wanted = set(graph.outputs.values())
    nodes = reference_values(graph, weights, inputs, dtype, seed)
    outputs = {reference.node.id: reference for reference in nodes if reference.node.id in wanted}
    return {name: outputs[number] for name, number in graph.outputs.items()}


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


def _run(
    node: Node,
    weights: Mapping[str, Array],
    exact: dict[int, Tensor],
    erring: dict[int, list[Tensor]],
    dtype: str,
    errors: torch.Generator,
    threads: int,
) -> None:
    """The node's value, and the same from inputs and tensors that are off."""
    size = error_size(node, dtype)
    alone = node.macs < _ALONE or getattr(node.op, "groups", 1) > 1
    torch.set_num_threads(1 if alone else threads)
    module = node_module(node, weights).double()
    value = exact[node.id] = module(*(exact[i] for i in node.inputs))
    few = value.numel() <= FEW and node.macs <= CHEAP
    tensors = {key: tensor.clone() for key, tensor in module.state_dict().items()} if size and few else {}
    runs = erring[node.id] = []
    copies = max(COPIES if size else 1, *(len(erring[i]) for i in node.inputs)) if few else 1
    for copy in range(copies):
        given = [erring[i][copy % len(erring[i])] for i in node.inputs]
        if size and not isinstance(node.op, Norm):
            given = [_off(one, size, SMALLEST[dtype], errors) for one in given]
            _put_off(module, size, errors)
        made = module(*given)
        runs.append(_off(made, size, _least(node, dtype), errors, _scale(node, module, given)) if size else made)
        if tensors:
            module.load_state_dict(tensors)


def _least(node: Node, dtype: str) -> float:
    return 1.0 if node.op.error_of == "one" else SMALLEST[dtype]


def _scale(node: Node, module: nn.Module, given: list[Tensor]) -> Tensor | None:
    """What the error of each number is a fraction of, where that is not the number itself."""
    if isinstance(node.op, Norm):
        tensors = {key.rpartition(".")[2]: tensor for key, tensor in module.state_dict().items()}
        return _norm_terms(node.op, tensors, given[0])
    return given[0] if node.op.error_of == "input" else None


def _norm_terms(op: Any, tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The sizes of what a norm adds up: ``(|x| + |mean|) / std * |weight| + |bias|``.

    A group's variance may be the difference of two squares, as it is in torch for some layouts: its error is then
    ``mean**2 / var`` times as large.
    """
    one_each = (-1, *(1 for _ in x.shape[2:]))
    named = {key: tensor.reshape(one_each) for key, tensor in tensors.items() if tensor.ndim}
    if "running_mean" in named:
        sizes = (x.abs() + named["running_mean"].abs()) / (named["running_var"] + op.eps).sqrt()
    else:  # of the numbers of a group, or of the channels at each place
        groups = op.groups_of(x.shape[1])
        parts = x[:, None] if groups is None else x.reshape(len(x), groups, -1)
        var, mean = torch.var_mean(parts, 2, correction=0, keepdim=True)
        var += op.eps
        squares = (parts - mean).abs() * (mean.square() / var) * (groups is not None)
        sizes = ((parts.abs() + mean.abs() + squares) / var.sqrt()).reshape(x.shape)
    made: Tensor = sizes * named["weight"].abs() + named["bias"].abs() if "weight" in named else sizes
    return made


def _put_off(module: nn.Module, size: float, errors: torch.Generator) -> None:
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(_off(tensor, size, 0.0, errors))


def _off(value: Tensor, size: float, least: float, errors: torch.Generator, scale: Tensor | None = None) -> Tensor:
    """The value with every number off by `size` of itself (of `scale`, or of `least`), up or down."""
    signs = torch.empty(value.shape, dtype=torch.int8).random_(0, 2, generator=errors).mul_(2).sub_(1)
    by = (value if scale is None else scale).abs()
    return value + signs * (by + least).mul_(size)
