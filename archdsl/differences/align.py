"""Match the parts of two networks.

Siblings are aligned like two sequences, in order and at minimum cost (Needleman and Wunsch 1970). Equal parts cost
almost nothing, also if their numbers in a list differ; parts with the same name cost as much as differs in them; parts
with different names match only if hardly anything else differs. Unmatched parts that are equal and unique in both
networks were moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import prod
from typing import Any, NamedTuple, TypeVar

from archdsl.analysis.parts import Part, head, inside, split
from archdsl.axes import uniform
from archdsl.graph import Graph, Node
from archdsl.ops import Op
from archdsl.shapes import Shape

T = TypeVar("T")

GAP = 600
"""The cost of an unmatched part: two parts whose match costs more than twice this are not matched."""
_NUMBERED, _RENAMED, _UNLIKE, _REPLACED = 20, 350, 250, 900
_NEVER = 1_000_000_000
_MAX_CELLS = 1_000_000
"""The largest alignment table; longer lists are aligned by equal keys and equal names."""


class Side(NamedTuple):
    """A part of one of the two graphs: its name among its siblings, and a key for all of it except its own name."""

    graph: Graph
    part: Part
    name: str
    key: Hashable
    ops: Counter[tuple[str, Hashable]]
    """How often each op occurs in it, by name and fields."""

    @property
    def leaf(self) -> bool:
        return self.part.kind == "node" or self.part.scope is None


class Pair(NamedTuple):
    """Two matching parts, or an unmatched part and None."""

    before: Side | None
    after: Side | None


def top(graph: Graph) -> list[Side]:
    return _sides(graph, split(graph, graph.root), "")


def below(side: Side) -> list[Side]:
    """The parts inside a block or a sequence."""
    return _sides(side.graph, inside(side.graph, side.part), side.part.path)


def _sides(graph: Graph, parts: Sequence[Part], around: str) -> list[Side]:
    return [_side(graph, part, around) for part in parts]


def _side(graph: Graph, part: Part, around: str) -> Side:
    name = part.path.removeprefix(around).lstrip(".")
    nodes = part.nodes(graph)
    ops = Counter((n.op.name, meaning(n.op, n.in_shapes)) for n in nodes)
    return Side(graph, part, name, _key(part, nodes), ops)


def _key(part: Part, nodes: Sequence[Node]) -> Hashable:
    """Ops, inner names and wiring; not the shapes, the name of the part itself, or the values that it reads."""
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
    """The op's name and fields in a normal form: pads in pixels, defaults resolved."""
    return (op.name, *((name, _hashable(value)) for name, value in fields(op, inputs).items()))


def fields(op: Op, inputs: Sequence[Shape]) -> dict[str, Any]:
    """Every field of the op by name, with defaults resolved; TensorFlow's `same` padding stays `same`.

    A number that is the same on all axes is one number, so that an image and a volume may have the same `/2`; only the
    window has a number for each axis, as in the short form.
    """
    values = {name: getattr(op, name) for name in type(op).model_fields}
    if "pad" in values and values["pad"] != "same" and hasattr(op, "pads") and not getattr(op, "adaptive", False):
        values["pad"] = tuple(op.pads(inputs[0]))
    if "stride" in values and hasattr(op, "steps") and not getattr(op, "adaptive", False):
        values["stride"] = op.steps
    if hasattr(op, "sides"):
        values |= {"pixels": op.sides(inputs[0]), "before": 0, "after": 0}
    if hasattr(op, "crops"):
        values["pad"], values["extra"] = zip(*op.crops(), strict=True)
    spread = {*op.per_axis, *op.per_side, "pad", "extra"} - {"kernel"}
    return {
        name: uniform(value) if name in spread and isinstance(value, tuple) else value for name, value in values.items()
    }


def _hashable(value: Any) -> Hashable:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


# --- siblings -------------------------------------------------------------------------------------------------


