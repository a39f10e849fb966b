"""Small ONNX graphs, each held against ONNX Runtime: the spec has the file's shapes and numbers, or it is refused.

Tests `frontends/onnx_model.py`, `frontends/opsets.py`, `frontends/layout.py`, `frontends/onnx_ops/curves.py` and the
other rules of `frontends/onnx_ops/`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from archdsl.diagnostics import ArchError
from archdsl.frontends.onnx_model import from_proto
from archdsl.frontends.to_spec import to_spec
from tests.support.onnx_cases import ACCEPTED, CASES, IMAGE, Case, n, outcome, w


@pytest.mark.parametrize("op_type", sorted({case.op_type for case in CASES}))
def test_each_case_is_equal_or_refused(op_type: str) -> None:
    """No case gives other numbers; as many as listed are accepted, so that refusing everything fails."""
    outcomes: Counter[str] = Counter()
    for case in CASES:
        if case.op_type == op_type:
            result = outcome(case)
            assert result in ("equal", "refused", "invalid"), f"{case}: {result}"
            outcomes[result] += 1
    assert outcomes["equal"] == ACCEPTED[op_type], outcomes


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 400
    assert all(isinstance(case, Case) for case in CASES)


NAMED: dict[str, tuple[Case, str]] = {
    "cycle": (Case("", (n("Add", "x b", "a"), n("Relu", "a", "b"), n("Abs", "b")), {}, IMAGE, 17), "a cycle"),
    "nothing makes it": (Case("", (n("Add", "x b"),), {}, IMAGE, 17), "reads `b`, which nothing makes"),
    "output": (Case("", (n("Relu", "x"),), {}, IMAGE, 17, ("y", "z")), "no node computes this output"),
    "NaN": (Case("", (n("Conv", "x w"),), {"w": w(4, 4, 1, 1) * np.float32("nan")}, IMAGE, 17), "NaN"),
    "integers": (Case("", (n("Conv", "x w"),), {"w": np.ones((4, 4, 1, 1), int)}, IMAGE, 17), "of the type int64"),
    "opset": (Case("", (n("Relu", "x"),), {}, IMAGE, 6), "the model's opset is 6"),
    "attribute": (Case("", (n("Relu", "x", slope=1.0),), {}, IMAGE, 17), "opset 17 does not define it so"),
    "attribute of another opset": (Case("", (n("Squeeze", "x", axes=[2]),), {}, IMAGE, 17), "does not define it so"),
}


@pytest.mark.parametrize("name", NAMED)
def test_the_cause_is_named(name: str) -> None:
    """One error for each cause, none for the nodes behind it."""
    case, reason = NAMED[name]
    with pytest.raises((ArchError, ValueError)) as caught:
        model = from_proto(case.model())
        to_spec(model, "g", {"x": case.size[1:]}, "test")
    assert reason in str(caught.value)
    assert str(caught.value).count("error[") <= 1


def test_nodes_in_any_order_are_sorted() -> None:
    nodes = n("Sigmoid", "a"), n("Relu", "x", "a")
    assert [node.op_type for node in from_proto(Case("", nodes, {}, IMAGE, 17).model()).nodes] == ["Relu", "Sigmoid"]


def test_learned_numbers_are_weights() -> None:
    """A constant for each of many channels is a tensor of a node, not a long text; a bias is that of its layer."""
    nodes = n("Conv", "x w", "a"), n("Add", "a b", "c"), n("Relu", "c", "d"), n("Mul", "d s")
    constants = {"w": w(300, 4, 1, 1), "b": w(1, 300, 1, 1), "s": w(300, 1, 1)}
    imported = to_spec(from_proto(Case("", nodes, constants, IMAGE, 17).model()), "g", {"x": IMAGE[1:]}, "test")
    assert len(imported.text) < 200
    assert sum(entry.shape != () for entry in imported.weights().values()) == 3
