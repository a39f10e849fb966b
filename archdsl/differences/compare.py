"""Compare two graphs: parts added, removed, changed or moved, their costs, and which weights carry over."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, NamedTuple, TypeAlias

from archdsl.analysis.count import NodeCount, Totals, count, count_nodes
from archdsl.analysis.memory import BYTES_PER_VALUE
from archdsl.analysis.parts import Part, head
from archdsl.analysis.receptive_field import ReceptiveField, receptive_fields
from archdsl.axes import axes_of
from archdsl.differences.align import Pair, Side, align, below, fields, meaning, moved, top
from archdsl.graph import Graph, Node
from archdsl.ops import Input
from archdsl.shapes import concrete

Mark: TypeAlias = Literal["added", "removed", "changed", "moved"]


class Fact(NamedTuple):
    """One difference in a node: a field of its op, or `op`, `norm`, `act`, `receives`, `reads`, `shape`.

    A value that does not exist in one of the networks is None.
    """

    name: str
    before: object
    after: object


class PartCost(NamedTuple):
    """Parameters, MACs, bytes of stored activations (one sample, fp32) and receptive field at the output of a part."""

    params: int
    macs: int
    memory_bytes: int
    field: ReceptiveField | None


@dataclass(frozen=True, slots=True)
class Change:
    """One part that differs. `others` are further parts with the same changes; `changes` are the changes inside it.

    `before` and `after` are the part in each network, or None; `costs` are those of this part, without `others`.
    """

    mark: Mark
    before: Side | None
    after: Side | None
    costs: tuple[PartCost | None, PartCost | None]
    facts: tuple[Fact, ...] = ()
    changes: tuple[Change, ...] = ()
    others: tuple[Change, ...] = ()

    @property
    def side(self) -> Side:
        side = self.after or self.before
        assert side is not None
        return side

    @property
    def outer(self) -> bool:
        """Whether the part changed because parts in it did: not all of its nodes changed."""
        return self.mark == "changed" and bool(self.changes)

    @property
    def renamed(self) -> bool:
        """Whether the name of the part itself changed, not only the name of a part around it."""
        return self.before is not None and self.after is not None and self.before.name != self.after.name

    @property
    def exact(self) -> bool:
        """Whether the others have exactly the same facts; in parts that are only alike, `receives` and `reads` may
        differ."""
        return all(_literal(other) == _literal(self) for other in self.others)

    @property
    def all(self) -> tuple[Change, ...]:
        return (self, *self.others)


class TensorCount(NamedTuple):
    """How many tensors of the second network, and how many values they have."""

    tensors: int
    values: int


class CarryOver(NamedTuple):
    """How the weights of the first network fit the tensors of the second.

    `fit`: the same name and shape; `unrelated`: those among them that belong to a different node in the first network;
    `renamed`: the tensor of the same node with the same shape, but another name; `reshaped`: the same name, another
    shape; `new`: all others. `fit`, `renamed`, `reshaped` and `new` add up to `all`.
    """

    all: TensorCount
    fit: TensorCount
    unrelated: TensorCount
    renamed: TensorCount
    reshaped: TensorCount
    new: TensorCount


@dataclass(frozen=True, slots=True)
class GraphDifference:
    """The difference of two graphs. `equal`: the same ops, fields, wiring, names and shapes.

    `same` is the number of equal nodes; `resized` are the pairs of nodes that differ only in the sizes of
    their axes, or in the number of axes.
    """

    before: Graph
    after: Graph
    equal: bool
    changes: tuple[Change, ...]
    totals: tuple[Totals, Totals]
    weights: CarryOver
    facts: tuple[Fact, ...]
    """Differences of the whole network: its outputs, its auxiliary heads."""
    same: int
    resized: tuple[tuple[Node, Node], ...]
    partners: Mapping[int, int]
    """For nodes of the first network, by id, the node of the second network that takes its place."""


def compare_graphs(before: Graph, after: Graph) -> GraphDifference:
    """Return all differences, in the order of the second network; removed parts are listed at their old position."""
    return _Comparing(before, after).result()


def identity(graph: Graph) -> Hashable:
    """Return a key that is equal for equal networks: names, ops, wiring, shapes, outputs.

    An implied node has no name of its own.
    """
    rows = tuple(
        (
            _place(n),
            meaning(n.op, n.in_shapes),
            n.shared_with,
            n.inputs,
            concrete(n.shape),
            n.training,
        )
        for n in graph.nodes
    )
    heads = tuple((name, head.node, head.weight) for name, head in graph.aux.items())
    return rows, tuple(graph.outputs.items()), heads


def _ends(graph: Graph, what: str) -> list[tuple[str, int, float | None]]:
    """The outputs or auxiliary heads in order: names, nodes, and the weights of the heads' losses."""
    if what == "outputs":
        return [(name, node, None) for name, node in graph.outputs.items()]
    return [(name, head.node, head.weight) for name, head in graph.aux.items()]


