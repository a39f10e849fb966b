"""The walk: items in written order become nodes. It recurses over the nesting of the text, which is bounded,
never over the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from archdsl.diagnostics import ArchError, CallSite, Diagnostic, Label, Origin, closest, did_you_mean, error
from archdsl.elaborate.build import Builder, chain_notes
from archdsl.elaborate.make import OpMaker
from archdsl.elaborate.place import Context, Counter, Frame, Member, Place, Scopes, drop_if_empty, join, name_parts
from archdsl.graph import Scope
from archdsl.language import expressions
from archdsl.language.document import Block, Document, show
from archdsl.language.expressions import Env, Expr, Value
from archdsl.language.items import (
    BranchesItem,
    CallItem,
    DenseItem,
    DoItem,
    Item,
    Key,
    ListItem,
    MapItem,
    OpItem,
    Ref,
    ResidualItem,
    Written,
)
from archdsl.ops import KINDS, Add, Affine, Concat, Conv, Fc, Flatten, MaxPool, Mul, Pad, Slice
from archdsl.ops.base import Op, OpError
from archdsl.ops.reshape import Identity, Split
from archdsl.shapes import Shape, at, format_shape

MAX_DEPTH = 60
"""Nesting of composites and block calls."""
SEVERAL = -1
"""The cursor behind a node that gives several tensors, and at the start of a net with several inputs."""
MERGES = {"concat": Concat(), "add": Add(), "mul": Mul()}


@dataclass
class Walker:
    document: Document
    builder: Builder
    file_env: Env
    incoming: Shape | str | None = None
    """The shape that `in` speaks of; None where it is unknown, a text where `in` has no meaning."""

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
            raise error("E0313", f"{what} may not use `in`", expr.span,
                        help="the size of the graph must be known before shapes are; use an argument")  # fmt: skip
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

    def _guard(self, build: object, item: Item, place: Place, cursor: int, ctx: Context) -> int | None:
        """Reports an item's errors and goes on behind a placeholder, so that one mistake is one error."""
        try:
            return build(item, place, cursor, ctx)  # type: ignore[operator, no-any-return]
        except ArchError as e:
            origin = Origin(item.span, ctx.call)
            for d in e.diagnostics:
                at_span = d if d.span is not None else replace(d, span=item.span)
                self.builder.report.add(replace(at_span, notes=at_span.notes or chain_notes(origin)))
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
            raise error("E0302", "a repeated node reads one node: the first copy reads it, each further copy the one before",
                        item.sources[1].span)  # fmt: skip
        given: int | None = None
        for k in range(count):
            env = Env({"i": k, "first": k == 0, "last": k == count - 1}, ctx.env)
            key = item.pattern.replace("{0}", str(k)).replace("{1}", str(k + 1)) if item.pattern else None
            spot = Place(inside.scope, inside.inner, key, None if key else counter)
            source = cursor if given is None else given
            result = self._single(item, spot, source, replace(ctx, env=env), read=given is None)
            if result is not None:
                given = result
        if inside is not place:
            self._finish(place, inside, given)
        return given

    def _single(self, item: Item, place: Place, cursor: int, ctx: Context, read: bool = True) -> int | None:
        if ctx.depth > MAX_DEPTH:
            raise error("E0316", f"blocks and composites are nested more than {MAX_DEPTH} deep", item.span)
        inputs = [self.resolve(ref, ctx.frame) for ref in item.sources] if item.sources and read else [cursor]
        if item.when is not None:
            self.receive(inputs[0])
            if not item.when.evaluate(ctx.env):
                return None
        name = place.key if place.key is not None else str(place.counter.next) if place.counter is not None else None
        given = self._dispatch(item, place, inputs, replace(ctx, depth=ctx.depth + 1))
        if given is not None and name is not None:
            place.inner[name] = Member(given if given >= 0 else None, place.opened if place.opened is not None else {})
        return given

    def _dispatch(self, item: Item, place: Place, inputs: Sequence[int], ctx: Context) -> int | None:
        if isinstance(item, OpItem):
            return self._op(item, place, inputs, ctx)
        if isinstance(item, CallItem):
            return self._call(item, place, inputs, ctx)
        if isinstance(item, DoItem) and item.then is None:
            return self.item(item.body, place, self._one(item, inputs), ctx)
        cursor = self._one(item, inputs)
        kind = {ResidualItem: "residual", BranchesItem: "branches", DenseItem: "dense"}.get(type(item), "sequence")
        inside = self.scopes.open(place, kind, Origin(item.span, ctx.call), item.doc)  # type: ignore[arg-type]
        given = self._composite(item, inside, cursor, ctx)
        if given is not None and item.then is not None:
            given = self._role(item.then, inside, "then", given, ctx)
        self._finish(place, inside, given)
        return given

    def _composite(self, item: Item, inside: Place, cursor: int, ctx: Context) -> int | None:
        if isinstance(item, ListItem):
            return self._list(item, inside, cursor, ctx)
        if isinstance(item, MapItem):
            return self._map(item, inside, cursor, ctx)
        if isinstance(item, ResidualItem):
            return self._residual(item, inside, cursor, ctx)
        if isinstance(item, BranchesItem):
            return self._branches(item, inside, cursor, ctx)
        if isinstance(item, DenseItem):
            return self._dense(item, inside, cursor, ctx)
        assert isinstance(item, DoItem)
        return self._role(item.body, inside, "body", cursor, ctx)

    def _finish(self, place: Place, inside: Place, given: int | None) -> None:
        if given is None:
            self.scopes.undo(place, inside)
        self.scopes.close(inside)

    def _one(self, item: Item, inputs: Sequence[int]) -> int:
        if len(inputs) != 1:
            raise error("E0414", f"this node reads one tensor, not {len(inputs)}", item.span,
                        help="only merges (concat, add, mul) and blocks with several inputs read more")  # fmt: skip
        return inputs[0]

    def _role(self, item: Item, inside: Place, role: str, cursor: int, ctx: Context) -> int | None:
        """A body, shortcut, branch or `then`, in an anonymous scope."""
        part = self.scopes.anonymous(inside, role, Origin(item.span, ctx.call))
        given = self.item(item, part, cursor, ctx)
        self.scopes.close(part)
        drop_if_empty(part)
        return given

    # --- sequences and references ------------------------------------------------------------------------

    def _list(self, item: ListItem, inside: Place, cursor: int, ctx: Context) -> int | None:
        ctx = replace(ctx, frame=Frame(ctx.frame))
        counter, last = Counter(), None
        for child in item.items:
            given = self.item(child, Place(inside.scope, inside.inner, None, counter), cursor, ctx)
            if given is not None:
                cursor = last = given
        return last

    def _map(self, item: MapItem, inside: Place, cursor: int, ctx: Context) -> int | None:
        frame = Frame(ctx.frame, {}, frozenset(key.name for key, _ in item.entries if key.name))
        ctx = replace(ctx, frame=frame)
        last = None
        for key, child in item.entries:
            given = self._keyed(key, child, inside, "", cursor, ctx)
            if given is not None:
                cursor = last = given
        return last

    def _keyed(self, key: Key | None, child: Item, inside: Place, role: str, cursor: int, ctx: Context) -> int | None:
        """A child under a key; `_x`, or none, names nothing."""
        if key is None or key.name is None:
            return self._role(child, inside, role, cursor, ctx)
        spot = Place(inside.scope, inside.inner, key.name)
        before = len(inside.scope.members)
        given = self.item(child, spot, cursor, ctx)
        for member in inside.scope.members[before:]:
            if role and isinstance(member, Scope):
                member.role = "branch"
        if given is not None:
            member_of = inside.inner.setdefault(key.name, Member(given if given >= 0 else None))
            ctx.frame.names[key.name] = member_of
        return given

    def resolve(self, ref: Ref, frame: Frame) -> int:
        """The node that a reference names. Raises E0410 (unknown), E0411 (built later), E0421 (gives several)."""
        member: Member | None = None
        at_frame: Frame | None = frame
        while at_frame is not None and member is None:
            member = at_frame.names.get(ref.parts[0])
            at_frame = at_frame.parent
        if member is None:
            raise self._unknown(ref, frame)
        for n, part in enumerate(ref.parts[1:], 1):
            if part not in member.inner:
                raise error("E0410", f"`{'.'.join(ref.parts[:n])}` has no node `{part}`", ref.span, help=did_you_mean(part, member.inner))
            member = member.inner[part]
        if member.value is None:
            raise error("E0421", f"`{'.'.join(ref.parts)}` gives several tensors", ref.span,
                        help="name one: " + ", ".join(f"`{'.'.join(ref.parts)}.{n}`" for n in list(member.inner)[:4]))  # fmt: skip
        return member.value

    def _unknown(self, ref: Ref, frame: Frame) -> ArchError:
        name = ref.parts[0]
        visible: list[str] = []
        at_frame: Frame | None = frame
        while at_frame is not None:
            if name in at_frame.later:
                return error("E0411", f"`{name}` is built later: a reference points back only", ref.span,
                             help="move the node up, or this one down")  # fmt: skip
            visible += at_frame.names
            at_frame = at_frame.parent
        hint = did_you_mean(name, visible)
        if closest(name, visible) is None:
            hint = (hint + "\n" if hint else "") + "a block sees nothing of its caller but its arguments and inputs"
        return error("E0410", f"there is no node `{name}` to read here", ref.span, help=hint)

    # --- ops ---------------------------------------------------------------------------------------------

    def _op(self, item: OpItem, place: Place, inputs: Sequence[int], ctx: Context) -> int | None:
        if SEVERAL in inputs:
            raise error("E0421", "several tensors arrive here", item.span, help="say which one with `<-`")
        shape = self.receive(inputs[0])
        shapes = [self.builder.shape(i) for i in inputs]
        made = self.maker.parts(item, ctx.env)
        origin = Origin(item.span, ctx.call)
        self._check_arity(item, made.main, inputs)
        if isinstance(made.main, Split):
            return self._split(made.main, place, inputs[0], origin)
        if isinstance(made.main, Identity) and place.anonymous and not (made.norm or made.act):
            return inputs[0]
        main = made.main
        flatten = isinstance(main, Fc) and main.kernel is None and shape is not None and len(shape) == 3
        if None not in shapes:
            try:
                main = main.settle([s for s in shapes if s is not None])
            except OpError as e:
                self.builder.explain(e, inputs, origin, made.spans, ())
                return self.builder.fail(place.scope, origin)
        parts = [p for p in (main, made.norm, made.act) if p is not None]
        named = name_parts(parts, place, self.document.naming, self.scopes, origin)
        given: Sequence[int] = inputs
        if flatten:
            path, spot = named[0]
            base = path if "/" not in path else path.rsplit("/", 1)[0]
            given = [self.builder.add(Flatten(), inputs, self.builder.implied_path(base, "flatten"), spot.scope, origin)]
        for part, (path, spot) in zip(parts, named, strict=True):
            spans = made.spans if part is main else {}
            given = [self.builder.add(part, given, path, spot.scope, origin, spans)]
            if "/" not in path and spot.scope is not place.scope:
                spot.inner[path.rsplit(".", 1)[-1]] = Member(given[0])
        for _, spot in named:
            if spot.scope is not place.scope:
                self.scopes.close(spot)
        return given[0]

    def _check_arity(self, item: OpItem, op: Op, inputs: Sequence[int]) -> None:
        least, most = op.arity
        if len(inputs) < least:
            raise error("E0414", f"`{op.kind}` reads at least {least} nodes, and only {len(inputs)} is given", item.span,
                        help=f"name them: `{op.kind} <- a, b`")  # fmt: skip
        if most is not None and len(inputs) > most:
            raise error("E0414", f"`{op.kind}` reads one node, not {len(inputs)}", item.span,
                        help="put a `concat`, `add` or `mul` before it")  # fmt: skip

    def _split(self, split: Split, place: Place, cursor: int, origin: Origin) -> int:
        if place.anonymous:
            raise error("E0504", "`split` needs a name, by which its parts are read", origin.span, help="`parts: split 2`, then `<- parts.0`")
        inside = self.scopes.open(place, "sequence", origin)
        for n, part in enumerate(self.slices(split.parts, cursor, origin)):
            path = join(inside.scope.path, str(n))
            inside.inner[str(n)] = Member(self.builder.add(part, [cursor], path, inside.scope, origin))
        self.scopes.close(inside)
        return SEVERAL

    def slices(self, count: int, cursor: int, origin: Origin) -> list[Slice]:
        """Equal parts of the channels. Raises E0403 where they do not divide."""
        shape = self.builder.shape(cursor)
        if shape is None:
            raise ArchError(())
        channels = at(shape[0])
        if channels % count:
            raise error("E0403", f"{channels} channels cannot be split into {count} equal parts", origin.span)
        each = channels // count
        return [Slice(start=n * each, end=(n + 1) * each) for n in range(count)]

    # --- calls -------------------------------------------------------------------------------------------

    def _call(self, item: CallItem, place: Place, inputs: Sequence[int], ctx: Context) -> int | None:
        call = item.call
        target = self._callee(item, ctx)
        self.receive(inputs[0])
        if target in KINDS:
            return self._op(self._kind_call(item, KINDS[target], ctx), place, inputs, ctx)
        block = self.blocks[target]
        if target in ctx.active:
            chain = " -> ".join([*ctx.active[ctx.active.index(target) :], target])
            raise error("E0211", f"the block `{target}` uses itself: {chain}", call.span, labels=(Label(block.span, "defined here"),))
        values, shown = self._bind(item, block, ctx)
        frame = self._block_frame(item, block, inputs)
        site = CallSite(f"{target}({', '.join(shown)})", call.span, place.path() or "net", ctx.call)
        inner = Context(frame, Env(values, self.file_env), site, (*ctx.active, target), ctx.depth)
        return self.item(block.body, place.called(target, values), inputs[0], inner)

    def _callee(self, item: CallItem, ctx: Context) -> str:
        name = item.call.name
        value: Value
        if name in self.blocks or name in KINDS:
            return name
        try:
            value = ctx.env(name)
        except KeyError:
            raise error("E0301", f"there is no kind or block `{name}`", item.call.name_span,
                        help=did_you_mean(name, [*self.blocks, *KINDS])) from None  # fmt: skip
        if not isinstance(value, str) or (value not in self.blocks and value not in KINDS):
            raise error("E0301", f"`{name}` is {show(value)}, not the name of a block or kind", item.call.name_span)
        return value

    def _kind_call(self, item: CallItem, op: type[Op], ctx: Context) -> OpItem:
        """An argument that names a kind, used as a node: `act`, `pool(2)`."""
        fields: dict[str, Written] = {}
        positional = list(op.positional)
        for arg in item.call.args:
            name = arg.name or (positional.pop(0) if positional and not arg.star else None)
            if name is None or name not in op.model_fields:
                raise error("E0309", f"`{op.kind}` has no use for this value" if arg.name is None else f"`{op.kind}` has no `{name}`",
                            arg.span, help=did_you_mean(arg.name or "", op.model_fields))  # fmt: skip
            fields[name] = Written(arg.value.span, arg.value)
        return OpItem(span=item.span, op=op, fields=fields)

    def _block_frame(self, item: CallItem, block: Block, inputs: Sequence[int]) -> Frame:
        wanted = max(len(block.inputs), 1)
        if len(inputs) != wanted:
            names = ", ".join(block.inputs) or "one tensor"
            raise error("E0414", f"`{block.name}` reads {wanted} ({names}), and {len(inputs)} {'is' if len(inputs) == 1 else 'are'} given",
                        item.span, labels=(Label(block.span, "defined here"),),
                        help=f"name them: `{block.name}(...) <- {', '.join(block.inputs or ('x',))}`")  # fmt: skip
        given = {name: Member(node) for name, node in zip(block.inputs, inputs, strict=False)}
        return Frame(None, {**given, "input": Member(inputs[0] if inputs[0] >= 0 else None)})

    def _bind(self, item: CallItem, block: Block, ctx: Context) -> tuple[dict[str, Value], list[str]]:
        """The block's arguments by name, and as shown in a trace. Raises E0307."""
        positional: list[Value] = []
        named: dict[str, Value] = {}
        label = (Label(block.span, "defined here"),)
        for arg in item.call.args:
            value = arg.value.evaluate(ctx.env)
            if arg.star:
                if not isinstance(value, tuple):
                    raise error("E0307", f"`*` needs a list, not {show(value)}", arg.span)
                positional += value
            elif arg.name is None:
                positional.append(value)
            elif arg.name in named or arg.name not in [p.name for p in block.params]:
                what = "twice" if arg.name in named else ""
                raise error("E0307", f"`{block.name}` gets `{arg.name}` twice" if what else f"`{block.name}` has no argument `{arg.name}`",
                            arg.span, labels=label, help=did_you_mean(arg.name, [p.name for p in block.params]))  # fmt: skip
            else:
                named[arg.name] = value
        if len(positional) > len(block.params):
            raise error("E0307", f"`{block.name}` takes {len(block.params)} values, and {len(positional)} are given", item.call.span,
                        labels=label)  # fmt: skip
        values = dict(zip((p.name for p in block.params), positional, strict=False))
        twice = next((n for n in named if n in values), None)
        if twice:
            raise error("E0307", f"`{block.name}` gets `{twice}` twice", item.call.span, labels=label)
        shown = [show(v) for v in positional] + [f"{k}={show(v)}" for k, v in named.items()]
        values |= named
        env = Env(values, self.file_env)
        for p in block.params:
            if p.name not in values:
                if p.default is None:
                    raise error("E0307", f"`{block.name}` needs `{p.name}`", item.call.span, labels=(Label(p.span, "no default"),))
                values[p.name] = p.default.evaluate(env)
        return {p.name: values[p.name] for p in block.params}, shown

    # --- composites --------------------------------------------------------------------------------------

    def _residual(self, item: ResidualItem, inside: Place, cursor: int, ctx: Context) -> int | None:
        origin = Origin(item.span, ctx.call)
        if cursor == SEVERAL:
            raise error("E0421", "several tensors arrive here", item.span, help="say which one with `<-`")
        body = self._role(item.body, inside, "body", cursor, ctx)
        if body is None:
            return None
        before, after = self.builder.shape(cursor), self.builder.shape(body)
        if before is None or after is None:
            return self.builder.fail(inside.scope, origin)
        if item.scale is not None:
            body = self._scaled(item, inside, body, ctx, origin)
        differ = [at(s) for s in before] != [at(s) for s in after]
        if differ and item.shortcut == "none":
            return body
        short = cursor
        if differ:
            short = self._shortcut(item, inside, cursor, before, after, ctx)
        got = self.builder.shape(short)
        ends: tuple[Label, ...] = ()
        if got is not None and [at(s) for s in got] != [at(s) for s in after]:
            ends = self._ends(item, cursor, body, short)
            origin = Origin(item.shortcut_span or item.span, ctx.call)
        path = self.builder.implied_path(inside.scope.path, "add")
        return self.builder.add(Add(), [body, short], path, inside.scope, origin, ends=ends)

    def _scaled(self, item: ResidualItem, inside: Place, body: int, ctx: Context, origin: Origin) -> int:
        assert item.scale is not None
        self.receive(body)
        value = item.scale.evaluate(ctx.env)
        if isinstance(value, (bool, str, tuple)) or value is None:
            raise error("E0308", f"`scale` must be a number, not {show(value)}", item.scale.span)
        if value == 1:
            return body
        path = self.builder.implied_path(inside.scope.path, "scale")
        return self.builder.add(Affine(mul=float(value)), [body], path, inside.scope, origin)

    def _shortcut(self, item: ResidualItem, inside: Place, cursor: int, before: Shape, after: Shape, ctx: Context) -> int:
        if isinstance(item.shortcut, Item):
            given = self._role(item.shortcut, inside, "shortcut", cursor, ctx)
            return cursor if given is None else given
        stride = fitting_stride(before, after)
        span = item.shortcut_span or item.span
        if stride is None:
            raise error("E0415", f"no projection fits: the body turns N x {format_shape(before)} into N x {format_shape(after)}", span,
                        labels=self._ends(item, cursor, None, None),
                        help="write the shortcut yourself, or `shortcut: none` for no addition")  # fmt: skip
        if item.shortcut == "pad":
            return self._padded(item, inside, cursor, before, after, stride, Origin(span, ctx.call))
        out = expressions.literal(at(after[0]), span)
        sides = tuple(Written(span, expressions.literal(s, span)) for s in stride)
        one = Written(span, expressions.literal(1, span))
        fields = {"out": Written(span, out), "kernel": one, "stride": Written(span, None, sides)}
        conv = self.maker.projection(span, Conv, fields)
        body = MapItem(span=span, entries=((Key("downsample", "downsample", span), ListItem(span=span, items=(conv,))),))
        given = self._role(body, inside, "shortcut", cursor, ctx)
        assert given is not None
        return given

    def _padded(self, item: ResidualItem, inside: Place, cursor: int, before: Shape, after: Shape,
                stride: tuple[int, int], origin: Origin) -> int:  # fmt: skip
        """Option A of He et al. 2015: every stride-th pixel, zeros for the new channels (behind the old ones)."""
        more = at(after[0]) - at(before[0])
        if more < 0:
            raise error("E0415", f"`shortcut: pad` cannot drop channels: {at(before[0])} become {at(after[0])}", origin.span)
        part = self.scopes.anonymous(inside, "shortcut", origin)
        if stride != (1, 1):
            path = self.builder.implied_path(part.scope.path, "subsample")
            cursor = self.builder.add(MaxPool(kernel=(1, 1), stride=stride), [cursor], path, part.scope, origin)
        if more:
            path = self.builder.implied_path(part.scope.path, "pad")
            cursor = self.builder.add(Pad(channels=(0, more)), [cursor], path, part.scope, origin)
        self.scopes.close(part)
        return cursor

    def _ends(self, item: ResidualItem, cursor: int, body: int | None, short: int | None) -> tuple[Label, ...]:
        """Both ends of a residual whose shapes do not meet, and where the body changed the size."""
        labels = []
        if body is not None:
            resized = self.builder.resized_at(body, cursor)
            at_node = body if resized is None else resized
            shape = self.builder.shape(body)
            word = "the size changes here; the body gives" if resized is not None else "the body gives"
            if shape is not None:
                labels.append(Label(self.builder.nodes[at_node].origin.span, f"{word} N x {format_shape(shape)}"))
        if short is not None:
            shape = self.builder.shape(short)
            source = self.builder.nodes[short]
            what = "unchanged" if short == cursor else "through the shortcut"
            if shape is not None:
                labels.append(Label(source.origin.span, f"N x {format_shape(shape)}, from `{source.path}` {what}"))
        return tuple(labels)

    def _branches(self, item: BranchesItem, inside: Place, cursor: int, ctx: Context) -> int | None:
        origin = Origin(item.span, ctx.call)
        if cursor == SEVERAL:
            raise error("E0421", "several tensors arrive here", item.span, help="say which one with `<-`")
        cursors = [cursor] * len(item.branches)
        if item.split is not None:
            cursors = self._split_branches(item, inside, cursor, ctx, origin)
        outputs = []
        for (key, child), source in zip(item.branches, cursors, strict=True):
            given = self._keyed(key, child, inside, "branch", source, ctx)
            if given is not None:
                outputs.append(given)
        if len(outputs) < 2:
            return outputs[0] if outputs else None
        merge = self._merge_of(item, ctx)
        path = self.builder.implied_path(inside.scope.path, merge.kind)
        return self.builder.add(merge, outputs, path, inside.scope, origin)

    def _merge_of(self, item: BranchesItem, ctx: Context) -> Op:
        word = item.merge.evaluate(ctx.env) if item.merge is not None else "concat"
        if not isinstance(word, str) or word not in MERGES:
            span = item.merge.span if item.merge is not None else item.span
            raise error("E0308", f"`merge` is concat, add or mul, not {show(word)}", span)
        return MERGES[word]

    def _split_branches(self, item: BranchesItem, inside: Place, cursor: int, ctx: Context, origin: Origin) -> list[int]:
        assert item.split is not None
        count = self.count(item.split, ctx.env, "`split`")
        if count != len(item.branches):
            raise error("E0308", f"`split` is {count}, and there are {len(item.branches)} branches", item.split.span)
        out = []
        for part in self.slices(count, cursor, origin):
            path = self.builder.implied_path(inside.scope.path, "slice")
            out.append(self.builder.add(part, [cursor], path, inside.scope, origin))
        return out

    def _dense(self, item: DenseItem, inside: Place, cursor: int, ctx: Context) -> int | None:
        assert item.repeat is not None
        if cursor == SEVERAL:
            raise error("E0421", "several tensors arrive here", item.span, help="say which one with `<-`")
        count = self.count(item.repeat, ctx.env)
        origin = Origin(item.span, ctx.call)
        counter = Counter()
        given: int | None = None
        for k in range(count):
            env = Env({"i": k, "first": k == 0, "last": k == count - 1}, ctx.env)
            key = item.pattern.replace("{0}", str(k)).replace("{1}", str(k + 1)) if item.pattern else None
            spot = Place(inside.scope, inside.inner, key, None if key else counter)
            new = self.item(item.layer, spot, cursor, replace(ctx, env=env, frame=Frame(ctx.frame)))
            if new is None:
                continue
            path = self.builder.implied_path(inside.scope.path, "concat")
            given = cursor = self.builder.add(Concat(), [cursor, new], path, inside.scope, origin)
        return given


def fitting_stride(before: Shape, after: Shape) -> tuple[int, int] | None:
    """The stride of a 1x1 convolution that turns the first height and width into the second, or None."""
    if len(before) != 3 or len(after) != 3:
        return None
    out = []
    for a, b in zip(before[1:], after[1:], strict=True):
        big, small = at(a), at(b)
        stride = 1 if small == big else -(-(big - 1) // small) if small < big else 0
        stride = next((s for s in (stride, big // small if small else 0, stride + 1) if s and (big - 1) // s + 1 == small), 0)
        if not stride:
            return None
        out.append(stride)
    return out[0], out[1]


def unread(builder: Builder, keep: set[int]) -> list[Diagnostic]:
    """Warnings for nodes with parameters or a name that nothing reads."""
    read = {i for node in builder.nodes for i in node.inputs} | keep
    return [
        Diagnostic("W0901", f"nothing reads `{node.path}`", node.origin.span, severity="warning",
                   notes=chain_notes(node.origin), help="read it with `<-`, list it under `outputs`, or remove it")
        for node in builder.nodes
        if node.id not in read and node.op.kind != "input"
    ]  # fmt: skip


