"""Write a graph as a flat spec: one mapping per op with every inferred value, and no blocks, repeats or arguments.

The scopes remain, so paths do not change. A node that reads anything but the previous node has a `from`. A tensor
without a name at the place where it is read gets an alias, `entry: {_: {op: identity}}`, which adds no node.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from archdsl.analysis.parts import WrittenOp, written_ops
from archdsl.backends.spec.fields import fields_of, value_layout
from archdsl.diagnostics import ArchError, Span, error
from archdsl.graph import Graph, Node, Scope
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf, listing, mapping
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


@dataclass(slots=True, eq=False)
class _Element:
    """An entry of a sequence. `names` are those it binds; an implied node has none."""

    names: tuple[str, ...]
    kind: str
    layout: YamlLayout
    binding: _Binding

    @property
    def numbered(self) -> bool:
        return bool(self.names) and self.names[0].isdigit()


@dataclass(slots=True, eq=False)
class _Sequence:
    """A scope being written. `cursors[k]` is the node that element k reads without `from`.

    `names` are visible inside the scope, `inner` outside; `aliases[k]` is written before element k.
    """

    path: str
    outer: _Sequence | None
    cursors: list[int]
    names: dict[str, _Binding] = field(default_factory=dict)
    inner: dict[str, _Binding] = field(default_factory=dict)
    elements: list[_Element] = field(default_factory=list)
    aliases: dict[int, str] = field(default_factory=dict)

    def add(self, element: _Element) -> None:
        self.elements.append(element)
        self.cursors.append(element.binding.node)
        for name in element.names[:1]:
            _bind(self.inner, name, element.binding)
            if not element.numbered:
                _bind(self.names, name, element.binding)

    def accepts_alias(self, at: int) -> bool:
        """Whether an alias can be written before element `at`: not between two items of a list."""
        between = 0 < at < len(self.elements)
        return not between or not (self.elements[at - 1].numbered and self.elements[at].numbered)


@dataclass(frozen=True, slots=True)
class Flat:
    """The sections of a flat spec. `outputs` is empty if the last node is the only output."""

    net: YamlLayout
    aux: YamlGroup
    outputs: dict[str, str]


def flat(graph: Graph, inferred: bool = True) -> Flat:
    """Return the net, auxiliary heads and outputs of a graph; without `inferred` only fields that differ from defaults.

    Raises E0317 if a tensor between two items of a list would need a name.
    """
    return _Writer(graph, inferred).write()


class _Writer:
    def __init__(self, graph: Graph, inferred: bool) -> None:
        self.graph, self.inferred = graph, inferred
        self.taken = {part for node in graph.nodes for part in node.path.split(".")}

    def write(self) -> Flat:
        graph = self.graph
        inputs = {graph.nodes[i].path: _Binding(i) for i in graph.inputs}
        root = _Sequence("", None, [graph.inputs[0] if len(inputs) == 1 else -1], dict(inputs))
        heads: list[Scope | WrittenOp] = []
        for part in written_ops(graph.root, graph.nodes):
            if self.first(part).training:
                heads.append(part)
            else:
                self.put(part, "", root)
        last = root.cursors[-1]
        root.names |= root.inner  # sections after the net can refer to its numbered items
        aux = self.aux(heads, root)
        single = [*graph.outputs.items()] == [("output", last)]
        outputs = {} if single else {name: self.reference(node, root) for name, node in graph.outputs.items()}
        return Flat(_assembled(root), aux, outputs)

    def first(self, part: Scope | WrittenOp) -> Node:
        return self.graph.nodes[part.first] if isinstance(part, Scope) else part.flatten or part.main

    def aux(self, heads: list[Scope | WrittenOp], root: _Sequence) -> YamlGroup:
        out = YamlGroup()
        for part in heads:
            source = self.first(part).inputs[0]
            (name,), layout, binding = self.element(part, "", source, root)
            root.names[name] = binding
            weight = value_layout(self.graph.aux[name].weight)
            out.put(name, mapping({"from": YamlLeaf(self.reference(source, root)), "do": layout, "weight": weight}))
        return out

    def put(self, part: Scope | WrittenOp, path: str, into: _Sequence) -> None:
        """Adds a part to a sequence; an implied flatten becomes a separate element unless the part is numbered."""
        if isinstance(part, WrittenOp) and part.flatten is not None and not part.numbered(path):
            self.put(WrittenOp((part.flatten,)), path, into)
            part = WrittenOp(part.nodes)
        names, layout, binding = self.element(part, path, into.cursors[-1], into)
        kind = part.main.op.name if isinstance(part, WrittenOp) else ""
        into.add(_Element(names, kind, layout, binding))

    def element(
        self, part: Scope | WrittenOp, path: str, cursor: int, outer: _Sequence
    ) -> tuple[tuple[str, ...], YamlLayout, _Binding]:
        """The names that a part binds in the scope `path`, its layout, and the node and names behind its name."""
        if isinstance(part, Scope):
            own = _Sequence(part.path, outer, [cursor])
            for inner in written_ops(part, self.graph.nodes):
                self.put(inner, part.path, own)
            return (str(part.name),), _assembled(own), _Binding(own.cursors[-1], own.inner)
        sources = (part.flatten or part.main).inputs
        layout = _op_layout(part, self.inferred, self.again(part.main, outer))
        if sources != (cursor,):
            refs = [YamlLeaf(self.reference(source, outer)) for source in sources]
            layout.put("from", refs[0] if len(refs) == 1 else listing(refs, flow=True))
        parts = {name: _Binding(node) for name, node in part.inner(path).items()}
        return part.names(path), layout, _Binding(part.nodes[-1].id, parts)

    def again(self, node: Node, at: _Sequence) -> str:
        """The name of the node that this one runs again; empty if it does not."""
        here: _Sequence | None = at
        while node.shared_with and here is not None:
            name = node.shared_with[len(here.path) :].lstrip(".")
            if node.shared_with.startswith(here.path) and name.partition(".")[0] in here.names:
                return name
            here = here.outer
        if node.shared_with:
            raise _unnameable(at.path, node.origin.span)
        return ""

    # --- references ----------------------------------------------------------------------------------------

    def reference(self, node: int, at: _Sequence) -> str:
        """The name of a node at the place where it is read; adds an alias if it has none."""
        name = _visible(node, at)
        if name is not None:
            return name
        here: _Sequence | None = at
        while here is not None:
            spots = [k for k, cursor in enumerate(here.cursors) if cursor == node and here.accepts_alias(k)]
            if spots:
                return self.alias(node, here, spots[0], at)
            here = here.outer
        raise _unnameable(at.path, self.graph.nodes[node].origin.span)

    def alias(self, node: int, here: _Sequence, spot: int, at: _Sequence) -> str:
        """A new name for the tensor that the element at `spot` reads, unlike all names visible there or inside."""
        implied = self.graph.nodes[node].path.partition("/")[2]
        name = stem = f"after_{implied}" if implied and spot else "entry"
        number, taken = 1, set(self.taken)
        sequence: _Sequence | None = at
        while sequence is not None:
            taken |= sequence.names.keys()
            sequence = sequence.outer
        while name in taken:
            number += 1
            name = f"{stem}{number}"
        here.aliases[spot] = name
        here.names[name] = here.inner[name] = _Binding(node)
        return name


def _unnameable(path: str, span: Span | None = None) -> ArchError:
    return error(
        "E0317",
        f"{f'`{path}`' if path else 'the net'} cannot be written flat: its list mixes numbered and unnumbered nodes",
        span,
        help="name all of its nodes, or none; name repeats with `as layer{1}`",
    )


def _visible(node: int, at: _Sequence) -> str | None:
    """The name of a node that is visible at `at`, the nearest sequence first."""
    seen: set[str] = set()
    here: _Sequence | None = at
    while here is not None:
        for name, binding in here.names.items():
            path = _path_inside(node, name, binding) if name not in seen else None
            if path is not None:
                return path
        seen |= here.names.keys()
        here = here.outer
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


def _assembled(sequence: _Sequence) -> YamlLayout:
    """A list if all elements are numbered; else a mapping, with the numbered elements in an unnamed list."""
    elements, aliases = sequence.elements, sequence.aliases
    if not aliases and all(e.numbered for e in elements):
        return listing([e.layout for e in elements])
    out, kinds = YamlGroup(), Counter[str]()
    items: YamlGroup | None = None
    for k, element in enumerate(elements):
        if k in aliases:
            out.put(aliases[k], _alias())
        if not element.numbered:
            out.put(_key(element, kinds), element.layout)
            continue
        if not k or not elements[k - 1].numbered:
            if items is not None:  # each list numbers its items from 0
                raise _unnameable(sequence.path)
            items = listing([])
            out.put("_items", items)
        assert items is not None
        items.entries.append(YamlEntry(element.layout))
    if len(elements) in aliases:
        out.put(aliases[len(elements)], _alias())
    return out


def _alias() -> YamlGroup:
    return mapping({"_": mapping({"op": YamlLeaf("identity")}, flow=True)}, flow=True)


def _key(element: _Element, kinds: Counter[str]) -> str:
    if element.names:
        return f".{element.names[0]}" if element.names[0] in _WORDS else element.names[0]
    kinds[element.kind] += 1
    count = kinds[element.kind]
    return f"_{element.kind}{count if count > 1 else ''}"
