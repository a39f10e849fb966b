"""A sample of the chains of `python -m tests.search.op_pairs`, at every optimisation level of ONNX Runtime."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from archdsl import ops
from archdsl.backends.onnx import lower
from tests.search.op_pairs import LEVELS, graph_of, sample, search


@pytest.mark.parametrize(("passes", "free_sizes"), [(True, True), (True, False), (False, True)])
def test_every_level_gives_the_output_of_the_module(passes: bool, free_sizes: bool) -> None:
    fitting, found = search(sample(350, seed=2 * passes + free_sizes), passes, free_sizes)
    assert found == [] and fitting > 200


def test_a_pad_that_lists_some_axes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's transpose optimiser permutes the pads, and not the list of axes."""

    def pad(e: Any, op: ops.Pad) -> None:
        value, axes = e.floats("value", op.value), e.ints("axes", (2, 3))
        e.last("Pad", e.x, e.ints("pads", op.sides), value, axes, mode="constant")

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
