"""Finds the scope and the path of each node, by the rules on names in docs/language.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

from archdsl.diagnostics import CallSite, Origin, error
from archdsl.elaborate.build import GraphBuilder
from archdsl.graph import Scope, ScopeKind
from archdsl.language.expressions import Env
from archdsl.language.syntax import SyntaxNode
from archdsl.ops.base import Op


@dataclass(slots=True)
class Counter:
    """The next index of a list."""

    next: int = 0

    def take(self) -> int:
        self.next += 1
        return self.next - 1


@dataclass(slots=True, eq=False)
class Member:
    """The meaning of a name: a node (None if it has several outputs, such as `split`), and the names inside it."""

    value: int | None
    inner: dict[str, Member] = field(default_factory=dict)
    left_out: bool = False
    """`when` left the node out. `value` is what stands for it; None if it has several inputs."""


@dataclass(slots=True, eq=False)
class VisibleNames:
    """The names visible in a sequence; `parent` is the enclosing sequence, within the same block."""

    parent: VisibleNames | None
    names: dict[str, Member] = field(default_factory=dict)
    later: Mapping[str, SyntaxNode] = field(default_factory=dict)
    """All nodes of the sequence by name, including those not built yet."""
    current: str = ""
    """The name of the node that is being built."""
    block: str = ""
    """The name of the block whose body this sequence is."""
    items: Sequence[SyntaxNode] = ()
    """The items if the sequence is a list."""
    named: bool = False
    """Whether its nodes have names: `..x` counts these."""


class LeftOut(NamedTuple):
    """The result of a node that `when` leaves out, or of a composite of which nothing is left."""

    stands_for: int
    """What nodes read that would have read it; `SEVERAL` if it has several inputs."""


Output: TypeAlias = "int | LeftOut"
"""The result of a node: the id of its output node, or what stands for it."""


def value_of(output: Output) -> int:
    """Return what the next node reads."""
    return output.stands_for if isinstance(output, LeftOut) else output


class Context(NamedTuple):
    """The names, the values and the enclosing block calls with which a node is elaborated."""

    frame: VisibleNames
    env: Env
    call: CallSite | None = None
    active: tuple[str, ...] = ()
    depth: int = 0
    label: str = ""
    """The label of the node, from its own text or from a node around it that adds no box."""


@dataclass(slots=True, eq=False)
class ScopePlace:
    """A place in a scope: under a name, at the next index of a list, or (neither) the scope itself.

    `block` and `args` describe a call whose scope is not open yet.
    """

    scope: Scope
    inner: dict[str, Member]
    key: str | None = None
    counter: Counter | None = None
    block: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    opened: dict[str, Member] | None = None
    base: str | None = None
    """The path whose implied nodes are placed here, if it is not that of the scope: the node before a `then`."""

    @property
    def anonymous(self) -> bool:
        return self.key is None and self.counter is None

    @property
    def name(self) -> str | None:
        """The key, or the next number; None if the place is the scope itself."""
        return self.key if self.key is not None or self.counter is None else str(self.counter.next)

    def called(self, block: str, args: Mapping[str, Any]) -> ScopePlace:
        """Return this place for the body of a block; of nested calls, the outermost one names the scope."""
        return self if self.block else replace(self, block=block, args=args)

    def path(self) -> str:
        """Return the path of the next node here."""
        if self.key is not None:
            return join(self.scope.path, self.key)
        if self.counter is not None:
            return join(self.scope.path, str(self.counter.next))
        return self.scope.path

    def take(self) -> str | None:
        """Return the name of the next node here, and count up an index."""
        return self.key if self.key is not None else str(self.counter.take()) if self.counter is not None else None


def join(path: str, name: str) -> str:
    """Return the path of a child."""
    return f"{path}.{name}" if path else name


def nest(names: dict[str, Member], name: str, member: Member) -> None:
    """Add a member to the visible names; `path1.conv` becomes the member `conv` of `path1`."""
    *around, last = name.split(".")
    for part in around:
        names = names.setdefault(part, Member(None)).inner
    names[last] = member


class Scopes:
    """Opens and closes the scopes of a growing graph."""

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder

    def open(self, place: ScopePlace, kind: ScopeKind, origin: Origin, doc: str = "") -> ScopePlace:
        """Open a scope at the place and return the place inside it."""
        name = place.take()
        if name is None:
            scope = place.scope
            scope.kind = kind if scope.kind == "sequence" else scope.kind
            inner = place.inner
        else:
            scope = Scope(
                join(place.scope.path, name), name, kind, origin, place.scope, doc=doc, first=len(self.builder.nodes)
            )
            self.builder.claim_path(scope.path, origin.span, origin)
            place.scope.members.append(scope)
            inner = {}
            place.opened = inner
        if place.block and not scope.block:
            scope.block, scope.args = place.block, place.args
        return ScopePlace(scope, inner)

    def anonymous(self, inside: ScopePlace, role: Any, origin: Origin) -> ScopePlace:
        """Open a scope without a name, for a body, shortcut or branch, and return the place inside it."""
        parent = inside.scope
        scope = Scope(parent.path, None, "sequence", origin, parent, role=role, first=len(self.builder.nodes))
        parent.members.append(scope)
        return ScopePlace(scope, inside.inner)

    def close(self, inside: ScopePlace) -> None:
        inside.scope.end = len(self.builder.nodes)

    def undo(self, place: ScopePlace, inside: ScopePlace) -> None:
        """Remove a scope that is empty."""
        scope = inside.scope
        if scope is place.scope or scope.parent is None:
            return
        _remove_last(scope.parent, scope)
        self.builder.paths.pop(scope.path, None)
        if place.counter is not None and place.key is None:
            place.counter.next -= 1


def drop_if_empty(inside: ScopePlace) -> None:
    """Remove an anonymous scope without members."""
    scope = inside.scope
    if not scope.members and scope.parent is not None:
        _remove_last(scope.parent, scope)


def _remove_last(parent: Scope, scope: Scope) -> None:
    """Remove a scope from its parent's members; the last one in constant time."""
    if parent.members and parent.members[-1] is scope:
        parent.members.pop()
    elif scope in parent.members:
        parent.members.remove(scope)


