"""Values that cancel have a sound tolerance, values that overflow are reported as such, and faults are still found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import archdsl
from archdsl.backends.torch.module import to_torch
from archdsl.backends.weights import Array, load, save
from archdsl.cli import main
from archdsl.runtime.inputs import seeded_inputs
from archdsl.verification.compare import NodeComparison, compare_nodes
from archdsl.verification.observe import module_values
from archdsl.verification.reference import reference_values
from archdsl.verification.tolerance import ROUNDOFF
from tests.support.overflowing import DEEP


def network(*lines: str, input: str = "5x9x7") -> archdsl.Network:
    nodes = "".join(f"  n{number}: {line}\n" for number, line in enumerate(lines))
    return archdsl.loads(f"name: net\ninput: {input}\nnet:\n{nodes}")


def compared(net: archdsl.Network, weights: Mapping[str, Array], wrong: Mapping[str, Array]) -> NodeComparison:
    """The module with the wrong weights against the reference with the right ones."""
    inputs = seeded_inputs(net.graph)
    values = module_values(to_torch(net.graph, wrong), net.graph, inputs)
    return compare_nodes(net.graph, weights, inputs, {"module": values})


# --- cancellation ---------------------------------------------------------------------------------------------

CANCEL = [
    ("ln", "pad 2 channels=[2,2]", "ln"),  # the mean is 0 but for rounding, and so are the channels of zeros
    ("ln", "pad 0 channels=[2,2]", "gn 3"),
    ("instancenorm", "gap", "ln"),
    ("instancenorm", "pad 1 channels=[0,3]", "gn 2"),
    ("affine 0 5", "instancenorm"),  # a constant: its variance is 0
    ("affine 0 0.1", "ln", "ln"),
    ("affine -1 1e4", "gn 1"),
]


@pytest.mark.parametrize("lines", CANCEL, ids=" | ".join)
def test_values_that_cancel_are_within_their_tolerance(lines: tuple[str, ...]) -> None:
    for seed in range(3):
        result = archdsl.verify(network(*lines), seed=seed, batch=2)
        assert result.passed, result.text(every=True)


def test_the_tolerance_of_a_mean_follows_from_the_values_that_it_adds() -> None:
    """Channel 0 holds zeros minus the mean: its values are rounding, their tolerance is that of the other channels."""
    net = network("ln", "pad 0 channels=[2,2]", "ln")
    inputs = seeded_inputs(net.graph)
    known = module_values(net.to_torch(), net.graph, inputs)
    *_, last = reference_values(net.graph, net.weights(), inputs, known=known)
    size = np.abs(last.value).max((0, 2, 3))
    absolute = size * last.tolerances
    assert size[0] < 1e-6 < 1 < size[4] and last.tolerances[0] > 0.1 > 1e-5 > last.tolerances[4]
    assert 1e-8 < absolute[0] < absolute[4] < 5e-6


def test_a_single_value_whose_terms_cancel_is_within_its_tolerance() -> None:
    """Three products of about 1 leave 0.02; the other values of the channel are 0, and say nothing of rounding."""
    net = network("3x3 dwconv /2 nobias", "bn", "relu", input="40x14x14")
    draw = np.random.default_rng(0)
    weights = {key: value.copy() for key, value in net.weights().items()}
    image = np.zeros((1, 40, 14, 14), np.float32)
    for channel in range(40):
        image[0, channel, 12, 12:], image[0, channel, 13, 13] = draw.uniform(0.5, 3.5, 2), draw.uniform(0.5, 3.5)
        kernel = draw.uniform(0.2, 1, (3, 3)).astype(np.float32)
        if channel < 10:  # the tolerances of the others are smaller, and their median, too
            kernel[2, 2] = (0.02 - (kernel[1, 1:] * image[0, channel, 12, 12:]).sum()) / image[0, channel, 13, 13]
        weights["n0.weight"][channel, 0] = kernel
    _, conv, norm, _ = reference_values(net.graph, weights, {"input": image})
    for reference in (conv, norm):
        absolute = (reference.tolerances * np.abs(reference.value).max((0, 2, 3)))[:10]
        assert absolute.min() > 8 * ROUNDOFF["float32"], "the terms are about 3, and so are their partial sums"


@pytest.mark.parametrize("channel", range(5))
@pytest.mark.parametrize("key", ["n2.weight", "n2.bias"])
def test_a_wrong_weight_of_a_norm_is_found_beside_values_that_cancel(key: str, channel: int) -> None:
    net = network("ln", "pad 0 channels=[2,2]", "ln")
    weights = dict(net.weights())
    wrong = {**weights, key: weights[key].copy()}
    wrong[key][channel + 2] += 1e-4
    (*_, last) = compared(net, weights, wrong).nodes
    assert last.path == "n2" and last.failing == ("module",) and last.deviations["module"].channel == channel + 2


def test_a_wrong_bias_is_found_in_a_channel_of_zeros() -> None:
    """All its values are rounding; a bias of 1e-5 is more than that."""
    net = network("ln", "pad 0 channels=[2,2]", "ln")
    weights = dict(net.weights())
    wrong = {**weights, "n2.bias": weights["n2.bias"].copy()}
    wrong["n2.bias"][0] += 1e-5
    (*_, last) = compared(net, weights, wrong).nodes
    assert last.failing == ("module",) and last.deviations["module"].channel == 0


# --- overflow -------------------------------------------------------------------------------------------------

OVERFLOW = [
    (("affine 1e20", "affine 1e20", "relu", "gap"), "n1", "its values reach"),
    (("affine 1e38", "3x3 conv 4 relu", "gap"), "n0", "its values reach"),
    (("affine 1e25", "ln", "relu"), "n1", "an intermediate result is too large"),  # ONNX Runtime gives 0
    (("affine 1e25", "gn 1", "relu"), "n1", "an intermediate result is too large"),
    (("affine 1e25", "instancenorm", "relu"), "n1", "an intermediate result is too large"),
    (("affine 0 1e38", "gap", "relu"), "n1", "an intermediate result is too large"),  # the sum, not the mean
    (("affine 1e25", "lrn", "relu"), "n1", "an intermediate result is too large"),
]


@pytest.mark.parametrize(("lines", "node", "why"), OVERFLOW)
def test_an_overflow_is_no_difference(lines: tuple[str, ...], node: str, why: str) -> None:
    result = archdsl.verify(network(*lines), batch=2)
    (problem,) = result.problems
    assert not result.passed and problem.code == "E0824"
    weighted = any(word in line for line in lines for word in ("conv", "ln", "gn"))
    given = "with random weights, " if weighted else ""
    assert problem.message == f"{given}the values overflow float32 at `{node}`"
    assert problem.label.startswith(why) and "3.4e+38" in problem.label
    in_file = f"n{int(node[1:]) + 1}" if node in result.absent else node  # the affine is folded into the conv
    paths = {name: overflow.path for name, overflow in result.comparison.overflows.items()}
    assert paths == {"module": node, "source": node, "onnx": in_file}
    assert result.comparison.within and result.file_runs == ()
    listed, before = [compared.path for compared in result.nodes], [f"n{n}" for n in range(int(node[1:]))]
    assert listed[: len(before)] == before and node not in listed
    assert f"every node before the overflow at `{node}` is within its tolerance" in result.text()
    assert result.data()["overflows"]["onnx"]["path"] == in_file  # type: ignore[index]


def test_random_weights_of_a_deep_preactivation_network_and_smaller_ones() -> None:
    net = archdsl.loads(DEEP)
    result = archdsl.verify(net)
    (problem,) = result.problems
    assert problem.code == "E0824"
    assert problem.message.startswith("with random weights, the values overflow float32 at `body.")
    assert "--weights FILE" in problem.help and "value / 2 if value.ndim > 1" in problem.help
    assert len(result.nodes) > 100 and result.comparison.within
    smaller = {key: value / 2 if value.ndim > 1 else value for key, value in net.weights().items()}
    assert archdsl.verify(net, weights=smaller).passed, "as the help says"


def test_an_overflow_of_given_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("n.yaml").write_text("name: n\ninput: 3x8x8\nnet: {c: 3x3 conv 4, d: 3x3 conv 4, g: gap}\n")
    net = archdsl.load("n.yaml")
    save(net.weights({key: value * 1e25 for key, value in net.weights().items()}), "w.safetensors")
    assert max(np.abs(value).max() for value in load("w.safetensors").values()) > 1e23
    ran = CliRunner().invoke(main, ["verify", "n.yaml", "--weights", "w.safetensors"])
    assert ran.exit_code == 1 and "error[E0824]: with these weights, the values overflow float32 at `d`" in ran.stderr
    assert "E0821" not in ran.stderr


def test_half_precision_overflows_earlier(tmp_path: Path) -> None:
    net = network("3x3 conv 4", "affine 1e5", "relu", input="3x8x8")
    model = net.to_onnx(tmp_path / "m.onnx", precision="fp16").path
    result = archdsl.verify(model, write=False)
    assert [problem.code for problem in result.problems] == ["E0824"] and "float16 at `n1`" in result.problems[
        0
    ].message
    assert result.comparison.overflows.keys() == {"onnx"} and "fp32" in result.problems[0].help


def test_a_folded_node_does_not_overflow(tmp_path: Path) -> None:
    """The file has neither the 1e5 nor the 1e-4, only their product."""
    net = network("3x3 conv 8", "affine 1e5", "affine 1e-4", "gap", "fc 4", input="3x8x8")
    model = net.to_onnx(tmp_path / "m.onnx", precision="fp16").path
    result = archdsl.verify(net, model)
    assert result.passed and result.absent == ("n0", "n1"), result.text()
    unfolded = net.to_onnx(tmp_path / "n.onnx", precision="fp16", passes=()).path
    assert archdsl.verify(net, unfolded).comparison.overflows["onnx"].path == "n1"


def test_an_overflow_at_another_size_is_not_a_passed_run() -> None:
    """The mean of each window with padding is smaller than that of a window without, which 2 x 2 pixels do not have."""
    text = "name: n\ninput: 1x2x2\nnet: {a: affine 0 3e37, b: [3x3 avgpool /1 pad=1, affine 20], g: relu}\n"
    result = archdsl.verify(archdsl.loads(text))
    run = next(run for run in result.file_runs if run.overflow is not None)
    (problem,) = result.problems
    assert f"but the values overflow at {run.title}" in result.text() and "every output" not in result.text()
    assert problem.code == "E0824" and problem.message == "the values overflow float32 at `b.1`"
    assert problem.help == "write smaller constants in the spec"


def test_infinite_values_of_an_artefact_alone_are_a_difference() -> None:
    net = network("3x3 conv 4", "1x1 conv 4", "relu", input="3x8x8")
    weights = dict(net.weights())
    result = compared(net, weights, {**weights, "n0.weight": weights["n0.weight"] * np.float32(1e38)})
    assert [node.path for node in result.nodes if node.failing] == ["n0"], "what reads it cannot be compared"
    assert not result.overflows


def test_a_fault_before_an_overflow_is_found() -> None:
    net = network("3x3 conv 4", "affine 1e30", "affine 1e30", input="3x8x8")
    weights = dict(net.weights())
    wrong = {**weights, "n0.weight": weights["n0.weight"].copy()}
    wrong["n0.weight"][1, 1, 1, 1] += 1e-3
    result = compared(net, weights, wrong)
    assert [node.path for node in result.nodes if node.failing] == ["n0"] and not result.within
    assert result.overflows["module"].path == "n2"
