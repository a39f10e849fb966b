"""Every op has cases; each gives the shape and counts worked out by hand, and comes back from its ONNX file.

Tests `ops/activation.py`, `ops/conv.py`, `ops/linear.py`, `ops/merge.py`, `ops/norm.py`, `ops/pool.py`,
`ops/reduce.py`, `ops/regular.py`, `ops/reshape.py` and `ops/scale.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import archdsl
from archdsl.backends.onnx.lower import TABLE as ONNX
from archdsl.backends.torch.lower import TABLE as TORCH
from archdsl.diagnostics import ArchError
from archdsl.frontends.onnx_model import read
from archdsl.frontends.to_spec import to_spec
from archdsl.ops import GRAPH_OPS, OPS_BY_NAME
from archdsl.shapes import concrete, numel
from tests.ops.cases import CASES, KINDS, POSITIONAL, Case

NO_CASE = {"input", "split", "again"}
"""The first is in every case, the others become other nodes: `tests/elaborate` has theirs."""


def test_every_op_has_a_case_a_row_for_random_networks_and_two_lowerings() -> None:
    assert {case.kind for case in CASES} == set(OPS_BY_NAME) - NO_CASE
    assert set(KINDS) == set(OPS_BY_NAME) - NO_CASE
    assert set(TORCH) == set(ONNX) == set(GRAPH_OPS)
    assert {kind: OPS_BY_NAME[kind].positional for kind in OPS_BY_NAME} == {
        kind: POSITIONAL[kind] for kind in OPS_BY_NAME
    }


def test_an_op_with_tensors_or_macs_has_a_case_that_counts_them() -> None:
    counted = {case.kind for case in CASES if case.params}
    assert counted == {op.name for op in OPS_BY_NAME.values() if op.parametric}
    for case in CASES:
        node = archdsl.loads(case.spec).graph.by_path["n"]
        assert bool(node.params) <= node.op.parametric, case.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.text} {case.inputs}")
def test_shape_and_counts_are_those_worked_out_by_hand(case: Case) -> None:
    node = archdsl.loads(case.spec).graph.by_path["n"]
    assert concrete(node.shape) == (case.shape or case.inputs[0])
    assert sum(param.numel for param in node.params if param.trained) == case.params
    assert node.macs == case.macs
    assert numel(node.shape) > 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.text} {case.inputs}")
def test_an_onnx_file_read_node_by_node_gives_the_same_outputs(case: Case, tmp_path: Path) -> None:
    network = archdsl.loads(case.spec)
    network.to_onnx(tmp_path / "a.onnx", seed=1)
    sizes = dict(zip((network.graph.nodes[i].path for i in network.graph.inputs), case.inputs, strict=True))
    try:
        spec = to_spec(read(tmp_path / "a.onnx"), "net", sizes, "test")
    except ArchError as problem:
        assert not case.imports, problem
        return
    assert case.imports, "it is read back by now: leave `imports` out"
    archdsl.loads(spec.text).to_onnx(tmp_path / "b.onnx", dict(spec.weights()))
    draw = np.random.default_rng(0)
    values = [draw.standard_normal((2, *shape)).astype(np.float32) for shape in case.inputs]
    before, after = (outputs(tmp_path / f"{name}.onnx", values) for name in "ab")
    assert np.abs(before - after).max() <= 1e-5 * max(np.abs(before).max(), 1e-30)


def outputs(path: Path, values: list[Any]) -> Any:
    """Of the file, for values in the order of its inputs."""
    session = ort.InferenceSession(path)
    return session.run(None, dict(zip((i.name for i in session.get_inputs()), values, strict=True)))[0]
