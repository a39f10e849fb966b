"""Two networks laid side by side: which part of one is which part of the other.

Siblings are aligned like two sequences (Needleman and Wunsch 1970): in order, at the least cost. Equal parts cost
nothing, whatever a list numbers them; parts of one name cost what differs in them; a part under another name is the
same one only if hardly anything else differs. What is left over on both sides, and is equal and the only one of its
kind, was moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import prod
from typing import Any, NamedTuple, TypeVar

from archdsl.analysis.parts import Part, head, inside, split
from archdsl.graph import Graph, Node
from archdsl.ops import Op
from archdsl.shapes import Shape

T = TypeVar("T")

GAP = 600
"""What it costs to leave a part alone: two that cost more than twice this together are not one."""
_NUMBERED, _RENAMED, _UNLIKE, _REPLACED = 20, 350, 250, 900
_NEVER = 1_000_000_000
_MAX_CELLS = 1_000_000
"""Of the table of an alignment; longer lists are aligned by equal parts alone."""


class Side(NamedTuple):
    """A part of one of the two graphs, with what it is called among its siblings and what it is, names of its own
    aside."""

    graph: Graph
    part: Part
    name: str
    key: Hashable
    kinds: Counter[tuple[str, Hashable]]
    """Its ops, by kind and meaning."""

    @property
    def leaf(self) -> bool:
        return self.part.kind == "node" or self.part.scope is None


class Pair(NamedTuple):
    """What is one thing in both; or, with None, in one of them only."""

    before: Side | None
    after: Side | None


def top(graph: Graph) -> list[Side]:
    return _sides(graph, split(graph, graph.root), "")


def below(side: Side) -> list[Side]:
    """The parts inside of a block or a sequence."""
    return _sides(side.graph, inside(side.graph, side.part), side.part.path)


def _sides(graph: Graph, parts: Sequence[Part], around: str) -> list[Side]:
    return [_side(graph, part, around) for part in parts]


def _side(graph: Graph, part: Part, around: str) -> Side:
    name = part.path.removeprefix(around).lstrip(".")
    nodes = part.nodes(graph)
    kinds = Counter((n.op.name, meaning(n.op, n.in_shapes)) for n in nodes)
    return Side(graph, part, name, _key(part, nodes), kinds)


def _key(part: Part, nodes: Sequence[Node]) -> Hashable:
    """Ops, names inside and wiring; not the shapes, nor the name of the part itself, nor which values it reads."""
    first = nodes[0].id
    outside: dict[int, int] = {}
    rows = []
    for node in nodes:
        own = part.kind != "node" and node.path.startswith(part.path)
        name = node.path[len(part.path) :] if own else ""
        reads = tuple(i - first if i >= first else -1 - outside.setdefault(i, len(outside)) for i in node.inputs)
        rows.append((name, meaning(node.op, node.in_shapes), node.again, node.training, reads))
    return tuple(rows)


def meaning(op: Op, inputs: Sequence[Shape]) -> Hashable:
    """The op's kind and fields in one form, however they were written: pads as pixels, a pool's stride as a number."""
    return (op.name, *((name, _hashable(value)) for name, value in fields(op, inputs).items()))


def fields(op: Op, inputs: Sequence[Shape]) -> dict[str, Any]:
    """Every field of the op by name, with what stands for a default worked out; TensorFlow's `same` stays a word."""
    found = {name: getattr(op, name) for name in type(op).model_fields}
    if "pad" in found and found["pad"] != "same" and hasattr(op, "pads") and not getattr(op, "adaptive", False):
        found["pad"] = tuple(op.pads(inputs[0]))
    if "stride" in found and hasattr(op, "steps") and not getattr(op, "adaptive", False):
        found["stride"] = op.steps
    if hasattr(op, "crops"):
        found["pad"], found["extra"] = zip(*op.crops(), strict=True)
    return found


def _hashable(value: Any) -> Hashable:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


# --- siblings -------------------------------------------------------------------------------------------------


def align(before: Sequence[Side], after: Sequence[Side]) -> list[Pair]:
    """The siblings as pairs, in order; what stands alone comes where it stood."""
    start = 0
    while start < min(len(before), len(after)) and _same(before[start], after[start]):
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and _same(before[-1 - end], after[-1 - end]):
        end += 1
    left, right = before[start : len(before) - end], after[start : len(after) - end]
    pairs = [Pair(a, b) for a, b in zip(before[:start], after[:start], strict=True)]
    pairs += _aligned(left, right) if len(left) * len(right) <= _MAX_CELLS else _by_equals(left, right)
    return pairs + [Pair(a, b) for a, b in zip(before[len(before) - end :], after[len(after) - end :], strict=True)]


def _same(a: Side, b: Side) -> bool:
    return a.name == b.name and a.key == b.key


def _aligned(before: Sequence[Side], after: Sequence[Side]) -> list[Pair]:
    table = [[GAP * (i + j) for j in range(len(after) + 1)] for i in range(len(before) + 1)]
    costs = [[_cost(a, b) for b in after] for a in before]
    for i in range(1, len(before) + 1):
        row, above, cost = table[i], table[i - 1], costs[i - 1]
        for j in range(1, len(after) + 1):
            row[j] = min(above[j] + GAP, row[j - 1] + GAP, above[j - 1] + cost[j - 1])
    pairs: list[Pair] = []
    i, j = len(before), len(after)
    while i or j:
        together = table[i - 1][j - 1] + costs[i - 1][j - 1] if i and j else _NEVER
        if together <= table[i][j]:
            i, j = i - 1, j - 1
            pairs.append(Pair(before[i], after[j]))
        elif j and (not i or table[i][j - 1] <= table[i - 1][j]):
            j -= 1
            pairs.append(Pair(None, after[j]))
        else:
            i -= 1
            pairs.append(Pair(before[i], None))
    return pairs[::-1]


