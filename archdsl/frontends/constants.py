"""Evaluation of nodes whose inputs are constants or shapes: a transposed weight, the target shape of a flatten.

A free batch counts as 1. ONNX's reference evaluator computes the values, of ops with outputs that are small or no
larger than their inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.state import ImportState, Unsupported

_OPSET = 20
_SMALL = 4096
_NEAR = 64
"""Nodes among which those are that compute a constant."""
_OVER_BUDGET = "the file computes more constants than memory can hold"
_DTYPES = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.FLOAT16,
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.BOOL,
)
_EVALUATED = frozenset(
    "Add Cast Concat ConstantOfShape DequantizeLinear Div Floor Gather Identity Mul Neg "
    "Min Range Reshape Slice Squeeze Sub Transpose Unsqueeze".split()
)
_SIZED = frozenset(("ConstantOfShape", "Range"))
"""Those whose output can be large though their inputs are small."""


def evaluate_constant(state: ImportState, node: SourceNode) -> bool:
    """Whether the node's output is a constant, added to `state.constants`. Raises `Unsupported` if it is too large."""
    if node.op_type == "Shape":
        state.constants[node.outputs[0]] = _shape(state, node)
        return True
    inputs = [name for name in node.inputs if name]
    if node.op_type not in _EVALUATED or not inputs or not all(name in state.constants for name in inputs):
        return False
    arrays = {name: state.constants[name] for name in inputs}
    if (
        node.op_type not in ("Transpose", "Reshape", "Identity", "Cast", "DequantizeLinear")
        and sum(a.size for a in arrays.values()) > _SMALL
    ):
        raise Unsupported(f"its constants have more than {_SMALL:,} elements")
    if node.op_type == "ConstantOfShape" and np.prod(arrays[inputs[0]], dtype=np.float64) > _SMALL:
        raise Unsupported(f"it makes a constant of more than {_SMALL:,} elements")
    if node.op_type == "Range" and _range_size(*(arrays[name] for name in inputs)) > _SMALL:
        raise Unsupported(f"it makes a constant of more than {_SMALL:,} elements")
    if node.op_type == "Cast" and node.attributes.get("to") not in _DTYPES:
        raise Unsupported("it casts a constant to a type that archdsl does not read")
    if state.budget < 0:
        raise Unsupported(_OVER_BUDGET)
    array = evaluated(node, arrays)
    state.budget -= array.nbytes
    if state.budget < 0:
        raise Unsupported(_OVER_BUDGET)
    state.constants[node.outputs[0]] = array
    return True


def evaluated(node: SourceNode, arrays: Mapping[str, Array]) -> Array:
    """The first output of a node with these inputs. Raises `Unsupported` if they do not match."""
    proto = helper.make_node(node.op_type, node.inputs, node.outputs[:1])
    proto.attribute.extend(helper.make_attribute(name, value) for name, value in node.attributes.items())
    try:
        outputs: Any = ReferenceEvaluator(proto, opsets={"": _OPSET}).run(None, dict(arrays))
    except Exception as problem:  # the evaluator raises exceptions of many types on wrong constants
        raise Unsupported(f"its constants do not match ({type(problem).__name__})") from None
    return np.asarray(outputs[0])


def constant_of_shapes(state: ImportState, name: str, shapes: Mapping[str, Sequence[int]]) -> Array | None:
    """The constant `name` if the values of the spec had these shapes; None if that cannot be computed."""
    known: dict[str, Array] = {}
    pending = [name]
    while pending:
        one = pending[-1]
        maker = state.makers.get(one)
        missing = [] if maker is None or maker.op_type == "Shape" else [i for i in maker.inputs if i and i not in known]
        if one not in known and missing:
            pending += missing
            continue
        pending.pop()
        if one in known:
            continue
        if maker is None or (maker.op_type == "Shape" and maker.inputs[0] in state.constants):
            known[one] = state.constants[one]
        elif maker.op_type == "Shape" and state.is_standard(maker.inputs[0]):
            known[one] = _part(maker, [state.batch, *shapes[state.value(maker.inputs[0])]])
        elif maker.op_type in _EVALUATED - _SIZED and one in state.constants:
            known[one] = evaluated(maker, known)
        else:
            return None
    return known[name]


def _range_size(start: Array, end: Array, step: Array) -> float:
    return abs(float(end) - float(start)) / max(abs(float(step)), 1e-30)


def constant_before(state: ImportState, index: int, name: str) -> Array | None:
    """The constant `name`, also if the nodes that compute it are yet to be converted: the last ones before `index`."""
    for node in state.model.nodes[max(index - _NEAR, 0) : index] if name not in state.constants else ():
        with suppress(Unsupported):
            if node.outputs[0] not in state.constants:
                evaluate_constant(state, node)
    return state.constants.get(name)


def _shape(state: ImportState, node: SourceNode) -> Array:
    constant = state.constants.get(node.inputs[0])
    shape = [state.batch, *state.view(node.inputs[0]).sizes] if constant is None else list(constant.shape)
    return _part(node, shape)


def _part(node: SourceNode, shape: Sequence[int]) -> Array:
    """What a Shape node returns of a shape."""
    return np.array(shape[node.attributes.get("start", 0) : node.attributes.get("end", len(shape))], np.int64)
