"""`archdsl.weights.reparameterise`: weights of parallel branches as those of the one convolution that is deployed.

A norm after a convolution scales its filters; a smaller window is the middle of a larger one; a branch that is only a
norm is a filter with one value, at its own channel. So parallel branches add to one convolution with a bias (Ding et
al. 2021, RepVGG, arXiv 2101.03697; Vasu et al. 2023, MobileOne, arXiv 2206.04040).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from archdsl.backends.weights import Array, TensorEntry, Weights, save
from archdsl.backends.weights.evaluate import gain_and_shift
from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.diagnostics.arguments import check_flags, check_mappings, check_type
from archdsl.files.atomic import WrittenFile
from archdsl.graph import Graph, Node
from archdsl.graph_recipes import ChannelMap
from archdsl.network import Network, as_network
from archdsl.ops.conv import Conv
from archdsl.ops.norm import Bn
from archdsl.packages import install_command, require_package

ARGUMENT = "deploy"
"""The argument of a spec that selects its deployed form."""
MOST = 1e-9
"""How far outputs in double precision may differ, as a part of the largest."""
_SIZE = 64
"""The input size of the comparison, where the network takes it."""


@dataclass(frozen=True, slots=True)
class Reparameterised:
    """The written file, the number of convolutions that were computed, and the largest difference of the outputs in
    double precision, as a part of the largest output."""

    file: WrittenFile
    convolutions: int
    difference: float
    notes: tuple[Diagnostic, ...]


def reparameterise(
    file: str | os.PathLike[str],
    spec: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    args: Mapping[str, object] | None = None,
    input: str | None = None,
    force: bool = False,
) -> Reparameterised:
    """Write the weights of the deployed form of a network, `deploy=true`, as safetensors; `file` has those of its
    training form.

    Both forms run on random input in double precision before anything is written. Needs torch. Raises E0610 if the spec
    has no deployed form or the outputs differ, E06xx for the file, E07xx for `output`, and as `load` does.
    """
    check_type("file", file, "a path", str, os.PathLike)
    check_type("spec", spec, "a path or a name", str, os.PathLike)
    check_type("output", output, "a path", str, os.PathLike)
    check_mappings(args=args)
    check_flags(force=force)
    require_package("torch", "E0801", f"{install_command('torch')}")
    plain = as_network(spec, args, input)
    if ARGUMENT not in plain.document.args:
        raise error("E0610", f"`{plain.name}` has no deployed form: its spec has no argument `{ARGUMENT}`")
    trained, deployed = (as_network(spec, {**(args or {}), ARGUMENT: form}, input) for form in (False, True))
    weights = trained.weights(file)
    values: dict[str, Array] = {}
    count = 0
    for node in deployed.graph.nodes:
        if isinstance(node.op, Conv) and node.path not in trained.graph.by_path:
            values |= _sum_of_branches(node, trained.graph, deployed.graph, weights)
            count += 1
    values |= {t.key: weights[t.key] for t in deployed.graph.tensors if t.key not in values}
    difference = _difference(spec, args, input, weights, values)
    if not difference <= MOST:
        raise error("E0610", f"the deployed form of `{plain.name}` has other outputs: they differ by {difference:.3g}")
    entries = {key: _entry(value) for key, value in values.items()}
    result = Weights(entries, lambda: f"{weights.source}; reparameterised")
    written = save(result, output, deployed.metadata(), inputs=[file, *plain.files], force=force)
    return Reparameterised(written, count, difference, weights.notes)


def _entry(value: Array) -> TensorEntry:
    dtype = "float32" if value.dtype.kind == "f" else "int64"
    return TensorEntry(value.shape, dtype, lambda: value.astype(dtype))


def _sum_of_branches(node: Node, trained: Graph, deployed: Graph, weights: Mapping[str, Array]) -> dict[str, Array]:
    """The filters and the bias of a deployed convolution in double precision."""
    filters, bias = node.params[0], np.zeros(node.params[0].shape[0])
    total = np.zeros(filters.shape)
    place = node.path.rpartition(".")[0]
    for norm, source in _branches(place, trained, deployed):
        keys = {param.name: norm.key(param) for param in norm.params}
        assert isinstance(norm.op, Bn)
        of_norm = ChannelMap(
            keys.get("weight"), keys.get("bias"), keys["running_mean"], keys["running_var"], eps=norm.op.eps
        )
        if source is None:
            gain, shift = gain_and_shift([of_norm], weights, len(bias))
            for channel, own in enumerate(gain):
                total[(channel, channel % filters.shape[1], *_middle(filters.shape))] += own
        else:
            stored = np.asarray(weights[source.key(source.params[0])], np.float64)
            gain, shift = gain_and_shift([of_norm], weights, len(bias))
            shift = shift + gain * np.asarray(weights[f"{source.path}.bias"]) if len(source.params) > 1 else shift
            begin = [(large - small) // 2 for large, small in zip(total.shape, stored.shape, strict=True)]
            inside = tuple(slice(at, at + size) for at, size in zip(begin, stored.shape, strict=True))
            total[inside] += stored * gain.reshape(-1, *[1] * (stored.ndim - 1))
        bias += shift
    return {node.key(filters): total, f"{node.path}.bias": bias}


def _middle(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size // 2 for size in shape[2:])


def _branches(place: str, trained: Graph, deployed: Graph) -> Iterator[tuple[Node, Node | None]]:
    """The norms of the branches at a place that only the training form has, each with the convolution before it."""
    for node in trained.nodes:
        if node.path.startswith(f"{place}.") and isinstance(node.op, Bn) and node.path not in deployed.by_path:
            source = trained.nodes[node.inputs[0]]
            inside = isinstance(source.op, Conv) and source.path.startswith(f"{place}.")
            yield node, source if inside else None


def _difference(
    spec: Any, args: Mapping[str, object] | None, input: str | None, weights: Weights, values: Mapping[str, Array]
) -> float:
    """The largest difference of the outputs of both forms on random input, as a part of the largest output."""
    import torch

    outputs, x = [], None
    for deploy, tensors in ((False, weights), (True, values)):
        network = _small(spec, {**(args or {}), ARGUMENT: deploy}, input)
        module = network.to_torch(device="meta")
        state = {key: torch.from_numpy(np.array(tensors[key])) for key in module.state_dict()}
        state = {key: value.double() if value.is_floating_point() else value for key, value in state.items()}
        module.load_state_dict(state, strict=True, assign=True)
        shape = network.input
        assert isinstance(shape, tuple)
        if x is None:
            x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        with torch.no_grad():
            outputs.append(module.eval()(x))
    return float((outputs[0] - outputs[1]).abs().max() / outputs[0].abs().max())


def _small(spec: Any, args: Mapping[str, object], input: str | None) -> Network:
    """The network, at a small input size if it takes one."""
    network = as_network(spec, args, input)
    shape = network.input
    if not isinstance(shape, tuple):
        raise error("E0610", f"`{network.name}` has several inputs; its forms cannot be compared")
    try:
        return as_network(spec, args, "x".join(str(size) for size in (shape[0], *(min(n, _SIZE) for n in shape[1:]))))
    except ArchError:
        return network
