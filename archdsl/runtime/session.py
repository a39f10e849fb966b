"""Open ONNX Runtime sessions on the requested device; raise an error instead of silently using another one."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.packages import install_command
from archdsl.runtime.devices import PROVIDERS as PROVIDERS
from archdsl.runtime.devices import Device as Device
from archdsl.runtime.devices import Place, place_of
from archdsl.runtime.model import not_a_model
from archdsl.runtime.placement import Recording, misplaced, summary
from archdsl.runtime.tensorrt import Range, cache_options, shape_options

FATAL_ONLY = 4
"""ONNX Runtime logs the errors that it also raises; this level silences the log."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Options of a session.

    `threads` is the number of CPU threads (None: one per core, ONNX Runtime's default). `search` tries all algorithms
    of cuDNN, which takes seconds at the first run. `replay` records the GPU's work as a CUDA graph if possible, for
    `Session.bound` only. `half` lets TensorRT use float16. `profile` is the path prefix of a profile to write.
    `data_folder` has the external data of a model that is given as bytes. `ranges` are the smallest and the largest
    shape of each input that will run, batch first, in order; TensorRT builds one engine for them.
    """

    threads: int | None = None
    search: bool = False
    replay: bool = False
    half: bool = False
    profile: str = ""
    data_folder: str = ""
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A model loaded in ONNX Runtime.

    `provider` is the one that runs the model, `version` that of ONNX Runtime. `note` reports an option that could not
    be used, `failure` ONNX Runtime's reason for a provider that did not start. `number` is that of the GPU; `recording`
    counts the nodes of the first run on a GPU by provider.
    """

    inference: Any
    provider: str
    version: str
    note: str = ""
    failure: str = ""
    number: int = 0
    recording: Recording | None = None

    @property
    def placement(self) -> dict[str, int]:
        """The number of nodes by provider in the first run on a GPU; empty before it, and on the CPU."""
        return self.recording.counts if self.recording is not None else {}

    @property
    def place(self) -> str:
        """The provider, on a GPU after the first run with the number of its nodes."""
        return summary(self.provider, self.placement)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """W0885 if nodes of the first run on a GPU ran elsewhere."""
        return misplaced(self.provider, self.recording.nodes) if self.recording is not None else ()

    @property
    def inputs(self) -> dict[str, tuple[int | str | None, ...]]:
        """Shapes by name, batch first; free sizes are names or None."""
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
        """Return the outputs in order, as arrays, for inputs by name. Copies inputs to the GPU and outputs back."""
        outputs: list[Any] = self.inference.run(None, dict(values), _unrecorded())
        if self.recording is not None:
            self.recording.finish(self.inference)
        return outputs

    def bound(self, values: Mapping[str, Any]) -> Binding:
        """Return the model bound to these inputs, in the memory of the device that runs it."""
        import onnxruntime as ort

        device = "cuda" if self.on_gpu else "cpu"
        binding = self.inference.io_binding()
        for name, value in values.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, device, self.number))
        # A recorded graph writes to the buffers of its recording: bind the outputs before the first recorded run.
        for name, value in zip(self.outputs, self.run(values), strict=True):
            buffer = ort.OrtValue.ortvalue_from_shape_and_type(value.shape, value.dtype, device, self.number)
            binding.bind_ortvalue_output(name, buffer)
        return Binding(self.inference, binding)


@dataclass(frozen=True, slots=True)
class Binding:
    """A model with its inputs and outputs in fixed buffers on the device that runs it."""

    inference: Any
    buffers: Any

    def run(self) -> None:
        """Run the model once and wait until it is done; the outputs stay on the device."""
        self.inference.run_with_iobinding(self.buffers)
        self.buffers.synchronize_outputs()

    def outputs(self) -> list[Any]:
        """Run the model once and return its outputs in order, as arrays."""
        self.run()
        outputs: list[Any] = self.buffers.copy_outputs_to_cpu()
        return outputs


