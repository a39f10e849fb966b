"""The float64 reference and its tolerances: right values pass, a weight off by 1e-3 does not.

Tests `backends/torch/node.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import archdsl
from archdsl.runtime.inputs import seeded_inputs
from archdsl.verification.reference import reference_outputs, reference_values
from archdsl.verification.tolerance import (
    LEAST,
    ROUNDOFF,
    SAFETY,
    channel_differences,
    error_size,
    tolerances,
    worst_channel,
)
from tests.search.wrong_weights import planted, table


def test_vectors_and_small_images_are_compared_as_a_whole() -> None:
    assert channel_differences([1.0, 4.0], [1.0, 2.0]) == [1.0]
    assert channel_differences([1e-9, 4.0], [0.0, 4.0]) == [2.5e-10]
    assert channel_differences([0.5, 0.0], [0.0, 0.0]) == [0.5]
    assert (
        channel_differences([np.nan], [1.0])
        == channel_differences([[1.0]], [1.0])
        == channel_differences([np.inf], [np.inf])
        == [np.inf]
    )
    small = np.ones((1, 2, 5, 5))
    assert LEAST > 25 and channel_differences(small + 0.5, small).tolist() == [0.5]


def test_channels_are_compared_one_by_one() -> None:
    right = np.zeros((2, 4, 8, 8))
    right[:, 0], right[1, 1, 2, 3], right[:, 2] = 1000.0, -0.5, 1e-40
    wrong = right.copy()
    wrong[0, 1, 0, 0] += 0.001
    wrong[0, 3, 0, 0] += 0.001
    assert channel_differences(wrong, right) == pytest.approx([0, 0.002, 0, 1e-6]), (
        "one that is 0 throughout by the largest of all"
    )
    assert channel_differences(right * (right > 1e-30), right)[2] < 1e-9, "what float32 does not hold may be lost"
    wrong[1, 2, 0, 0] = np.nan
    assert channel_differences(wrong, right)[2] == np.inf
    assert worst_channel(channel_differences(wrong, right), tolerances(np.zeros(4))) == (
        np.inf,
        SAFETY * ROUNDOFF["float32"],
        2,
    )


@pytest.mark.parametrize("sizes", [(64,), (8, 8), (4, 4, 4)])
def test_channels_of_signals_and_volumes_are_compared_one_by_one(sizes: tuple[int, ...]) -> None:
    right = np.zeros((2, 3, *sizes))
    right[:, 0], right[:, 1] = 1000.0, 0.5
    wrong = right.copy()
    wrong.reshape(2, 3, -1)[1, 1, 5] += 0.001
    assert channel_differences(wrong, right) == pytest.approx([0, 0.002, 0])
    assert len(channel_differences(wrong[:1, :, 0], right[:1, :, 0])) == 1, "too few values"


def test_an_error_grows_with_the_root_of_the_sum(net: Callable[..., Any]) -> None:
    graph = net("net: {c: 3x3 conv 8, r: relu, p: 2x2 maxpool, f: fc 10}").graph
    u = ROUNDOFF["float32"]
    assert error_size(graph.by_path["c"]) == pytest.approx((3 * 9 + 1) ** 0.5 * u)
    assert error_size(graph.by_path["f"]) == pytest.approx((8 * 16 * 16 + 1) ** 0.5 * u)
    assert error_size(graph.by_path["r"]) == error_size(graph.by_path["p"]) == 0
    pooled = net("net: {a: 3x3 conv 8, b: gn 2, c: relu}").graph.by_path["b"]
    assert error_size(pooled) == pytest.approx((4 * 32 * 32 + 8) ** 0.5 * u)
    assert error_size(pooled, sizes={"H": 3, "W": 2}) == pytest.approx((4 * 3 * 2 + 8) ** 0.5 * u)
    assert tolerances(np.zeros(1)) == SAFETY * u


@pytest.mark.parametrize("name", ["lenet5", "lenet5_1998", "resnet20", "squeezenet1_0"])
def test_the_reference_agrees_with_the_module_in_float64_and_the_module_in_float32_is_within_the_tolerance(
    name: str,
) -> None:
    net = archdsl.load(name)
    weights = dict(net.weights(seed=3))
    inputs = seeded_inputs(net.graph, seed=5)
    given = [torch.tensor(inputs[net.graph.nodes[i].path]) for i in net.graph.inputs]
    module = net.to_torch(weights)
    (reference,) = reference_outputs(net.graph, weights, inputs).values()
    with torch.no_grad():
        single = module(*given).numpy()
        double = module.double()(*(x.double() for x in given)).numpy()
    assert channel_differences(double, reference.value).max() < 1e-12
    assert not reference.deviation(single).exceeded and reference.tolerances.max() < 1e-3


def test_large_numbers_that_cancel_widen_the_tolerance(net: Callable[..., Any]) -> None:
    """A norm over an almost constant channel: what is left after its mean is mostly rounding."""
    loaded = net("net: {c: 1x1 conv 4, n: gn groups=1}", "3x8x8")
    inputs = {"input": 1000 + np.random.default_rng(0).standard_normal((1, 3, 8, 8), np.float32)}
    weights = {k: np.full_like(v, 0.1) if k == "c.weight" else v for k, v in loaded.weights().items()}
    tolerances = {
        reference.node.path: reference.tolerances.min() for reference in reference_values(loaded.graph, weights, inputs)
    }
    assert tolerances["n"] > 100 * tolerances["c"]


def test_a_norm_of_two_channels_is_within_its_tolerance(net: Callable[..., Any]) -> None:
    """Whatever it is given it makes of it 1 and -1: of what is lost in between, inputs that are off show nothing."""
    loaded = net("net: {n: ln}", "2x8x8")
    inputs = {"input": 60 + np.random.default_rng(0).standard_normal((2, 2, 8, 8)).astype(np.float32)}
    weights = {"n.weight": np.array([0.5, 0.5], np.float32), "n.bias": np.array([0.5, 1000.0], np.float32)}
    (reference,) = reference_outputs(loaded.graph, weights, inputs).values()
    with torch.no_grad():
        single = loaded.to_torch(weights)(torch.tensor(inputs["input"])).numpy()
    assert not reference.deviation(single).exceeded and reference.tolerances.max() < 0.01


@pytest.mark.parametrize("size", ["3x256", "3x16x16", "3x6x6x6"])
def test_an_error_in_one_weight_is_past_the_tolerance_among_channels_that_are_larger(
    net: Callable[..., Any], size: str
) -> None:
    block = "conv 16 kernel=3 bn relu"
    loaded = net(f"net: {{a: {block}, b: {block}, g: gap, f: fc 10}}", size)
    weights = dict(loaded.weights(seed=1))
    large = np.where(np.arange(16) == 3, 1, 1e4).astype(np.float32)
    weights["b.conv.weight"] = (weights["b.conv.weight"].swapaxes(0, -1) * large).swapaxes(0, -1).copy()
    inputs = seeded_inputs(loaded.graph)
    changed = weights["b.conv.weight"].copy()
    changed[3, 4].reshape(-1)[1] += 1e-3
    pairs = zip(
        reference_values(loaded.graph, weights, inputs),
        reference_values(loaded.graph, {**weights, "b.conv.weight": changed}, inputs),
        strict=True,
    )
    told = [
        (right.node.path, found.channel) for right, wrong in pairs if (found := right.deviation(wrong.value)).exceeded
    ]
    assert told[:2] == [("b.conv", 3), ("b.bn", 3)]


def test_wrong_weights_are_detected() -> None:
    lines, missed = table(["lenet5", "resnet20"], 20, relative=False, seed=0, every=False)
    assert missed == 0, "\n".join(lines)
    assert sum(one.verdict == "detected" for one in planted(archdsl.load("lenet5"), 10)) == 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_0", "mobilenet_v3_large", "googlenet", "resnet50", "unet"])
def test_wrong_weights_of_large_networks_are_told(name: str) -> None:
    lines, missed = table([name], 60, relative=False, seed=0, every=True)
    assert missed == 0, "\n".join(lines)


def test_the_reference_is_the_same_every_time(net: Callable[..., Any]) -> None:
    loaded = net("net: [3x3 conv 4 relu, gap]", "1x8x8")
    inputs = seeded_inputs(loaded.graph)
    first, second = (
        [reference.tolerances.tolist() for reference in reference_values(loaded.graph, loaded.weights(), inputs)]
        for _ in range(2)
    )
    assert first == second


def test_the_caller_keeps_its_gradients(net: Callable[..., Any]) -> None:
    network = net("net: [3x3 conv 4, relu]", input="3x4x4")
    nodes = reference_values(network.graph, network.weights(), seeded_inputs(network.graph))
    next(nodes)
    assert torch.is_grad_enabled()
    nodes.close()
    assert torch.is_grad_enabled()
