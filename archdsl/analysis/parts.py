"""The parts of a graph that tables and drawings show: written ops, blocks, and runs of equal blocks.

`split` returns one level of the tree of scopes; tables and drawings split its parts further, down to their depth.
`written_ops` returns the members of a scope under their names in the spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from archdsl.graph import Graph, Node, Scope
from archdsl.ops import Fc, Flatten, Input
from archdsl.shapes import Shape, concrete

PartKind: TypeAlias = Literal["node", "block", "sequence"]
Signatures: TypeAlias = Mapping[Scope, int]
"""A number for each scope, from `signatures(graph, fields=False)`; equal numbers mean one program."""

_COMPOSITES = frozenset({"residual", "branches", "dense"})


class Part(NamedTuple):
    """One part: the node ids of each copy. Several copies are a run of equal scopes.

    `node`: one written node with the norm and activation that follow and the flatten before it. `block`: a call of a
    block, or a composite. `sequence`: a named list or mapping.
    """

    path: str
    last: str
    """The path of the last copy; `path` if there is only one."""
    kind: PartKind
    copies: tuple[range, ...]
    scope: Scope | None = None
    """The scope of the first copy; None for a node without a scope of its own."""
    training: bool = False

    @property
    def ids(self) -> range:
        """The ids of the nodes of all copies."""
        return range(self.copies[0].start, self.copies[-1].stop)

    def nodes(self, graph: Graph) -> tuple[Node, ...]:
        """Return the nodes of the first copy."""
        return graph.nodes[self.copies[0].start : self.copies[0].stop]

    def shape(self, graph: Graph) -> Shape:
        """Return the output shape of the last copy."""
        return graph.nodes[self.ids.stop - 1].shape


def scopes(graph: Graph, part: Part) -> tuple[Scope, ...]:
    """Return the scope of each copy; nothing for a part without scopes."""
    if part.scope is None:
        return ()
    copies = [part.scope]
    for copy in part.copies[1:]:
        scope = graph.nodes[copy.start].scope
        while scope.parent is not None and scope.parent is not part.scope.parent:
            scope = scope.parent
        copies.append(scope)
    return tuple(copies)


def is_block(scope: Scope) -> bool:
    """Return whether the scope is a call of a block, a composite, or has a label; not if it is a fused node."""
    return scope.kind != "fused" and (scope.block is not None or scope.kind in _COMPOSITES or bool(scope.label))


def split(graph: Graph, scope: Scope, same: Signatures | None = None) -> tuple[Part, ...]:
    """Return the parts of a scope in written order; each of its nodes is in exactly one part.

    The parts of anonymous scopes (a residual's body, a branch) are included directly. A layer of a dense block includes
    the concat that follows it. With `same`, consecutive equal scopes become one part with several copies.
    """
    parts: list[Part] = []
    pending: list[Scope | int] = list(reversed(scope.members))
    while pending:
        member = pending.pop()
        if isinstance(member, int) and scope.kind == "dense" and parts and parts[-1].scope is not None:
            ids = range(parts[-1].ids.start, member + 1)
            parts[-1] = parts[-1]._replace(copies=(ids,))
        elif isinstance(member, int):
            _append_node(parts, graph, graph.nodes[member])
        elif member.first == member.end:
            continue
        elif _spliced(member):
            pending += reversed(member.members)
        else:
            parts.append(scope_part(graph, member))
    return tuple(parts) if same is None else collapse_runs(graph, parts, same)


def _spliced(scope: Scope) -> bool:
    return scope.name is None and scope.role != "aux" and scope.kind != "dense" and not (scope.block or scope.label)


def inside(graph: Graph, part: Part, same: Signatures | None = None) -> tuple[Part, ...]:
    """Return the parts of the first copy of a part; a node without a scope is its own part."""
    if part.scope is None:
        return (part,)
    extra = graph.nodes[part.scope.end : part.copies[0].stop]
    return split(graph, part.scope, same) + tuple(map(node_part, extra))


def node_part(node: Node) -> Part:
    """Return a part of one node."""
    return Part(node.path, node.path, "node", (range(node.id, node.id + 1),), None, node.training)


def head(graph: Graph, part: Part) -> Node:
    """Return the main node of a written node: not its flatten, norm or activation."""
    nodes = part.nodes(graph)
    own = [n for n in nodes if type(n.op) is not Flatten] or list(nodes)
    return next((n for n in own if not n.op.role), own[0])


def scope_part(graph: Graph, scope: Scope) -> Part:
    kind: PartKind = "node" if scope.kind == "fused" else "block" if is_block(scope) else "sequence"
    training = all(node.training for node in graph.nodes[scope.first : scope.end])
    return Part(scope.path, scope.path, kind, (range(scope.first, scope.end),), scope, training)


def _append_node(parts: list[Part], graph: Graph, node: Node) -> None:
    """Append a node, to the previous part if both are one written op: `3x3 conv 64 bn relu`."""
    if (
        parts
        and parts[-1].kind == "node"
        and parts[-1].ids.stop == node.id
        and written_together(parts[-1].nodes(graph), node)
    ):
        before = parts[-1]
        first = graph.nodes[before.ids.start]
        path = node.path if first.implied and "/" not in node.path else before.path
        parts[-1] = before._replace(path=path, last=path, copies=(range(before.ids.start, node.id + 1),))
    else:
        parts.append(node_part(node))


def written_together(before: Sequence[Node], node: Node) -> bool:
    """Return whether a node continues the written op of the nodes `before`: `3x3 conv 64 bn relu` is three nodes.

    It is the norm or the activation after the op, or the op after the flatten that it implies.
    """
    previous = before[-1]
    if node.inputs != (previous.id,) or node.origin is not previous.origin or node.training != previous.training:
        return False
    if len(before) == 1 and previous.implied and isinstance(previous.op, Flatten):
        return True
    main = 1 if isinstance(before[0].op, Flatten) and len(before) > 1 else 0
    roles = {earlier.op.role for earlier in before[main + 1 :]}  # the op itself can be a norm, as in `again norm1 relu`
    return bool(node.op.role) and "act" not in roles and (node.op.role == "act" or "norm" not in roles)


def collapse_runs(graph: Graph, parts: Sequence[Part], same: Signatures) -> tuple[Part, ...]:
    """Collapse consecutive blocks and sequences of one scope that are equal in structure, fields and shapes.

    The layers of a dense block are equal, although the number of their input channels grows.
    """
    collapsed: list[Part] = []
    for part in parts:
        if collapsed and _alike(graph, collapsed[-1], part, same):
            run = collapsed[-1]
            collapsed[-1] = run._replace(last=part.path, kind="block", copies=run.copies + part.copies)
        else:
            collapsed.append(part)
    return tuple(collapsed)


def _alike(graph: Graph, run: Part, part: Part, same: Signatures) -> bool:
    if run.scope is None or part.scope is None or "node" in (run.kind, part.kind):
        return False
    if "aux" in (run.scope.role, part.scope.role) or run.scope.parent is not part.scope.parent:
        return False
    if run.ids.stop != part.ids.start or len(run.copies[0]) != len(part.copies[0]):
        return False
    growing = run.scope.parent is not None and run.scope.parent.kind == "dense"
    return same[run.scope] == same[part.scope] and _same_fields(graph, run.copies[0], part.copies[0], growing)


def _same_fields(graph: Graph, first: range, second: range, growing: bool) -> bool:
    """Whether two copies of one program are also equal in fields and shapes.

    Ops without effect at inference may differ: the rate of a droppath often grows from block to block.
    """
    for a, b in zip(graph.nodes[first.start : first.stop], graph.nodes[second.start : second.stop], strict=True):
        if a.op != b.op and a.op.inference:
            return False
        if not growing and concrete(a.shape) != concrete(b.shape):
            return False
    return True


# --- the written ops of a scope ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class WrittenOp:
    """One written op: a node with the norm and activation fused to it, and the flatten that it implies."""

    nodes: tuple[Node, ...]
    flatten: Node | None = None

    @property
    def main(self) -> Node:
        return self.nodes[0]

    def _local(self, path: str) -> list[tuple[str, str, Node]]:
        """For each node its key in the scope `path`, and its name below that key: `conv1`, `bn`."""
        start = len(path) + 1 if path else 0
        names = []
        for node in self.nodes:
            if not node.implied:
                own = node.scope.path[start:] if node.home is node.scope else ""
                key = own or node.path[start:]
                names.append((key, node.path[start + len(key) + 1 :], node))
        return names

    def names(self, path: str) -> tuple[str, ...]:
        """Return its names in the scope `path`: none if implied, `conv1` and `bn1`, or one key for both."""
        return tuple(dict.fromkeys(name for name, _, _ in self._local(path)))

    def inner(self, path: str) -> dict[str, int]:
        """Return the ids of the nodes below its key, by name: `conv`, `bn`."""
        return {below: node.id for _, below, node in self._local(path) if below}

    def numbered(self, path: str) -> bool:
        """Return whether it is the item of a list, in which ops without names of their own take a number each."""
        local = self._local(path)
        return any(name.isdigit() for name, _, _ in local) and not any(below.isdigit() for _, below, _ in local)


def written_ops(scope: Scope, nodes: tuple[Node, ...]) -> list[Scope | WrittenOp]:
    """Return the named scopes and the written ops of a scope, including those of its anonymous scopes."""
    parts: list[Scope | WrittenOp] = []
    together: list[Node] = []

    def close() -> None:
        if together:
            parts.append(_written_op(together))
            together.clear()

    for member in _named_members(scope):
        if isinstance(member, int):
            if together and not written_together(together, nodes[member]):
                close()
            if not isinstance(nodes[member].op, Input):
                together.append(nodes[member])
            continue
        close()
        below = [nodes[n] for n in _named_members(member) if isinstance(n, int)]
        parts.append(_written_op(below) if member.kind == "fused" and not member.again else member)
    close()
    return parts


def single_ops(nodes: Sequence[Node]) -> list[WrittenOp]:
    """Return each op on its own, an `fc` with the flatten before it."""
    flattens = {node.id: before for before, node in pairwise(nodes) if _flattens(before, node)}
    implied = {before.id for before in flattens.values()}
    return [WrittenOp((node,), flattens.get(node.id)) for node in nodes if node.id not in implied]


def _flattens(before: Node, node: Node) -> bool:
    """Whether a node is the flatten that an `fc` implies."""
    return before.implied and isinstance(before.op, Flatten) and isinstance(node.op, Fc) and node.inputs == (before.id,)


def _named_members(scope: Scope) -> Iterator[Scope | int]:
    for member in scope.members:
        if isinstance(member, int):
            yield member
        elif member.name is None:
            yield from _named_members(member)
        elif member.first < member.end:
            yield member


def _written_op(nodes: list[Node]) -> WrittenOp:
    implied = len(nodes) > 1 and isinstance(nodes[0].op, Flatten) and isinstance(nodes[1].op, Fc)
    return WrittenOp(tuple(nodes[1:]), nodes[0]) if implied else WrittenOp(tuple(nodes))
