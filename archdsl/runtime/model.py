"""The outermost layer of an ONNX file, read without its graph: what it says of itself, before anything runs it.

An ONNX file is a protobuf message: fields, each a number, a wire type and a value (https://protobuf.dev/programming-guides/encoding).
Only the fields of `ModelProto` are looked at; the graph, which may have gigabytes, is stepped over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from archdsl.diagnostics import ArchError, error

_IR_VERSION, _PRODUCER, _GRAPH, METADATA, _FUNCTIONS = 1, 2, 7, 14, 25
_KNOWN = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Wire type of each field of ModelProto (onnx.proto3, IR version 13)."""
DELIMITED = frozenset(field for field, wire in _KNOWN.items() if wire == 2)
"""The fields that are a length and that many bytes."""
_MAX_FIELDS = 100_000
_MAX_TEXT = 4 << 20


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
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Broken("it is not a regular file")
            return _facts(file, opened, found.st_size)
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
    producer, metadata, seen = "", {}, set()
    for field, length in fields(file, size):
        seen.add(field)
        if field == _FUNCTIONS:
            # Functions that call one another can make a small file run for ever.
            raise Broken("it has functions of its own, which are not run")
        if field in (_PRODUCER, METADATA):
            if length > _MAX_TEXT:
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
    at = 0
    while at < len(data):
        field, at = data[at] >> 3, at + 1
        length = shift = 0
        while at < len(data):
            byte, at = data[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if field not in parts or at + length > len(data):
            raise Broken("its metadata is damaged")
        parts[field] = _text(data[at : at + length])
        at += length
    return parts[1], parts[2]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
