"""An ONNX file as plain data: nodes, constants, inputs and outputs. Nothing of it is executed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from archdsl.axes import axes_of
from archdsl.diagnostics import ArchError, Diagnostic, error

Array: TypeAlias = NDArray[Any]

OLDEST, NEWEST = 7, 28
"""The opsets whose definitions were read for the import rules. A node is legal if its definition is no newer, whatever
the opset of its file."""
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

    `classes` are the class names of a PyTorch module's modules by path, also of containers, and `state` the keys of its
    state_dict; a file has none. `origins`: for a constant that is another view of a tensor (its values in order, with
    another shape), the name of that tensor. `learned` are the parameters of a module that the nodes read.
    `channels_last`: inputs that the file has with their channels last; `shapes` and the nodes have them first. `opset`
    is that of the nodes, `types` are the element types of the file's inputs and tensors. `output_names` are those of a
    module's outputs; a file has the names of their values.
    """

    name: str
    nodes: tuple[SourceNode, ...]
    constants: Mapping[str, Array]
    shapes: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]
    classes: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    learned: frozenset[str] = frozenset()
    state: tuple[str, ...] = ()
    channels_last: frozenset[str] = frozenset()
    opset: int = NEWEST
    types: frozenset[int] = frozenset()
    output_names: tuple[str, ...] = ()


def read(path: Path, reduce: Callable[[onnx.ModelProto], onnx.ModelProto] = lambda proto: proto) -> SourceModel:
    """Read a model with its weights, after `reduce` has changed it.

    Raises E0805 for a file that is not an ONNX model, or whose weights are missing; E0841 for control flow.
    """
    from archdsl.runtime.model import not_a_model

    try:
        return from_proto(reduce(onnx.load(path)))
    except (ArchError, MemoryError):
        raise
    except FileNotFoundError as problem:
        raise not_a_model(path, f"the file of its weights does not exist: {problem.filename or ''}") from None
    except Exception as problem:  # protobuf's own errors, and those of onnx for tensors of a wrong size
        plain = type(problem) is ValueError or isinstance(problem, (OSError, onnx.checker.ValidationError))
        lines = str(problem).splitlines() if plain else []
        raise not_a_model(path, lines[0][:200] if lines else "it is damaged, or not in the format of ONNX") from None


def from_proto(proto: onnx.ModelProto) -> SourceModel:
    """Convert onnx's own object; its nodes are sorted, each after those that it reads.

    Raises E0841 as `read` does, ValueError for an invalid graph.
    """
    graph = proto.graph
    if len(graph.node) > MAX_NODES:
        raise error("E0841", f"the model has {len(graph.node):,} nodes; the limit is {MAX_NODES:,}")
    opset = _opset(proto)
    _check_names(graph)
    needed = _needed(graph)
    _refuse_unsupported(needed, graph, opset)
    _check_inputs(graph)
    constants = {tensor.name: _values(tensor) for tensor in graph.initializer}
    nodes = []
    for node in _sorted(needed, graph):
        if node.op_type == "Constant":
            constants[node.output[0]] = _constant(node)
        elif node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
        else:
            nodes.append(_source_node(node))
    shapes = {value.name: _shape(value) for value in graph.input if value.name not in constants}
    outputs = tuple(value.name for value in graph.output)
    last = [name for name in _channels_last(nodes, shapes) if name not in outputs]
    for name in last:
        nodes = _with_channels_last(nodes, name, len(shapes[name]))
        shapes[name] = (shapes[name][0], shapes[name][-1], *shapes[name][1:-1])
    types = {value.type.tensor_type.elem_type for value in graph.input} | {one.data_type for one in graph.initializer}
    return SourceModel(
        graph.name,
        tuple(nodes),
        constants,
        shapes,
        outputs,
        opset=opset,
        channels_last=frozenset(last),
        types=frozenset(types),
    )


