"""A graph cut into what a reader wants to see as one thing: written ops, blocks, and runs of equal blocks.

`split` gives one level of the tree of scopes. Tables and drawings open its parts further, as deep as asked.
`written_ops` gives the members of a scope under the names that the spec has for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from archdsl.graph import Graph, Node, Scope
from archdsl.ops import Fc, Flatten, Input
from archdsl.shapes import Shape, concrete

PartKind: TypeAlias = Literal["node", "block", "sequence"]
Signatures: TypeAlias = Mapping[Scope, int]
"""A number for each scope; equal numbers: one program, perhaps with other fields (`signatures(graph,
fields=False)`)."""

_COMPOSITES = frozenset({"residual", "branches", "dense"})


class Part(NamedTuple):
    """One thing to show: ids of the nodes of each copy (more than one: a run of equal scopes, first to last).

    `node`: one written node with the norm and activation behind it and the flatten before it. `block`: a call of a
    block, or a composite. `sequence`: a named list or mapping, which is a part of its own only by its name.
    """

    path: str
    last: str
    """The path of the last copy; `path` if there is only one."""
    kind: PartKind
    copies: tuple[range, ...]
    scope: Scope | None = None
    """The scope of the first copy; None for a node that has none of its own."""
    training: bool = False

    @property
    def ids(self) -> range:
        """The ids of all nodes of all copies."""
        return range(self.copies[0].start, self.copies[-1].stop)

    def nodes(self, graph: Graph) -> tuple[Node, ...]:
        """The nodes of the first copy."""
        return graph.nodes[self.copies[0].start : self.copies[0].stop]

    def shape(self, graph: Graph) -> Shape:
        """The shape of what leaves the (last copy of the) part."""
        return graph.nodes[self.ids.stop - 1].shape


def scopes(graph: Graph, part: Part) -> tuple[Scope, ...]:
    """The scope of each copy of a part that has one."""
    if part.scope is None:
        return ()
    found = [part.scope]
    for copy in part.copies[1:]:
        scope = graph.nodes[copy.start].scope
        while scope.parent is not None and scope.parent is not part.scope.parent:
            scope = scope.parent
        found.append(scope)
    return tuple(found)


def is_block(scope: Scope) -> bool:
    """Whether the scope is a call of a block or a composite, not merely a named sequence or a fused node."""
    return scope.kind != "fused" and (scope.block is not None or scope.kind in _COMPOSITES)


def split(graph: Graph, scope: Scope, same: Signatures | None = None) -> tuple[Part, ...]:
    """The parts of a scope in written order; together they hold each node of it once.

    Anonymous scopes (a residual's body, a branch, branches within one) are spliced in; a layer of a dense block holds
    the concat behind it. With `same`, neighbours of equal structure and output become one part with several copies.
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
    return scope.name is None and scope.block is None and scope.role != "aux" and scope.kind != "dense"


def inside(graph: Graph, part: Part, same: Signatures | None = None) -> tuple[Part, ...]:
    """The parts of the first copy of a part that has a scope."""
    assert part.scope is not None
    extra = graph.nodes[part.scope.end : part.copies[0].stop]
    return split(graph, part.scope, same) + tuple(map(node_part, extra))


def node_part(node: Node) -> Part:
    """A single node as a part of its own."""
    return Part(node.path, node.path, "node", (range(node.id, node.id + 1),), None, node.training)


def head(graph: Graph, part: Part) -> Node:
    """The node of a written node that it is named after: not its flatten, norm or activation."""
    nodes = part.nodes(graph)
    own = [n for n in nodes if type(n.op) is not Flatten] or list(nodes)
    return next((n for n in own if not n.op.role), own[0])


def scope_part(graph: Graph, scope: Scope) -> Part:
    kind: PartKind = "node" if scope.kind == "fused" else "block" if is_block(scope) else "sequence"
    training = all(node.training for node in graph.nodes[scope.first : scope.end])
    return Part(scope.path, scope.path, kind, (range(scope.first, scope.end),), scope, training)


def _append_node(parts: list[Part], graph: Graph, node: Node) -> None:
    """Adds a node, to the part before it where both were written as one: `3x3 conv 64 bn relu`."""
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
    """Whether a node continues the written op whose nodes so far are `before`: `3x3 conv 64 bn relu` gives three nodes.

    It is the norm or the activation behind the op, or the op behind the flatten that it implies.
    """
    previous = before[-1]
    if node.inputs != (previous.id,) or node.origin is not previous.origin or node.training != previous.training:
        return False
    if len(before) == 1 and previous.implied and isinstance(previous.op, Flatten):
        return True
    roles = {earlier.op.role for earlier in before}
    return bool(node.op.role) and "act" not in roles and (node.op.role == "act" or "norm" not in roles)


def collapse_runs(graph: Graph, parts: Sequence[Part], same: Signatures) -> tuple[Part, ...]:
    """Neighbouring blocks and sequences of one scope, equal in structure, fields and shapes, as one part each.

    The layers of a dense block, each of which receives more channels than the one before, count as equal.
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

    What does nothing at inference may differ: the rate of a droppath often grows from block to block.
    """
    for a, b in zip(graph.nodes[first.start : first.stop], graph.nodes[second.start : second.stop], strict=True):
        if a.op != b.op and a.op.inference:
            return False
        if not growing and concrete(a.shape) != concrete(b.shape):
            return False
    return True


# --- the ops of a scope, as they were written -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class WrittenOp:
    """One written op: a node with the norm and activation fused to it, perhaps the flatten implied before it."""

    nodes: tuple[Node, ...]
    flatten: Node | None = None

    @property
    def main(self) -> Node:
        return self.nodes[0]

    def _local(self, path: str) -> list[tuple[str, str, Node]]:
        """Each node's name in the scope `path`, and its name below that: `conv1`, `bn`."""
        start = len(path) + 1 if path else 0
        found = []
        for node in self.nodes:
            if not node.implied:
                key = node.scope.path[start:] or node.path[start:]
                found.append((key, node.path[start + len(key) + 1 :], node))
        return found

    def names(self, path: str) -> tuple[str, ...]:
        """The names that it takes in the scope `path`: none if implied, `conv1` and `bn1`, or the key of both."""
        return tuple(dict.fromkeys(name for name, _, _ in self._local(path)))

    def inner(self, path: str) -> dict[str, int]:
        """The nodes below its key, by name: `conv`, `bn`."""
        return {below: node.id for _, below, node in self._local(path) if below}

    def numbered(self, path: str) -> bool:
        """Whether it is the item of a list."""
        return any(name.isdigit() for name in self.names(path))


def written_ops(scope: Scope, nodes: tuple[Node, ...]) -> list[Scope | WrittenOp]:
    """The named scopes and the written ops of a scope, those of its anonymous scopes among them."""
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
        parts.append(_written_op(below) if member.kind == "fused" else member)
    close()
    return parts


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
