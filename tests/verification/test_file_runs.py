"""`verify` runs the ONNX file unchanged, at several sizes and at the default level of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch
from click.testing import CliRunner

import archdsl
from archdsl import ops
from archdsl.backends.onnx import lower
from archdsl.backends.onnx.rules.pool import averaging
from archdsl.cli import main
from archdsl.runtime.inputs import input_text
from archdsl.runtime.session import open_session
from archdsl.shapes import at
from archdsl.verification.file_runs import FileRuns, copies_of, run_sizes

FREE = "name: free\ninput: 5x9x7\nnet:\n  a: ln\n  b: pad 1\n  c: ln\n"
CLASSES = "name: classes\ninput: 3x8x8\nnet: {c: 3x3 conv 4 bn relu, p: gap, f: fc 5}\n"
TWO = "name: two\ninput: {x: 3x8x8, y: 4}\nnet: {c: 3x3 conv 4 <- x, g: gap, f: flatten, s: 'add <- f, y'}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "free.yaml").write_text(FREE)
    (tmp_path / "classes.yaml").write_text(CLASSES)
    return tmp_path


def titles(result: archdsl.Verification) -> list[str]:
    return [run.title for run in result.file_runs]


def messages(result: archdsl.Verification) -> list[str]:
    return [f"{problem.code}: {problem.message}" for problem in result.problems]


def test_the_smallest_the_default_and_a_larger_size_run(here: Path) -> None:
    result = archdsl.verify("free.yaml")
    assert result.passed and titles(result) == ["1 x 5x1x1", "1 x 5x9x7", "2 x 5x10x8"]
    for run in result.file_runs:
        assert run.passed and run.outputs.keys() == {"onnx", "module"}
        for output in run.outputs.values():
            assert output.output == "output" and 0 < output.deviation.difference < output.deviation.tolerance < 1e-4
    assert titles(archdsl.verify("free.yaml", batch=3)) == ["1 x 5x1x1", "3 x 5x9x7", "4 x 5x10x8"]


def test_a_file_of_one_size_runs_at_several_batches(here: Path) -> None:
    assert titles(archdsl.verify("classes.yaml")) == ["1 x 3x8x8", "2 x 3x8x8"]
    assert titles(archdsl.verify("classes.yaml", batch=4)) == ["1 x 3x8x8", "4 x 3x8x8", "5 x 3x8x8"]


def test_a_compiled_file_runs_at_the_sizes_that_it_leaves_free(here: Path) -> None:
    archdsl.load("classes.yaml").to_onnx("m.onnx", free_sizes=True)
    assert titles(archdsl.verify("m.onnx", write=False)) == ["1 x 3x1x1", "1 x 3x8x8", "2 x 3x9x9"]
    archdsl.load("free.yaml").to_onnx("n.onnx", free_sizes=False)
    assert titles(archdsl.verify("n.onnx", write=False)) == ["1 x 5x9x7", "2 x 5x9x7"]


def test_several_inputs_and_outputs() -> None:
    net = archdsl.loads(TWO.replace("net:", "outputs: {total: s, image: c}\nnet:"))
    result = archdsl.verify(net)
    assert result.passed and titles(result) == ["1 x x: 3x8x8, y: 4", "2 x x: 3x8x8, y: 4"]
    assert {run.outputs["onnx"].output for run in result.file_runs} <= {"total", "image"}
    assert input_text(net.graph, {"x_H": 2, "x_W": 3}) == "x: 3x2x3, y: 4"


def test_small_outputs_have_more_perturbed_runs() -> None:
    """One value of one run may be close to 0, and would leave no tolerance."""

    def copies(classes: int) -> int:
        return copies_of(archdsl.loads(f"name: n\ninput: 3x8x8\nnet: [3x3 conv 4, gap, fc {classes}]\n").graph)

    assert [copies(classes) for classes in (1, 2, 10, 20, 31, 32, 1000)] == [4, 4, 4, 2, 2, 1, 1]
    net = archdsl.loads("name: n\ninput: 3x8x8\nnet: [3x3 conv 4 relu, 3x3 conv 8 bn relu, gap, fc 1]\n")
    assert all(archdsl.verify(net, seed=seed).passed for seed in range(12))


def test_without_the_networks_own_weights_the_module_does_not_run(here: Path) -> None:
    net = archdsl.load("classes.yaml")
    net.to_onnx("m.onnx", dict(net.weights(seed=2)))
    result = archdsl.verify("m.onnx", write=False)
    assert result.passed and [run.outputs.keys() for run in result.file_runs] == [{"onnx"}, {"onnx"}]


@pytest.mark.parametrize("precision", ["fp16"])
def test_half_precision_has_a_tolerance_of_its_own(here: Path, precision: Any) -> None:
    archdsl.load("classes.yaml").to_onnx("m.onnx", precision=precision)
    result = archdsl.verify("m.onnx", write=False)
    assert result.passed
    for run in result.file_runs:
        assert run.outputs["onnx"].deviation.tolerance > 1000 * run.outputs["module"].deviation.tolerance


def test_report_data_and_certificate_have_the_runs(here: Path) -> None:
    archdsl.load("classes.yaml").to_onnx("m.onnx")
    result = archdsl.verify("m.onnx")
    lines = result.text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("outputs"))
    assert lines[first].split() == ["outputs", "PyTorch", "module", "ONNX", "file", "unchanged"]
    assert lines[first + 1].startswith("1 x 3x8x8 ") and lines[first + 2].startswith("2 x 3x8x8 ")
    assert "every node is within its tolerance, and every output" in lines
    runs: Any = result.data()["file_runs"]
    assert [(run["batch"], run["input"], run["overflow"]) for run in runs] == [(1, "3x8x8", None), (2, "3x8x8", None)]
    assert runs[0]["onnx"]["output"] == "output" and runs[0]["onnx"]["difference"] <= runs[0]["onnx"]["tolerance"]
    again = archdsl.verify("m.onnx")
    assert again.certificate is not None and again.certificate.previous is not None
    assert [run["input"] for run in again.certificate.previous.facts["file_runs"]] == ["3x8x8", "3x8x8"]


# --- planted faults -------------------------------------------------------------------------------------------


def some_axes(e: Any, op: ops.Pad) -> None:
    """Right by itself; the transpose optimiser of ONNX Runtime permutes the pads, and not the list of axes."""
    value, axes = e.floats("value", op.value), e.ints("axes", (2, 3))
    e.last("Pad", e.x, e.ints("pads", op.sides(e.node.in_shapes[0])), value, axes, mode="constant")


def test_a_file_that_runs_only_with_all_nodes_as_outputs_does_not_pass(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(lower.TABLE, ops.Pad, some_axes)
    result = archdsl.verify("free.yaml")
    assert result.comparison.passed and not result.passed
    assert messages(result) == ["E0821: the unchanged ONNX file fails at 1 x 5x1x1"]
    assert "Gather" in result.problems[0].notes[0]
    assert "every node is within its tolerance, but not every output of the whole network" in result.text()
    assert result.text().count("FAILS") == 3
    archdsl.load("free.yaml").to_onnx("m.onnx")
    ran = CliRunner().invoke(main, ["verify", "m.onnx", "--format", "json"])
    assert ran.exit_code == 1 and '"failure": ' in ran.stdout and "E0821" in ran.stderr
    assert "verified" not in open_session(Path("m.onnx"), "cpu").inference.get_modelmeta().custom_metadata_map


GAP = "name: n\ninput: 3x8x8\nnet: {c: 2x2 conv 4, p: gap, d: 1x1 conv 2}\n"


def fixed_window(e: Any, op: ops.Gap) -> None:
    """Right at the default size: the window is the image."""
    _, height, width = e.node.in_shapes[0]
    e.last("AveragePool", e.x, **averaging((at(height), at(width)), (at(height), at(width))))


def fixed_count(e: Any, op: ops.Gap) -> None:
    """Right at the default size: the sum is divided by the number of pixels."""
    _, height, width = e.node.in_shapes[0]
    total = e.step("total", "ReduceSum", e.x, e.ints("axes", [2, 3]), keepdims=1)
    e.last("Div", total, e.floats("pixels", at(height) * at(width)))


@pytest.mark.parametrize(
    ("lowering", "message", "passed"),
    [
        (
            fixed_window,
            "the output of the unchanged ONNX file at 2 x 3x9x9 is not what the spec says",
            [True, True, False],
        ),
        (
            fixed_count,
            "the output of the unchanged ONNX file at 1 x 3x2x2 is not what the spec says",
            [False, True, False],
        ),
    ],
)
def test_a_file_that_is_right_at_one_size_does_not_pass(
    here: Path, monkeypatch: pytest.MonkeyPatch, lowering: Any, message: str, passed: list[bool]
) -> None:
    net = archdsl.loads(GAP)
    net.to_onnx("right.onnx", free_sizes=True)
    monkeypatch.setitem(lower.TABLE, ops.Gap, lowering)
    net.to_onnx("wrong.onnx", free_sizes=True)
    assert archdsl.verify("right.onnx").passed
    result = archdsl.verify("wrong.onnx")
    assert result.comparison.passed and messages(result) == [f"E0821: {message}"]
    assert [run.passed for run in result.file_runs] == passed
    assert result.certificate is not None and not result.certificate.written


def test_a_module_that_is_wrong_at_another_size_does_not_pass(here: Path) -> None:
    class Fixed(torch.nn.Module):
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Any) -> Any:
            return self.module(x) * (1.0 if x.shape[2] == 9 else 1.001)

    net = archdsl.load("free.yaml")
    net.to_onnx("m.onnx")
    runs = FileRuns(Path("m.onnx"), net.graph, net.weights(), Fixed(net.to_torch())).run()
    assert [run.outputs["module"].exceeded for run in runs] == [True, False, True]
    assert not any(run.outputs["onnx"].exceeded for run in runs)


def test_a_node_that_exceeds_its_tolerance_is_reported_once(here: Path) -> None:
    archdsl.load("classes.yaml").to_onnx("m.onnx", passes=())
    model = onnx.load("m.onnx")
    tensor = next(item for item in model.graph.initializer if item.name == "f.weight")
    array = onnx.numpy_helper.to_array(tensor).copy()
    array[2, 1] += 0.01
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    onnx.save(model, "m.onnx")
    result = archdsl.verify("classes.yaml", "m.onnx")
    assert messages(result) == ["E0821: `f` of the ONNX file does not compute what the spec says"]
    assert [run.outputs["onnx"].exceeded for run in result.file_runs] == [True, True]
    assert " OVER" in result.text() and "certificate written" not in result.text()


@pytest.mark.parametrize(
    "change", [lambda graph: graph.output.pop(), lambda graph: graph.output.append(graph.output[0])]
)
def test_another_number_of_outputs_does_not_pass(here: Path, change: Callable[[Any], Any]) -> None:
    net = archdsl.loads(CLASSES.replace("net:", "outputs: {f: f, image: c}\nnet:"))
    net.to_onnx("m.onnx", passes=())
    model = onnx.load("m.onnx")
    change(model.graph)
    onnx.save(model, "m.onnx")
    (run, *_) = FileRuns(Path("m.onnx"), net.graph, net.weights(), None).run()
    assert run.outputs["onnx"].failure and not run.passed


def test_sizes_of_runs() -> None:
    net = archdsl.loads(
        "name: n\ninput: [3, H=9, W=16]\nnet: {c: 3x3 conv 4 /2 valid, d: 2x2 maxpool, e: 2x2 deconv 4 /2}\n"
    )

    def runs(batch: int, *shape: Any) -> list[Any]:
        return run_sizes(net.graph, SimpleNamespace(inputs={"input": shape}), batch)  # type: ignore[arg-type]

    assert runs(2, "N", 3, "H", "W") == [(1, {"H": 5, "W": 5}), (2, {"H": 9, "W": 16}), (3, {"H": 10, "W": 17})]
    assert runs(1, "N", 3, 9, "W")[0] == (1, {"H": 9, "W": 5})
    assert runs(2, 1, 3, 9, "W") == [(2, {"H": 9, "W": 16})]
