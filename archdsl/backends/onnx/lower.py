"""Ops as ONNX nodes: the table `{Op class: function}`. Imports neither onnx nor torch.

Every attribute is written, even if it has its default, so that no runtime can use another default. If some runtime
computes an ONNX op differently from archdsl, other ops with the same result are used instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.backends.onnx.records import Emitter, OnnxLowering
from archdsl.backends.onnx.rules import activation, conv, merge, norm, pixels, pool, reduce, reshape
from archdsl.backends.onnx.rules.parts import Lowering
from archdsl.graph import Node
from archdsl.ops.base import Op


def lower(node: Node, inputs: Sequence[str], output: str) -> OnnxLowering:
    """Return the node as ONNX nodes that read the values `inputs` and write the value `output`."""
    emitter = Emitter(node, inputs, output)
    TABLE[type(node.op)](emitter, node.op)
    return emitter.result()


TABLE: dict[type[Op], Lowering] = {
    **conv.RULES,
    **pool.RULES,
    **reduce.RULES,
    **norm.RULES,
    **activation.RULES,
    **merge.RULES,
    **reshape.RULES,
    **pixels.RULES,
}
