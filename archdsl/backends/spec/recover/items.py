"""The items of a module: written ops, modules inside it, and the composites that its merges make of them.

A merge is a composite if each of its inputs is a chain of items with one reader each, and all chains start at one
value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from archdsl.backends.spec.recover.tree import Group, Leaf
from archdsl.graph import Node
from archdsl.language.names import is_number
from archdsl.ops import Add, Concat, Merge
from archdsl.shapes import concrete

MAX_NESTING = 3
"""Composites inside composites, as a person would write them."""


@dataclass(slots=True, eq=False)
class OpItem:
    """A written op: its node, the norm and the activation behind it, and their names in the module.

    `key` is the name of the module that they are, if it has nothing else.
    """

    nodes: list[Node]
    names: list[str]
    reads: list[int]
    key: str = ""

    @property
    def value(self) -> int:
        return self.nodes[-1].id


@dataclass(slots=True, eq=False)
class Composite:
    """Chains of items from one value into a merge. An empty chain is the value itself."""

    chains: list[list[Item]]
    merge: Node
    reads: list[int]
    nesting: int
    then: Node | None = None

    @property
    def value(self) -> int:
        return self.merge.id if self.then is None else self.then.id

    @property
    def residual(self) -> bool:
        """Whether it is a body and a shortcut."""
        return isinstance(self.merge.op, Add) and len(self.chains) == 2

    @property
    def growing(self) -> bool:
        """Whether it concatenates its input and one item: a layer of a dense block."""
        first, *rest = self.chains
        single = len(rest) == 1 and not first and len(rest[0]) == 1
        return isinstance(self.merge.op, Concat) and single and self.then is None


Item: TypeAlias = OpItem | Group | Composite


def item_of(member: Leaf | Group) -> Item:
    """Return a member of a group as an item."""
    return member if isinstance(member, Group) else OpItem([member.node], [member.name], member.reads)


def compose(items: Sequence[Item], read_outside: Iterable[int], shared: Sequence[int]) -> list[Item]:
    """Return the items of a module with its composites.

    `read_outside`: the values that are read outside of it; `shared`: the nodes whose tensors another one uses, sorted.
    """
    readers = Counter(read for item in items for read in item.reads)
    readers.update(read_outside)
    alive: dict[int, Item] = {}
    for item in items:
        composite = None
        if isinstance(item, OpItem) and isinstance(item.nodes[0].op, Merge) and len(item.reads) > 1:
            composite = _composite(item, alive, readers, shared)
        if composite is not None:
            for chain in composite.chains:
                for inner in chain:
                    del alive[inner.value]
            readers[composite.reads[0]] -= len(composite.chains) - 1
            item = composite
        alive[item.value] = _with_then(item, alive, readers)
    return list(alive.values())


def _composite(item: OpItem, alive: dict[int, Item], readers: Counter[int], shared: Sequence[int]) -> Composite | None:
    chains, entries, nesting = [], set(), 0
    for read in item.reads:
        chain: list[Item] = []
        while read in alive and readers[read] == 1 and len(alive[read].reads) == 1 and _closed(alive[read], shared):
            inner = alive[read]
            nesting = max(nesting, inner.nesting if isinstance(inner, Composite) else 0)
            chain.append(inner)
            (read,) = inner.reads
        chains.append(chain[::-1])
        entries.add(read)
    plain = not item.nodes[0].op.explicit() and not item.names[0]
    if len(entries) > 1 or sum(not chain for chain in chains) > 1 or not plain or nesting >= MAX_NESTING:
        return None
    return Composite(chains, item.nodes[0], list(entries), nesting + 1)


def _closed(item: Item, shared: Sequence[int]) -> bool:
    """Whether only the last value of an item is read outside, and no tensor."""
    if isinstance(item, Group):
        return item.exports == [item.value] and not bisect_left(shared, item.end) > bisect_left(shared, item.start)
    return not isinstance(item, OpItem) or item.nodes[0].id not in shared


def _with_then(item: Item, alive: dict[int, Item], readers: Counter[int]) -> Item:
    """An activation behind a composite is a part of it."""
    if isinstance(item, OpItem) and len(item.reads) == 1:
        before, node = alive.get(item.reads[0]), item.nodes[0]
        if isinstance(before, Composite) and before.then is None and _is_act(node) and readers[before.value] == 1:
            del alive[before.value]
            before.then = node
            return before
    return item


def _is_act(node: Node) -> bool:
    return node.op.role == "act" and not node.op.parametric and not node.shared_with


# --- ops behind each other -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Naming:
    """The rules by which ops behind each other are one written op."""

    word: str
    shared: Sequence[int] = ()

    def fuse(self, items: Sequence[Item], listed: bool, readers: Counter[int]) -> list[Item]:
        """Return items in which norms and activations are with the op before them, as in a list or in a mapping."""
        out: list[Item] = []
        for item in items:
            before = out[-1] if out else None
            if isinstance(item, OpItem) and isinstance(before, OpItem) and self._joins(before, item, listed, readers):
                nodes, names = [*before.nodes, *item.nodes], [*before.names, *item.names]
                out[-1] = OpItem(nodes, names, before.reads, before.key)
            else:
                out.append(item)
        return out

    def _joins(self, before: OpItem, item: OpItem, listed: bool, readers: Counter[int]) -> bool:
        node, roles = item.nodes[0], [n.op.role for n in before.nodes]
        if (
            item.reads != [before.value]
            or readers[before.value] != 1
            or len(item.nodes) > 1
            or before.nodes[0].shared_with
        ):
            return False
        if roles[0] == "act" or "act" in roles[1:] or {node.id, *(n.id for n in before.nodes)} & {*self.shared}:
            return False
        number = int(before.names[0]) + len(before.nodes) if is_number(before.names[0]) and not before.key else -1
        if listed:
            fits = not item.names[0] if self.word == "nested" else item.names[0] == str(number)
            return fits and (_is_act(node) or (self.word != "nested" and self._norm(before, node)))
        if _is_act(node):
            return True
        sibling = "conv" in before.names[0] and item.names[0] == before.names[0].replace("conv", node.op.name, 1)
        return self.word == "sibling" and sibling and not before.key and self._norm(before, node)

    def _norm(self, before: OpItem, node: Node) -> bool:
        main = before.nodes[0].op
        return node.op.role == "norm" and not main.role and len(before.nodes) == 1 and not node.shared_with

    def single(self, group: Group) -> OpItem | None:
        """Return a group that is one written op with a norm: `x.conv` and `x.bn`, or `x.0` and `x.1`."""
        leaves = group.leaves
        if not 2 <= len(leaves) == len(group.members) <= 3 or self.word == "sibling" or len(group.reads) != 1:
            return None
        nodes = [leaf.node for leaf in leaves]
        chained = [leaf.reads for leaf in leaves[1:]] == [[node.id] for node in nodes[:-1]]
        names = [leaf.name for leaf in leaves]
        expected = ["0", "1"] if self.word == "flat" else [node.op.name for node in nodes[:2]]
        if names[:2] != expected or not chained or group.exports != [nodes[-1].id] or not nodes[0].op.parametric:
            return None
        item = OpItem(nodes[:1], names[:1], leaves[0].reads, group.name)
        acts = all(_is_act(node) for node in nodes[2:])
        if not acts or not self._norm(item, nodes[1]) or {n.id for n in nodes} & {*self.shared}:
            return None
        return OpItem(nodes, names, leaves[0].reads, group.name)


def same_shape(item: Composite, entry_shape: tuple[object, ...]) -> bool:
    """Whether a composite keeps the shape of its input."""
    return concrete(item.merge.shape) == tuple(entry_shape)
