"""Signals, images and volumes: every node of every artefact is within its tolerance, at all sizes; a wrong one is not.

Tests `verification/verify.py`, `verification/reference.py` and `verification/file_runs.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import archdsl
from archdsl.ops import GRAPH_OPS
from tests.support.any_axes import MOST_OPS, for_axes


@pytest.mark.parametrize("axes", (1, 2, 3))
def test_most_ops_are_within_their_tolerance(axes: int) -> None:
    net = archdsl.loads(for_axes(MOST_OPS, axes))
    assert len(GRAPH_OPS) - len({node.op.name for node in net.graph.nodes}) < 8
    result = archdsl.verify(net)
    assert result.passed, result.text(every=True)


@pytest.mark.parametrize("axes", (1, 2, 3))
def test_the_file_runs_at_the_smallest_and_a_larger_size(axes: int) -> None:
    parts = "c: <3> conv 4, a: <2> maxpool, b: <2> avgpool, u: upsample 4, s: 'add <- u, c'"
    result = archdsl.verify(archdsl.loads(for_axes(f"name: n\ninput: 3x<20,12,16>\nnet: {{{parts}}}", axes)))
    assert result.passed, result.text()
    sizes = [for_axes(f"3x<{size}>", axes) for size in ("4", "20,12,16", "24,16,20")]
    assert [run.input for run in result.file_runs] == sizes


@pytest.mark.parametrize("axes", (1, 2, 3))
def test_a_wrong_value_in_the_file_is_found_in_its_channel(axes: int, tmp_path: Path) -> None:
    net = archdsl.loads(for_axes("name: n\ninput: 3x<64,8,6>\nnet: {a: <3> conv 8 relu, b: <3> conv 8, g: gap}", axes))
    weights = net.weights()
    model = onnx.load(net.to_onnx(tmp_path / "n.onnx", weights).path)
    (tensor,) = (item for item in model.graph.initializer if item.name.endswith("b.weight"))
    value = numpy_helper.to_array(tensor).copy()
    value[5, 1].reshape(-1)[0] += np.float32(1e-3)
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    onnx.save(model, tmp_path / "wrong.onnx")
    result = archdsl.verify(net, tmp_path / "wrong.onnx", weights=weights)
    worst = result.worst["onnx"]
    assert not result.passed and (worst.path, worst.channel, worst.exceeded) == ("b", 5, 1)
