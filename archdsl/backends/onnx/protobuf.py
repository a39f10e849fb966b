"""Protobuf encoding, reader and writer: a message is a sequence of fields, each a number, a wire type and a value.

See https://protobuf.dev/programming-guides/encoding. The reader yields the position of each field and reads no values,
so a caller can skip gigabytes of weights. It accepts untrusted bytes: every length is checked before it is used.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

VARINT, DELIMITED = 0, 2
"""Wire types: a number in groups of 7 bits; a length and that many bytes."""
_FIXED64, _FIXED32 = 1, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT = 10
"""Bytes of the longest number: 64 bits in groups of 7."""


class Malformed(Exception):
    """The bytes are not the expected message. The text gives the reason, as a sentence about the file ("it ...")."""


class ByteSource(Protocol):
    """The methods that the reader calls; `BinaryIO`, `BytesIO` and `mmap` have them."""

    def read(self, size: int, /) -> bytes: ...

    def seek(self, offset: int, /) -> object: ...

    def tell(self) -> int: ...


class Field(NamedTuple):
    """One field of a message: it starts at `start`, its value is at `begin:end` (an empty range for a varint)."""

    number: int
    start: int
    begin: int
    end: int


# --- reading ------------------------------------------------------------------------------------------------------


def fields(source: ByteSource, end: int, known: Mapping[int, int] | None = None) -> Iterator[Field]:
    """Yield the fields of the message from the source's position to `end`, with the source at each field's value.

    The caller may move the source. `known` gives the wire type of each field that the message may have.

    Raises `Malformed` for truncated bytes, an unknown wire type, or a field that is not in `known`.
    """
    start = source.tell()
    while start < end:
        tag = read_varint(source)
        number, wire = tag >> 3, tag & 7
        if known is not None and known.get(number) != wire:
            raise foreign()
        if wire == VARINT:
            read_varint(source)
            size = 0
        elif wire == DELIMITED:
            size = read_varint(source)
        elif wire in _FIXED_SIZES:
            size = _FIXED_SIZES[wire]
        else:
            raise foreign()
        begin = source.tell()
        if begin + size > end:
            raise cut_off()
        yield Field(number, start, begin, begin + size)
        start = begin + size
        source.seek(start)


def read_varint(source: ByteSource) -> int:
    """Read the number at the source's position. Raises `Malformed` if the source ends in it or it is too long."""
    number = 0
    for shift in range(0, 7 * _MAX_VARINT, 7):
        byte = source.read(1)
        if not byte:
            raise cut_off()
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
    raise foreign()


def read_pair(content: bytes) -> tuple[str, str]:
    """Return key and value of a message written by `pair`. Raises `Malformed` if it has other fields."""
    texts = {1: "", 2: ""}
    for field in fields(io.BytesIO(content), len(content)):
        if field.number not in texts:
            raise Malformed("its metadata is damaged")
        texts[field.number] = content[field.begin : field.end].decode("utf-8", "replace")
    return texts[1], texts[2]


def cut_off() -> Malformed:
    return Malformed("it is cut off")


def foreign() -> Malformed:
    return Malformed("its bytes are those of another kind of file")


# --- writing ------------------------------------------------------------------------------------------------------


_ONE_BYTE = [bytes([number]) for number in range(0x80)]


def varint(number: int) -> bytes:
    """Encode a number in groups of 7 bits, lowest first; a negative one as its 64 bits."""
    if 0 <= number < 0x80:
        return _ONE_BYTE[number]
    out = bytearray()
    number &= 0xFFFF_FFFF_FFFF_FFFF
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def prefix(field: int, length: int) -> bytes:
    """Return the bytes before the `length` bytes of a delimited field."""
    return varint(field << 3 | DELIMITED) + varint(length)


def message(field: int, content: bytes) -> bytes:
    """Encode a field that contains a message, or any bytes."""
    return prefix(field, len(content)) + content


def text(field: int, value: str) -> bytes:
    """Encode a field that contains a text."""
    return message(field, value.encode())


def integer(field: int, number: int) -> bytes:
    """Encode a field that contains an integer."""
    return varint(field << 3 | VARINT) + varint(number)


def single(field: int, number: float) -> bytes:
    """Encode a field that contains a float of 32 bits."""
    return varint(field << 3 | _FIXED32) + struct.pack("<f", number)


def pair(key: str, value: str) -> bytes:
    """Encode a message of a key and a value: an entry of a `map`, and onnx.StringStringEntryProto."""
    return text(1, key) + text(2, value)
