"""Standardized filters against timm's StdConv2d and ScaledStdConv2d, in every target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archdsl
from archdsl.diagnostics import ArchError

torch = pytest.importorskip("torch")
std_conv = pytest.importorskip("timm.layers.std_conv")
ort = pytest.importorskip("onnxruntime")

FORMS: dict[str, dict[str, Any]] = {
    "": {},
    "nobias": {"bias": False},
    "/2": {"stride": 2},
    "dilation=2": {"dilation": 2},
    "groups=3": {"groups": 3},
    "groups=3 /2 dilation=2 nobias": {"groups": 3, "stride": 2, "dilation": 2, "bias": False},
    "standardize=0.01": {"eps": 0.01},
}


def module(gain: bool, form: str) -> Any:
    arguments: dict[str, Any] = {"bias": True, **FORMS[form]}
    if gain:
        return std_conv.ScaledStdConv2d(6, 9, 3, gamma=1.7, gain_init=0.8, **arguments)
    return std_conv.StdConv2d(6, 9, 3, **arguments)


def network(gain: bool, form: str) -> archdsl.Network:
    words = form if "standardize=" in form else f"standardized {form}"
    return archdsl.loads(f"input: 6x9x8\nnet: {{n: 3x3 conv 9 {words}{' gain=1.7' if gain else ''}}}\n")


@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_equal_to_timm(form: str, gain: bool, tmp_path: Path) -> None:
    """Keys, outputs of the module, of the printed source, and of ONNX files with and without passes."""
    torch.manual_seed(1)
    theirs, spec = module(gain, form).eval(), network(gain, form)
    if gain:
        torch.nn.init.normal_(theirs.gain)
    state = {f"n.{key}": value for key, value in theirs.state_dict().items()}
    ours = spec.to_torch(state)
    assert list(ours.state_dict()) == list(state)
    x = torch.randn(2, 6, 9, 8)
    with torch.no_grad():
        torch.testing.assert_close(ours.double()(x.double()), theirs.double()(x.double()), rtol=1e-12, atol=1e-12)
        want = theirs.float()(x).numpy()
    printed: dict[str, Any] = {}
    exec(spec.to_source(), printed)
    copy = printed["build"]().eval()
    copy.load_state_dict(state, strict=True)
    assert np.abs(copy(x).detach().numpy() - want).max() <= 1e-5
    both: tuple[Any, Any] = (None, [])
    for passes in both:
        path = tmp_path / "n.onnx"
        spec.to_onnx(path, state, passes=passes)
        (got,) = ort.InferenceSession(path).run(None, {"input": x.numpy()})
        assert np.abs(got - want).max() <= 1e-5


def test_its_default_number_is_that_of_timm() -> None:
    op = archdsl.loads("input: 3x9x9\nnet: {n: 3x3 conv 4 standardized}").graph.by_path["n"].op
    assert op.standardize == std_conv.StdConv2d(3, 4, 3).eps == std_conv.ScaledStdConv2d(3, 4, 3).eps  # type: ignore[attr-defined]


@pytest.mark.parametrize("passes", [None, []])
def test_half_precision_rounds_the_standardized_filters(passes: Any, tmp_path: Path) -> None:
    """Raw filters whose spread half precision could not represent beside their mean."""
    spec = archdsl.loads("input: 6x9x8\nnet: {n: 3x3 conv 9 standardized}")
    weights = {key: np.array(value) for key, value in spec.weights(seed=1).items()}
    weights["n.weight"] = weights["n.weight"] * 1e-2 + 100
    spec.to_onnx(tmp_path / "a.onnx", weights, passes=passes, precision="fp16")
    assert archdsl.verify(spec, tmp_path / "a.onnx", weights=weights).passed


def test_a_file_with_passes_is_verified_without_its_weights(tmp_path: Path) -> None:
    spec = archdsl.loads("input: 6x9x8\nnet: {a: 3x3 conv 9 standardized bn relu, b: 1x1 conv 4 standardized gain=2}")
    spec.to_onnx(tmp_path / "a.onnx", seed=1)
    assert archdsl.verify(spec, tmp_path / "a.onnx").passed


def test_a_file_is_not_imported_with_other_filters(tmp_path: Path) -> None:
    """The filters before they were standardized cannot be restored; the nodes of the file can be read."""
    spec = archdsl.loads("input: 6x9x8\nnet: {n: 3x3 conv 9 standardized}")
    both: tuple[Any, Any] = (None, [])
    for passes in both:
        spec.to_onnx(tmp_path / "a.onnx", seed=1, passes=passes)
        with pytest.raises(ArchError) as caught:
            dict(archdsl.import_model(tmp_path / "a.onnx").weights)
        assert caught.value.diagnostics[0].code == "E0845" and "--flat" in caught.value.diagnostics[0].help


@pytest.mark.parametrize(
    ("node", "word"),
    [
        ("3x3 conv 4 gain=1.7", "add the word"),
        ("3x3 conv 4 standardized bias=0.5", "a fixed bias"),
        ("3x3 conv 4 standardized weight=[[1,2,3],[1,2,3],[1,2,3]]", "weight"),
        ("3x3 conv 2 standardized table=[[0],[1]]", "table"),
        ("1x1 dwconv standardized", "single value"),
    ],
)
def test_what_cannot_be_standardized(node: str, word: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: 6x9x8\nnet: {{n: '{node}'}}")
    (problem,) = caught.value.diagnostics
    assert problem.code == "E0404" and word in problem.message + problem.help


@pytest.mark.parametrize("node", ["3x3 conv 4 standardize=0", "3x3 conv 4 standardize=-1"])
def test_the_number_is_above_0(node: str) -> None:
    with pytest.raises(ArchError, match="E0308"):
        archdsl.loads(f"input: 6x9x8\nnet: {{n: {node}}}")


def test_a_default_does_not_reach_fixed_filters() -> None:
    spec = archdsl.loads(
        "input: 3x9x9\ndefaults: {conv: standardized}\n"
        "net: {a: 3x3 conv 4, b: '3x3 conv 2 table=[[0],[1]]', c: '3x3 dwconv weight=[[1,2,1],[2,4,2],[1,2,1]]'}"
    )
    assert [spec.graph.by_path[name].op.standardize is not None for name in "abc"] == [True, False, False]  # type: ignore[attr-defined]
