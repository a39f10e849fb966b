"""ONNX's messages in protobuf's encoding (protobuf.dev/programming-guides/encoding), fields in the order of their
numbers in onnx.proto: byte for byte what the onnx package writes, without the time that it takes to load."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from archdsl.backends.onnx.plan import Value
from archdsl.backends.onnx.records import Attribute, OnnxNode
from archdsl.backends.onnx.types import ONNX_TYPES

_VARINT, _BYTES, _FLOAT = 0, 2, 5
"""Wire types: a number in groups of 7 bits; a length and that many bytes; 4 bytes."""
_IS_FLOAT, _IS_INT, _IS_STRING, _ARE_FLOATS, _ARE_INTS = 1, 2, 3, 6, 7
"""onnx.AttributeProto.AttributeType."""
_EXTERNAL = 1
"""onnx.TensorProto.DataLocation."""
GRAPH_INITIALIZER, MODEL_GRAPH, TENSOR_RAW = 5, 7, 9
"""Fields whose bytes the writer gives one after the other: `begin` is what stands before them."""


def varint(number: int) -> bytes:
    """The number in groups of 7 bits, lowest first; a negative one as the 64 bits that hold it."""
    if 0 <= number < 0x80:
        return _SMALL[number]
    out = bytearray()
    number &= 0xFFFF_FFFF_FFFF_FFFF
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = [bytes([number]) for number in range(0x80)]


def begin(field: int, length: int) -> bytes:
    """What stands before the bytes of a field."""
    return varint(field << 3 | _BYTES) + varint(length)


def _message(field: int, content: bytes) -> bytes:
    return begin(field, len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _number(field: int, number: int) -> bytes:
    return varint(field << 3 | _VARINT) + varint(number)


def _float(field: int, number: float) -> bytes:
    return varint(field << 3 | _FLOAT) + struct.pack("<f", number)


def _entry(key: str, value: str) -> bytes:
    """onnx.StringStringEntryProto."""
    return _text(1, key) + _text(2, value)


def model(ir: int, producer: str, version: str, about: str, opset: int, facts: Mapping[str, str]) -> bytes:
    """onnx.ModelProto without its graph."""
    return b"".join(
        (
            _number(1, ir),
            _text(2, producer),
            _text(3, version),
            _text(6, about),
            _message(8, _text(1, "") + _number(2, opset)),
            *(_message(14, _entry(key, value)) for key, value in facts.items()),
        )
    )


def graph(
    name: str, nodes: Iterable[OnnxNode], inputs: Iterable[Value], outputs: Iterable[Value], values: Iterable[Value]
) -> bytes:
    """onnx.GraphProto without its initializers."""
    return b"".join(
        (
            *(_message(1, _node(node)) for node in nodes),
            _text(2, name),
            *(_message(11, _value(value)) for value in inputs),
            *(_message(12, _value(value)) for value in outputs),
            *(_message(13, _value(value)) for value in values),
        )
    )


def _node(node: OnnxNode) -> bytes:
    """onnx.NodeProto."""
    return b"".join(
        (
            *(_text(1, name) for name in node.inputs),
            *(_text(2, name) for name in node.outputs),
            _text(3, node.name),
            _text(4, node.op_type),
            *(_message(5, _attribute(key, value)) for key, value in node.attributes.items()),
        )
    )


def _attribute(name: str, value: Attribute) -> bytes:
    """onnx.AttributeProto. Numbers of a list are whole unless one is a float."""
    if isinstance(value, int):
        content, kind = _number(3, value), _IS_INT
    elif isinstance(value, float):
        content, kind = _float(2, value), _IS_FLOAT
    elif isinstance(value, str):
        content, kind = _text(4, value), _IS_STRING
    elif any(isinstance(number, float) for number in value):
        content, kind = b"".join(_float(7, number) for number in value), _ARE_FLOATS
    else:
        content, kind = b"".join(_number(8, int(number)) for number in value), _ARE_INTS
    return _text(1, name) + content + _number(20, kind)


def _value(value: Value) -> bytes:
    """onnx.ValueInfoProto."""
    axes = (_number(1, axis) if isinstance(axis, int) else _text(2, axis) for axis in value.shape)
    shape = b"".join(_message(1, axis) for axis in axes)
    return _text(1, value.name) + _message(2, _message(1, _number(1, ONNX_TYPES[value.dtype]) + _message(2, shape)))


def tensor(name: str, shape: Iterable[int], kind: int, outside: Mapping[str, str] | None = None) -> bytes:
    """onnx.TensorProto without its numbers; `outside` says where they lie if that is another file."""
    here = b"".join((*(_number(1, size) for size in shape), _number(2, kind), _text(8, name)))
    if outside is None:
        return here
    return here + b"".join(_message(13, _entry(key, value)) for key, value in outside.items()) + _number(14, _EXTERNAL)
