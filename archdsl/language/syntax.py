"""Nodes as written, as data: what `read_nodes` makes of the located tree of a `net` or a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from archdsl.diagnostics import Span
from archdsl.language.expressions import BlockCall, Env, Expr, Value
from archdsl.ops.base import Op


class FieldValue(NamedTuple):
    """A value of a field: an expression, or a list of values."""

    span: Span
    expr: Expr | None
    items: tuple[FieldValue, ...] = ()

    def evaluate(self, env: Env) -> Value:
        if self.expr is not None:
            return self.expr.evaluate(env)
        return tuple(item.evaluate(env) for item in self.items)

    @property
    def names(self) -> frozenset[str]:
        if self.expr is not None:
            return self.expr.names
        return frozenset().union(*(item.names for item in self.items))


class Ref(NamedTuple):
    """`trunk.a`: a dotted reference to an earlier node."""

    parts: tuple[str, ...]
    span: Span

    @classmethod
    def of(cls, text: str, span: Span) -> Ref:
        """The reference that a dotted name writes."""
        return cls(tuple(text.split(".")), span)

    @property
    def text(self) -> str:
        return ".".join(self.parts)


class NormOrAct(NamedTuple):
    """A norm or activation written on a node: an expression that names the kind (or nothing), and its fields."""

    name: FieldValue
    fields: Mapping[str, FieldValue] = MappingProxyType({})


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class SyntaxNode:
    """One node as written, before it is expanded: what every kind of them may carry."""

    span: Span
    repeat: Expr | None = None
    pattern: str | None = None
    sources: tuple[Ref, ...] | None = None
    when: Expr | None = None
    then: SyntaxNode | None = None
    doc: str = ""

    def expressions(self) -> Iterator[Expr | FieldValue]:
        """Those of the node's own text, those of nested nodes not included."""
        if self.when is not None:
            yield self.when

    def nested(self) -> Iterator[SyntaxNode]:
        if self.then is not None:
            yield self.then


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class OpSyntax(SyntaxNode):
    op: type[Op]
    fields: dict[str, FieldValue]
    norm: NormOrAct | None = None
    act: NormOrAct | None = None
    constant: bool = False
    """No field needs an environment, so the op can be built once."""

    def expressions(self) -> Iterator[Expr | FieldValue]:
        yield from SyntaxNode.expressions(self)
        yield from self.fields.values()
        for part in (self.norm, self.act):
            if part is not None:
                yield part.name
                yield from part.fields.values()


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class CallSyntax(SyntaxNode):
    call: BlockCall

    def expressions(self) -> Iterator[Expr | FieldValue]:
        yield from SyntaxNode.expressions(self)
        for arg in self.call.args:
            yield arg.value


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class ListSyntax(SyntaxNode):
    items: tuple[SyntaxNode, ...]

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        yield from self.items


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class MapSyntax(SyntaxNode):
    entries: tuple[tuple[Key, SyntaxNode], ...]

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        for _, syntax in self.entries:
            yield syntax


class Key(NamedTuple):
    """A key of a mapping of nodes. `name` is None where it begins with `_` and so adds nothing to the path."""

    text: str
    name: str | None
    span: Span


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class DoSyntax(SyntaxNode):
    """`do:` holds any node, so that a repeat, a condition or a source can be put beside it."""

    body: SyntaxNode

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        yield self.body


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class ResidualSyntax(SyntaxNode):
    body: SyntaxNode
    shortcut: SyntaxNode | str = "project"
    """A node, or one of the words `project`, `pad`, `none`."""
    shortcut_span: Span | None = None
    scale: Expr | None = None

    def expressions(self) -> Iterator[Expr | FieldValue]:
        yield from SyntaxNode.expressions(self)
        if self.scale is not None:
            yield self.scale

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        yield self.body
        if isinstance(self.shortcut, SyntaxNode):
            yield self.shortcut


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class BranchesSyntax(SyntaxNode):
    branches: tuple[tuple[Key | None, SyntaxNode], ...]
    merge: Expr | None = None
    split: Expr | None = None

    def expressions(self) -> Iterator[Expr | FieldValue]:
        yield from SyntaxNode.expressions(self)
        yield from (e for e in (self.merge, self.split) if e is not None)

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        for _, syntax in self.branches:
            yield syntax


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class DenseSyntax(SyntaxNode):
    layer: SyntaxNode

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        yield self.layer


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class BrokenSyntax(SyntaxNode):
    """Stands where a node was faulty, so that the rest can still be checked. Its errors are reported already."""
