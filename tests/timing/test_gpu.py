"""What needs a GPU: skipped where ONNX Runtime has no CUDA provider or it does not start. `benchmarks/gpu` measures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import archdsl
from archdsl.runtime.doctor import examine
from archdsl.runtime.session import Tuning, open_session
from tests.support.places import ROOT

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def gpu() -> None:
    found = {provider.name: provider for provider in examine().providers}
    cuda = found.get("CUDAExecutionProvider")
    if cuda is None or not cuda.works:
        pytest.skip(f"needs a GPU: {cuda.detail if cuda else 'onnxruntime has no CUDAExecutionProvider'}")


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "googlenet", "mobilenet_v2"])
def test_the_same_as_on_the_processor(name: str, tmp_path: Path) -> None:
    net = archdsl.load(name)
    net.to_onnx(tmp_path / "m.onnx")
    x = {"input": np.random.default_rng(0).standard_normal((2, *net.input), np.float32)}
    ours, theirs = (open_session(tmp_path / "m.onnx", device).run(x)[0] for device in ("cuda", "cpu"))
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_a_recorded_graph_gives_the_same_again(tmp_path: Path) -> None:
    net = archdsl.load("resnet18")
    net.to_onnx(tmp_path / "m.onnx")
    x = {"input": np.random.default_rng(0).standard_normal((2, *net.input), np.float32)}
    bound = open_session(tmp_path / "m.onnx", "cuda", Tuning(search=True, replay=True)).bound(x)
    expected = open_session(tmp_path / "m.onnx", "cpu").run(x)[0]
    for _ in range(3):
        bound.run()
    (found,) = bound.outputs()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_plain_run_is_not_recorded(tmp_path: Path) -> None:
    """Else it would give the outputs of the inputs that were bound when the record was made."""
    net = archdsl.load("lenet5")
    net.to_onnx(tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    first, second = ({"input": rng.standard_normal((2, *net.input), np.float32)} for _ in range(2))
    session = open_session(tmp_path / "m.onnx", "cuda", Tuning(replay=True))
    bound = session.bound(first)
    bound.run()
    plain = open_session(tmp_path / "m.onnx", "cuda")
    for found, given in ((session.run(second)[0], second), (bound.outputs()[0], first)):
        expected = plain.run(given)[0]
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_every_node_that_computes_runs_on_the_gpu(tmp_path: Path) -> None:
    net = archdsl.load("resnet18")
    net.to_onnx(tmp_path / "m.onnx", free_sizes=True)
    session = open_session(tmp_path / "m.onnx", "cuda:0")
    session.run({"input": np.zeros((1, *net.input), np.float32)})
    assert session.placement["CUDAExecutionProvider"] > 20 and not session.warnings


def test_grad_cam_on_the_gpu() -> None:
    x = np.random.default_rng(0).standard_normal(archdsl.load("resnet18").input, np.float32)
    ours, theirs = (archdsl.attribute("resnet18", x, "gradcam", 3, device=device).map for device in ("cuda:0", "cpu"))
    assert np.abs(ours - theirs).max() <= 1e-3 * np.abs(theirs).max()


def test_the_check_script_runs(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "gpu" / "check.py"
    done = subprocess.run(
        [sys.executable, str(script), "lenet5", "--batch", "1", "--seconds", "0.2"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
