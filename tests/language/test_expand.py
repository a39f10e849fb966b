"""`archdsl expand`: the long form and the flat one are specs of the same network.

Tests `language/document.py`, `cli/expand.py`, `language/read_document.py`, `language/read_nodes.py`,
`language/read_sections.py`, `language/shorthand.py`, `language/syntax.py`, `language/names.py`,
`language/inheritance.py`, `language/validate.py`, `language/hints.py`, `language/format/expand.py`,
`backends/spec/fields.py` and `backends/spec/flat.py`.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import archdsl
from archdsl.backends.spec.rewrite import expand, flat_text, formatted, long_text
from archdsl.cli import main
from archdsl.language.format.longform import long_form, node_meaning, ordered, scalar_of, value_of
from archdsl.language.format.shortform import short_form
from archdsl.language.format.yaml_writer import YamlGroup, YamlLeaf, flow_text, mapping
from archdsl.language.shorthand import desugar
from archdsl.source import Map, Seq, Tree, decode, plain_value
from archdsl.spec.find import library_files
from archdsl.spec.open import Spec, from_source, open_spec
from tests.support.language_examples import NODES_WHOLE, WHOLE
from tests.support.places import DOCS
from tests.support.random_specs import texts

FAMILIES = [path.stem for path in library_files()]
VARIANTS = ["resnet18", "densenet161", "vgg16_bn", "resnext50_32x4d"]

LONG = {
    "7x7 conv 64 /2": "{op: conv, out: 64, kernel: [7, 7], stride: 2}",
    "3x3 conv 16 hardswish": "{op: conv, out: 16, kernel: [3, 3], act: hardswish}",
    "1x1 conv 8 plain relu": "{op: conv, out: 8, kernel: [1, 1], norm: none, act: relu}",
    "1x1 conv 4*w linear": "{op: conv, out: 4*w, kernel: [1, 1], act: none}",
    "2x2 deconv c /2 plain": "{op: deconv, out: c, kernel: [2, 2], stride: 2, norm: none, act: none}",
    "dwconv kernel=k /s act=a": "{op: dwconv, kernel: k, stride: s, act: a}",
    "bn relu": "{op: bn, act: relu}",
    "fc 10 tanh": "{op: fc, out: 10, act: tanh}",
    "1x1 fc w": "{op: fc, out: w, kernel: [1, 1]}",
    "dropout 0.5": "{op: dropout, p: 0.5}",
    "scale 1e-6": "{op: scale, init: 1e-6}",
    "slice a b": "{op: slice, start: a, end: b}",
    "pad [-1,-1,1,1]": "{op: pad, pixels: [-1, -1, 1, 1]}",
    "3x3 maxpool /2 pad=1 ceil": "{op: maxpool, kernel: [3, 3], stride: 2, pad: 1, ceil: true}",
    "7x7 avgpool adaptive": "{op: avgpool, kernel: [7, 7], adaptive: true}",
    "3x3 conv 1 weight=[[-1,8],[0,1]] bias=0": "{op: conv, out: 1, kernel: [3, 3], bias: 0, weight: [[-1, 8], [0, 1]]}",
    "3x3 conv (2 if first else 1) nobias pad=same": (
        "{op: conv, out: 2 if first else 1, kernel: [3, 3], pad: same, bias: false}"
    ),
    "upsample 2 linear": "{op: upsample, scale: 2, mode: linear}",
    "15 conv 64 /2": "{op: conv, out: 64, kernel: [15], stride: 2}",
    "3 * 3 maxpool /1": "{op: maxpool, kernel: [3], stride: 1, repeat: 3}",
    "1x3x3 conv 8 /1x2x2 relu": "{op: conv, out: 8, kernel: [1, 3, 3], stride: [1, 2, 2], act: relu}",
    "conv 8 kernel=3 /2 bn": "{op: conv, out: 8, kernel: 3, stride: 2, norm: bn}",
    "conv 8 kernel=[1,k,k] /[1,s,s]": "{op: conv, out: 8, kernel: [1, k, k], stride: [1, s, s]}",
    "conv 8 kernel=k /(s + 1)": "{op: conv, out: 8, kernel: k, stride: s + 1}",
    "dense n * conv 8 kernel=3": "{dense: {op: conv, out: 8, kernel: 3}, repeat: n}",
    "upsample [1,2,2]": "{op: upsample, scale: [1, 2, 2]}",
    "1x3x3 maxpool /1x2x2 pad=[0,1,1,0,1,1]": (
        "{op: maxpool, kernel: [1, 3, 3], stride: [1, 2, 2], pad: [0, 1, 1, 0, 1, 1]}"
    ),
    "gap": "{op: gap}",
    "concat <- skip, up": "{op: concat, from: [skip, up]}",
    "relu <- a.b": "{op: relu, from: a.b}",
    "1x1 conv e act=a when e != in": "{op: conv, out: e, kernel: [1, 1], act: a, when: e != in}",
    "double(c)": "{call: double(c)}",
    "n[1] * block(128, 2 if first else 1)": '{call: "block(128, 2 if first else 1)", repeat: "n[1]"}',
    "len(rows) * bneck(*rows[i])": '{call: "bneck(*rows[i])", repeat: len(rows)}',
    "dense 6 * layer as denselayer{1}": '{dense: {call: layer}, repeat: 6, as: "denselayer{1}"}',
    "dense n[0] * 3x3 conv k": '{dense: {op: conv, out: k, kernel: [3, 3]}, repeat: "n[0]"}',
}
"""Every short form of the language page, and its long one."""


def spec(text: str) -> Spec:
    return from_source(decode(textwrap.dedent(text).encode(), "test.yaml"))


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main(args)
    out, err = capsys.readouterr()
    return int(done.value.code or 0), out, err


# --- single nodes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("short", "long"), LONG.items())
def test_a_short_string_and_its_long_form(short: str, long: str) -> None:
    assert short_form(long_form(short)) == short
    made = ordered(long_form(short))
    assert flow_text(made) == long
    assert node_meaning(long_form(short_form(made) or "")) == node_meaning(made)


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ({"op": "conv", "kernel": "3", "out": "8"}, "conv 8 kernel=3"),
        ({"op": "conv", "out": "8", "kernel": "k"}, "conv 8 kernel=k"),
        ({"op": "conv", "out": "w + 1", "stride": "s"}, "conv (w + 1) /s"),
        ({"op": "conv", "out": "divisible(w, 8)", "act": "null"}, "conv divisible(w, 8) linear"),
        ({"op": "conv", "act": "relu", "norm": "bn", "out": "8"}, "conv 8 bn relu"),
        ({"op": "bn", "norm": "none"}, "bn norm=none"),
        ({"op": "conv", "out": "8", "doc": "why"}, None),
        ({"op": "conv", "out": "8", "kernel": "3", "wrong": "1"}, None),
        ({"do": "relu"}, None),
    ],
)
def test_a_long_node_in_short(long: dict[str, str], short: str | None) -> None:
    numbers = {"8", "3", "null"}
    assert short_form(mapping({k: YamlLeaf(v, verbatim=v in numbers) for k, v in long.items()})) == short


def test_what_the_short_form_cannot_say_stays_long() -> None:
    act = mapping({"op": YamlLeaf("leaky_relu"), "slope": YamlLeaf("0.2", verbatim=True)})
    assert short_form(mapping({"op": YamlLeaf("fc"), "out": YamlLeaf("8", verbatim=True), "act": act})) is None
    assert short_form(mapping({"op": YamlLeaf("relu", anchor="a")})) is None
    group = mapping({"op": YamlLeaf("relu")})
    group.entries[0].beside = "# why"
    assert short_form(group) is None


def test_a_bracketed_number_is_an_expression_and_a_bare_one_is_not() -> None:
    assert value_of("(3.0)") != value_of("3.0")
    assert isinstance(made := value_of("(3.0)"), YamlLeaf) and (made.text, made.verbatim) == ("(3.0)", False)
    assert isinstance(made := value_of("(a if b else c)"), YamlLeaf) and made.text == "a if b else c"
    assert isinstance(made := value_of("[1, [k, 2.5]]"), YamlGroup) and flow_text(made) == "[1, [k, 2.5]]"
    assert isinstance(value_of("[1, 2][i]"), YamlLeaf)


AXES = """
name: any_axes
input: {signal: 2x16, image: 2x16x16, volume: 2x8x16x16, video: 3x4x8x8}
args: {k: 3}
blocks:
  down(w, k=3, s=2): {conv: conv w kernel=k /s bn relu, pool: maxpool kernel=2}
