"""Specs imported from ONNX files and PyTorch modules, compared with the outputs of the original models.

Tests `frontends/arrange.py`, `cli/import_.py`, `frontends/constants.py`, `frontends/archdsl_files.py`,
`frontends/state.py`, `frontends/onnx_ops/__init__.py`, `frontends/onnx_ops/layers.py`, `frontends/onnx_ops/pools.py`,
`frontends/onnx_ops/shapes.py` and `frontends/onnx_ops/values.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper
from onnx.tools import update_model_dims
from torch import nn

import archdsl
from archdsl import load, loads
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.frontends.importing import ImportedModel
from archdsl.frontends.limits import limited
from archdsl.frontends.onnx_model import SourceModel, from_proto, read
from archdsl.frontends.to_spec import to_spec


def cli(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def scattered(module: nn.Module) -> nn.Module:
    """The module with random batch statistics."""
    for inner in module.modules():
        if isinstance(inner, nn.BatchNorm2d):
            inner.running_mean.normal_(0, 0.1)
            inner.running_var.uniform_(0.5, 2.0)
    return module.eval()


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def spec_of(model: SourceModel, size: tuple[int, ...]) -> Any:
    return to_spec(model, "net", dict.fromkeys(model.shapes, size), "test")


LONG = ("alexnet_2012", "densenet_bc100_k12")


@pytest.mark.parametrize(
    "spec",
    ["resnet18", "lenet5", "mobilenet_v3_small", "unet", *[pytest.param(n, marks=pytest.mark.slow) for n in LONG]],
)
@pytest.mark.parametrize("flat", [False, True], ids=["own", "flat"])
def test_files_by_archdsl(spec: str, flat: bool, tmp_path: Path) -> None:
    """A file by archdsl gives back its spec; with `--flat`, a spec with the same outputs."""
    size = {"unet": "1x64x64", "resnet18": "3x64x64", "mobilenet_v3_small": "3x64x64"}.get(spec)
    net = load(spec, input=size)
    model = tmp_path / "a.onnx"
    net.to_onnx(model, seed=1)
    weights = tmp_path / "w.safetensors"
    done = cli(
        "import", str(model), "-o", str(tmp_path / "b.yaml"), *(["--flat"] if flat else ["--weights", str(weights)])
    )
    assert done.exit_code == 0, done.output
    if not flat:
        again = load(tmp_path / "b.yaml")
        assert again.fingerprint == net.fingerprint
        again.to_onnx(tmp_path / "b.onnx", weights)
        before, after = (onnx.load(tmp_path / f"{n}.onnx").graph for n in "ab")
        assert before == after, "the same file again, to the last bit of every number"
        return
    imported = spec_of(read(model), net.input)
    imported.text and loads(imported.text).to_onnx(tmp_path / "b.onnx", dict(imported.weights()))
    x = np.random.default_rng(0).normal(size=(2, *net.input)).astype(np.float32)
    outputs = [ort.InferenceSession(tmp_path / f"{n}.onnx").run(None, {"input": x})[0] for n in "ab"]
    assert np.abs(outputs[0] - outputs[1]).max() <= 1e-6 * np.abs(outputs[0]).max()


def test_layer_norms_by_archdsl(tmp_path: Path) -> None:
    """Each, with the mean that is subtracted before it, is one `ln`."""
    net = loads("input: 3x8x8\nnet: {c: 3x3 conv 4, n: ln, g: gap, f: flatten, m: ln}")
    net.to_onnx(tmp_path / "a.onnx", seed=1)
    imported = spec_of(read(tmp_path / "a.onnx"), net.input)
    again = loads(imported.text)
    assert [node.op.name for node in again.graph.nodes] == [node.op.name for node in net.graph.nodes]
    again.to_onnx(tmp_path / "b.onnx", dict(imported.weights()))
    before, after = (onnx.load(tmp_path / f"{n}.onnx").graph for n in "ab")
    assert [n.op_type for n in before.node] == [n.op_type for n in after.node]


FOLDS = """
name: folds
input: 3x16x16
net:
  c: 3x3 conv 8 valid bias
  b: bn relu
  d: 3x3 conv 8 groups=2 nobias
  n: bn eps=0.01 affine=false
  s: scale 0.5
  r: relu
  t: 2x2 deconv 6 /2 bn
  q: prelu
  w: bn
  e: 1x1 fc 5
  g: gap
  fc: fc 4
