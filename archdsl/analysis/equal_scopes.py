"""Equality of scopes: `signatures` numbers the equivalence classes of their structure.

Tables and drawings collapse consecutive scopes of one class into "x3". Without the fields of ops, a class means that
blocks are one program with different sizes. `boundaries` lists the values that cross the border of a scope.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from archdsl.graph import Graph, Node, Scope


class Boundary(NamedTuple):
    """The values that cross a scope's border, as node ids.

    `inputs` are computed outside and read inside, in the order of their first use; `outputs` are computed inside and
    read outside (or are outputs of the network), in the order of their nodes.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def boundaries(graph: Graph) -> dict[Scope, Boundary]:
    """Return the boundary of every scope, including anonymous ones. The root has the network's outputs and no inputs.

    Takes one step for each scope that an edge leaves or enters.
    """
    inputs: dict[Scope, dict[int, None]] = {scope: {} for scope in graph.root.walk()}
    outputs: dict[Scope, set[int]] = {scope: set() for scope in inputs}
    for node in graph.nodes:
        for source in node.inputs:
            for scope in _ancestors(node.scope, without=source):
                inputs[scope].setdefault(source)
            for scope in _ancestors(graph.nodes[source].scope, without=node.id):
                outputs[scope].add(source)
    for source in (*graph.outputs.values(), *(head.node for head in graph.aux.values())):
        for scope in _ancestors(graph.nodes[source].scope, without=None):
            outputs[scope].add(source)
    return {scope: Boundary(tuple(inputs[scope]), tuple(sorted(outputs[scope]))) for scope in inputs}


def _ancestors(scope: Scope | None, without: int | None) -> list[Scope]:
    """A scope and its ancestors, up to the first that contains the node `without`; None: all of them."""
    scopes = []
    while scope is not None and not (without is not None and scope.first <= without < scope.end):
        scopes.append(scope)
        scope = scope.parent
    return scopes


def signatures(graph: Graph, fields: bool = True) -> dict[Scope, int]:
    """Return a number for every scope, including anonymous ones; equal numbers mean equal scopes.

    Equal scopes have the same members in the same order under the same names, of the same kind, block and role, with
    the same connections, and read the same number of values from outside. The scope's own name, its place in the spec
    and the values that it reads are ignored, so the copies of a repeat are equal. With `fields`, every field of every
    op and every shape is equal, too: copies of one block. Without, only the kinds of the ops, the names of their
    tensors and the ranks of their inputs are equal: one program with different sizes.

    The numbers start at 0 and are comparable within one call only. The time is linear in the nodes and in the values
    that cross borders; nothing recurses.
    """
    key = _exact if fields else _program
    crossing = boundaries(graph)
    classes: dict[Hashable, int] = {}
    numbers: dict[Scope, int] = {}
    # The walk visits a parent before its children, so its reverse completes the children first.
    for scope in reversed(list(graph.root.walk())):
        row = _structure(graph, scope, key, crossing, numbers)
        numbers[scope] = classes.setdefault(row, len(classes))
    return numbers


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
    numbers: dict[Scope, int],
) -> Hashable:
    """A key that equal scopes share: the members, each with the sources of its inputs."""
    inputs, outputs = crossing[scope]
    # A value is identified by the member that computes it and its index among that member's outputs; a value from
    # outside by -1 and its index among the scope's inputs.
    where = {source: (-1, place) for place, source in enumerate(inputs)}
    members: list[Hashable] = []
    for position, member in enumerate(scope.members):
        if isinstance(member, Scope):
            reads = tuple(where[source] for source in crossing[member].inputs)
            members.append((member.name, member.role, numbers[member], reads))
            where |= {output: (position, place) for place, output in enumerate(crossing[member].outputs)}
        else:
            node = graph.nodes[member]
            name = node.path[len(scope.path) :]
            members.append((name, key(node), tuple(where[source] for source in node.inputs)))
            where[member] = (position, 0)
    return scope.kind, scope.block, tuple(members), tuple(where[output] for output in outputs)
