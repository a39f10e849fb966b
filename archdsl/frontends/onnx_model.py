"""An ONNX file as plain data: steps, constants, inputs and outputs. Nothing of it is run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from archdsl.diagnostics import ArchError, Diagnostic, error

Array: TypeAlias = NDArray[Any]

MAX_STEPS = 100_000
MAX_TOLD, NAMES_TOLD = 20, 5
"""Kinds of problems in one report, and nodes named for each."""
_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where PyTorch's exporter by `torch.export` says which module a node comes from."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the file. `module` is the path of the module that made it; None where the file does not tell."""

    op_type: str
    name: str
    module: str | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Model:
    """`shapes` are those of the inputs, with the batch; None is a size that the file leaves open."""

    name: str
    steps: tuple[Step, ...]
    constants: Mapping[str, Array]
    shapes: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]


def read(path: Path) -> Model:
    """Reads a model with its numbers.

    Errors: E0805 a file that is no ONNX model, or whose numbers are missing; E0841 one with control flow.
    """
    from archdsl.runtime.model import not_a_model

    try:
        return from_proto(onnx.load(path))
    except (ArchError, MemoryError):
        raise
    except FileNotFoundError as problem:
        raise not_a_model(path, f"its numbers lie in a file that is not there: {problem.filename or ''}") from None
    except Exception as problem:  # protobuf's own errors, and whatever onnx makes of tensors that lie about themselves
        raise not_a_model(path, str(problem).splitlines()[0][:200] if str(problem) else "it cannot be read") from None


def from_proto(proto: onnx.ModelProto) -> Model:
    """Raises E0841, and ValueError for a graph that is none."""
    graph = proto.graph
    if len(graph.node) > MAX_STEPS:
        raise error("E0841", f"the model has {len(graph.node):,} nodes; the limit is {MAX_STEPS:,}")
    _refuse_foreign(graph)
    _check_names(graph)
    constants = {tensor.name: _numbers(tensor) for tensor in graph.initializer}
    steps = []
    for node in graph.node:
        if node.op_type == "Constant":
            value = next((a for a in node.attribute if a.name == "value"), None)
            constants[node.output[0]] = _numbers(value.t) if value is not None else _plain(node)
        elif node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
        else:
            steps.append(_step(node))
    shapes = {value.name: _shape(value) for value in graph.input if value.name not in constants}
    return Model(graph.name, tuple(steps), constants, shapes, tuple(value.name for value in graph.output))


def told(code: str, problems: Mapping[tuple[str, str], Sequence[str]]) -> list[Diagnostic]:
    """An error for each op type and reason, with the names of the nodes: the first few, and how many there are more."""
    found: list[Diagnostic] = []
    for (op_type, why), names in list(problems.items())[:MAX_TOLD]:
        shown = ", ".join(f"`{name[:120]}`" for name in names[:NAMES_TOLD] if name)
        more = f" and {len(names) - NAMES_TOLD:,} more" if len(names) > NAMES_TOLD else ""
        found += error(code, f"`{op_type[:60]}`{f' {shown}' if shown else ''}{more}: {why}").diagnostics
    if len(problems) > MAX_TOLD:
        found += error(code, f"{len(problems) - MAX_TOLD:,} more kinds of nodes are not understood").diagnostics
    return found


def _refuse_foreign(graph: onnx.GraphProto) -> None:
    """Raises E0841 for all nodes with graphs of their own, and for those that are not ONNX's."""
    problems: dict[tuple[str, str], list[str]] = {}
    for node in graph.node:
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
            why = "it has a graph of its own: control flow is not a network of layers"
        elif node.domain not in ("", "ai.onnx"):
            why = f"it is not of ONNX but of `{node.domain[:80]}`; export the model without an optimiser's own ops"
        else:
            continue
        problems.setdefault((node.op_type, why), []).append(node.name)
    if problems:
        raise ArchError(told("E0841", problems))


def _numbers(tensor: onnx.TensorProto) -> Array:
    """Raises E0805 for a tensor whose shape and bytes do not agree, before anything is allocated."""
    size = prod(tensor.dims) if min(tensor.dims, default=1) >= 0 else -1
    held = max(
        len(tensor.raw_data),
        *(len(getattr(tensor, f"{name}_data")) for name in ("float", "int32", "int64", "double", "uint64", "string")),
    )
    if tensor.data_location != onnx.TensorProto.EXTERNAL and (size < 0 or size > 2 * held) and size != 0:
        raise error(
            "E0805",
            f"the tensor `{tensor.name[:80]}` says it is {list(tensor.dims)[:8]}, and its bytes do not fill that",
        )
    try:
        found: Array = numpy_helper.to_array(tensor)
    except Exception as problem:  # onnx raises of several kinds here
        raise error("E0805", f"the tensor `{tensor.name[:80]}` cannot be read: {str(problem)[:200]}") from None
    if found.dtype.kind not in "fiub":
        raise error("E0805", f"the tensor `{tensor.name[:80]}` holds no numbers")
    return found


def _check_names(graph: onnx.GraphProto) -> None:
    """Every value is made once, and every node makes one: ONNX's own rules, which its reader does not enforce."""
    made = {value.name for value in graph.input}
    for node in graph.node:
        if not node.output or not node.output[0]:
            raise ValueError(f"its node `{node.name[:80]}` ({node.op_type[:40]}) has no output")
        if node.op_type == "Identity" and not node.input:
            raise ValueError(f"its node `{node.name[:80]}` (Identity) has no input")
        for name in filter(None, node.output):
            if name in made:
                raise ValueError(f"its value `{name[:80]}` is made twice")
            made.add(name)


def _plain(node: onnx.NodeProto) -> Array:
    """A constant that is not given as a tensor."""
    return np.asarray(onnx.helper.get_attribute_value(node.attribute[0])) if node.attribute else np.zeros(())


def _step(node: onnx.NodeProto) -> Step:
    attributes = {a.name: _attribute(a) for a in node.attribute}
    return Step(node.op_type, node.name, _module(node), tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, onnx.TensorProto)) else value


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in value.type.tensor_type.shape.dim
    )


def _module(node: onnx.NodeProto) -> str | None:
    """`layer1.0.conv1`, from `/layer1/layer1.0/conv1/Conv`, from the exporter's scopes, or from a name that is a
    path."""
    scopes = next((p.value for p in node.metadata_props if p.key == _SCOPES), None)
    if scopes is not None:
        return next((s for s in reversed(re.findall(r"'([^']*)'", scopes)[:-1]) if s), "")
    if not node.name.startswith("/"):
        return None
    words: list[str] = []
    for part in node.name.split("/")[1:-1]:
        if words and part.startswith(f"{words[-1]}."):  # `/conv/conv.0/conv.0.2` says the same again, and more
            words.pop()
        words.append(part)
    return ".".join(words)
