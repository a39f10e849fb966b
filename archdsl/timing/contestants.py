"""The contestants of `bench`: each makes, of a task, a runner that runs the network once on fixed inputs.

What a library's own guide recommends for inference is done for it: no gradients, frozen weights for `torch.compile`,
static sizes for OpenVINO, inputs that already lie on the GPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from archdsl.timing.export import export
from archdsl.timing.task import Task
from archdsl.timing.torch_module import inputs, module, tensors

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Runner:
    """A network ready to run: `run` runs it once and returns when the work is done, `outputs` returns its outputs, and
    `version` names the library."""

    run: Callable[[], None]
    outputs: Callable[[], Sequence[Array]]
    version: str


# --- ONNX Runtime ----------------------------------------------------------------------------------------


def archdsl(task: Task) -> Runner:
    """archdsl's ONNX file in ONNX Runtime."""
    return _in_onnxruntime(task, Path(task.model))


def _in_onnxruntime(task: Task, model: Path) -> Runner:
    from archdsl.runtime.session import Tuning, open_session

    tuning = Tuning(threads=task.threads, search=True, replay=task.device != "cpu", half=task.half)
    session = open_session(model, task.device, tuning)  # type: ignore[arg-type]
    arrays: dict[str, Array] = dict(zip(session.inputs, inputs(task).values(), strict=True))
    for name, kind in session.input_types.items():
        if kind == "tensor(float16)":  # as PyTorch's export of a halved module has it; ours takes float32
            arrays[name] = arrays[name].astype(np.float16)
    where = session.provider.removesuffix("ExecutionProvider")
    bound = session.bound(arrays)
    return Runner(bound.run, bound.outputs, f"onnxruntime {session.version}, {where}")


def exported(task: Task) -> Runner:
    """torch.onnx.export's file, of the module, in ONNX Runtime: as it is, or through onnxslim."""
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        return _in_onnxruntime(task, export(task, Path(folder) / "model.onnx"))


# --- PyTorch ---------------------------------------------------------------------------------------------


def torch_eager(task: Task) -> Runner:
    """The module, in PyTorch."""
    return _in_torch(task, module(task), tensors(task))


def channels_last(task: Task) -> Runner:
    """The module with channels innermost in memory, as PyTorch recommends for convolutions."""
    import torch

    samples = [x.to(memory_format=torch.channels_last) if x.ndim == 4 else x for x in tensors(task)]
    return _in_torch(task, module(task).to(memory_format=torch.channels_last), samples)


def compiled(task: Task) -> Runner:
    """torch.compile with the weights frozen, and on a GPU with its work recorded as one graph, as ONNX Runtime has
    it."""
    import torch
    import torch._inductor.config as inductor

    inductor.freezing = True
    mode = "default" if task.device == "cpu" else "reduce-overhead"
    return _in_torch(task, torch.compile(module(task), mode=mode), tensors(task))


def _in_torch(task: Task, net: Any, samples: Sequence[Any]) -> Runner:
    import torch

    def outputs() -> list[Array]:
        with torch.no_grad():
            found = net(*samples)
        several = [found] if isinstance(found, torch.Tensor) else [*found]
        return [tensor.float().cpu().numpy() for tensor in several]

    def run() -> None:
        with torch.no_grad():
            net(*samples)
        if task.device != "cpu":
            torch.cuda.synchronize()

    return Runner(run, outputs, f"torch {torch.__version__}")


# --- OpenVINO --------------------------------------------------------------------------------------------


def openvino(task: Task) -> Runner:
    """archdsl's ONNX file in OpenVINO, sizes fixed, float32."""
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
    """A way of running a network: makes its runner, needs these packages, and runs on a GPU as well or not."""

    make: Callable[[Task], Runner]
    packages: tuple[str, ...]
    gpu: bool = True


OtherName: TypeAlias = Literal["torch", "channels_last", "compile", "traced", "slimmed", "openvino"]
OURS = "archdsl"
OTHERS: tuple[OtherName, ...] = get_args(OtherName)
"""What archdsl's own file can be compared with."""
CONTESTANTS: Mapping[str, Contestant] = {
    OURS: Contestant(archdsl, ("onnxruntime",)),
    "torch": Contestant(torch_eager, ("torch",)),
    "channels_last": Contestant(channels_last, ("torch",)),
    "compile": Contestant(compiled, ("torch",)),
    "traced": Contestant(exported, ("torch", "onnxscript", "onnxruntime")),
    "slimmed": Contestant(exported, ("torch", "onnxscript", "onnxslim", "onnxruntime")),
    "openvino": Contestant(openvino, ("openvino",), gpu=False),
}
