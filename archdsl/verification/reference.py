"""The float64 reference: the value of each node and its tolerance, from the node's own inputs."""

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
    steady_spread,
    tolerances,
    worst_channel,
)

COPIES, FEW, CHEAP = 4, 1024, 1 << 22
"""Number of perturbed runs of a node with at most FEW output values and CHEAP MACs: one run of so few values is a small
sample."""
_SINGLE_THREAD = 1 << 24
"""With fewer MACs than this, and in grouped convolutions, threads only wait for each other."""


class Reference(NamedTuple):
    """A node's value in float64, and the tolerance of each channel for a run in `dtype` (`tolerance.tolerances`)."""

    node: Node
    value: Array
    tolerances: Float64Array
    dtype: str

    def deviation(self, value: Array) -> Deviation:
        """Return the difference of another value of the node from this one."""
        return worst_channel(channel_differences(value, self.value, self.dtype), self.tolerances)


@torch.no_grad()  # as a decorator: a `with` block in a generator would stay active in the caller
def reference_values(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Array],
    dtype: str = "float32",
    seed: int = 0,
    known: Mapping[str, Array] | None = None,
) -> Iterator[Reference]:
    """Yield the reference of every node that runs at inference, in order.

    `inputs` are by the path of the input, batch first; `weights` as for `to_torch`. `known` are values of nodes by
    path: the nodes that read one of them are computed from the known value, so errors of earlier nodes do not count.

    Values are released after their last reader; `tolerance.py` defines the tolerances.
    """
    last = _last_readers(graph)
    errors = torch.Generator().manual_seed(seed)
    threads = torch.get_num_threads()
    exact: dict[int, Tensor] = {}
    perturbed: dict[int, list[Tensor]] = {}
    for node in graph.nodes:
        if node.training:
            continue
        if node.id in graph.inputs:
            tensor = torch.tensor(inputs[node.path]).double()
            exact[node.id], perturbed[node.id] = tensor, [_perturbed(tensor, ROUNDOFF[dtype], 0.0, errors)]
        else:
            _run(node, weights, exact, perturbed, dtype, errors, threads)
        torch.set_num_threads(threads)
        value = exact[node.id].numpy()
        spread = np.maximum.reduce([channel_differences(run.numpy(), value, dtype) for run in perturbed[node.id]])
        yield Reference(node, value, tolerances(steady_spread(spread, value), dtype), dtype)
        if known is not None and node.path in known and known[node.path].size == value.size:
            exact[node.id] = torch.tensor(known[node.path]).double().reshape(exact[node.id].shape)
            perturbed[node.id] = [exact[node.id]]
        for source in {*node.inputs, node.id}:
            if last[source] <= node.id:
                del exact[source], perturbed[source]


def reference_outputs(
    graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str = "float32", seed: int = 0
) -> dict[str, Reference]:
    """Return the references of the network's outputs by name."""
    wanted = set(graph.outputs.values())
    nodes = reference_values(graph, weights, inputs, dtype, seed)
    outputs = {reference.node.id: reference for reference in nodes if reference.node.id in wanted}
    return {name: outputs[number] for name, number in graph.outputs.items()}


def seeded_inputs(graph: Graph, batch: int = 2, seed: int = 0) -> dict[str, Array]:
    """Draw every input of the network from a standard normal distribution, in its default size; by path."""
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
    perturbed: dict[int, list[Tensor]],
    dtype: str,
    errors: torch.Generator,
    threads: int,
) -> None:
    """Compute the node's value, and its values from perturbed inputs and tensors."""
    size = error_size(node, dtype)
    single_thread = node.macs < _SINGLE_THREAD or getattr(node.op, "groups", 1) > 1
    torch.set_num_threads(1 if single_thread else threads)
    module = node_module(node, weights).double()
    value = exact[node.id] = module(*(exact[i] for i in node.inputs))
    few = value.numel() <= FEW and node.macs <= CHEAP
    tensors = {key: tensor.clone() for key, tensor in module.state_dict().items()} if size and few else {}
    runs = perturbed[node.id] = []
    copies = max(COPIES if size else 1, *(len(perturbed[i]) for i in node.inputs)) if few else 1
    for copy in range(copies):
        inputs = [perturbed[i][copy % len(perturbed[i])] for i in node.inputs]
        if size and not isinstance(node.op, Norm):
            inputs = [_perturbed(tensor, size, SMALLEST[dtype], errors) for tensor in inputs]
            _perturb_tensors(module, size, errors)
        output = module(*inputs)
        scale = _scale(node, module, inputs) if size else None
        runs.append(_perturbed(output, size, _least(node, dtype), errors, scale) if size else output)
        if tensors:
            module.load_state_dict(tensors)


def _least(node: Node, dtype: str) -> float:
    return 1.0 if node.op.error_of == "one" else SMALLEST[dtype]


def _scale(node: Node, module: nn.Module, inputs: list[Tensor]) -> Tensor | None:
    """The values that the errors of the output are relative to; None: the output itself."""
    if isinstance(node.op, Norm):
        tensors = {key.rpartition(".")[2]: tensor for key, tensor in module.state_dict().items()}
        return _norm_terms(node.op, tensors, inputs[0])
    return inputs[0] if node.op.error_of == "input" else None


def _norm_terms(op: Any, tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The absolute values of the terms that a norm adds: ``(|x| + |mean|) / std * |weight| + |bias|``.

    PyTorch computes the variance of a group as the difference of two squares for some memory layouts; its error is then
    ``mean**2 / var`` times as large.
    """
    one_each = (-1, *(1 for _ in x.shape[2:]))
    named = {key: tensor.reshape(one_each) for key, tensor in tensors.items() if tensor.ndim}
    if "running_mean" in named:
        sizes = (x.abs() + named["running_mean"].abs()) / (named["running_var"] + op.eps).sqrt()
    else:  # over the values of a group, or over the channels at each position
        groups = op.groups_of(x.shape[1])
        parts = x[:, None] if groups is None else x.reshape(len(x), groups, -1)
        var, mean = torch.var_mean(parts, 2, correction=0, keepdim=True)
        var += op.eps
        squares = (parts - mean).abs() * (mean.square() / var) * (groups is not None)
        sizes = ((parts.abs() + mean.abs() + squares) / var.sqrt()).reshape(x.shape)
    terms: Tensor = sizes * named["weight"].abs() + named["bias"].abs() if "weight" in named else sizes
    return terms


def _perturb_tensors(module: nn.Module, size: float, errors: torch.Generator) -> None:
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(_perturbed(tensor, size, 0.0, errors))


def _perturbed(
    value: Tensor, size: float, least: float, errors: torch.Generator, scale: Tensor | None = None
) -> Tensor:
    """The value plus or minus ``size * (|scale| + least)``, with random signs; `scale` defaults to the value."""
    signs = torch.empty(value.shape, dtype=torch.int8).random_(0, 2, generator=errors).mul_(2).sub_(1)
    magnitude = (value if scale is None else scale).abs()
    return value + signs * (magnitude + least).mul_(size)
