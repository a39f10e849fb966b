"""Where a node goes and what it is called there: LANGUAGE's rules on names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

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
    """What a name stands for: the node it gives (None where it gives several, as `split`), and its inside."""

    value: int | None
    inner: dict[str, Member] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class VisibleNames:
    """The names visible in a sequence; `parent` is the sequence around it, up to the enclosing block."""

    parent: VisibleNames | None
    names: dict[str, Member] = field(default_factory=dict)
    later: Mapping[str, SyntaxNode] = field(default_factory=dict)
    """All nodes of the sequence by name, also those not built yet."""
    left_out: set[str] = field(default_factory=set)
    """Nodes of several inputs that `when` left out: nothing stands for them."""
    current: str = ""
    """The name of the one that is being built."""
    block: str = ""
    """The block whose body the sequence is."""


class Context(NamedTuple):
    """What a node is elaborated with: names, values, and the block calls around it."""

    frame: VisibleNames
    env: Env
    call: CallSite | None = None
    active: tuple[str, ...] = ()
    depth: int = 0


@dataclass(slots=True, eq=False)
class ScopePlace:
    """A place in a scope: under a name, at the next index of a list, or (neither) the scope itself.

    `block` and `args` are those of a call on its way to the scope that it will open here.
    """

    scope: Scope
    inner: dict[str, Member]
    key: str | None = None
    counter: Counter | None = None
    block: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    opened: dict[str, Member] | None = None

    @property
    def anonymous(self) -> bool:
        return self.key is None and self.counter is None

    def called(self, block: str, args: Mapping[str, Any]) -> ScopePlace:
        """This place, for the body of a block: the outermost call of several gives the scope its name."""
        return self if self.block else replace(self, block=block, args=args)

    def path(self) -> str:
        """The path of what will stand here."""
        if self.key is not None:
            return join(self.scope.path, self.key)
        if self.counter is not None:
            return join(self.scope.path, str(self.counter.next))
        return self.scope.path

    def take(self) -> str | None:
        """The name of what stands here; an index is used up."""
        return self.key if self.key is not None else str(self.counter.take()) if self.counter is not None else None


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def nest(names: dict[str, Member], name: str, member: Member) -> None:
    """Makes a member known; `path1.conv` as the part `conv` of what `path1` stands for."""
    *around, last = name.split(".")
    for part in around:
        names = names.setdefault(part, Member(None)).inner
    names[last] = member


class Scopes:
    """Opens and closes scopes of a graph in the making."""

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder

    def open(self, place: ScopePlace, kind: ScopeKind, origin: Origin, doc: str = "") -> ScopePlace:
        """Enters the place as a scope of its own; what is returned is the place inside."""
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
        """A scope without a name of its own, for a body, shortcut or branch."""
        parent = inside.scope
        scope = Scope(parent.path, None, "sequence", origin, parent, role=role, first=len(self.builder.nodes))
        parent.members.append(scope)
        return ScopePlace(scope, inside.inner)

    def close(self, inside: ScopePlace) -> None:
        inside.scope.end = len(self.builder.nodes)

    def undo(self, place: ScopePlace, inside: ScopePlace) -> None:
        """Takes back a scope in which nothing was left."""
        scope = inside.scope
        if scope is place.scope or scope.parent is None:
            return
        _remove_last(scope.parent, scope)
        self.builder.paths.pop(scope.path, None)
        if place.counter is not None and place.key is None:
            place.counter.next -= 1


def drop_if_empty(inside: ScopePlace) -> None:
    """Removes an anonymous scope without members."""
    scope = inside.scope
    if not scope.members and scope.parent is not None:
        _remove_last(scope.parent, scope)


def _remove_last(parent: Scope, scope: Scope) -> None:
    """Takes a scope off the end of its parent's members, which may be many."""
    if parent.members and parent.members[-1] is scope:
        parent.members.pop()
    elif scope in parent.members:
        parent.members.remove(scope)


_NAMELESS = {
    "body": "put it under a key, which names it: `residual: {conv1: ...}`",
    "shortcut": "put it under a key, which names it: `shortcut: {downsample: ...}`",
    "branch": "name the branches: `{branch1: ..., branch2: ...}`",
    "then": "put it under a key, which names it: `then: {conv1: ...}`",
}


def name_parts(
    parts: Sequence[Op], place: ScopePlace, naming: str, scopes: Scopes, origin: Origin
) -> list[tuple[str, ScopePlace]]:
    """The path of each part of a fused node (conv, bn, relu), and the place whose scope it belongs to.

    Raises E0504 (tensors in an anonymous place) and E0505 (`sibling` needs `conv` in the key).
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
                f"`{parametric[0].name}` has parameters, and nothing here gives it a name",
                origin.span,
                help=_NAMELESS.get(place.scope.role, "write it under a key: `conv1: ...`"),
            )
        return [(builder.implied_path(place.scope.path, p.name), here) for p in parts]
    if len(parametric) <= 1:
        path = place.path()
        place.take()
        bearer = parametric[0] if parametric else parts[0]
        return [
            (_leaf(path, builder, origin) if p is bearer else builder.implied_path(path, p.name), here) for p in parts
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
    """`conv1` and `bn1` beside each other."""
    key = place.key or ""
    if "conv" not in key:
        raise error(
            "E0505",
            f"with `naming: sibling` the key of a node with a norm must contain `conv`, unlike `{key}`",
            origin.span,
            help="`conv1` gives `conv1` and `bn1`; or use `naming: nested`, or a list",
        )
    names: list[tuple[str, ScopePlace]] = []
    for number, p in enumerate(parts):
        name = key if number == 0 else key.replace("conv", p.name, 1)
        path = join(place.scope.path, name)
        if p.parametric:
            why = f"with `naming: sibling`, `{key}` also makes `{name}`" if number else ""
            builder.claim_path(path, origin.span, origin, why)
            names.append((path, here))
        else:
            names.append((builder.implied_path(join(place.scope.path, key), p.name), here))
    return names


def _leaf(path: str, builder: GraphBuilder, origin: Origin) -> str:
    builder.claim_path(path, origin.span, origin)
    return path