def _by_equals(before: Sequence[Side], after: Sequence[Side]) -> list[Pair]:
    """For lists of thousands: equal parts, and between them parts of one name."""
    from difflib import SequenceMatcher

    pairs: list[Pair] = []
    matcher = SequenceMatcher(None, [s.key for s in before], [s.key for s in after], autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            pairs += [Pair(x, y) for x, y in zip(before[a:b], after[c:d], strict=True)]
            continue
        names = {side.name: side for side in after[c:d]}
        found = {side.name: names.pop(side.name, None) for side in before[a:b]}
        pairs += [Pair(side, found[side.name]) for side in before[a:b]]
        pairs += [Pair(None, side) for side in names.values()]
    return pairs


def _cost(a: Side, b: Side) -> int:
    """What differs, in thousandths: 0 for two equal parts of one name, `_NEVER` for two that cannot be one."""
    numbers = a.name.isdecimal() and b.name.isdecimal()
    called = 0 if a.name == b.name else _NUMBERED if numbers else _RENAMED
    if a.key == b.key:
        return called
    unlike = _leaves_unlike(a, b) if a.leaf and b.leaf else _NEVER if a.leaf or b.leaf else _blocks_unlike(a, b)
    if unlike == _NEVER and a.name == b.name and not numbers:
        return _REPLACED
    return called + unlike if called < _RENAMED or unlike <= _UNLIKE else _NEVER


def _leaves_unlike(a: Side, b: Side) -> int:
    first, second = head(a.graph, a.part), head(b.graph, b.part)
    if first.op.name != second.op.name:
        return _NEVER
    one, other = fields(first.op, first.in_shapes), fields(second.op, second.in_shapes)
    differ = sum(one[name] != other[name] for name in one) / max(len(one), 1)
    around = len(a.part.ids) != len(b.part.ids)
    return 100 + int(500 * differ) + 50 * around


def _blocks_unlike(a: Side, b: Side) -> int:
    """How few of their ops are the same, with their fields or at least by kind."""
    assert a.part.scope is not None and b.part.scope is not None
    exact = _shared(a.kinds, b.kinds)
    kinds = _shared(_by_kind(a.kinds), _by_kind(b.kinds))
    other = (a.part.scope.kind, a.part.scope.block) != (b.part.scope.kind, b.part.scope.block)
    telling = a.name == b.name and not a.name.isdecimal()
    if a.name != b.name and (a.key in _keys(b) or b.key in _keys(a)):  # one was put into the other
        return _NEVER
    if kinds < 0.3 or (other and not telling and exact < 0.6 and _carried(a, b) < 0.7):
        return _NEVER
    return 50 + int(300 * (1 - exact)) + int(400 * (1 - kinds)) + 100 * other


def _keys(side: Side) -> set[Hashable]:
    return {inner.key for inner in below(side)}


def _carried(a: Side, b: Side) -> float:
    """The share of the smaller block's numbers that the other has under the same name and in the same shape."""
    own, other = _tensors(a), _tensors(b)
    kept = sum(prod(shape) for key, shape in own.items() if other.get(key) == shape)
    return kept / max(min(sum(map(prod, own.values())), sum(map(prod, other.values()))), 1)


def _tensors(side: Side) -> dict[str, tuple[int, ...]]:
    around = len(side.part.path)
    return {n.key(p)[around:]: p.shape for n in side.part.nodes(side.graph) for p in n.params}


def _by_kind(kinds: Counter[tuple[str, Hashable]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (kind, _), count in kinds.items():
        found[kind] += count
    return found


def _shared(a: Counter[T], b: Counter[T]) -> float:
    return (a & b).total() / max((a | b).total(), 1)


# --- what moved -----------------------------------------------------------------------------------------------


def moved(before: Sequence[Side], after: Sequence[Side]) -> list[Pair]:
    """Of parts that are in one network only: equal ones, tensors and all, that are the only ones of their kind, or at
    least of their name. One of the two may lie deeper: what was put into a block, or taken out of one."""
    whole = {id(side) for side in (*before, *after)}
    pairs: list[Pair] = []
    taken: set[int] = set()
    for named in (True, False):
        old, new = _forest(before, named), _forest(after, named)
        for key, sides in new.items():
            found = old.get(key, [])
            if len(sides) != 1 or len(found) != 1 or not {id(sides[0]), id(found[0])} & whole:
                continue
            a, b = found[0], sides[0]
            ids = {*(-1 - i for i in a.part.ids), *b.part.ids}
            if (_tensors(b) or len(b.part.ids) > 2) and not ids & taken:
                taken |= ids
                pairs.append(Pair(a, b))
    return pairs


def _forest(sides: Sequence[Side], named: bool) -> dict[Hashable, list[Side]]:
    """All parts at any depth by what they are, the outer before the inner."""
    found: dict[Hashable, list[Side]] = {}
    level = list(sides)
    while level:
        for side in level:
            shapes = tuple(p.shape for n in side.part.nodes(side.graph) for p in n.params)
            found.setdefault((side.key, shapes, side.name if named else ""), []).append(side)
        level = [inner for side in level if not side.leaf for inner in below(side)]
    return found
