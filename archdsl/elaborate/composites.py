"""Expands composites: lists, mappings, residual blocks and their shortcuts, parallel branches and dense blocks."""

from __future__ import annotations

from dataclasses import replace

from archdsl.axes import axes_of, in_short, kind_of, listed
from archdsl.diagnostics import ArchError, Diagnostic, Origin, Span, closest, error, removing, suggestion
from archdsl.elaborate.build import chain_notes
from archdsl.elaborate.calls import callee
from archdsl.elaborate.op_nodes import check_arity, slices
from archdsl.elaborate.place import Context, Counter, LeftOut, Output, ScopePlace, VisibleNames, value_of
from archdsl.elaborate.repeat import copies
from archdsl.elaborate.walk import Walker
from archdsl.language import expressions
from archdsl.language.expressions import show
from archdsl.language.hints import op_elsewhere, suggest_op
from archdsl.language.keys import SHORTCUTS
from archdsl.language.syntax import (
    BranchesSyntax,
    CallSyntax,
    DenseSyntax,
    DoSyntax,
    FieldValue,
    Key,
    ListSyntax,
    MapSyntax,
    ResidualSyntax,
    SyntaxNode,
)
from archdsl.ops import OPS_BY_NAME, Affine, Conv, MaxPool, Merge, Pad
from archdsl.ops.base import ALL_ONE, LARGEST, Op
from archdsl.shapes import Shape, at, format_shape

MERGES: dict[str, Op] = {name: op.model_construct() for name, op in OPS_BY_NAME.items() if issubclass(op, Merge)}


def sequence(walker: Walker, syntax: ListSyntax, inside: ScopePlace, cursor: int, ctx: Context) -> Output:
    """Expand a list: each node reads the one before."""
    ctx = ctx._replace(frame=VisibleNames(ctx.frame, items=syntax.items))
    counter, built = Counter(), False
    for child in syntax.items:
        output = walker.node(child, ScopePlace(inside.scope, inside.inner, None, counter), cursor, ctx)
        built = built or not isinstance(output, LeftOut)
        cursor = value_of(output)
    return cursor if built else LeftOut(cursor)


def mapping(walker: Walker, syntax: MapSyntax, inside: ScopePlace, cursor: int, ctx: Context) -> Output:
    """Expand named nodes: each reads the one before, unless it has a reference."""
    later = {key.text if key.name is None else key.name: child for key, child in syntax.entries}
    ctx = ctx._replace(frame=VisibleNames(ctx.frame, {}, later, named=True))
    built = False
    for key, child in syntax.entries:
        output = walker.keyed(key, child, inside, "", cursor, ctx)
        built = built or not isinstance(output, LeftOut)
        cursor = value_of(output)
    return cursor if built else LeftOut(cursor)


def do(walker: Walker, syntax: DoSyntax, inside: ScopePlace, cursor: int, ctx: Context) -> Output:
    """Expand the body of a `do` that has a `then`."""
    return walker.role(syntax.body, inside, "body", cursor, ctx)


def residual(walker: Walker, syntax: ResidualSyntax, inside: ScopePlace, cursor: int, ctx: Context) -> Output:
    """Expand a residual block. Raises E0412 or E0415 if the shortcut does not match the output of the body."""
    origin = Origin(syntax.span, ctx.call)
    walker.require_one(cursor, syntax)
    body = walker.role(syntax.body, inside, "body", cursor, ctx)
    if isinstance(body, LeftOut):
        return LeftOut(cursor)
    before, after = walker.builder.shape(cursor), walker.builder.shape(body)
    if before is None or after is None:
        if syntax.shortcut == "none":
            return body
        path = walker.builder.implied_path(inside.scope.path, "add")
        return walker.builder.add(MERGES["add"], [body, cursor], path, inside.scope, origin)
    if syntax.scale is not None:
        body = _scaled(walker, syntax, inside, body, ctx, origin)
    differ = [at(s) for s in before] != [at(s) for s in after]
    if syntax.shortcut == "none" or (differ and syntax.shortcut == "if_same_shape"):
        return body
    if isinstance(syntax.shortcut, CallSyntax):
        _check_shortcut(walker, syntax.shortcut, ctx)
    short = _shortcut(walker, syntax, inside, cursor, body, ctx) if differ else cursor
    if differ and short == body:  # an error that is reported already
        walker.builder.faulty.add(len(walker.builder.nodes))
    path = walker.builder.implied_path(inside.scope.path, "add")
    return walker.builder.add(MERGES["add"], [body, short], path, inside.scope, origin)


