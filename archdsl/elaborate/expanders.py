"""The table of rules that expand each class of syntax node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from archdsl.diagnostics import ArchError
from archdsl.elaborate import composites
from archdsl.elaborate.calls import call, callee
from archdsl.elaborate.op_nodes import op
from archdsl.elaborate.place import Context, LeftOut, Output, ScopePlace, value_of
from archdsl.elaborate.walk import Fill, Rule, Walker
from archdsl.graph import ScopeKind
from archdsl.language.syntax import (
    BranchesSyntax,
    BrokenSyntax,
    CallSyntax,
    DenseSyntax,
    DoSyntax,
    ListSyntax,
    MapSyntax,
    OpSyntax,
    ResidualSyntax,
    SyntaxNode,
)
from archdsl.ops import OPS_BY_NAME


def _broken(walker: Walker, syntax: BrokenSyntax, place: ScopePlace, inputs: Sequence[int], ctx: Context) -> Output:
    """Leave a placeholder for a node whose errors are reported already."""
    raise ArchError(())


def _do(walker: Walker, syntax: DoSyntax, place: ScopePlace, inputs: Sequence[int], ctx: Context) -> Output:
    """Expand the node in `do` at the place of the `do`; with a `then`, as a sequence of both.

    A `then` of one op after a single op is named like its activation: `x` and `x/tanh`.
    """
    if syntax.then is None:
        return walker.node(syntax.body, place, walker.one(syntax, inputs), ctx)
    if place.anonymous or not (_is_op(walker, syntax.body, ctx) and _is_op(walker, syntax.then, ctx)):
        return walker.composite("sequence", composites.do, syntax, place, inputs, ctx)
    base, name = place.path(), str(place.name)
    output = walker.node(syntax.body, place, walker.one(syntax, inputs), ctx)
    if isinstance(output, LeftOut):
        return output
    place.inner.pop(name, None)  # the name is that of the `then`
    spot = ScopePlace(place.scope, place.inner, base=base)
    return value_of(walker.node(syntax.then, spot, output, ctx._replace(label="")))


def _is_op(walker: Walker, syntax: SyntaxNode, ctx: Context) -> bool:
    """Whether a node is a single op, under its own name, that of an argument, or that of a block."""
    if syntax.repeat is not None:
        return False
    if isinstance(syntax, DoSyntax):
        return _is_op(walker, syntax.body, ctx) and (syntax.then is None or _is_op(walker, syntax.then, ctx))
    if isinstance(syntax, CallSyntax):
        with suppress(ArchError):
            name = callee(walker, syntax, ctx)
            return name in OPS_BY_NAME or isinstance(walker.blocks[name].body, OpSyntax)
    return isinstance(syntax, OpSyntax)


def _scoped(kind: ScopeKind, fill: Fill) -> Rule:
    """The rule of a composite with this kind of scope."""
    return lambda walker, *arguments: walker.composite(kind, fill, *arguments)


RULES: Mapping[type[SyntaxNode], Rule] = {
    OpSyntax: op,
    CallSyntax: call,
    BrokenSyntax: _broken,
    DoSyntax: _do,
    ListSyntax: _scoped("sequence", composites.sequence),
    MapSyntax: _scoped("sequence", composites.mapping),
    ResidualSyntax: _scoped("residual", composites.residual),
    BranchesSyntax: _scoped("branches", composites.branches),
    DenseSyntax: _scoped("dense", composites.dense),
}
