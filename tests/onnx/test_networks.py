"""Whole networks of the library: the ONNX file against torchvision's own model with the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import archdsl
from archdsl.backends.onnx.write import write
from archdsl.backends.weights import Weights, fit, initial, load, save
from tests.support.of_the_library import NETWORKS as LIBRARY

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")
ort = pytest.importorskip("onnxruntime")

NETWORKS = [
    ("alexnet", {}, 224),
    ("resnet50", {}, 200),
    ("googlenet", {"init_weights": False}, 192),
    ("densenet121", {}, 160),
    pytest.param("vgg16", {"init_weights": False}, 224, marks=pytest.mark.slow),
]


def lively(graph: Any) -> dict[str, np.ndarray]:
    """Random weights whose statistics are not the neutral ones, so that a swapped mean and bias would show."""
    weights = initial(graph, 1)
    out = {}
    for key, param, _ in graph.tensors:
        out[key] = weights[key]
        if param.shape and len(param.shape) == 1:
            low, high = (0.6, 1.4) if param.name in ("running_var", "weight") else (-0.2, 0.2)
            out[key] = np.random.default_rng(len(key)).uniform(low, high, param.shape).astype(np.float32)
    return out


@pytest.mark.parametrize(("name", "options", "size"), NETWORKS)
def test_the_file_is_the_network(name: str, options: dict[str, Any], size: int, tmp_path: Path) -> None:
    graph = archdsl.load(name).graph
    numbers = lively(graph)
    model = getattr(models, name)(**options).eval()
    model.load_state_dict({key: torch.from_numpy(value) for key, value in numbers.items()})
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    weights = fit(load(tmp_path / "weights.pth"), graph)
    written = write(graph, weights, tmp_path / "a.onnx")
    onnx.checker.check_model(written.path, full_check=True)
    run = ort.InferenceSession(str(written.path), providers=["CPUExecutionProvider"])
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, size, size)).astype(np.float32))
    (got,) = run.run(None, {run.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        want = model.double()(x.double()).numpy()
    assert np.abs(got - want).max() / np.abs(want).max() <= 1e-5
    found = {item.name for item in onnx.load(written.path).graph.initializer}
    kept = {t.key for t in graph.tensors if t.param.name != "num_batches_tracked" and not t.node.training}
    assert found == kept


def test_every_way_gives_one_file(tmp_path: Path) -> None:
    """Random, saved and read back, or taken from torch's own file: the same bytes but for where they are from."""
    graph = archdsl.load("lenet5").graph
    weights = initial(graph, 3)
    save(weights, tmp_path / "a.safetensors")
    again = Weights(load(tmp_path / "a.safetensors").entries, weights.source)
    first, second = write(graph, weights, tmp_path / "a.onnx"), write(graph, fit(again, graph), tmp_path / "b.onnx")
    assert first.sha256 == second.sha256


@pytest.mark.parametrize("name", LIBRARY)
def test_every_network_becomes_a_file(name: str, tmp_path: Path) -> None:
    """Each structure passes the checker; the largest files are left out."""
    from archdsl.backends.onnx.plan import plan

    graph = archdsl.load(name).graph
    if plan(graph).nbytes > 150_000_000:
        pytest.skip("its structure is that of smaller ones")
    written = write(graph, initial(graph), tmp_path / "a.onnx")
    onnx.checker.check_model(written.path, full_check=True)
