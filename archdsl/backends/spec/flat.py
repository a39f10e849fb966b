"""Write a graph as a flat spec: one mapping per op with every inferred value, and no blocks, repeats or arguments.

The scopes remain, so paths do not change. A node that reads anything but the previous node has a `from`. A tensor
without a name at the place where it is read gets an alias, `entry: {_: {op: identity}}`, which adds no node. A list
with anything between its items, or whose items are read by their numbers, becomes a mapping with numbers as keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from archdsl.analysis.parts import WrittenOp, single_ops, written_ops
from archdsl.backends.spec.fields import fields_of, value_layout
from archdsl.diagnostics import error
from archdsl.graph import Graph, Node, Scope
from archdsl.language.format.yaml_writer import YamlGroup, YamlLayout, YamlLeaf, listing, mapping
from archdsl.language.keys import COMMON_KEYS, HEADS
from archdsl.ops import Again

_WORDS = frozenset((*HEADS, *COMMON_KEYS, "then"))
"""A node with such a name gets a dot before its key."""


@dataclass(slots=True, eq=False)
class _Binding:
    """A name's node, and the names inside it."""

    node: int
    inner: dict[str, _Binding] = field(default_factory=dict)


def _bind(names: dict[str, _Binding], name: str, binding: _Binding) -> None:
    """Binds a dotted name, and the names before its dots if they are new."""
    *outer, last = name.split(".")
    for part in outer:
        names = names.setdefault(part, _Binding(-1)).inner
    names[last] = binding


@dataclass(frozen=True, slots=True, eq=False)
class _Element:
    """An entry of a sequence: its layout as an item of a list, and its entries in a mapping, with the node of each.

    There are several entries if the item takes several numbers, one for each op. `keys` are the names in the path;
    an implied node has none.
    """

    keys: tuple[str, ...]
    layout: YamlLayout
    entries: tuple[tuple[str, YamlLayout, _Binding], ...]

    @property
    def node(self) -> int:
        return self.entries[-1][2].node


