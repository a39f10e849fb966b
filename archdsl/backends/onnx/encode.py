"""ONNX messages in protobuf encoding, byte for byte as the onnx package writes them, without loading that package.

Fields are written in the order of their numbers in onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from archdsl.backends.onnx.half_precision import ONNX_TYPES
from archdsl.backends.onnx.plan import ValueInfo
from archdsl.backends.onnx.protobuf import integer, message, pair, single, text
from archdsl.backends.onnx.records import Attribute, OnnxNode

_IS_FLOAT, _IS_INT, _IS_STRING, _ARE_FLOATS, _ARE_INTS = 1, 2, 3, 6, 7
"""onnx.AttributeProto.AttributeType."""
_EXTERNAL = 1
"""onnx.TensorProto.DataLocation."""
GRAPH_INITIALIZER, MODEL_GRAPH, TENSOR_RAW = 5, 7, 9
"""Fields whose bytes the writer streams, each after its `protobuf.prefix`."""


def model(ir: int, producer: str, version: str, about: str, opset: int, facts: Mapping[str, str]) -> bytes:
    """Encode onnx.ModelProto without its graph."""
    return b"".join(
        (
            integer(1, ir),
            text(2, producer),
            text(3, version),
            text(6, about),
            message(8, text(1, "") + integer(2, opset)),
            *(message(14, pair(key, value)) for key, value in facts.items()),
        )
    )


def graph(
    name: str,
    nodes: Iterable[OnnxNode],
    inputs: Iterable[ValueInfo],
    outputs: Iterable[ValueInfo],
    values: Iterable[ValueInfo],
) -> bytes:
    """Encode onnx.GraphProto without its initializers."""
    return b"".join(
        (
            *(message(1, _node(node)) for node in nodes),
            text(2, name),
            *(message(11, _value(value)) for value in inputs),
            *(message(12, _value(value)) for value in outputs),
            *(message(13, _value(value)) for value in values),
        )
    )


def _node(node: OnnxNode) -> bytes:
    """Encode onnx.NodeProto."""
    return b"".join(
        (
            *(text(1, name) for name in node.inputs),
            *(text(2, name) for name in node.outputs),
            text(3, node.name),
            text(4, node.op_type),
            *(message(5, _attribute(key, value)) for key, value in node.attributes.items()),
        )
    )


def _attribute(name: str, value: Attribute) -> bytes:
    """Encode onnx.AttributeProto. A list is a list of ints unless it contains a float."""
    if isinstance(value, int):
        content, attribute_type = integer(3, value), _IS_INT
    elif isinstance(value, float):
        content, attribute_type = single(2, value), _IS_FLOAT
    elif isinstance(value, str):
        content, attribute_type = text(4, value), _IS_STRING
    elif any(isinstance(number, float) for number in value):
        content, attribute_type = b"".join(single(7, number) for number in value), _ARE_FLOATS
    else:
        content, attribute_type = b"".join(integer(8, int(number)) for number in value), _ARE_INTS
    return text(1, name) + content + integer(20, attribute_type)


def _value(value: ValueInfo) -> bytes:
    """Encode onnx.ValueInfoProto."""
    axes = (integer(1, axis) if isinstance(axis, int) else text(2, axis) for axis in value.shape)
    shape = b"".join(message(1, axis) for axis in axes)
    return text(1, value.name) + message(2, message(1, integer(1, ONNX_TYPES[value.dtype]) + message(2, shape)))


def tensor(name: str, shape: Iterable[int], data_type: int, external: Mapping[str, str] | None = None) -> bytes:
    """Encode onnx.TensorProto without its elements; `external` locates them if they are in another file."""
    head = b"".join((*(integer(1, size) for size in shape), integer(2, data_type), text(8, name)))
    if external is None:
        return head
    return head + b"".join(message(13, pair(key, value)) for key, value in external.items()) + integer(14, _EXTERNAL)
