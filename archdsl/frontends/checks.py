"""Check an import before it is written: the shapes of all values, then the outputs of the model and its spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from archdsl.backends.weights import Array
from archdsl.diagnostics import ArchError
from archdsl.frontends.cut import cut, stopped
from archdsl.frontends.equality import OutputCheck, Subject, Uncompared, check, different, uncompared
from archdsl.frontends.limits import limited
from archdsl.frontends.onnx_model import SourceModel
from archdsl.frontends.runs import OnnxRun, Run, TorchRun
from archdsl.frontends.to_spec import ImportedSpec
from archdsl.graph import Graph
from archdsl.runtime.model import ModelFacts
from archdsl.shapes import concrete

if TYPE_CHECKING:
    from torch import nn

_SMALL = 1024
"""Values of a constant that may be the sizes of a shape."""


def check_file(
    facts: ModelFacts, model: SourceModel, imported: ImportedSpec, outputs: Sequence[str] = ()
) -> OutputCheck:
    """Compare the shapes of all values, and all outputs of the file and its spec in ONNX Runtime, within the limits of
    an import. `outputs` are those that the file was cut to.

    Raises E0848 if they differ.
    """
    path = facts.path
    written = next(iter(model.shapes.values()), ())
    makers = {output: node for node in model.nodes for output in node.outputs}

    def title(node: str) -> str:
        value = imported.values.get(node, node)
        maker = makers.get(value)
        return f"`{node}`" if maker is None else f"`{maker.op_type}` `{(maker.name or value)[:80]}` (`{node}`)"

    def subject() -> Subject:
        return Subject(
            OnnxRun(
                _cut(path, outputs) if outputs or facts.has_class_maps or facts.embedded else path,
                imported.values,
                imported.last,
                path.parent.resolve(),
            ),
            lambda weights: _in_runtime(imported.graph, weights),
            imported.graph,
            imported.weights(),
            written[0] if written else None,
            any(size is None for size in written[1:]),
            True,
            "float16" if any(array.dtype == np.float16 for array in model.constants.values()) else "float32",
            title,
        )

    with limited(facts.size):
        if imported.values:
            _check_shapes(_cut(path, outputs), model, imported, title)
        return _checked(subject)


def check_module(module: nn.Module, imported: ImportedSpec, outputs: Sequence[str] = ()) -> OutputCheck:
    """Compare all outputs of a PyTorch module, cut to `outputs`, and its spec. Raises E0848 if they differ."""
    from archdsl.backends.torch.module import to_torch

    def subject() -> Subject:
        own = imported.weights()

        def spec(weights: Mapping[str, Array]) -> Run:
            module = to_torch(imported.graph, own, own=True)  # it only reads them
            return TorchRun(module, imported.graph, None if weights is own else weights)

        floating = [tensor.dtype for tensor in module.state_dict().values() if tensor.is_floating_point()]
        dtype = str(floating[0]).removeprefix("torch.") if floating else "float32"
        run = TorchRun(module, imported.graph)
        half = dtype if dtype in ("float16", "bfloat16") else "float32"
        return Subject(run, spec, imported.graph, own, None, True, False, half, lambda path: f"`{path}`")

    with stopped(module, outputs):
        return _checked(subject)


def _cut(path: Path, outputs: Sequence[str]) -> onnx.ModelProto:
    """The part of a file that the outputs need, without its external data."""
    return cut(onnx.load(path, load_external_data=False), outputs)


def _checked(subject: Callable[[], Subject]) -> OutputCheck:
    try:
        return check(subject())
    except (ArchError, Uncompared, MemoryError) as problem:
        if isinstance(problem, ArchError) and problem.diagnostics[0].code == "E0848":
            raise
        return OutputCheck(reason=str(uncompared(problem)))
    except Exception as problem:  # ONNX Runtime and PyTorch raise exceptions of their own
        return OutputCheck(reason=str(uncompared(problem)))


def _in_runtime(graph: Graph, weights: Mapping[str, Array]) -> Run:
    """The spec compiled without passes, in ONNX Runtime."""
    from archdsl.backends.onnx.write import build

    model = build(graph, weights)
    outputs = {node.name: node.output[0] for node in model.graph.node}
    return OnnxRun(model, {node.path: outputs.get(node.path, node.path) for node in graph.nodes})


def _check_shapes(
    proto: onnx.ModelProto, model: SourceModel, imported: ImportedSpec, title: Callable[[str], str]
) -> None:
    """Raises E0848 at the first value to which ONNX gives another shape than the spec, apart from axes of size 1."""
    nodes = imported.graph.by_path
    inputs = [concrete(imported.graph.nodes[number].shape) for number in imported.graph.inputs]
    inferred = _inferred_shapes(proto, dict(zip(model.shapes, inputs, strict=True)), imported.last)
    for place, value in imported.values.items():
        shape = inferred.get(value)
        if shape is None:
            continue
        ours = concrete(nodes[place].shape)
        theirs = (shape[-1], *shape[1:-1]) if value in imported.last else shape[1:]
        if [size for size in ours if size != 1] != [size for size in theirs if size != 1]:
            text = " x ".join(map(str, theirs)), " x ".join(map(str, ours))
            raise different(f"{title(place)} has the shape {text[0]}, in the spec {text[1]}")


def _inferred_shapes(
    proto: onnx.ModelProto, sizes: Mapping[str, Sequence[int]], last: frozenset[str]
) -> dict[str, tuple[int, ...]]:
    """The shapes that onnx infers from the nodes alone, with a batch of 1; only those with all sizes known."""
    light = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    light.graph.node.extend(proto.graph.node)
    for tensor in proto.graph.initializer:
        if np.prod(tensor.dims) <= _SMALL and not tensor.external_data:
            light.graph.initializer.append(tensor)
        else:
            light.graph.initializer.add(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    for value in proto.graph.input:
        one = light.graph.input.add()
        one.CopyFrom(value)
        size = sizes.get(value.name)
        if size is not None:
            axes = (1, *size[1:], size[0]) if value.name in last else (1, *size)
            one.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=[{"dim_value": axis} for axis in axes]))
    light.graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in proto.graph.output)
    try:
        graph = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    except Exception:  # it has bugs of its own, and its shapes are only a second opinion
        return {}
    return {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
        and all(dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
        and value.type.tensor_type.shape.dim
    }
