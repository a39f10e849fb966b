"""Defaults that do not apply, and names in text that no node reads.

Tests `elaborate/unused.py`, `elaborate/merges.py`, `elaborate/make.py` and `language/read_sections.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl import ArchError

HEAD = "input: 8x8x8\nargs: {act: tanh, on: false, w: 4}\nblocks: {b(c): 1x1 conv c}\n"


def told(text: str) -> list[tuple[str, str, str]]:
    """The code, the marked text and the help of each diagnostic."""
    try:
        found = archdsl.loads(HEAD + text).graph.notes
    except ArchError as problem:
        found = problem.diagnostics
    return [(d.code, d.span.text if d.span else "", d.help) for d in found]


# --- words of defaults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defaults", "code", "marked", "help_"),
    [
        ("{conv: bn gelux}", "E0310", "gelux", "did you mean `gelu`?"),
        ("{conv: bnn relu}", "E0310", "bnn", "did you mean `bn`?"),
        ("{conv: bn gap}", "E0310", "gap", "write `gap` as a separate node"),
        ("{conv: on relu gelux}", "E0310", "gelux", ""),
        ("{conv: norm=bnn relu}", "E0304", "bnn", "did you mean `bn`?"),
        ("{conv: {act: gelux}}", "E0304", "gelux", "did you mean `gelu`?"),
        ("{conv: {stride: ww}}", "E0304", "ww", "did you mean `w`?"),
        ("{conv: {act: {op: leaky_relu, slope: ww}}}", "E0304", "ww", "did you mean `w`?"),
        ("{dropout: p}", "E0310", "p", ""),
    ],
)
def test_a_misspelt_word_is_an_error(defaults: str, code: str, marked: str, help_: str) -> None:
    ((found, text, hint),) = told(f"defaults: {defaults}\nnet: {{a: 3x3 conv 8, b: b(4)}}")
    assert (found, text) == (code, marked) and hint.startswith(help_)


@pytest.mark.parametrize(
    ("defaults", "node", "ops"),
    [
        ("{conv: w relu}", "3x3 conv", ["conv", "relu"]),
        ("{conv: act=act norm=none}", "3x3 conv 4", ["conv", "tanh"]),
        ("{conv: c}", "b(3)", ["conv"]),
        ("{conv: {out: in}}", "3x3 conv", ["conv"]),
    ],
)
def test_values_of_defaults_can_use_arguments(defaults: str, node: str, ops: list[str]) -> None:
    network = archdsl.loads(HEAD + f"defaults: {defaults}\nnet: {{a: {node}}}")
    assert [n.op.name for n in network.nodes[1:]] == ops


def test_defaults_are_not_checked_against_a_block_with_errors() -> None:
    text = "input: 3x8x8\ndefaults: {conv: c}\nblocks: {'b(c': 1x1 conv}\nnet: {a: b(3)}"
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text)
    assert {d.code for d in caught.value.diagnostics} <= {"E0210", "E0301"}


# --- where defaults apply -----------------------------------------------------------------------------------


def test_a_default_is_not_applied_to_a_form_that_excludes_it() -> None:
    network = archdsl.loads(
        HEAD + "defaults: {avgpool: {inside: true, pad: 1, stride: 1}, conv: groups=2}\n"
        "net: {a: 3x3 avgpool, b: '1x1 conv 2 table=[[0,1],[2]]', c: 2x2 avgpool adaptive}"
    )
    a, b, c = (node.op.explicit() for node in network.nodes[1:])
    assert a["inside"] is True and a["pad"] == 1
    assert "groups" not in b
    assert c == {"kernel": (2, 2), "adaptive": True}
    assert told("defaults: {}\nnet: {c: 2x2 avgpool adaptive inside}")[0][0] == "E0407", "what is written still counts"
    written = archdsl.loads(HEAD + "defaults: {avgpool: adaptive}\nnet: {a: 3x3 avgpool /2, b: 2x2 avgpool}")
    assert [n.op.explicit().get("adaptive") for n in written.nodes[1:]] == [None, True]


def test_deconv_takes_no_stride_and_no_padding_of_conv() -> None:
    network = archdsl.loads(HEAD + "defaults: {conv: /2 pad=1 nobias relu}\nnet: {a: 4x4 deconv 4 /2, b: 3x3 conv 4}")
    assert network.nodes[1].op.explicit() == {"out": 4, "kernel": (4, 4), "stride": (2, 2), "bias": False}


@pytest.mark.parametrize(
    ("defaults", "net", "marked"),
    [
        ("{avgpool: {inside: true}}", "{a: 2x2 avgpool adaptive}", ["true"]),
        ("{maxpool: ceil, gn: {groups: 2}}", "{a: relu}", ["ceil", "2"]),
        ("{maxpool: ceil}", "{a: relu, b: 2x2 maxpool when on}", []),
        ("{conv: relu}", "{a: {residual: relu}, b: 3x3 dwconv}", []),
        ("{conv: /2}", "{a: 2x2 deconv 4 /2}", ["2"]),
        ("{bn: {eps: 0.01}}", "{a: 1x1 conv 2 bn}", []),
        ("{tanh: {}}", "{a: relu}", []),
    ],
)
def test_a_default_without_effect_is_reported(defaults: str, net: str, marked: list[str]) -> None:
    assert [(code, text) for code, text, _ in told(f"defaults: {defaults}\nnet: {net}")] == [
        ("W0424", text) for text in marked
    ]


def test_defaults_of_a_base_and_of_variants_are_not_reported(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("input: 3x8x8\ndefaults: {maxpool: ceil}\nnet: {a: 2x2 maxpool}\n")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nnet: {a: relu}\n")
    assert archdsl.load(tmp_path / "child.yaml").graph.notes == ()
    text = "input: 3x8x8\nargs: {pool: relu}\ndefaults: {maxpool: ceil}\nnet: {a: pool}\n"
    text += "variants: {v: {net: {a: 2x2 maxpool}}}\n"
    assert archdsl.loads(text).graph.notes == ()


# --- text that is not expanded ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "marked"),
    [
        ("net: {a: relu, b: [relux when on]}", "E0301", "relux"),
        ("net: {a: relu, b: 3x3 conv ww when on}", "E0304", "ww"),
        ("net: {a: relu, b: 3x3 conv (4 if not on else 2*zz)}", "E0304", "zz"),
        ("net: {a: {do: relu, then: gelux when on}}", "E0301", "gelux"),
        ("net: {a: {residual: relu, shortcut: [pad2]}}", "E0301", "pad2"),
        ("net: {a: relu, b: 0 * relux}", "E0301", "relux"),
        ("net: {a: 1x1 conv 2 act=(gelux if on else none)}", "E0304", "gelux"),
    ],
)
def test_a_misspelt_name_is_an_error_where_no_node_is_made(text: str, code: str, marked: str) -> None:
    assert [found[:2] for found in told(text)] == [(code, marked)]


def test_blocks_that_are_not_called() -> None:
    text = "input: 3x8x8\nblocks:\n  used(c): 1x1 conv c\n"
    text += "  u(c, a=relu): {x: 1x1 conv c a, y: used(cc), z: a, w: usd(2)}\n"
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text + "net: {a: used(2)}")
    assert [(d.code, d.span.text) for d in caught.value.diagnostics if d.span] == [
        ("E0310", "a"),
    ]
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text.replace("c a,", "c act=a,") + "net: {a: used(2)}")
    assert [(d.code, d.span.text) for d in caught.value.diagnostics if d.span] == [("E0304", "cc"), ("E0301", "usd")]


@pytest.mark.parametrize(
    "words", ["gn 8", "gn 8 relu", "bn leaky_relu 0.1", "lrn 3 relu", "elu 2", "norm=gn 8", "gn groups=8"]
)
def test_a_value_after_a_norm_or_activation_is_an_error_in_defaults_and_on_a_node(words: str) -> None:
    defaults = f"input: 16x32x32\ndefaults: {{conv: {words}}}\nnet: {{a: 3x3 conv 64}}\n"
    for spec in (defaults, f"input: 16x32x32\nnet: {{a: 3x3 conv {words}}}\n"):
        with pytest.raises(ArchError) as caught:
            archdsl.loads(spec)
        assert [d.code for d in caught.value.diagnostics] == ["E0319"]


def test_the_help_of_a_value_after_a_norm_can_be_written() -> None:
    net = archdsl.loads(
        "input: 16x32x32\ndefaults: {conv: gn leaky_relu, gn: 8, leaky_relu: 0.1}\nnet: {a: 3x3 conv 64}\n"
    )
    long = archdsl.loads(
        "input: 16x32x32\ndefaults: {conv: {norm: {op: gn, groups: 8}, act: {op: leaky_relu, slope: 0.1}}}\n"
        "net: {a: 3x3 conv 64}\n"
    )
    assert [node.op for node in net.graph.nodes] == [node.op for node in long.graph.nodes]
    assert net.graph.nodes[2].op.explicit() == {"groups": 8}
