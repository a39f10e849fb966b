"""ONNX files in every opset: against onnx's own table of ops, and in ONNX Runtime against the expressions of the cases.

Tests `backends/onnx/opsets.py`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import archdsl
from archdsl.backends.onnx import opsets
from archdsl.backends.onnx.plan import plan
from archdsl.backends.onnx.write import build
from archdsl.diagnostics import ArchError
from archdsl.graph import Graph
from tests.ops.cases import CASES, Case
from tests.ops.test_onnx import difference, numbers, one

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

EVERY = range(opsets.OLDEST, opsets.NEWEST + 1)


def graph_of(case: Case) -> Graph:
    return one(archdsl.loads(case.spec).graph.by_path["n"].op, *case.inputs)


def node_types(graph: Graph, opset: int) -> Counter[tuple[str, int, tuple[str, ...]]]:
    """How many nodes there are of each op, with so many inputs and with these attributes."""
    return Counter((n.op_type, len(n.inputs), tuple(n.attributes)) for n in plan(graph, opset=opset).nodes)


def rewritten() -> list[Any]:
    """Each case with the opsets at which its nodes change, and the oldest that can express it."""
    rows, seen = [], set()
    for case in CASES:
        graph = graph_of(case)
        forms = {n: node_types(graph, n) for n in EVERY}
        changed = [n for n in EVERY if n < opsets.DEFAULT and forms[n] != forms[n + 1]]
        form = str([(n, forms[n].keys()) for n in changed])
        if changed and form not in seen:
            seen.add(form)
            rows.append(pytest.param(case, changed, id=case.text))
    return rows


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray], optimised: bool = True) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def check_case(case: Case, numbers_of_opsets: list[int]) -> None:
    graph = graph_of(case)
    weights = numbers(graph)
    random = np.random.default_rng(7)
    feeds = {
        graph.nodes[i].path: 4 * random.standard_normal((2, *graph.nodes[i].shape)).astype(np.float32)
        for i in graph.inputs
    }
    doubles = {key.removeprefix("n.") or "n": torch.from_numpy(v).double() for key, v in weights.items()}
    want = case.expression(*(torch.from_numpy(v).double() for v in feeds.values()), **doubles).numpy()
    for opset in numbers_of_opsets:
        model = build(graph, weights, opset=opset)
        onnx.checker.check_model(model, full_check=True)
        for optimised in (True, False):
            assert difference(run(model, feeds, optimised), want) <= 1e-5, (opset, optimised)


@pytest.mark.parametrize("case, changed", rewritten())
def test_what_is_rewritten_computes_the_same(case: Case, changed: list[int]) -> None:
    """onnx rejects attributes, inputs and types that an op has only in later opsets."""
    check_case(case, changed)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.text} {case.inputs}")
def test_every_case_in_every_opset(case: Case) -> None:
    check_case(case, list(EVERY))


def test_the_newest_opset_and_the_ir_versions_are_those_of_onnx() -> None:
    """Only as far as the installed onnx knows them."""
    releases: dict[int, int] = {}
    for _, ir, opset, *_ in helper.VERSION_TABLE:
        releases.setdefault(opset, ir)
    known = [opset for opset in EVERY if opset in releases]
    assert {opset: opsets.ir_version(opset) for opset in known} == {opset: releases[opset] for opset in known}


def test_the_runtime_takes_the_newest_opset() -> None:
    if tuple(map(int, ort.__version__.split(".")[:2])) < (1, 32):
        pytest.skip("an older ONNX Runtime")
    graph = archdsl.load("lenet5").graph
    run(build(graph, numbers(graph), opset=opsets.NEWEST), {"input": np.zeros((1, *graph.nodes[0].shape), np.float32)})


@pytest.mark.parametrize("opset", [12, opsets.NEWEST + 1, True, "17"])
def test_what_is_no_opset(opset: Any) -> None:
    with pytest.raises(ArchError) as caught:
        opsets.checked_opset(opset, "fp32")
    assert caught.value.diagnostics[0].code == "E0002"


@pytest.mark.parametrize(
    "op, precision, opset, since",
    [("1x1 conv 4", "bf16", 21, 22), ("ln", "fp16", 16, 17), ("bn", "fp16", 14, 15)],
)
def test_what_an_opset_cannot_express(op: str, precision: Any, opset: int, since: int) -> None:
    graph = archdsl.loads(f"input: 4x8x8\nnet:\n  a: {op}\n").graph
    with pytest.raises(ArchError) as caught:
        build(graph, numbers(graph), precision=precision, opset=opset)
    assert caught.value.diagnostics[0].code == "E0870" and str(since) in str(caught.value.diagnostics[0].help)
    build(graph, numbers(graph), precision=precision, opset=since)


@pytest.mark.parametrize("pool", ["2x2 maxpool", "2x2 avgpool inside"])
def test_a_pool_after_a_pad_reads_its_zeros(pool: str) -> None:
    """ONNX Runtime fuses the two if the Pad has no list of axes, which opset 17 does not have."""
    graph = archdsl.loads(f"input: 1x4x4\nnet:\n  a: pad 2\n  b: {pool}\n").graph
    got = run(build(graph, {}, opset=17), {"input": np.full((1, 1, 4, 4), -1.0, np.float32)})
    assert got[0, 0].tolist() == [[0, 0, 0, 0], [0, -1, -1, 0], [0, -1, -1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("opset, ir", [(13, 7), (17, 8)])
def test_a_file_of_an_older_opset_is_verified_with_its_own_weights(opset: int, ir: int, tmp_path: Path) -> None:
    net = archdsl.loads("input: 3x9x9\nnet:\n  c: 3x3 conv 4 bn hardswish\n  n: ln\n  g: gelu\n  m: mean space\n")
    path = net.compile(tmp_path / "n.onnx", opset=opset, weights=numbers(net.graph), passes=()).files[0].path
    model = onnx.load(path)
    assert (model.ir_version, model.opset_import[0].version) == (ir, opset)
    assert archdsl.verify(path).passed