"""


def test_folded_norms_come_back_neutral(tmp_path: Path) -> None:
    """Other weights, the same outputs, and compiled again the same file."""
    net = loads(FOLDS)
    rng = np.random.default_rng(0)
    numbers = {t.key: rng.uniform(0.5, 1.5, t.param.shape).astype(t.param.dtype) for t in net.graph.tensors}
    net.to_onnx(tmp_path / "a.onnx", numbers)
    done = cli(
        "import", str(tmp_path / "a.onnx"), "-o", str(tmp_path / "b.yaml"), "--weights", str(tmp_path / "w.safetensors")
    )
    assert done.exit_code == 0 and "N0601" in done.stderr
    again = load(tmp_path / "b.yaml")
    again.to_onnx(tmp_path / "b.onnx", tmp_path / "w.safetensors")
    assert onnx.load(tmp_path / "a.onnx").graph == onnx.load(tmp_path / "b.onnx").graph
    x = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert distance(again.to_torch(tmp_path / "w.safetensors")(x), net.to_torch(numbers)(x)) <= 1e-5


@pytest.mark.parametrize(
    "net",
    [
        "a: affine 0.5, c: 3x3 conv 4",
        "a: 'affine [1,2,3] [0.5,-0.25,2]', c: 1x1 conv 6",
        "c: 3x3 conv 4, a: 'affine 1 [1,2,3,4]'",
        "c: 3x3 conv 4 nobias, a: 'affine 3 [1,2,3,4]'",
        "c: 3x3 conv 4 bn linear, a: affine 0.17 2, s: scale 0.5",
        "c: 3x3 conv 4 nobias, n: bn affine=false, a: 'affine [1,2,3,-4] 0.5'",
        "p: 1x1 conv 4, a: affine 2 -1, b: bn, d: 2x2 deconv 6 /2 groups=2",
        "g: gap, a: affine 0.1 1, fc: fc 5",
    ],
)
def test_constants_are_divided_out(net: str, tmp_path: Path) -> None:
    imported = loads(f"input: 3x8x8\nnet: {{{net}}}")
    rng = np.random.default_rng(0)
    numbers = {t.key: rng.uniform(0.5, 1.5, t.param.shape).astype(t.param.dtype) for t in imported.graph.tensors}
    imported.to_onnx(tmp_path / "a.onnx", numbers)
    weights = tmp_path / "w.safetensors"
    done = cli("import", str(tmp_path / "a.onnx"), "-o", str(tmp_path / "b.yaml"), "--weights", str(weights))
    assert done.exit_code == 0, done.output
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert distance(load(tmp_path / "b.yaml").to_torch(weights)(x), imported.to_torch(numbers)(x)) <= 2e-6


@pytest.mark.parametrize("net", ["p: relu, b: bn, c: 1x1 conv 4 nobias", "c: 3x3 conv 4, a: affine 0"])
def test_tensors_that_cannot_be_separated(net: str, tmp_path: Path) -> None:
    imported = loads(f"input: 3x8x8\nnet: {{{net}}}")
    numbers = {t.key: np.ones(t.param.shape, t.param.dtype) for t in imported.graph.tensors}
    imported.to_onnx(tmp_path / "a.onnx", numbers)
    done = cli(
        "import", str(tmp_path / "a.onnx"), "-o", str(tmp_path / "b.yaml"), "--weights", str(tmp_path / "w.safetensors")
    )
    assert done.exit_code == 1 and "E0845" in done.stderr
    assert cli("import", str(tmp_path / "a.onnx"), "-o", str(tmp_path / "b.yaml")).exit_code == 0


def test_tensors_that_no_output_needs_start_anew(tmp_path: Path) -> None:
    """Files do not contain them, not even with `-O0`; it was said that they cannot be restored."""
    net = loads("input: 3x8x8\nnet: {a: 3x3 conv 4 bn, b: '1x1 conv 2 <- input', c: relu <- a}")
    net.to_onnx(tmp_path / "a.onnx", seed=3, passes=[])
    weights = archdsl.import_model(tmp_path / "a.onnx").weights
    assert set(weights) == {tensor.key for tensor in net.graph.tensors}
    assert np.array_equal(weights["a.conv.weight"], net.weights(seed=3)["a.conv.weight"])


def test_weights_come_along(tmp_path: Path) -> None:
    done = cli(
        "import",
        "torchvision.models:squeezenet1_1",
        "--input",
        "3x64x64",
        "-o",
        str(tmp_path / "s.yaml"),
        "--weights",
        str(tmp_path / "s.safetensors"),
    )
    assert done.exit_code == 0, done.output
    net = load(tmp_path / "s.yaml")
    assert net.name == "squeezenet1_1"
    assert net.params == load("squeezenet1_1").params
    net.weights(tmp_path / "s.safetensors")


def test_a_file_is_read_and_compared_without_torch(tmp_path: Path) -> None:
    loads("name: n\ninput: 3x8x8\nnet: {c: 3x3 conv 4 bn relu, g: gap, f: fc 2}").to_onnx(tmp_path / "n.onnx")
    code = "import sys; sys.modules['torch'] = None\nimport archdsl\n"
    code += "print(archdsl.import_model('n.onnx').check.sizes, archdsl.load('n.onnx').totals.params)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "('3 x 3x8x8', '1 x 3x8x8') 126\n", done.stderr


def test_factory_arguments() -> None:
    done = cli("import", "torchvision.models:squeezenet1_1", "--input", "3x64x64", "-a", "num_classes=7")
    assert done.exit_code == 0
    assert "conv 7" in done.output


def onnx_model(*nodes: Any, size: tuple[int, ...] = (4, 8, 8), constants: dict[str, Any] | None = None) -> SourceModel:
    """A model of the given nodes, from `x` to `y`."""
    tensors = [onnx.numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors,
    )
    return from_proto(helper.make_model(graph))


def test_each_unsupported_node_is_one_error() -> None:
    model = onnx_model(
        helper.make_node("Nonsense", ["x"], ["a"], name="odd"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Det", ["b"], ["y"]),
    )
    with pytest.raises(ArchError) as caught:
        spec_of(model, (4, 8, 8))
    assert [d.code for d in caught.value.diagnostics] == ["E0842", "E0842"]
    assert "Nonsense` `odd`" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (helper.make_node("Concat", ["x", "x"], ["y"], axis=2), "channels"),
        (helper.make_node("Softmax", ["x"], ["y"], axis=3), "not the channel axis"),
        (helper.make_node("Transpose", ["x"], ["y"], perm=[0, 1, 3, 2]), "no op of a spec moves the numbers"),
        (helper.make_node("Conv", ["x", "x"], ["y"]), "not a constant"),
    ],
)
def test_no_guess(node: Any, why: str) -> None:
    with pytest.raises(ArchError) as caught:
        spec_of(onnx_model(node), (4, 8, 8))
    assert why in caught.value.diagnostics[0].message


def test_control_flow_is_refused() -> None:
    inner = helper.make_graph([], "inner", [], [])
    with pytest.raises(ArchError) as caught:
        onnx_model(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
    assert caught.value.diagnostics[0].code == "E0841"
    with pytest.raises(ArchError) as caught:
        onnx_model(helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft"))
    assert caught.value.diagnostics[0].code == "E0841"


def test_hostile_names_and_numbers() -> None:
    """Names become harmless words; constants of a wrong shape are an error."""
    name = 'a"b\n: {x} <script>'
    model = onnx_model(
        helper.make_node(
            "Conv", ["x", name], ["h"], name="/forward/train.0/Conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]
        ),
        helper.make_node("Relu", ["h"], ["y"], name="/../../etc/Relu"),
        constants={name: np.zeros((2, 4, 3, 3))},
    )
    imported = spec_of(model, (4, 8, 8))
    assert "<script>" not in imported.text
    assert loads(imported.text).output == (2, 8, 8)
    bad = onnx_model(
        helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3]), constants={"w": np.zeros((2, 5, 3, 3))}
    )
    with pytest.raises(ArchError):
        spec_of(bad, (4, 8, 8))


def test_channels_picked_by_constants() -> None:
    """A shuffle as archdsl writes it, PyTorch's `as_strided` where it changes nothing, and nothing else."""
    shuffled = np.arange(4).reshape(2, 2).T.reshape(-1)
    order = helper.make_node("Gather", ["x", "order"], ["y"], axis=1)
    assert "shuffle 2" in spec_of(onnx_model(order, constants={"order": shuffled}), (4, 8, 8)).text
    for other in (np.array([0, 2, 3, 1]), np.array([0, 2]), np.array([0, 0, 0, 0])):
        with pytest.raises(ArchError) as caught:
            spec_of(onnx_model(order, constants={"order": other}), (4, 8, 8))
        assert {d.code for d in caught.value.diagnostics} == {"E0842"}
    nodes = [
        helper.make_node("Reshape", ["x", "row"], ["r"]),
        helper.make_node("Gather", ["r", "places"], ["g"], axis=0),
        helper.make_node("Relu", ["g"], ["y"]),
    ]
    places = np.arange(256).reshape(1, 4, 8, 8)
    same = spec_of(onnx_model(*nodes, constants={"row": np.array([-1]), "places": places}), (4, 8, 8))
    assert [node.op.name for node in same.graph.nodes] == ["input", "relu"]
    with pytest.raises(ArchError) as caught:
        spec_of(onnx_model(*nodes, constants={"row": np.array([-1]), "places": places[:, ::-1]}), (4, 8, 8))
    assert {d.code for d in caught.value.diagnostics} == {"E0842"}