def _end_texts(graph: Graph, ends: Sequence[tuple[str, int, float | None]]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {graph.nodes[node].path}" + ("" if weight is None else f", weight {weight:g}")
        for name, node, weight in ends
    )


class _Comparing:
    def __init__(self, before: Graph, after: Graph) -> None:
        self.before, self.after = before, after
        self.counts = count_nodes(before), count_nodes(after)
        self.fields = receptive_fields(before), receptive_fields(after)
        self.partner: dict[int, int] = {}
        """Node id in the first network -> id of the matching node in the second."""

    def result(self) -> GraphDifference:
        pairs = self._matched(align(top(self.before), top(self.after)))
        self._find_moved(pairs)
        self.reverse = {b: a for a, b in self.partner.items()}
        changes = tuple(collapse([change for pair in pairs for change in self._changes(pair)]))
        nodes = [(self.before.nodes[a], self.after.nodes[b]) for a, b in self.partner.items()]
        resized = tuple((a, b) for a, b in nodes if _resized(a, b))
        same = sum(_alike(a, b) and concrete(a.shape) == concrete(b.shape) for a, b in nodes)
        totals = count(self.before, 1, self.counts[0]), count(self.after, 1, self.counts[1])
        equal = identity(self.before) == identity(self.after)
        changes = () if equal else changes
        return GraphDifference(
            self.before, self.after, equal, changes, totals, self._weights(), self._whole(), same, resized, self.partner
        )

    # --- which node is which ----------------------------------------------------------------------------------

    def _matched(self, pairs: Sequence[Pair]) -> list[_MatchedPair]:
        """The pairs and the pairs inside them; their nodes become partners."""
        matches: list[_MatchedPair] = []
        for pair in pairs:
            a, b = pair
            inner: list[_MatchedPair] = []
            if a is not None and b is not None:
                if a.leaf and b.leaf:
                    self._partners_in_leaf(a, b)
                elif not a.leaf and not b.leaf:
                    inner = self._matched(align(below(a), below(b)))
                else:
                    matches.append(_MatchedPair(a, None, []))
                    a = None
            matches.append(_MatchedPair(a, b, inner))
        return matches

    def _partners(self, before: Sequence[Node], after: Sequence[Node]) -> None:
        self.partner |= {a.id: b.id for a, b in zip(before, after, strict=True)}

    def _partners_in_leaf(self, a: Side, b: Side) -> None:
        """The partners in two written nodes: the ops themselves, and their norms and activations by role."""
        if a.key == b.key:
            self._partners(a.part.nodes(a.graph), b.part.nodes(b.graph))
            return
        own, other = _roles(a), _roles(b)
        self.partner |= {own[role].id: other[role].id for role in own if role in other}

    def _find_moved(self, matches: list[_MatchedPair]) -> None:
        unmatched = [match for match in _walk(matches) if match.before is None or match.after is None]
        old = [m.before for m in unmatched if m.before is not None]
        new = [m.after for m in unmatched if m.after is not None]
        self.moves = moved(old, new)
        for a, b in self.moves:
            if a is not None and b is not None:
                self._partners(a.part.nodes(a.graph), b.part.nodes(b.graph))

    # --- changes -------------------------------------------------------------------------------------------------

    def _changes(self, match: _MatchedPair) -> list[Change]:
        a, b = match.before, match.after
        if a is None or b is None:
            return self._unmatched(a, b)
        inner = [change for below in match.inner for change in self._changes(below)]
        facts = self._facts(a, b)
        costs = self._cost(0, a.part), self._cost(1, b.part)
        if facts or inner:
            if a.part.kind == b.part.kind == "sequence" and a.name == b.name:
                return collapse(inner)
            return [Change("changed", a, b, costs, facts, tuple(collapse(inner)))]
        return [Change("moved", a, b, costs)] if a.name != b.name else []

    def _unmatched(self, a: Side | None, b: Side | None) -> list[Change]:
        side = a or b
        assert side is not None
        move = next((m for m in self.moves if m.after is side or (m.after and b and m.after.part == b.part)), None)
        if b is not None and move is not None and move.before is not None:
            return [Change("moved", move.before, b, (self._cost(0, move.before.part), self._cost(1, b.part)))]
        partners = self.reverse if b is not None else self.partner
        missing = [i for i in side.part.ids if i not in partners]
        if not missing:  # all of it moved: listed at its new position
            return (
                [change for part in below(side) for change in self._unmatched(None, part)]
                if b is not None and not side.leaf
                else []
            )
        opened = not side.leaf and (side.part.kind == "sequence" or len(missing) < len(side.part.ids))
        if opened:
            return collapse(
                [
                    change
                    for part in below(side)
                    for change in self._unmatched(*((None, part) if b is not None else (part, None)))
                ]
            )
        if a is not None:
            return [Change("removed", a, None, (self._cost(0, a.part), None))]
        return [Change("added", None, b, (None, self._cost(1, side.part)))]

    def _facts(self, a: Side, b: Side) -> tuple[Fact, ...]:
        """The differences of two written nodes and of their inputs."""
        if not a.leaf or not b.leaf:
            return ()
        own, other = _roles(a), _roles(b)
        both = () if a.key == b.key else dict.fromkeys((*own, *other))
        facts = [fact for role in both for fact in _differing(role, own.get(role), other.get(role))]
        for node in a.part.nodes(a.graph):
            if node.id in self.partner:
                partner = self.after.nodes[self.partner[node.id]]
                within = set(node.inputs) <= set(a.part.ids) and set(partner.inputs) <= set(b.part.ids)
                facts += self._input_facts(node, partner, within and bool(node.op.role))
        return tuple(dict.fromkeys(facts))

    def _input_facts(self, a: Node, b: Node, within: bool) -> list[Fact]:
        """The differences of their inputs. The norm of a convolution reads the convolution, `within` the written node:
        the node as a whole does not receive those channels."""
        facts = []
        if type(a.op) is Input and concrete(a.shape) != concrete(b.shape):
            facts.append(Fact("shape", concrete(a.shape), concrete(b.shape)))
        if not within and _in_channels(a) != _in_channels(b):
            facts.append(Fact("receives", _in_channels(a), _in_channels(b)))
        if self._rewired(a, b):
            facts.append(Fact("reads", _paths(self.before, a.inputs), _paths(self.after, b.inputs)))
        return facts

    def _rewired(self, a: Node, b: Node) -> bool:
        """Whether a node reads other nodes, apart from nodes that were inserted or removed before it."""
        mapped = [self.partner.get(i) for i in a.inputs]
        if mapped == list(b.inputs):
            return False
        if None not in mapped and all(i in self.reverse for i in b.inputs):
            return True
        now = {self._matched_source(self.after, i, self.reverse) for i in b.inputs}
        was = {self.partner.get(self._matched_source(self.before, i, self.partner)) for i in a.inputs}
        lost = [m for m in mapped if m is not None and m not in now]
        gained = [i for i in b.inputs if i in self.reverse and i not in was]
        return bool(lost or gained)

    def _matched_source(self, graph: Graph, number: int, partners: Mapping[int, int]) -> int:
        """The node itself if it has a partner, else the nearest one before it (along first inputs) that has."""
        while number not in partners and graph.nodes[number].inputs:
            number = graph.nodes[number].inputs[0]
        return number

    def _cost(self, which: int, part: Part) -> PartCost:
        counts: Sequence[NodeCount] = self.counts[which][part.ids.start : part.ids.stop]
        return PartCost(
            sum(c.params for c in counts),
            sum(c.macs for c in counts),
            sum(c.activations for c in counts) * BYTES_PER_VALUE,
            self.fields[which][part.ids.stop - 1],
        )

    # --- the whole --------------------------------------------------------------------------------------------

    def _whole(self) -> tuple[Fact, ...]:
        facts = []
        for what in ("outputs", "aux"):
            was, now = _ends(self.before, what), _ends(self.after, what)
            ends = [(name, self.partner.get(at), weight) for name, at, weight in was]
            if ends != [(name, self._matched_source(self.after, at, self.reverse), weight) for name, at, weight in now]:
                facts.append(Fact(what, _end_texts(self.before, was), _end_texts(self.after, now)))
        return tuple(facts)

    def _weights(self) -> CarryOver:
        old = {t.key: t for t in self.before.tensors}
        groups: dict[str, list[int]] = {name: [] for name in CarryOver._fields}
        for key, param, node in self.after.tensors:
            size = prod(param.shape)
            groups["all"].append(size)
            same = old.get(key)
            partner = self.reverse.get(node.id)
            old_node = None if partner is None else self.before.nodes[partner]
            if same is not None and same.param.shape == param.shape:
                groups["fit"].append(size)
                if old_node is None or same.node.id != old_node.id:
                    groups["unrelated"].append(size)
            elif old_node is not None and any(p.name == param.name and p.shape == param.shape for p in old_node.params):
                groups["renamed"].append(size)
            else:
                groups["reshaped" if same is not None else "new"].append(size)
        return CarryOver(*(TensorCount(len(sizes), sum(sizes)) for sizes in groups.values()))


