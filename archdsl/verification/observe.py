"""Record the value of every node in a run of a PyTorch module or of an ONNX file in ONNX Runtime."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from archdsl.analysis.equal_scopes import boundaries
from archdsl.backends.weights import Array
from archdsl.graph import Graph
from archdsl.runtime.session import FATAL_ONLY, PROVIDERS, onnxruntime, refused

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

T = TypeVar("T")
NodeValues: TypeAlias = dict[str, Array]
"""Values by the paths of the nodes; float32, batch first."""


def module_values(module: nn.Module, graph: Graph, inputs: Mapping[str, Array]) -> NodeValues:
    """Return the outputs of the module and its submodules, each by the path of the node that it computes.

    `module` must have the tree of submodules of `graph`. Values that functions compute inside a module are not
    observed, unless the module returns them.
    """
    import torch

    node_values, result = observed(
        module, graph, lambda: module(*(torch.from_numpy(inputs[graph.nodes[i].path]) for i in graph.inputs))
    )
    outputs = [result] if isinstance(result, torch.Tensor) else list(result)
    for number, value in zip(graph.outputs.values(), outputs, strict=True):
        node_values[graph.nodes[number].path] = value.detach().numpy().copy()
    return node_values


def observed(module: nn.Module, graph: Graph, call: Callable[[], T]) -> tuple[NodeValues, T]:
    """Return the values of nodes of `graph` that `call` makes submodules of `module` compute, and what it returns."""
    import torch

    named = _nodes_of_modules(graph)
    runs: dict[str, list[Array]] = {path: [] for path in named}

    def keep(path: str) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                runs[path].append(output.detach().float().cpu().numpy().copy())

        return hook

    handles = [part.register_forward_hook(keep(path)) for path, part in module.named_modules() if path in named]
    try:
        with torch.no_grad():
            result = call()
    finally:
        for handle in handles:
            handle.remove()
    node_values: NodeValues = {}
    for path, values in runs.items():
        if len(values) == len(named[path]):  # else it is unknown which of its nodes ran
            node_values |= zip(named[path], values, strict=True)
    return node_values, result


def _nodes_of_modules(graph: Graph) -> dict[str, list[str]]:
    """Path of a module -> the nodes that its calls compute, in order: a node and the nodes that share its tensors, or
    the last node of a scope."""
    nodes: dict[str, list[str]] = {}
    for n in graph.nodes:
        if not n.training:
            nodes.setdefault(n.module_path, []).append(n.path)
    for scope, crossing in boundaries(graph).items():
        if scope.name is not None and len(crossing.outputs) == 1:
            node = graph.nodes[crossing.outputs[0]]
            if not node.training:
                nodes.setdefault(scope.path, [node.path])
    return nodes


def source_module(source: str) -> nn.Module:
    """Build the network of a source that `to_source` generated, in evaluation mode, with random tensors."""
    import importlib.util

    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        path = Path(folder) / "generated.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("archdsl_generated", path)
        assert spec is not None and spec.loader is not None
        namespace = importlib.util.module_from_spec(spec)
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            spec.loader.exec_module(namespace)  # safe: archdsl generated this text
        finally:
            sys.dont_write_bytecode = before
        module: nn.Module = namespace.build()
        return module.eval()


def load_weights(module: nn.Module, weights: Mapping[str, Array]) -> None:
    """Copy the tensors into the module, which must have the same keys."""
    import torch

    module.load_state_dict({key: torch.from_numpy(np.array(weights[key])) for key in weights}, strict=True)


# --- ONNX -----------------------------------------------------------------------------------------------------


def onnx_values(model: ModelProto, path: Path, inputs: Mapping[str, Array], paths: Iterable[str]) -> NodeValues:
    """Run the model on the CPU and return the values of the nodes named by `paths`, as far as the file has them.

    Adds these values to the outputs of `model`, so ONNX Runtime does not fuse nodes across them. External data is read
    from the folder of `path`. Raises E0802 without ONNX Runtime, E0805 if the model cannot be run.
    """
    wanted = set(paths)
    tensors = {node.name: node.output[0] for node in model.graph.node if node.name in wanted}
    tensors |= {
        name: name for node in model.graph.node if node.op_type == "Split" for name in node.output if name in wanted
    }
    if not tensors:
        return {}
    output_names = {output.name for output in model.graph.output}
    for name in dict.fromkeys(tensors.values()):
        if name not in output_names:
            model.graph.output.add(name=name)
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    if any(item.external_data for item in model.graph.initializer):
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(path.parent.resolve())
        )
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=[PROVIDERS["cpu"]])
        names = list(dict.fromkeys(tensors.values()))
        values = dict(zip(names, session.run(names, dict(inputs)), strict=True))
    except Exception as problem:
        raise refused(problem, path) from None
    return {path: values[name] for path, name in tensors.items()}