@pytest.mark.parametrize(
    ("node", "constants", "word"),
    [
        (helper.make_node("Conv", ["x", "w"], ["y"], group=0), {"w": np.zeros((2, 4, 3, 3))}, "groups"),
        (helper.make_node("Conv", ["x", "w"], ["y"], strides=[0, 0]), {"w": np.zeros((2, 4, 3, 3))}, "stride"),
        (helper.make_node("Mul", ["x", "w"], ["y"]), {"w": np.inf}, "mul"),
        (helper.make_node("Elu", ["x"], ["y"], alpha=float("nan")), {}, "alpha"),
    ],
)
def test_impossible_fields_are_named(node: Any, constants: dict[str, Any], word: str) -> None:
    with pytest.raises(ArchError, match=f"E0842.*`{word}`") as caught:
        spec_of(onnx_model(node, constants=constants), (4, 8, 8))
    assert "Error" not in str(caught.value)


def test_nodes_that_no_output_needs_are_not_refused(tmp_path: Path) -> None:
    """Control flow, other domains, ops that a spec does not have; the rest is compared as ever."""
    inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("x", 1, None)])
    unused = [
        helper.make_node("NonZero", ["x"], ["a"]),
        helper.make_node("FusedConv", ["a"], ["b"], domain="com.microsoft"),
        helper.make_node("If", ["x"], ["c"], then_branch=inner, else_branch=inner),
    ]
    nodes = [helper.make_node("Relu", ["x"], ["r"]), *unused, helper.make_node("Tanh", ["r"], ["y"])]
    assert [node.op.name for node in spec_of(onnx_model(*nodes), (4, 8, 8)).graph.nodes] == ["input", "relu", "tanh"]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 8, 8]) for name in "xy"]
    graph = helper.make_graph([*nodes[:2], nodes[-1]], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "a.onnx")
    assert archdsl.import_model(tmp_path / "a.onnx").check.sizes


