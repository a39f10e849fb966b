"""`again`: a node that runs with an earlier node's tensors, through every stage, and PolyNet, which needs it.

Tests `elaborate/again.py`, `elaborate/build.py`, `ops/again.py`, `graph.py` and `graph_recipes.py`.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

import archdsl
from archdsl.backends.onnx.plan import plan
from archdsl.backends.onnx.write import build
from archdsl.backends.spec.rewrite import flat_text, formatted, long_text
from archdsl.backends.torch import to_source, to_torch
from archdsl.backends.weights import folded
from archdsl.cli import main
from archdsl.diagnostics import ArchError, Source
from archdsl.differences.compare import compare_graphs
from archdsl.differences.report import text as difference
from archdsl.drawing.diagram import diagram
from archdsl.drawing.model.drawing import View
from archdsl.drawing.page.figures import nodes as page_rows
from archdsl.network import Network
from archdsl.passes.optimise import PASSES, optimise
from archdsl.spec.open import from_source
from tests.passes.test_passes import lively

Net = Callable[..., Network]

POLY = """
input: 6x9x9
defaults: {conv: bn relu nobias, again: bn relu}
net:
  wide.conv: 1x1 conv 4 plain
  wide.norms.0: bn relu
  tall.conv: 3x1 conv 5 plain
  tall.norms.0: bn relu
  out.0: 1x1 conv 6 linear
  _x1: relu
  wide.norms.1: again wide.conv
  tall.norms.1: again tall.conv
  out.1: 1x1 conv 6 linear
  _first: affine 0.9 <- out.0
  _second: affine 0.9 <- out.1
  sum: add relu <- input, _first, _second
"""


class Again(nn.Module):
    """Zhang et al. 2016, figure 3 (b): one convolution, a norm for each of its runs."""

    def __init__(self, conv: nn.Conv2d, width: int) -> None:
        super().__init__()
        self.conv = conv
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])

    def forward(self, x: Tensor, time: int) -> Tensor:
        return F.relu(self.norms[time](self.conv(x)))


class Last(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(5, 6, 1, bias=False), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))  # type: ignore[no-any-return]


class Poly2(nn.Module):
    """The module that POLY says, by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = Again(nn.Conv2d(6, 4, 1, bias=False), 4)
        self.tall = Again(nn.Conv2d(4, 5, (3, 1), padding=(1, 0), bias=False), 5)
        self.out = nn.ModuleList([Last(), Last()])

    def forward(self, x: Tensor) -> Tensor:
        total, part = x, x
        for time in range(2):
            part = self.out[time](self.tall(self.wide(part, time), time))
            total = total + part * 0.9
            part = F.relu(part)
        return F.relu(total)


def written_module(network: Network) -> nn.Module:
    """What the printed source builds."""
    file = types.ModuleType("written")
    exec(to_source(network.graph), file.__dict__)
    model: nn.Module = file.build()
    return model


# --- the poly module ------------------------------------------------------------------------------------------------


def test_tensors_are_counted_once_and_work_each_time(net: Net) -> None:
    network, mine = net(POLY), Poly2()
    assert network.params == sum(p.numel() for p in mine.parameters())
    assert network.macs == 81 * 2 * (6 * 4 + 4 * 5 * 3 + 5 * 6)
    assert network.totals.depth == 6
    assert {t.key: t.param.shape for t in network.graph.tensors} == {
        k: tuple(v.shape) for k, v in mine.state_dict().items()
    }


