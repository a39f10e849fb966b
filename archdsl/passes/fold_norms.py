"""Batch norms, `scale` and `affine` taken into the convolution or fully connected layer beside them.

The layer gets recipes for its tensors (`archdsl.graph_recipes`), no numbers. Tensors that several nodes use stay as they are.
A batch norm that stands alone stays one: as a multiplication and an addition it ran slower (DenseNet-121 in ONNX
Runtime, 1.13 times).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archdsl.graph import Graph, Node
from archdsl.graph_recipes import ChannelMap, Folded
from archdsl.ops import Affine, Bn, Conv, Deconv, Fc, Scale
from archdsl.passes.edit import Edit, observed, sole_reader

_LAYERS = (Conv, Deconv, Fc)


def fold_after(graph: Graph) -> Graph:
    """Each norm or factor behind a layer taken into it, where nothing else reads the layer."""
    edit = Edit(graph)
    for node in graph.nodes:
        found = channel_map(node)
        if found is None or graph.is_shared(node):
            continue
        before = node.inputs[0]
        layer = edit.nodes[edit.source(before)]
        if _foldable(graph, layer) and sole_reader(graph, before) is node:
            edit.nodes[layer.id] = _taken_in(layer, after=found)
            edit.bypass(node.id, layer.id)
    return edit.made()


def fold_before(graph: Graph) -> Graph:
    """Each norm or factor before layers taken into them, where that is exact.

    It is not where a shift meets padding: it would have to be padded with itself, not with zeros.
    """
    edit, seen = Edit(graph), observed(graph)
    for node in reversed(graph.nodes):
        found = channel_map(node)
        if found is None or node.id in seen or graph.is_shared(node):
            continue
        readers = edit.readers(node.id)
        if readers and all(_takes_before(graph, reader, found) for reader in readers):
            for reader in readers:
                edit.nodes[reader.id] = _taken_in(reader, before=found)
            edit.bypass(node.id, node.inputs[0])
    return edit.made()


def channel_map(node: Node) -> ChannelMap | None:
    """What the node does to each channel at inference, where that is one gain and one shift."""
    op = node.op
    keys = {param.name: node.key(param) for param in node.reads}
    if isinstance(op, Bn):
        return ChannelMap(
            keys.get("weight"), keys.get("bias"), keys["running_mean"], keys["running_var"], op.eps, path=node.path
        )
    if isinstance(op, Scale):
        return ChannelMap(weight=keys[""], path=node.path)
    if isinstance(op, Affine):
        return ChannelMap(mul=op.mul, add=op.add, path=node.path)
    return None


def _foldable(graph: Graph, node: Node) -> bool:
    """Whether it is a layer whose weight is its alone, and has an axis for its outputs (that of a `table` has not)."""
    if not isinstance(node.op, _LAYERS) or graph.is_shared(node):
        return False
    return not (isinstance(node.op, Conv) and node.op.table is not None)


def _takes_before(graph: Graph, node: Node, found: ChannelMap) -> bool:
    if not _foldable(graph, node):
        return False
    if not found.shifts:
        return True
    return isinstance(node.op, Fc) or (isinstance(node.op, Conv) and not any(node.op.pads(node.in_shapes[0])))


def _taken_in(node: Node, before: ChannelMap | None = None, after: ChannelMap | None = None) -> Node:
    """The layer with recipes for its weight and, where there is one now, its bias."""
    old = node.folded.get("weight") or _own(node)
    shifted = any(m.shifts for m in (before, after) if m is not None) or "bias" in node.folded or old.bias is not None
    recipe = replace(
        old, before=(*((before,) if before else ()), *old.before), after=(*old.after, *((after,) if after else ()))
    )
    made = {"weight": recipe, **({"bias": replace(recipe, part="bias")} if shifted else {})}
    return replace(node, op=_learned(node.op, shifted), folded=made)


def _own(node: Node) -> Folded:
    """A recipe that gives the layer's weight as it is."""
    keys: Mapping[str, str] = {param.name: node.key(param) for param in node.reads}
    groups = getattr(node.op, "groups", 1)
    return Folded("weight", keys["weight"], keys.get("bias"), groups=groups, transposed=isinstance(node.op, Deconv))


def _learned(op: Any, bias: bool) -> Any:
    """The op with tensors in the place of fixed numbers: what they hold now is another."""
    fixed = {"weight": None} if isinstance(op, Conv) else {}
    return op.model_copy(update={"bias": bias, **fixed})
