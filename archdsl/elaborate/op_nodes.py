"""Expands a written op into nodes: the op itself, its norm and activation, and an implied flatten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archdsl.axes import axes_of
from archdsl.diagnostics import ArchError, Origin, Span, error
from archdsl.elaborate.again import check_fit, earlier
from archdsl.elaborate.build import SEVERAL, FirstRun
from archdsl.elaborate.make import Parts
from archdsl.elaborate.place import Context, Member, Output, ScopePlace, join, name_parts
from archdsl.elaborate.references import resolve
from archdsl.elaborate.run_again import run_again, twin
from archdsl.elaborate.walk import Walker
from archdsl.graph import Node
from archdsl.language.syntax import FieldValue, OpSyntax, Ref
from archdsl.ops import Again, Fc, Flatten, Slice
from archdsl.ops.base import Op, OpError, divisors
from archdsl.ops.reshape import Identity, Split
from archdsl.shapes import at


def op(walker: Walker, syntax: OpSyntax, place: ScopePlace, inputs: Sequence[int], ctx: Context) -> Output:
    """Expand an op with its norm and activation, and the flatten before an `fc`. Raises E0414, E0420."""
    for i in inputs:
        walker.require_one(i, syntax)
    shape = walker.receive(inputs[0])
    if all(walker.builder.shape(i) is not None for i in inputs):  # a failed node may have another number of outputs
        check_arity(syntax.op, len(inputs), syntax.span)
    parts = walker.maker.parts(syntax, ctx.env, shape)
    origin = Origin(syntax.span, ctx.call)
    inputs = [*inputs, *_named(walker, parts, ctx)]
    shapes = [walker.builder.shape(i) for i in inputs]
    if isinstance(parts.main, Split):
        span = parts.span("parts", syntax.span)
        return _split(walker, parts.main, place, inputs[0], origin, span, ctx.frame.current)
    if isinstance(parts.main, Identity) and place.anonymous and not (parts.norm or parts.act):
        return inputs[0]
    main, again = parts.main, None
    if isinstance(main, Again):
        first = earlier(walker.builder, main.node, parts.span("node", syntax.span), ctx.frame, place.scope)
        if isinstance(first, FirstRun):
            return run_again(walker, first, parts, place, inputs, origin)
        again, main = first, first.op
        check_arity(main, len(inputs), syntax.span)
    flatten = isinstance(main, Fc) and main.kernel is None and shape is not None and axes_of(shape) > 0
    if None not in shapes and again is None:
        try:
            main = walker.builder.settled(main, [s for s in shapes if s is not None])
        except OpError as e:
            if e.code == "E0426":
                _explain_axes(walker, e, syntax, main, inputs[0])
            walker.builder.explain(e, inputs, origin, parts.written)
            raise ArchError(()) from None
    following = [p for p in (parts.norm, parts.act) if p is not None]
    named = name_parts(
        [parts.main if again else main, *following], place, walker.document.naming, walker.scopes, origin
    )
    if again is not None and named[0][1].scope is not place.scope:
        raise error(
            "E0420",
            "`again` cannot be followed by a norm and an activation that both have weights",
            syntax.span,
            help="write the activation as a separate node after this one",
        )
    sources = [_flattened(walker, inputs, *named[0], origin)] if flatten else inputs
    return _add_parts(walker, [main, *following], named, sources, place, origin, parts.written, again, ctx.label)


def _named(walker: Walker, parts: Parts, ctx: Context) -> list[int]:
    """Return the nodes whose sizes the op gets; the one that `again` names is not an input."""
    if isinstance(parts.main, Again):
        return []
    refs = ((field, getattr(parts.main, field)) for field in sorted(parts.main.references))
    return [resolve(walker.builder, Ref.of(name, parts.written[field].span), ctx.frame) for field, name in refs if name]


def _explain_axes(walker: Walker, e: OpError, syntax: OpSyntax, op: Op, source: int) -> None:
    """Add the node to write to an error of axes. Raises E0426 at the input if the spec lacks `axes` instead."""
    from archdsl.elaborate.repair import likely_input, repaired
    from archdsl.elaborate.spread import missing_axes

    nodes = walker.builder.nodes
    as_input, fixes = likely_input(op, nodes, source)
    problem = missing_axes(walker.document, syntax.span, e, as_input)
    if problem is not None:
        raise problem from None
    e.help = repaired(syntax, op, nodes[source].shape, as_input) or e.help
    e.fixes = fixes


def _flattened(walker: Walker, inputs: Sequence[int], path: str, spot: ScopePlace, origin: Origin) -> int:
    """Add the implied flatten before the node at `path`."""
    base = path if "/" not in path else path.rsplit("/", 1)[0]
    implied = walker.builder.implied_path(base, "flatten")
    return walker.builder.add(Flatten.model_construct(), inputs, implied, spot.scope, origin)


def _add_parts(
    walker: Walker,
    ops: Sequence[Op],
    named: Sequence[tuple[str, ScopePlace]],
    sources: Sequence[int],
    place: ScopePlace,
    origin: Origin,
    written: Mapping[str, FieldValue],
    again: Node | None,
    label: str,
) -> int:
    """Add the ops of one written node, each reading the one before.

    The first has the label, and uses the weights of `again`.
    """
    for number, (part, (path, spot)) in enumerate(zip(ops, named, strict=True)):
        fields, runs, text = ({}, None, "") if number else (written, again, label)  # equal ops may be one object
        if runs is None and part.parametric and walker.builder.running_again:
            runs = twin(walker.builder, path, part, origin.span)
        if runs is not None:
            check_fit(runs, [walker.builder.shape(i) for i in sources], origin.span)
        sources = [walker.builder.add(part, sources, path, spot.scope, origin, fields, runs, text)]
        if "/" not in path and spot.scope is not place.scope:
            spot.inner[path.rsplit(".", 1)[-1]] = Member(sources[0])
    for _, spot in named:
        if spot.scope is not place.scope:
            walker.scopes.close(spot)
    return sources[0]


def check_arity(op: Op | type[Op], count: int, span: Span) -> None:
    """Raise E0414 unless the op takes so many inputs."""
    least, most = op.arity
    if count < least:
        raise error(
            "E0414",
            f"`{op.name}` takes {'at least ' * (most != least)}{least} inputs, not {count}",
            span,
            help=f"list them: `{op.name} <- a, b`",
        )
    if most is not None and count > most:
        raise error(
            "E0414",
            f"`{op.name}` takes {f'{most} inputs' if most > 1 else 'one input'}, not {count}",
            span,
            help=f"write `{op.of_several} <- a, b`" if op.of_several else "put a `concat`, `add` or `mul` before it",
        )


def _split(walker: Walker, split: Split, place: ScopePlace, cursor: int, origin: Origin, span: Span, name: str) -> int:
    """Add a slice for each part of a `split`; under a key that starts with `_` they add nothing to the path."""
    if place.anonymous and place.opened is None:
        raise error(
            "E0504",
            "`split` needs a name, so that other nodes can read its parts",
            origin.span,
            help="write `parts: split 2`, then `<- parts.0`",
        )
    hidden = place.anonymous
    inside = place if hidden else walker.scopes.open(place, "sequence", origin)
    names = place.opened if hidden and place.opened is not None else inside.inner
    walker.several = tuple(f"{name}.{n}" for n in range(min(split.parts, 4))) if name else ()
    for n, part in enumerate(slices(walker, split.parts, cursor, span)):
        own = join(inside.scope.path, str(n))
        path = walker.builder.implied_path(inside.scope.path, "slice") if hidden else own
        names[str(n)] = Member(walker.builder.add(part, [cursor], path, inside.scope, origin))
    if not hidden:
        walker.scopes.close(inside)
    return SEVERAL


def slices(walker: Walker, count: int, cursor: int, span: Span) -> list[Slice]:
    """Return slices of equal size of the channels. Raises E0403 if `count` does not divide their number."""
    shape = walker.builder.shape(cursor)
    if shape is None:
        raise ArchError(())
    channels = at(shape[0])
    if channels % count:
        raise error(
            "E0403", f"{channels} channels cannot be split into {count} equal parts", span, help=divisors(channels)
        )
    each = channels // count
    return [Slice(start=n * each, end=(n + 1) * each) for n in range(count)]
