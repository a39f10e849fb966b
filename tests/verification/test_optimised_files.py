"""Files with folded nodes are compared with the network, whatever else reads a folded layer in the spec.

Tests `verification/compare.py` and `verification/verify.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import archdsl

AUX = "aux: {extra: {from: %s, do: [gap, fc 3]}}"
FOLDED = [
    ("{a: 3x3 conv 4, f: affine 2 add=1, h: [gap, fc 3]}", AUX % "a", {"a"}),
    ("{c: 3x3 conv 4, b: bn relu, h: [gap, fc 3]}", AUX % "c", {"c"}),
    ("{c: 3x3 conv 4, b: bn, d: relu <- c}", "outputs: {y: b}", {"c", "d"}),
    ("{c: 3x3 conv 4, b: bn, d: again c <- input}", "outputs: {y: b}", {"c", "d"}),
    ("{c: 3x3 conv 4, d: dropout, b: bn, e: relu <- d}", "outputs: {y: b}", {"c", "d", "e"}),
    ("{c: 3x3 conv 4, b: bn, s: affine 2, d: relu <- b}", "outputs: {y: s}", {"c", "b", "d"}),
    ("{b: affine 2 add=1, c: 3x3 conv 4 valid, d: relu <- b}", "outputs: {y: c}", {"b", "d"}),
    ("{b: bn, c: 1x1 conv 4, e: bn}", AUX % "b", {"b", "c"}),
    ("{a: 3x3 conv 3, s: sigmoid, m: 'mul <- a, s'}", AUX % "s", {"s"}),
    ("{a: 3x3 conv 3, p: pad 1, c: 3x3 conv 2 valid}", AUX % "p", {"p"}),
]


@pytest.mark.parametrize(("net", "rest", "absent"), FOLDED)
def test_readers_that_the_file_lacks_do_not_count(net: str, rest: str, absent: set[str], tmp_path: Path) -> None:
    network = archdsl.loads(f"name: t\ninput: 3x8x8\nnet: {net}\n{rest}\n")
    draw = np.random.default_rng(1)
    weights = {k: v + draw.uniform(0.2, 0.9, v.shape).astype(v.dtype) for k, v in network.weights().items()}
    model = network.to_onnx(tmp_path / "t.onnx", weights).path
    result = archdsl.verify(network, model, weights=weights)
    assert result.passed, result.text(every=True)
    assert {path for path in result.absent if "/" not in path and "." not in path} == absent
