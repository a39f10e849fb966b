"""Maps against their definitions: class activation maps in numpy, Grad-CAM and occlusion by other packages.

Tests `analysis/head.py`, `passes/class_maps.py`, `attribution/gradcam.py` and `attribution/occlusion.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

import archdsl
from archdsl.analysis.head import last_map, logits_node, pooled_head
from archdsl.attribution.gradcam import build
from archdsl.attribution.occlusion import occlude, occlusion_of
from archdsl.attribution.result import enlarged
from archdsl.passes.class_maps import with_class_maps

HEADS = {
    "fc": ("input: 3x16x12\nnet: {a: 3x3 conv 6 bn relu, b: 3x3 conv 5 /2, pool: gap, fc: fc 4}", "pool", "fc"),
    "a dropout and a softmax": (
        "input: 3x16x12\nnet: {a: 3x3 conv 6 /2 relu, pool: gap, drop: dropout 0.5, fc: fc 4, s: softmax}",
        "pool",
        "fc",
    ),
    "a pool of the whole map": (
        "input: 3x12x12\nnet: {a: 3x3 conv 6 /2, pool: 6x6 avgpool, f: flatten, fc: fc 4 nobias}",
        "pool",
        "fc",
    ),
    "a convolution behind the pool": ("input: 3x16x12\nnet: {a: 3x3 conv 6, pool: gap, fc: 1x1 conv 4}", "pool", "fc"),
    "no linear layer": ("input: 3x16x12\nnet: {a: 3x3 conv 4 relu, pool: gap}", "pool", None),
    "a signal": ("input: 2x40\nnet: {a: 5 conv 6 relu, pool: gap, fc: fc 4}", "pool", "fc"),
    "a volume": ("input: 1x6x8x7\nnet: {a: 3x3x3 conv 6 relu, pool: gap, fc: fc 4}", "pool", "fc"),
}


def sample_of(net: archdsl.Network, batch: int = 1, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((batch, *net.input), np.float32)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("head", HEADS)
def test_class_activation_maps_by_definition(head: str, precision: Any, tmp_path: Path) -> None:
    text, pool, linear = HEADS[head]
    net = archdsl.loads(text)
    path = tmp_path / "m.onnx"
    net.to_onnx(path, cam=True, precision=precision)
    session = ort.InferenceSession(path)
    x = sample_of(net, 2)
    first, maps = session.run(None, {"input": x})
    module = net.to_torch()
    kept: dict[str, torch.Tensor] = {}
    module.get_submodule(pool).register_forward_pre_hook(lambda _, inputs: kept.update(features=inputs[0]))
    with torch.no_grad():
        output = module(torch.from_numpy(x)).numpy().reshape(2, -1)
    features = kept["features"].numpy()
    weights = {key: np.asarray(value) for key, value in net.weights().items()}
    bias = weights.get(f"{linear}.bias", np.zeros(4))
    if linear is not None:
        features = np.einsum("kc,nc...->nk...", weights[f"{linear}.weight"].reshape(4, -1), features)
    loose = 1e-5 if precision == "fp32" else 2e-2
    assert maps.shape == features.shape and maps.dtype == np.float32
    assert np.abs(maps - features).max() <= loose * np.abs(features).max()
    logits = maps.mean(axis=tuple(range(2, maps.ndim))) + bias
    if "softmax" in text:
        logits = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.abs(logits - output).max() <= loose * max(np.abs(output).max(), 1)
    assert np.abs(first.reshape(2, -1) - output).max() <= loose * max(np.abs(output).max(), 1)


@pytest.mark.parametrize("passes", [(), None])
def test_the_maps_need_no_second_copy_of_the_weights(passes: Any, tmp_path: Path) -> None:
    net = archdsl.loads("input: 8x8x8\nnet: {a: 1x1 conv 64 bn, pool: gap, fc: fc 500}")
    plain = net.to_onnx(tmp_path / "a.onnx", passes=passes)
    maps = net.to_onnx(tmp_path / "b.onnx", passes=passes, cam=True, free_sizes=True)
    assert maps.size - plain.size < 2000
    x = np.random.default_rng(0).standard_normal((1, 8, 5, 9), np.float32)
    first, found = ort.InferenceSession(maps.path).run(None, {"input": x})
    assert found.shape == (1, 500, 5, 9)
    bias = np.asarray(net.weights()["fc.bias"])
    assert np.abs(found.mean((2, 3)) + bias - first).max() < 1e-5


def test_other_names_of_the_output_stay(tmp_path: Path) -> None:
    net = archdsl.loads("input: 3x8x8\nnet: {cam: 3x3 conv 4, pool: gap}")
    net.to_onnx(tmp_path / "a.onnx", cam=True)
    assert [o.name for o in ort.InferenceSession(tmp_path / "a.onnx").get_outputs()] == ["output", "cam2"]
    graph, layer = with_class_maps(net.graph)
    assert layer == "cam" and graph.nodes[-1].path == "cam/cam" and len(net.graph.outputs) == 1


@pytest.mark.parametrize(
    ("net", "features"),
    [
        ("[3x3 conv 4, gap, norm layer, fc 2]", None),
        ("[3x3 conv 4, gap, fc 8 relu, fc 2]", None),
        ("[3x3 conv 4, fc 2]", None),
        ("[3x3 conv 4, gmp, fc 2]", None),
        ("[3x3 conv 4, 2x2 avgpool, fc 2]", None),
        ("[3x3 conv 4 relu, gap, dropout 0.1, fc 2, sigmoid]", "0/relu"),
    ],
)
def test_the_heads_that_are_linear(net: str, features: str | None) -> None:
    head = pooled_head(archdsl.loads(f"input: 3x8x8\nnet: {net.replace('norm layer', 'ln')}").graph)
    assert (head.features.path if head else None) == features


def test_the_last_map_is_one_that_every_path_passes() -> None:
    text = """
