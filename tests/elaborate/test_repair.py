"""What is proposed for a window, stride or list of sides that is for other axes: each proposal is a valid node.

Tests `elaborate/repair.py`.
"""

from __future__ import annotations

import re

import pytest

import archdsl
from archdsl.diagnostics import ArchError, Diagnostic

SIGNAL, IMAGE, VOLUME = "12x500", "3x64x64", "1x16x64x64"


def problem(text: str) -> Diagnostic:
    with pytest.raises(ArchError) as raised:
        archdsl.loads(text)
    (only,) = raised.value.diagnostics
    return only


def spec(sizes: str, node: str) -> str:
    return f"input: {sizes}\nnet:\n  x: {node}\n"


PROPOSED = [
    (VOLUME, "3x3 conv 8", ["3x3x3 conv 8", "conv 8 kernel=3"]),
    (
        VOLUME,
        "3x3 conv 8 /2x2 pad=[1,1,1,1] bn relu",
        ["3x3x3 conv 8 /2 pad=1 bn relu", "conv 8 kernel=3 /2 pad=1 bn relu"],
    ),
    (VOLUME, "conv 8 kernel=[3,3]", ["3x3x3 conv 8", "conv 8 kernel=3"]),
    (VOLUME, "3x3x3 conv 8 /2x2", ["3x3x3 conv 8 /2"]),
    (VOLUME, "3x3x3 conv 8 dilation=[2,2]", ["3x3x3 conv 8 dilation=2"]),
    (VOLUME, "3x3x3 conv 8 pad=[1,1]", ["3x3x3 conv 8 pad=1"]),
    (VOLUME, "3 * 3x3 maxpool /1", ["3 * 3x3x3 maxpool /1", "3 * maxpool kernel=3 /1"]),
    (VOLUME, "17x17 maxpool", ["1x17x17 maxpool"]),
    (VOLUME, "2x2 deconv 8 /2", ["2x2x2 deconv 8 /2", "deconv 8 kernel=2 /2"]),
    (VOLUME, "1x1 fc 8", ["1x1x1 fc 8", "fc 8 kernel=1"]),
    (VOLUME, "7x7 avgpool adaptive", ["7x7x7 avgpool adaptive", "avgpool kernel=7 adaptive"]),
    (VOLUME, "3x3 dwconv when true", ["3x3x3 dwconv when true", "dwconv kernel=3 when true"]),
    (VOLUME, "upsample [2,2] linear", ["upsample 2 linear"]),
    (VOLUME, "pad [1,1,1,1]", ["pad 1"]),
    (
        VOLUME,
        "{op: conv, out: 8, kernel: [3, 3], stride: [2, 2]}",
        ["kernel: [3, 3, 3], stride: 2", "kernel: 3, stride: 2"],
    ),
    (VOLUME, "dense 2 * |3x3 conv 8| as l{0}", ["3x3x3 conv 8", "conv 8 kernel=3"]),
    (IMAGE, "3 conv 8", ["3x3 conv 8", "conv 8 kernel=3", "3 * 3x3 conv 8"]),
    (
        IMAGE,
        "3 conv 8 relu <- input",
        ["3x3 conv 8 relu <- input", "conv 8 kernel=3 relu <- input", "3 * 3x3 conv 8 relu <- input"],
    ),
    (IMAGE, "1x3x3 conv 8", ["3x3 conv 8"]),
    (IMAGE, "1x3x3 maxpool /1x2x2", ["3x3 maxpool /2x2"]),
    (IMAGE, "3x3x1 conv 8", ["3x3 conv 8"]),
    (IMAGE, "1x3x1 conv 8", []),
    (IMAGE, "1x3x3 maxpool /2x2x2", ["3x3 maxpool /2"]),
    (IMAGE, "1x3x3 maxpool /2x1x1", []),
    (SIGNAL, "1x15 conv 8", ["input: 1x12x500", "15 conv 8"]),
    (SIGNAL, "15x1 conv 8", ["input: 1x12x500", "15 conv 8"]),
    (SIGNAL, "15x1 conv 8 /2x1 relu", ["input: 1x12x500", "15 conv 8 /2 relu"]),
    (IMAGE, "3x5x5 conv 8", []),
    (VOLUME, "1x7 conv 8", []),
    (VOLUME, "3x3x3 conv 8 pad=[1,0,1,0]", []),
    (SIGNAL, "3x3 conv 8 /2", ["input: 1x12x500", "3 conv 8 /2"]),
    ("28x28", "[relu, bn, |3x3 conv 8|]", ["input: 1x28x28", "3 conv 8"]),
    ("96x96x96", "3x3x3 conv 8", ["input: 1x96x96x96", "3x3 conv 8"]),
    ("28x28", "[relu, 5 maxpool, |3x3 conv 8|]", ["3 conv 8", "conv 8 kernel=3"]),
]


def corrected(text: str, proposal: str) -> str:
    """The spec with a proposal: an input, fields of a long node, or the node between the bars."""
    if proposal.startswith("input:"):
        return re.sub("^input: .*", proposal, text).replace("|", "")
    if ":" in proposal:
        fields = re.findall(r"(\w+): (\[[^]]*\]|\d+)", proposal)
        for name, value in fields:
            text = re.sub(rf"\b{name}: (\[[^]]*\]|\d+)", f"{name}: {value}", text)
        return text.replace("|", "")
    before, _, after = text.split("|")
    return before + proposal + after


