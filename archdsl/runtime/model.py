"""What an ONNX file says of itself, read before anything loads or runs it.

An ONNX file is a protobuf message: fields, each a number, a wire type and a value
(https://protobuf.dev/programming-guides/encoding). Of the graph, which may have gigabytes, only the nodes are looked
at; its numbers are stepped over.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from archdsl.diagnostics import ArchError, error
from archdsl.files.atomic import NotRegular, open_regular

_IR_VERSION, _PRODUCER, _GRAPH, METADATA, _FUNCTIONS = 1, 2, 7, 14, 25
_KNOWN = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Wire type of each field of ModelProto (onnx.proto3, IR version 13)."""
DELIMITED = frozenset(field for field, wire in _KNOWN.items() if wire == 2)
"""The fields that are a length and that many bytes."""
_NODE, _ATTRIBUTE, _GRAPHS = 1, 5, (6, 11)
"""Of GraphProto, NodeProto and AttributeProto."""
_FIXED = {1: 8, 5: 4}
"""Bytes of the wire types that have always as many."""
_MAX_FIELDS = 100_000
MAX_NODES = 100_000
MAX_TEXT = 4 << 20

Buffer: TypeAlias = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model file says of itself. `metadata` are its properties, of ours and of anybody's."""

    path: Path
    size: int
    producer: str
    metadata: Mapping[str, str]


class Broken(Exception):
    """These bytes are no ONNX model."""


def read_facts(path: str | os.PathLike[str]) -> ModelFacts:
    """Raises E0805: no such file (status 2), not an ONNX model, or one with functions of its own."""
    file = Path(path)
    try:
        with open_regular(file) as opened:
            return _facts(file, opened, os.fstat(opened.fileno()).st_size)
    except NotRegular:
        raise not_a_model(file, "it is not a regular file") from None
    except Broken as problem:
        raise not_a_model(file, str(problem)) from None
    except (OSError, ValueError) as problem:
        why = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
        raise error("E0805", f"cannot read the model `{_short(file)}`: {why[:1].lower()}{why[1:]}", status=2) from None


def not_a_model(path: Path, why: str, help: str = "") -> ArchError:
    return error("E0805", f"`{_short(path)}` is not a usable ONNX model: {why}", help=help)


def _short(path: Path) -> str:
    return path.name[:120] or str(path)[-120:]


def _facts(path: Path, file: BinaryIO, size: int) -> ModelFacts:
    producer, metadata, seen, left = "", {}, set(), MAX_TEXT
    for field, length in fields(file, size):
        seen.add(field)
        if field == _FUNCTIONS:
            # Functions that call one another can make a small file run for ever.
            raise Broken("it has functions of its own, which are not run")
        if field in (_PRODUCER, METADATA):
            left -= length
            if left < 0:
                raise Broken("its metadata is too long")
            data = file.read(length)
            if field == _PRODUCER:
                producer = _text(data)
            else:
                key, value = pair(data)
                metadata[key] = value
        elif _KNOWN[field] == 2:
            file.seek(length, os.SEEK_CUR)
    if not {_IR_VERSION, _GRAPH} <= seen:
        raise Broken("it is empty" if not size else "it holds no graph")
    return ModelFacts(path, size, producer, metadata)


def check_runnable(path: str | os.PathLike[str]) -> None:
    """Raises E0805 for a model with control flow: how long a loop runs, nobody can say beforehand."""
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for field, length in fields(file, len(data)):
                at = file.tell()
                if field == _GRAPH:
                    _check_nodes(data, at, at + length)
                if _KNOWN[field] == 2:
                    file.seek(at + length)
    except Broken as problem:
        raise not_a_model(Path(path), str(problem)) from None


def _check_nodes(data: Buffer, begin: int, end: int) -> None:
    count = 0
    for field, *node in _parts(data, begin, end):
        if field != _NODE:
            continue
        count += 1
        if count > MAX_NODES:
            raise Broken(f"it has more than {MAX_NODES:,} nodes")
        attributes = [place for inner, *place in _parts(data, *node) if inner == _ATTRIBUTE]
        if any(inner in _GRAPHS for place in attributes for inner, _, _ in _parts(data, *place)):
            raise Broken("one of its nodes holds a graph: control flow is not run")


def _parts(data: Buffer, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of each field of the message in `data[at:end]`."""
    while at < end:
        tag, at = _number(data, at)
        wire = tag & 7
        length = _FIXED.get(wire, 0)
        if wire == 2:
            length, at = _number(data, at)
        elif wire == 0:
            _, at = _number(data, at)
        elif not length:
            raise Broken("its bytes are those of another kind of file")
        if at + length > end:
            raise Broken("it is cut off")
        yield tag >> 3, at, at + length
        at += length


def _number(data: Buffer, at: int) -> tuple[int, int]:
    """A variable-length number, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Broken("it is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Broken("its bytes are those of another kind of file")


def fields(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Number and length of each field; the file then stands at its bytes, which the caller reads or skips."""
    for _ in range(_MAX_FIELDS):
        if file.tell() >= size:
            return
        tag = _varint(file)
        field, wire = tag >> 3, tag & 7
        if _KNOWN.get(field) != wire:
            raise Broken("its bytes are those of another kind of file")
        value = _varint(file)
        if wire == 2 and file.tell() + value > size:
            raise Broken("it is cut off")
        yield field, value
    raise Broken("it has too many parts")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise Broken("it is cut off")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise Broken("its bytes are those of another kind of file")


def pair(data: bytes) -> tuple[str, str]:
    """Key and value of one `StringStringEntryProto`."""
    parts = {1: "", 2: ""}
    for field, begin, end in _parts(data, 0, len(data)):
        if field not in parts:
            raise Broken("its metadata is damaged")
        parts[field] = _text(data[begin:end])
    return parts[1], parts[2]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
