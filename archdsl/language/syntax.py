"""Syntax nodes: the nodes of a `net` or a block as written, before they are expanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from archdsl.diagnostics import Span
from archdsl.language.expressions import BlockCall, Env, Expr, Value
from archdsl.language.labels import LabelText
from archdsl.ops.base import Op


class FieldValue(NamedTuple):
    """A value of a field: an expression, or a list of values."""

    span: Span
    expr: Expr | None
    items: tuple[FieldValue, ...] = ()
    default: bool = False
    """Whether it is written under `defaults`."""

    def evaluate(self, env: Env) -> Value:
        """Return the value. Raises E0304 to E0306."""
        if self.expr is not None:
            return self.expr.evaluate(env)
        return tuple(item.evaluate(env) for item in self.items)

    @property
    def names(self) -> frozenset[str]:
        """All names in the value."""
        if self.expr is not None:
            return self.expr.names
        return frozenset().union(*(item.names for item in self.items))


class Ref(NamedTuple):
    """`trunk.a`: a dotted reference to an earlier node."""

    parts: tuple[str, ...]
    span: Span
    level: int = 0
    """Dots before the name: `.a` is in the same mapping, `..a` in the mapping around it. Without dots: the nearest."""

    @classmethod
    def of(cls, text: str, span: Span) -> Ref:
        """Return the reference that a dotted name writes."""
        name = text.lstrip(".")
        return cls(tuple(name.split(".")), span, len(text) - len(name))

    @property
    def text(self) -> str:
        return "." * self.level + ".".join(self.parts)


class NormOrAct(NamedTuple):
    """A norm or activation of a node: an expression for the name of its op (or `none`), and its fields."""

    name: FieldValue
    fields: Mapping[str, FieldValue] = MappingProxyType({})


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class SyntaxNode:
    """One node as written, with the keys that every node can have."""

    span: Span
    repeat: Expr | None = None
    pattern: str | None = None
    sources: tuple[Ref, ...] | None = None
    when: Expr | None = None
    then: SyntaxNode | None = None
    doc: str = ""
    label: LabelText | None = None

    def expressions(self) -> Iterator[Expr | FieldValue]:
        """Yield the expressions of the node, without those of nested nodes."""
        if self.when is not None:
            yield self.when
        if self.label is not None:
            yield from self.label.expressions

    def nested(self) -> Iterator[SyntaxNode]:
        """Yield the nodes directly inside this node."""
        if self.then is not None:
            yield self.then


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class OpSyntax(SyntaxNode):
    """An op with its fields, norm and activation."""

    op: type[Op]
    fields: dict[str, FieldValue]
    norm: NormOrAct | None = None
    act: NormOrAct | None = None
    constant: bool = False
    """No field depends on an environment, so the op can be made once."""

    def expressions(self) -> Iterator[Expr | FieldValue]:
        yield from SyntaxNode.expressions(self)
        yield from self.fields.values()
        for part in (self.norm, self.act):
            if part is not None:
                yield part.name
                yield from part.fields.values()


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class CallSyntax(SyntaxNode):
    """A call of a block, or of an argument that names an op."""

    call: BlockCall

    def expressions(self) -> Iterator[Expr | FieldValue]:
        yield from SyntaxNode.expressions(self)
        for arg in self.call.args:
            yield arg.value


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class ListSyntax(SyntaxNode):
    """A list of numbered nodes."""

    items: tuple[SyntaxNode, ...]

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        yield from self.items


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class MapSyntax(SyntaxNode):
    """A mapping of named nodes."""

    entries: tuple[tuple[Key, SyntaxNode], ...]

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        for _, syntax in self.entries:
            yield syntax


class Key(NamedTuple):
    """A key of a mapping of nodes. `name` is None if it starts with `_`, as it then adds nothing to the path."""

    text: str
    name: str | None
    span: Span


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class DoSyntax(SyntaxNode):
    """`do:` with any node, so that it can have `repeat`, `when`, `from` or `then`."""

    body: SyntaxNode

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        yield self.body


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class ResidualSyntax(SyntaxNode):
    """A residual block with its shortcut."""

    body: SyntaxNode
    shortcut: SyntaxNode | str = "project"
    """A node, or one of the words in `keys.SHORTCUTS`."""
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
    """Parallel branches (`branches`, `inception`) and their merge."""

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
    """A dense block; `repeat` is its number of layers."""

    layer: SyntaxNode

    def nested(self) -> Iterator[SyntaxNode]:
        yield from SyntaxNode.nested(self)
        yield self.layer


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class BrokenSyntax(SyntaxNode):
    """Replaces a node with errors, so that the rest can be checked. Its errors are reported already.

    `read` are the nodes that it names after `<-` or `from`, as far as they can be read.
    """

    read: tuple[Ref, ...] = ()
