"""What a variant, or a spec with `extends`, does to its base.

Tests `language/overlay.py` and `language/inheritance.py`. Each merged spec here is also written again in every form.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import archdsl
from archdsl import ArchError
from archdsl.backends.spec.rewrite import expand
from tests.search.round_trips import mismatches

BASE = """\
name: base
input: 3x32x32
args: {k: {type: int, default: 4, max: 8}, n: 2}
defaults: {fc: tanh}
blocks:
  basic(w, s=1):
    residual: {conv1: 3x3 conv w /s, conv2: 3x3 conv w}
    then: relu
  pair(w): {one: 3x3 conv w, two: 3x3 conv w}
net:
  stem: 7x7 conv 8 /2 bn relu
  pool: 2x2 maxpool
  res:
    residual: {conv1: 3x3 conv 8, conv2: 3x3 conv 8}
    then: relu
  body: basic(8)
  tail: pair(8)
  seq: [3x3 conv 8, 3x3 conv 8, relu]
  mix: {branches: [{one: 3x3 conv 8}, {two: 3x3 conv 8}]}
  cut: 3x3 conv 8 <- tail when n > 2
  copies: 2 * 3x3 conv 8
  grow: dense 2 * 3x3 conv 4
  head: {gap: gap, fc: fc 10}
