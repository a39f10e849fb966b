"""`archdsl.create_model` and `archdsl.list_models`: PyTorch modules by name, with parameters of timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from archdsl.analysis.stages import Stage, stages
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_flags, check_names, check_range, check_type, conflict
from archdsl.graph import Graph, Node
from archdsl.network import ArgValue, Network, as_network
from archdsl.network.open import AnyPath
from archdsl.packages import require_package
from archdsl.passes.drop import drop_dead, drop_training
from archdsl.pretrained import available
from archdsl.pretrained.release import unknown
from archdsl.shapes import concrete
from archdsl.spec.find import library_networks

if TYPE_CHECKING:
    import torch
    from torch import nn

    from archdsl.backends.weights import Weights
    from archdsl.backends.weights.resolve import WeightsSource


def create_model(
    name: AnyPath,
    pretrained: WeightsSource | bool | None = None,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    seed: int = 0,
    **args: ArgValue,
) -> nn.Module:
    """Return a network as a PyTorch module in evaluation mode: call `.train()` before you train it.

    `pretrained`, `num_classes`, `in_chans`, `features_only` and `out_indices` mean what they mean in timm. Its other
    parameters, such as `drop_rate` and `global_pool`, raise E0212 if the spec has no argument of that name.

    `name` is a SPEC, or `NAME.TAG` with the tag of published weights: `resnet50.a1_in1k`, `resnet50.IMAGENET1K_V2`.
    `num_classes` sets its argument `classes`; 0 leaves out the last layer, so that the module returns the features
    before it. `in_chans` sets the channels of the input. With `features_only` the module returns one feature map for
    each stride, as a tuple, and has `feature_info` with `channels()`, `reduction()` and `module_name()`; `out_indices`
    selects among them. `args` are the other arguments of the spec.

    `pretrained` is a source of weights as for `Network.weights`, or True for those of the tag, without a tag the first
    of `archdsl.pretrained.available(name)`: only with a name of weights it may reach the network. Tensors whose shapes
    `num_classes` changes are initialised from `seed`; the first filters are adapted to `in_chans`.

    Raises the errors of `load`, `Network.weights` and `Network.to_torch`; E0003 if the spec has no argument for
    `num_classes`, or for parameters that exclude each other; E0002 if it has no stages for `features_only`.
    """
    check_flags(features_only=features_only)
    name, tagged = _tagged(name)
    plain = as_network(name, args)
    source = _published(plain, tagged) if pretrained is True else None if pretrained is False else pretrained
    net = _changed(name, plain, num_classes, in_chans, args)
    graph = net.whole
    chosen: tuple[Stage, ...] = ()
    if features_only:
        chosen = _chosen(graph, out_indices)
        graph = _ending_at(graph, {stage.node.path: stage.node.id for stage in chosen})
    elif out_indices is not None:
        raise conflict("`out_indices` selects feature maps of `features_only`")
    elif num_classes == 0:
        graph = _ending_at(graph, {"features": _head(name, net, args).sources[0]})
    fresh = _resized(plain, net) if source is not None else []
    adapt = source is not None and in_chans is not None and net.input != plain.input
    return _module(net, graph, net.weights(source, seed, fresh, adapt_input=adapt), chosen)


def list_models(
    filter: str | Sequence[str] = "", *, pretrained: bool = False, exclude_filters: str | Sequence[str] = ()
) -> list[str]:
    """Return the names of the library's networks that match a pattern of `filter` and none of `exclude_filters`.

    Patterns are those of the shell (`*resnet*`); an empty filter matches all. No match gives an empty list. With
    `pretrained` the names have the tags of the weights that torchvision and timm publish: `resnet50.IMAGENET1K_V2`.
    """
    check_flags(pretrained=pretrained)
    filters, excluded = ((p,) if isinstance(p, str) else tuple(p) for p in (filter, exclude_filters))
    check_names("filter", filters)
    check_names("exclude_filters", excluded)
    wanted = [pattern for pattern in filters if pattern] or ["*"]
    names = sorted(
        name
        for name in library_networks()
        if any(fnmatchcase(name, p) for p in wanted) and not any(fnmatchcase(name, p) for p in excluded)
    )
    return [full.partition(":")[2] for name in names for full in available(name)] if pretrained else names


def _tagged(name: AnyPath) -> tuple[AnyPath, str]:
    """The network, and the tag of its weights, of `resnet50.a1_in1k`."""
    match = re.fullmatch(r"(\w+)\.(\w+)", name, re.ASCII) if isinstance(name, str) else None
    return (match[1], match[2]) if match and match[1] in library_networks() else (name, "")


def _published(network: Network, tag: str) -> str:
    """The name of the published weights with a tag, by default the first. Raises E0621 if there are none."""
    names = available(network.name)
    found = next((name for name in names if not tag or name.endswith(f".{tag}")), None)
    if found is None:
        what = f"weights `{tag}`" if tag else "weights"
        help = f"choose one of: {', '.join(names[:20])}" if names else "pass a source of weights as `pretrained`"
        raise unknown(f"torchvision and timm, as far as installed, publish no {what} of `{network.name}`", help)
    return found


def _changed(
    name: AnyPath, plain: Network, num_classes: int | None, in_chans: int | None, args: Mapping[str, ArgValue]
) -> Network:
    """The network with another number of classes and of input channels."""
    size = None
    if in_chans is not None:
        check_range("in_chans", in_chans, 1, 2**31 - 1)
        if isinstance(plain.input, dict):
            raise conflict(f"`in_chans` sets the channels of one input; `{plain.name}` has {len(plain.input)}")
        size = (in_chans, *plain.input[1:])
    if num_classes is not None:
        check_range("num_classes", num_classes, 0, 2**31 - 1)
        if "classes" not in plain.document.args:
            raise conflict(
                f"`num_classes` sets the argument `classes` of a spec; `{plain.name}` has none",
                help="write a spec that `extends` it and replaces its last node",
            )
    more = {"classes": num_classes} if num_classes else {}
    return plain if size is None and not more else as_network(name, {**args, **more}, size)


def _head(name: AnyPath, net: Network, args: Mapping[str, ArgValue]) -> Node:
    """The first node that another number of classes changes."""
    other = as_network(name, {**args, "classes": (net.classes or 1) + 1})
    for node, changed in zip(net.graph.nodes, other.graph.nodes, strict=True):
        if node.op != changed.op and not node.training:
            return node
    raise conflict(f"`num_classes=0` leaves out the last layer; `classes` changes no layer of `{net.name}`")


def _resized(plain: Network, net: Network) -> list[str]:
    """The tensors whose outputs another number of classes changes."""
    pairs = zip(net.graph.tensors, plain.graph.tensors, strict=True)
    return [ours.key for ours, theirs in pairs if ours.param.shape[:1] != theirs.param.shape[:1]]


def _chosen(graph: Graph, indices: Sequence[int] | None) -> tuple[Stage, ...]:
    found = stages(graph)
    if len(found) < 2:
        raise error("E0002", f"`features_only`: `{graph.name}` has {len(found)} stride, so no stages", status=2)
    if indices is None:
        return found
    check_type("out_indices", indices, "a list of indices", list, tuple)
    for index in indices:
        check_range("out_indices", index, -len(found), len(found) - 1)
    return tuple(found[index] for index in indices)


def _ending_at(graph: Graph, outputs: dict[str, int]) -> Graph:
    """The graph up to these nodes."""
    return drop_dead(drop_training(replace(graph, outputs=outputs)))


def _module(net: Network, graph: Graph, weights: Weights, chosen: Sequence[Stage]) -> nn.Module:
    if graph is net.graph:
        return net.to_torch(weights)
    require_package("torch", "E0801")
    from archdsl.backends.torch import to_torch

    module = to_torch(graph, {tensor.key: weights[tensor.key] for tensor in graph.tensors})
    if chosen:
        module.feature_info = FeatureInfo(chosen)  # type: ignore[assignment]
    if len(chosen) == 1:
        module.register_forward_hook(_as_tuple)
    return module


def _as_tuple(module: nn.Module, inputs: object, output: torch.Tensor) -> tuple[torch.Tensor]:
    return (output,)


class FeatureInfo:
    """What timm's `feature_info` reports of feature maps: channels, strides, and where they are."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._rows = [(concrete(stage.node.shape)[0], stage.stride, stage.node.written_path) for stage in stages]

    def channels(self) -> list[int]:
        return [channels for channels, _, _ in self._rows]

    def reduction(self) -> list[int]:
        return [stride for _, stride, _ in self._rows]

    def module_name(self) -> list[str]:
        return [path for _, _, path in self._rows]
