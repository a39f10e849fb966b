"""The table of rules that expand each class of syntax node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archdsl.diagnostics import ArchError
from archdsl.elaborate import composites
from archdsl.elaborate.calls import call
from archdsl.elaborate.op_nodes import op
from archdsl.elaborate.place import Context, Output, ScopePlace
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


def _broken(walker: Walker, syntax: BrokenSyntax, place: ScopePlace, inputs: Sequence[int], ctx: Context) -> Output:
    """Leave a placeholder for a node whose errors are reported already."""
    raise ArchError(())


def _do(walker: Walker, syntax: DoSyntax, place: ScopePlace, inputs: Sequence[int], ctx: Context) -> Output:
    """Expand the node in `do` at the place of the `do`; with a `then`, as a sequence of both."""
    if syntax.then is None:
        return walker.node(syntax.body, place, walker.one(syntax, inputs), ctx)
    return walker.composite("sequence", composites.do, syntax, place, inputs, ctx)


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
