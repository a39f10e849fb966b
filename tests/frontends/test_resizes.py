"""Import of resizes by factors and to the sizes of another value, in all modes that the language has.

Tests `frontends/onnx_ops/resizes.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.frontends.onnx_model import from_proto
from archdsl.frontends.to_spec import to_spec
from archdsl.frontends.torch_module import trace

SHAPES = {"x": (1, 2, 9, 6), "y": (1, 3, 13, 4)}


def model(sizes: str, opset: int = 19, **attributes: Any) -> onnx.ModelProto:
    """One Resize of `x`, to the shape of `y`, or by scales, or to a list of sizes."""
    constants, nodes, inputs = {}, [], ["x", "", "", ""]
    if sizes == "like":
        constants["front"] = np.array([1, 2])
        nodes.append(helper.make_node("Shape", ["y"], ["whole"]))
        constants |= {"starts": np.array([2]), "ends": np.array([4])}
        nodes.append(helper.make_node("Slice", ["whole", "starts", "ends"], ["sizes"]))
        nodes.append(helper.make_node("Concat", ["front", "sizes"], ["target"], axis=0))
        inputs[3] = "target"
    elif "/" in sizes:
        constants["scales"] = np.array([1, 1, *(eval(scale) for scale in sizes.split("|"))], np.float32)
        inputs = ["x", "", "scales"]
    else:
        constants["target"] = np.array([int(size) for size in sizes.split("x")])
        inputs[3] = "target"
    nodes.append(helper.make_node("Resize", inputs, ["out"], "n", **attributes))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in SHAPES.items()]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", values, [out], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def imported(proto: onnx.ModelProto) -> str:
    return to_spec(from_proto(proto), "net", {name: shape[1:] for name, shape in SHAPES.items()}, "test").text


LINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
CORNERS = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


@pytest.mark.parametrize(
    ("sizes", "attributes", "node"),
    [
        ("like", LINEAR, "upsample like=y linear <- x"),
        ("like", CORNERS, "upsample like=y linear align_corners <- x"),
        ("like", {**LINEAR, "mode": "cubic"}, "upsample like=y cubic <- x"),
        ("like", {**CORNERS, "mode": "cubic"}, "upsample like=y cubic align_corners <- x"),
        ("like", {**LINEAR, "coordinate_transformation_mode": "pytorch_half_pixel"}, "upsample like=y linear <- x"),
        ("like", NEAREST, "upsample like=y <- x"),
        ("1x2x13x4", LINEAR, "upsample like=y linear <- x"),
        ("13/9|4/6", LINEAR, "upsample like=y linear <- x"),
        ("2/1|3/1", CORNERS, "upsample [2,3] linear align_corners <- x"),
        ("2/1|3/1", {"mode": "cubic"}, "upsample [2,3] cubic <- x"),
        ("2/1|3/1", {}, "upsample [2,3] <- x"),
        ("1x2x27x6", NEAREST, "upsample [3,1] <- x"),
    ],
)
def test_a_resize(sizes: str, attributes: dict[str, Any], node: str, tmp_path: Path) -> None:
    proto = model(sizes, **attributes)
    text = imported(proto)
    assert node in text, text
    archdsl.loads(text).to_onnx(tmp_path / "a.onnx")
    draw = np.random.default_rng(0)
    feeds = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    before, after = (
        ort.InferenceSession(p).run(None, feeds)[0] for p in (proto.SerializeToString(), tmp_path / "a.onnx")
    )
    assert np.abs(before - after).max() <= 1e-5


@pytest.mark.parametrize(
    ("sizes", "attributes"),
    [
        ("1x2x20x20", LINEAR),  # no value has this size
        ("1.3/1|1/1", LINEAR),  # 11.7 pixels
        ("1x3x13x4", LINEAR),
        ("like", {**LINEAR, "coordinate_transformation_mode": "asymmetric"}),
        ("like", {**LINEAR, "antialias": 1}),
        ("like", {**LINEAR, "mode": "cubic", "cubic_coeff_a": -0.5}),
        ("like", {**LINEAR, "mode": "cubic", "exclude_outside": 1}),
        ("like", {**NEAREST, "nearest_mode": "ceil"}),
        ("like", {"mode": "nearest"}),
    ],
)
def test_a_resize_without_an_equivalent_is_refused(sizes: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(ArchError) as caught:
        imported(model(sizes, **attributes))
    assert caught.value.diagnostics[0].code == "E0842"


def sizes_of(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape[1:])


class Net(nn.Module):
    """An FPN's step: a map resized to another one."""

    def __init__(self, sizes: Sequence[int], **options: Any) -> None:
        super().__init__()
        make = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(sizes)]
        self.a, self.b, self.options = make(1, 2, 3, padding=1), make(2, 2, 3, stride=2), options

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(a)
        return a + F.interpolate(b, size=a.shape[2:], **self.options)


@pytest.mark.parametrize(
    ("sizes", "options", "words"),
    [
        ((31,), {"mode": "linear"}, "linear"),
        ((18, 15), {"mode": "nearest"}, ""),
        ((18, 15), {"mode": "bilinear", "align_corners": True}, "linear align_corners"),
        ((18, 15), {"mode": "bicubic"}, "cubic"),
        ((9, 8, 7), {"mode": "trilinear"}, "linear"),
    ],
)
def test_a_module_of_pytorch(sizes: tuple[int, ...], options: dict[str, Any], words: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Net(sizes, **options).eval()
    x = torch.randn(1, 1, *sizes)
    traced = trace(module, sizes_of(x))
    spec = to_spec(traced, "net", {next(iter(traced.shapes)): sizes_of(x)}, "test")
    assert f"upsample like=a {words}".strip() in spec.text, spec.text
    archdsl.loads(spec.text).to_onnx(tmp_path / "a.onnx", dict(spec.weights()))
    (ours,) = ort.InferenceSession(tmp_path / "a.onnx").run(
        None, {archdsl.loads(spec.text).graph.nodes[0].path: x.numpy()}
    )
    assert np.abs(ours - module(x).detach().numpy()).max() <= 1e-5
