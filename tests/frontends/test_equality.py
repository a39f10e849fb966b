"""An import that computes something else than the model is refused before anything is written.

Tests `frontends/equality.py`, `frontends/checks.py` and `frontends/runs.py`: rules and files are wrong on purpose.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import archdsl
from archdsl import ops
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.frontends import onnx_ops
from archdsl.frontends.runs import TorchRun
from archdsl.frontends.state import ImportRule, ImportState


def cli(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


class Net(nn.Module):
    """Two layers with norms, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv, self.bn2 = nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.stem(x)))
        return self.fc(torch.relu(self.bn2(self.conv(x))).mean((2, 3)))


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return scattered(Net()).eval()


def scattered(module: nn.Module) -> nn.Module:
    """The module with random statistics in its norms."""
    for inner in module.modules():
        if isinstance(inner, nn.BatchNorm2d):
            inner.running_mean.normal_(0, 0.3)
            inner.running_var.uniform_(0.5, 2.0)
    return module


def file_of(module: nn.Module, path: Path, shape: Any = ("n", 3, "h", "w")) -> Path:
    """The module `Net` as a file, written by hand with the names of its tensors."""
    norm = ("weight", "bias", "running_mean", "running_var")

    def node(op_type: str, name: str, inputs: list[str], **fields: Any) -> Any:
        return helper.make_node(op_type, inputs, [name], name=name, **fields)

    nodes = [
        node("Conv", "stem", ["x", "stem.weight", "stem.bias"], pads=[1] * 4),
        node("BatchNormalization", "bn1", ["stem", *(f"bn1.{key}" for key in norm)]),
        node("Relu", "relu1", ["bn1"]),
        node("Conv", "conv", ["relu1", "conv.weight", "conv.bias"], pads=[1] * 4, strides=[2, 2]),
        node("BatchNormalization", "bn2", ["conv", *(f"bn2.{key}" for key in norm)]),
        node("Relu", "relu2", ["bn2"]),
        node("GlobalAveragePool", "pool", ["relu2"]),
        node("Flatten", "flat", ["pool"]),
        helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["y"], name="fc", transB=1),
    ]
    tensors = {key: value.numpy() for key, value in module.state_dict().items() if value.ndim}
    return graph_file(path, *nodes, shape=shape, **tensors)


def graph_file(path: Path, *nodes: Any, shape: Any = (1, 3, 8, 8), opset: int = 17, **constants: Any) -> Path:
    """A file of these nodes, from `x` to `y`."""
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def wrong(monkeypatch: pytest.MonkeyPatch, op_type: str, change: Callable[[Any], Any]) -> None:
    """Let the rule of an op type change each op that it adds."""
    rule: ImportRule = onnx_ops.TABLE[op_type]

    def changed(state: ImportState, node: Any) -> None:
        count = len(state.ops)
        rule(state, node)
        state.ops[count:] = [change(one) for one in state.ops[count:]]

    monkeypatch.setitem(onnx_ops.TABLE, op_type, changed)  # type: ignore[arg-type]


def other_eps(one: Any) -> Any:
    return replace(one, op=one.op.model_copy(update={"eps": 1e-3}))


def no_bias(one: Any) -> Any:
    """The op without its bias; the rule of a Gemm also adds a flatten, which has none."""
    if "bias" not in one.tensors:
        return one
    return replace(one, tensors={**one.tensors, "bias": np.zeros_like(one.tensors["bias"])})


def test_an_equal_spec_is_compared_at_two_sizes(net: nn.Module, tmp_path: Path) -> None:
    for source in (net, file_of(net, tmp_path / "a.onnx")):
        check = archdsl.import_model(source, input=(3, 16, 16)).check
        assert check.sizes == ("3 x 3x16x16", "1 x 3x24x32") and check.difference <= check.tolerance < 1e-4


@pytest.mark.parametrize(
    ("op_type", "change", "first"),
    [
        ("BatchNormalization", other_eps, "bn1"),
        ("Conv", no_bias, "stem"),
        ("Relu", lambda one: replace(one, op=ops.LeakyRelu()), "relu1"),
        ("Gemm", no_bias, "fc"),
    ],
)
def test_a_wrong_rule_is_refused(
    op_type: str, change: Callable[[Any], Any], first: str, tmp_path: Path, net: nn.Module, monkeypatch: Any
) -> None:
    """The first node that differs is named, and nothing is written."""
    path = file_of(net, tmp_path / "a.onnx")
    wrong(monkeypatch, op_type, change)
    done = cli("import", str(path), "--input", "3x16x16", "-o", str(tmp_path / "b.yaml"))
    assert done.exit_code == 1 and "E0848" in done.stderr, done.output
    assert f"first at `{op_type}` `{first}`" in done.stderr
    assert not (tmp_path / "b.yaml").exists()


def test_a_wrong_shape_is_refused_without_a_runtime(tmp_path: Path, net: nn.Module, monkeypatch: Any) -> None:
    path = file_of(net, tmp_path / "a.onnx")
    wrong(monkeypatch, "Conv", lambda one: replace(one, op=one.op.model_copy(update={"stride": (1, 1)})))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = cli("import", str(path), "--input", "3x16x16")
    assert done.exit_code == 1 and "`Conv` `conv`" in done.stderr and "has the shape 16 x 8 x 8" in done.stderr


