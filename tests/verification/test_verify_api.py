"""`archdsl.verify` from Python: typed results, the certificate, progress, and wrong arguments with their codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.verification.report import ARTEFACTS

SPEC = "name: tiny\ninput: 3x8x8\nnet: {c: 3x3 conv 4 bn relu, p: gap, f: fc 5}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path


def compiled(name: str = "tiny.onnx", seed: int = 3, change: float = 0.0) -> Path:
    """A model without passes; `change` is added to one weight of `f`."""
    archdsl.load("tiny.yaml").to_onnx(name, seed=seed, passes=())
    if change:
        model = onnx.load(name)
        tensor = next(item for item in model.graph.initializer if item.name == "f.weight")
        array = numpy_helper.to_array(tensor).copy()
        array[2, 1] += change
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        onnx.save(model, name)
    return Path(name)


def test_a_spec_and_a_network_give_the_same_result(here: Path) -> None:
    of_spec = archdsl.verify("tiny.yaml", seed=2, batch=3)
    of_network = archdsl.verify(archdsl.load("tiny.yaml"), seed=2, batch=3)
    assert of_spec.data() == of_network.data()
    assert of_spec.passed and of_spec.problems == () and of_spec.model is None and of_spec.certificate is None
    assert (of_spec.seed, of_spec.batch, of_spec.weights) == (2, 3, "random, seed 2")
    assert [node.path for node in of_spec.nodes] == ["c.conv", "c.bn", "c/relu", "p", "f/flatten", "f"]
    assert set(of_spec.worst) == set(ARTEFACTS) and of_spec.worst["module"].nodes == 5
    assert all(worst.exceeded == 0 and worst.difference <= worst.tolerance for worst in of_spec.worst.values())


def test_results_are_frozen(here: Path) -> None:
    result = archdsl.verify("tiny.yaml")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.seed = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        result.nodes[0].path = ""  # type: ignore[misc]


def test_arguments_and_input_size_are_those_of_load(here: Path) -> None:
    result = archdsl.verify("lenet5", args={"classes": 3}, input=(1, 28, 28))
    assert result.network.classes == 3 and result.network.input == (1, 28, 28) and result.passed


def test_a_wrong_weight_is_a_problem_of_the_node_that_has_it(here: Path) -> None:
    result = archdsl.verify("tiny.yaml", compiled(change=0.01), seed=3)
    assert not result.passed and [problem.code for problem in result.problems] == ["E0821"]
    failing = [node for node in result.nodes if node.failing]
    assert [(node.path, node.op, node.failing) for node in failing] == [("f", "fc", ("onnx",))]
    deviation = failing[0].deviations["onnx"]
    assert deviation.exceeded and deviation.difference > deviation.tolerance
    assert result.worst["onnx"].path == "f" and result.worst["onnx"].exceeded == 1
    assert result.certificate is not None and not result.certificate.written, "a model that fails gets no certificate"
    assert "f" in result.text() and "not every node" in result.text()


def test_the_certificate_is_written_repeated_and_renewed(here: Path) -> None:
    model = compiled()
    before = model.read_bytes()
    unwritten = archdsl.verify(model, write=False)
    assert unwritten.certificate is not None and unwritten.certificate.previous is None
    assert model.read_bytes() == before
    first = archdsl.verify("tiny.yaml", model, weights=dict(archdsl.load("tiny.yaml").weights(seed=3)), seed=8, batch=2)
    assert first.certificate is not None and first.certificate.written
    again = archdsl.verify(model)
    assert (again.seed, again.batch) == (8, 2), "the certificate's are the defaults"
    assert again.certificate is not None and again.certificate.matches and not again.certificate.written
    assert again.certificate.previous is not None and again.certificate.previous.facts["worst"]["onnx"]["exceeded"] == 0
    other = archdsl.verify(compiled("other.onnx", seed=4), write=True)
    assert other.certificate is not None and other.certificate.written
    proto = onnx.load("other.onnx")
    proto.doc_string = "changed"
    onnx.save(proto, "other.onnx")
    changed = archdsl.verify("other.onnx")
    assert [problem.code for problem in changed.problems] == ["E0822"] and not changed.passed
    assert changed.certificate is not None and changed.certificate.mismatches == ("file contents",)
    renewed = archdsl.verify("other.onnx", renew=True)
    assert renewed.passed and renewed.certificate is not None and renewed.certificate.written


def test_spec_and_model_in_either_order(here: Path) -> None:
    model = compiled()
    one, other = archdsl.verify("tiny.yaml", model, write=False), archdsl.verify(model, "tiny.yaml", write=False)
    assert one.data() == other.data() and one.model == model


def test_progress_counts_to_the_number_of_all(here: Path) -> None:
    calls: list[tuple[int, int]] = []
    archdsl.verify("tiny.yaml", progress=lambda done, total: calls.append((done, total)))
    done = [done for done, _ in calls]
    assert done == sorted(done) and calls[-1][0] == calls[-1][1] and len({total for _, total in calls}) == 1


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: archdsl.verify("a.onnx", "b.onnx"), "E0003"),
        (lambda: archdsl.verify("tiny.yaml", "tiny.yaml"), "E0003"),
        (lambda: archdsl.verify("a.onnx", args={"classes": 3}), "E0003"),
        (lambda: archdsl.verify(archdsl.load("tiny.yaml"), args={"classes": 3}), "E0003"),
        (lambda: archdsl.verify(archdsl.load("tiny.yaml"), input="3x9x9"), "E0003"),
        (lambda: archdsl.verify("tiny.yaml", batch=0), "E0002"),
        (lambda: archdsl.verify("tiny.yaml", batch=True), "E0002"),
        (lambda: archdsl.verify("tiny.yaml", seed=-1), "E0002"),
        (lambda: archdsl.verify("tiny.yaml", seed=1.5), "E0002"),  # type: ignore[arg-type]
        (lambda: archdsl.verify("missing.onnx"), "E0805"),
        (lambda: archdsl.verify("nosuchnet"), "E0205"),
        (lambda: archdsl.verify("tiny.yaml", weights="missing.safetensors"), "E0607"),
    ],
)
def test_wrong_arguments_raise_their_code(here: Path, call: Callable[[], object], code: str) -> None:
    with pytest.raises(ArchError) as caught:
        call()
    assert [problem.code for problem in caught.value.diagnostics] == [code]
