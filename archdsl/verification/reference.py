"""The float64 reference: the value of each node and its tolerance, from the node's own inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from archdsl.axes import axes_of
from archdsl.backends.torch.node import node_module
from archdsl.backends.weights import Array
from archdsl.graph import Graph, Node
from archdsl.ops import L2, Bn, Lrn, Norm, Upsample
from archdsl.shapes import concrete
from archdsl.verification.sums import growth
from archdsl.verification.tolerance import (
    LARGEST,
    LEAST,
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

COPIES, FEW, CHEAP = 4, 1 << 14, 1 << 22
"""Number of perturbed runs of a node with at most FEW output values and CHEAP MACs: one run of so few values is a small
sample."""
SPARSE_COPIES, SMALL = 16, 1 << 16
"""The same for a cheap node with a channel of fewer than LEAST nonzero values, and for nodes of at most SMALL values
that read it: where the terms of one value cancel, a single run may have no error by chance."""
_SINGLE_THREAD = 1 << 24
"""With fewer MACs than this, and in grouped convolutions, threads only wait for each other."""


class Reference(NamedTuple):
    """A node's value in float64, and the tolerance of each channel for a run in `dtype` (`tolerance.tolerances`).

    `overflow`: the node's known value is wrong or not finite because values do not fit into `dtype`.
    """

    node: Node
    value: Array
    tolerances: Float64Array
    dtype: str
    overflow: bool = False

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return float(np.abs(self.value).max(initial=0.0))

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
    sizes: Mapping[str, int] | None = None,
    copies: int = 1,
) -> Iterator[Reference]:
    """Yield the reference of every node that runs at inference, in order.

    `inputs` are by the path of the input, batch first; `weights` as for `to_torch`. `known` are values of nodes by
    path: the nodes that read one of them are computed from the known value, so errors of earlier nodes do not count.
    Nodes that read a known value that is not finite are left out. `sizes` are the free sizes of the inputs, if they are
    not the default ones; `copies` is the number of perturbed runs.

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
        observed = None if known is None else known.get(node.path)
        if node.id in graph.inputs:
            tensor = torch.tensor(inputs[node.path]).double()
            exact[node.id] = tensor
            perturbed[node.id] = [_perturbed(tensor, ROUNDOFF[dtype], 0.0, errors) for _ in range(copies)]
        elif exact.keys() >= set(node.inputs):
            _run(
                node, weights, exact, perturbed, _Errors(dtype, error_size(node, dtype, sizes), copies, errors), threads
            )
        torch.set_num_threads(threads)
        if node.id in exact:
            value = exact[node.id].numpy()
            own = 0.0 if node.id in graph.inputs else error_size(node, dtype, sizes)
            runs = [channel_differences(run.numpy(), value, dtype) for run in perturbed[node.id]]
            spread = np.maximum(np.maximum.reduce(runs), own)  # the errors of a run may cancel those of its inputs
            overflow = observed is not None and _overflows(node, weights, exact, observed, dtype)
            yield Reference(node, value, tolerances(steady_spread(spread, value), dtype), dtype, overflow)
        if observed is not None:
            _keep_observed(node, observed, exact, perturbed)
        for source in {*node.inputs, node.id}:
            if last[source] <= node.id:
                exact.pop(source, None)
                perturbed.pop(source, None)


def _keep_observed(node: Node, observed: Array, exact: dict[int, Tensor], perturbed: dict[int, list[Tensor]]) -> None:
    """Let the readers of a node read its observed value; if it is not finite, they are not computed."""
    shape = exact[node.id].shape if node.id in exact else (len(observed), *concrete(node.shape))
    if not np.isfinite(observed).all():
        exact.pop(node.id, None)
    elif observed.size == prod(shape):
        exact[node.id] = torch.tensor(observed).double().reshape(shape)
        perturbed[node.id] = [exact[node.id]]


def _overflows(
    node: Node, weights: Mapping[str, Array], exact: Mapping[int, Tensor], observed: Array, dtype: str
) -> bool:
    """Whether an observed value is wrong because the node's values or its intermediate results are too large.

    They are if a variance overflows: the value may be 0 then. If the observed value is not finite, they are if the
    reference is too large for the type, or if the node alone in float32 is not finite, either.
    """
    squares = isinstance(node.op, L2 | Lrn | Norm) and not isinstance(node.op, Bn)
    if squares and float(exact[node.inputs[0]].abs().max()) ** 2 > LARGEST["float32"]:
        return True
    if np.isfinite(observed).all() or not exact[node.id].isfinite().all():
        return False
    if float(exact[node.id].abs().max()) > LARGEST[dtype]:
        return True
    single = node_module(node, weights)(*(exact[i].float() for i in node.inputs))
    return not bool(single.isfinite().all())


