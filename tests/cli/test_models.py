"""Commands take a model where they take a SPEC: an ONNX file, or a factory of PyTorch modules.

Tests `archdsl.spec.models`, `archdsl.frontends.models`, `archdsl.network.own_model`, `archdsl.network.metadata`,
`archdsl.differences.structure` and `archdsl.verification.foreign` through the commands.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError


def cli(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A small classifier that archdsl did not write."""
    draw = np.random.default_rng(0)
    weights = {"c.weight": (8, 3, 3, 3), "c.bias": (8,), "f.weight": (4, 8), "f.bias": (4,)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "c.weight", "c.bias"], ["h"], name="c", pads=[1] * 4),
            helper.make_node("Relu", ["h"], ["r"], name="r"),
            helper.make_node("GlobalAveragePool", ["r"], ["g"], name="g"),
            helper.make_node("Flatten", ["g"], ["v"], name="v"),
            helper.make_node("Gemm", ["v", "f.weight", "f.bias"], ["y"], name="f", transB=1),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )
    path = tmp_path / "foreign.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


SIZE = ("--input", "3x16x16")
NOTE = "note[N0850]: outputs not compared"


@pytest.mark.parametrize(
    "command",
    [
        "params {}",
        "check {}",
        "compare resnet18 {}",
        "passes {}",
        "diagram {} -o - --format dot",
        "expand {}",
        "expand {} --flat",
    ],
)
def test_commands_read_a_model(command: str, foreign: Path) -> None:
    done = cli(*command.format(foreign).split(), "--input", "3x64x64")
    assert done.exit_code == 0, done.output
    assert NOTE in done.stderr


def test_a_compiled_model_has_the_weights_of_its_model(foreign: Path, tmp_path: Path) -> None:
    """They compute the same, and the outputs were compared."""
    done = cli("compile", str(foreign), *SIZE, "-o", str(tmp_path / "b.onnx"))
    assert done.exit_code == 0 and "imported from foreign.onnx" in done.stderr and "N0850" not in done.stderr
    x = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)
    a, b = (
        session.run(None, {session.get_inputs()[0].name: x})[0]
        for session in map(onnxruntime.InferenceSession, (str(foreign), str(tmp_path / "b.onnx")))
    )
    assert np.allclose(a, b, atol=1e-5)


def test_a_file_by_archdsl_is_its_own_spec(tmp_path: Path) -> None:
    """With its blocks, arguments and weights, without a note."""
    net = archdsl.load("lenet5")
    net.to_onnx(tmp_path / "a.onnx", seed=3)
    again = archdsl.load(tmp_path / "a.onnx")
    assert again.fingerprint == net.fingerprint
    assert all(np.array_equal(again.weights()[key], net.weights(seed=3)[key]) for key in net.weights())
    done = cli("params", str(tmp_path / "a.onnx"), "--format", "json")
    assert done.exit_code == 0 and not done.stderr
    assert json.loads(done.stdout)["totals"] == json.loads(cli("params", "lenet5", "--format", "json").stdout)["totals"]


def test_a_factory_is_a_spec_on_the_command_line_only() -> None:
    done = cli("params", "torchvision.models:squeezenet1_1", "--input", "3x64x64", "-a", "num_classes=7")
    assert done.exit_code == 0, done.output
    assert NOTE in done.stderr and "7 x" in done.stdout
    with pytest.raises(ArchError, match="which only the command line calls"):
        archdsl.load("torchvision.models:squeezenet1_1", input="3x64x64")


def test_expanded_models_are_specs_of_the_same_network(foreign: Path, tmp_path: Path) -> None:
    archdsl.load("lenet5").to_onnx(tmp_path / "own.onnx")
    for model, size in ((foreign, SIZE), (tmp_path / "own.onnx", ())):
        expected = archdsl.load(model, input="3x16x16" if size else None)
        for form in ((), ("--flat",)):
            text = cli("expand", str(model), *size, *form).stdout
            assert archdsl.loads(text).params == expected.params and "op: conv" in text


