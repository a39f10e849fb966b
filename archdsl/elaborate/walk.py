"""The walk: items in written order become nodes. It recurses over the nesting of the text, which is bounded,
never over the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from archdsl.diagnostics import ArchError, Origin, Span, error
from archdsl.elaborate.again import check_fit, earlier
from archdsl.elaborate.build import SEVERAL, Builder, chain_notes
from archdsl.elaborate.calls import call
from archdsl.elaborate.composites import branches, dense, residual
from archdsl.elaborate.make import OpMaker
from archdsl.elaborate.place import (
    Context,
    Counter,
    Frame,
    Member,
    Place,
    Scopes,
    drop_if_empty,
    join,
    name_parts,
    nest,
)
from archdsl.elaborate.references import resolve
from archdsl.graph import Scope
from archdsl.language import expressions
from archdsl.language.document import Document
from archdsl.language.expressions import Env, Expr, Value, truth
from archdsl.language.names import copy_name
from archdsl.language.syntax import (
    BranchesItem,
    BrokenItem,
    CallItem,
    DenseItem,
    DoItem,
    Item,
    Key,
    ListItem,
    MapItem,
    OpItem,
    ResidualItem,
)
from archdsl.ops import Again, Fc, Flatten, Slice
from archdsl.ops.base import Op, OpError, divisors
from archdsl.ops.reshape import Identity, Split
from archdsl.shapes import Shape, at

MAX_DEPTH = 60
"""Nesting of composites and block calls."""


@dataclass
class Walker:
    document: Document
    builder: Builder
    file_env: Env
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

    def item(self, item: Item, place: Place, cursor: int, ctx: Context) -> int | None:
        """Elaborates one node at a place; what it gives, or None where it was left out."""
        if item.repeat is not None and not isinstance(item, DenseItem):
            return self._guard(self._repeat, item, place, cursor, ctx)
        return self._guard(self._single, item, place, cursor, ctx)

    def _guard(
        self,
        build: Callable[[Item, Place, int, Context], int | None],
        item: Item,
        place: Place,
        cursor: int,
        ctx: Context,
    ) -> int | None:
        """Reports an item's errors and goes on behind a placeholder, so that one mistake is one error."""
        try:
            return build(item, place, cursor, ctx)
        except ArchError as e:
            origin = Origin(item.span, ctx.call)
            for d in e.diagnostics:
                at_span = d if d.span is not None else replace(d, span=item.span)
                self.builder.report.add(replace(at_span, notes=(*at_span.notes, *chain_notes(ctx.call))))
            return self.builder.fail(place.scope, origin)

    def _repeat(self, item: Item, place: Place, cursor: int, ctx: Context) -> int | None:
        assert item.repeat is not None
        count = self.count(item.repeat, ctx.env)
        origin = Origin(item.span, ctx.call)
        inside, counter = place, place.counter
        if place.key is not None or place.counter is None:
            inside = self.scopes.open(place, "repeat", origin)
            counter = Counter()
        if item.sources is not None and len(item.sources) > 1:
            raise error(
                "E0302",
                "a repeated node reads one node: the first copy reads it, each further copy the one before",
                item.sources[1].span,
            )
        given: int | None = None
        for k in range(count):
            env = Env({"i": k, "first": k == 0, "last": k == count - 1}, ctx.env)
            key = copy_name(item.pattern, k) if item.pattern else None
            spot = Place(inside.scope, inside.inner, key, None if key else counter)
            source = cursor if given is None else given
            result = self._single(item, spot, source, ctx._replace(env=env), read=given is None)
            if result is not None:
                given = result
        if inside is not place:
            self._finish(place, inside, given)
            self._remember(place, place.key, given)
        return given

    def _single(self, item: Item, place: Place, cursor: int, ctx: Context, read: bool = True) -> int | None:
        if ctx.depth > MAX_DEPTH:
            raise error("E0316", f"blocks and composites are nested more than {MAX_DEPTH} deep", item.span)
        inputs = [resolve(self.builder, ref, ctx.frame) for ref in item.sources] if item.sources and read else [cursor]
        if item.when is not None:
            self.receive(inputs[0])
            if not truth(item.when.evaluate(ctx.env), item.when.span):
                return None
        name = place.key if place.key is not None else str(place.counter.next) if place.counter is not None else None
        given = self._dispatch(item, place, inputs, ctx._replace(depth=ctx.depth + 1))
        self._remember(place, name, given)
        return given

    def _remember(self, place: Place, name: str | None, given: int | None) -> None:
        """Makes what stands at a place known by its name, for references that reach in.

        A call's body is elaborated at a copy of the place, which has then already told what is inside.
        """
        if given is not None and name is not None and (place.opened is not None or name not in place.inner):
            place.inner[name] = Member(given if given >= 0 else None, place.opened if place.opened is not None else {})

    def _dispatch(self, item: Item, place: Place, inputs: Sequence[int], ctx: Context) -> int | None:
        if isinstance(item, OpItem):
            return self.op(item, place, inputs, ctx)
        if isinstance(item, BrokenItem):
            place.take()
            return self.builder.fail(place.scope, Origin(item.span, ctx.call))
        if isinstance(item, CallItem):
            return call(self, item, place, inputs, ctx)
        if isinstance(item, DoItem) and item.then is None:
            return self.item(item.body, place, self._one(item, inputs), ctx)
        cursor = self._one(item, inputs)
        kind = {ResidualItem: "residual", BranchesItem: "branches", DenseItem: "dense"}.get(type(item), "sequence")
        inside = self.scopes.open(place, kind, Origin(item.span, ctx.call), item.doc)  # type: ignore[arg-type]
        given = self._composite(item, inside, cursor, ctx)
        if given is not None and item.then is not None:
            then = self.role(item.then, inside, "then", given, ctx)
            given = then if then is not None else given
        self._finish(place, inside, given)
        return given

    def _composite(self, item: Item, inside: Place, cursor: int, ctx: Context) -> int | None:
        if isinstance(item, ListItem):
            return self._list(item, inside, cursor, ctx)
        if isinstance(item, MapItem):
            return self._map(item, inside, cursor, ctx)
        if isinstance(item, ResidualItem):
            return residual(self, item, inside, cursor, ctx)
        if isinstance(item, BranchesItem):
            return branches(self, item, inside, cursor, ctx)
        if isinstance(item, DenseItem):
            return dense(self, item, inside, cursor, ctx)
        assert isinstance(item, DoItem)
        return self.role(item.body, inside, "body", cursor, ctx)

    def _finish(self, place: Place, inside: Place, given: int | None) -> None:
        if given is None:
            self.scopes.undo(place, inside)
        self.scopes.close(inside)

    def need_one(self, cursor: int, item: Item) -> None:
        """Raises E0421 where a node reads what gives several tensors."""
        if cursor == SEVERAL:
            raise error(
                "E0421",
                "several tensors arrive here, and this node reads one",
                item.span,
                help=f"say which: {' or '.join(f'`<- {name}`' for name in self.several) or '`<- name`'}",
            )

    def _one(self, item: Item, inputs: Sequence[int]) -> int:
        if len(inputs) != 1:
            raise error(
                "E0414",
                f"this node reads one tensor, not {len(inputs)}",
                item.span,
                help="only merges (concat, add, mul) and blocks with several inputs read more",
            )
        return inputs[0]

    def role(self, item: Item, inside: Place, role: str, cursor: int, ctx: Context) -> int | None:
        """A body, shortcut, branch or `then`, in an anonymous scope."""
        part = self.scopes.anonymous(inside, role, Origin(item.span, ctx.call))
        given = self.item(item, part, cursor, ctx)
        self.scopes.close(part)
        drop_if_empty(part)
        return given

    # --- sequences and references ------------------------------------------------------------------------

    def _list(self, item: ListItem, inside: Place, cursor: int, ctx: Context) -> int | None:
        ctx = ctx._replace(frame=Frame(ctx.frame))
        counter, last = Counter(), None
        for child in item.items:
            given = self.item(child, Place(inside.scope, inside.inner, None, counter), cursor, ctx)
            if given is not None:
                cursor = last = given
        return last

    def _map(self, item: MapItem, inside: Place, cursor: int, ctx: Context) -> int | None:
        frame = Frame(ctx.frame, {}, {key.text if key.name is None else key.name: child for key, child in item.entries})
        ctx = ctx._replace(frame=frame)
        last = None
        for key, child in item.entries:
            given = self.keyed(key, child, inside, "", cursor, ctx)
            if given is not None:
                cursor = last = given
        return last

    def keyed(self, key: Key | None, child: Item, inside: Place, role: str, cursor: int, ctx: Context) -> int | None:
        """A child under a key; `_x` is only a name to read it by, and adds nothing to the path."""
        if key is None or key.name is None:
            given = self.role(child, inside, role, cursor, ctx)
            if key is not None:
                self._name(key.text, given, child, cursor, ctx)
                if given is not None:
                    inside.inner.setdefault(key.text, Member(given if given >= 0 else None))
            return given
        spot = Place(inside.scope, inside.inner, key.name)
        before = len(inside.scope.members)
        ctx.frame.current = key.name
        given = self.item(child, spot, cursor, ctx)
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
        self, name: str, given: int | None, child: Item, cursor: int, ctx: Context, member: Member | None = None
    ) -> None:
        """Makes a node known to those that follow. One that was left out stands for what it would have read."""
        if given is None and child.sources:
            if len(child.sources) > 1:
                ctx.frame.left_out.add(name)
                return
            cursor = resolve(self.builder, child.sources[0], ctx.frame)
        value = cursor if given is None else given
        nest(ctx.frame.names, name, member or Member(value if value >= 0 else None))

    # --- ops ---------------------------------------------------------------------------------------------

    def op(self, item: OpItem, place: Place, inputs: Sequence[int], ctx: Context) -> int | None:
        for i in inputs:
            self.need_one(i, item)
        shape = self.receive(inputs[0])
        shapes = [self.builder.shape(i) for i in inputs]
        made = self.maker.parts(item, ctx.env)
        origin = Origin(item.span, ctx.call)
        if None not in shapes:  # what failed may stand for another number of inputs
            self._check_arity(item, made.main, inputs)
        if isinstance(made.main, Split):
            return self._split(
                made.main, place, inputs[0], origin, item.fields["parts"].span if "parts" in item.fields else item.span
            )
        if isinstance(made.main, Identity) and place.anonymous and not (made.norm or made.act):
            return inputs[0]
        main, again = made.main, None
        if isinstance(main, Again):
            again = earlier(self.builder, main.node, made.span("node", item.span), ctx.frame, place.scope)
            main = again.op
        flatten = isinstance(main, Fc) and main.kernel is None and shape is not None and len(shape) == 3
        if None not in shapes and again is None:
            try:
                main = main.settle([s for s in shapes if s is not None])
            except OpError as e:
                self.builder.explain(e, inputs, origin, made.written)
                return self.builder.fail(place.scope, origin)
        behind = [p for p in (made.norm, made.act) if p is not None]
        named = name_parts([made.main if again else main, *behind], place, self.document.naming, self.scopes, origin)
        if again is not None and named[0][1].scope is not place.scope:
            raise error(
                "E0420",
                "norm and activation both have tensors here, so this would be a module of its own",
                item.span,
                help="write the activation as a node of its own, behind this one",
            )
        given: Sequence[int] = inputs
        if flatten:
            path, spot = named[0]
            base = path if "/" not in path else path.rsplit("/", 1)[0]
            given = [
                self.builder.add(
                    Flatten.model_construct(), inputs, self.builder.implied_path(base, "flatten"), spot.scope, origin
                )
            ]
        for number, (part, (path, spot)) in enumerate(zip((main, *behind), named, strict=True)):
            written, runs = ({}, None) if number else (made.written, again)  # equal ops may be one object
            if runs is not None:
                check_fit(runs, [self.builder.shape(i) for i in given], origin.span)
            given = [self.builder.add(part, given, path, spot.scope, origin, written, runs)]
            if "/" not in path and spot.scope is not place.scope:
                spot.inner[path.rsplit(".", 1)[-1]] = Member(given[0])
        for _, spot in named:
            if spot.scope is not place.scope:
                self.scopes.close(spot)
        return given[0]

    def _check_arity(self, item: OpItem, op: Op, inputs: Sequence[int]) -> None:
        least, most = op.arity
        if len(inputs) < least:
            raise error(
                "E0414",
                f"`{op.kind}` reads at least {least} nodes, and only {len(inputs)} is given",
                item.span,
                help=f"name them: `{op.kind} <- a, b`",
            )
        if most is not None and len(inputs) > most:
            raise error(
                "E0414",
                f"`{op.kind}` reads one node, not {len(inputs)}",
                item.span,
                help="put a `concat`, `add` or `mul` before it",
            )

    def _split(self, split: Split, place: Place, cursor: int, origin: Origin, span: Span) -> int:
        if place.anonymous:
            raise error(
                "E0504",
                "`split` needs a name, by which its parts are read",
                origin.span,
                help="`parts: split 2`, then `<- parts.0`",
            )
        inside = self.scopes.open(place, "sequence", origin)
        self.several = tuple(f"{place.key}.{n}" for n in range(min(split.parts, 4)))
        for n, part in enumerate(self.slices(split.parts, cursor, span)):
            path = join(inside.scope.path, str(n))
            inside.inner[str(n)] = Member(self.builder.add(part, [cursor], path, inside.scope, origin))
        self.scopes.close(inside)
        return SEVERAL

    def slices(self, count: int, cursor: int, span: Span) -> list[Slice]:
        """Equal parts of the channels. Raises E0403 where they do not divide."""
        shape = self.builder.shape(cursor)
        if shape is None:
            raise ArchError(())
        channels = at(shape[0])
        if channels % count:
            raise error(
                "E0403", f"{channels} channels cannot be split into {count} equal parts", span, help=divisors(channels)
            )
        each = channels // count
        return [Slice(start=n * each, end=(n + 1) * each) for n in range(count)]
