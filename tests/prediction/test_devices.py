"""Devices by name, the nodes that each provider ran, and the options of TensorRT; no test needs a GPU.

Tests `runtime/devices.py`, `runtime/placement.py` and `runtime/tensorrt.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.runtime import session
from archdsl.runtime.devices import Place, place_of
from archdsl.runtime.placement import Recording, misplaced, node_events, summary
from archdsl.runtime.session import Tuning, open_session
from archdsl.runtime.tensorrt import cache_options, shape_options
from tests.support.places import CAT

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def test_names_of_devices() -> None:
    assert place_of("cuda") == place_of("cuda:0") == Place("cuda", 0)
    assert place_of("cuda:1").torch == "cuda:1" and place_of("tensorrt:2").torch == "cuda:2"
    assert place_of("cpu").torch == "cpu" and not place_of("cpu").on_gpu
    assert place_of("tensorrt:1").provider == "TensorrtExecutionProvider"


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "cuda:1 ", "cuda:\u0661", "", None, 1])
def test_other_names_are_errors(name: Any) -> None:
    with pytest.raises(ArchError) as caught:
        place_of(name)
    assert caught.value.diagnostics[0].code == "E0001"
    for act in (lambda: archdsl.bench("lenet5", device=name), lambda: archdsl.predict("lenet5", "a.png", device=name)):
        with pytest.raises(ArchError) as caught:
            act()
        assert caught.value.diagnostics[0].code == "E0001"


@pytest.mark.parametrize("name", ["gpu", "GPU", "gpu:0"])
def test_a_gpu_is_named_cuda(name: str) -> None:
    with pytest.raises(ArchError) as caught:
        place_of(name)
    assert caught.value.diagnostics[0].help == "did you mean `cuda`?"


def test_auto_is_not_a_device_of_bench() -> None:
    with pytest.raises(ArchError, match="choose one of: cpu, cuda, cuda:1, tensorrt"):
        archdsl.bench("lenet5", device="auto")


# --- which provider ran a node ---------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    archdsl.loads("input: 3x8x8\nnet: [3x3 conv 4, 2x2 maxpool, gap, fc 2]").to_onnx(path)
    return path


X = {"input": np.ones((1, 3, 8, 8), np.float32)}


def test_the_nodes_of_the_first_run_are_counted(model: Path) -> None:
    options, recording = onnxruntime.SessionOptions(), Recording()
    options.enable_profiling, options.profile_file_prefix = True, recording.prefix
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    inference = onnxruntime.InferenceSession(model, options)
    assert recording.counts == {}
    for _ in range(3):
        inference.run(None, X)
        recording.finish(inference)
    import onnx

    assert recording.counts == {CPU: len(onnx.load(model).graph.node)}
    assert {op for _, op in recording.nodes} == {node.op_type for node in onnx.load(model).graph.node}
    assert not Path(recording.prefix).parent.exists()


class _SaysCuda:
    """An ONNX Runtime that says that CUDA runs the model, but runs it on the CPU."""

    __version__ = "1.99"
    SessionOptions = onnxruntime.SessionOptions

    def __init__(self) -> None:
        self.chosen: list[Any] = []

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", CUDA, CPU]

    def InferenceSession(self, source: object, options: object, providers: list[Any]) -> Any:
        inference = onnxruntime.InferenceSession(source, options, providers=[CPU])
        first = providers[0][0] if isinstance(providers[0], tuple) else providers[0]
        self.chosen.append(providers)
        inference.get_providers = lambda: [first]
        return inference


def test_a_node_on_the_cpu_is_a_warning(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = _SaysCuda()
    monkeypatch.setattr(session, "onnxruntime", lambda: fake)
    opened = open_session(model, "cuda:1")
    assert opened.placement == {} and opened.warnings == () and opened.place == CUDA
    opened.run(X)
    assert opened.placement.keys() == {CPU}
    assert opened.place == f"0 of {opened.placement[CPU]} nodes on {CUDA}"
    (warning,) = opened.warnings
    assert warning.code == "W0885" and "1 Conv" in warning.message and "1 MaxPool" in warning.message
    (name, settings), _ = fake.chosen[0]
    assert (name, settings["device_id"], opened.number) == (CUDA, "1", 1)
    with_cpu = open_session(model, "cpu")
    with_cpu.run(X)
    assert with_cpu.placement == {} and with_cpu.warnings == () and with_cpu.place == CPU


def test_predict_reports_where_nodes_ran(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = _SaysCuda()
    monkeypatch.setattr(session, "onnxruntime", lambda: fake)
    result = CliRunner().invoke(main, ["predict", str(model), str(CAT), "--device", "cuda"])
    assert result.exit_code == 0, result.output
    assert "warning[W0885]: nodes ran on another provider than CUDAExecutionProvider: 1 Conv" in result.stderr
    assert f" nodes on {CUDA}" in result.stderr
    assert [note.code for note in archdsl.predict(model, CAT, device="cuda").notes if note.code == "W0885"]


def test_computations_of_shapes_may_run_on_the_cpu() -> None:
    nodes = {(CUDA, "Conv"): 4, (CPU, "Shape"): 1, (CPU, "Gather"): 2}
    assert misplaced(CUDA, nodes) == ()
    assert summary(CUDA, {CUDA: 4, CPU: 3}) == f"4 of 7 nodes on {CUDA}"
    (warning,) = misplaced(CUDA, {**nodes, (CPU, "FusedConv"): 2})
    assert "2 FusedConv" in warning.message and "Shape" not in warning.message


def test_events_of_a_profile(tmp_path: Path) -> None:
    events = [
        {"cat": "Session", "name": "model_run", "dur": 5},
        {"cat": "Node", "name": "conv_fence_before", "dur": 0, "args": {"op_name": "Conv"}},
        {"cat": "Node", "name": "conv_kernel_time", "dur": 3, "args": {"op_name": "Conv", "provider": CUDA}},
    ]
    (tmp_path / "p.json").write_text(json.dumps(events))
    assert [(name, event["args"]["provider"]) for name, event in node_events(tmp_path / "p.json")] == [("conv", CUDA)]


# --- TensorRT --------------------------------------------------------------------------------------------


def test_an_engine_belongs_to_the_content_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    net = archdsl.loads("name: net\ninput: 3x8x8\nnet: [3x3 conv 4, gap, fc 2]")
    paths = [tmp_path / str(seed) / "net.onnx" for seed in range(2)]
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        net.to_onnx(path, seed=seed)
    first, second = (cache_options(path, "1.31.1") for path in paths)
    assert first["trt_engine_cache_path"] != second["trt_engine_cache_path"], "the same nodes, other weights"
    assert first == cache_options(paths[0].read_bytes(), "1.31.1")
    assert first["trt_engine_cache_path"] != cache_options(paths[0], "1.32.0")["trt_engine_cache_path"]
    assert first["trt_timing_cache_path"] == str(tmp_path / "cache" / "tensorrt")
    assert (tmp_path / "cache" / "tensorrt").is_dir()


def test_no_engine_is_kept_for_weights_in_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    archdsl.load("lenet5").to_onnx(tmp_path / "m.onnx", external_data=True)
    assert "trt_engine_cache_path" not in cache_options(tmp_path / "m.onnx", "1.31.1")
    monkeypatch.setenv("ARCHDSL_CACHE", "relative")
    assert cache_options(tmp_path / "m.onnx", "1.31.1") == {}


def test_the_range_of_free_sizes() -> None:
    inputs = [("x", ("N", 3, "H", "W"))]
    ranges = [((1, 3, 32, 32), (8, 3, 64, 96))]
    assert shape_options(inputs, ranges) == {
        "trt_profile_min_shapes": "x:1x3x32x32",
        "trt_profile_opt_shapes": "x:8x3x64x96",
        "trt_profile_max_shapes": "x:8x3x64x96",
    }
    assert shape_options([("x", (1, 3, 8, 8))], ranges) == {}, "nothing is free"
    assert shape_options([("x", ("N", 3))], ranges) == {} and shape_options(inputs * 2, ranges) == {}


def test_the_options_that_tensorrt_gets(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    fake = _SaysCuda()
    monkeypatch.setattr(session, "onnxruntime", lambda: fake)
    shape = (4, 3, 8, 8)
    open_session(model, "tensorrt:1", Tuning(half=True, ranges=((shape, shape),)))
    (name, options), (second, _), third = fake.chosen[-1]
    assert (name, second, third) == ("TensorrtExecutionProvider", CUDA, CPU)
    assert options["trt_profile_max_shapes"] == "input:4x3x8x8" and options["device_id"] == "1"
    assert options["trt_fp16_enable"] == options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