aux: {side: {from: pool, do: {gap: gap, fc: fc 3}, weight: 0.5}}
preprocess: imagenet
"""


def written(over: str) -> str:
    text = textwrap.dedent(over)
    return f"{BASE}variants:\n  other:\n{textwrap.indent(text, '    ')}\n"


def other(over: str) -> archdsl.Network:
    network = archdsl.loads(written(over), variant="other")
    assert mismatches(written(over), "other") == []
    return network


def refused(over: str) -> archdsl.Diagnostic:
    with pytest.raises(ArchError) as caught:
        other(over)
    (d,) = caught.value.diagnostics
    return d


def nodes(network: archdsl.Network) -> list[str]:
    """The written nodes by path, without the input."""
    return [node.path for node in network.graph.nodes[1:] if "/" not in node.path]


PLAIN = nodes(archdsl.loads(BASE))
TOP = ["stem", "pool", "res", "body", "tail", "seq", "mix", "copies", "grow", "head"]


def order(over: str) -> list[str]:
    """The keys of the top sequence, in the order in which they run."""
    return [*dict.fromkeys(path.split(".")[0] for path in nodes(other(over)) if not path.startswith("side"))]


# --- insert -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("over", "keys"),
    [
        ("{stem: 3x3 conv 8, stem2: 3x3 conv 8, stem3: 3x3 conv 8}", ["stem", "stem2", "stem3", *TOP[1:]]),
        ("{first: 3x3 conv 8, stem: 3x3 conv 8}", ["first", *TOP]),
        ("{first: relu, second: relu, pool: 3x3 maxpool /2}", ["stem", "first", "second", *TOP[1:]]),
        ("{last: relu}", [*TOP, "last"]),
        ("{pool: null, conv: 3x3 conv 8 /2}", ["stem", "conv", *TOP[2:]]),
        ("{head: null, stem: 3x3 conv 8, new: relu}", ["stem", "new", *TOP[1:-1]]),
        ("{new: relu, pool: null}", ["stem", "new", *TOP[2:]]),
        ("{new: relu, stem: null, pool: null}", ["new", *TOP[2:]]),
        ("{a: relu, stem: 3x3 conv 8, b: relu, tail: relu, c: relu}", ["a", "stem", "b", *TOP[1:5], "c", *TOP[5:]]),
        ("{stem: 3x3 conv 8, head: [gap, fc 3]}", TOP),
    ],
)
def test_new_nodes_go_where_the_override_writes_them(over: str, keys: list[str]) -> None:
    assert order(f"net: {over}\naux: null") == keys


def test_new_nodes_of_nested_sequences(tmp_path: Path) -> None:
    network = other("net: {head: {gap: gap, drop: dropout 0.5}}\naux: {side: {do: {act: relu, gap: gap}}}")
    assert [p for p in nodes(network) if p.startswith("head")] == ["head.gap", "head.drop", "head.fc"]
    assert [p for p in nodes(network) if p.startswith("side")] == ["side.act", "side.gap", "side.fc"]
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nnet: {head: {before: relu, fc: fc 5}}\n")
    child = archdsl.load(tmp_path / "child.yaml")
    assert [p for p in nodes(child) if p.startswith("head")] == ["head.gap", "head.before", "head.fc"]


def test_two_orders_contradict_each_other() -> None:
    d = refused("net: {pool: relu, stem: 3x3 conv 8}")
    assert d.code == "E0215" and d.span is not None and d.span.text == "stem"
    assert [label.span.text for label in d.labels] == ["stem", "pool"]
    assert refused("net: {head: {fc: fc 3, gap: gap}}").code == "E0215"
    assert refused("net: {head: null, new: relu, stem: 3x3 conv 8}").code == "E0215"


def test_inputs_and_outputs_keep_their_order() -> None:
    text = "input: {a: 3x8x8, b: 3x8x8}\nnet: {c: 'concat <- a, b', d: relu}\noutputs: {x: c, y: d}\n"
    text += "variants: {v: %s}\n"
    network = archdsl.loads(text % "{input: {a: 3x8x8, m: 3x8x8}, outputs: {z: d, y: c}}", variant="v")
    assert [network.graph.nodes[i].path for i in network.graph.inputs] == ["a", "m", "b"]
    assert list(network.graph.outputs) == ["x", "z", "y"]
    with pytest.raises(ArchError, match="E0215"):
        archdsl.loads(text % "{outputs: {y: c, x: d}}", variant="v")


# --- change -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("over", "same"),
    [
        ("net: {stem: {stride: 1}}", "net: {stem: 7x7 conv 8 bn relu}"),
        ("net: {stem: {stride: null, act: null}}", "net: {stem: 7x7 conv 8 bn}"),
        ("net: {stem: {when: 1 == 1, out: 6}}", "net: {stem: 7x7 conv 6 /2 bn relu}"),
        ("net: {res: {then: null}}", "net: {res: {residual: {conv1: 3x3 conv 8, conv2: 3x3 conv 8}, then: null}}"),
        (
            "net: {res: {scale: 0.5}}",
            "net: {res: {residual: {conv1: 3x3 conv 8, conv2: 3x3 conv 8}, scale: 0.5, then: relu}}",
        ),
        (
            "blocks: {basic: {then: tanh}}",
            "blocks: {'basic(w, s=1)': {residual: {conv1: 3x3 conv w /s, conv2: 3x3 conv w}, then: tanh}}",
        ),
        ("blocks: {'basic(w)': {residual: null, do: relu, then: null}}", "blocks: {'basic(w, s=1)': relu}"),
        ("defaults: {fc: {bias: false}}", "defaults: {fc: nobias tanh}"),
        ("aux: {side: {do: {fc: {out: 4}}}}", "aux: {side: {do: {fc: fc 4}}}"),
        ("net: {tail: {when: n == 2}}", "{}"),
    ],
)
def test_keys_of_a_node_change_alone(over: str, same: str) -> None:
    a, b = other(over), other(same)
    assert a.fingerprint == b.fingerprint
    assert [n.path for n in a.graph.nodes] == [n.path for n in b.graph.nodes]


SHORT = """\
input: 3x32x32
args: {k: 3}
defaults: {conv: bn relu, maxpool: ceil}
blocks:
  thin(c): 3x3 conv c nobias
net:
  0: 3x3 conv 3 plain
  1: again 0 <- 0
  stem: 7x7 conv 8 /2 plain when k > 2
  pool: 3x3 maxpool /2 ceil
  block: thin(8)
  copies: 2 * 3x3 conv 8 pad=[2,1,0,1] as copy{1}
  grow: dense 2 * 3x3 conv (k if k > 1 else 2) linear
  skip: upsample 2 nearest <- pool
  drop: dropout 1e-1
  head: fc 10 nobias