class _MatchedPair(NamedTuple):
    before: Side | None
    after: Side | None
    inner: list[_MatchedPair]


def _walk(matches: Sequence[_MatchedPair]) -> list[_MatchedPair]:
    flat: list[_MatchedPair] = []
    for match in matches:
        flat += [match, *_walk(match.inner)]
    return flat


def _roles(side: Side) -> dict[str, Node]:
    """The nodes of a written node by role: `op`, and for nodes that it implies `norm`, `act` or the op's name."""
    main = head(side.graph, side.part)
    roles: dict[str, Node] = {}
    for node in side.part.nodes(side.graph):
        role = "op" if node is main else node.op.role or node.op.name
        roles[role if role not in roles else f"{role} {node.id - main.id}"] = node
    return roles


def _differing(role: str, a: Node | None, b: Node | None) -> list[Fact]:
    if a is None or b is None:
        return [Fact(role, a and a.op, b and b.op)]
    if a.op.name != b.op.name:
        return [Fact(role, a.op, b.op)]
    was, now = fields(a.op, a.in_shapes), fields(b.op, b.in_shapes)
    before = "" if role == "op" else f"{a.op.name} "
    again = [Fact("again", a.again or None, b.again or None)] if a.again != b.again else []
    return [*again, *(Fact(f"{before}{name}", was[name], now[name]) for name in was if was[name] != now[name])]