@pytest.mark.parametrize("made", [lambda n: to_torch(n.graph), written_module], ids=["module", "source"])
def test_outputs_gradients_and_statistics_are_those_of_the_module_by_hand(
    net: Net, made: Callable[[Network], nn.Module]
) -> None:
    network, mine = net(POLY), Poly2().double()
    ours = made(network).double()
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in lively(network).items()})
    mine.load_state_dict(ours.state_dict())
    x = torch.randn(3, 6, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for training in (False, True):
        given, wanted = ours.train(training)(x), mine.train(training)(x)
        assert torch.equal(given, wanted)
    for y in (given, wanted):
        (y * torch.arange(81.0).reshape(9, 9)).sum().backward()
    gradients = dict(ours.named_parameters())
    for key, parameter in mine.named_parameters():
        assert parameter.grad is not None and torch.allclose(gradients[key].grad, parameter.grad, rtol=1e-12, atol=0), (
            key
        )
    assert all(torch.equal(value, ours.state_dict()[key]) for key, value in mine.state_dict().items())


@pytest.mark.parametrize("passes", [(), tuple(PASSES)], ids=["untouched", "optimised"])
def test_onnx_holds_a_shared_tensor_once(net: Net, passes: tuple[str, ...]) -> None:
    network = net(POLY)
    numbers = lively(network)
    graph = optimise(network.graph, passes)
    model = build(graph, folded(numbers, graph))
    names = [tensor.name for tensor in model.graph.initializer]
    readers = [node.name for node in model.graph.node if "wide.conv.weight" in node.input]
    assert readers == ["wide.conv", "wide.norms.1/again"] and names.count("wide.conv.weight") == 1
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = torch.randn(2, 6, 9, 9)
    (given,) = session.run(None, {"input": x.numpy()})
    wanted = to_torch(network.graph, numbers)(x).detach().numpy()
    assert np.abs(given - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_passes_fold_what_is_one_nodes_and_leave_what_is_shared(net: Net) -> None:
    graph = optimise(net(POLY).graph)
    made_of = {tensor.key for tensor in graph.tensors if tensor.recipe}
    assert made_of == {f"out.{n}.conv/{what}" for n in (0, 1) for what in ("weight", "bias")}
    assert {"wide.conv.weight", "tall.conv.weight", "wide.norms.1.running_var"} <= {t.key for t in graph.tensors}


def test_a_dropped_first_use_leaves_its_tensors(net: Net) -> None:
    network = net("input: 4x8x8\nnet:\n  conv: 3x3 conv 4\n  more: again conv <- input")
    graph = optimise(network.graph)
    assert [node.path for node in graph.nodes] == ["input", "more"]
    assert [t.key for t in graph.tensors] == ["conv.weight", "conv.bias"]
    assert [i.name for i in plan(graph).initializers] == ["conv.weight", "conv.bias"]


# --- every kind with tensors ---------------------------------------------------------------------------------------

KINDS = {
    "conv": "3x3 conv 8 groups=2",
    "dwconv": "3x3 dwconv",
    "deconv": "3x3 deconv 8 /1 pad=1",
    "bn": "bn",
    "gn": "gn 4",
    "ln": "ln",
    "prelu": "prelu",
    "scale": "scale 0.5",
    "fc": "1x1 fc 8",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_runs_again_in_every_target(net: Net, kind: str, tmp_path: Path) -> None:
    """Through a list of a module, a nested name and a dotted one; held against one node of each with equal tensors."""
    op, p = KINDS[kind], "p.q" if kind == "scale" else "p.0"
    network = net(
        f"input: 8x10x12\nnet:\n  {p}: {op}\n  a: {{x: {op}, y: again x}}\n  b: again a.x\n  c: again {p} relu"
    )
    apart = net(f"input: 8x10x12\nnet:\n  {p}: {op}\n  a: {{x: {op}, y: {op}}}\n  b: {op}\n  c: {op} relu")
    numbers = lively(network)
    homes = {p: p, "a.x": "a.x", "a.y": "a.x", "b": "a.x", "c": p}
    copies = {}
    for tensor in apart.graph.tensors:
        name = tensor.key.removeprefix(tensor.node.path)
        copies[tensor.key] = numbers[homes[tensor.node.path] + name]
    assert network.params * 5 == apart.params * 2 and network.macs == apart.macs
    x = torch.randn(2, 8, 10, 12)
    wanted = to_torch(apart.graph, copies)(x)
    written = written_module(network).eval()
    written.load_state_dict({key: torch.from_numpy(value) for key, value in numbers.items()})
    assert torch.equal(to_torch(network.graph, numbers)(x), wanted) and torch.equal(written(x), wanted)
    network.to_onnx(tmp_path / "net.onnx", weights=numbers)
    (given,) = ort.InferenceSession(tmp_path / "net.onnx").run(None, {"input": x.numpy()})
    assert np.abs(given - wanted.detach().numpy()).max() <= 1e-5 * wanted.abs().max().item()


def test_a_fully_connected_layer_flattens_again(net: Net) -> None:
    network = net("input: 8x2x2\nnet:\n  fc1: fc 32\n  back: again fc1\nblocks: {}")
    assert network.params == 33 * 32 and [n.path for n in network.graph.nodes] == [
        "input",
        "fc1/flatten",
        "fc1",
        "back",
    ]


# --- the text ------------------------------------------------------------------------------------------------------


def test_again_of_again_is_the_first(net: Net) -> None:
    graph = net("input: 4x8x8\nnet:\n  a: 3x3 conv 4\n  b: again a\n  c: again b relu").graph
    assert [node.shared_with for node in graph.nodes[1:4]] == ["", "a", "a"]


def test_all_forms_are_one_network(tmp_path: Path) -> None:
    path = tmp_path / "poly.yaml"
    path.write_text(f"name: poly{POLY}")
    spec = from_source(Source("poly.yaml", path.read_text(), path))
    first = archdsl.load(path).graph
    for written in (formatted(spec.source), long_text(spec), flat_text(spec)):
        path.write_text(written)
        assert compare_graphs(first, archdsl.load(path).graph).equal, written
    assert "again wide.conv" in formatted(spec.source) and "node: wide.conv" in long_text(spec)


@pytest.mark.parametrize(
    ("nodes", "code", "said"),
    [
        ("{a: 3x3 conv 8, b: relu, c: again b}", "E0419", "`b` has no weights to reuse"),
        ("{a: 3x3 conv 8, b: {c: relu, d: again a}}", "E0420", "`a` is outside `b`"),
        ("{a: 3x3 conv 8, b: 3x3 conv 8 when 1 == 2, c: again b}", "E0420", "left out"),
        ("{a: 3x3 conv 4, b: again a bn prelu}", "E0420", "separate node"),
        ("{a: 3x3 conv 8, b: again a}", "E0423", "were made for 4 input channels, this input has 8"),
        ("{a: fc 4, b: again a}", "E0423", "were made for 256 input features, this input has 4"),
        ("{a: again b, b: 3x3 conv 8}", "E0411", "only read earlier nodes"),
        ("{a: again a}", "E0411", "itself"),
        ("{a.b: again a.c, a.c: 3x3 conv 8}", "E0411", "only read earlier nodes"),
        ("{a.b: 3x3 conv 4, c: again a.d}", "E0410", "no node `d`"),
        ("{a.b: 3x3 conv 4, c: again a}", "E0421", "several"),
        ("{conv1: 3x3 conv 4, b: again conv2}", "E0410", "did you mean `conv1`"),
        ("{a: 3x3 conv 4, b: again}", "E0311", "again conv1"),
        ("{a: 3x3 conv 4, b: again a+1}", "E0308", "node"),
        ("{a: 3x3 conv 4, b: again a 64}", "E0310", "no more values"),
        ("{a: 3x3 conv 4, b: 3x3 again a}", "E0309", "no window"),
        ("[3x3 conv 4, again input]", "E0419", "no weights"),
    ],
)
def test_wrong_uses(net: Net, nodes: str, code: str, said: str) -> None:
    with pytest.raises(ArchError) as caught:
        net(f"input: 4x8x8\nnet: {nodes}")
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert said in str(caught.value)


def test_a_fault_of_the_first_use_is_told_once(net: Net) -> None:
    with pytest.raises(ArchError) as caught:
        net("input: 4x8x8\nnet: {a: 3x3 conv 4 groups=3, b: again a, c: again b}")
    assert [d.code for d in caught.value.diagnostics] == ["E0403"]


# --- views, diff, import -------------------------------------------------------------------------------------------


def test_a_tensor_of_its_own_is_a_difference(net: Net) -> None:
    text = "input: 4x8x8\nnet:\n  a: 3x3 conv 4\n  b: 3x3 conv 4\n  c: {}"
    shared, other, own = (net(text.format(c)).graph for c in ("again a", "again b", "3x3 conv 4"))
    assert "again a -> none" in difference(compare_graphs(shared, own), ("one", "two"))
    assert "again a -> b" in difference(compare_graphs(shared, other), ("one", "two"))
    assert compare_graphs(shared, net(text.format("again a")).graph).equal


def test_tables_drawings_and_the_page_say_it(net: Net) -> None:
    graph = net(POLY).graph
    rows = page_rows(graph)
    row = next(row for row in rows if row["path"] == "wide.norms.1/again")
    assert row["text"] == "again wide.conv" and row["macs"] and not {"params", "tensors"} & row.keys()
    drawn = diagram(graph, "svg", View("layer")).data.decode()
    assert drawn.count(", again") >= 2


def test_a_file_in_which_two_convolutions_read_one_weight(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.standard_normal((4, 4, 3, 3)).astype(np.float32), "conv.weight")
    nodes = [helper.make_node("Conv", [a, "conv.weight"], [b], pads=[1] * 4) for a, b in (("input", "x"), ("x", "y"))]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4, 8, 8]) for name in ("input", "y")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    arguments = [str(tmp_path / "a.onnx"), "-o", str(tmp_path / "a.yaml"), "--weights", str(tmp_path / "a.safetensors")]
    done = CliRunner().invoke(main, ["import", *arguments])
    assert done.exit_code == 0, done.output
    assert "again conv" in (tmp_path / "a.yaml").read_text()
    network = archdsl.load(tmp_path / "a.yaml")
    assert network.params == 4 * 4 * 9
    x = rng.standard_normal((1, 4, 8, 8)).astype(np.float32)
    (wanted,) = ort.InferenceSession(model.SerializeToString()).run(None, {"input": x})
    given = network.to_torch(weights=tmp_path / "a.safetensors")(torch.from_numpy(x)).detach().numpy()
    assert np.abs(given - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_a_file_of_ours_gives_the_same_spec_and_numbers_back(net: Net, tmp_path: Path) -> None:
    path = tmp_path / "poly.yaml"
    path.write_text(f"name: poly{POLY}".replace("affine 0.9", "identity"))
    network = archdsl.load(path)
    numbers = lively(network)
    network.to_onnx(tmp_path / "poly.onnx", weights=numbers)
    arguments = [
        str(tmp_path / "poly.onnx"),
        "-o",
        str(tmp_path / "b.yaml"),
        "--weights",
        str(tmp_path / "b.safetensors"),
    ]
    done = CliRunner().invoke(main, ["import", *arguments])
    assert done.exit_code == 0, done.output
    again = archdsl.load(tmp_path / "b.yaml")
    assert compare_graphs(network.graph, again.graph).equal
    x: Any = torch.randn(2, 6, 9, 9)
    wanted = network.to_torch(weights=numbers)(x)
    assert torch.allclose(again.to_torch(weights=tmp_path / "b.safetensors")(x), wanted, rtol=1e-4, atol=1e-5)


# --- PolyNet -------------------------------------------------------------------------------------------------------


def test_polynet_has_the_ports_tensors() -> None:
    """The figures are those of Cadene's pretrained-models 0.7.4, measured; the names follow from its classes."""
    network = archdsl.load("polynet")
    tensors = network.graph.tensors
    assert (network.params, network.macs, network.totals.buffers) == (95_366_600, 34_699_493_472, 361_625)
    assert (len(tensors), sum(t.param.trained for t in tensors)) == (3104, 1493)
    convs = {t.key for t in tensors if t.key.endswith("conv.weight")}
    norms = {t.key for t in tensors if t.key.endswith("running_var")}
    assert (network.totals.depth, len(convs), len(norms)) == (296, 417, 537)
    assert len([n for n in network.nodes if n.op.name == "conv"]) == len(convs) + 15 * 2 * 4 == 537
    for key in (
        "stem.conv2_long.2.bn.bias",
        "stage_a.9.blocks.1.path0.2.conv.weight",
        "stage_b.19.blocks.0.conv2d.bn.weight",
        "stage_b.18.path0_7x1.bn_blocks.2.running_mean",
        "stage_c.8.conv2d_blocks.2.bn.bias",
        "last_linear.bias",
    ):
        assert any(t.key == key for t in tensors), key


def test_verify_tells_the_runs_of_a_module_apart(tmp_path: Path) -> None:
    path = tmp_path / "poly.yaml"
    path.write_text(f"name: poly{POLY}")
    done = CliRunner().invoke(main, ["verify", str(path), "--format", "json"])
    assert done.exit_code == 0, done.output
    assert "wide.norms.1/again" in done.output


def test_a_norm_behind_a_norm_that_runs_again_has_tensors_of_its_own(net: Callable[..., Any]) -> None:
    keys = [tensor.key for tensor in net("net: {a: bn, b: again a bn}").graph.tensors]
    assert [key for key in keys if key.endswith("weight")] == ["a.weight", "b.weight"]


def test_a_module_has_one_padding() -> None:
    """`pad=same` with a stride pads 2 rows by 0 and 1 row by 1; found by a random network."""
    nodes = "a: 4x1 conv 1, dw: {op: dwconv, kernel: 2, stride: [2, 1], pad: same}, b: again dw"
    spec = f"input: 5x5x12\nnet: {{{nodes}}}\n"
    with pytest.raises(archdsl.ArchError) as refused:
        archdsl.loads(spec)
    assert [d.code for d in refused.value.diagnostics] == ["E0423"]
    net = archdsl.loads(spec.replace("5x5x12", "5x11x12"))  # 8 rows, then 4: padded alike
    assert net.to_torch()(torch.zeros(1, 5, 11, 12)).shape[1:] == net.output