def refused(code: str, problems: Mapping[tuple[str, str], Sequence[str]], total: int) -> ArchError:
    """Return one error for each op type and reason, with the names of the first nodes and the number of the rest.

    The last one has a note: how many of `total` nodes are refused.
    """
    diagnostics: list[Diagnostic] = []
    for (op_type, reason), names in list(problems.items())[:MAX_PROBLEMS]:
        shown = ", ".join(f"`{name[:120]}`" for name in names[:NAMES_SHOWN] if name)
        more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
        diagnostics += error(code, f"`{op_type[:60]}`{f' {shown}' if shown else ''}{more}: {reason}").diagnostics
    if len(problems) > MAX_PROBLEMS:
        diagnostics += error(
            code, f"{len(problems) - MAX_PROBLEMS:,} more errors like these are not listed"
        ).diagnostics
    count = sum(map(len, problems.values()))
    note = f"{count:,} of {total:,} nodes are refused; nodes that read their values were not checked"
    return ArchError([*diagnostics[:-1], replace(diagnostics[-1], notes=(note,))])


def _opset(proto: onnx.ModelProto) -> int:
    """The version of ONNX's own ops. Raises E0841 for one whose definitions are unknown."""
    versions = {entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")}
    if len(versions) == 1 and OLDEST <= min(versions) <= onnx.defs.onnx_opset_version():
        return int(versions.pop())
    text = ", ".join(map(str, sorted(versions))) or "none"
    range_ = f"{OLDEST} to {onnx.defs.onnx_opset_version()}"
    raise error("E0841", f"the model's opset is {text}; archdsl reads {range_}: convert it with onnx.version_converter")


def _needed(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs need, in the order of the file; the others are neither read nor refused."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    pending = [value.name for value in graph.output]
    needed: set[int] = set()
    while pending:
        index = makers.get(pending.pop())
        if index is not None and index not in needed:
            needed.add(index)
            pending += graph.node[index].input
    return [graph.node[index] for index in sorted(needed)]


def _refuse_unsupported(nodes: Sequence[onnx.NodeProto], graph: onnx.GraphProto, opset: int) -> None:
    """Raises E0841 for nodes with a graph of their own, of another domain, or that break the definition of their op."""
    context = onnx.checker.C.CheckerContext()
    context.ir_version, context.opset_imports = onnx.IR_VERSION, {"": opset}
    problems: dict[tuple[str, str], list[str]] = {}
    for node in nodes:
        reason = _unsupported(node, opset, context)
        if reason:
            problems.setdefault((node.op_type, reason), []).append(node.name or ", ".join(node.output))
    if graph.sparse_initializer:
        problems["initializer", "it is sparse"] = [graph.sparse_initializer[0].values.name]
    if problems:
        raise refused("E0841", problems, len(nodes))


def _unsupported(node: onnx.NodeProto, opset: int, context: Any) -> str:
    if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
        return "it is control flow, which a spec cannot express"
    if node.domain not in ("", "ai.onnx"):
        return f"its domain is `{node.domain[:80]}`, not ONNX; export the model without an optimiser's own ops"
    if not onnx.defs.has(node.op_type):  # the rules refuse it
        return ""
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
        since = schema.since_version
        if not schema.deprecated:
            onnx.checker.check_node(node, context)
    except Exception as problem:  # of types that are not public
        lines = [line for line in str(problem).splitlines() if line.strip()] or ["it is not valid"]
        return f"opset {opset} does not define it so: {lines[0][:200]}"
    return "" if since <= NEWEST else f"opset {since} redefined it, and archdsl reads opsets up to {NEWEST}"


def _check_inputs(graph: onnx.GraphProto) -> None:
    """Raises E0841 for inputs that are no floating-point numbers, unless all their readers convert them."""
    stored = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        kind = value.type.tensor_type.elem_type
        casts = [node.op_type == "Cast" for node in graph.node if value.name in node.input]
        if value.name not in stored and kind not in (0, *FLOATS) and not (casts and all(casts)):
            name = onnx.TensorProto.DataType.Name(kind)
            raise error("E0841", f"the input `{value.name[:80]}` is of the type {name}, not floating-point numbers")


def _sorted(nodes: Sequence[onnx.NodeProto], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes of a graph, each after those that it reads.

    Raises ValueError for a cycle, and for a value that nothing makes.
    """
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    known = {value.name for value in (*graph.input, *graph.initializer)}
    ordered: list[onnx.NodeProto] = []
    state: dict[int, bool] = {}
    """For each node that was reached, whether all that it reads is in order."""
    for first in range(len(nodes)):
        pending = [first]
        while pending:
            index = pending[-1]
            node = nodes[index]
            if state.get(index):
                pending.pop()
                continue
            missing = [name for name in node.input if name and name not in known]
            for name in missing:
                if name not in makers:
                    raise ValueError(
                        f"its node `{node.name[:80]}` ({node.op_type[:40]}) reads `{name[:80]}`, which nothing makes"
                    )
            if missing and index in state:
                raise ValueError(f"its node `{node.name[:80]}` ({node.op_type[:40]}) reads its own output: a cycle")
            state[index] = not missing
            if not missing:
                ordered.append(node)
                known.update(node.output)
            pending += [makers[name] for name in missing]
    return ordered


FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)
"""Element types that all count as floating-point numbers: the spec computes in float32."""
HALVES = frozenset((onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16))
_POINTWISE = frozenset("Add Cast Div Dropout Identity Mul Sub".split())


def _channels_last(nodes: Sequence[SourceNode], shapes: Mapping[str, tuple[int | None, ...]]) -> list[str]:
    """The inputs that reach, possibly through normalisation, only transposes that put the last axis first."""
    readers: dict[str, list[SourceNode]] = {}
    for node in nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    result = []
    for name, shape in shapes.items():
        first = (0, len(shape) - 1, *range(1, len(shape) - 1))
        pending, turned = [name], axes_of(shape[1:]) > 0
        while pending and turned:
            value = pending.pop()
            inner = [node for node in readers.get(value, ()) if node.op_type in _POINTWISE]
            ends = [node for node in readers.get(value, ()) if node.attributes.get("perm") == first]
            turned = bool(inner or ends) and len(inner) + len(ends) == len(readers.get(value, ()))
            pending += [node.outputs[0] for node in inner]
        if turned:
            result.append(name)
    return result


def _with_channels_last(nodes: Sequence[SourceNode], name: str, rank: int) -> list[SourceNode]:
    """The nodes, which read the input with its channels last from a transpose of the one with its channels first."""
    last = f"{name}/channels_last"
    turn = SourceNode("Transpose", "", None, (name,), (last,), {"perm": (0, *range(2, rank), 1)})
    renamed = [replace(node, inputs=tuple(last if i == name else i for i in node.inputs)) for node in nodes]
    return [turn, *renamed]


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
    stored = [tensor.name for tensor in graph.initializer]
    written = {value.name for value in graph.input} | {*stored}
    for what, names in (("initializer", stored), ("input", [i.name for i in graph.input])):
        twice = next((name for name in names if names.count(name) > 1), None) if len({*names}) < len(names) else None
        if twice is not None:
            raise ValueError(f"its {what} `{twice[:80]}` is defined twice")
    for node in graph.node:
        if not node.output or not node.output[0]:
            raise ValueError(f"its node `{node.name[:80]}` ({node.op_type[:40]}) has no output")
        if node.op_type == "Identity" and not node.input:
            raise ValueError(f"its node `{node.name[:80]}` (Identity) has no input")
        for name in filter(None, node.output):
            if name in written:
                raise ValueError(f"its value `{name[:80]}` is written twice")
            written.add(name)


_CONSTANT_TYPES = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _constant(node: onnx.NodeProto) -> Array:
    """The value of a Constant node. Raises E0841 for text and sparse tensors."""
    (attribute,) = node.attribute
    if attribute.name == "value":
        return _values(attribute.t)
    if attribute.name not in _CONSTANT_TYPES:
        raise error("E0841", f"`Constant` `{node.name[:80] or node.output[0][:80]}`: it has a `{attribute.name[:40]}`")
    return np.asarray(onnx.helper.get_attribute_value(attribute), _CONSTANT_TYPES[attribute.name])


def _source_node(node: onnx.NodeProto) -> SourceNode:
    attributes = {a.name: _attribute(a) for a in node.attribute}
    return SourceNode(node.op_type, node.name, module_of(node), tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, onnx.TensorProto)) else value


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in value.type.tensor_type.shape.dim
    )


def module_of(node: onnx.NodeProto) -> str | None:
    """A node's module, `layer1.0.conv1`: from the exporter's scopes or the name `/layer1/layer1.0/conv1/Conv`."""
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
