"""Walks syntax nodes in written order and expands each into nodes.

The walk recurses over the nesting of the text, which is limited, never over the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from archdsl.axes import axes_of
from archdsl.diagnostics import ArchError, Origin, error
from archdsl.elaborate.build import SEVERAL, FirstRun, GraphBuilder, chain_notes
from archdsl.elaborate.limits import MAX_DEPTH, too_deep
from archdsl.elaborate.make import OpMaker
from archdsl.elaborate.merges import check_product
from archdsl.elaborate.place import (
    Context,
    Counter,
    LeftOut,
    Member,
    Output,
    ScopePlace,
    Scopes,
    drop_if_empty,
    join,
    nest,
    value_of,
)
from archdsl.elaborate.references import resolve, stand_in
from archdsl.elaborate.repeat import copies
from archdsl.graph import Scope, ScopeKind
from archdsl.language import expressions
from archdsl.language.document import Document
from archdsl.language.expressions import OF_INPUT, Env, Expr, Value, truth
from archdsl.language.syntax import BrokenSyntax, DenseSyntax, Key, SyntaxNode
from archdsl.ops.reshape import Unknown
from archdsl.shapes import Shape, at

Rule: TypeAlias = Callable[..., Output]
"""Expands a syntax node of one class: (walker, syntax, place, inputs, ctx) to its output."""
Fill: TypeAlias = Callable[..., Output]
"""Expands a composite into its open scope: (walker, syntax, inside, cursor, ctx) to its output."""


@dataclass
class Walker:
    """Expands syntax nodes into nodes, by the rule of each class in the table `rules`."""

    document: Document
    builder: GraphBuilder
    rules: Mapping[type[SyntaxNode], Rule]
    file_env: Env = field(default_factory=lambda: Env({}))
    incoming: Shape | str | None = None
    """The input shape, for `in` and `axes`; None if it is unknown, a reason if they are undefined."""
    several: tuple[str, ...] = ()
    """Names of the outputs to select from if the cursor is `SEVERAL`."""

    def __post_init__(self) -> None:
        self.scopes = Scopes(self.builder)
        self.maker = OpMaker(self.document.defaults, self.document, self.document.has_defaults)
        self.blocks = self.document.blocks

    # --- expressions -------------------------------------------------------------------------------------

    def channels(self) -> Value:
        """Return the value of `in`, the number of input channels. Raises E0313 if it is undefined."""
        return at(self._input("in")[0])

    def axes(self) -> Value:
        """Return the value of `axes`, the number of spatial axes of the input. Raises E0313 if it is undefined."""
        return axes_of(self._input("axes"))

    def _input(self, name: str) -> Shape:
        if isinstance(self.incoming, str):
            raise error("E0313", f"`{name}` is undefined here: {self.incoming}")
        if self.incoming is None:
            raise ArchError(())
        return self.incoming

    def receive(self, cursor: int) -> Shape | None:
        """Set the shape for `in` and `axes` to the output of `cursor`, and return it; None if it is unknown."""
        self.incoming = (
            self.builder.shape(cursor) if cursor >= 0 else "there are several tensors to read; select one with `<-`"
        )
        return None if isinstance(self.incoming, str) else self.incoming

    def count(self, expr: Expr, env: Env, what: str = "the repeat count") -> int:
        """Return a number of copies. Raises E0312 for a negative number, E0313 for one that depends on the input."""
        if OF_INPUT & expr.names:
            raise error(
                "E0313",
                f"{what} cannot depend on `in` or `axes`",
                expr.span,
                help="the number of nodes must be known before shapes are inferred; use an argument",
            )
        number = expressions.as_whole(expr.evaluate(env), expr.span, what)
        if number < 0:
            raise error("E0312", f"{what} is {number}; it cannot be negative", expr.span)
        return number

    # --- any node ----------------------------------------------------------------------------------------

    def node(self, syntax: SyntaxNode, place: ScopePlace, cursor: int, ctx: Context) -> Output:
        """Expand one node at a place and return its output."""
        if syntax.repeat is not None and not isinstance(syntax, DenseSyntax):
            return self._guard(self._repeat, syntax, place, cursor, ctx)
        return self._guard(self._single, syntax, place, cursor, ctx)

    def _guard(
        self,
        build: Callable[[SyntaxNode, ScopePlace, int, Context], Output],
        syntax: SyntaxNode,
        place: ScopePlace,
        cursor: int,
        ctx: Context,
    ) -> Output:
        """Report a node's errors and continue after a placeholder, so that one mistake is one error."""
        members, number = len(place.scope.members), place.counter.next if place.counter is not None else 0
        try:
            output = build(syntax, place, cursor, ctx)
            self._keep(build, syntax, place, ctx, members)
            return output
        except ArchError as e:
            self._report(e, syntax, ctx)
            return self._unknown(syntax, place, cursor, ctx, members, number)

    def _keep(
        self,
        build: Callable[[SyntaxNode, ScopePlace, int, Context], Output],
        syntax: SyntaxNode,
        place: ScopePlace,
        ctx: Context,
        members: int,
    ) -> None:
        """Remember how a node with a scope of its own was expanded, for `again`."""
        scope = place.scope.members[members] if len(place.scope.members) > members else None
        if isinstance(scope, Scope) and scope.name is not None and not scope.again:
            self.builder.first_runs[scope.path] = FirstRun(scope, build, syntax, ctx)

    def _report(self, problem: ArchError, syntax: SyntaxNode, ctx: Context) -> None:
        for d in problem.diagnostics:
            at_span = d if d.span is not None else replace(d, span=syntax.span)
            self.builder.report.add(replace(at_span, notes=(*at_span.notes, *chain_notes(ctx.call))))

    def _unknown(
        self, syntax: SyntaxNode, place: ScopePlace, cursor: int, ctx: Context, members: int, number: int
    ) -> int:
        """Add a placeholder for a node with errors: under its name, or in the scope that it has opened.

        `members` and `number` are the members of the scope and the index at the place before the node was expanded.
        """
        scope = place.scope
        if not place.anonymous:
            scope = next((m for m in scope.members[members:] if isinstance(m, Scope)), scope)
        if place.anonymous or scope is not place.scope:
            path = self.builder.implied_path(scope.path, Unknown.name)
        elif place.key is None and place.counter is not None:
            place.counter.next = max(place.counter.next, number + 1)
            path = join(scope.path, str(number))
        else:
            path = place.path()
        inputs = []
        for ref in syntax.read if isinstance(syntax, BrokenSyntax) else syntax.sources or ():
            with suppress(ArchError):
                inputs.append(resolve(self.builder, ref, ctx.frame))
        known = [i for i in inputs or [cursor] if i >= 0]
        node = self.builder.unknown(path, known, scope, Origin(syntax.span, ctx.call))
        if scope is not place.scope:
            scope.end = len(self.builder.nodes)
        return node

    def _repeat(self, syntax: SyntaxNode, place: ScopePlace, cursor: int, ctx: Context) -> Output:
        assert syntax.repeat is not None
        check_product(syntax, ctx)
        count = self.count(syntax.repeat, ctx.env)
        if syntax.sources is not None and len(syntax.sources) > 1:
            raise error(
                "E0302",
                "a repeated node takes one input: the first copy reads it, each further copy reads the copy before",
                syntax.sources[1].span,
            )
        origin = Origin(syntax.span, ctx.call)
        inside, counter = place, place.counter
        if place.key is not None or place.counter is None:
            inside = self.scopes.open(place, "repeat", origin)
            counter = Counter()
        output: Output | None = None
        for spot, env in copies(count, syntax.pattern, inside, counter, ctx.env):
            first = output is None or isinstance(output, LeftOut)
            copy = partial(self._single, read=first)
            source = cursor if output is None or first else value_of(output)
            result = self._guard(copy, syntax, spot, source, ctx._replace(env=env))
            output = result if first or not isinstance(result, LeftOut) else output
        if output is None:
            output = self._left_out(syntax, cursor, ctx)
        if inside is not place:
            self._finish(place, inside, output)
            self._remember(place, place.key, output)
        return output

    def _single(self, syntax: SyntaxNode, place: ScopePlace, cursor: int, ctx: Context, read: bool = True) -> Output:
        if ctx.depth > MAX_DEPTH:
            raise too_deep(syntax)
        sources = syntax.sources if read and syntax.sources else ()
        if syntax.when is not None:
            if OF_INPUT & syntax.when.names:
                self.receive(resolve(self.builder, sources[0], ctx.frame) if sources else cursor)
            if not truth(syntax.when.evaluate(ctx.env), syntax.when.span):
                return self._left_out(syntax, cursor, ctx) if read else LeftOut(cursor)
        inputs = [resolve(self.builder, ref, ctx.frame) for ref in sources] or [cursor]
        name = place.name
        inner = ctx._replace(depth=ctx.depth + 1, label=ctx.label or self._label(syntax, inputs, ctx))
        output = self.rules[type(syntax)](self, syntax, place, inputs, inner)
        self._remember(place, name, output)
        return output

    def _label(self, syntax: SyntaxNode, inputs: Sequence[int], ctx: Context) -> str:
        if syntax.label is None:
            return ""
        self.receive(inputs[0])
        return syntax.label.evaluate(ctx.env)

    def _left_out(self, syntax: SyntaxNode, cursor: int, ctx: Context) -> LeftOut:
        """What stands for a node that is left out: its input, or several tensors."""
        sources = syntax.sources or ()
        stands_for = cursor if not sources else SEVERAL
        if len(sources) == 1:
            stands_for = stand_in(self.builder, sources[0], ctx.frame)
        elif sources:
            self.several = tuple(ref.text for ref in sources[:4])
        return LeftOut(stands_for)

    def _remember(self, place: ScopePlace, name: str | None, output: Output) -> None:
        """Add the node at a place to the visible names, for references into it.

        A call's body is expanded at a copy of the place, which has added the names inside already.
        """
        if isinstance(output, LeftOut) or name is None:
            return
        if place.opened is not None or name not in place.inner:
            inner = place.opened if place.opened is not None else {}
            place.inner[name] = Member(output if output >= 0 else None, inner)

    def composite(
        self, kind: ScopeKind, fill: Fill, syntax: SyntaxNode, place: ScopePlace, inputs: Sequence[int], ctx: Context
    ) -> Output:
        """Expand a node with its own scope, which `fill` fills, and the `then` after it."""
        cursor = self.one(syntax, inputs)
        inside = self.scopes.open(place, kind, Origin(syntax.span, ctx.call), syntax.doc)
        inside.scope.label, ctx = inside.scope.label or ctx.label, ctx._replace(label="")
        output = fill(self, syntax, inside, cursor, ctx)
        if not isinstance(output, LeftOut) and syntax.then is not None:
            output = value_of(self.role(syntax.then, inside, "then", output, ctx))
        self._finish(place, inside, output)
        return output

    def _finish(self, place: ScopePlace, inside: ScopePlace, output: Output) -> None:
        if isinstance(output, LeftOut):
            self.scopes.undo(place, inside)
        self.scopes.close(inside)

    def require_one(self, cursor: int, syntax: SyntaxNode) -> None:
        """Raises E0421 if the input of a node is several tensors."""
        if cursor == SEVERAL:
            raise error(
                "E0421",
                "this node takes one input, but there are several tensors to read",
                syntax.span,
                help=f"select one: {' or '.join(f'`<- {name}`' for name in self.several) or '`<- name`'}",
            )

    def one(self, syntax: SyntaxNode, inputs: Sequence[int]) -> int:
        """Return the one input. Raises E0414 if there are more."""
        if len(inputs) != 1:
            raise error(
                "E0414",
                f"this node takes one input, not {len(inputs)}",
                syntax.span,
                help="only `concat`, `add`, `mul` and blocks with several inputs take more",
            )
        return inputs[0]

    def role(
        self,
        syntax: SyntaxNode,
        inside: ScopePlace,
        role: str,
        cursor: int,
        ctx: Context,
        parts: dict[str, Member] | None = None,
    ) -> Output:
        """Expand a body, shortcut, branch or `then` in an anonymous scope. `parts` receives those of a `split`."""
        part = self.scopes.anonymous(inside, role, Origin(syntax.span, ctx.call))
        part.opened = parts
        output = self.node(syntax, part, cursor, ctx)
        self.scopes.close(part)
        drop_if_empty(part)
        return output

    # --- names ------------------------------------------------------------------------

    def keyed(
        self, key: Key | None, child: SyntaxNode, inside: ScopePlace, role: str, cursor: int, ctx: Context
    ) -> Output:
        """Expand a child under a key; `_x` is a name for references only and adds nothing to the path."""
        if key is None or key.name is None:
            if key is None:
                return self.role(child, inside, role, cursor, ctx)
            parts: dict[str, Member] = {}
            ctx.frame.current = key.text
            output = self.role(child, inside, role, cursor, ctx, parts)
            if parts:
                inside.inner[key.text] = Member(None, parts)
            self._name(key.text, output, inside, ctx)
            return output
        spot = ScopePlace(inside.scope, inside.inner, key.name)
        before = len(inside.scope.members)
        ctx.frame.current = key.name
        output = self.node(child, spot, cursor, ctx)
        for member in inside.scope.members[before:]:
            if role and isinstance(member, Scope):
                member.role = "branch"
        if not isinstance(output, LeftOut) and "." in key.name:
            try:
                self.builder.open_path(inside.scope.path, key.name, key.span, Origin(child.span, ctx.call))
            except ArchError as e:
                self._report(e, child, ctx)
                self.builder.misnamed.add(join(inside.scope.path, key.name))
        self._name(key.name, output, inside, ctx)
        return output

    def _name(self, name: str, output: Output, inside: ScopePlace, ctx: Context) -> None:
        """Add a node to the visible names. If it is left out, nodes that would read it read its input instead."""
        value = value_of(output)
        member = inside.inner.pop(name, None)
        if member is None or isinstance(output, LeftOut):
            member = Member(value if value >= 0 else None, left_out=isinstance(output, LeftOut))
        nest(inside.inner, name, member)
        nest(ctx.frame.names, name, member)
