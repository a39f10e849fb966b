"""An ONNX Runtime session on the device that was asked for, or an error: never quietly on another."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias, get_args

from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_choice
from archdsl.packages import install_command
from archdsl.runtime.model import not_a_model

Device: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt"]

DEVICES: tuple[Device, ...] = get_args(Device)
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
FATAL_ONLY = 4
"""ONNX Runtime prints its own errors beside raising them; once is enough."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a session runs, beside where. `threads` of the CPU (None: ONNX Runtime's choice, one a core); `search` every
    algorithm of cuDNN for the fastest, which takes seconds at the first run; `replay` the GPU's work as one recorded
    graph where it can (and by `Session.bound` only); `half` lets TensorRT use float16; `profile` is where a profile is
    written to."""

    threads: int | None = None
    search: bool = False
    replay: bool = False
    half: bool = False
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """`provider` is what really runs the model, `version` ONNX Runtime's; `note` says what had to be given up, `said`
    what ONNX Runtime told of a provider that does not start."""

    inference: Any
    provider: str
    version: str
    note: str = ""
    said: str = ""

    @property
    def inputs(self) -> dict[str, tuple[int | str | None, ...]]:
        """Shapes by name, batch first; open sizes are names or None."""
        return {i.name: tuple(i.shape) for i in self.inference.get_inputs()}

    @property
    def input_types(self) -> dict[str, str]:
        return {i.name: i.type for i in self.inference.get_inputs()}

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(o.name for o in self.inference.get_outputs())

    @property
    def on_gpu(self) -> bool:
        return self.provider != PROVIDERS["cpu"]

    def run(self, values: Mapping[str, Any]) -> list[Any]:
        """The outputs, as arrays in their order, for inputs by name. Copies once to the GPU and once back."""
        found: list[Any] = self.inference.run(None, dict(values), _unrecorded())
        return found

    def bound(self, values: Mapping[str, Any]) -> Binding:
        """The model on these inputs, which lie where it runs, as they would between two models."""
        import onnxruntime as ort

        device = "cuda" if self.on_gpu else "cpu"
        binding = self.inference.io_binding()
        for name, value in values.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, device, 0))
        # A recorded graph writes to the places that it was recorded with: outputs need theirs before the first recorded
        # run.
        for name, value in zip(self.outputs, self.run(values), strict=True):
            place = ort.OrtValue.ortvalue_from_shape_and_type(value.shape, value.dtype, device, 0)
            binding.bind_ortvalue_output(name, place)
        return Binding(self.inference, binding)


@dataclass(frozen=True, slots=True)
class Binding:
    """A model with inputs and outputs in fixed places of the memory of the device that runs it."""

    inference: Any
    places: Any

    def run(self) -> None:
        """Runs it once and returns when the work is done; the outputs stay where they are made."""
        self.inference.run_with_iobinding(self.places)
        self.places.synchronize_outputs()

    def outputs(self) -> list[Any]:
        """What comes out of such a run, as arrays in their order."""
        self.run()
        found: list[Any] = self.places.copy_outputs_to_cpu()
        return found


def _unrecorded() -> Any:
    """Options of a run that neither records the GPU's work nor replays a record, which would read and write the places
    of the inputs and outputs that it was made with (onnxruntime_run_options_config_keys.h)."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", "-1")
    return options


def onnxruntime() -> ModuleType:
    """The module. Raises E0802 where it is not installed, or cannot be loaded."""
    try:
        import onnxruntime as ort
    except ImportError as problem:
        missing = isinstance(problem, ModuleNotFoundError) and problem.name == "onnxruntime"
        why = "is not installed" if missing else f"cannot be loaded: {str(problem)[:200]}"
        raise error(
            "E0802",
            f"onnxruntime {why}",
            status=2,
            help=f"{install_command('cpu')}, or for an NVIDIA GPU: {install_command('gpu')}",
        ) from None
    with suppress(AttributeError):
        ort.set_default_logger_severity(FATAL_ONLY)
    return ort  # type: ignore[no-any-return]


def open_session(model: Path | bytes, device: Device = "auto", tuning: Tuning = Tuning()) -> Session:
    """A session for the model. `auto` takes the GPU where one works, else the CPU.

    Raises E0802 (no ONNX Runtime), E0803 (the device asked for is not there or does not start), E0805 (a model that
    cannot be run).
    """
    ort = require(device)
    if device != "auto":
        return _on(ort, model, device, tuning)
    if PROVIDERS["cuda"] in ort.get_available_providers():
        session = _started(ort, model, "cuda", tuning)
        if session.provider == PROVIDERS["cuda"]:
            return session
        why = f" ({session.said})" if session.said else ""
        return replace(
            session, note=f"{PROVIDERS['cuda']} is installed but does not start{why}: `archdsl doctor` tells more"
        )
    return _started(ort, model, "cpu", tuning)


