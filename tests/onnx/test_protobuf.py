"""Protobuf's encoding: what the reader finds in messages that the onnx package wrote, and what it refuses."""

from __future__ import annotations

import io
import mmap
from pathlib import Path

import onnx
import pytest
from google.protobuf.internal import decoder, encoder

from archdsl.backends.onnx import protobuf
from archdsl.backends.onnx.protobuf import Malformed

NUMBERS = (0, 1, 127, 128, 300, 2**31, 2**63 - 1, 2**64 - 1)


def theirs() -> bytes:
    """A message with a field of every wire type that ONNX uses."""
    model = onnx.ModelProto(ir_version=10, producer_name="größe")
    model.graph.node.add(name="n", op_type="Relu").attribute.add(name="a", f=1.5, i=-1)
    onnx.helper.set_model_props(model, {"key": "value"})
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def read(content: bytes) -> list[tuple[int, bytes]]:
    source = io.BytesIO(content)
    return [(field.number, content[field.begin : field.end]) for field in protobuf.fields(source, len(content))]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_as_protobuf_writes_them(number: int) -> None:
    encoded = encoder._VarintBytes(number)  # type: ignore[attr-defined]
    assert protobuf.varint(number) == encoded
    assert protobuf.read_varint(io.BytesIO(encoded)) == number == decoder._DecodeVarint(encoded, 0)[0]  # type: ignore[attr-defined]


def test_fields_lie_where_protobuf_put_them() -> None:
    (ir, _), (producer, name), (graph, content), (entry, pair) = read(theirs())
    assert (ir, producer, graph, entry) == (1, 2, 7, 14)
    assert name.decode() == "größe" and protobuf.read_pair(pair) == ("key", "value")
    assert onnx.GraphProto.FromString(content).node[0].name == "n"
    for field in protobuf.fields(io.BytesIO(theirs()), len(theirs())):
        assert onnx.ModelProto.FromString(theirs()[: field.start]) is not None, "a field starts where another ends"


def test_the_caller_may_read_and_move_at_every_field(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(theirs())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for source in (file, mapped):
            numbers = []
            for field in protobuf.fields(source, len(theirs())):
                assert source.tell() == field.begin
                source.seek(len(theirs()) if len(numbers) % 2 else 0)
                numbers.append(field.number)
            assert numbers == [1, 2, 7, 14]


def test_a_message_that_is_cut_off_is_refused_or_ends_between_fields() -> None:
    ends = {0, *(field.end for field in protobuf.fields(io.BytesIO(theirs()), len(theirs())))}
    for size in range(len(theirs())):
        if size in ends:
            assert len(read(theirs()[:size])) == sorted(ends).index(size)
        else:
            with pytest.raises(Malformed, match="cut off"):
                read(theirs()[:size])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff" * 10, "another kind"),
        (b"\x08" + b"\x80" * 1000 + b"\x00", "another kind"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "cut off"),
        (b"\x0a\x05abc", "cut off"),
        (b"\x09abc", "cut off"),
        (b"\x0d\x00\x00", "cut off"),
        (b"\x0b\x0c", "another kind"),
        (b"\x0f", "another kind"),
    ],
    ids=["endless tag", "endless number", "2^64 bytes", "short", "short 64", "short 32", "group", "wire type 7"],
)
def test_hostile_bytes_are_refused(content: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(content)


def test_a_length_that_passes_the_message_around_it_is_refused() -> None:
    outer = protobuf.message(1, b"\x0a\x7f") + b"x" * 200
    source = io.BytesIO(outer)
    (field, *_) = protobuf.fields(source, len(outer) - 200)
    source.seek(field.begin)
    with pytest.raises(Malformed, match="cut off"):
        list(protobuf.fields(source, field.end))


def test_fields_that_the_message_does_not_have_are_refused_before_they_are_read() -> None:
    for content in (protobuf.integer(3, 1), protobuf.text(1, "text"), b"\x22\xff\xff\xff\x7f"):
        with pytest.raises(Malformed, match="another kind"):
            list(protobuf.fields(io.BytesIO(content), len(content), {1: protobuf.VARINT}))


def test_pairs_are_entries_of_onnx() -> None:
    entry = onnx.StringStringEntryProto(key="größe", value="")
    assert protobuf.pair("größe", "") == entry.SerializeToString()
    assert protobuf.read_pair(onnx.StringStringEntryProto(value="v").SerializeToString()) == ("", "v")
    with pytest.raises(Malformed, match="damaged"):
        protobuf.read_pair(protobuf.text(3, "more"))
    assert protobuf.read_pair(b"\x0a\x01\xff") == ("\ufffd", "")
