"""Every op on signals, images and volumes: the ONNX file in ONNX Runtime against plain torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest

import archdsl
from archdsl import ops
from archdsl.axes import kind_of
from archdsl.backends.onnx import write as onnx_write
from archdsl.backends.onnx.half_precision import Precision
from archdsl.backends.weights import folded
from archdsl.graph import FreeSize
from archdsl.shapes import Dim, Symbol
from tests.ops.test_onnx import difference, numbers, one
from tests.support.handmade import chain
from tests.support.per_axis import CASES, CHANNELS, SIZES, Case

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

LIMITS: dict[Precision, float] = {"fp32": 1e-5, "fp16": 4e-3}
LEVELS = [ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL]
ALL_LEVELS = [*LEVELS, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED]


def sessions(model: onnx.ModelProto, levels: Sequence[Any] = LEVELS) -> list[Any]:
    """The model at each of the optimisation levels, by default the lowest and the highest."""
    found = []
    for level in levels:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.graph_optimization_level = 1, level
        options.log_severity_level = 3
        found.append(ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]))
    return found


def sample(axes: int, number: int, spread: float) -> np.ndarray[Any, Any]:
    shape = (2, CHANNELS, *SIZES[axes][number])
    return (np.random.default_rng(number).standard_normal(shape) * spread).astype(np.float32)


def expected(case: Case, weights: Mapping[str, Any], x: Any) -> Any:
    doubles = {
        key.removeprefix("n.") if key != "n" else "n_": torch.from_numpy(np.asarray(value)).double()
        for key, value in weights.items()
        if not key.endswith("num_batches_tracked")
    }
    return case.expression(x.ndim - 2, torch.from_numpy(x).double(), **doubles).numpy()


def owned(weights: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The tensors of a node, as if it were named `n`."""
    return {f"n{key.removeprefix(path)}": value for key, value in weights.items() if key.partition(".")[0] == path}


def free_axes(model: onnx.ModelProto) -> list[bool]:
    return [bool(size.dim_param) for size in model.graph.input[0].type.tensor_type.shape.dim[2:]]


@pytest.mark.parametrize("axes", list(SIZES))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.text)
def test_op(case: Case, axes: int) -> None:
    """Free and fixed sizes, both float types, the graph as written: all compute what plain torch does."""
    graph = archdsl.loads(case.spec(axes)).graph
    weights = numbers(graph)
    samples = [sample(axes, number, case.reach) for number in range(2)]
    for precision, limit in LIMITS.items():
        for free in (True, False):
            model = onnx_write.build(graph, weights, precision=precision, free_sizes=free, value_info=True)
            onnx.checker.check_model(model, full_check=True)
            fit = samples if all(free_axes(model)) else samples[:1]
            for x in fit:
                want = expected(case, weights, x)
                for session in sessions(model):
                    (got,) = session.run(None, {"input": x})
                    assert difference(got, want) <= limit, (precision, free, x.shape)


CHAINED = """
{3} conv 6 dilation=2 groups=3
{3} deconv 6 pad=1 extra=1 dilation=2 nobias
prelu
scale 0.5
bn eps=0.001
gn 3
gn 2 affine=false
instancenorm affine=true
ln
ln affine=false
lrn alpha=0.3 k=2
lrn 4 alpha=0.3
{3} maxpool /2 pad=1 ceil
{3} avgpool /2 pad=1
hardswish
silu
softmax
softmax groups=2
softmax parts=3
softmax space
abs
affine [1,2,3,4,5,6] 0.5
shuffle 3
upsample 2
upsample 2 linear
pad 2
pad -1 value=1.5
"""
"""Ops that keep six channels and leave the sizes free."""


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("axes", list(SIZES))
def test_chains(axes: int, seed: int) -> None:
    """Ops in any order, so that ONNX Runtime fuses and moves them, with all passes and at every level."""
    cases = [case for case in CASES if case.text in CHAINED.splitlines()]
    order = np.random.default_rng(seed).permutation(len(cases))[:12]
    chosen = [cases[number] for number in order]
    lines = "".join(f"  n{number}: {case.node(axes)}\n" for number, case in enumerate(chosen))
    size = "x".join(map(str, (CHANNELS, *SIZES[axes][0])))
    network = archdsl.loads(f"input: {size}\nnet:\n{lines}")
    weights = numbers(network.graph)
    optimised = network.optimised()
    for graph, given in ((network.graph, weights), (optimised, folded(weights, optimised))):
        model = onnx_write.build(graph, given)
        assert all(free_axes(model)), lines
        for session in sessions(model, ALL_LEVELS):
            for number in range(2):
                x = sample(axes, number, 1.0)
                want = x
                for place, case in enumerate(chosen):
                    want = expected(case, owned(weights, f"n{place}"), want)
                (got,) = session.run(None, {"input": x})
                assert difference(got, want) <= 1e-4, lines


@pytest.mark.parametrize(
    "target", [(3, 9, 8), (7, 2, 8), (7, 9, 3), (3, 4, 8), (2, 9, 5), (14, 3, 5), (7, 3, 2), (1, 1, 3)]
)
def test_adaptive_pool_with_other_sizes_per_axis(target: tuple[int, ...]) -> None:
    """Along an axis whose size does not change nothing is multiplied."""
    graph = one(ops.AvgPool(kernel=target, adaptive=True), (CHANNELS, *SIZES[3][0]))
    x = sample(3, 0, 1.0)
    want = torch.nn.functional.adaptive_avg_pool3d(torch.from_numpy(x).double(), target).numpy()
    for session in sessions(onnx_write.build(graph, {})):
        assert difference(session.run(None, {"x0": x})[0], want) <= 1e-5


@pytest.mark.parametrize("axes", list(SIZES))
def test_many_channels_are_shuffled_at_any_size(axes: int) -> None:
    """More channels than the list of a Gather may have."""
    letters = kind_of((1,) * (axes + 1)).letters
    shape = (6144, *(Dim(Symbol(letter, 2)) for letter in letters))
    free = [FreeSize(letter, 2, 1, 1) for letter in letters]
    model = onnx_write.build(chain(shape, ops.Shuffle(groups=3), sizes=free), {})
    assert [node.op_type for node in model.graph.node] == ["Reshape", "Transpose", "Reshape"]
    assert all(free_axes(model))
    for session in sessions(model):
        for size in ((2, 2, 2)[:axes], (3, 1, 2)[:axes], (1, 4, 3)[:axes]):
            x = np.random.default_rng(0).standard_normal((2, 6144, *size)).astype(np.float32)
            want = np.swapaxes(x.reshape(2, 3, 2048, *size), 1, 2).reshape(x.shape)
            assert np.array_equal(session.run(None, {"x": x})[0], want)
