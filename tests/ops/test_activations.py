"""Activations on small, large and extreme values, in both float types: torch in float64 is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archdsl
from archdsl.diagnostics import ArchError

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")
F = torch.nn.functional

ACTS: dict[str, Callable[[Any], Any]] = {
    "mish": F.mish,
    "selu": F.selu,
    "celu": F.celu,
    "celu 0.01": lambda x: F.celu(x, 0.01),
    "celu 50": lambda x: F.celu(x, 50.0),
    "softplus": F.softplus,
    "softplus beta=3": lambda x: F.softplus(x, 3.0),
    "softplus beta=0.1 threshold=2": lambda x: F.softplus(x, 0.1, 2.0),
    "softsign": F.softsign,
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "clip": F.hardtanh,
    "clip -2 0.1": lambda x: F.hardtanh(x, -2.0, 0.1),
    "hardsigmoid": F.hardsigmoid,
    "hardsigmoid alpha=0.2": lambda x: (0.2 * x + 0.5).clamp(0, 1),
    "hardswish": F.hardswish,
    "elu": F.elu,
    "silu": F.silu,
    "gelu": F.gelu,
}
EXTREME = [0.0, 1e-30, 1e-7, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.0, 5.9, 10.0, 19.9, 20.1, 50.0, 88.0, 100.0, 1e3, 6e4]
BEYOND_HALF = [1e5, 1e10, 1e20]


def values(half: bool) -> np.ndarray:
    numbers = np.array([*EXTREME, *([] if half else BEYOND_HALF)])
    return np.concatenate([numbers, -numbers]).astype(np.float32)[None]


def close(got: Any, want: Any, unit: float, least: float = 1.0) -> bool:
    return bool((np.abs(got - want) <= 8 * unit * (least + np.abs(want))).all())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("node", ACTS)
def test_values_from_small_to_extreme(node: str, precision: Any, tmp_path: Path) -> None:
    half = precision == "fp16"
    x = values(half)
    x = x.astype(np.float16).astype(np.float32) if half else x
    spec = archdsl.loads(f"input: [{x.shape[1]}]\nnet: {{n: {node}}}\n")
    want = ACTS[node](torch.from_numpy(x).double()).numpy()
    module = spec.to_torch()(torch.from_numpy(x)).numpy()
    assert close(
        module, want, 2.0**-22 if node == "gelu" else 2.0**-24
    )  # PyTorch's own erf is off by 1e-6 on some CPUs
    spec.to_onnx(tmp_path / "n.onnx", precision=precision)
    (got,) = ort.InferenceSession(tmp_path / "n.onnx").run(None, {"input": x})
    assert np.isfinite(got).all() and close(
        got, want, 2.0**-11 if half else 2.0**-23, 50.0 if node == "celu 50" else 1.0
    )


@pytest.mark.parametrize("node", ACTS)
def test_the_printed_function_and_module_are_the_same(node: str) -> None:
    """Behind another op the source calls a function; alone it has a module."""
    x = torch.from_numpy(values(False))[:, :, None].repeat(1, 1, 4) / 7
    for text in (f"n: {node}", "a: identity", f"a: {{op: affine, add: 0.0, act: {node}}}"):
        if "act" in text and " " in node:
            continue
        spec = archdsl.loads(f"input: {x.shape[1]}x4\nnet: {{{text}}}\n")
        printed: dict[str, Any] = {}
        exec(spec.to_source(), printed)
        torch.testing.assert_close(printed["build"]().eval()(x), spec.to_torch()(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("node", "code"),
    [
        ("clip 1 1", "E0430"),
        ("clip 2", "E0430"),
        ("clip high=-3", "E0430"),
        ("celu 0", "E0308"),
        ("celu -1", "E0308"),
        ("softplus beta=0", "E0308"),
        ("softplus threshold=100", "E0308"),
    ],
)
def test_wrong_numbers(node: str, code: str) -> None:
    with pytest.raises(ArchError, match=code):
        archdsl.loads(f"input: 8\nnet: {{n: {node}}}\n")


def test_the_word_shared_of_a_prelu() -> None:
    spec = archdsl.loads("input: 8x4x4\nnet: {a: prelu shared, b: prelu}\n")
    assert [param.shape for node in spec.graph.nodes for param in node.params] == [(1,), (8,)]


def test_only_the_gate_of_a_hardswish_becomes_one() -> None:
    text = "input: 8x4x4\nnet: {{a: {{branches: [identity, {}], merge: mul}}}}\n"
    for gate, left in (("hardsigmoid", ["hardswish"]), ("hardsigmoid alpha=0.2", ["hardsigmoid", "mul"])):
        graph = archdsl.loads(text.format(gate)).optimised()
        assert [node.op.name for node in graph.nodes[1:]] == left