def _scaled(walker: Walker, syntax: ResidualSyntax, inside: ScopePlace, body: int, ctx: Context, origin: Origin) -> int:
    assert syntax.scale is not None
    walker.receive(body)
    value = syntax.scale.evaluate(ctx.env)
    if isinstance(value, (bool, str, tuple)) or value is None:
        raise error("E0308", f"`scale` must be a number, not {show(value)}", syntax.scale.span)
    if abs(float(value)) > LARGEST:
        largest = f"{LARGEST:.2g}"
        raise error("E0308", f"`scale` is larger than the largest float32 number, {largest}", syntax.scale.span)
    if value == 1:
        return body
    path = walker.builder.implied_path(inside.scope.path, "scale")
    return walker.builder.add(Affine(mul=float(value)), [body], path, inside.scope, origin)


def _check_shortcut(walker: Walker, shortcut: CallSyntax, ctx: Context) -> None:
    """Report a misspelt word even if the shapes agree and no shortcut is needed."""
    try:
        callee(walker, shortcut, ctx)
    except ArchError as e:
        near = closest(shortcut.call.name, SHORTCUTS)
        hint = suggestion(shortcut.call.name, near, SHORTCUTS) if near else None
        raise ArchError([replace(d, help=hint, fixes=()) if hint else d for d in e.diagnostics]) from None


def _shortcut(walker: Walker, syntax: ResidualSyntax, inside: ScopePlace, cursor: int, body: int, ctx: Context) -> int:
    """The other input of the addition. If none matches, the error is reported and the body is used instead."""
    before, after = walker.builder.nodes[cursor].shape, walker.builder.nodes[body].shape
    if isinstance(syntax.shortcut, SyntaxNode):
        output = value_of(walker.role(syntax.shortcut, inside, "shortcut", cursor, ctx))
        shape = walker.builder.shape(output)
        if shape is not None and [at(s) for s in shape] != [at(s) for s in after]:
            _report_conflict(walker, syntax, cursor, body, output, ctx)
            return body
        return output
    stride = _fitting_stride(walker, cursor, body)
    fewer = at(before[0]) - at(after[0])
    if stride is None or (syntax.shortcut == "pad" and fewer > 0):
        _report_misfit(walker, syntax, cursor, body, stride is not None, ctx)
        return body
    span = syntax.shortcut_span or syntax.span
    if syntax.shortcut == "pad":
        return _padded(walker, inside, cursor, -fewer, stride, Origin(span, ctx.call))
    return _projection(walker, inside, cursor, at(after[0]), stride, span, ctx)


def _projection(
    walker: Walker, inside: ScopePlace, cursor: int, channels: int, stride: tuple[int, ...], span: Span, ctx: Context
) -> int:
    out = expressions.literal(channels, span)
    sides = tuple(FieldValue(span, expressions.literal(s, span)) for s in stride)
    one = FieldValue(span, expressions.literal(1, span))
    fields = {"out": FieldValue(span, out), "kernel": one, "stride": FieldValue(span, None, sides)}
    conv = walker.maker.projection(span, Conv, fields)
    body = MapSyntax(
        span=span, entries=((Key("downsample", "downsample", span), ListSyntax(span=span, items=(conv,))),)
    )
    return value_of(walker.role(body, inside, "shortcut", cursor, ctx))


