"""What every node of a network gives in a run: of a module tree in PyTorch, and of an ONNX file in ONNX Runtime."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from archdsl.analysis.equal_scopes import boundaries
from archdsl.backends.weights import Array
from archdsl.graph import Graph
from archdsl.runtime.session import FATAL_ONLY, PROVIDERS, onnxruntime, refused

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

NodeValues: TypeAlias = dict[str, Array]
"""By the paths of the nodes; float32, batch first."""


def module_values(module: nn.Module, graph: Graph, inputs: Mapping[str, Array]) -> NodeValues:
    """What the module and all modules in it return, each for the node that it gives the value of.

    `module` has the tree of submodules of `graph`. What a function computes inside of a module that returns something
    else is not seen.
    """
    import torch

    named = _nodes_of_modules(graph)
    runs: dict[str, list[Array]] = {path: [] for path in named}

    def keep(path: str) -> Any:
        def hook(_: Any, __: Any, made: Any) -> None:
            if isinstance(made, torch.Tensor):
                runs[path].append(made.detach().numpy().copy())

        return hook

    handles = [part.register_forward_hook(keep(path)) for path, part in module.named_modules() if path in named]
    try:
        with torch.no_grad():
            made = module(*(torch.from_numpy(inputs[graph.nodes[i].path]) for i in graph.inputs))
    finally:
        for handle in handles:
            handle.remove()
    outputs = [made] if isinstance(made, torch.Tensor) else list(made)
    found: NodeValues = {}
    for path, values in runs.items():
        if len(values) == len(named[path]):  # else nothing says which of its nodes were run
            found |= zip(named[path], values, strict=True)
    for number, value in zip(graph.outputs.values(), outputs, strict=True):
        found[graph.nodes[number].path] = value.detach().numpy().copy()
    return found


def _nodes_of_modules(graph: Graph) -> dict[str, list[str]]:
    """The nodes whose values the module at a path returns, run by run: the node there and those that run it again, or
    the last one of the scope there."""
    found: dict[str, list[str]] = {}
    for n in graph.nodes:
        if not n.training:
            found.setdefault(n.shared_with or n.path, []).append(n.path)
    for scope, crossing in boundaries(graph).items():
        if scope.name is not None and len(crossing.outputs) == 1:
            node = graph.nodes[crossing.outputs[0]]
            if not node.training:
                found.setdefault(scope.path, [node.path])
    return found


def printed_module(source: str) -> nn.Module:
    """The network that a file printed by `to_source` builds, in evaluation mode, its tensors at random."""
    import importlib.util

    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        path = Path(folder) / "printed.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("archdsl_printed", path)
        assert spec is not None and spec.loader is not None
        space = importlib.util.module_from_spec(spec)
        cached, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            spec.loader.exec_module(space)  # our own text, just printed
        finally:
            sys.dont_write_bytecode = cached
        module: nn.Module = space.build()
        return module.eval()


def load_weights(module: nn.Module, weights: Mapping[str, Array]) -> None:
    """Copies the tensors into the module. Its keys must be the same."""
    import torch

    module.load_state_dict({key: torch.from_numpy(np.array(weights[key])) for key in weights}, strict=True)


# --- ONNX -----------------------------------------------------------------------------------------------------


def onnx_values(model: ModelProto, path: Path, inputs: Mapping[str, Array], paths: Iterable[str]) -> NodeValues:
    """What each node named by a path gives, run on the CPU; nodes that are not in the file are not in the result.

    Every such value is made an output of the model: of `model` itself, whose graph is changed. External data is looked
    for where its file `path` lies. ONNX Runtime then fuses nothing across them, so that each is the value of its own
    node.
    Errors: E0802, E0805.
    """
    wanted = set(paths)
    made = {node.name: node.output[0] for node in model.graph.node if node.name in wanted}
    made |= {
        name: name for node in model.graph.node if node.op_type == "Split" for name in node.output if name in wanted
    }
    if not made:
        return {}
    open_names = {output.name for output in model.graph.output}
    for name in dict.fromkeys(made.values()):
        if name not in open_names:
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
        names = list(dict.fromkeys(made.values()))
        values = dict(zip(names, session.run(names, dict(inputs)), strict=True))
    except Exception as problem:
        raise refused(problem, path) from None
    return {path: values[name] for path, name in made.items()}
