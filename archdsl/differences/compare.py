"""What changed between two networks: blocks added, removed, changed or moved, what they cost, which weights carry
over."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, NamedTuple, TypeAlias

from archdsl.analysis.count import NodeCount, Totals, count, count_nodes
from archdsl.analysis.memory import BYTES_PER_VALUE
from archdsl.analysis.parts import Part, head
from archdsl.analysis.receptive_field import ReceptiveField, receptive_fields
from archdsl.differences.align import Pair, Side, align, below, fields, meaning, moved, top
from archdsl.graph import Graph, Node
from archdsl.ops import Input
from archdsl.shapes import concrete

Mark: TypeAlias = Literal["added", "removed", "changed", "moved"]


class Fact(NamedTuple):
    """One thing that is different in a node: a field of its op, or `op`, `norm`, `act`, `receives`, `reads`, `shape`.

    None: it is not there.
    """

    name: str
    before: object
    after: object


class PartCost(NamedTuple):
    """A part's trained numbers, MACs, bytes of stored activations (one sample, fp32), and the receptive field behind
    it."""

    params: int
    macs: int
    memory_bytes: int
    field: ReceptiveField | None


@dataclass(frozen=True, slots=True)
class Change:
    """One part that is not the same in both. `others` are further ones with the very same changes; `changes` are
    those inside of it.

    `before` and `after` are the part in each network, None where it is not in one; costs are those of this part alone.
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
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def renamed(self) -> bool:
        """Whether the part itself is called otherwise, not merely something around it."""
        return self.before is not None and self.after is not None and self.before.name != self.after.name

    @property
    def exact(self) -> bool:
        """Whether the others changed by the very same numbers, not merely alike: `receives` may differ among them."""
        return all(_literal(other) == _literal(self) for other in self.others)

    @property
    def all(self) -> tuple[Change, ...]:
        return (self, *self.others)


class TensorCount(NamedTuple):
    """Tensors of the second network, and the numbers in them, by what the first one's weights do for them."""

    tensors: int
    numbers: int


class CarryOver(NamedTuple):
    """`fit`: of one name and shape in both; `strangers`: those among them that belong to another node there; `renamed`:
    the same node's tensor of the same shape, but under another name; `reshaped`: the name is there, with another shape;
    `new`: the rest. `fit`, `renamed` (without those that fit besides), `reshaped` and `new` make up `all`."""

    all: TensorCount
    fit: TensorCount
    strangers: TensorCount
    renamed: TensorCount
    reshaped: TensorCount
    new: TensorCount


@dataclass(frozen=True, slots=True)
class GraphDifference:
    """Two networks. `equal`: the same ops, fields, wiring, names and shapes, whatever the text looks like.

    `same` counts the nodes that are equal; `resized` pairs the nodes that differ in nothing but height and width.
    """

    before: Graph
    after: Graph
    equal: bool
    changes: tuple[Change, ...]
    totals: tuple[Totals, Totals]
    weights: CarryOver
    facts: tuple[Fact, ...]
    """What differs in the network as a whole: its outputs, its auxiliary heads."""
    same: int
    resized: tuple[tuple[Node, Node], ...]


def compare_graphs(before: Graph, after: Graph) -> GraphDifference:
    """Everything that differs, in the order of the second network; what was removed stands where it was."""
    return _Comparing(before, after).result()


def identity(graph: Graph) -> Hashable:
    """What makes two networks the same one: names, ops, wiring, shapes, outputs."""
    rows = tuple(
        (n.path, meaning(n.op, n.in_shapes), n.shared_with, n.inputs, concrete(n.shape), n.training)
        for n in graph.nodes
    )
    heads = tuple((name, head.node, head.weight) for name, head in graph.aux.items())
    return rows, tuple(graph.outputs.items()), heads


