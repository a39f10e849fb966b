"""Read the metadata of an ONNX file, and check the file before ONNX Runtime loads it.

An ONNX file is a protobuf message. Of the graph, which may have gigabytes, only the nodes are read; the weights are
skipped.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from archdsl.backends.onnx import protobuf
from archdsl.backends.onnx.protobuf import Malformed
from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import conflict
from archdsl.files.atomic import NotRegular, open_regular, reason

_IR_VERSION, _PRODUCER, _GRAPH, METADATA, _FUNCTIONS = 1, 2, 7, 14, 25
_KNOWN = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Wire type of each field of ModelProto (onnx.proto3, IR version 13)."""
_NODE, _ATTRIBUTE, _GRAPHS = 1, 5, (6, 11)
"""Field numbers of GraphProto, NodeProto and AttributeProto."""
_MAX_FIELDS = 100_000
EMBEDDED = "embedded_preprocess"
"""The key of the recipe in the metadata if the file computes its steps itself; in other files it is `preprocess`."""
MAX_NODES = 100_000
MAX_TEXT = 4 << 20


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The producer and the metadata of a model file, whether archdsl wrote it or not; `size` is in bytes."""

    path: Path
    size: int
    producer: str
    metadata: Mapping[str, str]

    @property
    def embedded(self) -> bool:
        """Whether the preprocessing of images is inside the model (`compile --embed-preprocess`)."""
        return EMBEDDED in self.metadata

    @property
    def has_spec(self) -> bool:
        """Whether archdsl wrote the model, which then contains its spec."""
        return self.producer == "archdsl" and "spec" in self.metadata

    @property
    def weights(self) -> str:
        """What archdsl stated of the source of the weights; empty for a file of another tool."""
        return self.metadata.get("weights", "") if self.producer == "archdsl" else ""

    @property
    def has_class_maps(self) -> bool:
        """Whether `compile --cam` added class activation maps as the last output."""
        return self.producer == "archdsl" and "cam" in self.metadata


def read_facts(path: str | os.PathLike[str]) -> ModelFacts:
    """Read the facts of a model file.

    Raises E0805 if the file does not exist (status 2), is not an ONNX model, or defines functions.
    """
    file = Path(path)
    try:
        with open_regular(file) as opened:
            return _facts(file, opened, os.fstat(opened.fileno()).st_size)
    except NotRegular:
        raise not_a_model(file, "it is not a regular file") from None
    except Malformed as problem:
        raise not_a_model(file, str(problem)) from None
    except (OSError, ValueError) as problem:
        raise error("E0805", f"cannot read the model `{_short(file)}`: {reason(problem)}", status=2) from None


def is_model(source: object) -> bool:
    """Return whether a source is the path of a compiled model, not a SPEC."""
    return isinstance(source, (str, os.PathLike)) and os.fspath(source).lower().endswith(".onnx")


def check_unchanged(model: str | os.PathLike[str], **used: bool) -> None:
    """Raise E0003 if a parameter is used that does not apply to a compiled model."""
    for parameter, is_used in used.items():
        if is_used:
            name = _short(Path(model))
            raise conflict(f"`{name}` is a compiled model: `{parameter}` applies to a spec", help="name its SPEC")


def not_a_model(path: Path, why: str, help: str = "") -> ArchError:
    """E0805 for a file that cannot be used as a model, and the reason."""
    return error("E0805", f"`{_short(path)}` is not a usable ONNX model: {why}", help=help)


def _short(path: Path) -> str:
    return path.name[:120] or str(path)[-120:]


def _facts(path: Path, file: BinaryIO, size: int) -> ModelFacts:
    producer, metadata, seen, left = "", {}, set(), MAX_TEXT
    for field in model_fields(file, size):
        seen.add(field.number)
        if field.number == _FUNCTIONS:
            # Functions that call each other can make a small file run for ever.
            raise Malformed("it defines functions, which archdsl does not run")
        if field.number in (_PRODUCER, METADATA):
            length = field.end - field.begin
            left -= length
            if left < 0:
                raise Malformed("its metadata is too long")
            content = file.read(length)
            if field.number == _PRODUCER:
                producer = content.decode("utf-8", "replace")
            else:
                key, value = protobuf.read_pair(content)
                metadata[key] = value
    if not {_IR_VERSION, _GRAPH} <= seen:
        raise Malformed("it is empty" if not size else "it contains no graph")
    return ModelFacts(path, size, producer, metadata)


def check_runnable(path: str | os.PathLike[str]) -> None:
    """Raise E0805 for a model with control flow: nobody can know in advance how long a loop runs."""
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for field in model_fields(data, len(data)):
                if field.number == _GRAPH:
                    _check_nodes(data, field.end)
    except Malformed as problem:
        raise not_a_model(Path(path), str(problem)) from None


def _check_nodes(source: protobuf.ByteSource, end: int) -> None:
    count = 0
    for node in protobuf.fields(source, end):
        if node.number != _NODE:
            continue
        count += 1
        if count > MAX_NODES:
            raise Malformed(f"it has more than {MAX_NODES:,} nodes")
        for attribute in protobuf.fields(source, node.end):
            if attribute.number != _ATTRIBUTE:
                continue
            if any(field.number in _GRAPHS for field in protobuf.fields(source, attribute.end)):
                raise Malformed("one of its nodes contains a graph: archdsl runs no control flow")


def model_fields(source: protobuf.ByteSource, size: int) -> Iterator[protobuf.Field]:
    """Yield the fields of an onnx.ModelProto of `size` bytes; the position of the source is then the field's value.

    Raises `Malformed` for other bytes.
    """
    for count, field in enumerate(protobuf.fields(source, size, _KNOWN)):
        if count == _MAX_FIELDS:
            raise Malformed(f"it has more than {_MAX_FIELDS:,} fields")
        yield field
