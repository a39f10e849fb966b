"""The tree of modules of a flat graph: groups of leaves, with the values that each group reads and exports.

Three changes make modules closed, so that they can be blocks; none changes a value. Identities are dropped. A merge
that opens a module is moved in front of it. A concat of the values of an earlier concat and one more reads that concat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from archdsl.graph import Graph, Node, Scope
from archdsl.ops import Concat, Fc, Flatten, Identity, Input, Merge


@dataclass(slots=True, eq=False)
class Leaf:
    """A node: the name of its module, empty if it has none, and the nodes that it reads."""

    node: Node
    name: str
    reads: list[int]


@dataclass(slots=True, eq=False)
class Group:
    """A module. The ids of the nodes in it are from `start` to `end`.

    `reads` are the outer nodes that it reads, in the order of their first use; `exports` the inner ones that are read
    outside.
    """

    path: str
    name: str
    start: int
    end: int
    members: list[Leaf | Group] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    exports: list[int] = field(default_factory=list)
    height: int = 0

    def walk(self) -> Iterator[Group]:
        """Yield the groups, each after those in it."""
        for member in self.members:
            if isinstance(member, Group):
                yield from member.walk()
        yield self

    @property
    def leaves(self) -> list[Leaf]:
        """The nodes directly in the group."""
        return [member for member in self.members if isinstance(member, Leaf)]

    @property
    def value(self) -> int:
        """The last node in the group."""
        last = self.members[-1]
        return last.node.id if isinstance(last, Leaf) else last.value


def tree(graph: Graph) -> Group:
    """Return the root of the tree of modules."""
    root = _Builder(graph).build()
    for group in root.walk():
        _hoist(group)
    for group in root.walk():
        _chain_concats(group)
    _connect(root, graph)
    return root


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.root = Group("", "", 0, len(graph.nodes))
        self.groups: dict[int, Group] = {id(graph.root): self.root}
        self.instead: dict[int, int] = {}
        """The node that stands for a dropped one."""

    def build(self) -> Group:
        implied = self._implied_flattens()
        for node in self.graph.nodes:
            if isinstance(node.op, Input) or node.training:
                continue
            if isinstance(node.op, Identity) or node.id in implied:
                self.instead[node.id] = self._source(node.inputs[0])
                continue
            again = any(scope.again for scope in _around(node.scope))
            group = self._group(node.scope)
            inside = len(group.path) + 1 if group.path else 0
            name = "" if node.implied or again else node.path[inside:]
            group.members.append(Leaf(node, name, [self._source(i) for i in node.inputs]))
        return self.root

    def _source(self, node: int) -> int:
        return self.instead.get(node, node)

    def _implied_flattens(self) -> set[int]:
        """The flattens that an `fc` behind them implies."""
        nodes, readers = self.graph.nodes, self.graph.consumers
        outputs = {*self.graph.outputs.values()}
        return {
            flatten.id
            for flatten, fc in pairwise(nodes)
            if isinstance(flatten.op, Flatten) and flatten.implied and isinstance(fc.op, Fc) and fc.op.kernel is None
            and fc.inputs == (flatten.id,) and readers[flatten.id] == (fc.id,) and flatten.id not in outputs
        }  # fmt: skip

    def _group(self, scope: Scope) -> Group:
        """The group of a scope: of the nearest one around it that is a module and runs for the first time."""
        around = list(_around(scope))[::-1]
        runs_again = next((n for n, s in enumerate(around) if s.again), len(around))
        group = self.root
        for one in (s for s in around[1:runs_again] if s.name is not None):
            inner = self.groups.get(id(one))
            if inner is None:
                inside = len(group.path) + 1 if group.path else 0
                inner = self.groups[id(one)] = Group(one.path, one.path[inside:], one.first, one.end)
                group.members.append(inner)
            group = inner
        return group


def _around(scope: Scope | None) -> Iterator[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent


def _hoist(group: Group) -> None:
    """Move a merge that opens a module in front of it, if the module then reads one value."""
    for at in range(len(group.members) - 1, -1, -1):
        inner = group.members[at]
        if not isinstance(inner, Group) or len(inner.members) < 2:
            continue
        first = inner.members[0]
        if not isinstance(first, Leaf) or first.name or not isinstance(first.node.op, Merge):
            continue
        outer = {read for leaf in _leaves(inner) for read in leaf.reads if not inner.start <= read < inner.end}
        rest = {read for leaf in _leaves(inner) if leaf is not first for read in leaf.reads}
        if len(outer) > 1 and {read for read in rest if not inner.start <= read < inner.end} <= {first.node.id}:
            del inner.members[0]
            inner.start = first.node.id + 1
            group.members.insert(at, first)


def _leaves(group: Group) -> Iterator[Leaf]:
    for inner in group.walk():
        yield from inner.leaves


def _chain_concats(group: Group) -> None:
    """Let a concat read an earlier one that has all of its inputs but the last."""
    earlier: dict[tuple[int, ...], int] = {}
    for leaf in group.leaves:
        if isinstance(leaf.node.op, Concat) and not leaf.name:
            whole = tuple(leaf.reads)
            if len(whole) > 2 and whole[:-1] in earlier:
                leaf.reads = [earlier[whole[:-1]], whole[-1]]
            earlier.setdefault(whole, leaf.node.id)


def _connect(root: Group, graph: Graph) -> None:
    """Set what each group reads and exports."""
    last_reader = {node: len(graph.nodes) for node in graph.outputs.values()}
    for leaf in _leaves(root):
        for read in leaf.reads:
            last_reader[read] = max(last_reader.get(read, 0), leaf.node.id)
    for node in graph.outputs.values():
        last_reader[node] = len(graph.nodes)
    for group in root.walk():
        group.members = [m for m in group.members if isinstance(m, Leaf) or m.members]
        reads: dict[int, None] = {}
        for member in group.members:
            inner = member.reads
            reads.update((read, None) for read in inner if not group.start <= read < group.end)
            if isinstance(member, Leaf):
                values = [member.node.id]
            else:
                values = member.exports
            group.exports += [value for value in values if last_reader.get(value, -1) >= group.end]
        group.reads = list(reads)
