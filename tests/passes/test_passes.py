"""Passes: what each does to a small graph, and that no combination of them changes what a network computes.

Tests `passes/drop.py`, `passes/edit.py`, `passes/fold_norms.py` and `passes/fuse.py`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from click.testing import CliRunner
from hypothesis import given, seed, settings

import archdsl
from archdsl.analysis.summary import summarize
from archdsl.backends.onnx import absorbed
from archdsl.backends.onnx.write import build
from archdsl.backends.weights import folded
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.graph import Graph
from archdsl.network import Network
from archdsl.passes.optimise import PASSES, optimise
from archdsl.report.table import params_table
from archdsl.shapes import concrete
from tests.support.random_specs import texts

BOUND = 2e-5
"""Of the largest output, between an optimised file and the untouched one, both in single precision."""


def lively(net: Network) -> dict[str, np.ndarray]:
    """Numbers of which none is neutral."""
    weights, rng = net.weights(seed=1), np.random.default_rng(1)
    out = {}
    for key, param, node in net.graph.tensors:
        out[key] = weights[key]
        if param.name == "running_var" or (param.name == "weight" and node.op.name in ("bn", "gn", "ln")):
            out[key] = rng.uniform(0.5, 1.5, param.shape).astype(np.float32)
        elif param.name in ("", "bias", "running_mean") and param.trained is not None and param.init.how == "constant":
            out[key] = rng.uniform(-0.5, 0.5, param.shape).astype(np.float32)
    return out


def outputs(net: Network, numbers: dict[str, np.ndarray], passes: Collection[str]) -> list[np.ndarray]:
    graph = optimise(net.graph, passes)
    model = build(graph, folded(numbers, graph))
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    x = {
        graph.nodes[i].path: rng.standard_normal((2, *concrete(graph.nodes[i].shape))).astype(np.float32)
        for i in graph.inputs
    }
    found: list[np.ndarray] = session.run(None, x)
    return found


def apart(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    return max(float(np.abs(p - q).max() / max(np.abs(p).max(), 1e-30)) for p, q in zip(a, b, strict=True))


def kinds(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes[len(graph.inputs) :]]


def test_the_fold_map_says_what_differs() -> None:
    """A rule for layers of one name, whole paths for the others, and nothing of layers that took in nothing."""
    taken: dict[str, tuple[str, ...]] = {
        "stem": ("bn",),
        "a.0.conv": ("a.0.bn", "a.0.scale"),
        "a.1.conv": ("a.1.bn", "a.1.scale"),
        "a.2.conv": ("a.2.bn",),
        "b.conv": (),
        "head.fc": ("norm",),
        "odd/conv": ("odd/bn",),
    }
    text = absorbed.write(taken)
    assert json.loads(text) == {
        "stem": "bn",
        "conv": "bn scale",
        "fc": "/norm",
        "odd/conv": "/odd/bn",
        "/a.2.conv": "bn",
        "/b.conv": "",
    }
    assert absorbed.read(text, taken) == taken
    assert absorbed.write({"a": ()}) == ""
    assert absorbed.read("", ["stem"]) == {"stem": ()}
    for odd in ("no json", "[]", "3", '{"stem": 3}', "[" * 100_000):
        with pytest.raises(ValueError):
            absorbed.read(odd, ["stem"])


# --- each pass, before and after --------------------------------------------------------------------------------

CASES = {
    "training-heads": (
        "drop-training",
        "net: {a: 3x3 conv 4, b: 1x1 conv 2}\naux: {head: {from: a, do: [gap, fc 2], weight: 0.3}}",
        "conv conv",
        [],
    ),
    "dropout": (
        "drop-identities",
        "net: [3x3 conv 4, dropout 0.5, droppath 0.1, identity, affine 1 0, relu]",
        "conv relu",
        [],
    ),
    "dropout-at-the-end": ("drop-identities", "net: [relu, dropout 0.5]", "relu", []),
    "dead": ("drop-dead", "net: {a: 3x3 conv 4, b: 1x1 conv 2, c: 1x1 conv 2 <- a}\noutputs: {y: c}", "conv conv", []),
    "standardized": (
        "standardize",
        "net: {a: 3x3 conv 4 standardized, b: 3x3 conv 4 standardize=0.1 gain=2 groups=2 /2, c: again b}",
        "conv conv conv",
        ["a/weight", "b/weight", "c/weight"],
    ),
    "standardized-and-a-norm": (
        "fold-after",
        "net: {a: 3x3 conv 4 standardized gain=2 bn}",
        "conv",
        ["a.conv/weight", "a.conv/bias"],
    ),
    "standardized-after-a-norm": (
        "fold-before",
        "net: {a: bn, b: 3x3 conv 4 valid standardized gain=2}",
        "conv",
        ["b/weight", "b/bias"],
    ),
    "pads": ("merge-pads", "net: [pad 2, 3x3 conv 4 valid]", "conv", []),
    "pads-same": ("merge-pads", "net: ['pad [0,1,2,3]', 3x3 conv 4 /2 pad=1, relu]", "conv relu", []),
    "pads-of-two": (
        "merge-pads",
        "net: {p: pad 1, a: 3x3 conv 4 valid, b: 3x3 conv 4 valid <- p, c: 'add <- a, b'}",
        "conv conv add",
        [],
    ),
    "pads-read-by-a-pool": ("merge-pads", "net: [pad 2, 3x3 maxpool]", "pad maxpool", []),
    "pads-of-ones": ("merge-pads", "net: [pad 1 value=1, 3x3 conv 4 valid]", "pad conv", []),
    "pads-cropping": ("merge-pads", "net: [pad -1, 3x3 conv 4 valid]", "pad conv", []),
    "concat-of-concats": (
        "merge-concats",
        "net: {a: 1x1 conv 2, b: 1x1 conv 3 <- input, c: 'concat <- a, b', d: 1x1 conv 1 <- a, e: 'concat <- d, c'}",
        "conv conv conv concat",
        [],
    ),
    "concats-in-a-row": (
        "merge-concats",
        "net: {a: relu, c: 'concat <- a, input', d: 'concat <- input, c', e: 'concat <- d, a'}",
        "relu concat",
        [],
    ),
    "concat-read-twice": (
        "merge-concats",
        "net: {a: relu, c: 'concat <- a, input', r: relu, e: 'concat <- r, c'}",
        "relu concat relu concat",
        [],
    ),
    "concat-with-itself": (
        "merge-concats",
        "net: {a: relu, c: 'concat <- a, input', e: 'concat <- c, c'}",
        "relu concat concat",
        [],
    ),
    "bn": ("fold-after", "net: {c: 3x3 conv 4 bn relu}", "conv relu", ["c.conv/weight", "c.conv/bias"]),
    "bn-behind-a-bias": ("fold-after", "net: {c: 3x3 conv 4 bias, b: bn}", "conv", ["c/weight", "c/bias"]),
    "bn-without-factors": (
        "fold-after",
        "net: {c: 3x3 conv 4 bias, b: bn affine=false}",
        "conv",
        ["c/weight", "c/bias"],
    ),
    "bn-of-groups": (
        "fold-after",
        "net: {a: 1x1 conv 6, c: 3x3 conv 12 groups=3, b: bn}",
        "conv conv",
        ["c/weight", "c/bias"],
    ),
    "bn-of-depthwise": ("fold-after", "net: {c: 3x3 dwconv multiplier=2, b: bn}", "conv", ["c/weight", "c/bias"]),
    "bn-of-deconv": (
        "fold-after",
        "net: {a: 1x1 conv 6, c: 3x3 deconv 9 /2 groups=3, b: bn}",
        "conv deconv",
        ["c/weight", "c/bias"],
    ),
    "bn-of-fc": ("fold-after", "net: {c: fc 5, b: bn relu}", "flatten fc relu", ["c/weight", "c/bias"]),
    "bn-of-fc-at-every-place": ("fold-after", "net: {c: 1x1 fc 5, b: bn}", "fc", ["c/kernels", "c/bias"]),
    "bn-of-a-fixed-filter": (
        "fold-after",
        "net: {c: '3x3 conv 1 weight=[[1,2,1],[2,4,2],[1,2,1]] bias=0.5', b: bn}",
        "conv",
        ["c/weight", "c/bias"],
    ),
    "bn-scale-affine": (
        "fold-after",
        "net: {c: 3x3 conv 4, b: bn, s: scale 0.5, a: 'affine 0.17 [1,2,3,4]'}",
        "conv",
        ["c/weight", "c/bias"],
    ),
    "scale-alone": ("fold-after", "net: {c: 3x3 conv 4 nobias, s: scale 0.5}", "conv", ["c/weight"]),
    "bn-of-a-shared-layer": ("fold-after", "net: {c: 3x3 conv 4, b: bn, d: 'add <- b, c'}", "conv bn add", []),
    "bn-of-an-output": ("fold-after", "net: {c: 3x3 conv 4, b: bn}\noutputs: {raw: c, normal: b}", "conv bn", []),
    "bn-as-an-output": (
        "fold-after",
        "net: {c: 3x3 conv 4, b: bn, r: relu}\noutputs: {normal: b, end: r}",
        "conv relu",
        ["c/weight", "c/bias"],
    ),
    "bn-of-a-table": ("fold-after", "net: {c: '3x3 conv 2 table=[[0],[1,2]]', b: bn}", "conv bn", ["c/kernels"]),
    "bn-alone": ("fold-after", "net: {p: 3x3 maxpool, b: bn}", "maxpool bn", []),
    "input-transform": (
        "fold-before",
        "net: {a: 'affine [2,3,4] [1,2,3]', c: 3x3 conv 4 valid}",
        "conv",
        ["c/weight", "c/bias"],
    ),
    "input-transforms": (
        "fold-before",
        "net: {a: 'affine [2,3,4] 1', b: affine 0.5 2, c: 3x3 conv 4 valid nobias}",
        "conv",
        ["c/weight", "c/bias"],
    ),
    "input-factor-with-padding": (
        "fold-before",
        "net: {a: 'affine [2,3,4]', c: 3x3 conv 4 nobias}",
        "conv",
        ["c/weight"],
    ),
    "input-shift-with-padding": ("fold-before", "net: {a: 'affine 1 [1,2,3]', c: 3x3 conv 4}", "affine conv", []),
    "bn-before": ("fold-before", "net: {p: 2x2 maxpool, b: bn, c: 1x1 conv 4}", "maxpool conv", ["c/weight", "c/bias"]),
    "bn-before-groups": (
        "fold-before",
        "net: {a: 1x1 conv 6 relu, b: bn, c: 3x3 conv 4 groups=2 valid}",
        "conv relu conv",
        ["c/weight", "c/bias"],
    ),
    "bn-before-fc": (
        "fold-before",
        "net: {p: gap, f: flatten, b: bn, c: fc 4}",
        "gap flatten fc",
        ["c/weight", "c/bias"],
    ),
    "factor-before-deconv": (
        "fold-before",
        "net: {a: 'affine [2,3,4]', c: 3x3 deconv 4 /2}",
        "deconv",
        ["c/weight", "c/bias"],
    ),
    "shift-before-deconv": ("fold-before", "net: {a: 'affine 1 [2,3,4]', c: 2x2 deconv 4 /2}", "affine deconv", []),
    "bn-before-two": (
        "fold-before",
        "net: {p: relu, b: bn, c: 1x1 conv 4, d: 3x3 conv 4 valid <- b}\noutputs: {c: c, d: d}",
        "relu conv conv",
        ["c/weight", "c/bias", "d/weight", "d/bias"],
    ),
    "bn-before-a-conv-and-more": (
        "fold-before",
        "net: {p: relu, b: bn, c: 1x1 conv 3, d: 'add <- b, c'}",
        "relu bn conv add",
        [],
    ),
    "silu": ("fuse-gates", "net: {g: {branches: [identity, sigmoid], merge: mul}}", "silu", []),
    "hardswish": ("fuse-gates", "net: {a: 3x3 conv 4, h: hardsigmoid, m: 'mul <- h, a'}", "conv hardswish", []),
    "gate-read-twice": (
        "fuse-gates",
        "net: {a: 3x3 conv 4, h: sigmoid, m: 'mul <- h, a', n: 'add <- m, h'}",
        "conv sigmoid mul add",
        [],
    ),
    "adaptive-pool": ("global-pools", "net: [1x1 avgpool adaptive]", "gap", []),
}


IMAGES_ONLY = {"pads-same", "bn-of-a-fixed-filter", "bn-of-a-table"}
"""Cases that `axes` cannot spread: they list sides, taps or channels."""


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_each_pass(case: str, axes: int, net: Any) -> None:
    """The kinds left, and the tensors made; outputs as before; the other passes leave the graph alone."""
    if axes != 2 and case in IMAGES_ONLY:
        pytest.skip("`axes` cannot spread it")
    name, text, left, made = CASES[case]
    channels = "1" if case == "bn-of-a-fixed-filter" else "3"
    spread = f"axes: {axes}\n" if axes != 2 else ""
    network = net(spread + text, input="x".join([channels, *["8"] * axes]))
    graph = PASSES[name](network.graph)
    assert kinds(graph) == left.split()
    assert PASSES[name](graph) is graph, "a second time there is nothing to do"
    numbers = lively(network)
    model = build(graph, folded(numbers, graph))
    onnx.checker.check_model(model, full_check=True)
    facts = {p.key: p.value for p in model.metadata_props}
    assert [t.name for t in model.graph.initializer if t.name.endswith(("/weight", "/bias", "/kernels"))] == made
    recipes = {node.path: next(iter(node.folded.values())) for node in graph.nodes if node.folded}
    left_out = {path: tuple(m.path for m in (*one.before, *one.after)) for path, one in recipes.items()}
    told = absorbed.read(facts.get("folded", ""), [node.path for node in graph.nodes])
    assert {path: taken for path, taken in told.items() if taken} == {k: v for k, v in left_out.items() if v}
    assert apart(outputs(network, numbers, ()), outputs(network, numbers, [name])) <= BOUND


def test_a_window_over_all_of_a_fixed_image(net: Any) -> None:
    """Where height and width are free a window of the default size is global for that size only."""
    free = net("net: [3x3 conv 4, 8x8 avgpool]", input="3x8x8")
    assert kinds(PASSES["global-pools"](free.graph)) == ["conv", "avgpool"]
    fixed = net("net: [3x3 conv 4, 8x8 avgpool, fc 3]", input="3x8x8")
    assert kinds(PASSES["global-pools"](fixed.graph))[1] in ("avgpool", "gap")


# --- all of them together ---------------------------------------------------------------------------------------

EVERYTHING = """
input: 3x18x18
defaults: {conv: bn relu}
blocks:
  basic(w, s=1):
    residual: {conv1: 3x3 conv w /s, drop: dropout 0.2, conv2: 3x3 conv w linear, scale: scale 0.5}
    then: relu
