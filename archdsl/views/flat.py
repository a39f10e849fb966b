"""A graph as a spec without blocks, repeats, arguments or defaults: every op a mapping of its own, every inferred
value written down.

The scopes stay, so that every path stays; what reads anything but the node before it says so with `from`. A tensor
that has no name where it is read gets one, `entry: {_: identity}`, which adds no node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from archdsl.diagnostics import error
from archdsl.graph import Graph, Node, Scope
from archdsl.language.forms import HEADS
from archdsl.language.writer import Entry, Group, Layout, Leaf, listing, mapping
from archdsl.ops import Flatten
from archdsl.ops.base import Op
from archdsl.shapes import concrete
from archdsl.views.fields import fields_of, value_layout

ALIAS = "entry"


@dataclass(slots=True, eq=False)
class _Known:
    """What a name stands for: the node it gives, and the names inside."""

    value: int
    inner: dict[str, _Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """One written op: a node with the norm and activation fused to it, perhaps the flatten before it."""

    nodes: tuple[Node, ...]
    flatten: Node | None = None

    @property
    def main(self) -> Node:
        return self.nodes[0]


@dataclass(slots=True, eq=False)
class _Element:
    """An entry of a sequence. `names`: those that it takes, none for an implied node."""

    names: tuple[str, ...]
    kind: str
    layout: Layout
    known: _Known

    @property
    def numbered(self) -> bool:
        return bool(self.names) and self.names[0].isdigit()


@dataclass(slots=True, eq=False)
class _Sequence:
    """A scope being written. `cursors[k]` is the node that element k would read if it said nothing."""

    outer: _Sequence | None
    cursors: list[int]
    names: dict[str, _Known] = field(default_factory=dict)
    inner: dict[str, _Known] = field(default_factory=dict)
    elements: list[_Element] = field(default_factory=list)
    aliases: dict[int, str] = field(default_factory=dict)

    def add(self, element: _Element) -> None:
        self.elements.append(element)
        self.cursors.append(element.known.value)
        for name in element.names[:1]:
            self.inner[name] = element.known
            if not element.numbered:
                self.names[name] = element.known

    def gap(self, at: int) -> bool:
        """Whether something can be put before element `at`: not between two items of a list."""
        between = 0 < at < len(self.elements)
        return not between or not (self.elements[at - 1].numbered and self.elements[at].numbered)


def flat_layout(graph: Graph) -> tuple[Layout, Group, dict[str, str]]:
    """The `net`, the `aux` heads and the `outputs` (empty where the last node is the only one) of a graph.

    Errors: E0317 a list in whose middle a tensor would have to be named.
    """
    return _Writer(graph).write()


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.taken = {part for node in graph.nodes for part in node.path.split(".")}

    def write(self) -> tuple[Layout, Group, dict[str, str]]:
        graph = self.graph
        inputs = {graph.nodes[i].path: _Known(i) for i in graph.inputs}
        root = _Sequence(None, [graph.inputs[0] if len(inputs) == 1 else -1], dict(inputs))
        heads: list[Scope | _Written] = []
        for part in _parts(graph.root):
            training = part.main.training if isinstance(part, _Written) else graph.nodes[part.first].training
            if training:
                heads.append(part)
            else:
                root.add(self.element(part, "", root.cursors[-1], root))
        last = root.cursors[-1]
        root.names = {**root.names, **root.inner}  # what stands behind the net sees its numbered items, too
        aux = self.aux(heads, root)
        single = [*graph.outputs.items()] == [("output", last)]
        outputs = {} if single else {name: self.reference(node, root) for name, node in graph.outputs.items()}
        return _assembled(root), aux, outputs

    def aux(self, heads: list[Scope | _Written], root: _Sequence) -> Group:
        out = Group()
        for part in heads:
            first = (part.flatten or part.main) if isinstance(part, _Written) else self.graph.nodes[part.first]
            source = first.inputs[0]
            element = self.element(part, "", source, root)
            root.names[element.names[0]] = element.known
            head = self.graph.aux[element.names[0]]
            values = {"from": Leaf(self.reference(source, root)), "do": element.layout, "weight": value_layout(head.weight)}
            out.entries.append(Entry(mapping(**values), Leaf(element.names[0])))
        return out

    def element(self, part: Scope | _Written, path: str, cursor: int, outer: _Sequence) -> _Element:
        if isinstance(part, _Written):
            return self.op(part, path, cursor, outer)
        own = _Sequence(outer, [cursor])
        for inner in _parts(part):
            own.add(self.element(inner, part.path, own.cursors[-1], own))
        return _Element((str(part.name),), "", _assembled(own), _Known(own.cursors[-1], own.inner))

    def op(self, part: _Written, path: str, cursor: int, outer: _Sequence) -> _Element:
        names = [n.path for n in part.nodes if not n.implied]
        local = tuple(name[len(path) + 1 if path else 0 :] for name in names)
        fused = bool(local) and "." in local[0]
        inner = {name.partition(".")[2]: _Known(n.id) for name, n in zip(local, _named(part), strict=True)} if fused else {}
        if fused:
            local = (local[0].partition(".")[0],)
        sources = (part.flatten or part.main).inputs
        layout = _op_layout(part)
        if sources != (cursor,):
            refs = [Leaf(self.reference(source, outer)) for source in sources]
            layout.entries.append(Entry(refs[0] if len(refs) == 1 else listing(refs, flow=True), Leaf("from")))
        return _Element(local, part.main.op.kind, layout, _Known(part.nodes[-1].id, inner))

    # --- references ----------------------------------------------------------------------------------------

    def reference(self, node: int, at: _Sequence) -> str:
        """A name for a node where it is read; made on the way if there is none."""
        name = _visible(node, at)
        if name is not None:
            return name
        here: _Sequence | None = at
        while here is not None:
            spots = [k for k, cursor in enumerate(here.cursors) if cursor == node and here.gap(k)]
            if spots:
                return self.alias(node, here, spots[0])
            here = here.outer
        path = self.graph.nodes[node].path
        raise error("E0317", f"`{path}` is read where it cannot be named: it stands in the middle of a list",
                    self.graph.nodes[node].origin.span,
                    help="name the nodes of the list: write it as a mapping, or its repeats with `as layer{1}`")  # fmt: skip

    def alias(self, node: int, here: _Sequence, spot: int) -> str:
        name, number = ALIAS, 1
        while name in self.taken:
            number += 1
            name = f"{ALIAS}{number}"
        self.taken.add(name)
        here.aliases[spot] = name
        here.names[name] = here.inner[name] = _Known(node)
        return name


def _visible(node: int, at: _Sequence) -> str | None:
    """The name that a node has there, the nearest sequence first."""
    seen: set[str] = set()
    here: _Sequence | None = at
    while here is not None:
        for name, known in here.names.items():
            if name not in seen:
                found = _within(node, name, known)
                if found is not None:
                    return found
        seen |= here.names.keys()
        here = here.outer
    return None


def _within(node: int, name: str, known: _Known) -> str | None:
    stack = [(name, known)]
    while stack:
        path, here = stack.pop()
        if here.value == node:
            return path
        stack += [(f"{path}.{part}", inner) for part, inner in here.inner.items()]
    return None


# --- the parts of a scope ------------------------------------------------------------------------------------


def _parts(scope: Scope) -> Iterator[Scope | _Written]:
    """The named scopes and the written ops of a scope, those of its anonymous scopes among them."""
    raise NotImplementedError


def _named(part: _Written) -> list[Node]:
    return [n for n in part.nodes if not n.implied]


def _op_layout(part: _Written) -> Group:
    raise NotImplementedError


def _assembled(sequence: _Sequence) -> Layout:
    raise NotImplementedError