def _padded(walker: Walker, inside: ScopePlace, cursor: int, more: int, stride: tuple[int, ...], origin: Origin) -> int:
    """Option A of He et al. 2015: every stride-th pixel, and zeros in the new channels, which come last."""
    part = walker.scopes.anonymous(inside, "shortcut", origin)
    if set(stride) != {1}:
        path = walker.builder.implied_path(part.scope.path, "subsample")
        pool = MaxPool(kernel=ALL_ONE, stride=stride).settle([walker.builder.nodes[cursor].shape])
        cursor = walker.builder.add(pool, [cursor], path, part.scope, origin)
    if more:
        path = walker.builder.implied_path(part.scope.path, "pad")
        cursor = walker.builder.add(Pad(channels=(0, more)), [cursor], path, part.scope, origin)
    walker.scopes.close(part)
    return cursor


def _report_conflict(walker: Walker, syntax: ResidualSyntax, cursor: int, body: int, short: int, ctx: Context) -> None:
    """Report an addition of different shapes, and where the body changed the size."""
    nodes = walker.builder.nodes
    assert syntax.shortcut_span is not None
    label = f"N x {format_shape(nodes[short].shape)}"
    if short == cursor:
        label += f", from `{nodes[cursor].written_path}` unchanged"
    stride = _fitting_stride(walker, cursor, body)
    how = f" with stride {in_short(stride)}" if stride and set(stride) != {1} else ""
    window = kind_of(nodes[cursor].shape).window(1)
    help_ = f"remove `shortcut:` to get a {window} projection{how}"
    if not stride:
        help_ = walker.builder.remedy(MERGES["add"], [body, short]) or "keep the size in the body, e.g. with padding"
    walker.builder.report.add(
        Diagnostic(
            "E0412",
            "the two inputs of `add` have different shapes",
            syntax.shortcut_span,
            label,
            labels=walker.builder.changes(body, cursor),
            notes=chain_notes(ctx.call),
            help=help_,
            fixes=removing("shortcut", syntax.shortcut_span) if stride else (),
        )
    )


def _report_misfit(walker: Walker, syntax: ResidualSyntax, cursor: int, body: int, fits: bool, ctx: Context) -> None:
    """Report that neither a projection nor padding maps the input of the residual to the output of its body."""
    before, after = walker.builder.nodes[cursor].shape, walker.builder.nodes[body].shape
    if fits:
        message = f"`shortcut: pad` cannot reduce {at(before[0])} channels to {at(after[0])}"
        help_ = "remove `shortcut:` to get a 1x1 projection"
    else:
        shapes = f"the input (N x {format_shape(before)}) to the output of the body (N x {format_shape(after)})"
        strides = walker.builder.stride(cursor, body)
        of_body = f" with the stride of the body, {in_short(strides)}," if strides else ""
        message = f"no projection{of_body} maps {shapes}"
        keep = walker.builder.remedy(None, [body, cursor]) or "keep the size in the body (check its padding)"
        help_ = f"{keep}; or write a shortcut, or add nothing: `shortcut: if_same_shape`"
    walker.builder.report.add(
        Diagnostic(
            "E0415",
            message,
            syntax.shortcut_span or syntax.span,
            labels=walker.builder.changes(body, cursor),
            notes=chain_notes(ctx.call),
            help=help_,
        )
    )


def branches(walker: Walker, syntax: BranchesSyntax, inside: ScopePlace, cursor: int, ctx: Context) -> Output:
    """Expand parallel branches and their merge. Raises E0308 for a wrong `merge` or `split`."""
    origin = Origin(syntax.merge.span if syntax.merge is not None else syntax.span, ctx.call)
    walker.require_one(cursor, syntax)
    sources = [cursor] * len(syntax.branches)
    if syntax.split is not None:
        sources = _split_branches(walker, syntax, inside, cursor, ctx, origin)
    outputs: list[int] = []
    later = {key.text if key.name is None else key.name: child for key, child in syntax.branches if key is not None}
    ctx = ctx._replace(frame=VisibleNames(ctx.frame, {}, later, named=bool(later)))
    for key, child in syntax.branches:
        output = walker.keyed(key, child, inside, "branch", sources[min(len(outputs), len(sources) - 1)], ctx)
        if not isinstance(output, LeftOut):
            outputs.append(output)
    if syntax.split is not None and len(outputs) != len(sources):
        raise _uneven(syntax, syntax.split.span, len(sources), len(outputs))
    if len(outputs) < 2:
        return outputs[0] if outputs else LeftOut(cursor)
    merge = _merge_of(walker, syntax, len(outputs), ctx)
    path = walker.builder.implied_path(inside.scope.path, merge.name)
    return walker.builder.add(merge, outputs, path, inside.scope, origin)


