"""Sums of nearly equal terms, whose rounding errors have no random signs, are within their tolerance.

Tests `verification/sums.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

import archdsl
from archdsl.backends.torch.module import to_torch
from archdsl.runtime.inputs import seeded_inputs
from archdsl.verification.compare import compare_nodes
from archdsl.verification.observe import module_values
from archdsl.verification.sums import sum_errors

U = 2.0**-24
BRANCHES = "[identity, {pool: gap, fc1: 1x1 conv 4 relu, fc2: 1x1 conv 8 sigmoid}]"
CONSTANT = [
    "gap",
    "112x112 avgpool",
    "112x112 avgpool same",
    "28x28 avgpool",
    "17x17 avgpool /4 ceil inside",
    "2x2 avgpool adaptive",
    "28x28 subsample",
    "gn 1",
    "gn 2",
    "instancenorm",
    "mean space",
    "sum space",
    "l2 space",
    "softmax space",
    "[gap, ln]",
    "[7x7 conv 4 valid, gap, fc 2]",
    f"{{branches: {BRANCHES}, merge: mul}}",
]


@pytest.mark.parametrize("node", CONSTANT)
def test_sums_over_constant_channels_are_within_their_tolerance(node: str) -> None:
    net = archdsl.loads(f"name: n\ninput: 1x112x112\nnet: {{c: 1x1 conv 8, n: {node}}}\n")
    draw = np.random.default_rng(0)
    weights = dict(net.weights())
    weights["c.weight"] = np.zeros_like(weights["c.weight"])  # as pruned
    weights["c.bias"] = draw.uniform(-1, 1, 8).astype(np.float32)
    result = archdsl.verify(net, weights=weights)
    assert result.passed, result.text(every=True)


ANY_AXES = [
    "gap",
    "sum space",
    "l2 space",
    "softmax space",
    "avgpool kernel=11 stride=4 ceil inside",
    "avgpool kernel=2 adaptive",
    "subsample kernel=8",
    "gn 2",
    "ln",
]


@pytest.mark.parametrize("size", ["1x12544", "1x24x24x24"])
@pytest.mark.parametrize("node", ANY_AXES)
def test_sums_over_constant_channels_of_signals_and_volumes(node: str, size: str) -> None:
    net = archdsl.loads(f"name: n\ninput: {size}\nnet: {{c: conv 8 kernel=1, n: {node}}}\n")
    weights = {key: np.zeros_like(value) for key, value in net.weights().items()}
    weights |= {"c.bias": np.random.default_rng(0).uniform(-1, 1, 8).astype(np.float32)}
    weights |= {key: np.ones_like(value) for key, value in weights.items() if key == "n.weight"}
    result = archdsl.verify(net, weights=weights)
    assert result.passed, result.text(every=True)


@pytest.mark.parametrize(("node", "size"), [("softmax", 5000), ("ln", 5000), ("gn 1", 5000)])
def test_sums_over_equal_channels_are_within_their_tolerance(node: str, size: int) -> None:
    net = archdsl.loads(f"name: n\ninput: 3x2x2\nnet: {{c: fc {size}, n: {node}}}\n")
    assert archdsl.verify(net, weights={k: np.full_like(v, 0.1) for k, v in net.weights().items()}).passed


def test_one_fixed_direction_of_rounding_is_measured_and_random_directions_are_not() -> None:
    draw = np.random.default_rng(1)
    for n in (100, 10_000, 200_000):
        equal = sum_errors(np.full((1, n), 0.3))
        assert np.sqrt(n) * U / 2 < equal[0] < n * U
        for terms in (draw.normal(size=(50, n)), draw.uniform(size=(50, n)), np.maximum(draw.normal(size=(50, n)), 0)):
            assert sum_errors(terms).max() < np.sqrt(n) * U, "the usual tolerance stays"
    assert sum_errors(np.full((1, 10_000), 0.3))[0] > 3 * 100 * U
    assert sum_errors(np.full((2, 3, 64), 0.5)).tolist() == np.zeros((2, 3)).tolist(), "these sums are exact"
    assert np.isfinite(sum_errors(np.full((1, 64), 3e38))).all()


def test_a_wrong_weight_beside_a_constant_channel_is_found() -> None:
    """The wider tolerance is that of the constant channel only."""
    net = archdsl.loads("name: n\ninput: 1x112x112\nnet: {c: 1x1 conv 2, n: instancenorm affine=true}\n")
    weights = {key: value.copy() for key, value in net.weights().items()}
    weights["c.weight"][0], weights["c.bias"][0] = 0, 0.3
    wrong = {**weights, "n.bias": weights["n.bias"] + np.array([0, 1e-4], np.float32)}
    inputs = seeded_inputs(net.graph)
    values = module_values(to_torch(net.graph, wrong), net.graph, inputs)
    (*_, last) = compare_nodes(net.graph, weights, inputs, {"module": values}).nodes
    assert last.failing == ("module",) and last.deviations["module"].channel == 1
