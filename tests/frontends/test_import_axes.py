"""Import of signals and volumes: files by archdsl, PyTorch modules, and what is refused rather than guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torchvision
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from archdsl import import_model, loads, ops
from archdsl.diagnostics import ArchError
from archdsl.frontends.onnx_model import from_proto, read
from archdsl.frontends.to_spec import to_spec
from archdsl.frontends.torch_module import trace
from tests.support.per_axis import CASES, SIZES, Case


def run(path: Path, x: np.ndarray[Any, Any]) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]


@pytest.mark.parametrize("axes", list(SIZES))
@pytest.mark.parametrize("case", [case for case in CASES if case.imports], ids=lambda case: case.text)
def test_each_op_is_read_node_by_node(case: Case, axes: int, tmp_path: Path) -> None:
    """The spec of the file's nodes gives a file with the same outputs."""
    net = loads(case.spec(axes))
    net.to_onnx(tmp_path / "a.onnx", seed=1, passes=[], free_sizes=False)
    imported = to_spec(read(tmp_path / "a.onnx"), "again", {"input": net.input}, "test")
    again = loads(imported.text)
    again.to_onnx(tmp_path / "b.onnx", dict(imported.weights()), passes=[], free_sizes=False)
    x = np.random.default_rng(0).standard_normal((2, *net.input)).astype(np.float32)
    wanted, got = run(tmp_path / "a.onnx", x), run(tmp_path / "b.onnx", x)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1e-6 * np.abs(wanted).max()


NETS = {
    1: ("12x400", "a: 15 conv 16 /2 bn relu, p: 3 maxpool /2 pad=1, b: {residual: [3 conv 16 bn relu, 3 conv 16 bn]}"),
    3: ("1x12x16x14", "a: 3x3x3 conv 8 /1x2x2 bn relu, p: 1x3x3 maxpool /1x2x2, b: {residual: [3x3x3 conv 8 bn]}"),
}


@pytest.mark.parametrize("axes", list(NETS))
@pytest.mark.parametrize("passes", [None, []], ids=["optimised", "O0"])
def test_files_by_archdsl(axes: int, passes: Any, tmp_path: Path) -> None:
    """The file gives back its spec, its weights and, compiled again, the same bytes."""
    size, text = NETS[axes]
    net = loads(f"name: net\ninput: {size}\nnet: {{{text}, g: gap, fc: fc 5}}\n")
    net.to_onnx(tmp_path / "a.onnx", seed=1, passes=passes)
    imported = import_model(tmp_path / "a.onnx")
    assert imported.carried and imported.network.fingerprint == net.fingerprint
    imported.network.to_onnx(tmp_path / "b.onnx", imported.weights, passes=passes)
    before, after = (onnx.load(tmp_path / f"{name}.onnx").graph for name in "ab")
    assert before == after
    flat = import_model(tmp_path / "a.onnx", flat=True)
    flat.network.to_onnx(tmp_path / "c.onnx", flat.weights)
    x = np.random.default_rng(0).standard_normal((2, *net.input)).astype(np.float32)
    wanted, got = run(tmp_path / "a.onnx", x), run(tmp_path / "c.onnx", x)
    assert np.abs(got - wanted).max() <= 1e-6 * np.abs(wanted).max()


# --- PyTorch's modules ------------------------------------------------------------------------------------------


