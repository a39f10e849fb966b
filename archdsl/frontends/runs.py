"""Runs of a model and of its spec on the same inputs: an ONNX model in ONNX Runtime, or a PyTorch module."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnx

from archdsl.frontends.limits import SECONDS
from archdsl.frontends.onnx_model import Array
from archdsl.runtime.session import FATAL_ONLY, PROVIDERS, onnxruntime

if TYPE_CHECKING:
    from torch import nn

    from archdsl.graph import Graph

_THREADS = 4
"""More threads would need address space beyond the limit of an import."""


class Run(Protocol):
    """A network that runs. Values are float32 with the batch first, and channels before spatial axes."""

    def outputs(self, inputs: Sequence[Array]) -> list[Array]:
        """Return all outputs in order. Raises an exception of the runtime if they cannot be computed."""

    def values(self, inputs: Sequence[Array], paths: Iterable[str]) -> dict[str, Array]:
        """Return the values of the nodes of the spec, by path, as far as this network has them."""


class OnnxRun:
    """An ONNX model in ONNX Runtime on the CPU, without any optimisation.

    `tensors` are the model's names of the values of the spec's nodes, by path. `last` are the names of values that have
    their channels last. `folder` has the external data of a model that is given as an object.
    """

    def __init__(
        self,
        model: Path | onnx.ModelProto,
        tensors: Mapping[str, str],
        last: frozenset[str] = frozenset(),
        folder: Path | None = None,
    ) -> None:
        self.model, self.tensors, self.last, self.folder = model, tensors, last, folder
        self.session = self._session(str(model) if isinstance(model, Path) else model.SerializeToString())

    def outputs(self, inputs: Sequence[Array]) -> list[Array]:
        return self._run(self.session, [output.name for output in self.session.get_outputs()], inputs)

    def values(self, inputs: Sequence[Array], paths: Iterable[str]) -> dict[str, Array]:
        model = onnx.load(self.model, load_external_data=False) if isinstance(self.model, Path) else self.model
        present = {name for node in model.graph.node for name in node.output}
        names = {path: self.tensors[path] for path in paths if self.tensors.get(path) in present}
        count = len(model.graph.output)
        model.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in {*names.values()} - {one.name for one in model.graph.output}
        )
        try:
            session = self._session(model.SerializeToString())
        finally:
            del model.graph.output[count:]
        return dict(zip(names, self._run(session, list(names.values()), inputs), strict=True))

    def _session(self, source: str | bytes) -> Any:
        ort = onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = FATAL_ONLY
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = _THREADS
        if self.folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(self.folder))
        return ort.InferenceSession(source, options, providers=[PROVIDERS["cpu"]])

    def _run(self, session: Any, names: Sequence[str], inputs: Sequence[Array]) -> list[Array]:
        """The values by name. ONNX Runtime ends the run after SECONDS: a signal would reach it only afterwards."""
        import onnxruntime as ort

        declared = session.get_inputs()
        values = {
            one.name: (np.moveaxis(value, 1, -1) if one.name in self.last else value).astype(_dtype(one.type))
            for one, value in zip(declared, inputs, strict=True)
        }
        options = ort.RunOptions()
        timer = threading.Timer(SECONDS, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            arrays = session.run(names, values, options)
        finally:
            timer.cancel()
        return [
            np.asarray(np.moveaxis(array, -1, 1) if name in self.last else array, np.float32)
            for name, array in zip(names, arrays, strict=True)
        ]


def _dtype(type_: str) -> str:
    """NumPy's name of `tensor(float)`. Raises ValueError for an input that is not of floating-point numbers."""
    names = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
    if type_ not in names:
        raise ValueError(f"its input is a {type_}")
    return names[type_]


class TorchRun:
    """A PyTorch module in evaluation mode, on its own device and in its own type; `graph` is that of the spec.

    `weights` replace its floating-point tensors, each only while the module that owns it runs: they are never all in
    memory.
    """

    def __init__(self, module: nn.Module, graph: Graph, weights: Mapping[str, Array] | None = None) -> None:
        self.module, self.graph = module, graph
        for path, inner in module.named_modules():
            if weights is None:
                break
            tensors = chain(inner.named_parameters(path, recurse=False), inner.named_buffers(path, recurse=False))
            _with_weights(inner, {name: tensor for name, tensor in tensors if tensor.is_floating_point()}, weights)

    def outputs(self, inputs: Sequence[Array]) -> list[Array]:
        from torch import Tensor
        from torch.utils._pytree import tree_leaves

        with _exact(self.module):
            leaves = tree_leaves(self._call(inputs))
        return [_array(leaf) for leaf in leaves if isinstance(leaf, Tensor)]

    def values(self, inputs: Sequence[Array], paths: Iterable[str]) -> dict[str, Array]:
        from archdsl.verification.observe import observed

        with _exact(self.module):
            values, _ = observed(self.module, self.graph, lambda: self._call(inputs))
        wanted = set(paths)
        return {path: value for path, value in values.items() if path in wanted}

    def _call(self, inputs: Sequence[Array]) -> Any:
        import torch

        tensors = chain(self.module.parameters(), self.module.buffers())
        first = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.zeros(()))
        return self.module(*(torch.tensor(value).to(first.device, first.dtype) for value in inputs))


def _with_weights(module: nn.Module, tensors: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
    """Let a module have other values in its tensors while it runs."""
    import torch

    before = {name: tensor.data for name, tensor in tensors.items()}

    def replace(*_: object) -> None:
        for name, tensor in tensors.items():
            tensor.data = torch.from_numpy(weights[name])

    def restore(*_: object) -> None:
        for name, tensor in tensors.items():
            tensor.data = before[name]

    module.register_forward_pre_hook(replace)
    module.register_forward_hook(restore)


def _array(tensor: Any) -> Array:
    array: Array = tensor.detach().float().cpu().numpy()
    return array


@contextmanager
def _exact(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode, and in full precision on a GPU."""
    import torch

    from archdsl.frontends.torch_module import evaluating

    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        with evaluating(module):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32