def _merge_of(walker: Walker, syntax: BranchesSyntax, count: int, ctx: Context) -> Op:
    try:
        word = syntax.merge.evaluate(ctx.env) if syntax.merge is not None else "concat"
    except ArchError:
        word = syntax.merge.text if syntax.merge is not None else ""
    if not isinstance(word, str) or word not in MERGES:
        span = syntax.merge.span if syntax.merge is not None else syntax.span
        raise error(
            "E0308",
            f"`merge` must be {listed(tuple(MERGES), 'or')}, not {show(word)}",
            span,
            help=_nearest_merge(word) if isinstance(word, str) else "",
        )
    check_arity(MERGES[word], count, syntax.merge.span if syntax.merge is not None else syntax.span)
    return MERGES[word]


def _nearest_merge(word: str) -> str:
    known = OPS_BY_NAME[word].of_several if word in OPS_BY_NAME else op_elsewhere(word)
    near = known if known in MERGES else closest(word, MERGES)
    return suggestion(word, near, MERGES) if near else suggest_op(word)


def _split_branches(
    walker: Walker, syntax: BranchesSyntax, inside: ScopePlace, cursor: int, ctx: Context, origin: Origin
) -> list[int]:
    assert syntax.split is not None
    count = walker.count(syntax.split, ctx.env, "`split`")
    if not 1 <= count <= len(syntax.branches):
        raise _uneven(syntax, syntax.split.span, count, len(syntax.branches))
    out = []
    for part in slices(walker, count, cursor, syntax.split.span):
        path = walker.builder.implied_path(inside.scope.path, "slice")
        out.append(walker.builder.add(part, [cursor], path, inside.scope, origin))
    return out


def _uneven(syntax: BranchesSyntax, span: Span, parts: int, branches: int) -> ArchError:
    left_out = len(syntax.branches) - branches
    rest = f", as `when` leaves out {left_out}" if left_out > 0 else ""
    return error("E0308", f"`split` is {parts}, but there are {branches} branches{rest}", span)


def dense(walker: Walker, syntax: DenseSyntax, inside: ScopePlace, cursor: int, ctx: Context) -> Output:
    """Expand a dense block as a chain of concatenations."""
    assert syntax.repeat is not None
    walker.require_one(cursor, syntax)
    count = walker.count(syntax.repeat, ctx.env)
    origin = Origin(syntax.span, ctx.call)
    output: Output = LeftOut(cursor)
    for spot, env in copies(count, syntax.pattern, inside, Counter(), ctx.env):
        new = walker.node(syntax.layer, spot, cursor, ctx._replace(env=env, frame=VisibleNames(ctx.frame)))
        if isinstance(new, LeftOut):
            continue
        path = walker.builder.implied_path(inside.scope.path, "concat")
        output = cursor = walker.builder.add(MERGES["concat"], [cursor, new], path, inside.scope, origin)
    return output


def _fitting_stride(walker: Walker, cursor: int, body: int) -> tuple[int, ...] | None:
    """The strides of the body, if a convolution of one pixel with these has the sizes of the body; else None."""
    before, after = walker.builder.nodes[cursor].shape, walker.builder.nodes[body].shape
    if not axes_of(before) or not axes_of(after):
        return None
    strides = walker.builder.stride(cursor, body)
    if strides is None or [(at(b) - 1) // s + 1 for b, s in zip(before[1:], strides, strict=True)] != _sizes(after):
        return None
    return strides


def _sizes(shape: Shape) -> list[int]:
    return [at(size) for size in shape[1:]]
