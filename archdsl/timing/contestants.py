"""The contestants of `bench`: each prepares a task and returns a runner, which runs the network once on fixed inputs.

Each library is set up as its own guide recommends for inference: no gradients, frozen weights for `torch.compile`,
fixed sizes for OpenVINO, inputs in the memory of the GPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from archdsl.axes import KINDS
from archdsl.timing.export import export
from archdsl.timing.task import Task
from archdsl.timing.torch_module import inputs, module, tensors

Array: TypeAlias = npt.NDArray[Any]
_PROVIDER = "ExecutionProvider"


@dataclass(frozen=True, slots=True)
class Runner:
    """A network ready to run: `run` runs it once and waits until it is done, `outputs` returns the outputs, `version`
    is the name and version of the library."""

    run: Callable[[], None]
    outputs: Callable[[], Sequence[Array]]
    version: str


# --- ONNX Runtime ----------------------------------------------------------------------------------------


def archdsl(task: Task) -> Runner:
    """archdsl's ONNX file in ONNX Runtime."""
    return _in_onnxruntime(task, Path(task.model))


def _in_onnxruntime(task: Task, model: Path) -> Runner:
    from archdsl.runtime.devices import place_of
    from archdsl.runtime.session import Tuning, open_session

    ranges = tuple((shape, shape) for shape in task.shapes.values())
    replay = place_of(task.device).on_gpu
    tuning = Tuning(threads=task.threads, search=True, replay=replay, half=task.half, ranges=ranges)
    session = open_session(model, task.device, tuning)
    arrays: dict[str, Array] = dict(zip(session.inputs, inputs(task).values(), strict=True))
    for name, kind in session.input_types.items():
        if kind == "tensor(float16)":  # a float16 module exported by PyTorch; archdsl's file has float32 inputs
            arrays[name] = arrays[name].astype(np.float16)
    bound = session.bound(arrays)
    return Runner(bound.run, bound.outputs, f"onnxruntime {session.version}, {session.place.replace(_PROVIDER, '')}")


def exported(task: Task) -> Runner:
    """The file that torch.onnx.export writes for the module, or onnxslim's version of it, in ONNX Runtime."""
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        return _in_onnxruntime(task, export(task, Path(folder) / "model.onnx"))


# --- PyTorch ---------------------------------------------------------------------------------------------


def torch_eager(task: Task) -> Runner:
    """The module in PyTorch."""
    return _in_torch(task, module(task), tensors(task))


def channels_last(task: Task) -> Runner:
    """The module in the memory format channels_last, which PyTorch recommends for images and volumes."""
    net = module(task)
    for parameter in net.parameters():
        parameter.data = _channels_last(parameter.data)
    return _in_torch(task, net, list(map(_channels_last, tensors(task))))


def _channels_last(tensor: Any) -> Any:
    import torch

    kind = KINDS[max(tensor.ndim - 2, 0)]
    return tensor.to(memory_format=getattr(torch, kind.channels_last))


def compiled(task: Task) -> Runner:
    """torch.compile with frozen weights, and with CUDA graphs on a GPU, as for ONNX Runtime."""
    import torch
    import torch._inductor.config as inductor

    inductor.freezing = True
    mode = "default" if task.device == "cpu" else "reduce-overhead"
    return _in_torch(task, torch.compile(module(task), mode=mode), tensors(task))


def _in_torch(task: Task, net: Any, samples: Sequence[Any]) -> Runner:
    import torch

    def outputs() -> list[Array]:
        with torch.no_grad():
            result = net(*samples)
        results = [result] if isinstance(result, torch.Tensor) else [*result]
        return [tensor.float().cpu().numpy() for tensor in results]

    def run() -> None:
        with torch.no_grad():
            net(*samples)
        if task.device != "cpu":
            torch.cuda.synchronize(samples[0].device)

    return Runner(run, outputs, f"torch {torch.__version__}")


# --- OpenVINO --------------------------------------------------------------------------------------------


def openvino(task: Task) -> Runner:
    """archdsl's ONNX file in OpenVINO, with fixed sizes, in float32."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(task.model)
    samples = dict(zip([port.any_name for port in model.inputs], inputs(task).values(), strict=True))
    model.reshape({name: list(value.shape) for name, value in samples.items()})
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": task.threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run() -> None:
        request.infer(samples, share_inputs=True, share_outputs=True)

    def outputs() -> list[Array]:
        return [np.array(value) for value in request.infer(samples).values()]

    return Runner(run, outputs, f"openvino {ov.__version__.partition('-')[0]}")


class Contestant(NamedTuple):
    """A way to run a network: the function that makes a runner, the packages it needs, whether it can run on a GPU."""

    make: Callable[[Task], Runner]
    packages: tuple[str, ...]
    gpu: bool = True


OtherName: TypeAlias = Literal["torch", "channels_last", "compile", "traced", "slimmed", "openvino"]
OURS = "archdsl"
OTHERS: tuple[OtherName, ...] = get_args(OtherName)
"""The contestants that archdsl's own file can be compared with."""
CONTESTANTS: Mapping[str, Contestant] = {
    OURS: Contestant(archdsl, ("onnxruntime",)),
    "torch": Contestant(torch_eager, ("torch",)),
    "channels_last": Contestant(channels_last, ("torch",)),
    "compile": Contestant(compiled, ("torch",)),
    "traced": Contestant(exported, ("torch", "onnxscript", "onnxruntime")),
    "slimmed": Contestant(exported, ("torch", "onnxscript", "onnxslim", "onnxruntime")),
    "openvino": Contestant(openvino, ("openvino",), gpu=False),
}
