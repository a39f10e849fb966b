"""Printed networks: the same as the live ones, safe, well laid out, and readable.

Tests `backends/torch/classes.py`, `backends/torch/constructors.py`, `backends/torch/forward.py`,
`backends/torch/class_arguments.py`, `backends/torch/program.py`, `backends/torch/sharing.py`,
`backends/torch/source.py` and `backends/torch/docstrings.py`.
"""

from __future__ import annotations

import ast
import dataclasses
import random
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import archdsl
from archdsl import ops
from archdsl.backends.torch import naming, to_source
from archdsl.backends.torch.layout import Infix, Joined, SourceGroup, flat, lay
from archdsl.backends.torch.repeats import compact, compact_named
from archdsl.graph import FreeSize, Graph
from archdsl.shapes import concrete
from tests.support.any_axes import MOST_OPS, for_axes
from tests.support.handmade import Hand
from tests.support.random_specs import texts

torch = pytest.importorskip("torch")

from archdsl.backends.torch.module import build, to_torch  # noqa: E402


def graph_of(text: str, input: str = "8x16x16") -> Graph:
    return archdsl.loads(f"name: net\ninput: {input}\n{textwrap.dedent(text)}").graph


def run(source: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "printed"}
    exec(compile(source, "printed", "exec"), space)
    return space


def leaves(made: Any) -> list[Any]:
    return list(made) if isinstance(made, tuple) else [made]


def small(size: FreeSize) -> int:
    """A legal size of about 64 pixels."""
    if size.pinned or size.default < 64:
        return size.default
    return max(size.minimum, 64) + (size.default - max(size.minimum, 64)) % size.step


def check_same(graph: Graph) -> str:
    """The printed network has the live one's keys and, with its weights, its outputs bit for bit, in both modes."""
    source = to_source(graph)
    live, printed = to_torch(graph), run(source)["build"]()
    assert set(printed.state_dict()) == {t.key for t in graph.tensors}
    for tensor in graph.tensors:
        if tensor.param.init.how == "data":
            assert torch.equal(printed.state_dict()[tensor.key], live.state_dict()[tensor.key])
    printed.load_state_dict(live.state_dict(), strict=True)
    live.load_state_dict(printed.state_dict(), strict=True)
    trained = [{k for k, p in network.named_parameters() if p.requires_grad} for network in (live, printed)]
    assert trained[0] == trained[1]
    sizes = {size.name: small(size) for size in graph.sizes}
    x = [torch.randn(2, *concrete(graph.nodes[i].shape, sizes)) for i in graph.inputs]
    for training in (False, True):
        made = []
        for network in (live, printed):
            torch.manual_seed(1)
            made.append(leaves(network.train(training)(*x)))
        for mine, other in zip(*made, strict=True):
            assert torch.equal(mine.nan_to_num(), other.nan_to_num())
    return source


def firsts() -> set[str]:
    """One network of each family."""
    names = archdsl.list()
    return {name for name, before in zip(names, ["", *names], strict=False) if before[:4] != name[:4]}


def library() -> list[Any]:
    """Every network; those that are not the first of their family are slow."""
    shown = firsts()
    return [pytest.param(name, marks=[] if name in shown else [pytest.mark.slow]) for name in archdsl.list()]


@pytest.mark.parametrize("name", library())
def test_library(name: str) -> None:
    network = archdsl.load(name)
    graph = network.graph
    if network.params > 3e7 or network.macs > 1.5e10:
        source = to_source(graph)
        with torch.device("meta"):
            module = run(source)["build"]()
        wanted = {k: v.shape for k, v in build(graph).state_dict().items()}
        assert {k: v.shape for k, v in module.state_dict().items()} == wanted
    else:
        source = check_same(graph)
    assert max(map(len, source.splitlines())) <= 100


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(texts())
def test_random_networks(text: str) -> None:
    graph = archdsl.loads(text).graph
    if sum(t.param.numel for t in graph.tensors) < 1e6:
        check_same(graph)