def test_a_module_that_is_read_wrongly_is_refused(net: nn.Module, monkeypatch: Any) -> None:
    wrong(monkeypatch, "BatchNormalization", other_eps)
    with pytest.raises(ArchError, match="first at `bn1`") as caught:
        archdsl.import_model(net.train(), input=(3, 16, 16))
    assert caught.value.diagnostics[0].code == "E0848" and net.training and net.bn1.training


def test_without_a_runtime_the_spec_is_written_with_a_warning(tmp_path: Path, net: nn.Module, monkeypatch: Any) -> None:
    path = file_of(net, tmp_path / "a.onnx", (1, 3, 16, 16))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = cli("import", str(path), "-o", str(tmp_path / "b.yaml"))
    assert done.exit_code == 0 and "warning[W0849]: outputs not compared: onnxruntime is not" in done.stderr
    assert archdsl.load(tmp_path / "b.yaml").output == (5,)


def test_outputs_that_are_not_finite_are_not_compared(tmp_path: Path) -> None:
    """A softplus of 1e30 is finite; its product with itself is not, at any scale of the input."""
    node = helper.make_node
    path = graph_file(
        tmp_path / "a.onnx",
        node("Conv", ["x", "w", "b"], ["h"]),
        node("Mul", ["h", "h"], ["y"]),
        w=np.ones((2, 3, 1, 1)),
        b=np.full(2, 1e30),
    )
    done = cli("import", str(path))
    assert done.exit_code == 0, done.output
    assert "W0849" in done.stderr and "not finite" in done.stderr


def test_what_the_runtime_rejects_is_not_compared(tmp_path: Path, net: nn.Module) -> None:
    """A file of a version that ONNX Runtime does not know."""
    path = file_of(net, tmp_path / "a.onnx", (1, 3, 16, 16))
    model = onnx.load(path)
    model.ir_version = 99
    onnx.save(model, path)
    done = cli("import", str(path))
    assert done.exit_code == 0 and "W0849" in done.stderr and "IR version: 99" in done.stderr, done.output


def test_a_run_ends_at_the_limit_of_time(tmp_path: Path, net: nn.Module, monkeypatch: Any) -> None:
    monkeypatch.setattr("archdsl.frontends.runs.SECONDS", 0.0)
    done = cli("import", str(file_of(net, tmp_path / "a.onnx", (1, 3, 400, 400))))
    assert done.exit_code == 0 and "W0849" in done.stderr, done.output