@dataclass(slots=True, eq=False)
class _Sequence:
    """A scope being written. `cursors[k]` is the node that element k reads without `from`.

    `names` are visible inside the scope; `aliases[k]` are written before element k. `keyed`: it must be a mapping.
    `closed`: it is complete.
    """

    path: str
    outer: _Sequence | None
    cursors: list[int]
    names: dict[str, _Binding] = field(default_factory=dict)
    elements: list[_Element] = field(default_factory=list)
    aliases: dict[int, list[tuple[str, YamlLayout]]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    keyed: bool = False
    closed: bool = False

    def add(self, element: _Element) -> None:
        self.elements.append(element)
        self.cursors.append(element.node)
        for key, _, binding in element.entries:
            _bind(self.names, key, binding)

    def free_key(self, kind: str) -> str:
        """The key of an implied node, `_add`, `_add2`."""
        self.kinds[kind] += 1
        count = self.kinds[kind]
        return f"_{kind}{count if count > 1 else ''}"

    def close(self) -> None:
        """Choose between list and mapping. The names of a list's items are those of its first numbers."""
        self.closed = True
        numbers = [key for element in self.elements for key in element.keys]
        counted = all(e.keys for e in self.elements) and numbers == [str(n) for n in range(len(numbers))]
        self.keyed = self.keyed or bool(self.aliases) or not counted
        if not self.keyed:
            self.names = {e.keys[0]: e.entries[-1][2] for e in self.elements}

    def accepts_alias(self, at: int) -> bool:
        """Whether an alias can be written before element `at`: the sequence is open, and need not become a mapping
        for it."""
        items = self.elements[max(at - 1, 0) : at + 1]
        return not self.closed and not (
            0 < at < len(self.elements) and all(e.keys and e.keys[0].isdigit() for e in items)
        )

    def layout(self) -> YamlLayout:
        if not self.keyed:
            return listing([e.layout for e in self.elements])
        out = YamlGroup()
        for k in range(len(self.elements) + 1):
            for name, alias in self.aliases.get(k, ()):
                out.put(name, alias)
            for key, layout, _ in self.elements[k].entries if k < len(self.elements) else ():
                out.put(f".{key}" if key in _WORDS else key, layout)
        return out


@dataclass(frozen=True, slots=True)
class Flat:
    """The sections of a flat spec. `outputs` is empty if the last node is the only output."""

    net: YamlLayout
    aux: YamlGroup
    outputs: dict[str, str]


def flat(graph: Graph, inferred: bool = True) -> Flat:
    """Return the net, auxiliary heads and outputs of a graph; without `inferred` only fields that differ from defaults.

    Raises E0420 for an `again` that no spec can write: it runs a node of another module.
    """
    return _Writer(graph, inferred).write()


class _Writer:
    def __init__(self, graph: Graph, inferred: bool) -> None:
        self.graph, self.inferred = graph, inferred
        self.taken = {part for node in graph.nodes for part in node.path.split(".")}
        self.run_again = {node.shared_with for node in graph.nodes}

    def write(self) -> Flat:
        graph = self.graph
        inputs = {graph.nodes[i].path: _Binding(i) for i in graph.inputs}
        root = _Sequence("", None, [graph.inputs[0] if len(inputs) == 1 else -1], dict(inputs))
        heads: list[Scope | WrittenOp] = []
        for part in written_ops(graph.root, graph.nodes):
            if self.first(part).training:
                heads.append(part)
            else:
                self.put(part, root)
        last = root.cursors[-1]
        root.close()
        root.names |= inputs
        aux = self.aux(heads, root)
        single = [*graph.outputs.items()] == [("output", last)]
        outputs = {} if single else {name: self.reference(node, root) for name, node in graph.outputs.items()}
        return Flat(root.layout(), aux, outputs)

    def first(self, part: Scope | WrittenOp) -> Node:
        return self.graph.nodes[part.first] if isinstance(part, Scope) else part.flatten or part.main

    def aux(self, heads: list[Scope | WrittenOp], root: _Sequence) -> YamlGroup:
        """The auxiliary heads. The cursor of a head is the node that it starts from."""
        out = YamlGroup()
        for part in heads:
            source = self.first(part).inputs[0]
            at = _Sequence("", root, [source])
            name, *_ = part.names("") if isinstance(part, WrittenOp) else (str(part.name),)
            self.put(part, at, self.graph.aux[name].node)
            weight = value_layout(self.graph.aux[name].weight)
            start = YamlLeaf(self.reference(source, root))
            out.put(name, mapping({"from": start, "do": at.elements[0].layout, "weight": weight}))
        return out

    def put(self, part: Scope | WrittenOp, into: _Sequence, output: int | None = None) -> None:
        """Add a part to a sequence. `output`: the node that a scope stands for, if it may be another than its last."""
        if isinstance(part, Scope) and part.again:
            for op in single_ops(self.graph.nodes[part.first : part.end]):
                self.put(op, into)
            return
        if isinstance(part, Scope):
            own = _Sequence(part.path, into, into.cursors[-1:])
            for member in written_ops(part, self.graph.nodes):
                self.put(member, own)
            if output not in (None, own.cursors[-1]):
                self.alias(output, own, len(own.elements), own, self.reference(output, own))
            own.close()
            key, layout = str(part.name), own.layout()
            into.add(_Element((key,), layout, ((key, layout, _Binding(own.cursors[-1], own.names)),)))
            return
        keys = part.names(into.path)
        runs_again = bool(self.run_again & {node.path for node in part.nodes})
        if len(keys) > 1 and runs_again and not part.numbered(into.path):
            for op in single_ops((*filter(None, [part.flatten]), *part.nodes)):  # `conv1` and `bn1`: each runs again
                self.put(op, into)
            return
        inner = part.inner(into.path)
        below = any(map(str.isdigit, inner))  # `x.0`, `x.1` below a number: the ops of a list's item have no such names
        into.keyed = into.keyed or below or runs_again or not part.numbered(into.path)
        layout = _op_layout(part, self.inferred, self.again(part.main, into))
        if part.main.op.measured:
            like = YamlLeaf(self.reference(part.main.inputs[-1], into))
            for field in part.main.op.references:
                layout.put(field, like)
        sources = (part.flatten or part.main).sources
        if sources != (into.cursors[-1],):
            refs = [YamlLeaf(self.reference(source, into)) for source in sources]
            layout.put("from", refs[0] if len(refs) == 1 else listing(refs, flow=True))
        if len(keys) > 1 and part.numbered(into.path):
            into.add(_Element(keys, layout, self.separate(part, keys, layout)))
            return
        key = keys[0] if keys else into.free_key(part.main.op.name)
        into.add(
            _Element(
                keys, layout, ((key, layout, _Binding(part.nodes[-1].id, {n: _Binding(i) for n, i in inner.items()})),)
            )
        )

    def separate(
        self, part: WrittenOp, keys: tuple[str, ...], layout: YamlGroup
    ) -> tuple[tuple[str, YamlLayout, _Binding], ...]:
        """The entries of an item that takes several numbers, in a mapping: one for each op."""
        ops = [_op_layout(WrittenOp((node,)), self.inferred, "") for node in part.nodes]
        ops[0] = YamlGroup([e for e in layout.entries if e.key and e.key.text not in ("norm", "act")], flow=True)
        return tuple(zip(keys, ops, (_Binding(node.id) for node in part.nodes), strict=True))

    def again(self, node: Node, at: _Sequence) -> str:
        """The name of the node that this one runs again; empty if it does not. Raises E0420 if another module owns
        it."""
        if not node.shared_with:
            return ""
        inside = f"{at.path}." if at.path else ""
        if not node.shared_with.startswith(inside):
            raise error(
                "E0420", f"`{node.shared_with}` is outside `{at.path}`: a module can only reuse its own weights"
            )
        name = node.shared_with[len(inside) :]
        at.keyed = at.keyed or name.partition(".")[0].isdigit()
        return name

    # --- references ----------------------------------------------------------------------------------------

    def reference(self, node: int, at: _Sequence) -> str:
        """The name of a node at the place where it is read; adds an alias if it has none."""
        sequences = [at]
        while sequences[-1].outer is not None:
            sequences.append(sequences[-1].outer)
        name = _visible(node, sequences, keyed=True)
        if name is not None:
            return name
        for here in sequences:
            spots = [k for k, cursor in enumerate(here.cursors) if cursor == node and here.accepts_alias(k)]
            if spots:
                return self.alias(node, here, spots[0], at)
        return _visible(node, sequences, keyed=False) or self.shadowed(node, sequences)

    def shadowed(self, node: int, sequences: Sequence[_Sequence]) -> str:
        """An alias for a node that is visible in an outer sequence only: its name means another node further inside.

        The alias reads the node, and a second one returns to the node that the next element reads.
        """
        at, places = sequences[0], range(1, len(sequences))
        number = next(n for n in places if _visible(node, sequences[n:], keyed=False) is not None)
        here = sequences[number]
        spot, before = len(here.elements), here.cursors[-1]
        name, back = self.reference(node, here), self.reference(before, here) if before >= 0 else ""
        alias = self.alias(node, here, spot, at, name)
        if back:
            self.alias(before, here, spot, at, back)
        return alias

    def alias(self, node: int, here: _Sequence, spot: int, at: _Sequence, source: str = "") -> str:
        """A new name for a node: the one that the element at `spot` reads, or `source`. Unlike all names visible there
        or inside."""
        implied = self.graph.nodes[node].path.partition("/")[2]
        name = stem = f"after_{implied}" if implied and spot and not source else "entry"
        number, taken = 1, set(self.taken)
        sequence: _Sequence | None = at
        while sequence is not None:
            taken |= sequence.names.keys()
            sequence = sequence.outer
        while name in taken:
            number += 1
            name = f"{stem}{number}"
        identity = mapping({"op": YamlLeaf("identity"), **({"from": YamlLeaf(source)} if source else {})}, flow=True)
        here.aliases.setdefault(spot, []).append((name, mapping({"_": identity}, flow=True)))
        here.names[name] = _Binding(node)
        return name


def _visible(node: int, sequences: Sequence[_Sequence], keyed: bool) -> str | None:
    """The name of a node that is visible in the first of the sequences, the nearest first.

    With `keyed`, the numbers of a sequence that may become a list are not names; without, they are, and it becomes a
    mapping.
    """
    seen: set[str] = set()
    for here in sequences:
        for name, binding in here.names.items():
            number = name.isdigit() and not (here.keyed or here.closed)
            path = _path_inside(node, name, binding) if name not in seen and not (keyed and number) else None
            if path is not None:
                here.keyed = here.keyed or number
                return path
        seen |= here.names.keys()
    return None


def _path_inside(node: int, name: str, binding: _Binding) -> str | None:
    stack = [(name, binding)]
    while stack:
        path, here = stack.pop()
        if here.node == node:
            return path
        stack += [(f"{path}.{part}", inner) for part, inner in here.inner.items()]
    return None


# --- layouts -------------------------------------------------------------------------------------------------


def _op_layout(part: WrittenOp, inferred: bool, again: str) -> YamlGroup:
    """`{op: conv, out: 64, ..., norm: {op: bn, eps: 0.001}, act: relu}`."""
    main, *rest = part.nodes
    fields = {"node": YamlLeaf(again)} if again else fields_of(main.op, main.in_shapes, inferred)
    out = mapping({"op": YamlLeaf(Again.name if again else main.op.name), **fields}, flow=True)
    for node in rest:
        fields = fields_of(node.op, node.in_shapes, inferred)
        kind = YamlLeaf(node.op.name)
        out.put(node.op.role, mapping({"op": kind, **fields}, flow=True) if fields else kind)
    return out
