"""A moment of the fuzzer of ONNX files; for longer by `python -m tests.search.onnx_mutants`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search import onnx_mutants


def test_changed_graphs_are_equal_or_refused() -> None:
    counts, findings = onnx_mutants.run(60, 0, 250)
    assert not findings
    assert counts["equal"] > 20 and counts["refused"] > 20


def test_a_finding_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = onnx_mutants.graphs()[0], np.zeros((1, 4, 8, 6), np.float32)
    monkeypatch.setattr(onnx_mutants, "mutant", lambda seed: wrong)
    monkeypatch.setattr("tests.support.onnx_cases.expected", lambda model, x: [x + 1])
    counts, findings = onnx_mutants.run(60, 0, 1)
    assert counts == {"wrong": 1} and "numbers that differ" in findings[0]