class Last(nn.Module):
    """A norm and a layer with their channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.up, self.end = (
            nn.Conv2d(3, 8, 3),
            nn.LayerNorm(8),
            nn.Linear(8, 8),
            nn.Conv2d(8, 2, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.gelu(self.up(self.norm(self.stem(x).permute(0, 2, 3, 1))))
        return self.end(x.permute(0, 3, 1, 2))


@pytest.mark.parametrize("size", [10, 16], ids=["channels as many as pixels", "others"])
@pytest.mark.parametrize(
    ("op_type", "change", "first"), [("LayerNormalization", other_eps, "norm"), ("MatMul", no_bias, "up")]
)
def test_the_first_node_is_found_in_another_layout(
    op_type: str, change: Any, first: str, size: int, tmp_path: Path, monkeypatch: Any
) -> None:
    """The value of a node with its channels last is compared, and is no difference itself."""
    torch.manual_seed(0)
    module = Last().eval()
    with torch.no_grad():
        module.stem.weight.mul_(0.1)  # so that the epsilon counts
    sources: list[Any] = [] if op_type == "MatMul" else [module]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.zeros(1, 3, size, size),), tmp_path / "a.onnx", dynamo=False)
    sources.append(tmp_path / "a.onnx")
    wrong(monkeypatch, op_type, change)
    for source in sources:
        with pytest.raises(ArchError, match=f"E0848.*first at .*{first}"):
            archdsl.import_model(source, input=(3, size, size))


def test_weights_that_are_replaced_while_a_module_runs() -> None:
    """The outputs are those of a module that has them; the module keeps its own. Also of tensors that no layer has."""
    net = archdsl.loads("input: 3x8x8\nnet: {a: 3x3 conv 4 bn relu, s: scale 0.5, g: gap, f: fc 3}")
    one, two = (net.weights(seed=seed) for seed in (0, 1))
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    module = net.to_torch(one)
    expected = [TorchRun(net.to_torch(weights), net.graph).outputs([x])[0] for weights in (two, one)]
    assert np.array_equal(TorchRun(module, net.graph, two).outputs([x])[0], expected[0])
    assert all(np.array_equal(module.state_dict()[key].numpy(), one[key]) for key in one)
    assert not np.array_equal(*expected)


class _Computed(nn.Module):
    """A convolution, and a function of the input and its output."""

    def __init__(self, compute: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.compute = compute

    def forward(self, x: Tensor) -> Any:
        return self.compute(x, self.conv(x))


@pytest.mark.parametrize(
    "compute",
    [
        lambda x, y: F.adaptive_avg_pool2d(y, x.shape[-1] // 2),
        lambda x, y: F.max_pool2d(y, x.shape[-2] // 8 + 1),
        lambda x, y: y[:, :, :20, :20],
        lambda x, y: y.relu() if x.shape[-1] > 18 else y.sigmoid(),
        lambda x, y: F.interpolate(y, size=2 * x.shape[-1]),
        lambda x, y: y.view(len(y), 2, 2, *y.shape[2:]).transpose(1, 2).reshape(len(y), 4, y.shape[3], y.shape[2]),
    ],
    ids=["half", "eighth", "slice", "branch", "square", "sides"],
)
def test_what_depends_on_the_size_is_a_warning(compute: Callable[[Tensor, Tensor], Any]) -> None:
    (warning,) = archdsl.import_model(_Computed(compute), input=(3, 16, 16)).check.warnings
    assert warning.code == "W0849" and "but differ at 1 x 3x24x32: the model fixes a size" in warning.message


def test_the_larger_sizes_are_unequal_for_inputs_of_any_proportion(net: nn.Module) -> None:
    """A half more of 16 is twice 12."""
    assert archdsl.import_model(net, input=(3, 16, 12)).check.sizes == ("3 x 3x16x12", "1 x 3x24x25")


def test_a_model_that_runs_at_one_size_only_is_a_warning() -> None:
    fixed = _Computed(lambda x, y: y.reshape(len(y), 4, 16, 16).relu())
    (warning,) = archdsl.import_model(fixed, input=(3, 16, 16)).check.warnings
    assert "compared at 3 x 3x16x16 only: the model does not run at 1 x 3x24x32: shape '[1, 4" in warning.message


@pytest.mark.parametrize("compute", [lambda x, y: y[:2], lambda x, y: y.relu() if len(x) > 2 else y])
def test_what_depends_on_the_batch_is_refused(compute: Callable[[Tensor, Tensor], Any]) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.import_model(_Computed(compute), input=(3, 16, 16))
    assert caught.value.diagnostics[0].code == "E0848"


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (lambda x, y: (y, x.shape[2]), "one of the outputs is no tensor but 16"),
        (lambda x, y: y + torch.rand(1), "its values are random"),
        (lambda x, y: y + 1e-9 * torch.randn(4, 1, 1), "its values are random"),
    ],
)
def test_what_is_no_function_of_the_input_is_refused(compute: Callable[[Tensor, Tensor], Any], reason: str) -> None:
    with pytest.raises(ArchError, match=reason) as caught:
        archdsl.import_model(_Computed(compute), input=(3, 16, 16))
    assert caught.value.diagnostics[0].code == "E0842"


def test_a_window_of_a_response_norm_with_an_even_size_is_refused_in_a_file(tmp_path: Path) -> None:
    """ONNX: c - floor((size - 1) / 2) to c + ceil((size - 1) / 2); PyTorch's and a spec's begin one channel earlier."""
    node = helper.make_node("LRN", ["x"], ["y"], size=4, alpha=0.1, bias=2.0)
    done = cli("import", str(graph_file(tmp_path / "a.onnx", node)))
    assert done.exit_code == 1 and "E0842" in done.stderr and "window of an even size" in done.stderr, done.output
    module = archdsl.import_model(nn.LocalResponseNorm(4, alpha=0.1), input=(8, 6, 6))
    assert "lrn 4" in module.text and len(module.check.sizes) == 2


def test_the_summary_says_what_a_spec_cannot() -> None:
    factor = torch.arange(1.0, 5).reshape(4, 1, 1)
    made = archdsl.import_model(_Computed(lambda x, y: y * factor), input=(3, 16, 16)).summary
    assert made.made == ("scale_1",) and "the tensor `scale_1` is trained in the spec only" in made.text()
    norm = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=None))
    said = archdsl.import_model(norm, input=(3, 8, 8)).summary.text()
    assert "the module `1` averages over all batches (momentum=None)" in said
    drops = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout2d(0.5), nn.Dropout(0.1), nn.AlphaDropout(0))
    lost = archdsl.import_model(drops, input=(3, 8, 8)).lost
    assert lost == ("the module `1` acts in training only and is left out",)


def test_the_summary_names_modules_that_drop_and_not_the_heads_around_them() -> None:
    """Torchvision's ConvNeXt and EfficientNet drop whole samples; a head with `nn.Dropout` is in the spec."""
    depth = pytest.importorskip("torchvision.ops").StochasticDepth(0.2, "row")
    head = type("DropoutHead", (nn.Sequential,), {})(nn.Dropout(0.3), nn.Conv2d(4, 2, 1))
    found = archdsl.import_model(nn.Sequential(nn.Conv2d(3, 4, 1), depth, head), input=(3, 8, 8))
    assert found.lost == ("the module `1` acts in training only and is left out",)
    assert "dropout 0.3" in found.text