def _in_channels(node: Node) -> tuple[int, ...] | None:
    """The channels of each input of a node with tensors."""
    if not node.reads:
        return None
    return tuple(int(shape[0]) if isinstance(shape[0], int) else shape[0].default for shape in node.in_shapes)


def _paths(graph: Graph, ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(graph.nodes[i].path for i in ids)


def _place(node: Node) -> str:
    """The path of a node; an implied node has no place in the module tree."""
    return "" if node.implied else node.path


def _alike(a: Node, b: Node) -> bool:
    return (
        _place(a) == _place(b)
        and a.shared_with == b.shared_with
        and meaning(a.op, a.in_shapes) == meaning(b.op, b.in_shapes)
    )


def _resized(a: Node, b: Node) -> bool:
    was, now = concrete(a.shape), concrete(b.shape)
    return _alike(a, b) and was != now and axes_of(was) > 0 < axes_of(now) and was[0] == now[0]


# --- collapsing -----------------------------------------------------------------------------------------------


def collapse(changes: Sequence[Change]) -> list[Change]:
    """Combine equal changes: neighbours that were added or removed, and any parts that changed in the same way."""
    collapsed: list[Change] = []
    known: dict[Hashable, int] = {}
    for change in changes:
        key = _key(change)
        at = known.get(key)
        if at is not None and (change.mark in ("changed", "moved") or at == len(collapsed) - 1):
            collapsed[at] = replace(collapsed[at], others=(*collapsed[at].others, change))
        else:
            known[key] = len(collapsed)
            collapsed.append(change)
    return collapsed


def _literal(change: Change) -> Hashable:
    return tuple((f.name, repr(f.before), repr(f.after)) for f in change.facts), tuple(map(_literal, change.changes))


def _key(change: Change, name: bool = False) -> Hashable:
    """A key that is equal for changes that are alike: what changed, and the names of the parts inside."""
    side = change.side
    around = side.part.path[: len(side.part.path) - len(side.name)]
    renamed = change.renamed and not (side.name.isdecimal() and change.mark == "changed")
    if (renamed or change.mark == "moved") and not side.name.isdecimal():
        return change.mark, side.part.path
    own = (side.name, change.before and change.before.name) if name else (around, renamed)
    if change.mark in ("added", "removed"):
        scope = side.part.scope
        return change.mark, own, side.key if scope is None or side.leaf else (scope.kind, scope.block, side.key)
    facts = [fact for fact in change.facts if fact.name not in ("reads", "receives")]
    same: tuple[Hashable, ...] = tuple((f.name, repr(f.before), repr(f.after)) for f in facts)
    same = same or tuple(f.name for f in change.facts)
    inside = tuple(_key(inner, name=True) for inner in change.changes)
    return change.mark, own, same, inside
