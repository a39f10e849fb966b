"""Small ONNX graphs, each held against ONNX Runtime: the spec has the file's shapes and numbers, or it is refused.

Tests `frontends/onnx_model.py`, `frontends/opsets.py`, `frontends/layout.py`, `frontends/onnx_ops/curves.py` and the
other rules of `frontends/onnx_ops/`.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.onnx_cases import ACCEPTED, CASES, Case, outcome


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