def align(before: Sequence[Side], after: Sequence[Side]) -> list[Pair]:
    """Return the siblings as pairs, in order; unmatched parts stay at their position."""
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
        matched = table[i - 1][j - 1] + costs[i - 1][j - 1] if i and j else _NEVER
        if matched <= table[i][j]:
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
    """The pairs of lists with thousands of parts: equal parts, and between them parts with the same name."""
    from difflib import SequenceMatcher

    pairs: list[Pair] = []
    matcher = SequenceMatcher(None, [s.key for s in before], [s.key for s in after], autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            pairs += [Pair(x, y) for x, y in zip(before[a:b], after[c:d], strict=True)]
            continue
        names = {side.name: side for side in after[c:d]}
        matches = {side.name: names.pop(side.name, None) for side in before[a:b]}
        pairs += [Pair(side, matches[side.name]) for side in before[a:b]]
        pairs += [Pair(None, side) for side in names.values()]
    return pairs


def _cost(a: Side, b: Side) -> int:
    """The cost of a match: 0 for equal parts with the same name, `_NEVER` for parts that cannot match."""
    numbered = a.name.isdecimal() and b.name.isdecimal()
    name_cost = 0 if a.name == b.name else _NUMBERED if numbered else _RENAMED
    if a.key == b.key:
        return name_cost
    cost = _leaf_cost(a, b) if a.leaf and b.leaf else _NEVER if a.leaf or b.leaf else _block_cost(a, b)
    if cost == _NEVER and a.name == b.name and not numbered:
        return _REPLACED
    return name_cost + cost if name_cost < _RENAMED or cost <= _UNLIKE else _NEVER


def _leaf_cost(a: Side, b: Side) -> int:
    first, second = head(a.graph, a.part), head(b.graph, b.part)
    if first.op.name != second.op.name:
        return _NEVER
    one, other = fields(first.op, first.in_shapes), fields(second.op, second.in_shapes)
    differing = sum(one[name] != other[name] for name in one) / max(len(one), 1)
    other_size = len(a.part.ids) != len(b.part.ids)
    return 100 + int(500 * differing) + 50 * other_size


def _block_cost(a: Side, b: Side) -> int:
    """The fewer ops the blocks share, with equal fields or at least by name, the higher."""
    assert a.part.scope is not None and b.part.scope is not None
    exact = _shared(a.ops, b.ops)
    named = _shared(_by_name(a.ops), _by_name(b.ops))
    other = (a.part.scope.kind, a.part.scope.block) != (b.part.scope.kind, b.part.scope.block)
    same_name = a.name == b.name and not a.name.isdecimal()
    if a.name != b.name and (a.key in _keys(b) or b.key in _keys(a)):  # one was moved into the other
        return _NEVER
    if named < 0.3 or (other and not same_name and exact < 0.6 and _carried(a, b) < 0.7):
        return _NEVER
    return 50 + int(300 * (1 - exact)) + int(400 * (1 - named)) + 100 * other


def _keys(side: Side) -> set[Hashable]:
    return {inner.key for inner in below(side)}


def _carried(a: Side, b: Side) -> float:
    """The share of the smaller block's weights that the other block has with the same name and shape."""
    own, other = _tensors(a), _tensors(b)
    kept = sum(prod(shape) for key, shape in own.items() if other.get(key) == shape)
    return kept / max(min(sum(map(prod, own.values())), sum(map(prod, other.values()))), 1)


def _tensors(side: Side) -> dict[str, tuple[int, ...]]:
    around = len(side.part.path)
    return {n.key(p)[around:]: p.shape for n in side.part.nodes(side.graph) for p in n.params}


def _by_name(ops: Counter[tuple[str, Hashable]]) -> Counter[str]:
    names: Counter[str] = Counter()
    for (name, _), count in ops.items():
        names[name] += count
    return names


def _shared(a: Counter[T], b: Counter[T]) -> float:
    return (a & b).total() / max((a | b).total(), 1)


# --- what moved -----------------------------------------------------------------------------------------------


def moved(before: Sequence[Side], after: Sequence[Side]) -> list[Pair]:
    """Return the pairs of unmatched parts that are equal, including the shapes of their tensors, and unique.

    First pairs with equal names, then all others. One of the two may be inside another part: it was moved into or out
    of a block.
    """
    outermost = {id(side) for side in (*before, *after)}
    pairs: list[Pair] = []
    used: set[int] = set()
    for named in (True, False):
        old, new = _by_contents(before, named), _by_contents(after, named)
        for key, sides in new.items():
            candidates = old.get(key, [])
            if len(sides) != 1 or len(candidates) != 1 or not {id(sides[0]), id(candidates[0])} & outermost:
                continue
            a, b = candidates[0], sides[0]
            ids = {*(-1 - i for i in a.part.ids), *b.part.ids}
            if (_tensors(b) or len(b.part.ids) > 2) and not ids & used:
                used |= ids
                pairs.append(Pair(a, b))
    return pairs


def _by_contents(sides: Sequence[Side], named: bool) -> dict[Hashable, list[Side]]:
    """All parts at any depth by their contents (and, if `named`, their name), outer parts before inner ones."""
    parts: dict[Hashable, list[Side]] = {}
    level = list(sides)
    while level:
        for side in level:
            shapes = tuple(p.shape for n in side.part.nodes(side.graph) for p in n.params)
            parts.setdefault((side.key, shapes, side.name if named else ""), []).append(side)
        level = [inner for side in level if not side.leaf for inner in below(side)]
    return parts