def _unrecorded() -> Any:
    """Options of a run that neither records nor replays a CUDA graph, which would use the buffers of its recording
    (onnxruntime_run_options_config_keys.h)."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", "-1")
    return options


def onnxruntime() -> ModuleType:
    """Import and return the module onnxruntime. Raises E0802 if it is not installed or cannot be loaded."""
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
    """Open a session for the model. `auto` is the GPU if one works, else the CPU.

    Raises E0802 if ONNX Runtime is missing, E0803 if the device is missing or does not start, E0805 if the model cannot
    be loaded.
    """
    ort, place = require(device), place_of(device)
    if place.kind != "auto":
        return _on(ort, model, place, tuning)
    if PROVIDERS["cuda"] in ort.get_available_providers():
        session = _started(ort, model, Place("cuda"), tuning)
        if session.provider == PROVIDERS["cuda"]:
            return session
        why = f" ({session.failure})" if session.failure else ""
        return replace(
            session, note=f"{PROVIDERS['cuda']} is installed but does not start{why}; run `archdsl doctor` for details"
        )
    return _started(ort, model, Place("cpu"), tuning)


def require(device: Device) -> ModuleType:
    """Return the module onnxruntime if it supports the device. Raises E0001, E0802 or E0803."""
    place = place_of(device)
    ort = onnxruntime()
    available: Sequence[str] = ort.get_available_providers()
    if place.kind != "auto" and place.provider not in available:
        names = ", ".join(name for name in available if name != "AzureExecutionProvider")
        raise error(
            "E0803",
            f"the device `{device}` needs {place.provider}; onnxruntime {ort.__version__} has {names}",
            status=2,
            help=f"pip uninstall onnxruntime, then {install_command('gpu')} (one hides the other);\n"
            "`archdsl doctor` reports what works",
        )
    return ort


def _on(ort: ModuleType, model: Path | bytes, place: Place, tuning: Tuning) -> Session:
    wanted = place.provider
    session = _started(ort, model, place, tuning)
    if session.provider != wanted:
        raise not_started(
            wanted, session.failure, f"ONNX Runtime would have run the model on {session.provider} instead"
        )
    return session


def not_started(provider: str, *notes: str) -> ArchError:
    """E0803 for a provider that is installed but does not start."""
    return error(
        "E0803",
        f"{provider} is installed but does not start",
        status=2,
        notes=tuple(filter(None, notes)),
        help="check the GPU, its driver and the CUDA libraries; run `archdsl doctor` for details",
    )


def _started(ort: ModuleType, model: Path | bytes, place: Place, tuning: Tuning) -> Session:
    try:
        return _start(ort, model, place, tuning)
    except ArchError:
        if not tuning.replay:
            raise
    # A model with a node on the CPU cannot be recorded.
    session = _start(ort, model, place, replace(tuning, replay=False))
    return replace(session, note="its work on the GPU cannot be recorded as a CUDA graph")


def _start(ort: ModuleType, model: Path | bytes, place: Place, tuning: Tuning) -> Session:
    options = ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    recording = Recording() if place.on_gpu else None
    if tuning.threads is not None:
        options.intra_op_num_threads = tuning.threads
        options.inter_op_num_threads = 1
    profile = recording.prefix if recording is not None else tuning.profile
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    if tuning.data_folder:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", tuning.data_folder)
    source = model if isinstance(model, bytes) else str(model)
    providers = _providers(place, tuning, _tensorrt(ort, model, tuning) if place.kind == "tensorrt" else {})
    with capture_stdout() as printed:
        if place.on_gpu:
            load_libraries(ort)
        try:
            inference = ort.InferenceSession(source, options, providers=providers)
        except Exception as problem:
            raise refused(problem, model) from None
    failure, provider = start_failure(printed.getvalue()), inference.get_providers()[0]
    if recording is not None and provider != place.provider:
        inference.end_profiling()  # no GPU runs it
        recording = None
    return Session(inference, provider, ort.__version__, failure=failure, number=place.number, recording=recording)


def capture_stdout() -> redirect_stdout[io.StringIO]:
    """Capture what ONNX Runtime's Python code prints; standard output is for results."""
    return redirect_stdout(io.StringIO())


def load_libraries(ort: ModuleType) -> None:
    """Load the CUDA libraries that pip installed; ONNX Runtime prints those that are missing."""
    with suppress(Exception):
        ort.preload_dlls()


def start_failure(printed: str) -> str:
    """Return in one line the reason in ONNX Runtime's output why a provider did not start; empty if there is none."""
    missing = dict.fromkeys(Path(name).name for name in re.findall(r"Failed to load (\S+?):", printed))
    problem = re.search(r"^EP Error (.+)", printed, re.MULTILINE)
    parts = [f"cannot load libraries: {', '.join(missing)}"] if missing else []
    if problem:
        parts.append(problem[1].rpartition(") ")[2].strip()[:300])
    return "; ".join(parts)


def _providers(place: Place, tuning: Tuning, tensorrt: dict[str, str]) -> list[Any]:
    """ONNX Runtime's providers with their options, the requested one first; `tensorrt` are those of TensorRT
    (onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html)."""
    providers: list[Any] = [PROVIDERS["cpu"]]
    number = {"device_id": str(place.number)}
    if place.on_gpu:
        cuda = {
            **number,
            "use_tf32": "0",  # TensorFloat-32 has 10 bits: outputs would differ from the CPU's in the third digit
            "cudnn_conv_algo_search": "EXHAUSTIVE" if tuning.search else "HEURISTIC",
            "cudnn_conv_use_max_workspace": "1",
            "enable_cuda_graph": str(int(tuning.replay and place.kind == "cuda")),
        }
        providers.insert(0, (PROVIDERS["cuda"], cuda))
    if place.kind == "tensorrt":
        providers.insert(0, (PROVIDERS["tensorrt"], {**number, **tensorrt}))
    return providers


def _tensorrt(ort: ModuleType, model: Path | bytes, tuning: Tuning) -> dict[str, str]:
    """The options of TensorRT for a model. The CPU opens it to read the shapes of its inputs."""
    options = {
        "trt_fp16_enable": str(int(tuning.half)),
        "trt_cuda_graph_enable": str(int(tuning.replay)),
        **cache_options(model, ort.__version__),
    }
    if tuning.ranges:
        plain = _start(ort, model, Place("cpu"), Tuning(data_folder=tuning.data_folder))
        options |= shape_options(list(plain.inputs.items()), tuning.ranges)
    return options


def refused(problem: Exception, model: Path | bytes) -> ArchError:
    """Return E0805 with ONNX Runtime's reason for a model that it cannot load or run."""
    if isinstance(problem, MemoryError):
        raise problem
    path = model if isinstance(model, Path) else Path("model")
    reason = " ".join(str(problem).split())
    _, _, rest = reason.partition(" : ")
    return not_a_model(path, f"ONNX Runtime rejects it: {(rest or reason)[:300]}")