"""
"""Every part of the short form."""


@pytest.mark.parametrize(
    "over",
    [
        "net: {0: {stride: 1}, 1: {act: tanh}, stem: {act: silu}, pool: {pad: 1}, copies: {as: 'c{0}'}}",
        "net: {drop: {act: relu}, head: {bias: true}}",
        "net: {stem: {when: 2 > 1, norm: ln}, block: {repeat: 3}, grow: {then: relu}, skip: {act: relu}}",
        "net: {stem: {norm: null}, pool: {ceil: null}, copies: {pad: null, as: null}, grow: {repeat: k}}",
        "blocks: {thin: {stride: 2, act: {op: leaky_relu, slope: 0.1}}}",
        "defaults: {conv: {act: gelu}, maxpool: {pad: 1}}",
    ],
)
def test_keys_are_added_to_short_strings(over: str, tmp_path: Path) -> None:
    """The merged text was spliced from pieces of the strings: `{3x3: [3, 3], conv: conv, 8: 8, stride: 2}`."""
    variant = f"{SHORT}variants:\n  v:\n{textwrap.indent(over, '    ')}\n"
    assert mismatches(variant, "v", tmp_path) == []
    (tmp_path / "base.yaml").write_text(SHORT)
    (tmp_path / "child.yaml").write_text(f"extends: base.yaml\n{over}\n")
    child = archdsl.load(tmp_path / "child.yaml")
    assert archdsl.diff(child, archdsl.loads(variant, variant="v")).equal
    for text in (expand(tmp_path / "child.yaml").text, child.metadata()["spec"]):
        assert archdsl.diff(child, archdsl.loads(text)).equal


def test_values_of_sections() -> None:
    assert other("k: 6").document.args["k"].most == 8
    with pytest.raises(ArchError, match="E0308"):
        other("k: 9")
    declared = other("args: {n: {max: 3}}").document.args["n"]
    assert (declared.default.span.text, declared.most) == ("2", 3)
    preprocess = other("preprocess: {resize: 40}").document.preprocess
    assert preprocess is not None and preprocess.resize == 40 and preprocess.mean == (0.485, 0.456, 0.406)
    preprocess = other("preprocess: {mean: 0.4}").document.preprocess
    assert preprocess is not None and (preprocess.mean, preprocess.std) == ((0.4,), (1.0,)), "not the std of the preset"


def test_another_paper(tmp_path: Path) -> None:
    text = BASE + "paper: {title: A, doi: 10.1/a}\nvariants: {b: {paper: {title: B}}, c: {paper: {year: 2000}}}\n"
    b, c = (archdsl.loads(text, variant=name).document.paper for name in "bc")
    assert b is not None and (b.title, b.doi) == ("B", None)
    assert c is not None and (c.title, c.doi, c.year) == ("A", "10.1/a", 2000)


# --- replace, remove ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("over", "paths"),
    [
        ("net: {stem: {do: {a: 3x3 conv 8 /2, b: 3x3 conv 8}}}", {"stem.a", "stem.b"}),
        ("net: {res: {do: {a: 3x3 conv 8}, then: null}}", {"res.a"}),
        ("net: {res: {residual: {do: {a: 3x3 conv 8}}, then: null}}", {"res.a"}),
        ("net: {res: {residual: {conv1: null, a: 3x3 conv 8, conv2: null}, then: null}}", {"res.a"}),
        ("net: {res: {residual: [3x3 conv 8], then: null}}", {"res.0"}),
        ("net: {seq: {0: null, 2: null, 1: relu, a: tanh}}", {"seq.1", "seq.a"}),
        ("net: {seq: {do: {a: tanh}}}", {"seq.a"}),
        ("net: {seq: {do: {3: tanh}}}", {"seq.3"}),
        ("net: {seq: tanh}", {"seq"}),
        ("net: {mix: {branches: {0: null, 1: tanh, q: relu}}}", {"mix.1", "mix.q"}),
        ("net: {cut: 5x5 conv 8 <- stem when n == 2}", {"cut"}),
        ("net: {cut: {op: relu, kernel: null, out: null, from: null, when: null}}", {"cut"}),
        ("net: {cut: {do: [relu, tanh], from: stem, when: null}}", {"cut.0", "cut.1"}),
        ("net: {copies: 3 * relu}", {"copies.0", "copies.1", "copies.2"}),
        ("net: {grow: relu}", {"grow"}),
        ("net: {res: {residual: {conv1: 3x3 conv 8, conv2: null}, then: relu}}", {"res.conv1"}),
        ("blocks: {pair(w): {one: 5x5 conv w, two: null, three: 3x3 conv w}}", {"tail.one", "tail.three"}),
        ("blocks: {pair: {one: 5x5 conv w, two: null}}", {"tail.one"}),
        ("net: {head: [gap, fc 3]}", {"head.0", "head.1"}),
        ("net: {stem: null}", set()),
        ("net: {res: gap}", {"res"}),
    ],
)
def test_a_whole_new_node(over: str, paths: set[str]) -> None:
    key = next(iter(paths)).split(".")[0] if paths else "stem"
    assert {p for p in nodes(other(f"{over}\naux: null")) if p.split(".")[0] == key} == paths


@pytest.mark.parametrize(
    ("over", "marked", "word"),
    [
        ("net: {res: {residual: {a: 3x3 conv 8}}}", "residual", "`then`"),
        ("net: {res: {residual: {a: 3x3 conv 8}, then: null}}", "a", "`conv1` and `conv2`"),
        ("net: {res: {residual: {conv2: relu, conv3: relu}, then: null}}", "conv2", "`conv1`"),
        ("net: {seq: {1: null}}", "1", "`0` and `2`"),
        ("net: {seq: {3: relu}}", "3", "`0` and `1` and `2`"),
        ("net: {seq: {0: relu, 1: relu, 2: relu, 3: null}}", "3", "removes `3`"),
        ("net: {mix: {branches: {1: sigmoid}}}", "1", "`0`"),
        ("net: {mix: {branches: {q: sigmoid}, merge: add}}", "q", "`0` and `1`"),
        ("net: {cut: 5x5 conv 8}", "5x5 conv 8", "`when` and `from`"),
        ("net: {cut: relu <- stem}", "relu <- stem", "`when`"),
        ("net: {cut: [relu, tanh]}", "[relu, tanh]", "`when` and `from`"),
        ("net: {copies: relu}", "relu", "`repeat`"),
        ("net: {stem: {strid: 1}}", "strid", "`strid` is not a key of this `conv`"),
        ("net: {stem: {acts: relu}}", "acts", "`acts` is not a key of this `conv`"),
        ("net: {stem: {a: relu, b: tanh}}", "a", "`a` is not a key of this `conv`"),
        ("blocks: {pair(w): {three: 5x5 conv w}}", "three", "`one` and `two`"),
        ("net: {res: {branches: [relu, tanh]}}", "branches", "`then`"),
        ("net: {res: {residual: {conv1: 3x3 conv 8}, then: relu}}", "conv1", "`conv2`"),
        ("net: {stem: {op: conv, out: 8, kernel: 3}}", "op", "`stride` and `norm` and `act`"),
        ("blocks: {basic(w): {residual: {a: 3x3 conv w}}}", "residual", "`then`"),
        ("blocks: {pair(w): {one: 5x5 conv w}}", "one", "`two`"),
        ("net: {stem: {stride: 1, strides: 2}}", "strides", "`conv`"),
        ("net: {res: {conv1: 5x5 conv 8}}", "conv1", "`residual`"),
        ("net: {body: {conv1: 5x5 conv 8}}", "conv1", "`basic`"),
        ("net: {poool: null}", "poool", "removes `poool`"),
        ("net: {res: {scale: null}}", "scale", "removes `scale`"),
        ("blocks: {bsic: null}", "bsic", "removes `bsic`"),
        ("args: {m: null}", "m", "removes `m`"),
    ],
)
def test_nothing_disappears_unseen(over: str, marked: str, word: str) -> None:
    d = refused(over)
    assert d.code == "E0216" and d.span is not None and d.span.text == marked
    assert word in d.message


def test_two_blocks_of_one_name_are_still_an_error() -> None:
    assert refused("blocks: {pair(a): relu, pair(b): relu}").code == "E0210"


def test_nothing_to_override() -> None:
    assert nodes(other("{}")) == PLAIN
    assert nodes(other("labels: null\nclaims: null")) == PLAIN


def test_an_error_of_the_base_is_not_hidden() -> None:
    text = "input: 3x8x8\ndefaults: {conv: relu gelux=3}\nnet: {a: 3x3 conv 4 strid=2}\nvariants: {v: {%s}}\n"
    for over, code in (("net: {a: {stride: 1}}", "strid=2"), ("defaults: {conv: {act: tanh}}", "gelux=3")):
        with pytest.raises(ArchError) as caught:
            archdsl.loads(text % over, variant="v")
        assert code in [d.span.text for d in caught.value.diagnostics if d.span is not None]
