"""The ways of running a network: each makes, from a job, a call that runs it once on fixed inputs.

What a library's own guide recommends for inference is done for it: no gradients, frozen weights for `torch.compile`,
static sizes for OpenVINO, inputs that already lie on the GPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.timing.export import export
from archdsl.timing.job import Job

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Contestant:
    """`run` runs the network once and returns when it is done, `outputs` gives what comes out, `version` says what
    runs."""

    run: Callable[[], None]
    outputs: Callable[[], Sequence[Array]]
    version: str


Maker: TypeAlias = Callable[[Job], Contestant]


def inputs(job: Job) -> dict[str, npt.NDArray[np.float32]]:
    """Standard normal numbers from the job's seed."""
    rng = np.random.default_rng(job.seed)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in job.shapes.items()}


# --- ONNX Runtime ----------------------------------------------------------------------------------------


def archdsl(job: Job) -> Contestant:
    """Our ONNX file in ONNX Runtime."""
    return _in_onnxruntime(job, Path(job.model))


def _in_onnxruntime(job: Job, model: Path) -> Contestant:
    from archdsl.runtime.session import Tuning, open_session

    tuning = Tuning(threads=job.threads, search=True, replay=job.device != "cpu", half=job.half)
    session = open_session(model, job.device, tuning)  # type: ignore[arg-type]
    given: dict[str, Array] = dict(zip(session.inputs, inputs(job).values(), strict=True))
    for name, kind in session.input_types.items():
        if kind == "tensor(float16)":  # as PyTorch's export of a halved module has it; ours takes float32
            given[name] = given[name].astype(np.float16)
    where = session.provider.removesuffix("ExecutionProvider")
    bound = session.bound(given)
    return Contestant(bound.run, bound.outputs, f"onnxruntime {session.version}, {where}")


def exported(job: Job) -> Contestant:
    """torch.onnx.export's file, of the module, in ONNX Runtime: as it is, or through onnxslim."""
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        return _in_onnxruntime(job, export(job, Path(folder) / "model.onnx"))


# --- PyTorch ---------------------------------------------------------------------------------------------


def torch_eager(job: Job) -> Contestant:
    """The module, node by node."""
    return _in_torch(job, module(job), tensors(job))


def channels_last(job: Job) -> Contestant:
    """The module with channels innermost in memory, as PyTorch recommends for convolutions."""
    import torch

    given = [x.to(memory_format=torch.channels_last) if x.ndim == 4 else x for x in tensors(job)]
    return _in_torch(job, module(job).to(memory_format=torch.channels_last), given)


def compiled(job: Job) -> Contestant:
    """torch.compile with the weights frozen, and on a GPU with its work recorded as one graph, as ONNX Runtime has
    it."""
    import torch
    import torch._inductor.config as inductor

    inductor.freezing = True
    mode = "default" if job.device == "cpu" else "reduce-overhead"
    return _in_torch(job, torch.compile(module(job), mode=mode), tensors(job))


def module(job: Job) -> Any:
    """The PyTorch module, where the job runs it."""
    import torch

    from archdsl.network import load

    torch.set_num_threads(job.threads)
    made = load(job.spec).to_torch(job.weights).eval().requires_grad_(False)
    if job.device != "cpu":
        torch.backends.cudnn.benchmark = True  # searches for the fastest algorithm, as ONNX Runtime is told to
        torch.backends.cudnn.allow_tf32 = (
            False  # else convolutions round float32 to 10 bits, which ONNX Runtime is told not to
        )
        made = made.to("cuda")
    return made.half() if job.half and job.device != "cpu" else made


def tensors(job: Job) -> list[Any]:
    """The inputs, where the job's module is."""
    import torch

    made = [torch.from_numpy(value) for value in inputs(job).values()]
    if job.device != "cpu":
        made = [tensor.cuda() for tensor in made]
    return [tensor.half() for tensor in made] if job.half and job.device != "cpu" else made


def _in_torch(job: Job, net: Any, given: Sequence[Any]) -> Contestant:
    import torch

    def outputs() -> list[Array]:
        with torch.no_grad():
            found = net(*given)
        several = [found] if isinstance(found, torch.Tensor) else [*found]
        return [tensor.float().cpu().numpy() for tensor in several]

    def run() -> None:
        with torch.no_grad():
            net(*given)
        if job.device != "cpu":
            torch.cuda.synchronize()

    return Contestant(run, outputs, f"torch {torch.__version__}")


# --- OpenVINO --------------------------------------------------------------------------------------------


def openvino(job: Job) -> Contestant:
    """Our ONNX file in OpenVINO, sizes fixed, float32."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(job.model)
    given = dict(zip([port.any_name for port in model.inputs], inputs(job).values(), strict=True))
    model.reshape({name: list(value.shape) for name, value in given.items()})
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": job.threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run() -> None:
        request.infer(given, share_inputs=True, share_outputs=True)

    def outputs() -> list[Array]:
        return [np.array(value) for value in request.infer(given).values()]

    return Contestant(run, outputs, f"openvino {ov.__version__.partition('-')[0]}")


class Way(NamedTuple):
    """A maker, the packages that it needs, and whether it runs on a GPU as well."""

    make: Maker
    packages: tuple[str, ...]
    gpu: bool = True


TABLE: Mapping[str, Way] = {
    "archdsl": Way(archdsl, ("onnxruntime",)),
    "torch": Way(torch_eager, ("torch",)),
    "channels_last": Way(channels_last, ("torch",)),
    "compile": Way(compiled, ("torch",)),
    "traced": Way(exported, ("torch", "onnxscript", "onnxruntime")),
    "slimmed": Way(exported, ("torch", "onnxscript", "onnxslim", "onnxruntime")),
    "openvino": Way(openvino, ("openvino",), gpu=False),
}