net:
  transform: affine [2, 3, 0.5] [0.1, 0.2, -0.3]
  stem: 3x3 conv 6 valid
  pad: pad [0, 1, 1, 0]
  body: basic(8, 2)
  gate: {branches: [identity, hardsigmoid], merge: mul}
  bn: bn
  head: 1x1 conv 6 plain
  swish: {branches: [identity, sigmoid], merge: mul}
  unread: 1x1 conv 3 plain
  pool: 1x1 avgpool adaptive <- swish
  fc: fc 5
aux:
  aux: {from: body, do: [gap, fc 5], weight: 0.3}
outputs: {logits: fc, features: head}
"""


@pytest.mark.parametrize("axes", [1, 3])
def test_all_passes_on_signals_and_volumes(axes: int, net: Any) -> None:
    pads = str([0, 1, 1, 0, 2, 0][: 2 * axes])
    text = EVERYTHING.replace("[0, 1, 1, 0]", pads).replace("input: 3x18x18\n", f"axes: {axes}\n")
    network = net(text, input="x".join(["3", *["18"] * axes]))
    numbers = lively(network)
    assert kinds(network.optimised()) == kinds(archdsl.loads(EVERYTHING).optimised())
    plain = outputs(network, numbers, ())
    for chosen in [tuple(PASSES), *((name,) for name in PASSES)]:
        assert apart(plain, outputs(network, numbers, chosen)) <= BOUND, chosen


def test_every_combination_of_passes() -> None:
    """2^9 files, each within the bound of the untouched one."""
    network = archdsl.loads(EVERYTHING)
    numbers = lively(network)
    plain = outputs(network, numbers, ())
    worst = {}
    for size in range(1, len(PASSES) + 1):
        for chosen in combinations(PASSES, size):
            worst[chosen] = apart(plain, outputs(network, numbers, chosen))
    assert len(worst) == 2 ** len(PASSES) - 1
    assert max(worst.values()) <= BOUND, max(worst, key=worst.__getitem__)


def test_all_passes_at_once() -> None:
    graph = archdsl.loads(EVERYTHING).optimised()
    assert kinds(graph) == [
        "conv",
        "relu",
        "conv",
        "relu",
        "conv",
        "conv",
        "add",
        "relu",
        "hardswish",
        "conv",
        "silu",
        "gap",
        "flatten",
        "fc",
    ]
    assert graph.aux == {} and list(graph.outputs) == ["logits", "features"]


def test_the_tree_of_scopes_goes_along() -> None:
    """Views work on what passes made: every node is in the scope around it, once."""
    graph = archdsl.loads(EVERYTHING).optimised()
    members = [m for scope in graph.root.walk() for m in scope.members if isinstance(m, int)]
    assert sorted(members) == list(range(len(graph.nodes)))
    for scope in graph.root.walk():
        inside = [m for below in scope.walk() for m in below.members if isinstance(m, int)]
        assert all(type(m) is int for m in inside) and sorted(inside) == list(range(scope.first, scope.end))
        for member in scope.members:
            if isinstance(member, int):
                assert graph.nodes[member].scope is scope
            else:
                assert member.parent is scope
    assert "body" in params_table(summarize(graph))


def test_the_graph_itself_is_left_alone() -> None:
    network = archdsl.loads(EVERYTHING)
    before = network.fingerprint
    network.optimised()
    assert Network(network.document, network.graph, {}).fingerprint == before
    assert network.optimised(()) is network.graph


@seed(5)
@settings(max_examples=40, deadline=None, database=None)
@given(texts())
def test_random_networks(text: str) -> None:
    try:
        network = archdsl.loads(text)
        if sum(t.param.numel for t in network.graph.tensors) > 200_000 or network.macs > 20_000_000:
            return
    except ArchError:
        return
    numbers = lively(network)
    plain = outputs(network, numbers, ())
    if all(np.isfinite(one).all() for one in plain):
        assert apart(plain, outputs(network, numbers, tuple(PASSES))) <= 20 * BOUND


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "squeezenet1_1",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in (
                "googlenet",
                "densenet121",
                "inception_v3",
                "convnext_tiny",
                "efficientnet_b0",
                "regnet_y_400mf",
                "mnasnet0_5",
                "inception_resnet_v2",
                "unet",
                "dpn68",
                "xception",
                "resnext50_32x4d",
            )
        ),
    ],
)
def test_networks_of_the_library(name: str) -> None:
    network = archdsl.load(name)
    numbers = lively(network)
    graph = network.optimised()
    assert not {"dropout", "droppath", "identity"} & set(kinds(graph))
    assert apart(outputs(network, numbers, ()), outputs(network, numbers, tuple(PASSES))) <= BOUND


# --- numbers ----------------------------------------------------------------------------------------------------


def test_folded_numbers_are_rounded_once(net: Any) -> None:
    """Against the same product in double precision, to the last bit."""
    network = net("net: {c: 3x3 conv 8 bias, b: bn eps=0.001, s: scale}", input="4x8x8")
    w = lively(network)
    graph = network.optimised()
    made = folded(w, graph)
    exact = {k: v.astype(np.float64) for k, v in w.items()}
    gain = exact["b.weight"] / np.sqrt(exact["b.running_var"] + 0.001)
    scale = exact["s"].reshape(-1)
    bias = ((exact["c.bias"] - exact["b.running_mean"]) * gain + exact["b.bias"]) * scale
    product = exact["c.weight"] * (gain * scale)[:, None, None, None]
    assert np.array_equal(made["c/weight"], product.astype(np.float32))
    assert np.abs(made["c/bias"] - bias).max() <= 1e-7
    assert made["c/weight"].dtype == made["c/bias"].dtype == np.float32


def test_nothing_is_worked_out_before_it_is_asked_for(net: Any) -> None:
    graph = net("net: {c: 3x3 conv 8, b: bn}").optimised()

    class Missing(dict):  # type: ignore[type-arg]
        def __getitem__(self, key: str) -> Any:
            raise AssertionError(key)

    assert set(folded(Missing(), graph)) == {"c/weight", "c/bias"}


# --- on the command line ----------------------------------------------------------------------------------------


def cli(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def names(path: Path) -> set[str]:
    return {t.name for t in onnx.load(path).graph.initializer}


def test_compile_with_and_without(tmp_path: Path) -> None:
    network = archdsl.load("resnet18")
    kept = {t.key for t in network.graph.tensors if t.param.dtype != "int64"}
    for option in ("-O0", "--O0"):
        assert cli("compile", "resnet18", option, "-o", str(tmp_path / "a.onnx")).exit_code == 0
        assert names(tmp_path / "a.onnx") == kept
        assert "folded" not in {p.key for p in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert cli("compile", "resnet18", "-o", str(tmp_path / "b.onnx")).exit_code == 0
    facts = {p.key: p.value for p in onnx.load(tmp_path / "b.onnx").metadata_props}
    assert json.loads(facts["folded"]) == {"conv1": "bn1", "conv2": "bn2", "0": "1"}
    layers = {name.partition("/")[0] for name in names(tmp_path / "b.onnx") - kept}
    told = absorbed.read(facts["folded"], layers)
    assert told["conv1"] == ("bn1",) and told["layer2.0.downsample.0"] == ("layer2.0.downsample.1",)
    assert {path for paths in told.values() for path in paths} == {
        t.node.path for t in network.graph.tensors if t.node.op.name == "bn"
    }
    assert facts["params"] == str(network.params)
    assert cli("compile", "resnet18", "--disable", "fold-after", "-o", str(tmp_path / "c.onnx")).exit_code == 0
    assert names(tmp_path / "c.onnx") == kept


def test_compile_refuses() -> None:
    done = cli("compile", "resnet18", "--disable", "fold-afer")
    assert (done.exit_code, "fold-after" in done.output) == (2, True)
    assert cli("compile", "resnet18", "--to", "torch", "-O0").exit_code == 2


def test_passes_command() -> None:
    report = json.loads(cli("passes", "resnet18", "--format", "json").output)
    rows = {row["pass"]: row for row in report["passes"]}
    assert list(rows) == [None, *PASSES]
    assert (rows[None]["onnx_nodes"], rows["global-pools"]["onnx_nodes"]) == (69, 49)
    assert rows["fold-after"]["changed"] and not rows["fuse-gates"]["changed"]
    table = cli("passes", "resnet18", "--disable", "fold-after")
    assert table.exit_code == 0 and "fold-after" not in table.output and "drop-dead" in table.output
    assert cli("passes", "resnet18", "--format", "markdown").output.startswith("| pass |")
