"""Which scopes are the same network: equal structure found by numbering every scope of the tree.

`signatures` gives each scope the number of its equivalence class. Tables and drawings collapse neighbours of one class
into "x3"; a coarser key (fields left out) tells which blocks are one program with different numbers in it.
`boundaries` says what flows into a scope and what is read outside of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from archdsl.graph import Graph, Node, Scope


class Boundary(NamedTuple):
    """The values that cross a scope's border, as node ids.

    `inputs` are made outside and read inside, in the order of their first use; `outputs` are made inside and read
    outside (or are outputs of the network), in the order they are made.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def boundaries(graph: Graph) -> dict[Scope, Boundary]:
    """The boundary of every scope, the anonymous ones too. The net itself has its outputs and no inputs.

    Takes one step per edge and scope that the edge leaves or enters.
    """
    inputs: dict[Scope, dict[int, None]] = {scope: {} for scope in graph.root.walk()}
    outputs: dict[Scope, set[int]] = {scope: set() for scope in inputs}
    for node in graph.nodes:
        for source in node.inputs:
            for scope in _around(node.scope, without=source):
                inputs[scope].setdefault(source)
            for scope in _around(graph.nodes[source].scope, without=node.id):
                outputs[scope].add(source)
    for source in (*graph.outputs.values(), *(head.node for head in graph.aux.values())):
        for scope in _around(graph.nodes[source].scope, without=None):
            outputs[scope].add(source)
    return {scope: Boundary(tuple(inputs[scope]), tuple(sorted(outputs[scope]))) for scope in inputs}


def _around(scope: Scope | None, without: int | None) -> list[Scope]:
    """A scope and those around it, up to the first that holds the node `without`; None: all of them."""
    found = []
    while scope is not None and not (without is not None and scope.first <= without < scope.end):
        found.append(scope)
        scope = scope.parent
    return found


def signatures(graph: Graph, fields: bool = True) -> dict[Scope, int]:
    """For every scope (anonymous ones too) a number; equal numbers mean equal scopes.

    Equal scopes have the same members in the same order under the same names, of the same kind, block and role, wired
    alike, and reading the same number of values from outside. What a scope is called itself, where it was written and
    which values exactly it reads does not count, so the copies of a repeat are equal. With `fields` also every field of
    every op and every shape agrees: they are copies of one thing. Without, only the kinds of the ops, the names of
    their tensors and the ranks of their inputs do: one program, with other numbers in it.

    The numbers are small, given in the order in which the classes are first completed, and mean nothing across calls.
    Time grows with the nodes and the values that cross borders; nothing recurses.
    """
    key = _exact if fields else _program
    crossing = boundaries(graph)
    classes: dict[Hashable, int] = {}
    found: dict[Scope, int] = {}
    # Children stand behind their parent in the walk, so backwards each finds its children done.
    for scope in reversed(list(graph.root.walk())):
        row = _structure(graph, scope, key, crossing, found)
        found[scope] = classes.setdefault(row, len(classes))
    return found


def _exact(node: Node) -> Hashable:
    return node.op, node.in_shapes, node.shape, node.training, node.again


def _program(node: Node) -> Hashable:
    tensors = tuple((param.name, param.trained) for param in node.params)
    return type(node.op), tensors, tuple(map(len, node.in_shapes)), node.training, node.again


def _structure(
    graph: Graph,
    scope: Scope,
    key: Callable[[Node], Hashable],
    crossing: dict[Scope, Boundary],
    found: dict[Scope, int],
) -> Hashable:
    """What makes a scope equal to another: its members, each with where its inputs come from."""
    inputs, outputs = crossing[scope]
    # A value is known by the member that makes it and its place among that member's outputs, or, from outside,
    # by its place among the scope's inputs.
    where = {source: (-1, place) for place, source in enumerate(inputs)}
    members: list[Hashable] = []
    for position, member in enumerate(scope.members):
        if isinstance(member, Scope):
            reads = tuple(where[source] for source in crossing[member].inputs)
            members.append((member.name, member.role, found[member], reads))
            where |= {made: (position, place) for place, made in enumerate(crossing[member].outputs)}
        else:
            node = graph.nodes[member]
            name = node.path[len(scope.path) :]
            members.append((name, key(node), tuple(where[source] for source in node.inputs)))
            where[member] = (position, 0)
    gives = tuple(where[made] for made in outputs)
    return scope.kind, scope.block, tuple(members), gives
