"""What is known of a network whose spec has errors.

Tests `elaborate/__init__.py`, `elaborate/walk.py` and `elaborate/build.py`.
"""

from __future__ import annotations

import pytest

from archdsl.elaborate import known_graph
from archdsl.graph import Graph
from archdsl.shapes import concrete
from archdsl.source import decode
from archdsl.spec.open import document_of, from_source

SPEC = """
input: 8x32x32
defaults: {conv: bn relu}
blocks:
  pair(c): {a: 3x3 conv c, b: 3x3 conv c linear}
net:
  stem: 3x3 conv 16 /2
  left: 3x3 conv 16
  right: 1x1 conv 16 <- stem
  list: [3x3 conv 16, 3x3 conv 16, 3x3 conv 16]
  res: {residual: pair(16), then: relu}
  mix: {branches: {one: 1x1 conv 8, two: 3x3 conv 8}, merge: concat}
  twice: 2 * pair(16)
  grow: dense 2 * 3x3 conv 4
  parts: split 2
  mid: 3x3 conv 8 <- parts.0
  side: 3x3 conv 8 <- stem
  x.conv: 3x3 conv 8 plain
  x.norm: bn
  head: [gap, fc 10]
"""

ON = ("list", "res", "mix", "twice", "grow", "parts", "mid")
"""The nodes that depend on `right`."""
WRONG = [
    ("left: 3x3 conv 16", "left: 3x3 co", ["left"]),
    ("left: 3x3 conv 16", "left:", ["left"]),
    ("left: 3x3 conv 16", "left: 3x3 conv", ["left"]),
    ("left: 3x3 conv 16", "left: 3x3 conv 16 groups=3", ["left"]),
    ("left: 3x3 conv 16", "left: 99x99 conv 16 valid", ["left"]),
    ("left: 3x3 conv 16", "left: 3x3 conv 16 <-", ["left"]),
    ("left: 3x3 conv 16", "left: 3x3 conv 16 <- stm", ["left"]),
    ("left: 3x3 conv 16", "left: 3x3 conv n", ["left"]),
    ("left: 3x3 conv 16", "left: {op: conv, out: [1, 2], kernel: 3}", ["left"]),
    ("left: 3x3 conv 16", "left: nothing(3)", ["left"]),
    ("right: 1x1 conv 16 <- stem", "right: 1x1 conv <- stem", ["right", *ON]),
    ("[3x3 conv 16, 3x3 conv 16, ", "[3x3 conv 16, 3x3 co, ", ["list.1", "list.2", *ON[1:]]),
    ("then: relu", "then: rel", ["res/unknown", "res/relu", *ON[2:]]),
    ("residual: pair(16)", "residual: pair()", ["res", *ON[2:]]),
    ("residual: pair(16)", "residual: pair(16), shortcut: nothing", ["res/unknown", "res/add", "res/relu", *ON[2:]]),
    ("two: 3x3 conv 8", "two: 3x3 conv", ["mix.two", "mix/concat", *ON[3:]]),
    ("merge: concat", "merge: cat", ["mix/unknown", "mix/concat", *ON[3:]]),
    ("twice: 2 * pair(16)", "twice: 2 * pair", ["twice", *ON[4:]]),
    ("twice: 2 * pair(16)", "twice: n * pair(16)", ["twice", *ON[4:]]),
    ("dense 2 * 3x3 conv 4", "dense 2 * 3x3 con 4", ["grow", *ON[5:]]),
    ("parts: split 2", "parts: split 7", ["parts", "mid"]),
    ("<- parts.0", "<- parts.2", ["mid"]),
    (
        "b: 3x3 conv c linear",
        "b: 3x3 conv c lin",
        ["res.b", "res/add", "res/relu", *ON[2:]],
    ),
    ("side: 3x3 conv 8 <- stem", "side: 3x3 conv 8 <- mid.2", ["side", "x", "head"]),
    ("x.norm: bn", "x.03: bn", ["x.03", "x.norm", "head"]),
    ("x.conv: 3x3 conv 8 plain", "x.conv: 3x3 conv 8 plan", ["x", "head"]),
]


def known(text: str) -> tuple[Graph, list[str]]:
    graph, problem = known_graph(document_of(from_source(decode(text.encode(), "<string>"), None)))
    return graph, [] if problem is None else [d.code for d in problem.diagnostics if d.severity == "error"]


