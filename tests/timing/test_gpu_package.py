"""onnxruntime-gpu on a machine without a GPU: everything that can run, runs; everything else says why it does not.

The environment of its own is that of ARCHDSL_GPU_PYTHON, or a new one: some 500 MB, so the tests are slow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import CAT, ROOT

pytestmark = pytest.mark.slow

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with archdsl's own requirements and onnxruntime-gpu."""
    ready = os.environ.get("ARCHDSL_GPU_PYTHON")
    if ready:
        return ready
    folder = tmp_path_factory.mktemp("gpu")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    path = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # Without the extras cuda and cudnn, which have 3 GB: no device needs them here.
    wanted = [
        *project["dependencies"],
        *(one.replace("[cuda,cudnn]", "") for one in project["optional-dependencies"]["gpu"]),
    ]
    done = subprocess.run([path, "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True, timeout=900)
    if done.returncode:
        pytest.skip(f"onnxruntime-gpu cannot be installed: {done.stderr[-300:]}")
    return str(path)


@pytest.fixture
def run(python: str, tmp_path: Path) -> Run:
    """Runs archdsl in that environment; a device must not be there."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "",
        "ARCHDSL_CACHE": str(tmp_path / "c"),
    }

    def act(*args: object) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "archdsl", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)

    return act


def test_the_doctor_says_what_is_missing(run: Run) -> None:
    report = json.loads(run("doctor", "--format", "json").stdout)
    assert [name.split()[0] for name in report["runtimes"]] == ["onnxruntime-gpu"]
    assert int(report["cuda"]["onnxruntime"].split(".")[0]) >= 11
    providers = {one["name"]: one for one in report["providers"]}
    assert providers["CPUExecutionProvider"]["works"]
    for name in ("CUDAExecutionProvider", "TensorrtExecutionProvider"):
        assert not providers[name]["works"] and providers[name]["detail"]
        assert any(name in line for line in report["advice"])


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_that_does_not_start_is_an_error(device: str, run: Run) -> None:
    done = run("predict", "lenet5", CAT, "--device", device)
    assert done.returncode == 2 and "error[E0803]" in done.stderr and "does not start" in done.stderr
    assert not done.stdout
    done = run("bench", "lenet5", "--device", f"{device}:1", "--seconds", "0.1")
    assert done.returncode == 2 and "error[E0803]" in done.stderr and not done.stdout


def test_without_a_device_the_cpu_runs_it_and_a_note_says_so(run: Run, tmp_path: Path) -> None:
    done = run("predict", "lenet5", CAT, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "note[N0803]" in done.stderr and "archdsl doctor" in done.stderr
    assert json.loads(done.stdout)["provider"] == "CPUExecutionProvider"
    assert run("bench", "lenet5", "--seconds", "0.1", "--format", "json").returncode == 0
    assert run("compile", "resnet18", "--cam", "-o", tmp_path / "m.onnx").returncode == 0


def test_the_check_script_measures_nothing_without_a_gpu(run: Run, python: str) -> None:
    script = ROOT / "benchmarks" / "gpu" / "check.py"
    done = subprocess.run([python, str(script), "lenet5"], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and not done.stdout