def test_a_flipped_bit_shows_nothing_internal(tmp_path: Path) -> None:
    """Each byte of a file changed in turn: the model is read, or refused in words of archdsl."""
    archdsl.loads("name: s\ninput: 1x4x4\nnet: [1x1 conv 1 relu]").to_onnx(tmp_path / "a.onnx")
    data = (tmp_path / "a.onnx").read_bytes()
    for place in range(0, len(data), 3):
        (tmp_path / "b.onnx").write_bytes(data[:place] + bytes([data[place] ^ 0x80]) + data[place + 1 :])
        try:
            read(tmp_path / "b.onnx")
        except ArchError as problem:
            assert not any(word in str(problem) for word in ("incompatible", "()", "Error:", "self:")), place


def test_files_that_exist_and_names_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    load("lenet5").to_onnx(tmp_path / "a.onnx")
    assert cli("import", "a.onnx", "-o", "b.yaml", "--weights", "w.safetensors").exit_code == 0
    again = cli("import", "a.onnx", "-o", "b.yaml")
    assert again.exit_code == 2 and "E0703" in again.stderr and "changes of yours" in again.stderr
    assert cli("import", "a.onnx", "-o", "b.yaml", "--weights", "w.safetensors", "--force").exit_code == 0
    for name in ("w.pth", "w", "w.onnx"):
        wrong = cli("import", "a.onnx", "-o", "c.yaml", "--weights", name)
        assert wrong.exit_code == 2 and "E0002" in wrong.stderr and "w.safetensors" in wrong.stderr
        assert not (tmp_path / name).exists() and not (tmp_path / "c.yaml").exists()