MAX_SHOWN = 60
"""The longest node that a proposal repeats."""
_NAMELESS = {
    "body": "put it under a key: `{{{}}}`",
    "shortcut": "put it under a key: `shortcut: {{downsample: ...}}`",
    "branch": "name the branches: `{{branch1: ..., branch2: ...}}`",
    "then": "put it under a key: `then: {{{}}}`",
}


def _nameless(role: Any, op: Op, origin: Origin) -> str:
    """The help for a node that needs a name: the node under a key, if its text is one that fits there."""
    text = origin.span.text
    fits = len(text) <= MAX_SHOWN and re.fullmatch(r"[^,{}\[\]<:#\n\"']*", text)
    return _NAMELESS.get(role, "write it under a key: `{}`").format(f"{op.role or op.name}1: {text if fits else '...'}")


def name_parts(
    parts: Sequence[Op], place: ScopePlace, naming: str, scopes: Scopes, origin: Origin
) -> list[tuple[str, ScopePlace]]:
    """Return the path of each op of a written node (conv, bn, relu), and the place whose scope it belongs to.

    Raises E0504 (parameters without a name) and E0505 (`naming: sibling` needs `conv` in the key).
    """
    builder = scopes.builder
    here = ScopePlace(place.scope, place.inner)
    if place.counter is not None and place.key is None and naming != "nested":
        return [(_leaf(join(place.scope.path, str(place.counter.take())), builder, origin), here) for _ in parts]
    parametric = [p for p in parts if p.parametric]
    if place.anonymous:
        if parametric:
            raise error(
                "E0504",
                f"`{parametric[0].name}` has parameters, so it needs a name",
                origin.span,
                help=_nameless("then" if place.base else place.scope.role, parametric[0], origin),
            )
        base = place.scope.path if place.base is None else place.base
        return [(builder.implied_path(base, p.name), here) for p in parts]
    if len(parametric) <= 1:
        path = place.path()
        place.take()
        owner = parametric[0] if parametric else parts[0]
        return [
            (_leaf(path, builder, origin) if p is owner else builder.implied_path(path, p.name), here) for p in parts
        ]
    if naming == "sibling" and place.key is not None:
        return _siblings(parts, place, builder, origin, here)
    inside = scopes.open(place, "fused", origin)
    names: list[tuple[str, ScopePlace]] = []
    for number, p in enumerate(parts):
        if p.parametric or naming == "flat":
            name = str(number) if naming != "nested" else p.name
            names.append((_leaf(join(inside.scope.path, name), builder, origin), inside))
        else:
            names.append((builder.implied_path(inside.scope.path, p.name), inside))
    return names


def _siblings(
    parts: Sequence[Op], place: ScopePlace, builder: GraphBuilder, origin: Origin, here: ScopePlace
) -> list[tuple[str, ScopePlace]]:
    """The paths `conv1` and `bn1`, next to each other."""
    key = place.key or ""
    if "conv" not in key:
        raise error(
            "E0505",
            f"with `naming: sibling`, the key of a node with a norm must contain `conv`, unlike `{key}`",
            origin.span,
            help="`conv1` becomes `conv1` and `bn1`; or use `naming: nested`, or a list",
        )
    names: list[tuple[str, ScopePlace]] = []
    for number, p in enumerate(parts):
        name = key if number == 0 else key.replace("conv", p.name, 1)
        path = join(place.scope.path, name)
        if p.parametric:
            why = f"with `naming: sibling`, `{key}` also creates `{name}`" if number else ""
            builder.claim_path(path, origin.span, origin, why)
            names.append((path, here))
        else:
            names.append((builder.implied_path(join(place.scope.path, key), p.name), here))
    return names


def _leaf(path: str, builder: GraphBuilder, origin: Origin) -> str:
    builder.claim_path(path, origin.span, origin)
    return path
