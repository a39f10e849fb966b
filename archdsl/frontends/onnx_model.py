"""An ONNX file as plain data: nodes, constants, inputs and outputs. Nothing of it is executed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from archdsl.diagnostics import ArchError, Diagnostic, error

Array: TypeAlias = NDArray[Any]

MAX_NODES = 100_000
MAX_PROBLEMS, NAMES_SHOWN = 20, 5
"""Errors in one report, and nodes that one error names."""
_SCOPES = "pkg.torch.onnx.name_scopes"
"""The metadata in which PyTorch's `torch.export` records the modules of a node."""


@dataclass(frozen=True, slots=True)
class SourceNode:
    """A node of the file. `module` is the path of the module that it comes from; None if the file has no such path."""

    op_type: str
    name: str
    module: str | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A model. `shapes` are those of its inputs, with the batch; None is a size that the file leaves open.

    `classes` are the class names of a PyTorch module's modules by path, also of containers; a file has none. `origins`:
    for a constant that is another view of a tensor (its values in order, with another shape), the name of that tensor.
    `learned` are the parameters of a module that the nodes read.
    """

    name: str
    nodes: tuple[SourceNode, ...]
    constants: Mapping[str, Array]
    shapes: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]
    classes: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    learned: frozenset[str] = frozenset()


def read(path: Path) -> SourceModel:
    """Read a model with its weights.

    Raises E0805 for a file that is not an ONNX model, or whose weights are missing; E0841 for control flow.
    """
    from archdsl.runtime.model import not_a_model

    try:
        return from_proto(onnx.load(path))
    except (ArchError, MemoryError):
        raise
    except FileNotFoundError as problem:
        raise not_a_model(path, f"the file of its weights does not exist: {problem.filename or ''}") from None
    except Exception as problem:  # protobuf's own errors, and those of onnx for tensors of a wrong size
        raise not_a_model(path, str(problem).splitlines()[0][:200] if str(problem) else "it cannot be read") from None


def from_proto(proto: onnx.ModelProto) -> SourceModel:
    """Convert onnx's own object. Raises E0841 as `read` does, ValueError for an invalid graph."""
    graph = proto.graph
    if len(graph.node) > MAX_NODES:
        raise error("E0841", f"the model has {len(graph.node):,} nodes; the limit is {MAX_NODES:,}")
    _refuse_unsupported(graph)
    _check_names(graph)
    constants = {tensor.name: _values(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant":
            value = next((a for a in node.attribute if a.name == "value"), None)
            constants[node.output[0]] = _values(value.t) if value is not None else _untyped_constant(node)
        elif node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
        else:
            nodes.append(_source_node(node))
    shapes = {value.name: _shape(value) for value in graph.input if value.name not in constants}
    return SourceModel(graph.name, tuple(nodes), constants, shapes, tuple(value.name for value in graph.output))


def problem_diagnostics(code: str, problems: Mapping[tuple[str, str], Sequence[str]]) -> list[Diagnostic]:
    """Return one error for each op type and reason, with the names of the first nodes and the number of the rest."""
    diagnostics: list[Diagnostic] = []
    for (op_type, reason), names in list(problems.items())[:MAX_PROBLEMS]:
        shown = ", ".join(f"`{name[:120]}`" for name in names[:NAMES_SHOWN] if name)
        more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
        diagnostics += error(code, f"`{op_type[:60]}`{f' {shown}' if shown else ''}{more}: {reason}").diagnostics
    if len(problems) > MAX_PROBLEMS:
        diagnostics += error(
            code, f"{len(problems) - MAX_PROBLEMS:,} more errors like these are not listed"
        ).diagnostics
    return diagnostics


def _refuse_unsupported(graph: onnx.GraphProto) -> None:
    """Raises E0841 for all nodes with a graph of their own, and all of another domain than ONNX's."""
    problems: dict[tuple[str, str], list[str]] = {}
    for node in graph.node:
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
            reason = "it is control flow, which a spec cannot express"
        elif node.domain not in ("", "ai.onnx"):
            reason = f"its domain is `{node.domain[:80]}`, not ONNX; export the model without an optimiser's own ops"
        else:
            continue
        problems.setdefault((node.op_type, reason), []).append(node.name)
    if problems:
        raise ArchError(problem_diagnostics("E0841", problems))


def _values(tensor: onnx.TensorProto) -> Array:
    """The tensor's values. Raises E0805 if its shape and bytes do not match, before anything is allocated."""
    size = prod(tensor.dims) if min(tensor.dims, default=1) >= 0 else -1
    stored = max(
        len(tensor.raw_data),
        *(len(getattr(tensor, f"{name}_data")) for name in ("float", "int32", "int64", "double", "uint64", "string")),
    )
    if tensor.data_location != onnx.TensorProto.EXTERNAL and (size < 0 or size > 2 * stored) and size != 0:
        raise error(
            "E0805",
            f"the tensor `{tensor.name[:80]}` has the shape {list(tensor.dims)[:8]}, but fewer bytes than that",
        )
    try:
        values: Array = numpy_helper.to_array(tensor)
    except Exception as problem:  # onnx raises exceptions of several types
        raise error("E0805", f"the tensor `{tensor.name[:80]}` cannot be read: {str(problem)[:200]}") from None
    if tensor.data_type == onnx.TensorProto.BFLOAT16:  # NumPy has no such type
        return values.astype(np.float32)
    if values.dtype.kind not in "fiub":
        raise error("E0805", f"the tensor `{tensor.name[:80]}` does not contain numbers")
    return values


def _check_names(graph: onnx.GraphProto) -> None:
    """Raises ValueError unless every node writes a value, each value once: ONNX's rules, which onnx does not check."""
    written = {value.name for value in graph.input}
    for node in graph.node:
        if not node.output or not node.output[0]:
            raise ValueError(f"its node `{node.name[:80]}` ({node.op_type[:40]}) has no output")
        if node.op_type == "Identity" and not node.input:
            raise ValueError(f"its node `{node.name[:80]}` (Identity) has no input")
        for name in filter(None, node.output):
            if name in written:
                raise ValueError(f"its value `{name[:80]}` is written twice")
            written.add(name)


def _untyped_constant(node: onnx.NodeProto) -> Array:
    """A constant stored as an attribute that is not a tensor."""
    return np.asarray(onnx.helper.get_attribute_value(node.attribute[0])) if node.attribute else np.zeros(())


def _source_node(node: onnx.NodeProto) -> SourceNode:
    attributes = {a.name: _attribute(a) for a in node.attribute}
    return SourceNode(node.op_type, node.name, _module(node), tuple(node.input), tuple(node.output), attributes)


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
    """`layer1.0.conv1`, from the exporter's scopes or from the name `/layer1/layer1.0/conv1/Conv`."""
    scopes = next((p.value for p in node.metadata_props if p.key == _SCOPES), None)
    if scopes is not None:
        return next((s for s in reversed(re.findall(r"'([^']*)'", scopes)[:-1]) if s), "")
    if not node.name.startswith("/"):
        return None
    words: list[str] = []
    for part in node.name.split("/")[1:-1]:
        if words and part.startswith(f"{words[-1]}."):  # `/conv/conv.0/conv.0.2`: each part repeats the one before
            words.pop()
        words.append(part)
    return ".".join(words)