def test_several_inputs_of_open_sizes(tmp_path: Path) -> None:
    """The help is a way out: with fixed sizes the file is imported."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4, "H", "W"]) for name in ("a", "b", "y")]
    graph = helper.make_graph([helper.make_node("Mul", ["a", "b"], ["y"])], "g", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(ArchError, match="E0846") as caught:
        archdsl.import_model(tmp_path / "a.onnx")
    assert "update_inputs_outputs_dims" in caught.value.diagnostics[0].help
    dims = {name: ["N", 4, 8, 8] for name in "ab"}
    onnx.save(update_model_dims.update_inputs_outputs_dims(model, dims, {"y": ["N", 4, 8, 8]}), tmp_path / "b.onnx")
    assert archdsl.import_model(tmp_path / "b.onnx").check.sizes


def test_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model at all")
    for arguments, code, word in [
        (["import", str(tmp_path / "no.onnx")], 1, "E0805"),
        (["import", str(tmp_path / "none.onnx")], 2, "E0805"),
        (["import", "torchvision.models:resnet51", "--input", "3x64x64"], 2, "E0844"),
        (["import", "builtins:dict", "--input", "3x64x64"], 2, "E0844"),
        (["import", "no_such_package.models:net", "--input", "3x64x64"], 2, "E0844"),
        (["import", "torchvision.models:resnet18"], 2, "E0846"),
        (["import", "torchvision.models:resnet18", "--input", "3x"], 2, "3x224x224"),
    ]:
        done = cli(*arguments)
        assert done.exit_code == code, done.output
        assert word in done.output


class Small(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.bn(self.conv(x)))


def test_a_module_as_an_object() -> None:
    """Imported from Python, in the mode that it was in afterwards, with the same keys and outputs."""
    torch.manual_seed(0)
    module = scattered(Small()).train()
    imported = archdsl.import_model(module, (3, 8, 8), name="small")
    with pytest.raises(ArchError, match=r"E0004.*pass its `\.network`"):
        archdsl.diff("lenet5", imported)  # type: ignore[arg-type]
    assert module.training and module.bn.training
    assert (imported.graph.name, imported.carried, imported.files) == ("small", False, ())
    assert set(imported.weights) == set(module.state_dict())
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert distance(imported.network.to_torch(imported.weights)(x), module.eval()(x)) == 0


def test_a_file_from_python(tmp_path: Path) -> None:
    """The method writes the same files as the command, and none if one of them cannot be written."""
    model = tmp_path / "a.onnx"
    load("lenet5").to_onnx(model, seed=1)
    imported = archdsl.import_model(model)
    assert isinstance(imported, ImportedModel)
    assert imported.carried and not archdsl.import_model(model, flat=True).carried
    assert imported.network.fingerprint == load("lenet5").fingerprint
    files = imported.save(tmp_path / "p.yaml", tmp_path / "p.safetensors")
    assert [file.path.name for file in files] == ["p.yaml", "p.safetensors"]
    done = cli("import", str(model), "-o", str(tmp_path / "c.yaml"), "--weights", str(tmp_path / "c.safetensors"))
    assert done.exit_code == 0, done.output
    for suffix in ("yaml", "safetensors"):
        assert (tmp_path / f"p.{suffix}").read_bytes() == (tmp_path / f"c.{suffix}").read_bytes()
    (tmp_path / "other.safetensors").write_text("somebody's")
    for path, weights, code in (
        ("q.yaml", "other.safetensors", "E0703"),
        ("q.yaml", "a.onnx", "E0702"),
        ("q.yaml", "q.yaml", "E0003"),
        ("no/q.yaml", "q.safetensors", "E0701"),
    ):
        with pytest.raises(ArchError) as caught:
            imported.save(tmp_path / path, tmp_path / weights)
        assert caught.value.diagnostics[0].code == code
        assert not (tmp_path / "q.yaml").exists() and not (tmp_path / "q.safetensors").exists()


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("E0004", {"source": 7}),
        ("E0002", {"source": "a.onnx", "name": "my net"}),
        ("E0002", {"source": "a.onnx", "input": "3x"}),
        ("E0004", {"source": "a.onnx", "input": 3.5}),
        ("E0003", {"source": "a.onnx", "args": {"n": 1}}),
        ("E0003", {"source": Small(), "args": {"n": 1}}),
        ("E0844", {"source": Small(), "input": (4, 8, 8)}),
        ("E0846", {"source": Small()}),
        ("E0846", {"source": "torchvision.models:resnet18"}),
        ("E0805", {"source": "missing.onnx"}),
    ],
)
def test_wrong_arguments_from_python(code: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.import_model(**arguments)
    assert caught.value.diagnostics[0].code == code


def test_open_sizes(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    onnx.save(helper.make_model(graph), tmp_path / "open.onnx")
    assert "E0846" in cli("import", str(tmp_path / "open.onnx")).output
    assert cli("import", str(tmp_path / "open.onnx"), "--input", "3x8x8").exit_code == 0


def test_a_model_without_nodes_has_no_spec() -> None:
    with pytest.raises(ArchError) as caught:
        spec_of(onnx_model(helper.make_node("Identity", ["x"], ["y"])), (4, 8, 8))
    assert caught.value.diagnostics[0].code == "E0843"


def test_missing_weights(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    load("lenet5").to_onnx(path)
    model = onnx.load(path)
    model.graph.initializer[0].name = "another"
    onnx.save(model, path)
    done = cli("import", str(path), "--weights", str(tmp_path / "w.safetensors"))
    assert done.exit_code == 1
    assert "E0805" in done.output and "`conv1.weight`, which nothing makes" in done.output
    assert not (tmp_path / "w.safetensors").exists()


# --- hostile files -----------------------------------------------------------------------------------


def test_all_unsupported_nodes_are_reported_together(tmp_path: Path) -> None:
    inner = helper.make_graph([], "inner", [], [])
    nodes = [
        helper.make_node("If", ["x"], [f"i{n}"], name=f"if{n}", then_branch=inner, else_branch=inner) for n in range(7)
    ]
    nodes += [helper.make_node("FusedConv", [f"i{n}" for n in range(7)], ["y"], domain="com.microsoft", name="fused")]
    with pytest.raises(ArchError) as caught:
        onnx_model(*nodes)
    first, second = (d.message for d in caught.value.diagnostics)
    assert "`If` `if0`, `if1`, `if2`, `if3`, `if4` and 2 more" in first and "`FusedConv` `fused`" in second
    odd = [helper.make_node("Nonsense", ["x"], [f"a{n}"], name=f"odd{n}") for n in range(30)]
    det = helper.make_node("Det", ["a1"], ["d"])
    every = helper.make_node("Sum", ["d", *(f"a{n}" for n in range(30))], ["y"])
    with pytest.raises(ArchError) as caught:
        spec_of(onnx_model(*odd, det, every), (4, 8, 8))
    assert [d.code for d in caught.value.diagnostics] == ["E0842", "E0842"]
    assert "and 25 more" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("dims", "raw"), [([10**5, 10**5], b"12345678"), ([-4, 2], b""), ([2, 2], b"1234567"), ([3], b"")]
)
def test_wrong_tensor_sizes(dims: list[int], raw: bytes, tmp_path: Path) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=raw)
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [tensor],
    )
    (tmp_path / "lie.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    done = cli("import", str(tmp_path / "lie.onnx"))
    assert done.exit_code == 1 and "E0805" in done.stderr


def test_functions_are_refused(tmp_path: Path) -> None:
    """Some nest so that inference never ends."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    function = helper.make_function(
        "own", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    (tmp_path / "f.onnx").write_bytes(helper.make_model(graph, functions=[function]).SerializeToString())
    done = cli("import", str(tmp_path / "f.onnx"))
    assert done.exit_code == 1 and "it defines functions, which archdsl does not run" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits there")
