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
from archdsl.ops import Fc, Flatten, Input, Op
from archdsl.shapes import Shape, concrete

PartKind: TypeAlias = Literal["node", "block", "sequence"]
Signatures: TypeAlias = Mapping[Scope, int]
"""A number for each scope, from `signatures(graph, fields=False)`; equal numbers mean one program."""

_PERIODS = range(2, 5)
"""How many different blocks may repeat in turn."""
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
    """Return the scope of each copy; nothing for a part without scopes. The copies may be in different scopes."""
    if part.scope is None:
        return ()
    depth = len(_around(part.scope))
    return tuple(
        _around(graph.nodes[copy.start].scope)[-depth] if copy.start != part.scope.first else part.scope
        for copy in part.copies
    )


def _around(scope: Scope) -> list[Scope]:
    """The scope and those around it."""
    found = [scope]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    return found


def is_block(scope: Scope) -> bool:
    """Return whether the scope is a call of a block, a composite, or has a label; not if it is a fused node."""
    return scope.kind != "fused" and (scope.block is not None or scope.kind in _COMPOSITES or bool(scope.label))


def split(graph: Graph, scope: Scope, same: Signatures | None = None) -> tuple[Part, ...]:
    """Return the parts of a scope in written order; each of its nodes is in exactly one part.

    The parts of anonymous scopes (a residual's body, a branch) are included directly. A layer of a dense block includes
    the concat that follows it, unless the layer is a single op. With `same`, consecutive equal scopes become one part
    with several copies.
    """
    parts: list[Part] = []
    pending: list[Scope | int] = list(reversed(scope.members))
    while pending:
        member = pending.pop()
        if isinstance(member, int) and scope.kind == "dense" and parts and parts[-1].kind != "node":
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

    Two differences are allowed, which `changes` lists: factors (`affine 0.9`), and the number of input channels if the
    input grows from copy to copy, as in dense and dual-path blocks. Fields without effect at inference, such as the
    rate of a droppath, may differ, too.
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
    return run.ids.stop == part.ids.start and alike(graph, run, part, same)


def alike(graph: Graph, run: Part, part: Part, same: Signatures) -> bool:
    """Return whether two parts of one scope are equal, as in `collapse_runs`."""
    if run.scope is None or part.scope is None or "node" in (run.kind, part.kind):
        return False
    if "aux" in (run.scope.role, part.scope.role) or run.scope.parent is not part.scope.parent:
        return False
    if len(run.copies[0]) != len(part.copies[0]) or same[run.scope] != same[part.scope]:
        return False
    dense = run.scope.parent is not None and run.scope.parent.kind == "dense"
    return _same_fields(graph, run, part, dense or _grows(graph, run, part))


def rounds(graph: Graph, parts: Sequence[Part], same: Signatures) -> list[tuple[tuple[Part, ...], ...]]:
    """Group parts that repeat in turn: `a b a b c` is the rounds `(a b) (a b)` and the single round `(c)`."""
    groups: list[tuple[tuple[Part, ...], ...]] = []
    start = 0
    while start < len(parts):
        group = next((g for n in _PERIODS if len(g := _repeated(graph, parts, start, n, same)) > 1), None)
        groups.append(group or ((parts[start],),))
        start += sum(map(len, groups[-1]))
    return groups


def _repeated(
    graph: Graph, parts: Sequence[Part], start: int, period: int, same: Signatures
) -> tuple[tuple[Part, ...], ...]:
    """The rounds of `period` blocks that begin at `start`; at least the first one."""
    first = tuple(parts[start : start + period])
    found = [first]
    while len(following := tuple(parts[start + len(found) * period :][:period])) == period and all(
        len(a.copies) == len(b.copies) and alike(graph, a, b, same) for a, b in zip(first, following, strict=True)
    ):
        found.append(following)
    return tuple(found)


def _grows(graph: Graph, run: Part, part: Part) -> bool:
    """Whether the same call returns more channels than the copy before it."""
    assert run.scope is not None and part.scope is not None
    if run.scope.block is None or run.scope.args != part.scope.args:
        return False
    before, after = concrete(run.shape(graph)), concrete(part.shape(graph))
    return before[1:] == after[1:] and before[:1] < after[:1]


def _same_fields(graph: Graph, run: Part, part: Part, growing: bool) -> bool:
    """Whether two copies of one program are also equal in fields and shapes, apart from what `changes` lists."""
    for a, b in zip(run.nodes(graph), part.nodes(graph), strict=True):
        free = not a.op.inference or (growing and not a.params)
        if a.op != b.op and not free and not all(_factor(*pair) for pair in different_fields(a.op, b.op).values()):
            return False
        if concrete(a.shape)[growing:] != concrete(b.shape)[growing:]:
            return False
    return True


def different_fields(a: Op, b: Op) -> dict[str, tuple[object, object]]:
    """Return the values of the fields in which two ops of one type differ."""
    pairs = ((name, (getattr(a, name), getattr(b, name))) for name in type(a).model_fields)
    return {name: pair for name, pair in pairs if pair[0] != pair[1]}


def _factor(*values: object) -> bool:
    """Whether values are numbers, not all of them whole: they scale values, and are no sizes."""
    return all(type(value) in (int, float) for value in values) and any(type(value) is float for value in values)


def changes(graph: Graph, part: Part) -> dict[str, tuple[float, ...]]:
    """Return the numbers that differ among the copies of a part, one for each copy: `mul`, and `receives` channels."""
    found: dict[str, tuple[float, ...]] = {}
    for place, first in enumerate(part.nodes(graph)):
        nodes = [graph.nodes[copy.start + place] for copy in part.copies]
        if first.op.inference:
            names = {name for node in nodes for name in different_fields(first.op, node.op)}
            values = {name: tuple(getattr(node.op, name) for node in nodes) for name in names}
            found |= {name: row for name, row in values.items() if any(type(value) is float for value in row)}
    received = tuple(_received(graph, ids) for ids in part.copies)
    return found | ({"receives": received} if len(set(received)) > 1 and all(received) else {})


def _received(graph: Graph, ids: range) -> int:
    """The channels of the first input from outside; 0 without one."""
    outside = (n for node in graph.nodes[ids.start : ids.stop] for n in node.inputs if n not in ids)
    shape = next((graph.nodes[n].shape for n in outside), ())
    return concrete(shape)[0] if shape else 0


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
