"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): feature maps weighted by the mean gradient of a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archdsl.analysis.head import has_pixels, last_map, logits_node
from archdsl.diagnostics import closest, error
from archdsl.diagnostics.arguments import conflict
from archdsl.graph import Graph, Node, needed_for
from archdsl.runtime.devices import place_of


def explained_node(graph: Graph, path: str | None) -> Node:
    """Return the node with this path, or the last node of the block with this path, whose features Grad-CAM weighs.

    None: the last node before the head with more than one pixel, through which every path from the input leads. Raises
    E0880 if there is none, E0881 for a path of no such node.
    """
    end = logits_node(graph)
    if path is None:
        node = last_map(graph, end)
        if node is None:
            message = f"`{graph.name}` has no feature map with spatial axes before its head: Grad-CAM explains none"
            raise error("E0880", message, status=2, help="use the method `occlusion`")
        return node
    scopes = [scope for scope in graph.root.walk() if scope.path]
    ends = {scope.path: graph.nodes[scope.end - 1] for scope in reversed(scopes)}  # an inner one may have the same path
    node = graph.by_path.get(path) or ends.get(path)
    if node is None:
        best = closest(path, {**graph.by_path, **ends})
        help_ = f"did you mean `{best}`?" if best else f"`archdsl params {graph.name} --all` lists the paths"
        raise error("E0881", f"`{graph.name}` has no node `{path[:120]}`", status=2, help=help_)
    if node.id in graph.inputs or node.id not in needed_for(graph.nodes, {end.id}):
        why = "the score does not depend on it" if node.id not in graph.inputs else "it is the input"
        raise error("E0881", f"`{path}` is no layer that Grad-CAM can explain: {why}", status=2)
    if not has_pixels(node):
        message = f"`{path}` is no layer that Grad-CAM can explain: its output has no spatial axes with several pixels"
        raise error("E0881", message, status=2, help="choose an earlier layer, before the global pool or the flatten")
    return node


@dataclass(frozen=True, slots=True)
class GradCam:
    """A network whose nodes run one after the other in PyTorch, in float32, on a device.

    `layer` is the node whose features are weighed; `modules` has a module for each node that the first output needs.
    """

    graph: Graph
    layer: Node
    modules: Mapping[int, Any]
    device: Any

    def scores(self, values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], GradCamRun]:
        """Return the first output for one sample, `(classes,)`, and the run, which gives the map of a class."""
        import torch

        graph, end = self.graph, logits_node(self.graph).id
        output = next(iter(graph.outputs.values()))
        readers = {source: number for number in self.modules for source in graph.nodes[number].inputs}
        tensors = {graph.inputs[0]: torch.from_numpy(values).to(self.device)}
        kept = {self.layer.id, end, output}
        for number, module in self.modules.items():
            node = graph.nodes[number]
            with torch.set_grad_enabled(number > self.layer.id):
                tensors[number] = module(*(tensors[i] for i in node.inputs))
            if number == self.layer.id:
                tensors[number] = tensors[number].detach().requires_grad_()
            for source in node.inputs:
                if readers[source] == number and source not in kept:
                    tensors.pop(source, None)
        scores = tensors[output].detach().reshape(-1).cpu().numpy()
        return scores, GradCamRun(tensors[self.layer.id], tensors[end])


@dataclass(frozen=True, slots=True)
class GradCamRun:
    """The feature maps and the logits of one sample, as tensors with their gradients."""

    features: Any
    logits: Any

    def map(self, target: int, sign: float) -> npt.NDArray[np.float32]:
        """Return ``relu(sum_c mean(d logit / d F[c]) * F[c])`` of the class, at the resolution of the features."""
        import torch

        (gradient,) = torch.autograd.grad(sign * self.logits.reshape(-1)[target], self.features)
        axes = tuple(range(2, gradient.ndim))
        weighted = (gradient.mean(axes, keepdim=True) * self.features).sum(1)[0]
        grid: npt.NDArray[np.float32] = weighted.relu().detach().cpu().numpy()
        return grid


def build(graph: Graph, weights: Mapping[str, Any], layer: str | None, device: str) -> GradCam:
    """Build the modules. Raises E0880 and E0881 as `explained_node`, E0001 or E0803 for the device."""
    import torch

    from archdsl.backends.torch.module import usable_device
    from archdsl.backends.torch.node import node_module

    wanted = place_of(device)
    if wanted.kind == "tensorrt":
        raise conflict("Grad-CAM runs in PyTorch, which has no device `tensorrt`", "use cpu, cuda or auto")
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    place = usable_device(auto if wanted.kind == "auto" else wanted.torch)
    node = explained_node(graph, layer)
    needed = sorted(needed_for(graph.nodes, {next(iter(graph.outputs.values()))}) - {*graph.inputs})
    modules = {i: node_module(graph.nodes[i], weights).to(place) for i in needed}
    return GradCam(graph, node, modules, place)
