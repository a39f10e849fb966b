"""Names that two nodes have, and references that say which of them they mean.

Tests `elaborate/references.py`, `elaborate/place.py` and `language/read_nodes.py`.
"""

from __future__ import annotations

import pytest

import archdsl
from archdsl import ArchError
from archdsl.language.format.format import format_source
from archdsl.source import decode

TREE = "input: 4x8x8\nnet:\n  x: tanh\n  y: relu\n  tree:\n    a: relu\n    x: gelu\n    b: mul <- a, {}\n"


def loaded(reference: str, text: str = TREE) -> archdsl.Network:
    return archdsl.loads(text.replace("{}", reference))


def read(network: archdsl.Network, path: str = "tree.b") -> str:
    graph = network.graph
    return graph.nodes[graph.by_path[path].inputs[-1]].path


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("x", "tree.x"),
        (".x", "tree.x"),
        ("..x", "x"),
        ("..y", "y"),
        ("y", "y"),
        (".a", "tree.a"),
        ("...input", "input"),
    ],
)
def test_dots_say_which_node_is_meant(reference: str, path: str) -> None:
    network = loaded(reference)
    assert read(network) == path
    assert [d.code for d in network.graph.notes if d.code != "W0901"] == (["W0425"] if reference == "x" else [])


def test_both_places_are_shown() -> None:
    (d,) = (d for d in loaded("x").graph.notes if d.code == "W0425")
    assert d.span is not None and d.span.line == 8
    assert [label.span.line for label in d.labels] == [7, 3]
    assert d.help == "write `.x` or `..x`, or rename one of them"


@pytest.mark.parametrize(("reference", "help_"), [("...x", "write `.x` or `..x`"), (".y", "write `..y`")])
def test_a_node_of_another_mapping(reference: str, help_: str) -> None:
    with pytest.raises(ArchError) as caught:
        loaded(reference)
    assert [(d.code, d.help) for d in caught.value.diagnostics] == [("E0410", help_)]
    with pytest.raises(ArchError, match="E0410"):
        loaded("..w")


def test_lists_and_copies_do_not_count() -> None:
    text = "input: 4x8x8\nnet:\n  x: tanh\n  s:\n    - relu\n"
    text += "    - {do: {x: gelu, b: 'add <- .x, ..x', c: elu}, repeat: 2}\n"
    network = archdsl.loads(text)
    assert [read(network, f"s.{n}.b") for n in (1, 2)] == ["x", "x"]
    assert network.graph.notes == ()


def test_branches_have_names_of_their_own() -> None:
    text = (
        "input: 4x8x8\nnet:\n  one: tanh\n  mix: {inception: {one: relu, two: gelu <- .one}}\n  end: add <- {}, input\n"
    )
    network = loaded("one", text)
    graph = network.graph
    assert graph.nodes[graph.by_path["end"].inputs[0]].path == "one", "a branch does not hide the node outside"
    with pytest.raises(ArchError, match="E0410"):
        loaded("two", text)
    assert graph.nodes[graph.by_path["mix.two"].inputs[0]].path == "mix.one"


def test_inputs_of_a_block() -> None:
    text = "input: 4x8x8\nblocks:\n  f <- x, y: {x: relu <- ..y, z: 'add <- {}, ..y'}\n"
    text += "net: {a: relu, b: 'f <- input, a'}\n"
    assert [d.code for d in loaded("x", text).graph.notes] == ["W0425"]
    assert loaded(".x", text).graph.notes == ()


def test_again_and_outputs_can_have_dots() -> None:
    text = "input: 4x8x8\nnet:\n  c: 1x1 conv 4\n  t: {c: 1x1 conv 4, d: again .c}\n  e: relu\noutputs: [.e, .t.c]\n"
    network = archdsl.loads(text)
    assert network.graph.by_path["t.d"].shared_with == "t.c"
    assert network.graph.notes == ()
    assert format_source(decode(text.encode(), "a.yaml")).count(".c") == 2
