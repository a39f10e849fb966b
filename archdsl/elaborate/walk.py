"""The walk: syntax nodes become nodes in written order. It recurses over the nesting of the text, which is bounded,
never over the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from archdsl.diagnostics import ArchError, Origin, error
from archdsl.elaborate.build import SEVERAL, GraphBuilder, chain_notes
from archdsl.elaborate.limits import MAX_DEPTH, too_deep
from archdsl.elaborate.make import OpMaker
from archdsl.elaborate.place import Context, Counter, Member, ScopePlace, Scopes, drop_if_empty, nest
from archdsl.elaborate.references import resolve
from archdsl.elaborate.repeat import copies
from archdsl.graph import Scope, ScopeKind
from archdsl.language import expressions
from archdsl.language.document import Document
from archdsl.language.expressions import Env, Expr, Value, truth
from archdsl.language.syntax import DenseSyntax, Key, SyntaxNode
from archdsl.shapes import Shape, at

Rule: TypeAlias = Callable[..., int | None]
"""Expands a syntax node of one class: (walker, syntax, place, inputs, ctx) to the node that others read behind it, None
where nothing was left."""
Fill: TypeAlias = Callable[..., int | None]
"""Expands a composite into its scope, which is open already: (walker, syntax, inside, cursor, ctx)."""


@dataclass
class Walker:
    """Expands syntax nodes into nodes, each by the rule of its class in the table `rules`."""

    document: Document
    builder: GraphBuilder
    rules: Mapping[type[SyntaxNode], Rule]
    file_env: Env = field(default_factory=lambda: Env({}))
    incoming: Shape | str | None = None
    """The shape that `in` speaks of; None where it is unknown, a text where `in` has no meaning."""
    several: tuple[str, ...] = ()
    """Names for the tensors that arrive where the cursor is `SEVERAL`."""

    def __post_init__(self) -> None:
        self.scopes = Scopes(self.builder)
        self.maker = OpMaker(self.document.defaults)
        self.blocks = self.document.blocks

    # --- expressions -------------------------------------------------------------------------------------

    def channels(self) -> Value:
        """The value of `in`."""
        if isinstance(self.incoming, str):
            raise error("E0313", f"`in` has no value here: {self.incoming}")
        if self.incoming is None:
            raise ArchError(())
        return at(self.incoming[0])

    def receive(self, cursor: int) -> Shape | None:
        self.incoming = self.builder.shape(cursor) if cursor >= 0 else "several tensors arrive; name one with `<-`"
        return None if isinstance(self.incoming, str) else self.incoming

    def count(self, expr: Expr, env: Env, what: str = "the count of a repeat") -> int:
        """A number of copies. Raises E0312 for a negative one, E0313 for one that depends on `in`."""
        if "in" in expr.names:
            raise error(
                "E0313",
                f"{what} may not use `in`",
                expr.span,
                help="the size of the graph must be known before shapes are; use an argument",
            )
        number = expressions.as_whole(expr.evaluate(env), expr.span, what)
        if number < 0:
            raise error("E0312", f"{what} is {number}; it cannot be negative", expr.span)
        return number

    # --- any node ----------------------------------------------------------------------------------------

    def node(self, syntax: SyntaxNode, place: ScopePlace, cursor: int, ctx: Context) -> int | None:
        """Elaborates one node at a place; what it gives, or None where it was left out."""
        if syntax.repeat is not None and not isinstance(syntax, DenseSyntax):
            return self._guard(self._repeat, syntax, place, cursor, ctx)
        return self._guard(self._single, syntax, place, cursor, ctx)

    def _guard(
        self,
        build: Callable[[SyntaxNode, ScopePlace, int, Context], int | None],
        syntax: SyntaxNode,
        place: ScopePlace,
        cursor: int,
        ctx: Context,
    ) -> int | None:
        """Reports a node's errors and goes on behind a placeholder, so that one mistake is one error."""
        try:
            return build(syntax, place, cursor, ctx)
        except ArchError as e:
            origin = Origin(syntax.span, ctx.call)
            for d in e.diagnostics:
                at_span = d if d.span is not None else replace(d, span=syntax.span)
                self.builder.report.add(replace(at_span, notes=(*at_span.notes, *chain_notes(ctx.call))))
            return self.builder.fail(place.scope, origin)

    def _repeat(self, syntax: SyntaxNode, place: ScopePlace, cursor: int, ctx: Context) -> int | None:
        assert syntax.repeat is not None
        count = self.count(syntax.repeat, ctx.env)
        origin = Origin(syntax.span, ctx.call)
        inside, counter = place, place.counter
        if place.key is not None or place.counter is None:
            inside = self.scopes.open(place, "repeat", origin)
            counter = Counter()
        if syntax.sources is not None and len(syntax.sources) > 1:
            raise error(
                "E0302",
                "a repeated node reads one node: the first copy reads it, each further copy the one before",
                syntax.sources[1].span,
            )
        given: int | None = None
        for spot, env in copies(count, syntax.pattern, inside, counter, ctx.env):
            source = cursor if given is None else given
            result = self._single(syntax, spot, source, ctx._replace(env=env), read=given is None)
            if result is not None:
                given = result
        if inside is not place:
            self._finish(place, inside, given)
            self._remember(place, place.key, given)
        return given

    def _single(
        self, syntax: SyntaxNode, place: ScopePlace, cursor: int, ctx: Context, read: bool = True
    ) -> int | None:
        if ctx.depth > MAX_DEPTH:
            raise too_deep(syntax)
        inputs = (
            [resolve(self.builder, ref, ctx.frame) for ref in syntax.sources] if syntax.sources and read else [cursor]
        )
        if syntax.when is not None:
            self.receive(inputs[0])
            if not truth(syntax.when.evaluate(ctx.env), syntax.when.span):
                return None
        name = place.key if place.key is not None else str(place.counter.next) if place.counter is not None else None
        given = self.rules[type(syntax)](self, syntax, place, inputs, ctx._replace(depth=ctx.depth + 1))
        self._remember(place, name, given)
        return given

    def _remember(self, place: ScopePlace, name: str | None, given: int | None) -> None:
        """Makes what stands at a place known by its name, for references that reach in.

        A call's body is elaborated at a copy of the place, which has then already told what is inside.
        """
        if given is not None and name is not None and (place.opened is not None or name not in place.inner):
            place.inner[name] = Member(given if given >= 0 else None, place.opened if place.opened is not None else {})

    def composite(
        self, kind: ScopeKind, fill: Fill, syntax: SyntaxNode, place: ScopePlace, inputs: Sequence[int], ctx: Context
    ) -> int | None:
        """A node with a scope of its own, which `fill` expands, and the `then` behind it."""
        cursor = self.one(syntax, inputs)
        inside = self.scopes.open(place, kind, Origin(syntax.span, ctx.call), syntax.doc)
        given = fill(self, syntax, inside, cursor, ctx)
        if given is not None and syntax.then is not None:
            then = self.role(syntax.then, inside, "then", given, ctx)
            given = then if then is not None else given
        self._finish(place, inside, given)
        return given

    def _finish(self, place: ScopePlace, inside: ScopePlace, given: int | None) -> None:
        if given is None:
            self.scopes.undo(place, inside)
        self.scopes.close(inside)

    def require_one(self, cursor: int, syntax: SyntaxNode) -> None:
        """Raises E0421 where a node reads what gives several tensors."""
        if cursor == SEVERAL:
            raise error(
                "E0421",
                "several tensors arrive here, and this node reads one",
                syntax.span,
                help=f"say which: {' or '.join(f'`<- {name}`' for name in self.several) or '`<- name`'}",
            )

    def one(self, syntax: SyntaxNode, inputs: Sequence[int]) -> int:
        """The one node that is read. Raises E0414 where there are more."""
        if len(inputs) != 1:
            raise error(
                "E0414",
                f"this node reads one tensor, not {len(inputs)}",
                syntax.span,
                help="only merges (concat, add, mul) and blocks with several inputs read more",
            )
        return inputs[0]

    def role(self, syntax: SyntaxNode, inside: ScopePlace, role: str, cursor: int, ctx: Context) -> int | None:
        """A body, shortcut, branch or `then`, in an anonymous scope."""
        part = self.scopes.anonymous(inside, role, Origin(syntax.span, ctx.call))
        given = self.node(syntax, part, cursor, ctx)
        self.scopes.close(part)
        drop_if_empty(part)
        return given

    # --- names ------------------------------------------------------------------------

    def keyed(
        self, key: Key | None, child: SyntaxNode, inside: ScopePlace, role: str, cursor: int, ctx: Context
    ) -> int | None:
        """A child under a key; `_x` is only a name to read it by, and adds nothing to the path."""
        if key is None or key.name is None:
            given = self.role(child, inside, role, cursor, ctx)
            if key is not None:
                self._name(key.text, given, child, cursor, ctx)
                if given is not None:
                    inside.inner.setdefault(key.text, Member(given if given >= 0 else None))
            return given
        spot = ScopePlace(inside.scope, inside.inner, key.name)
        before = len(inside.scope.members)
        ctx.frame.current = key.name
        given = self.node(child, spot, cursor, ctx)
        for member in inside.scope.members[before:]:
            if role and isinstance(member, Scope):
                member.role = "branch"
        if given is not None:
            inside.inner.setdefault(key.name, Member(given if given >= 0 else None))
        self._name(key.name, given, child, cursor, ctx, inside.inner.get(key.name))
        if given is not None and "." in key.name:
            self.builder.open_path(inside.scope.path, key.name, key.span, Origin(child.span, ctx.call))
            nest(inside.inner, key.name, inside.inner.pop(key.name))
        return given

    def _name(
        self, name: str, given: int | None, child: SyntaxNode, cursor: int, ctx: Context, member: Member | None = None
    ) -> None:
        """Makes a node known to those that follow. One that was left out stands for what it would have read."""
        if given is None and child.sources:
            if len(child.sources) > 1:
                ctx.frame.left_out.add(name)
                return
            cursor = resolve(self.builder, child.sources[0], ctx.frame)
        value = cursor if given is None else given
        nest(ctx.frame.names, name, member or Member(value if value >= 0 else None))