net:
  a: 15 conv 4 /2 <- signal
  b: down(4)
  c: 2 * 3 conv 4 relu
  d: 3x3 conv 4 <- image
  e: down(4, 5)
  f: 3x3x3 conv 4 pad=[1,0,1,0,1,0] <- volume
  g: down(4, k)
  h: conv 4 kernel=[1,k,k] /[1,2,2] <- video
  i: 1x3x3 maxpool /1x2x2 pad=[0,1,1,0,1,1]
  j: {residual: [3x3x3 conv 6 /1x2x2]}
outputs: {signal_out: c, image_out: e, volume_out: g, clip_out: j}
"""


def test_signals_images_and_volumes_round_trip() -> None:
    network = archdsl.loads(AXES)
    long = long_text(spec(AXES))
    assert archdsl.loads(long).fingerprint == network.fingerprint
    short = formatted(decode(long.encode(), "long.yaml"))
    assert archdsl.loads(short).fingerprint == network.fingerprint
    for node in ("15 conv 4 /2 <- signal", "conv w kernel=k /s bn relu", "maxpool kernel=2", "2 * 3 conv 4 relu"):
        assert node in short and node in formatted(decode(AXES.encode(), "axes.yaml"))
    assert archdsl.diff(network, archdsl.loads(flat_text(spec(AXES)))).equal


def test_numbers_as_keys_stay_keys_if_their_ops_have_names_below() -> None:
    text = """
        input: 3x16x16
        defaults: {naming: flat}
        net:
          a: {0: 3x3 conv 4 bn relu, 1: 3x3 conv 4 bn relu}
          b: [3x3 conv 4 bn, relu]
    """
    flat = archdsl.loads(flat_text(spec(text)))
    assert archdsl.diff(archdsl.loads(textwrap.dedent(text)), flat).equal


# --- whole networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FAMILIES, *VARIANTS])
def test_the_long_form_is_the_same_network(name: str) -> None:
    net, text = archdsl.load(name), long_text(open_spec(name))
    again = archdsl.loads(text)
    assert (again.fingerprint, again.name) == (net.fingerprint, net.name)
    assert again.document.paper == net.document.paper and again.document.preprocess == net.document.preprocess
    assert long_text(from_source(decode(text.encode(), "long"))) == text


@pytest.mark.parametrize("name", [*FAMILIES, *VARIANTS])
def test_the_flat_form_has_the_same_tensors_and_wiring(name: str) -> None:
    net = archdsl.load(name)
    again = archdsl.loads(flat_text(open_spec(name)))
    assert not again.document.blocks and not again.document.args
    assert {t.key: t.param.shape for t in again.graph.tensors} == {t.key: t.param.shape for t in net.graph.tensors}
    assert [(n.op.name, n.inputs, n.shape) for n in again.nodes] == [(n.op.name, n.inputs, n.shape) for n in net.nodes]
    assert {n.path for n in again.nodes if not n.implied} == {n.path for n in net.nodes if not n.implied}
    assert again.graph.outputs == net.graph.outputs and again.graph.aux == net.graph.aux
    assert (again.params, again.macs) == (net.params, net.macs)
    assert archdsl.diff(net, again).equal


def test_what_was_inferred_is_written_down() -> None:
    text = flat_text(
        spec("""
        input: 3x8x8
        defaults: {conv: bn relu, naming: sibling}
        net:
          conv1: 3x3 conv 8 /2
          block:
            residual:
              conv1: 3x3 conv 16 /2
              conv2: 3x3 conv 16 linear
            then: relu
          pool: 2x2 maxpool
          fc: fc 10
    """)
    )
    assert text == textwrap.dedent("""\
        input: 3x8x8
        defaults: {naming: sibling}
        net:
          conv1: {op: conv, out: 8, kernel: [3, 3], stride: 2, pad: 1, bias: false, norm: bn, act: relu}
          block:
            entry: {_: {op: identity}}
            conv1: {op: conv, out: 16, kernel: [3, 3], stride: 2, pad: 1, bias: false, norm: bn, act: relu}
            conv2: {op: conv, out: 16, kernel: [3, 3], stride: 1, pad: 1, bias: false, norm: bn}
            downsample:
              - {op: conv, out: 16, kernel: [1, 1], stride: 2, pad: 0, bias: false, norm: bn, from: entry}
            _add: {op: add, from: [conv2, downsample]}
            _relu: {op: relu}
          pool: {op: maxpool, kernel: [2, 2], stride: 2, pad: 0}
          fc: {op: fc, out: 10, bias: true}
    """)
    assert archdsl.loads(text).params == 8 * 27 + 16 + 16 * 8 * 9 + 32 + 16 * 16 * 9 + 32 + 16 * 8 + 32 + 170


def test_a_tensor_without_a_name_gets_one() -> None:
    text = flat_text(
        spec("""
        input: 4x8x8
        net:
          - 3x3 conv 4
          - residual: {conv: 3x3 conv 4}
          - residual: {conv: 3x3 conv 4}
            scale: 0.5
    """)
    )
    assert text.count("entry: {_: {op: identity}}") == 2
    assert "_affine: {op: affine, mul: 0.5, add: 0.0}" in text
    again = archdsl.loads(text)
    assert [n.op.name for n in again.nodes] == ["input", "conv", "conv", "add", "conv", "affine", "add"]


def test_several_inputs_outputs_and_heads_in_flat_form() -> None:
    text = """
        input: {image: 3x32x32, mask: [1, H2=32, W2=32]}
        blocks:
          join(c) <- x, y:
            cat: concat <- y, x
            conv: 3x3 conv c
          head: [gap, fc 5]
        net:
          a: 3x3 conv 8 <- image
          b: join(16) <- a, mask
          parts: split 2
          c: add <- parts.1, parts.0
        aux: {early: {from: a, do: head, weight: 0.3}}
        outputs: {features: b.cat, flow: c}
    """
    net, flat = archdsl.loads(textwrap.dedent(text)), archdsl.loads(flat_text(spec(text)))
    assert [(n.path, n.inputs, n.op.name) for n in flat.nodes if "/" not in n.path] == [
        (n.path, n.inputs, n.op.name) for n in net.nodes if "/" not in n.path
    ]
    assert (flat.graph.outputs, flat.graph.aux) == (net.graph.outputs, net.graph.aux)
    assert flat.input == net.input


def test_a_list_with_something_between_its_items_becomes_a_mapping() -> None:
    text = flat_text(spec("input: 3x8x8\nnet:\n  - 3x3 conv 4\n  - dense 2 * 3x3 conv 2 relu\n  - gap\n"))
    assert text == textwrap.dedent("""\
        input: 3x8x8
        net:
          - {op: conv, out: 4, kernel: [3, 3], stride: 1, pad: 1, bias: true}
          - entry: {_: {op: identity}}
            0: {op: conv, out: 2, kernel: [3, 3], stride: 1, pad: 1, bias: true, act: relu}
            _concat: {op: concat, from: [entry, "0"]}
            1: {op: conv, out: 2, kernel: [3, 3], stride: 1, pad: 1, bias: true, act: relu}
            _concat2: {op: concat, from: [_concat, "1"]}
          - {op: gap}
    """)


FLAT = {
    "an fc on an image": "net: {a: 3x3 conv 4, pool: gap, fc: fc 5}",
    "a dense block in a list": ("net: [3x3 conv 4, {dense: [1x1 conv 4 bn relu, 3x3 conv 2], repeat: 2}, gap]"),
    "copies between the items of a list": "net: [3x3 conv 4, '2 * 3x3 conv 4 as x{0}', 3x3 conv 4]",
    "items that take a number for each op": (
        "defaults: {naming: flat}\nnet: [3x3 conv 4 bn relu, '2 * 3x3 conv 4 as x{0}', 3x3 conv 4 bn relu]"
    ),
    "such items, read from outside": (
        "defaults: {naming: flat}\nnet: {a: [3x3 conv 4 bn relu, 3x3 conv 4 bn], b: 'add <- a.0, a.3'}"
    ),
    "numbers as keys, whose ops are numbered below them": (
        "defaults: {naming: flat}\nnet: {a: {0: 3x3 conv 4 bn relu, 1: {0: 3x3 conv 4 bn}}, b: [{0: 3x3 conv 4 bn}]}"
    ),
    "a name that means another node further inside": (
        "blocks: {'f(c) <- x, y': {a: 3x3 conv c, b: 'concat <- a, y'}}\n"
        "net: {a: {c: 3x3 conv 4, d: 3x3 conv 6}, e: 'f(3) <- a.d, a.c'}"
    ),
    "such a name, read in the middle": (
        "blocks: {'f(c) <- x, y': {t: {a: 3x3 conv c, b: relu, z: 'concat <- b, y'}}}\n"
        "net: {a: {c: 3x3 conv 4, d: 3x3 conv 6}, e: 'f(3) <- a.d, a.c'}"
    ),
    "an implied node, read from outside": "net: {t: {_x: {c: 3x3 conv 4, _y: relu}, d: gap}, e: 'mul <- t._x, t'}",
    "a norm run again, and a norm after it": "net: {t: {c: 3x3 conv 4, g: gn 2, h: {op: again, node: g, norm: bn}}}",
    "a list whose first item runs again": "net: {x: {0: 3x3 conv 3, 1: relu, 2: {op: again, node: 0}}}",
    "an op with a then": "net: {a: {do: 'pad 1', then: relu}, b: tanh}",
    "a crop of all sides": "net: {a: 'pad [-1,-1,-1,-1]', b: upsample 2}",
    "two layers in an auxiliary head": (
        "defaults: {naming: sibling}\nnet: {a: 3x3 conv 4, b: 3x3 conv 4}\n"
        "aux: {conv1: {from: a, do: 3x3 conv 2 bn relu}}"
    ),
}


@pytest.mark.parametrize("short", LONG)
def test_the_text_of_each_part_reads_as_its_value(short: str) -> None:
    stack: list[Tree] = [desugar(scalar_of(short))]
    while stack:
        tree = stack.pop()
        if isinstance(tree, Map):
            assert all(key == entry.key.text == entry.key.value for key, entry in tree.entries.items())
            stack += [entry.value for entry in tree.entries.values()]
        elif isinstance(tree, Seq):
            stack += tree.items
        else:
            assert tree.value == (tree.text if isinstance(tree.value, str) else plain_value(tree.text))


@pytest.mark.parametrize("name", FLAT)
def test_the_flat_form_is_the_same_network(name: str) -> None:
    text = f"input: 3x8x8\n{FLAT[name]}\n"
    again = archdsl.loads(flat_text(spec(text)))
    assert archdsl.diff(archdsl.loads(text), again).equal
    assert not again.document.blocks


@pytest.mark.parametrize("levels", [40, 57, 58, 59, 60])
def test_a_node_at_the_deepest_level_stays_short(levels: int) -> None:
    """The long form has more levels than the short one, and the reader allows 64."""
    node = '"1x1 conv 1 bn weight=[[[[1]],[[1]],[[1]]]]"'
    text = f"input: 3x8x8\nnet: {'{a: ' * levels}{node}{'}' * levels}\n"
    network = archdsl.loads(text)
    for written in (long_text(spec(text)), flat_text(spec(text)), network.metadata()["spec"]):
        assert archdsl.diff(network, archdsl.loads(written)).equal


def test_variants_bases_and_arguments_are_merged_in(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "input: 3x8x8\nargs: {k: {type: int, default: 4}}\nnet: {conv: 3x3 conv k}\nclaims: {depth: 1}\n"
    )
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\nvariants: {wide: {k: 9}}\n")
    text = long_text(open_spec(f"{child}#wide"), "3x16x16", {})
    assert text.startswith("name: wide\ninput: 3x16x16\nargs: {k: {type: int, default: 9}}\nnet:\n")
    assert archdsl.loads(text).params == archdsl.load(f"{child}#wide").params
    text = long_text(open_spec(str(tmp_path / "base.yaml")), None, {"k": 5})
    assert "default: 5" in text and "claims" not in text
    assert "out: 5" in flat_text(open_spec(str(tmp_path / "base.yaml")), None, {"k": 5})


def test_labels_of_a_file_are_written_in(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\nyes\n7\n")
    path = tmp_path / "pets.yaml"
    path.write_text("input: 3x8x8\nlabels: labels.txt\nnet: [gap, fc 3]\n")
    for write in (long_text, flat_text):
        assert archdsl.loads(write(open_spec(str(path)))).labels == ("cat", "yes", "7")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts())
def test_random_specs_round_trip(text: str) -> None:
    source = decode(text.encode(), "random.yaml")
    fingerprint = archdsl.loads(text).fingerprint
    long = long_text(from_source(source))
    assert archdsl.loads(long).fingerprint == fingerprint
    short = formatted(decode(long.encode(), "long.yaml"))
    assert archdsl.loads(short).fingerprint == fingerprint
    assert archdsl.loads(long_text(from_source(decode(short.encode(), "short.yaml")))).fingerprint == fingerprint
    flat = archdsl.loads(flat_text(from_source(source)))
    assert archdsl.diff(archdsl.loads(text), flat).equal


# --- the command -------------------------------------------------------------------------------------------


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = run(capsys, "expand", "resnet18", "-a", "classes=7")
    assert (status, err) == (0, "") and "name: resnet18\n" in out and "classes: 7" in out
    target = tmp_path / "flat.yaml"
    assert run(capsys, "expand", "--flat", "resnet18", "-o", str(target)) == (0, "", "")
    assert archdsl.load(target).params == archdsl.load("resnet18").params


@pytest.mark.parametrize("flags", [[], ["--flat"]])
def test_a_wrong_spec_is_told_as_it_was_written(
    flags: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("input: 3x8x8\nnet:\n  conv: 3x3 cnov 8\n")
    status, out, err = run(capsys, "expand", str(path), *flags)
    assert (status, out) == (1, "") and "wrong.yaml:3:13" in err


def test_an_input_is_never_overwritten(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("input: 3x8x8\nnet: [relu]\n")
    status, _, err = run(capsys, "expand", str(path), "-o", str(path), "--force")
    assert status == 2 and "E0702" in err


# --- the language page ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*WHOLE, "nodes"])
def test_the_examples_of_the_language_round_trip(name: str) -> None:
    text = NODES_WHOLE if name == "nodes" else WHOLE[name]
    source = decode(text.encode(), f"{name}.yaml")
    net = archdsl.loads(text)
    for variant in (None, *net.document.variants):
        fingerprint = archdsl.loads(text, variant=variant).fingerprint
        long = long_text(from_source(source, variant))
        assert archdsl.loads(long).fingerprint == fingerprint
        short = formatted(decode(long.encode(), "long.yaml"))
        assert archdsl.loads(short).fingerprint == fingerprint
        flat = archdsl.loads(flat_text(from_source(source, variant)))
        assert archdsl.diff(archdsl.loads(text, variant=variant), flat).equal
    assert archdsl.loads(formatted(source)).fingerprint == net.fingerprint


PAGE = (DOCS / "language.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_the_specs_of_the_language_page_round_trip(text: str) -> None:
    source, fingerprint = decode(text.encode(), "page.yaml"), archdsl.loads(text).fingerprint
    assert archdsl.loads(long_text(from_source(source))).fingerprint == fingerprint
    assert archdsl.loads(formatted(source)).fingerprint == fingerprint
    assert archdsl.diff(archdsl.loads(text), archdsl.loads(flat_text(from_source(source)))).equal


@pytest.mark.parametrize("flat", [False, True])
def test_preprocessing_that_axes_leaves_out_is_not_written(tmp_path: Path, flat: bool) -> None:
    spec = tmp_path / "v.yaml"
    for axes, size, kept in ((3, "3x8x9x8", False), (1, "3x16", False), (2, "3x16x16", True)):
        spec.write_text(f"input: {size}\naxes: {axes}\nnet: {{a: 3x3 conv 4, g: gap, f: fc 2}}\npreprocess: imagenet\n")
        text = expand(spec, flat=flat).text
        assert ("preprocess: imagenet" in text) == kept and ("preprocess" in text) == kept
        assert not archdsl.loads(text).notes
