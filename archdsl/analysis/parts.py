"""A graph cut into what a reader wants to see as one thing: written nodes, blocks, and runs of equal blocks.

`split` gives one level of the tree of scopes. Tables and drawings open its parts further, as deep as asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from archdsl.graph import Graph, Node, Scope
from archdsl.ops import Flatten
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
    return tuple(parts) if same is None else fold_runs(graph, parts, same)


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
        and _written_together(parts[-1], graph, node)
    ):
        before = parts[-1]
        first = graph.nodes[before.ids.start]
        path = node.path if first.implied and "/" not in node.path else before.path
        parts[-1] = before._replace(path=path, last=path, copies=(range(before.ids.start, node.id + 1),))
    else:
        parts.append(node_part(node))


def _written_together(part: Part, graph: Graph, node: Node) -> bool:
    before = part.nodes(graph)
    previous = before[-1]
    if node.inputs != (previous.id,) or node.training != previous.training:
        return False
    if previous.implied and type(previous.op) is Flatten and len(before) == 1:
        return previous.path.startswith(f"{node.path}/")
    if previous.origin != node.origin or not node.op.role:
        return False
    roles = [n.op.role for n in before]
    return "act" not in roles and (node.op.role == "act" or "norm" not in roles)


def fold_runs(graph: Graph, parts: Sequence[Part], same: Signatures) -> tuple[Part, ...]:
    """Neighbouring blocks and sequences of one scope, equal in structure, fields and shapes, as one part each.

    The layers of a dense block, each of which receives more channels than the one before, count as equal.
    """
    folded: list[Part] = []
    for part in parts:
        if folded and _alike(graph, folded[-1], part, same):
            run = folded[-1]
            folded[-1] = run._replace(last=part.path, kind="block", copies=run.copies + part.copies)
        else:
            folded.append(part)
    return tuple(folded)


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