def rows(graph: Graph) -> dict[str, object]:
    return {n.path: (n.op, [graph.nodes[i].path for i in n.inputs], concrete(n.shape), n.params) for n in graph.nodes}


def covers(names: list[str], path: str) -> bool:
    return any(path == name or path.startswith((f"{name}.", f"{name}/")) for name in names)


@pytest.mark.parametrize(("written", "wrong", "names"), WRONG, ids=[wrong for _, wrong, _ in WRONG])
def test_one_mistake_leaves_its_node_and_those_that_depend_on_it_unknown(
    written: str, wrong: str, names: list[str]
) -> None:
    whole, none = known(SPEC)
    assert not none and not whole.unknown
    assert SPEC.count(written) == 1
    graph, codes = known(SPEC.replace(written, wrong))
    assert len(codes) == 1
    unknown = [node.path for node in graph.unknown]
    assert all(covers(names, path) for path in unknown), unknown
    gone = rows(whole).keys() - rows(graph).keys()
    assert all(any(covers([name], path) for path in [*unknown, *gone]) for name in names)
    exact = {path: row for path, row in rows(whole).items() if not covers(names, path)}
    assert {node.path for node in graph.nodes if node.known} >= exact.keys()
    found = rows(graph)
    assert {path: found[path] for path in exact} == exact
    assert all(node.params == () and node.macs == 0 for node in graph.unknown)
    check_structure(graph)


def check_structure(graph: Graph) -> None:
    """Every node is a member of its scope, and the ids of the nodes of a scope are contiguous."""
    assert graph.root.end == len(graph.nodes)
    for scope in graph.root.walk():
        ids = [m for m in scope.members if isinstance(m, int)]
        assert all(graph.nodes[i].scope is scope and scope.first <= i < scope.end for i in ids)
    members = [m for scope in graph.root.walk() for m in scope.members if isinstance(m, int)]
    assert sorted(members) == [node.id for node in graph.nodes]


def test_two_nodes_of_one_name_are_both_unknown() -> None:
    graph, codes = known(
        "input: 3x8x8\nnet:\n  a: [3x3 conv 4]\n  b:\n    inception: [{x: 1x1 conv 2}, {x: 1x1 conv 2}]"
    )
    assert codes == ["E0503"]
    assert [node.path for node in graph.unknown] == ["b.x", "b.x", "b/concat"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "input: 3x8x8\nargs: {n: 2, m: {default: 2, min: 3}}\nnet: {a: 1x1 conv n, b: 1x1 conv m}",
            "E0308",
        ),
        (
            "input: 3x8x8\nargs: {n: 2, m: {default: 2, min: 3}, k: m}\nnet: {a: 1x1 conv n, b: 1x1 conv k}",
            "E0308",
        ),
    ],
)
def test_an_argument_with_an_error_is_unknown_and_the_others_are_not(text: str, code: str) -> None:
    graph, codes = known(text)
    assert codes == [code]
    assert [node.path for node in graph.unknown] == ["b"]


def test_a_merge_of_different_shapes_is_unknown_and_its_branches_are_known() -> None:
    graph, codes = known(SPEC.replace("two: 3x3 conv 8", "two: 3x3 conv 8 /2"))
    assert codes == ["E0405"]
    assert graph.unknown[0].path == "mix/concat" and graph.by_path["mix.two.conv"].known


def test_a_shortcut_that_does_not_fit_is_unknown_and_the_body_is_known() -> None:
    text = "input: 3x8x8\nnet: {a: 1x1 conv 4, r: {residual: {b: 3x3 conv 4 valid}, shortcut: identity}, c: relu}"
    graph, codes = known(text)
    assert codes == ["E0412"]
    assert [node.path for node in graph.unknown] == ["r/add", "c"]


def test_nothing_is_known_without_an_input_size() -> None:
    graph, codes = known("input: 3x0x8\nnet: {a: 1x1 conv 2, b: relu}")
    assert codes == ["E0308"]
    assert [node.path for node in graph.unknown] == ["a", "b"]


def test_too_many_nodes_leave_no_graph() -> None:
    graph, codes = known("input: 3x8x8\nnet: {a: 1x1 conv 2, b: 9999999 * relu}")
    assert codes == ["E0314"] and not graph.nodes
