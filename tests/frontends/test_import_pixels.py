"""Import of ops that move pixels into channels, of the convolution along channels, and of activations.

Tests `frontends/onnx_ops/pixels.py`, `frontends/onnx_ops/curves.py`, `frontends/layout.py` and `frontends/opsets.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

import archdsl
from archdsl.diagnostics import ArchError

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
ort = pytest.importorskip("onnxruntime")


def test_models_of_torch_are_imported() -> None:
    """As the exporter of PyTorch writes them: DepthToSpace, and Reshape, Transpose, Reshape."""

    class Theirs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.eca = timm.layers.eca.EcaModule(16)
            self.conv = torch.nn.Conv2d(16, 12, 3, padding=1)
            self.up, self.down = torch.nn.PixelShuffle(2), torch.nn.PixelUnshuffle(4)

        def forward(self, x: Any) -> Any:
            return self.down(self.up(self.conv(self.eca(x))))

    torch.manual_seed(0)
    theirs = Theirs().eval()
    found = archdsl.import_model(theirs, input=(16, 8, 8))
    ops = [node.op.name for node in found.graph.nodes]
    assert {"channelconv", "pixelshuffle", "pixelunshuffle"} <= set(ops)
    x = torch.randn(2, 16, 8, 8)
    ours = archdsl.loads(found.text).to_torch(dict(found.weights))
    torch.testing.assert_close(ours(x), theirs(x))


def model(path: Path, nodes: list[Any], shape: list[int], constants: dict[str, Any] | None = None) -> Path:
    """A file with these nodes, from `x` to `y`."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    ends[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *shape])
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def check(path: Path, shape: list[int], kinds: list[str]) -> None:
    found = archdsl.import_model(path)
    assert [node.op.name for node in found.graph.nodes[1:]] == kinds
    x = (4 * np.random.default_rng(0).standard_normal((1, *shape))).astype(np.float32)
    (want,) = ort.InferenceSession(path).run(None, {"x": x})
    ours = archdsl.loads(found.text).to_torch(dict(found.weights))(torch.from_numpy(x)).detach().numpy()
    assert ours.shape == want.shape
    assert np.abs(ours - want).max() <= 1e-5


ONE = {
    "clip": (helper.make_node("Clip", ["x", "a", "b"], ["y"]), {"a": np.float32(-0.5), "b": np.float32(2)}),
    "clip above": (helper.make_node("Clip", ["x", "a"], ["y"]), {"a": np.float32(-0.5)}),
    "clip below": (helper.make_node("Clip", ["x", "", "a"], ["y"]), {"a": np.float32(0.25)}),
    "hardsigmoid": (helper.make_node("HardSigmoid", ["x"], ["y"]), {}),
    "hardsigmoid 1/4": (helper.make_node("HardSigmoid", ["x"], ["y"], alpha=0.25, beta=0.75), {}),
    "selu": (helper.make_node("Selu", ["x"], ["y"]), {}),
    "celu": (helper.make_node("Celu", ["x"], ["y"], alpha=0.3), {}),
    "softplus": (helper.make_node("Softplus", ["x"], ["y"]), {}),
    "softsign": (helper.make_node("Softsign", ["x"], ["y"]), {}),
    "mish": (helper.make_node("Mish", ["x"], ["y"]), {}),
    "log_softmax": (helper.make_node("LogSoftmax", ["x"], ["y"], axis=1), {}),
    "pixelshuffle": (helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD"), {}),
}


@pytest.mark.parametrize("name", ONE)
def test_one_node(name: str, tmp_path: Path) -> None:
    node, constants = ONE[name]
    check(model(tmp_path / "a.onnx", [node], [8, 4, 6], constants), [8, 4, 6], [name.split()[0]])


def test_pixels_of_one_channel_have_one_order(tmp_path: Path) -> None:
    for node, shape, kind in (
        (helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2), [4, 3, 5], "pixelshuffle"),
        (helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=2), [1, 6, 4], "pixelunshuffle"),
    ):
        check(model(tmp_path / "a.onnx", [node], shape), shape, [kind])


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        (helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=4), [2, 6, 4]),
        (helper.make_node("LogSoftmax", ["x"], ["y"], axis=2), [2, 6, 4]),
        (helper.make_node("Selu", ["x"], ["y"], alpha=1.0), [2, 6, 4]),
    ],
)
def test_other_orders_axes_and_constants_are_refused(node: Any, shape: list[int], tmp_path: Path) -> None:
    with pytest.raises(ArchError, match="E0842"):
        archdsl.import_model(model(tmp_path / "a.onnx", [node], shape))


def test_a_mish_of_three_nodes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Softplus", ["x"], ["s"]),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Mul", ["x", "t"], ["y"]),
    ]
    check(model(tmp_path / "a.onnx", nodes, [8, 4, 6]), [8, 4, 6], ["mish"])


@pytest.mark.parametrize("sizes", [[4], [4, 6], [2, 4, 6]])
def test_pixels_by_transposes_on_any_axes(sizes: list[int], tmp_path: Path) -> None:
    axes = len(sizes)
    split = [number for size in sizes for number in (size // 2, 2)]
    nodes = [
        helper.make_node("Reshape", ["x", "a"], ["r"]),
        helper.make_node(
            "Transpose", ["r"], ["t"], perm=[0, 1, *range(3, 3 + 2 * axes, 2), *range(2, 2 + 2 * axes, 2)]
        ),
        helper.make_node("Reshape", ["t", "b"], ["y"]),
    ]
    small = [size // 2 for size in sizes]
    constants = {"a": np.array([1, 3, *split]), "b": np.array([1, 3 * 2**axes, *small])}
    check(model(tmp_path / "a.onnx", nodes, [3, *sizes], constants), [3, *sizes], ["pixelunshuffle"])
    order = [axis for n in range(axes) for axis in (2 + axes + n, 2 + n)]
    nodes[1] = helper.make_node("Transpose", ["r"], ["t"], perm=[0, 1, *order])
    channels = 3 * 2**axes
    constants = {"a": np.array([1, 3, *[2] * axes, *sizes]), "b": np.array([1, 3, *(2 * size for size in sizes)])}
    check(model(tmp_path / "b.onnx", nodes, [channels, *sizes], constants), [channels, *sizes], ["pixelshuffle"])


def test_values_that_are_repeated_for_another_op_are_refused(tmp_path: Path) -> None:
    """A product repeats a gate itself; its shape is that of the other factor."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Expand", ["p", "s"], ["e"]),
        helper.make_node("Mul", ["x", "e"], ["y"]),
    ]
    check(model(tmp_path / "a.onnx", nodes, [3, 4, 6], {"s": np.array([1, 3, 4, 6])}), [3, 4, 6], ["gap", "mul"])
    for wrong in (
        [*nodes[:2], helper.make_node("Mul", ["p", "e"], ["y"])],
        [*nodes[:2], helper.make_node("Relu", ["e"], ["y"])],
    ):
        with pytest.raises(ArchError, match="E0842"):
            archdsl.import_model(model(tmp_path / "b.onnx", wrong, [3, 4, 6], {"s": np.array([1, 3, 4, 6])}))
