"""Which nodes were written together: one rule for tables, drawings and flat specs."""

from __future__ import annotations

import archdsl
from archdsl.analysis.parts import split, written_ops
from archdsl.graph import Graph, Scope


def graph_of(net: str, blocks: str = "") -> Graph:
    return archdsl.loads(f"name: t\ninput: 3x8x8\n{blocks}net:\n{net}").graph


def both(graph: Graph) -> list[list[str]]:
    """The paths of the nodes of each written op of the net, as `split` and `written_ops` see them: they agree."""
    shown = [[node.path for node in part.nodes(graph)] for part in split(graph, graph.root)]
    ops = [part for part in written_ops(graph.root, graph.nodes) if not isinstance(part, Scope)]
    written = [[n.path for n in ([op.flatten] if op.flatten else []) + list(op.nodes)] for op in ops]
    inputs = [[graph.nodes[i].path] for i in graph.inputs]
    assert inputs + written == shown
    return written


def test_norm_and_activation_belong_to_the_op_before_them() -> None:
    assert both(graph_of("  a: 3x3 conv 4 bn relu\n  b: relu\n  c: bn\n")) == [
        ["a.conv", "a.bn", "a/relu"],
        ["b"],
        ["c"],
    ]


def test_copies_of_one_line_are_ops_of_their_own() -> None:
    graph = graph_of("  - 3 * relu\n  - 2 * bn relu\n")
    assert list(map(len, both(graph))) == [1, 1, 1, 2, 2]


def test_the_flatten_before_an_fc_belongs_to_it() -> None:
    assert both(graph_of("  a: fc 8 relu\n  b: flatten\n  c: fc 8\n")) == [["a/flatten", "a", "a/relu"], ["b"], ["c"]]


def test_an_fc_that_runs_again_keeps_its_flatten() -> None:
    assert both(graph_of("  a: fc 8\n  b: again a relu <- input\n")) == [
        ["a/flatten", "a"],
        ["b/flatten", "b", "b/relu"],
    ]