input: 3x16x16
net:
  stem: 3x3 conv 4
  left: 3x3 conv 4 <- stem
  right: 3x3 conv 4 <- stem
  a: gap <- left
  b: gap <- right
  both: concat <- a, b
  fc: fc 3
"""
    graph = archdsl.loads(text).graph
    node = last_map(graph, logits_node(graph))
    assert node is not None and node.path == "stem"
    for name, expected in (("resnet18", "layer4.1/relu"), ("vgg16", "avgpool"), ("densenet121", "features.norm5/relu")):
        graph = archdsl.load(name).graph
        node = last_map(graph, logits_node(graph))
        assert node is not None and node.path == expected


# --- Grad-CAM --------------------------------------------------------------------------------------------

IMAGES = """
input: 3x24x20
blocks: {basic(w): {residual: [3x3 conv w bn relu, 3x3 conv w bn], then: relu}}
net:
  a: 3x3 conv 8 bn relu
  b: 3x3 conv 12 /2 relu
  body: basic(12)
  pool: 2x2 maxpool
  hidden: fc 16 relu
  fc: fc 5
"""
SIGNALS = "input: 2x64\nnet: {a: 5 conv 6 bn relu, b: 3 conv 8 /2 relu, hidden: fc 9 relu, fc: fc 5}"
VOLUMES = "input: 1x8x10x12\nnet: {a: 3x3x3 conv 6 bn relu, b: 3x3x3 conv 8 /2 relu, hidden: fc 9 relu, fc: fc 5}"


def grid_of(net: archdsl.Network, layer: str | None, x: Any, target: int) -> np.ndarray[Any, Any]:
    scores, run = build(net.graph, net.weights(), layer, "cpu").scores(x)
    with torch.no_grad():
        expected = net.to_torch()(torch.from_numpy(x)).numpy()[0]
    assert np.abs(scores - expected).max() <= 1e-5 * np.abs(expected).max()
    return run.map(target, 1.0)


@pytest.mark.parametrize("layer", ["a.relu", "b_relu", "pool"])
def test_grad_cam_is_that_of_pytorch_grad_cam(layer: str) -> None:
    package = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net = archdsl.loads(IMAGES)
    module = net.to_torch()
    x = sample_of(net)
    for target in (0, 3):
        with package.GradCAM(model=module, target_layers=[module.get_submodule(layer)]) as cam:
            (expected,) = cam(input_tensor=torch.from_numpy(x), targets=[ClassifierOutputTarget(target)])
        found = enlarged(grid_of(net, re.sub("[._]relu", "/relu", layer), x, target), net.input[1:])
        found = (found - found.min()) / max(found.max() - found.min(), 1e-30)
        if found.any():  # the package scales the map to 0 .. 1 before it enlarges it, and again after it
            expected = (expected - expected.min()) / (expected.max() - expected.min())
        assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("text", "layer"),
    [(IMAGES, "b"), (IMAGES, "body"), (SIGNALS, "a"), (SIGNALS, None), (VOLUMES, "a"), (VOLUMES, None)],
)
def test_grad_cam_is_that_of_captum(text: str, layer: str | None) -> None:
    from captum.attr import LayerGradCam

    net = archdsl.loads(text)
    module = net.to_torch()
    x = sample_of(net)
    for target in range(3):
        owner = module.get_submodule(layer or "b_relu")
        expected = LayerGradCam(module, owner).attribute(torch.from_numpy(x), target, relu_attributions=True)
        expected = expected.detach()
        found = grid_of(net, layer, x, target)
        assert found.shape == tuple(expected.shape[2:])
        assert np.abs(found - expected[0, 0].numpy()).max() <= 1e-5 * float(expected.abs().max())


def test_for_a_pooled_head_grad_cam_is_the_positive_part_of_cam(tmp_path: Path) -> None:
    """The gradient of a mean is 1 / pixels at each of them (Selvaraju et al., section 3.1)."""
    net = archdsl.loads(HEADS["fc"][0])
    x = sample_of(net)
    net.to_onnx(tmp_path / "m.onnx", cam=True)
    maps = ort.InferenceSession(tmp_path / "m.onnx").run(None, {"input": x})[1][0]
    for target in range(4):
        expected = np.maximum(maps[target], 0) / maps[target].size
        assert np.abs(grid_of(net, None, x, target) - expected).max() <= 1e-5 * np.abs(maps).max()


# --- occlusion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "window", "stride"),
    [(IMAGES, (5, 4), (3, 2)), (IMAGES, (24, 20), (1, 1)), (SIGNALS, (7,), (7,)), (VOLUMES, (4, 3, 5), (3, 3, 2))],
)
def test_occlusion_is_that_of_captum(text: str, window: tuple[int, ...], stride: tuple[int, ...]) -> None:
    from captum.attr import Occlusion

    net = archdsl.loads(text)
    module = net.to_torch()
    x = sample_of(net)
    channels = net.input[0]
    expected = Occlusion(module).attribute(
        torch.from_numpy(x), (channels, *window), (channels, *stride), baselines=0.25, target=2
    )

    def score(batch: np.ndarray[Any, Any]) -> list[float]:
        with torch.no_grad():
            return module(torch.from_numpy(batch))[:, 2].tolist()  # type: ignore[no-any-return]

    found = occlude(x, occlusion_of(net.input[1:], window, stride, 0.25), score)
    assert np.abs(found - expected[0, 0].numpy()).max() <= 1e-5 * float(expected.abs().max())


def test_the_default_windows() -> None:
    plan = occlusion_of((224, 40, 3), None, None, 0.0)
    assert (plan.window, plan.stride) == ((28, 4, 1), (14, 2, 1))
    assert len(list(plan.windows())) == 15 * 19 * 3
    covered = np.zeros(200)  # an odd window, 25, would have seams: pixels in three windows instead of two
    for (window,) in (signal := occlusion_of((200,), None, None, 0.0)).windows():
        covered[window] += 1
    assert set(covered[signal.stride[0] : -signal.window[0]]) == {2}


# --- sizes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid", "sizes", "mode"),
    [
        ((7,), (40,), "linear"),
        ((7, 5), (40, 33), "bilinear"),
        ((3, 1, 4), (9, 8, 10), "trilinear"),
        ((6,), (4,), "linear"),
    ],
)
def test_a_map_is_enlarged_as_by_pytorch(grid: tuple[int, ...], sizes: tuple[int, ...], mode: str) -> None:
    values = np.random.default_rng(0).standard_normal(grid, np.float32)
    tensor = torch.from_numpy(values)[None, None]
    expected = torch.nn.functional.interpolate(tensor, sizes, mode=mode)[0, 0].numpy()
    assert np.abs(enlarged(values, sizes) - expected).max() < 1e-5
