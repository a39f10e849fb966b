"""Several networks as one spec: the nets are calls of one template, whose arguments are those of the file.

Each network but the first is a variant: the values of its arguments, and nodes of its own where it has others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from archdsl.backends.spec.fields import value_layout
from archdsl.backends.spec.recover.fields import MISSING, Hole
from archdsl.backends.spec.recover.ops import Put
from archdsl.backends.spec.recover.templates import Param, Template, infer
from archdsl.backends.spec.recover.tree import Group
from archdsl.graph import Graph, Node, Scope
from archdsl.language.format.shortform import short_form
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf, listing
from archdsl.language.keys import COMMON_KEYS, COMPOSITE_KEYS, HEADS, TOP_LEVEL

_HOLE = re.compile(r"\?(\d+)")


class Unalike(Exception):
    """A network is no variant of the first: its number, and the difference as a clause on the first."""

    def __init__(self, network: int, difference: str) -> None:
        super().__init__(difference)
        self.network = network


class Member(NamedTuple):
    """A network of a family: its own graph, and the number of its first node in the graph of all."""

    graph: Graph
    first: int

    @property
    def inputs(self) -> dict[int, str]:
        """The names of its inputs, by their numbers in the graph of all."""
        return {self.first + node: self.graph.nodes[node].path for node in self.graph.inputs}

    @property
    def outputs(self) -> dict[str, int]:
        """The numbers of its outputs in the graph of all."""
        return {name: self.first + node for name, node in self.graph.outputs.items()}


def joined(graphs: Sequence[Graph]) -> tuple[Graph, tuple[Member, ...]]:
    """Return all networks in one graph, each in a scope of its own; a single one as it is."""
    if len(graphs) == 1:
        return graphs[0], (Member(graphs[0], 0),)
    root = Scope("", None, "net", graphs[0].root.origin)
    nodes: list[Node] = []
    members = []
    for number, graph in enumerate(graphs):
        member = Member(graph, len(nodes))
        members.append(member)
        scopes: dict[int, Scope] = {}
        root.members.append(_copied(graph.root, root, number, member.first, scopes))
        nodes += [_moved(node, number, member.first, scopes) for node in graph.nodes]
    root.end = len(nodes)
    outputs = {f"{n}.{name}": node for n, member in enumerate(members) for name, node in member.outputs.items()}
    inputs = tuple(node for member in members for node in member.inputs)
    return Graph(graphs[0].name, tuple(nodes), inputs, outputs, {}, root, ()), tuple(members)


def _copied(scope: Scope, parent: Scope, number: int, shift: int, scopes: dict[int, Scope]) -> Scope:
    name = f"net{number}" if scope.parent is None else scope.name
    path, again = inside(number, scope.path), scope.again and inside(number, scope.again)
    first, end = scope.first + shift, scope.end + shift
    new = replace(scope, path=path, name=name, parent=parent, again=again, members=[], first=first, end=end)
    scopes[id(scope)] = new
    new.members += [m + shift if isinstance(m, int) else _copied(m, new, number, shift, scopes) for m in scope.members]
    return new


def _moved(node: Node, number: int, shift: int, scopes: Mapping[int, Scope]) -> Node:
    return replace(
        node,
        id=node.id + shift,
        path=inside(number, node.path),
        inputs=tuple(read + shift for read in node.inputs),
        scope=scopes[id(node.scope)],
        shared_with=node.shared_with and inside(number, node.shared_with),
    )


def inside(number: int, path: str) -> str:
    """Return the path of a node or module of a network in the graph of all."""
    net = f"net{number}"
    return net + path if path.startswith("/") else f"{net}.{path}" if path else net


# --- alignment -------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class NetHoles:
    """A net with numbered holes: `?0`, `?1`, ..."""

    layout: YamlLayout = field(default_factory=YamlGroup)
    holes: list[Hole] = field(default_factory=list)

    def put(self, hole: Hole) -> tuple[str | None, Any]:
        """Receive the next hole."""
        self.holes.append(hole)
        return f"?{len(self.holes) - 1}", hole.value


@dataclass(slots=True, eq=False)
class Alignment:
    """The holes of the nets as a template; the holes of a network are those of the first at the same places."""

    nets: list[NetHoles]
    template: Template
    names: dict[str, str] = field(default_factory=dict)
    """What the arguments of the template are in the text: `n[0]`."""
    args: dict[str, list[Param]] = field(default_factory=dict)
    """The arguments of the file, each with those of the template that it consists of."""

    def put(self) -> Put:
        """Return the holes of the first net as texts of arguments."""
        holes = iter(zip(self.template.texts, self.template.values, self.nets[0].holes, strict=True))

        def put(hole: Hole) -> tuple[str | None, Any]:
            text, value, own = next(holes)
            if text is None:
                return None, value if own.value is MISSING else own.value
            return re.sub(r"[A-Za-z]\w*", lambda word: self.names.get(word[0], word[0]), text), own.value

        return put

    def values(self, network: int) -> dict[str, YamlLayout]:
        """Return the values of the arguments for a network, for any but the first those that differ from it."""
        out: dict[str, YamlLayout] = {}
        for name, params in self.args.items():
            own, first = ([param.values[n] for param in params] for n in (network, 0))
            if not network or [*map(repr, own)] != [*map(repr, first)]:
                layouts = [value_layout(value) for value in own]
                out[name] = layouts[0] if name in self.names.values() else listing(layouts, flow=True)
        return out

    def override(self, network: int, first: YamlLayout, own: YamlLayout) -> YamlLayout | None:
        """Return what the net of a network has other than the first; None for nothing. Both are given as written."""
        net = _difference(self.nets[0].layout, self.nets[network].layout, first, own, [])
        self._check(network, net, first, own)
        return net

    def _check(self, network: int, net: YamlLayout | None, first: YamlLayout, own: YamlLayout) -> None:
        """Raises `Unalike` if most nodes at the top of a net are others than those of the first."""
        if not _nodes(first) or not _nodes(own):
            if net is not None:
                raise Unalike(network, "whose net has other nodes")
            return
        assert isinstance(first, YamlGroup) and isinstance(own, YamlGroup)
        changed = (
            {entry.key.text: entry.value for entry in net.entries if entry.key} if isinstance(net, YamlGroup) else {}
        )
        same = [key for key in own.keys if key in first.keys and (key not in changed or _nodes(changed[key]))]
        if len(same) * 2 < max(len(own.keys), len(first.keys)):
            key = next(key for key in (*own.keys, *first.keys) if key not in same)
            if key not in first.keys or key not in own.keys:
                raise Unalike(network, f"which has no `{key}`" if key in own.keys else f"whose `{key}` it lacks")
            shown = _shown(_at(first, key)), _shown(_at(own, key))
            raise Unalike(
                network, f"whose `{key}` is {shown[0]}" + (f", not {shown[1]}" if shown[0] != shown[1] else "")
            )


def align(nets: Sequence[NetHoles], groups: Sequence[Group], taken: Collection[str]) -> Alignment:
    """Return what nets have in common. No argument is named like one of `taken`."""
    first, *rest = nets
    columns = [[hole] * len(nets) for hole in first.holes]
    for number, net in enumerate(rest, 1):
        pairs: list[tuple[int, int]] = []
        _difference(first.layout, net.layout, first.layout, net.layout, pairs)
        for one, two in pairs:
            columns[one][number] = net.holes[two]
    template = Template("net", [*groups], groups[0], net=True)
    infer(template, columns, [0] * len(nets))
    out = Alignment([*nets], template)
    fields: dict[str, list[Param]] = {}
    for param in template.params:
        numbers = all(type(value) in (int, float) for value in param.values)
        fields.setdefault(param.field if numbers else param.name, []).append(param)
    for params in fields.values():
        name = params[0].name
        while name in (*taken, *TOP_LEVEL):
            name += "_"
        out.args[name] = params
        out.names.update({p.name: name if len(params) == 1 else f"{name}[{n}]" for n, p in enumerate(params)})
    return out


def _difference(
    one: YamlLayout, two: YamlLayout, first: YamlLayout, own: YamlLayout, pairs: list[tuple[int, int]]
) -> YamlLayout | None:
    """The override that makes node `one` to `two`, which are written as `first` and `own`; None if none is needed.

    Adds the numbers of the holes at equal places to `pairs`.
    """
    same: list[tuple[int, int]] = []
    if _matches(one, two, same):
        pairs += same
        return None
    if all(map(_nodes, (one, two, first, own))):
        assert isinstance(one, YamlGroup) and isinstance(two, YamlGroup)
        common = [key for key in one.keys if key in two.keys]
        if common and common == [key for key in two.keys if key in one.keys]:
            return _merged(one, two, first, own, pairs)
    return _whole(first, own)


def _merged(
    one: YamlGroup, two: YamlGroup, first: YamlLayout, own: YamlLayout, pairs: list[tuple[int, int]]
) -> YamlGroup:
    """The override of a mapping of nodes. The override also names the node before a new one, or else that after it."""
    assert isinstance(first, YamlGroup) and isinstance(own, YamlGroup)
    out, before = YamlGroup(), ""
    for key in two.keys:
        old, new, before_first = one.get(key), _at(own, key), before not in one.keys and out.keys != ()
        if old is None:
            if before in one.keys and before not in out.keys:
                out.put(before, _whole(_at(first, before), _at(own, before)))
            out.put(key, new)
        else:
            changed = _difference(old, _at(two, key), _at(first, key), new, pairs)
            if changed is not None or (before_first and not {*one.keys} & {*out.keys}):
                out.put(key, changed or _whole(_at(first, key), new))
        before = key
    for key in one.keys:
        if key not in two.keys:
            out.put(key, _null())
    return out


def _whole(old: YamlLayout, new: YamlLayout) -> YamlLayout:
    """A new node, which mentions what it replaces."""
    head = next((key for key in HEADS if isinstance(new, YamlGroup) and new.get(key) is not None), "")
    body = head in ("residual", "branches", "inception")
    known = COMPOSITE_KEYS[head] if body else COMMON_KEYS
    written = {*HEADS, *(new.keys if isinstance(new, YamlGroup) else ())}
    gone = [key for key in old.keys if key in known and key not in written] if isinstance(old, YamlGroup) else []
    if isinstance(new, YamlLeaf):
        new = YamlGroup([YamlEntry(new, YamlLeaf("do"))], flow=True) if gone else new
    elif body:
        new = YamlGroup([*new.entries], flow=new.flow)
        before = old.get(head) if isinstance(old, YamlGroup) else None
        inner = _at(new, head)
        if isinstance(before, YamlGroup) and isinstance(inner, YamlGroup) and _nodes(inner):
            keys = before.keys if before.mapping else map(str, range(len(before.entries)))
            nulls = [YamlEntry(_null(), YamlLeaf(key)) for key in keys if key not in inner.keys]
            new.put(head, YamlGroup([*inner.entries, *nulls]))
    elif _nodes(new) or gone:
        new = YamlGroup([YamlEntry(new, YamlLeaf("do"))], flow=new.flow)
    for key in gone:
        if isinstance(new, YamlGroup):
            new.put(key, _null())
    return new


def _shown(node: YamlLayout) -> str:
    """A node in a few words."""
    text = short_form(node) if isinstance(node, YamlGroup) else node.text
    return f"`{text[:60]}`" if text else "another group of layers"


def _null() -> YamlLeaf:
    return YamlLeaf("null", verbatim=True)


def _at(group: YamlGroup, key: str) -> YamlLayout:
    return next(entry.value for entry in group.entries if entry.key is not None and entry.key.text == key)


def _nodes(layout: YamlLayout) -> bool:
    """Whether a layout is a mapping of nodes."""
    return isinstance(layout, YamlGroup) and layout.mapping and not {*HEADS} & {*layout.keys}


def _matches(one: YamlLayout, two: YamlLayout, pairs: list[tuple[int, int]]) -> bool:
    """Whether two layouts are equal apart from the values of their holes, of which `pairs` receives the numbers."""
    if isinstance(one, YamlLeaf) or isinstance(two, YamlLeaf):
        if not isinstance(one, YamlLeaf) or not isinstance(two, YamlLeaf):
            return False
        numbers = [[int(number) for number in _HOLE.findall(leaf.text)] for leaf in (one, two)]
        pairs += zip(*numbers, strict=False)
        return _HOLE.sub("?", one.text) == _HOLE.sub("?", two.text)
    alike = one.mapping == two.mapping and one.keys == two.keys and len(one.entries) == len(two.entries)
    return alike and all(_matches(a.value, b.value, pairs) for a, b in zip(one.entries, two.entries, strict=True))
