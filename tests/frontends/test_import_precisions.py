"""Files in other precisions and with external data: imported and compared, or refused with the reason.

Tests `frontends/constants.py`, `frontends/archdsl_files.py` and `frontends/checks.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import archdsl
from archdsl.diagnostics import ArchError

SPEC = "name: small\ninput: 3x16x16\nnet: {c: 3x3 conv 8 bn relu, d: 3x3 conv 8 /2 relu, g: gap, f: fc 4}"


def compiled(path: Path, **options: Any) -> Path:
    archdsl.loads(SPEC).to_onnx(path, **options)
    return path


def outputs(path: Path, x: np.ndarray[Any, Any]) -> Any:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("flat", [False, True], ids=["own", "flat"])
@pytest.mark.parametrize("options", [{"precision": "fp16"}, {"external_data": True}], ids=["fp16", "external"])
def test_files_by_archdsl(options: dict[str, Any], flat: bool, tmp_path: Path) -> None:
    path = compiled(tmp_path / "a.onnx", **options)
    imported = archdsl.import_model(path, flat=flat)
    assert imported.check.sizes and not imported.check.warnings
    x = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    ours = imported.network.to_torch()(torch.from_numpy(x)).detach().numpy()
    assert np.allclose(ours, outputs(path, x), atol=2e-3 if "precision" in options else 1e-6)


def test_bf16_is_not_compared_on_a_cpu(tmp_path: Path) -> None:
    """ONNX Runtime has no kernels for it; the spec and the weights are read."""
    path = compiled(tmp_path / "a.onnx", precision="bf16")
    for flat in (False, True):
        imported = archdsl.import_model(path, flat=flat)
        assert "outputs not compared" in imported.check.warnings[0].message
        assert {array.dtype for array in imported.weights.values() if array.ndim} == {np.dtype(np.float32)}


def test_int8(tmp_path: Path) -> None:
    """The spec comes back without its weights; the quantised nodes are refused."""
    (tmp_path / "samples").mkdir()
    np.save(tmp_path / "samples" / "0.npy", np.random.default_rng(0).standard_normal((3, 16, 16)).astype(np.float32))
    path = compiled(tmp_path / "a.onnx", precision="int8", calibrate=tmp_path / "samples")
    imported = archdsl.import_model(path)
    assert imported.graph.by_path.keys() == archdsl.loads(SPEC).graph.by_path.keys()
    assert imported.check.warnings
    with pytest.raises(ArchError, match=r"E0845(.|\n)*precision fp32"):
        _ = imported.weights
    with pytest.raises(ArchError, match=r"E0842(.|\n)*as it was before its quantisation"):
        archdsl.import_model(path, flat=True)


def test_weights_alone_in_int8(tmp_path: Path) -> None:
    """They are the numbers that the file multiplies them out to, for each channel."""
    draw = np.random.default_rng(0)
    tensors = {
        "c.weight": draw.integers(-127, 127, (200, 3, 3, 3), np.int8),
        "scale": draw.uniform(0.01, 0.02, 200).astype(np.float32),
        "zero": np.zeros(200, np.int8),
    }
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["c.weight", "scale", "zero"], ["w"], axis=0),
            helper.make_node("Conv", ["x", "w"], ["y"], name="c", pads=[1] * 4),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a.onnx")
    imported = archdsl.import_model(tmp_path / "a.onnx")
    expected = tensors["c.weight"] * tensors["scale"][:, None, None, None]
    assert imported.check.sizes and np.array_equal(*imported.weights.values(), expected)
