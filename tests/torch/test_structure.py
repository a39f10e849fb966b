"""Equal scopes get equal numbers, others do not; and what crosses a scope's border.

Tests `analysis/equal_scopes.py`.
"""

from __future__ import annotations

import textwrap

import pytest

import archdsl
from archdsl.analysis.equal_scopes import boundaries, signatures
from archdsl.graph import Graph, Scope


def graph_of(text: str, input: str = "8x16x16") -> Graph:
    return archdsl.loads(f"name: net\ninput: {input}\n{textwrap.dedent(text)}").graph


def scopes(graph: Graph) -> dict[str, Scope]:
    return {scope.path: scope for scope in graph.root.walk() if scope.name is not None}


RESNET = """
    defaults: {conv: bn relu, naming: sibling}
    blocks:
      basic(w, s=1):
        residual:
          conv1: 3x3 conv w /s
          conv2: 3x3 conv w linear
        then: relu
    net:
      layer1: 3 * basic(8)
      layer2: 3 * basic(16, 2 if first else 1)
"""


def test_copies_are_equal() -> None:
    graph = graph_of(RESNET)
    found, path = signatures(graph), scopes(graph)
    number = {name: found[scope] for name, scope in path.items()}
    assert number["layer1.0"] == number["layer1.1"] == number["layer1.2"]
    assert number["layer2.1"] == number["layer2.2"]
    assert len({number["layer1.0"], number["layer2.0"], number["layer2.1"]}) == 3


def test_without_fields_only_the_program_counts() -> None:
    graph = graph_of(RESNET)
    found, path = signatures(graph, fields=False), scopes(graph)
    number = {name: found[scope] for name, scope in path.items()}
    assert number["layer1.0"] == number["layer2.1"]
    assert number["layer1.0"] != number["layer2.0"], "a projection is another program"
    assert number["layer1"] != number["layer2"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[3x3 conv 8, relu]", "[3x3 conv 8, tanh]"),
        ("[3x3 conv 8, relu]", "[3x3 conv 8, relu, relu]"),
        ("[3x3 conv 8 nobias]", "[3x3 conv 8]"),
        ("{a: 3x3 conv 8}", "{b: 3x3 conv 8}"),
        ("{a: 3x3 conv 8, b: relu, c: 'add <- a, b'}", "{a: 3x3 conv 8, b: relu, c: 'add <- b, a'}"),
        ("{a: 3x3 conv 8, b: relu, c: 'add <- a, b'}", "{a: 3x3 conv 8, b: relu, c: 'add <- b, b'}"),
        ("{residual: [3x3 conv 8]}", "[3x3 conv 8]"),
        ("{branches: [identity, [tanh]], merge: mul}", "{branches: [identity, [tanh]], merge: add}"),
    ],
)
def test_different_programs(one: str, other: str) -> None:
    graph = graph_of(f"net:\n  one: {one}\n  other: {other}")
    for fields in (True, False):
        found, path = signatures(graph, fields), scopes(graph)
        assert found[path["one"]] != found[path["other"]]


@pytest.mark.parametrize(
    ("one", "other"),
    [("[3x3 conv 8]", "[5x5 conv 8]"), ("[3x3 conv 8, lrn]", "[3x3 conv 8, lrn 7]"), ("[3x3 conv 8]", "[3x3 conv 4]")],
)
def test_other_fields_the_same_program(one: str, other: str) -> None:
    graph = graph_of(f"net:\n  one: {one}\n  other: {other}")
    path = scopes(graph)
    assert signatures(graph)[path["one"]] != signatures(graph)[path["other"]]
    assert signatures(graph, fields=False)[path["one"]] == signatures(graph, fields=False)[path["other"]]


def test_shapes_count_among_the_fields() -> None:
    graph = graph_of("net:\n  one: [2x2 maxpool]\n  other: [2x2 maxpool]")
    path = scopes(graph)
    assert signatures(graph)[path["one"]] != signatures(graph)[path["other"]]
    assert signatures(graph, fields=False)[path["one"]] == signatures(graph, fields=False)[path["other"]]


def test_which_outer_value_is_read_does_not_count_but_how_many_do() -> None:
    graph = graph_of("""
        blocks:
          join(c) <- x, y:
            a: concat <- x, y
            b: 1x1 conv c
          twice(c) <- x, y:
            a: concat <- x, x
            b: 1x1 conv c
        net:
          first: 3x3 conv 8
          second: 3x3 conv 8
          one: join(8) <- first, second
          other: join(8) <- second, one
          third: twice(8) <- first, second
          sum: add <- one, other, third
    """)
    found, path = signatures(graph), scopes(graph)
    assert found[path["one"]] == found[path["other"]] != found[path["third"]]


def test_what_is_read_from_outside_counts() -> None:
    text = """
        net:
          one: {{a: 3x3 conv 8, b: 3x3 conv 8}}
          other: {{a: 3x3 conv 8, b: 3x3 conv 8}}
          sum: add <- other, {}
    """
    same = graph_of(text.format("one"))
    inner = graph_of(text.format("one.a"))
    assert signatures(same)[scopes(same)["one"]] == signatures(same)[scopes(same)["other"]]
    assert signatures(inner)[scopes(inner)["one"]] != signatures(inner)[scopes(inner)["other"]]


def test_every_scope_has_a_number() -> None:
    for name in ("resnet50", "googlenet", "densenet121"):
        graph = archdsl.load(name).graph
        assert set(signatures(graph)) == set(graph.root.walk()) == set(boundaries(graph))


def test_boundaries() -> None:
    graph = graph_of("""
        net:
          first: 3x3 conv 8
          block: {a: 3x3 conv 8, b: 'add <- first, a', c: relu}
          last: add <- block, block.a
        aux: {head: {from: block.b, do: {gap: gap, fc: fc 3}, weight: 0.3}}
    """)
    ids = {node.path: node.id for node in graph.nodes}
    found, path = boundaries(graph), scopes(graph)
    block = found[path["block"]]
    assert block.inputs == (ids["first"],)
    assert block.outputs == (ids["block.a"], ids["block.b"], ids["block.c"])
    assert found[path["head"]] == ((ids["block.b"],), (ids["head.fc"],))
    assert found[graph.root] == ((), (ids["last"], ids["head.fc"]))


def test_a_large_graph_takes_no_time() -> None:
    graph = graph_of("net:\n  a: {repeat: 2000, do: [3x3 conv 8, relu]}")
    found = signatures(graph)
    assert len({found[s] for s in graph.root.walk() if s.parent is not None and s.parent.path == "a"}) == 1
