"""A sample of the chains of `python -m tests.search.op_pairs`, at every optimisation level of ONNX Runtime."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from archdsl import ops
from archdsl.backends.onnx import lower
from tests.search.op_pairs import AXES, LEVELS, distinct_ops, graph_of, respelt, sample, search


@pytest.mark.parametrize(("passes", "free_sizes"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("axes", AXES)
def test_every_level_gives_the_output_of_the_module(axes: int, passes: bool, free_sizes: bool) -> None:
    fitting, found = search(sample(80, axes, seed=2 * passes + free_sizes), axes, passes, free_sizes)
    assert found == [] and fitting > 120


def test_the_ops_are_those_of_the_cases_on_any_number_of_axes() -> None:
    texts = ["3x5 conv 4 /[2,1] nobias", "3x3 conv 4 pad=[2,0,1,3]", "3x3 conv 1 bias=0.5 weight=[[1,2],[3,4]]"]
    assert [respelt(text, 1) for text in texts] == [
        "3 conv 4 /[2] nobias",
        "3 conv 4 pad=[2,1]",
        "3 conv 1 bias=0.5 weight=[1,2]",
    ]
    assert [respelt(text, 3) for text in texts] == [
        "3x5x3 conv 4 /[2,1,2] nobias",
        "3x3x3 conv 4 pad=[2,0,2,1,3,1]",
        "3x3x3 conv 1 bias=0.5 weight=[[[1,2],[3,4]],[[1,2],[3,4]]]",
    ]
    for axes in AXES:
        alone = [graph_of((op.text,), axes) for op in distinct_ops(axes) if op.axes]
        assert sum(graph is not None for graph in alone) > 90


def test_a_pad_that_lists_some_axes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's transpose optimiser permutes the pads, and not the list of axes."""

    def pad(e: Any, op: ops.Pad) -> None:
        value, axes = e.floats("value", op.value), e.ints("axes", (2, 3))
        e.last("Pad", e.x, e.ints("pads", op.sides(e.node.in_shapes[0])), value, axes, mode="constant")

    assert search([("ln", "pad 2", "ln")]) == (1, [])
    monkeypatch.setitem(lower.TABLE, ops.Pad, pad)
    fitting, found = search([("pad 2",), ("ln", "pad 2", "ln")])
    assert fitting == 2 and [(len(fault.chain), fault.level) for fault in found] == [
        (3, level) for level in LEVELS if level != "DISABLE_ALL"
    ]


def test_another_output_and_another_shape_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lower.TABLE, ops.Affine, lambda e, op: e.last("Neg", e.x))
    monkeypatch.setitem(lower.TABLE, ops.Relu, lambda e, op: e.last("GlobalAveragePool", e.x))
    fitting, found = search([("affine 0.3", "relu6"), ("relu", "affine 0.3")], free_sizes=False)
    assert fitting == 2 and len(found) == 2 * len(LEVELS)
    assert "differs by" in found[0].what and found[-1].what == "shape (2, 6, 1, 1), not (2, 6, 9, 8)"


def test_chains_that_do_not_fit_together_are_left_out() -> None:
    assert graph_of(("flatten", "3x3 conv 4")) is None
    graph = graph_of(("fc 5", "mul"))
    assert graph is not None and [node.shape for node in graph.nodes] == [(12,), (5,), (5,)]