def test_a_factory_is_timed() -> None:
    arguments = ("--input", "3x64x64", "--seconds", "0.1", "--against", "torch", "--format", "json")
    done = cli("bench", "torchvision.models:squeezenet1_1", *arguments)
    assert done.exit_code == 0, done.output
    assert [one["contestant"] for one in json.loads(done.stdout)["timings"]] == ["archdsl", "torch"]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["params", "missing.onnx"], 2, "E0805"),
        (["params", "no_such_package:net", *SIZE], 2, "E0844"),
        (["params", "torchvision.models:resnet18"], 2, "E0846"),
        (["params", "{foreign}"], 2, "E0846"),
        (["params", "{foreign}", *SIZE, "-a", "n=1"], 2, "E0003"),
        (["check", "missing.onnx"], 2, "E0805"),
        (["expand", "missing.onnx"], 2, "E0805"),
    ],
)
def test_wrong_models(arguments: list[str], status: int, code: str, foreign: Path) -> None:
    done = cli(*(word.format(foreign=foreign) for word in arguments))
    assert (done.exit_code, code in done.output) == (status, True), done.output


SPEC = "input: 3x16x16\nnet: {stem: 3x3 conv 8 relu, pool: gap, head: fc 4}"


@pytest.mark.parametrize(
    ("net", "status"),
    [
        ("{a: 3x3 conv 8 relu, g: gap, f: fc 4}", 0),
        ("{a: 3x3 conv 9 relu, g: gap, f: fc 4}", 1),
        ("{a: 3x3 conv 8 relu6, g: gap, f: fc 4}", 1),
        ("{a: 3x3 conv 8 /2 relu, g: gap, f: fc 4}", 1),
        ("{a: 3x3 conv 8 bias=false relu, g: gap, f: fc 4}", 1),
        ("{a: 3x3 conv 8 dilation=2 relu, g: gap, f: fc 4}", 1),
        ("{a: 3x3 conv 8 relu, g: gmp, f: fc 4}", 1),
    ],
)
def test_diff_answers_what_a_foreign_file_is(net: str, status: int, foreign: Path, tmp_path: Path) -> None:
    """By structure: names do not matter, every field does."""
    (tmp_path / "a.yaml").write_text(f"input: 3x16x16\nnet: {net}")
    done = cli("diff", str(tmp_path / "a.yaml"), str(foreign), *SIZE)
    assert done.exit_code == status, done.output
    assert ("compared by structure" in done.stdout) == (status == 0)


def test_verify_puts_the_weights_of_a_foreign_file_into_the_spec(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    before = foreign.read_bytes()
    for sources in ([str(tmp_path / "a.yaml"), str(foreign)], [str(foreign)]):
        done = cli("verify", *sources, *SIZE)
        assert done.exit_code == 0 and "weights imported from foreign.onnx" in done.stdout, done.output
    (tmp_path / "b.yaml").write_text(SPEC.replace("relu", "relu6"))
    done = cli("verify", str(tmp_path / "b.yaml"), str(foreign), *SIZE)
    assert done.exit_code == 1 and "E0822" in done.stderr
    assert foreign.read_bytes() == before


def test_norms_are_folded_for_a_comparison_only_where_one_side_has_none(foreign: Path, tmp_path: Path) -> None:
    """A norm with another epsilon is a difference; a file with folded norms cannot show it."""
    spec = SPEC.replace("8 relu", "8 bn relu")
    (tmp_path / "a.yaml").write_text(spec)
    done = cli("diff", str(tmp_path / "a.yaml"), str(foreign), *SIZE)
    assert done.exit_code == 0 and "with the norms of both folded" in done.stdout, done.output
    model = onnx.load(foreign)
    names = ["n.weight", "n.bias", "n.mean", "n.var"]
    for name in names:
        model.graph.initializer.append(numpy_helper.from_array(np.ones(8, np.float32), name))
    norm = helper.make_node("BatchNormalization", ["h", *names], ["n"], name="n", epsilon=1e-3)
    model.graph.node.insert(1, norm)
    model.graph.node[2].input[0] = "n"
    model.graph.node[0].input[:] = ["x", "c.weight"]
    onnx.save(model, foreign)
    done = cli("diff", str(tmp_path / "a.yaml"), str(foreign), *SIZE)
    assert done.exit_code == 1 and "eps" in done.stdout, done.output
    (tmp_path / "a.yaml").write_text(spec.replace("8 bn relu", "8 bias=false, n: bn eps=0.001 relu"))
    done = cli("diff", str(tmp_path / "a.yaml"), str(foreign), *SIZE)
    assert done.exit_code == 0, done.output