class Signal(nn.Module):
    """What people write for an ECG."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(12, 16, 15, stride=2, padding=7), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(3, 2, 1)
        )
        self.body = nn.Sequential(nn.Conv1d(16, 16, 3, padding="same", dilation=2), nn.PReLU(16), nn.AvgPool1d(2))
        self.up = nn.Upsample(scale_factor=2)
        self.back = nn.ConvTranspose1d(16, 16, 4, stride=2, padding=1)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.up(self.body(x))
        return self.fc(self.pool(self.back(x)).squeeze(-1))


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(1, 8, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False), nn.BatchNorm3d(8), nn.ELU()
        )
        self.pool = nn.MaxPool3d(2, ceil_mode=True)
        self.norm = nn.InstanceNorm3d(8, affine=True)
        self.body = nn.Conv3d(8, 8, 3, padding=1, groups=4)
        self.back = nn.ConvTranspose3d(8, 8, 2, stride=2)
        self.pad = nn.ConstantPad3d((1, 2, 0, 1, 2, 0), 0.5)
        self.average = nn.AvgPool3d(3, 2, 1)
        self.up = nn.Upsample(scale_factor=2, mode="trilinear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.stem(x))
        x = torch.cat([x, torch.relu(self.body(self.norm(x)))], 1)
        first, second = x.split([8, 8], 1)
        x = self.average(self.pad(self.back(first * torch.sigmoid(second))))
        return self.up(x).mean((2, 3, 4))


def scattered(module: nn.Module) -> nn.Module:
    """The module with other statistics in each batch norm, so that the exporter does not merge equal tensors."""
    for inner in module.modules():
        if isinstance(inner, nn.BatchNorm1d | nn.BatchNorm3d):
            inner.running_mean.normal_(0, 0.1)
            inner.running_var.uniform_(0.5, 2.0)
    return module.eval()


MODULES = {
    "signal": (Signal, (12, 400)),
    "volume": (Volume, (1, 12, 20, 18)),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str, tmp_path: Path) -> None:
    """The spec of a module has its keys and its outputs."""
    make, size = MODULES[name]
    torch.manual_seed(0)
    module = scattered(make())
    model = trace(module, size)
    imported = to_spec(model, name, dict.fromkeys(model.shapes, size), "test")
    weights = dict(imported.weights())
    assert set(weights) == set(module.state_dict())
    loads(imported.text).to_onnx(tmp_path / "a.onnx", weights)
    x = torch.randn(2, *size)
    with torch.no_grad():
        wanted = module(x).numpy()
    assert np.abs(run(tmp_path / "a.onnx", x.numpy()) - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_networks_for_video(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Those of torchvision: the module's own keys, and its outputs up to rounding."""
    if name != "mc3_18" and not request.config.getoption("--all"):
        pytest.skip("one of three by default; --all runs every network")
    module = scattered(torchvision.models.get_model(name, weights=None))
    imported = import_model(module, input=(3, 4, 20, 24))
    assert set(imported.weights) == set(module.state_dict())
    imported.network.to_onnx(tmp_path / "a.onnx", imported.weights)
    x = torch.randn(2, 3, 4, 20, 24)
    with torch.no_grad():
        wanted = module(x).numpy()
    assert np.abs(run(tmp_path / "a.onnx", x.numpy()) - wanted).max() <= 1e-5 * np.abs(wanted).max()


# --- no guess ---------------------------------------------------------------------------------------------------


def constant(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def ints(name: str, *values: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def node(op_type: str, *inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs, [output], **attributes)


TURNED = node("Transpose", "x", output="t", perm=(0, 2, 1))
APART = [node("Reshape", "x", "apart", output="a"), node("Transpose", "a", output="b", perm=(0, 2, 1, 3))]
AMBIGUOUS = {
    "conv-along-channels": ([TURNED, node("Conv", "t", "w")], [constant("w", 4, 8, 3)], "channels last"),
    "pad-of-turned": ([TURNED, node("Pad", "t", "p")], [ints("p", 0, 1, 0, 0, 0, 0)], "channels last"),
    "slopes-along-samples": ([node("PRelu", "x", "s")], [constant("s", 8)], "one value per channel"),
    "factors-along-samples": ([node("Mul", "x", "s")], [constant("s", 1, 8)], "one value per channel"),
    "sum-of-both-orders": ([TURNED, node("Add", "x", "t")], [], "channels last"),
    "concat-of-samples": ([TURNED, node("Concat", "t", "t", axis=1)], [], "concatenate channels"),
    "split-of-samples": ([node("Split", "x", axis=2, num_outputs=1)], [], "split channels"),
    "dilated-average": ([node("AveragePool", "x", kernel_shape=[2], dilations=[2])], [], "dilation"),
    "window-of-an-image": ([node("Conv", "x", "w")], [constant("w", 4, 8, 3, 3)], "its window has 2 axes, its input 1"),
    "strides-of-an-image": ([node("MaxPool", "x", kernel_shape=[2], strides=[1, 1])], [], "`strides` has 2 numbers"),
    "channels-in-one-group-mixed": (
        [*APART, node("Reshape", "b", "together")],
        [ints("apart", 0, 2, 4, 8), ints("together", 0, 16, 4)],
        "no op of a spec moves the numbers",
    ),
}
"""A signal of 8 channels and 8 samples, so that no size gives the wrong axis away."""


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_no_guess(name: str) -> None:
    nodes, constants, why = AMBIGUOUS[name]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], constants))
    with pytest.raises(ArchError) as caught:
        to_spec(from_proto(model), "g", {"x": (8, 8)}, "test")
    assert why in str(caught.value)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("axes", list(SIZES))