AWKWARD = {
    "dashes": (
        "net: {s: {block1-0: [3x3 conv 8, relu], block1-1: [3x3 conv 8], c: 'add <- block1-0, block1-1'}, t: {a-b: 3x3"
        " conv 4}}"
    ),
    "numbers": "net: {s: [3x3 conv 8, {residual: {conv: 3x3 conv 8}}, scale 0.5, 3x3 conv 4 relu, 3x3 conv 4 relu]}",
    "list": "net: {s: [3x3 conv 4 relu, 3x3 conv 4 relu, 3x3 conv 4 relu]}",
    "split": """
        net:
          parts: split 4
          a: 3x3 conv 2 <- parts.1
          cat: concat <- parts.3, a, parts.0, parts.2
          b: {branches: {l: 3x3 conv 4, r: [relu, 3x3 conv 4]}, split: 2}
          lone: slice 1 3
    """,
    "slices that differ": """
        blocks:
          cut(a, b): {keep: slice a b, conv: 3x3 conv 8, gain: scale a+1}
        net:
          one: cut(0, 4)
          two: cut(2, 5)
          three: cut(1, 8)
    """,
    "several values": """
        blocks:
          two(c): {a: 3x3 conv c, b: 3x3 conv c, c: relu}
        net: {one: two(8), two: two(4), three: 'concat <- one.a, one.b, two.a, two.b, two', four: two(4)}
    """,
    "unread": "net: {a: 3x3 conv 8, dead: {x: 3x3 conv 8, y: relu}, alive: 3x3 conv 4 <- a}",
    "outer names": """
        net: {F: 3x3 conv 8, nn: 3x3 conv 8, torch: 3x3 conv 8, x: 3x3 conv 8, out: {residual: {Tensor: 3x3 conv 8, self: relu}},
              print: 'add <- F, nn, torch', Net: 'add <- print, x', super: 'add <- Net, torch', NetOutputs: 'add <- super, F'}
        outputs: {Net: NetOutputs, class1: x}
    """,  # noqa: E501
    "block named as a layer": """
        blocks:
          Affine(DropPath): {a: 3x3 conv DropPath}
          affine_(range): {a: 3x3 conv range, b: ln}
        net: {a: Affine(8), b: Affine(4), c: affine_(8), d: affine_(4), e: droppath 0.1, f: {residual: {g: 3x3 conv 4}, scale: 0.1}}
    """,  # noqa: E501
    "activations": """
        blocks:
          unit(c, act): {body: [1x1 conv c, act, 1x1 conv c act=act], tail: act}
        net:
          - unit(4, relu)
          - unit(4, tanh)
          - unit(6, hardswish)
          - unit(6, relu)
    """,
    "sums": (
        "net: {a: 3x3 conv 8, b: 3x3 conv 8, c: 3x3 conv 8, d: 3x3 conv 8, e: 'add <- a, b, c, d', f: 'mul <- a, e, b'}"
    ),
    "sizes": """
        net: {a: 3x3 conv 4 pad=same /2, b: 2x2 maxpool pad=same, c: upsample 2, d: 'pad [1,-1,0,2]', e: 3x3 deconv 4 /2}
    """,  # noqa: E501
    "regularised": (
        "net: {a: 3x3 conv 8, b: dropout 0.2, c: dropout 0.3, d: fc 8, e: [dropout 0.5, dropout 0.1, fc 4, relu, fc 3]}"
    ),
    "gate": """
        net: {a: {branches: [identity, {gap: gap, f1: 1x1 conv 2 relu, f2: 1x1 conv 8 sigmoid}], merge: mul}, b: prelu, c: elu,
              d: {residual: {g: 3x3 conv 16 /2}, shortcut: pad}, e: lrn, f: gelu, g: gn 4, h: 1x1 fc 5}
    """,  # noqa: E501
    "vectors": "net: {a: fc 8, b: scale 0.5, c: {residual: {d: fc 8, e: scale 1}, then: relu}, f: bn, g: fc 4}",
    "long words": """
        blocks:
          unit(c): {doc: "A unit that is described at length, in words that do not fit into a line of a hundred columns; so they wrap", do: {a: 3x3 conv c}}
        net: {a: unit(8), b: unit(4), c: "concat <- a, b, input, a, b, input, a, b, input, a, b, input", e: 3x3 conv 2}
    """,  # noqa: E501
    "many sums": "net: {{{}, z: 'add <- {}'}}".format(
        ", ".join(f"branch_number_{n}: 3x3 conv 8 <- input" for n in range(12)),
        ", ".join(f"branch_number_{n}" for n in range(12)),
    ),
    "a chain of one": "net: {a: [[3x3 conv 8]], b: {c: {d: 3x3 conv 8}}}",
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_networks(name: str) -> None:
    check_same(graph_of(AWKWARD[name]))


# --- safety -----------------------------------------------------------------------------------------------

HOSTILE = [
    '"""\nimport os\n"""',
    "'; import os; '",
    "\\",
    '\\"',
    "{x}",
    "a\nimport os",
    "é\u202e\x00\x1b[31m",
    '"',
    "%s",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_stay_texts(text: str) -> None:
    graph = graph_of("net: {a: {b: 3x3 conv 8, c: relu}, d: relu}")
    for scope in graph.root.walk():
        scope.doc = text
    source = to_source(dataclasses.replace(graph, name=text), paper=text, fingerprint=text)
    tree = ast.parse(source)
    assert "os" not in {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert source.isascii() or text.startswith("é")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", source)
    plain = to_source(graph)
    assert [type(node) for node in ast.walk(tree)] == [type(node) for node in ast.walk(ast.parse(plain))]
    run(source)["build"]()(torch.zeros(1, 8, 4, 4))


@pytest.mark.parametrize("name", ["a b", "1x", "class", "a.b", '"', "é", "lambda", "\\"])
def test_names_stay_names(name: str) -> None:
    """The language refuses such names; the printer does not rely on it."""
    hand = Hand(name='x"y')
    hand.input("in", (3, 8, 8))
    hand.put(name.replace(".", "_"), ops.Conv(out=4, kernel=3))
    hand.put("out", ops.Relu())
    graph = hand.graph(outputs={name: "out", "second": name.replace(".", "_")})
    printed = run(to_source(graph))["build"]()
    assert set(printed.state_dict()) == {t.key for t in graph.tensors}
    printed(torch.zeros(1, 3, 8, 8))


def test_quoting() -> None:
    choose = random.Random(0)
    for _ in range(5000):
        text = "".join(choose.choice("a'\"\\\n{}é\u2028\x00\x1b#") for _ in range(choose.randint(0, 7)))
        assert ast.literal_eval(naming.quoted(text)) == text
        line = text.replace("\n", "")
        assert ast.literal_eval("\n".join(naming.docstring([line]))) == line
        shown = ast.literal_eval("\n".join(naming.docstring(["head", text])))
        assert shown.replace(" ", "").replace("\n", "") == f"head{text}".replace("\n", "")


@pytest.mark.parametrize(
    ("name", "word"),
    [("conv1", "conv1"), ("block1-0", "block1_0"), ("0", "_0"), ("in", "in_"), ("F", "F_"), ("print", "print_")],
)
def test_identifiers(name: str, word: str) -> None:
    assert naming.identifier(name) == word


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("resnet50", "Resnet50"),
        ("inception_v3", "InceptionV3"),
        ("squeezenet1_1", "Squeezenet1_1"),
        ("3d", "Block3d"),
        ("f", "FBlock"),
        ("", "Block"),
    ],
)
def test_class_names(name: str, word: str) -> None:
    assert naming.class_name(name) == word


def test_literals() -> None:
    for value in (None, True, 3, -1.5, 1e-6, 'a"b', (1, (2.0, "x")), (1,), ()):
        assert ast.literal_eval(naming.literal(value)) == value
    assert naming.literal(float("-inf")) == 'float("-inf")'
    with pytest.raises(TypeError):
        naming.literal([1])


# --- what it looks like -----------------------------------------------------------------------------------


def test_blocks_share_a_class() -> None:
    source = to_source(archdsl.load("resnet50").graph)
    assert re.findall(r"^class (\w+)", source, re.MULTILINE) == ["BottleneckWithDownsample", "Bottleneck", "Resnet50"]
    assert "def __init__(self, in_channels: int, w: int, s: int = 1)" in source
    assert "*[Bottleneck(256) for _ in range(5)]" in source
    assert "return self.relu(out + self.downsample(x))" in source


def test_arguments_are_the_blocks_own() -> None:
    source = to_source(archdsl.load("googlenet").graph)
    assert re.findall(r"^class (\w+)", source, re.MULTILINE) == [
        "ConvBnRelu",
        "Inception",
        "Head",
        "GooglenetTrainingOutputs",
        "Googlenet",
    ]
    assert "self, in_channels: int, a: int, b1: int, b2: int, c1: int, c2: int, d: int" in source
    assert "self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)" in source
    assert '"""Parallel branches: (N, in_channels, H, W) -> (N, a + b2 + c2 + d, H, W)."""' in source


def test_dense_blocks_are_counted_out() -> None:
    source = to_source(archdsl.load("densenet121").graph)
    assert 'OrderedDict((f"denselayer{i + 1}", Layer(256 + 32 * i)) for i in range(24))' in source
    assert len(source.splitlines()) < 150


def test_the_header_tells_what_it_is() -> None:
    source = archdsl.load("googlenet").to_source()
    doc = ast.get_docstring(ast.parse(source))
    assert doc is not None
    assert "Going Deeper with Convolutions" in doc.replace("\n", " ")
    assert "Input (N, 3, 224, 224)" in doc
    assert "6,624,904 parameters" in doc


def test_needs_only_torch(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(to_source(graph_of("net: {a: 3x3 conv 8 bn relu, gap: gap, fc: fc 3}")), encoding="utf-8")
    command = [sys.executable, "-I", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120)
    assert "output: (2, 3)" in done.stdout
    assert "parameters: 619" in done.stdout
    imported = {n.split(".")[0] for node in ast.walk(ast.parse(file.read_text())) for n in _imports(node)}
    assert imported <= {"torch", "collections", "typing", "__future__"}


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_printing_loads_no_torch() -> None:
    code = "import archdsl, sys; archdsl.load('perceptron').to_source(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


OF_EVERY_KIND = """
input: {a: 3x64, b: 3x8x8, c: 3x4x4x4, d: 4}
net: {x: 3 conv 4 <- a, y: 3x3 conv 4 <- b, z: 3x3x3 conv 4 <- c, w: fc 4 <- d}
outputs: [x, y, z, w]
"""


def test_laid_out_as_a_formatter_would(tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    for name in firsts():
        (tmp_path / f"{name}.py").write_text(archdsl.load(name).to_source(), encoding="utf-8")
    for name, text in AWKWARD.items():
        (tmp_path / f"awkward_{name.replace(' ', '_')}.py").write_text(to_source(graph_of(text)), encoding="utf-8")
    for number, text in enumerate([*(for_axes(MOST_OPS, axes) for axes in (1, 2, 3)), OF_EVERY_KIND]):
        (tmp_path / f"axes{number}.py").write_text(to_source(archdsl.loads(text).graph), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    formatted = subprocess.run(
        [*ruff, "format", "--isolated", "--line-length=100", "--diff", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert formatted.returncode == 0, formatted.stdout
    checked = subprocess.run(
        [*ruff, "check", "--isolated", "--line-length=100", "--select=E,F,W,I,B,UP", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_start_is_of_the_same_kind() -> None:
    graph = graph_of("net: {a: 3x3 conv 64 /2, b: 3x3 conv 64 groups=4, c: deconv kernel=3 64, d: fc 500}")
    torch.manual_seed(0)
    live, printed = to_torch(graph).state_dict(), run(to_source(graph))["build"]().state_dict()
    for key, tensor in live.items():
        if key.endswith("bias"):
            assert printed[key].abs().max() == tensor.abs().max() == 0
        else:
            assert printed[key].std().item() == pytest.approx(tensor.std().item(), rel=0.05)
            assert printed[key].abs().max().item() == pytest.approx(tensor.abs().max().item(), rel=0.3)


def test_layout() -> None:
    long = SourceGroup("f(", ("a" * 50, "b" * 50))
    assert lay("x = ", SourceGroup("f(", ("a", "b"))) == ["x = f(a, b)"]
    assert lay("x = ", long) == ["x = f(", f"    {'a' * 50},", f"    {'b' * 50},", ")"]
    assert lay("x = ", SourceGroup("f(", ("a" * 90,))) == ["x = f(a" + "a" * 89 + ")"]
    assert lay("x = ", SourceGroup("f(", ("a" * 90, "b")), indent="    ") == [
        "    x = f(",
        f"        {'a' * 90},",
        "        b,",
        "    )",
    ]
    assert lay("x = ", SourceGroup("f(", ("a", "b"), spread=True)) == ["x = f(", "    a,", "    b,", ")"]
    assert lay("return ", Infix("+", ("a" * 60, "b" * 60))) == ["return (", f"    {'a' * 60}", f"    + {'b' * 60}", ")"]
    assert flat(Joined(("k=", SourceGroup("f(", ("a",))))) == "k=f(a)"


def test_repeats() -> None:
    assert compact(["A(1)", "A(1)", "A(1)"]) == ["*[A(1) for _ in range(3)]"]
    assert compact(["A(1)", "A(1)", "B()"]) == ["A(1)", "A(1)", "B()"]
    assert compact(["A(1, s=2)", "A(3, s=2)", "A(5, s=2)"]) == ["*[A(1 + 2 * i, s=2) for i in range(3)]"]
    assert compact(["A(1)", "A(2)", "A(4)"]) == ["A(1)", "A(2)", "A(4)"]
    assert compact(["A(0.1)", "A(0.2)", "A(0.3)"]) == ["A(0.1)", "A(0.2)", "A(0.3)"]
    assert compact(["A(1e-05)", "A(1e-06)", "A(1e-07)"]) == ["A(1e-05)", "A(1e-06)", "A(1e-07)"]
    assert compact(["A(1 * w)", "A(2 * w)", "A(3 * w)"]) == ["A(1 * w)", "A(2 * w)", "A(3 * w)"]
    assert compact(["A(-1)", "A(-2)", "A(-3)"]) == ["A(-1)", "A(-2)", "A(-3)"]
    assert compact(["A(i)", "A(i)", "A(i)"]) == ["A(i)"] * 3
    assert compact_named(["n1", "n2", "n3"], ["A(4)"] * 3) == ['*[(f"n{i + 1}", A(4)) for i in range(3)]']
    assert [flat(d) for d in compact_named(["a", "b", "c"], ["A(4)"] * 3)] == [
        '("a", A(4))',
        '("b", A(4))',
        '("c", A(4))',
    ]


def test_a_class_for_fixed_filters_with_and_without_padding() -> None:
    blocks = "blocks:\n  smooth(p): {c: 3x3 conv 2 bias=0.5 pad=p, r: relu}\n"
    text = f"input: 1x9x9\n{blocks}net: [smooth(0), 'smooth([1,0,0,1])']\n"
    source = archdsl.loads(text).to_source()
    assert "pads: tuple[()] | tuple[int, int, int, int]" in source
    compile(source, "network.py", "exec")


@pytest.mark.parametrize(
    ("node", "stated"),
    [
        ("15 conv 4 /2 pad=same", True),
        ("3 maxpool /2 pad=same", True),
        ("15 conv 4 pad=same", False),
        ("15 conv 4 /2", False),
    ],
)
def test_a_source_whose_pads_are_those_of_one_size_says_so(node: str, stated: bool) -> None:
    network = archdsl.loads(f"input: 12x5000\nnet: [{node}, gap]\n")
    source = network.to_source()
    header = " ".join((ast.get_docstring(ast.parse(source)) or "").split())
    assert ("The module accepts no other" in header) == stated
    for module in (network.to_torch(), run(source)["build"]()):
        module(torch.zeros(1, 12, 5000))
        if stated:
            with pytest.raises(AssertionError, match=r"this module is for x\.shape\[2\] == 5000"):
                module(torch.zeros(1, 12, 4999))
        else:
            module(torch.zeros(1, 12, 4999))