def test_time_and_memory_are_limited() -> None:
    import resource

    before = [resource.getrlimit(kind) for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS)]
    with pytest.raises(ArchError, match="E0847"), limited(0, seconds=1):
        while True:
            pass
    with pytest.raises(ArchError, match="E0847"), limited(0, memory=1 << 28):
        np.zeros(1 << 28)
    assert before == [resource.getrlimit(kind) for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS)]


def test_pads_by_archdsl(tmp_path: Path) -> None:
    """A pad that shifts the image is two nodes in the file; compiled again, the file is the same."""
    net = loads(
        "input: 3x8x8\nnet: {a: 'pad [-1,-1,1,1]', b: pad 2, c: 3x3 conv 4, d: 'pad [1,0,0,2] channels=[1,2]"
        " value=0.5', g: gap, f: fc 4}"
    )
    net.to_onnx(tmp_path / "a.onnx", seed=1)
    imported = spec_of(read(tmp_path / "a.onnx"), net.input)
    again = loads(imported.text)
    again.to_onnx(tmp_path / "b.onnx", dict(imported.weights()))
    before, after = (onnx.load(tmp_path / f"{n}.onnx").graph for n in "ab")
    assert [n.op_type for n in before.node] == [n.op_type for n in after.node]
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        assert distance(again.to_torch(dict(imported.weights()))(x), net.to_torch(seed=1)(x)) <= 1e-6