class _Comparing:
    def __init__(self, before: Graph, after: Graph) -> None:
        self.before, self.after = before, after
        self.counts = count_nodes(before), count_nodes(after)
        self.fields = receptive_fields(before), receptive_fields(after)
        self.partner: dict[int, int] = {}
        """Of each node of the first network that is in both, its id in the second."""

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
        return GraphDifference(
            self.before, self.after, equal, changes, totals, self._weights(), self._whole(), same, resized
        )

    # --- which node is which ----------------------------------------------------------------------------------

    def _matched(self, pairs: Sequence[Pair]) -> list[_MatchedPair]:
        """The pairs with those inside of them, and their nodes noted as partners."""
        done: list[_MatchedPair] = []
        for pair in pairs:
            a, b = pair
            inner: list[_MatchedPair] = []
            if a is not None and b is not None:
                if a.leaf and b.leaf:
                    self._partners_in_leaf(a, b)
                elif not a.leaf and not b.leaf:
                    inner = self._matched(align(below(a), below(b)))
                else:
                    done.append(_MatchedPair(a, None, []))
                    a = None
            done.append(_MatchedPair(a, b, inner))
        return done

    def _partners(self, before: Sequence[Node], after: Sequence[Node]) -> None:
        self.partner |= {a.id: b.id for a, b in zip(before, after, strict=True)}

    def _partners_in_leaf(self, a: Side, b: Side) -> None:
        """Of two written nodes: the ops themselves, and what stands around them, by its role."""
        if a.key == b.key:
            self._partners(a.part.nodes(a.graph), b.part.nodes(b.graph))
            return
        own, other = _roles(a), _roles(b)
        self.partner |= {own[role].id: other[role].id for role in own if role in other}

    def _find_moved(self, matches: list[_MatchedPair]) -> None:
        alone = [match for match in _walk(matches) if match.before is None or match.after is None]
        old = [m.before for m in alone if m.before is not None]
        new = [m.after for m in alone if m.after is not None]
        self.moves = moved(old, new)
        for a, b in self.moves:
            if a is not None and b is not None:
                self._partners(a.part.nodes(a.graph), b.part.nodes(b.graph))

    # --- changes -------------------------------------------------------------------------------------------------

    def _changes(self, match: _MatchedPair) -> list[Change]:
        a, b = match.before, match.after
        if a is None or b is None:
            return self._alone(a, b)
        inner = [change for below in match.inner for change in self._changes(below)]
        facts = self._facts(a, b)
        costs = self._cost(0, a.part), self._cost(1, b.part)
        if facts or inner:
            if a.part.kind == b.part.kind == "sequence" and a.name == b.name:
                return collapse(inner)
            return [Change("changed", a, b, costs, facts, tuple(collapse(inner)))]
        return [Change("moved", a, b, costs)] if a.name != b.name else []

    def _alone(self, a: Side | None, b: Side | None) -> list[Change]:
        side = a or b
        assert side is not None
        move = next((m for m in self.moves if m.after is side or (m.after and b and m.after.part == b.part)), None)
        if b is not None and move is not None and move.before is not None:
            return [Change("moved", move.before, b, (self._cost(0, move.before.part), self._cost(1, b.part)))]
        here = self.reverse if b is not None else self.partner
        gone = [i for i in side.part.ids if i not in here]
        if not gone:  # all of it moved, and is told of where it is now
            return (
                [change for part in below(side) for change in self._alone(None, part)]
                if b is not None and not side.leaf
                else []
            )
        opened = not side.leaf and (side.part.kind == "sequence" or len(gone) < len(side.part.ids))
        if opened:
            return collapse(
                [
                    change
                    for part in below(side)
                    for change in self._alone(*((None, part) if b is not None else (part, None)))
                ]
            )
        if a is not None:
            return [Change("removed", a, None, (self._cost(0, a.part), None))]
        return [Change("added", None, b, (None, self._cost(1, side.part)))]

    def _facts(self, a: Side, b: Side) -> tuple[Fact, ...]:
        """What differs in two written nodes, in itself and in what they receive."""
        if not a.leaf or not b.leaf:
            return ()
        own, other = _roles(a), _roles(b)
        both = () if a.key == b.key else dict.fromkeys((*own, *other))
        found = [fact for role in both for fact in _differing(role, own.get(role), other.get(role))]
        for node in a.part.nodes(a.graph):
            if node.id in self.partner:
                found += self._surroundings(node, self.after.nodes[self.partner[node.id]])
        return tuple(dict.fromkeys(found))

    def _surroundings(self, a: Node, b: Node) -> list[Fact]:
        found = []
        if type(a.op) is Input and concrete(a.shape) != concrete(b.shape):
            found.append(Fact("shape", concrete(a.shape), concrete(b.shape)))
        if _fed(a) != _fed(b):
            found.append(Fact("receives", _fed(a), _fed(b)))
        if self._rewired(a, b):
            found.append(Fact("reads", _paths(self.before, a.inputs), _paths(self.after, b.inputs)))
        return found

    def _rewired(self, a: Node, b: Node) -> bool:
        """Whether a node reads other nodes, beyond what nodes put in or taken out before it explain."""
        mapped = [self.partner.get(i) for i in a.inputs]
        if mapped == list(b.inputs):
            return False
        if None not in mapped and all(i in self.reverse for i in b.inputs):
            return True
        behind = {self._through(self.after, i, self.reverse) for i in b.inputs}
        before = {self.partner.get(self._through(self.before, i, self.partner)) for i in a.inputs}
        lost = [m for m in mapped if m is not None and m not in behind]
        gained = [i for i in b.inputs if i in self.reverse and i not in before]
        return bool(lost or gained)

    def _through(self, graph: Graph, number: int, known: Mapping[int, int]) -> int:
        while number not in known and graph.nodes[number].inputs:
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
        found = []
        for what in ("outputs", "aux"):
            was, now = (
                {name: getattr(at, "node", at) for name, at in getattr(graph, what).items()}
                for graph in (self.before, self.after)
            )
            ends = {name: self.partner.get(at) for name, at in was.items()}
            if ends != {name: self._through(self.after, at, self.reverse) for name, at in now.items()}:
                old, new = (
                    tuple(f"{name}: {graph.nodes[at].path}" for name, at in ends.items())
                    for graph, ends in ((self.before, was), (self.after, now))
                )
                found.append(Fact(what, old, new))
        return tuple(found)

    def _weights(self) -> CarryOver:
        old = {t.key: t for t in self.before.tensors}
        groups: dict[str, list[int]] = {name: [] for name in CarryOver._fields}
        for key, param, node in self.after.tensors:
            size = prod(param.shape)
            groups["all"].append(size)
            same = old.get(key)
            partner = self.reverse.get(node.id)
            home = None if partner is None else self.before.nodes[partner]
            if same is not None and same.param.shape == param.shape:
                groups["fit"].append(size)
                if home is None or same.node.id != home.id:
                    groups["strangers"].append(size)
            elif home is not None and any(p.name == param.name and p.shape == param.shape for p in home.params):
                groups["renamed"].append(size)
            else:
                groups["reshaped" if same is not None else "new"].append(size)
        return CarryOver(*(TensorCount(len(sizes), sum(sizes)) for sizes in groups.values()))


