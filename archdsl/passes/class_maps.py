"""Add class activation maps to a network as an output: the linear layer of its head at every pixel.

For a head of a global average pool and a linear layer, the map of class k is ``sum_c w[k, c] * F[c, pixel]``, where F
is the input of the pool. Its mean plus the bias of k is the logit (Zhou et al. 2016, arXiv 1512.04150, equation 2).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from archdsl.analysis.head import has_pixels, pooled_head
from archdsl.axes import axes_of
from archdsl.diagnostics import error
from archdsl.graph import Graph
from archdsl.ops import Conv, Fc, Identity, Op


def with_class_maps(graph: Graph) -> tuple[Graph, str]:
    """Return the graph with the maps `(classes, *sizes)` of the first output as its last output, `cam`, and the path of
    the node whose features they weigh.

    The new layer uses the weights of the head, without its bias. Raises E0880 if the head is of another kind.
    """
    head = pooled_head(graph)
    if head is None or not has_pixels(head.features):
        raise error(
            "E0880",
            f"`{graph.name}` has no class activation maps: its head is not a global average pool of a feature map and "
            "at most one linear layer",
            status=2,
            help="Grad-CAM and occlusion explain other networks: `predict --explain gradcam` or `occlusion`",
        )
    features, layer = head.features, head.linear
    shape = (graph.nodes[features.id].shape[0], *features.shape[1:])
    op: Op = Identity()
    owner = ""
    if layer is not None:
        points = {"kernel": (1,) * axes_of(features.shape)} if isinstance(layer.op, Fc) else {}
        op, owner = layer.op.model_copy(update={"bias": False, **points}), layer.shared_with or layer.path
        assert isinstance(op, Fc | Conv)
        shape = (op.out, *features.shape[1:])
    maps = replace(
        layer or features,
        id=len(graph.nodes),
        path=f"{features.path}/cam",
        op=op,
        inputs=(features.id,),
        in_shapes=(features.shape,),
        shape=shape,
        scope=graph.root,
        shared_with=owner,
        label="",
    )
    taken = {*graph.outputs, *graph.by_path}
    name = next(name for n in count(1) if (name := f"cam{n}" if n > 1 else "cam") not in taken)
    return replace(graph, nodes=(*graph.nodes, maps), outputs={**graph.outputs, name: maps.id}), features.path
