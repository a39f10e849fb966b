"""What `when` leaves out, and what stands for it.

Tests `elaborate/walk.py`, `elaborate/references.py` and `elaborate/composites.py`.
"""

from __future__ import annotations

import pytest

import archdsl
from archdsl import ArchError

HEAD = "input: 4x8x8\nargs: {on: false, n: 0}\nnet:\n  a: 1x1 conv 4\n  x: 1x1 conv 6\n"


def net(nodes: str, head: str = HEAD) -> archdsl.Network:
    return archdsl.loads(head + "".join(f"  {line}\n" for line in nodes.strip().splitlines()))


def reads(nodes: str, path: str) -> list[str]:
    network = net(nodes)
    return [network.graph.nodes[i].path for i in network.graph.by_path[path].inputs]


def refused(nodes: str) -> archdsl.Diagnostic:
    with pytest.raises(ArchError) as caught:
        net(nodes)
    (d,) = caught.value.diagnostics
    return d


# --- one input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("b: relu when on\nc: tanh", ["x"]),
        ("b: relu <- a when on\nc: tanh", ["a"]),
        ("b: relu <- a when on\nc: tanh <- b", ["a"]),
        ("b: relu <- a when on\nd: gelu when on\nc: tanh", ["a"]),
        ("b: relu <- a when on\nd: gelu <- b when on\nc: tanh <- d", ["a"]),
        ("b: 3 * relu <- a when on\nc: tanh", ["a"]),
        ("b: n * relu <- a\nc: tanh", ["a"]),
        ("s: [relu <- a when on]\nc: tanh", ["a"]),
        ("s: {b: relu <- a when on}\nc: tanh <- s", ["a"]),
        ("s: {b: relu, d: gelu <- a when on}\nc: tanh", ["a"]),
        ("s: {b: relu, d: gelu <- a when on}\nc: tanh <- s.d", ["a"]),
        ("b: {residual: {d: relu}, from: a, when: on}\nc: tanh", ["a"]),
        ("b: {residual: [relu when on], then: gelu}\nc: tanh", ["x"]),
        ("b: {do: relu, then: [gelu <- a when on]}\nc: tanh", ["a"]),
        ("b: {dense: 1x1 conv 2 when on, repeat: 2}\nc: tanh", ["x"]),
        ("_b: relu <- a when on\nc: tanh <- _b", ["a"]),
    ],
)
def test_the_input_stands_for_a_node(nodes: str, expected: list[str]) -> None:
    assert reads(nodes, "c") == expected


def test_an_output_and_a_head_read_what_stands_for_a_node() -> None:
    text = HEAD + "  b: relu <- a when on\n  c: tanh <- x\noutputs: {y: b, z: c}\naux: {h: {from: b, do: fc 2}}\n"
    graph = archdsl.loads(text).graph
    assert graph.nodes[graph.outputs["y"]].path == "a"
    assert graph.nodes[graph.by_path["h/flatten"].inputs[0]].path == "a"


def test_in_is_that_of_what_stands_for_a_node() -> None:
    assert net("b: relu <- a when on\nc: 1x1 conv 2*in").graph.by_path["c"].op.explicit()["out"] == 8
    assert reads("b: relu <- a when in == 6\nc: tanh", "c") == ["a"]


# --- several inputs -----------------------------------------------------------------------------------------


def test_several_tensors_stand_for_a_merge() -> None:
    d = refused("b: concat <- a, x when on\nc: tanh")
    assert d.code == "E0421" and d.help == "select one: `<- a` or `<- x`"
    d = refused("b: concat <- a, x when on\nc: tanh <- b")
    assert d.code == "E0410" and "several inputs" in d.message
    assert refused("b: concat <- a, x when on").code == "E0422"
    assert reads("b: concat <- a, x when on\nc: tanh <- x", "c") == ["x"]


def test_what_is_left_out_may_read_what_is_left_out() -> None:
    assert reads("b: concat <- a, x when in == 128\nd: mul <- a, b when on\nc: tanh <- x", "c") == ["x"]
    assert reads("b: concat <- a, x when on\nd: relu <- b when on\nc: tanh <- a", "c") == ["a"]
    assert refused("b: concat <- a, x when on\nd: relu <- b when on\nc: tanh").code == "E0421"
    assert reads("s: split 2 when on\nd: add <- s.1, s.0 when on\nc: tanh <- x", "c") == ["x"]
    d = refused("s: split 2 when on\nc: add <- s.1, a")
    assert d.code == "E0410" and "`s` is left out here, so it has no `1`" in d.message


def test_a_misspelt_reference_is_an_error_all_the_same() -> None:
    assert refused("b: relu <- aa when on\nc: tanh").code == "E0410"
    assert refused("b: relu <- c when on\nc: tanh").code == "E0411"


# --- branches -----------------------------------------------------------------------------------------------


def merged(text: str, head: str = HEAD) -> list[str]:
    network = net(f"b: {text}", head)
    return [network.graph.nodes[i].path for i in network.graph.by_path["b/concat"].inputs]


def test_a_branch_of_which_nothing_is_left_is_not_merged() -> None:
    assert merged("{branches: [relu, tanh when on, gelu]}") == ["b/relu", "b/gelu"]
    assert merged("{branches: [relu, [tanh when on, elu when on], gelu]}") == ["b/relu", "b/gelu"]
    assert net("b: {branches: [relu, tanh when on]}").nodes[-1].path == "b/relu", "one branch needs no merge"
    assert reads("b: {branches: [relu when on, tanh when on], then: gelu}\nc: elu", "c") == ["x"]


def test_split_counts_the_branches_that_are_left() -> None:
    three = "{branches: [relu, tanh when on, gelu], split: 3 if on else 2}"
    assert merged(three) == ["b/relu", "b/gelu"]
    assert len(merged(three, HEAD.replace("on: false", "on: true"))) == 3
    assert merged("{branches: [relu when in == 6, tanh when in == 3, gelu when in == 3], split: 2}") == [
        "b/tanh",
        "b/gelu",
    ]
    assert [n.op.explicit() for n in net(f"b: {three}").nodes if n.op.name == "slice"] == [
        {"start": 0, "end": 3},
        {"start": 3, "end": 6},
    ]
    d = refused("b: {branches: [relu, tanh when on, gelu], split: 3}")
    assert d.code == "E0308" and d.message == "`split` is 3, but there are 2 branches, as `when` leaves out 1"
    assert refused("b: {branches: [relu, tanh], split: 0}").code == "E0308"
    assert refused("b: {branches: [relu, tanh], split: 3}").code == "E0308"