class _MatchedPair(NamedTuple):
    before: Side | None
    after: Side | None
    inner: list[_MatchedPair]


def _walk(matches: Sequence[_MatchedPair]) -> list[_MatchedPair]:
    found: list[_MatchedPair] = []
    for match in matches:
        found += [match, *_walk(match.inner)]
    return found


def _roles(side: Side) -> dict[str, Node]:
    """The nodes of a written node by what they are to it: `op`, and around it `norm`, `act` or their kind."""
    main = head(side.graph, side.part)
    found = {}
    for node in side.part.nodes(side.graph):
        role = "op" if node is main else node.op.role or node.op.name
        found[role if role not in found else f"{role} {node.id - main.id}"] = node
    return found


def _differing(role: str, a: Node | None, b: Node | None) -> list[Fact]:
    if a is None or b is None:
        return [Fact(role, a and a.op, b and b.op)]
    if a.op.name != b.op.name:
        return [Fact(role, a.op, b.op)]
    was, now = fields(a.op, a.in_shapes), fields(b.op, b.in_shapes)
    before = "" if role == "op" else f"{a.op.name} "
    again = [Fact("again", a.again or None, b.again or None)] if a.again != b.again else []
    return [*again, *(Fact(f"{before}{name}", was[name], now[name]) for name in was if was[name] != now[name])]


def _fed(node: Node) -> tuple[int, ...] | None:
    """The channels that a node with tensors receives, where its tensors depend on them."""
    if not node.reads:
        return None
    return tuple(int(shape[0]) if isinstance(shape[0], int) else shape[0].default for shape in node.in_shapes)


def _paths(graph: Graph, ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(graph.nodes[i].path for i in ids)


def _alike(a: Node, b: Node) -> bool:
    return (
        a.path == b.path and a.shared_with == b.shared_with and meaning(a.op, a.in_shapes) == meaning(b.op, b.in_shapes)
    )


def _resized(a: Node, b: Node) -> bool:
    was, now = concrete(a.shape), concrete(b.shape)
    return was != now and len(was) == len(now) == 3 and was[0] == now[0]


# --- collapsing -----------------------------------------------------------------------------------------------


def collapse(changes: Sequence[Change]) -> list[Change]:
    """Equal changes as one: neighbours that were added or removed, and any that changed alike."""
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
    """What makes changes alike: their changes, not their names, save those of what is inside."""
    side = change.side
    around = side.part.path[: len(side.part.path) - len(side.name)]
    told = change.renamed and not (side.name.isdecimal() and change.mark == "changed")
    if (told or change.mark == "moved") and not side.name.isdecimal():
        return change.mark, side.part.path
    own = (side.name, change.before and change.before.name) if name else (around, told)
    if change.mark in ("added", "removed"):
        scope = side.part.scope
        return change.mark, own, side.key if scope is None or side.leaf else (scope.kind, scope.block, side.key)
    facts = [fact for fact in change.facts if fact.name not in ("reads", "receives")]
    same: tuple[Hashable, ...] = tuple((f.name, repr(f.before), repr(f.after)) for f in facts)
    same = same or tuple(f.name for f in change.facts)
    inside = tuple(_key(inner, name=True) for inner in change.changes)
    return change.mark, own, same, inside