def test_padding_of_tensorflow_is_exact(axes: int, stride: int, tmp_path: Path) -> None:
    """`auto_pad` of ONNX, as ONNX Runtime computes it, is `pad: same`."""
    weight = np.random.default_rng(1).standard_normal((4, 6, *[2 + stride] * axes)).astype(np.float32)
    size = SIZES[axes][0]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("input", (1, 6, *size)), ("y", None))
    )
    conv = node("Conv", "input", "w", auto_pad="SAME_UPPER", strides=[stride] * axes)
    graph = helper.make_graph([conv], "g", [x], [y], [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "a.onnx")
    imported = to_spec(from_proto(model), "g", {"input": (6, *size)}, "test")
    loads(imported.text).to_onnx(tmp_path / "b.onnx", dict(imported.weights()), free_sizes=False)
    sample = np.random.default_rng(0).standard_normal((1, 6, *size)).astype(np.float32)
    wanted, got = run(tmp_path / "a.onnx", sample), run(tmp_path / "b.onnx", sample)
    assert got.shape == wanted.shape and np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("added", "reduced", "removed", "legal"),
    [(-2, (-1, -2), -2, True), (2, (2, 3), 2, True), (2, (3,), 2, True), (1, (3,), 1, True), (1, (3,), 2, False)],
)
def test_a_mean_with_an_axis_more(added: int, reduced: tuple[int, ...], removed: int, legal: bool) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    nodes = [
        node("Unsqueeze", "x", "added", output="a"),
        node("ReduceMean", "a", "reduced", output="b"),
        node("Squeeze", "b", "removed"),
    ]
    lists = [ints("added", added), ints("reduced", *reduced), ints("removed", removed)]
    model = from_proto(helper.make_model(helper.make_graph(nodes, "g", [x], [y], lists)))
    if legal:
        assert loads(to_spec(model, "g", {"x": (8, 8)}, "test").text).graph.nodes[-1].op == ops.Gap()
    else:
        with pytest.raises(ArchError, match="removes an axis"):
            to_spec(model, "g", {"x": (8, 8)}, "test")


@pytest.mark.parametrize("axes", [2, 3])
def test_a_squeeze_removes_all_spatial_axes(axes: int) -> None:
    """One of several would leave a signal, which no op of a spec makes of an image."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    for removed, legal in (([-1], False), (list(range(2, axes + 2)), True), (list(range(-axes, 0)), True)):
        graph = helper.make_graph([node("Squeeze", "x", "axes")], "g", [x], [y], [ints("axes", *removed)])
        model = from_proto(helper.make_model(graph))
        if legal:
            assert "flatten" in to_spec(model, "g", {"x": (8, *[1] * axes)}, "test").text
        else:
            with pytest.raises(ArchError, match="no op of a spec moves"):
                to_spec(model, "g", {"x": (8, *[1] * axes)}, "test")
