"""The judge of outputs, and the bound that rounding gets: right numbers pass it, a weight off by 1e-3 does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import archdsl
from archdsl.ops import GRAPH_OPS
from archdsl.runtime.bounds import ROUNDOFF, SAFETY, TERMS, bound, difference, error_size
from archdsl.runtime.judge import judge, judge_outputs, seeded_inputs


def test_every_op_says_how_many_terms_it_adds() -> None:
    assert set(TERMS) == set(GRAPH_OPS)


def test_difference_is_that_of_the_largest_numbers() -> None:
    assert difference([1.0, 4.0], [1.0, 2.0]) == 1.0
    assert difference([1e-9, 4.0], [0.0, 4.0]) == 2.5e-10
    assert difference([0.5, 0.0], [0.0, 0.0]) == 0.5
    assert difference([np.nan], [1.0]) == difference([[1.0]], [1.0]) == float("inf")


def test_an_error_grows_with_the_root_of_the_sum(net: Callable[..., Any]) -> None:
    graph = net("net: {c: 3x3 conv 8, r: relu, p: 2x2 maxpool, f: fc 10}").graph
    u = ROUNDOFF["float32"]
    assert error_size(graph.by_path["c"]) == pytest.approx((3 * 9 + 1) ** 0.5 * u)
    assert error_size(graph.by_path["f"]) == pytest.approx((8 * 16 * 16 + 1) ** 0.5 * u)
    assert error_size(graph.by_path["r"]) == error_size(graph.by_path["p"]) == 0
    assert bound(0.0) == SAFETY * u


@pytest.mark.parametrize("name", ["lenet5", "lenet5_1998", "resnet20", "squeezenet1_0"])
def test_the_judge_agrees_with_the_module_in_float64_and_the_module_in_float32_is_within_the_bound(name: str) -> None:
    net = archdsl.load(name)
    weights = dict(net.weights(seed=3))
    inputs = seeded_inputs(net.graph, seed=5)
    given = [torch.tensor(inputs[net.graph.nodes[i].path]) for i in net.graph.inputs]
    module = net.to_torch(weights)
    (judged,) = judge_outputs(net.graph, weights, inputs).values()
    with torch.no_grad():
        single = module(*given).numpy()
        double = module.double()(*(x.double() for x in given)).numpy()
    assert difference(double, judged.value) < 1e-12
    assert difference(single, judged.value) <= judged.bound < 1e-3


def test_large_numbers_that_cancel_widen_the_bound(net: Callable[..., Any]) -> None:
    """A norm over an almost constant channel: what is left after its mean is mostly rounding."""
    loaded = net("net: {c: 1x1 conv 4, n: gn groups=1}", "3x8x8")
    inputs = {"input": 1000 + np.random.default_rng(0).standard_normal((1, 3, 8, 8), np.float32)}
    weights = {k: np.full_like(v, 0.1) if k == "c.weight" else v for k, v in loaded.weights().items()}
    bounds = {judged.node.path: judged.bound for judged in judge(loaded.graph, weights, inputs)}
    assert bounds["n"] > 100 * bounds["c"]


def test_an_error_in_one_weight_is_past_the_bound_where_it_is(net: Callable[..., Any]) -> None:
    loaded = net("net: {a: 3x3 conv 16 bn relu, b: 3x3 conv 16 bn relu, g: gap, f: fc 10}", "3x16x16")
    weights = dict(loaded.weights(seed=1))
    inputs = seeded_inputs(loaded.graph)
    right = {j.node.path: (j.value.copy(), j.bound) for j in judge(loaded.graph, weights, inputs)}
    planted = weights["b.conv.weight"].copy()
    planted[3, 4, 1, 1] += 1e-3
    wrong = judge(loaded.graph, {**weights, "b.conv.weight": planted}, inputs)
    past = [j.node.path for j in wrong if difference(j.value, right[j.node.path][0]) > right[j.node.path][1]]
    assert past[0] == "b.conv"


def test_the_judge_is_the_same_every_time(net: Callable[..., Any]) -> None:
    loaded = net("net: [3x3 conv 4 relu, gap]", "1x8x8")
    inputs = seeded_inputs(loaded.graph)
    first, second = ([j.bound for j in judge(loaded.graph, loaded.weights(), inputs)] for _ in range(2))
    assert first == second