def test_norms_without_learned_tensors_stay_so(tmp_path: Path) -> None:
    """ONNX has a scale and a shift for every norm: ones and zeros that nobody trains, and no key in the state_dict."""

    class Norms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)
            self.plain, self.learned = nn.BatchNorm2d(8, affine=False, eps=1e-3), nn.BatchNorm2d(8)
            self.head, self.norm = nn.Linear(8, 6), nn.LayerNorm(6, elementwise_affine=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.learned(self.plain(torch.relu(self.conv(x))))
            return self.norm(self.head(x.mean((2, 3))))

    module = Norms()
    module(torch.randn(4, 3, 8, 8))
    made = archdsl.import_model(module.eval(), input=(3, 8, 8))
    assert made.network.params == sum(p.numel() for p in module.parameters())
    again = made.network.to_torch(made.weights)
    assert set(again.state_dict()) == set(module.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(again(x), module(x), atol=1e-5)


def test_numbers_of_modules_and_nodes_that_are_read_twice() -> None:
    """Modules that the exporter removes leave gaps; an activation is its own node if its input is read again."""

    class Gaps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._stem = nn.Conv2d(3, 8, 1)
            self.body = nn.Sequential(nn.Dropout(), nn.Conv2d(8, 8, 1), nn.Dropout(), nn.ReLU(), nn.Conv2d(8, 8, 1))
            self.parts = nn.ModuleDict({"5": nn.Conv2d(8, 8, 1), "2": nn.Conv2d(8, 8, 1)})

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.parts["2"](self.parts["5"](self.body(self._stem(x))))
            return torch.relu(x) + x

    module = Gaps().eval()
    made = archdsl.import_model(module, input=(3, 8, 8))
    keys = [key.replace("_stem", "n_stem") for key in module.state_dict()]
    assert [t.key for t in made.graph.tensors] == keys
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(made.network.to_torch(made.weights)(x), module(x))
