"""What a file works out from constants and from shapes, worked out here: a weight that is turned, a flatten's target.

The batch counts as 1. The numbers are made by onnx's own reference, of ops that make nothing larger than they read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from archdsl.frontends.onnx_model import Array, Step
from archdsl.frontends.reading import Reading, Unknown
from archdsl.shapes import concrete

_OPSET = 20
_SMALL = 4096
_TOO_MANY = "the file works out more constants than can be held"
_NUMBERS = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.FLOAT16,
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.BOOL,
)
_FOLDED = frozenset(
    "Add Cast Concat Div Floor Gather Identity Mul Neg Reshape Slice Squeeze Sub Transpose Unsqueeze".split()
)


def folded(reading: Reading, step: Step) -> bool:
    """Whether the step's result is a constant; it is then known as one."""
    if step.op_type == "Shape":
        reading.constants[step.outputs[0]] = _shape(reading, step)
        return True
    inputs = [name for name in step.inputs if name]
    if step.op_type not in _FOLDED or not inputs or not all(name in reading.constants for name in inputs):
        return False
    arrays = {name: reading.constants[name] for name in inputs}
    if (
        step.op_type not in ("Transpose", "Reshape", "Identity", "Cast")
        and sum(a.size for a in arrays.values()) > _SMALL
    ):
        raise Unknown("it works on large constants")
    if step.op_type == "Cast" and step.attributes.get("to") not in _NUMBERS:
        raise Unknown("it makes no plain numbers")
    if reading.room < 0:
        raise Unknown(_TOO_MANY)
    node = helper.make_node(step.op_type, step.inputs, step.outputs[:1])
    node.attribute.extend(helper.make_attribute(name, value) for name, value in step.attributes.items())
    try:
        made: Any = ReferenceEvaluator(node, opsets={"": _OPSET}).run(None, arrays)
    except Exception as problem:  # whatever a stranger's constants make of it
        raise Unknown(f"its constants do not fit ({type(problem).__name__})") from None
    array = np.asarray(made[0])
    reading.room -= array.nbytes
    if reading.room < 0:
        raise Unknown(_TOO_MANY)
    reading.constants[step.outputs[0]] = array
    return True


def _shape(reading: Reading, step: Step) -> Array:
    known = reading.constants.get(step.inputs[0])
    shape = [1, *concrete(reading.shape(step.inputs[0]))] if known is None else list(known.shape)
    if step.inputs[0] in reading.last and len(shape) == 4:
        shape = [shape[0], *shape[2:], shape[1]]
    return np.array(shape[step.attributes.get("start", 0) : step.attributes.get("end", len(shape))], np.int64)