def require(device: Device) -> ModuleType:
    """ONNX Runtime, if it knows the device. Raises E0001, E0802 and E0803 before any model is made or read."""
    check_choice("device", device, DEVICES)
    ort = onnxruntime()
    available: Sequence[str] = ort.get_available_providers()
    if device != "auto" and PROVIDERS[device] not in available:
        there = ", ".join(name for name in available if name != "AzureExecutionProvider")
        raise error(
            "E0803",
            f"the device `{device}` needs {PROVIDERS[device]}; onnxruntime {ort.__version__} has {there}",
            status=2,
            help=f"pip uninstall onnxruntime, then {install_command('gpu')} (one hides the other);\n"
            "`archdsl doctor` reports what works",
        )
    return ort


def _on(ort: ModuleType, model: Path | bytes, device: str, tuning: Tuning) -> Session:
    wanted = PROVIDERS[device]
    session = _started(ort, model, device, tuning)
    if session.provider != wanted:
        raise not_started(
            wanted, session.said, f"ONNX Runtime would have run the model with {session.provider} instead"
        )
    return session


def not_started(provider: str, *notes: str) -> ArchError:
    """E0803 for a provider that is there and does not run."""
    return error(
        "E0803",
        f"{provider} is installed but does not start",
        status=2,
        notes=tuple(filter(None, notes)),
        help="is there a GPU, its driver, and CUDA's libraries? `archdsl doctor` tells more",
    )


def _started(ort: ModuleType, model: Path | bytes, device: str, tuning: Tuning) -> Session:
    try:
        return _start(ort, model, device, tuning)
    except ArchError:
        if not tuning.replay:
            raise
    # A graph with a node on the processor cannot be recorded.
    session = _start(ort, model, device, replace(tuning, replay=False))
    return replace(session, note="its work on the GPU cannot be recorded as one graph")


def _start(ort: ModuleType, model: Path | bytes, device: str, tuning: Tuning) -> Session:
    options = ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    if tuning.threads is not None:
        options.intra_op_num_threads = tuning.threads
        options.inter_op_num_threads = 1
    if tuning.profile:
        options.enable_profiling, options.profile_file_prefix = True, tuning.profile
    source = model if isinstance(model, bytes) else str(model)
    providers = _providers(device, tuning)
    with prints() as printed:
        if device != "cpu":
            load_libraries(ort)
        inference = _guarded(lambda: ort.InferenceSession(source, options, providers=providers), model)
    return Session(inference, inference.get_providers()[0], ort.__version__, said=told(printed.getvalue()))


def prints() -> redirect_stdout[io.StringIO]:
    """Keeps what ONNX Runtime's Python prints away from standard output, where results go."""
    return redirect_stdout(io.StringIO())


def load_libraries(ort: ModuleType) -> None:
    """Loads the CUDA libraries that pip installed; what it does not find it prints, and the provider will not start."""
    with suppress(Exception):
        ort.preload_dlls()


def told(printed: str) -> str:
    """In a line, what such prints say of why a provider does not start."""
    missing = dict.fromkeys(Path(name).name for name in re.findall(r"Failed to load (\S+?):", printed))
    wrong = re.search(r"^EP Error (.+)", printed, re.MULTILINE)
    parts = [f"libraries that cannot be loaded: {', '.join(missing)}"] if missing else []
    if wrong:
        parts.append(wrong[1].rpartition(") ")[2].strip()[:300])
    return "; ".join(parts)


def _providers(device: str, tuning: Tuning) -> list[Any]:
    """ONNX Runtime's providers with their options, the wanted one first
    (onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html, and TensorRT's page beside it)."""
    providers: list[Any] = [PROVIDERS["cpu"]]
    if device != "cpu":
        cuda = {
            "use_tf32": "0",  # TensorFloat-32 rounds to 10 bits: outputs would differ from the CPU's in the third digit
            "cudnn_conv_algo_search": "EXHAUSTIVE" if tuning.search else "HEURISTIC",
            "cudnn_conv_use_max_workspace": "1",
            "enable_cuda_graph": str(int(tuning.replay and device == "cuda")),
        }
        providers.insert(0, (PROVIDERS["cuda"], cuda))
    if device == "tensorrt":
        tensorrt = {
            "trt_fp16_enable": str(int(tuning.half)),
            "trt_cuda_graph_enable": str(int(tuning.replay)),
            "trt_timing_cache_enable": "1",
        }
        providers.insert(0, (PROVIDERS["tensorrt"], tensorrt))
    return providers


def _guarded(make: Callable[[], Any], model: Path | bytes) -> Any:
    try:
        return make()
    except Exception as problem:
        raise refused(problem, model) from None


def refused(problem: Exception, model: Path | bytes) -> ArchError:
    """What ONNX Runtime says of a model that it cannot load or run: E0805."""
    if isinstance(problem, MemoryError):
        raise problem
    path = model if isinstance(model, Path) else Path("model")
    said = " ".join(str(problem).split())
    _, _, rest = said.partition(" : ")
    return not_a_model(path, f"ONNX Runtime refuses it: {(rest or said)[:300]}")