@pytest.mark.parametrize(("sizes", "node", "proposals"), PROPOSED)
def test_each_proposal_is_a_network(sizes: str, node: str, proposals: list[str]) -> None:
    """Most proposals are a whole node, which `|` encloses if it is a part of another."""
    text = spec(sizes, node if "|" in node else f"|{node}|")
    found = problem(text.replace("|", ""))
    assert found.code == "E0426"
    assert re.findall("`([^`]*)`", found.help) == proposals
    for proposal in proposals:
        assert archdsl.loads(corrected(text, proposal)).graph.nodes


def test_a_node_in_a_block_is_repaired_for_each_input() -> None:
    text = """
input: 1x16x64x64
blocks:
  down(w, k): {a: "conv w kernel=[k,k] /2"}
net: {x: "down(8, 3)"}
"""
    found = problem(text)
    assert found.help == "write `conv w kernel=[k,k,k] /2`, or `conv w kernel=k /2` for any number of axes"
    assert found.notes == ("in x = down(8, 3), called at line 5",)


def test_values_from_elsewhere_have_no_proposal() -> None:
    found = problem("input: 1x16x64x64\nargs: {k: [3, 3]}\nnet: {a: conv 8 kernel=k}")
    assert found.help == "write one number for each axis (depth, height and width), or one number for all axes"
    found = problem("input: 1x16x64x64\ndefaults: {conv: {stride: [2, 2]}}\nnet: {a: conv 8 kernel=3}")
    assert found.message == "a stride of 2x2 on a volume of 1 x 16 x 64 x 64"


def test_weights_of_an_image_are_not_those_of_a_volume() -> None:
    found = problem("input: {a: 3x8x8, b: 3x8x8x8}\nnet:\n  x: conv 8 kernel=3 <- a\n  y: again x <- b")
    assert found.code == "E0423"
    assert found.help == "write a new op with its own weights"


@pytest.mark.parametrize(("op", "code"), [("add", "E0412"), ("mul", "E0405"), ("concat", "E0405")])
def test_inputs_with_other_axes_cannot_be_joined(op: str, code: str) -> None:
    found = problem(f"input: {{a: 1x8x8, b: 1x8x8x8}}\nnet:\n  x: {op} <- a, b")
    assert (found.code, found.message) == (code, f"`{op}` cannot join an image and a volume")
    assert [label.text for label in found.labels] == ["N x 1 x 8 x 8, from `a`", "N x 1 x 8 x 8 x 8, from `b`"]


@pytest.mark.parametrize(
    ("sizes", "node", "example"),
    [
        (SIGNAL, "conv 8", "3 conv 8"),
        (SIGNAL, "15 conv", "15 conv 64"),
        (SIGNAL, "dwconv", "3 dwconv"),
        (IMAGE, "5x5 conv", "5x5 conv 64"),
        (IMAGE, "15 conv", "3x3 conv 64"),
        (VOLUME, "conv", "3x3x3 conv 64"),
        (VOLUME, "3x3 conv", "3x3x3 conv 64"),
        (VOLUME, "maxpool", "3x3x3 maxpool"),
        (IMAGE, "fc", "fc 64"),
    ],
)
def test_the_example_of_a_missing_value_is_a_node_for_this_input(sizes: str, node: str, example: str) -> None:
    found = problem(spec(sizes, node))
    assert found.code == "E0311"
    assert found.help.startswith(f"e.g. `{example}`")
    assert archdsl.loads(spec(sizes, example)).graph.nodes


@pytest.mark.parametrize(
    ("sizes", "node", "proposal"),
    [
        ("5000", "3 conv 8", "input: 1x5000"),
        ("5000", "conv 8 kernel=3", "input: 1x5000"),
        ("5000", "[relu, 15 maxpool]", "input: 1x5000"),
        ("4", "15 maxpool", "input: 1x5000"),  # too short: only an example
        ("5000", "3x3 conv 8", "input: 1x224x224"),
        ("5000", "3x3x3 conv 8", "input: 1x96x96x96"),
    ],
)
@pytest.mark.parametrize("axes", ["", "axes: 1\n", "axes: 3\n"])
def test_a_vector_with_windows(sizes: str, node: str, proposal: str, axes: str) -> None:
    text = axes + spec(sizes, node)
    found = problem(text)
    assert found.code == "E0401"
    (proposed,) = re.findall("`([^`]*)`", found.help)
    if not axes:
        assert proposed == proposal
    assert archdsl.loads(re.sub("(?m)^input: .*", proposed, text)).graph.nodes


def test_a_vector_among_several_inputs() -> None:
    text = "input: {ecg: 5000, age: 4}\nnet:\n  a: [15 conv 8 <- ecg, gap, flatten]\n  b: concat <- a, age\n"
    assert problem(text).help == "write the input with its axes: `ecg: 1x5000`"
    assert archdsl.loads(text.replace("ecg: 5000", "ecg: 1x5000")).graph.nodes


def test_a_vector_that_an_fc_made() -> None:
    assert problem(spec("100", "[fc 400, 3 conv 8]")).help.startswith("move it before the first `fc`")