def reference_outputs(
    graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str = "float32", seed: int = 0
) -> dict[str, Reference]:
    """Return the references of the network's outputs by name."""
    wanted = set(graph.outputs.values())
    nodes = reference_values(graph, weights, inputs, dtype, seed)
    outputs = {reference.node.id: reference for reference in nodes if reference.node.id in wanted}
    return {name: outputs[number] for name, number in graph.outputs.items()}


def _last_readers(graph: Graph) -> list[int]:
    last = list(range(len(graph.nodes)))
    for node in graph.nodes:
        if not node.training:
            for source in node.inputs:
                last[source] = node.id
    return last


class _Errors(NamedTuple):
    """The type, the relative error of a node, the least number of perturbed runs, and the source of random signs."""

    dtype: str
    size: float
    copies: int
    generator: torch.Generator


def _run(
    node: Node,
    weights: Mapping[str, Array],
    exact: dict[int, Tensor],
    perturbed: dict[int, list[Tensor]],
    errors: _Errors,
    threads: int,
) -> None:
    """Compute the node's value, and its values from perturbed inputs and tensors."""
    dtype, size, copies, generator = errors
    single_thread = node.macs < _SINGLE_THREAD or getattr(node.op, "groups", 1) > 1
    torch.set_num_threads(1 if single_thread else threads)
    module = node_module(node, weights).double()
    value = exact[node.id] = _applied(node, module, [exact[i] for i in node.inputs])
    copies = _copies(node, value, size, copies, max(len(perturbed[i]) for i in node.inputs))
    again = size and copies > 1
    widen = growth(node, exact[node.inputs[0]], size) if size else None
    tensors = {key: tensor.clone() for key, tensor in module.state_dict().items()} if again else {}
    runs = perturbed[node.id] = []
    for copy in range(copies):
        inputs = [perturbed[i][copy % len(perturbed[i])] for i in node.inputs]
        if size and not isinstance(node.op, Norm):
            inputs = [_perturbed(tensor, size, SMALLEST[dtype], generator) for tensor in inputs]
            _perturb_tensors(module, size, generator)
        output = _applied(node, module, inputs)
        scale = _scale(node, module, inputs) if size else None
        if widen is not None:
            scale = (output if scale is None else scale) * torch.from_numpy(widen)
        runs.append(_perturbed(output, size, _least(node, dtype), generator, scale) if size else output)
        if tensors:
            module.load_state_dict(tensors)


def _applied(node: Node, module: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Run a node. Nearest interpolation rounds the ratio of the sizes to the type of its values, so it gets them as two
    float32 parts: in float64, it would select other pixels."""
    parts = [inputs[0]]
    if isinstance(node.op, Upsample) and node.op.mode == "nearest":
        parts = [inputs[0].float(), (inputs[0] - inputs[0].float()).float()]
    value: Tensor = module(parts[0], *inputs[1:]).double()
    return value if len(parts) == 1 else value + module(parts[1], *inputs[1:]).double()


def _copies(node: Node, value: Tensor, size: float, least: int, inherited: int) -> int:
    """The number of perturbed runs: more for few values, and for channels with few nonzero values."""
    if node.macs <= CHEAP and size and axes_of(value.shape[1:]) > 0:
        nonzero = (value != 0).sum((0, *range(2, value.ndim)))
        if bool(((nonzero > 0) & (nonzero < LEAST)).any()):
            return max(least, SPARSE_COPIES, inherited)
    if value.numel() <= FEW and node.macs <= CHEAP:
        return max(least, COPIES if size else 1, inherited)
    return max(least, inherited) if value.numel() <= SMALL and node.macs <= CHEAP else least


def _least(node: Node, dtype: str) -> float:
    return 1.0 if node.op.error_of == "one" else SMALLEST[dtype]


def _scale(node: Node, module: nn.Module, inputs: list[Tensor]) -> Tensor | None:
    """The values that the errors of the output are relative to; None: the output itself."""
    if isinstance(node.op, Norm):
        tensors = {key.rpartition(".")[2]: tensor for key, tensor in module.state_dict().items()}
        return _norm_terms(node.op, tensors, inputs[0])
    return inputs[0] if node.op.error_of == "input" else None


def _norm_terms(op: Any, tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The absolute values of the terms that a norm adds: ``(|x| + m) / std * |weight| + |bias|``.

    m is |mean| if the mean is stored. A mean over x is itself a sum, whose error is relative to the mean of |x|: where
    values cancel, the mean may be 0 and its error is not. PyTorch computes the variance of a group as the difference of
    two squares for some memory layouts; its error is then ``mean**2 / var`` times as large.
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
        sizes = ((parts.abs() + parts.abs().mean(2, keepdim=True) + squares) / var.sqrt()).reshape(x.shape)
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
