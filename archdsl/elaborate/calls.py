"""Expands block calls: finds the block, binds its arguments and walks its body with its own names and values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from archdsl.diagnostics import ArchError, CallSite, Label, did_you_mean, error
from archdsl.elaborate.merges import is_node, merge_of
from archdsl.elaborate.op_nodes import op
from archdsl.elaborate.place import Context, Member, Output, ScopePlace, VisibleNames
from archdsl.elaborate.walk import Walker
from archdsl.language.document import Block
from archdsl.language.expressions import Env, Value, show
from archdsl.language.hints import suggest_op
from archdsl.language.read_nodes import readable
from archdsl.language.syntax import BrokenSyntax, CallSyntax, FieldValue, NormOrAct, OpSyntax
from archdsl.ops import OPS_BY_NAME, Split
from archdsl.ops.base import Op
from archdsl.source import Scalar


def call(walker: Walker, syntax: CallSyntax, place: ScopePlace, inputs: Sequence[int], ctx: Context) -> Output:
    """Expand a block call. Raises E0211 for recursion, E0301, E0307 and E0414 for wrong arguments and inputs."""
    call = syntax.call
    walker.receive(inputs[0])
    try:
        target = callee(walker, syntax, ctx)
        of_op = _op_call(syntax, OPS_BY_NAME[target]) if target in OPS_BY_NAME else None
    except ArchError as problem:
        raise _answered(walker, problem, syntax) from None
    if of_op is not None:
        return op(walker, of_op, place, inputs, ctx)
    block = walker.blocks[target]
    if isinstance(block.body, BrokenSyntax):
        raise ArchError(())  # its errors are reported already
    if target in ctx.active:
        chain = " -> ".join([*ctx.active[ctx.active.index(target) :], target])
        raise error(
            "E0211",
            f"the block `{target}` uses itself: {chain}",
            call.span,
            labels=(Label(block.span, "defined here"),),
        )
    values, shown = _bind(walker, syntax, block, ctx)
    frame = _block_frame(syntax, block, inputs)
    site = CallSite(f"{target}({', '.join(shown)})", call.span, place.path() or "net", ctx.call)
    inner = Context(frame, Env(values, walker.file_env), site, (*ctx.active, target), ctx.depth, ctx.label)
    return walker.node(block.body, place.called(target, values), inputs[0], inner)


def _answered(walker: Walker, problem: ArchError, syntax: CallSyntax) -> ArchError:
    """The error of a call that is written as in another tool, with the node that it stands for."""
    from archdsl.language.foreign import Context, answered

    span = syntax.call.span
    call = Scalar(span.text, span.text, span, offset=span.start)
    blocks = walker.blocks
    return answered(problem.diagnostics, call, Context(partial(readable, blocks=blocks), blocks)) or problem


def callee(walker: Walker, syntax: CallSyntax, ctx: Context) -> str:
    """Return the name of the block or op that is called. Raises E0301."""
    name = syntax.call.name
    value: Value
    if name in walker.blocks or name in OPS_BY_NAME:
        return name
    try:
        value = ctx.env(name)
    except KeyError:
        if is_node(name, ctx.frame):
            help_, fixes = merge_of(name, syntax.call.name_span)
            what = f"`{name}` is a node of this network, not an op or a block"
            raise error("E0301", what, syntax.call.name_span, help=help_, fixes=fixes) from None
        raise error(
            "E0301", f"unknown op or block `{name[:60]}`", syntax.call.name_span, help=suggest_op(name, walker.blocks)
        ) from None
    if not isinstance(value, str) or (value not in walker.blocks and value not in OPS_BY_NAME):
        raise error(
            "E0301",
            f"`{name}` is {show(value)}, not the name of an op or a block",
            syntax.call.name_span,
            help=suggest_op(value, walker.blocks) if isinstance(value, str) else "",
        )
    return value


def _op_call(syntax: CallSyntax, op: type[Op]) -> OpSyntax:
    """A call of an argument whose value is the name of an op, `act` or `pool(2)`, as the syntax of that op."""
    fields: dict[str, FieldValue] = {}
    parts: dict[str, NormOrAct] = {}
    positional = list(op.positional)
    for arg in syntax.call.args:
        name = arg.name or (positional.pop(0) if positional and not arg.star else None)
        if name in ("norm", "act") and op is not Split:
            parts[name] = NormOrAct(FieldValue(arg.value.span, arg.value))
            continue
        if name is None or name not in op.model_fields:
            what = f"has no field `{name}`" if arg.name else "does not take this value"
            fields_help = f"its fields are {', '.join(op.model_fields)}" if op.model_fields else "it has no fields"
            raise error(
                "E0309",
                f"`{op.name}` {what}",
                arg.span,
                help=did_you_mean(arg.name, op.model_fields) if arg.name else fields_help,
            )
        fields[name] = FieldValue(arg.value.span, arg.value)
    return OpSyntax(span=syntax.span, op=op, fields=fields, norm=parts.get("norm"), act=parts.get("act"))


def _block_frame(syntax: CallSyntax, block: Block, inputs: Sequence[int]) -> VisibleNames:
    count = max(len(block.inputs), 1)
    if len(inputs) != count:
        listed = f" ({', '.join(block.inputs)})" if block.inputs else ""
        raise error(
            "E0414",
            f"`{block.name}` takes {count} input{'' if count == 1 else 's'}{listed}, not {len(inputs)}",
            syntax.span,
            labels=(Label(block.span, "defined here"),),
            help=f"write `{block.name}(...) <- {', '.join(block.inputs or ('x',))}`",
        )
    names = {name: Member(node) for name, node in zip(block.inputs, inputs, strict=False)}
    return VisibleNames(
        None, {**names, "input": Member(inputs[0] if inputs[0] >= 0 else None)}, block=block.name, named=True
    )


def _bind(walker: Walker, syntax: CallSyntax, block: Block, ctx: Context) -> tuple[dict[str, Value], list[str]]:
    """The block's arguments by name, and as text for notes. Raises E0307."""
    positional, named = _arguments(syntax, block, ctx)
    shown = [show(v) for v in positional] + [f"{k}={show(v)}" for k, v in named.items()]
    starred = any(arg.star for arg in syntax.call.args)
    label = f"expands to `{block.name}({', '.join(shown)})`" if starred else ""
    values = _by_name(syntax, block, positional, label) | named
    env = Env(values, walker.file_env)
    for p in block.params:
        if p.name not in values:
            if p.default is None:
                raise error(
                    "E0307",
                    f"`{block.name}` needs the argument `{p.name}`",
                    syntax.call.span,
                    label=label,
                    labels=(Label(p.span, "has no default"),),
                    help=f"its arguments are {', '.join(p.name for p in block.params)}",
                )
            values[p.name] = p.default.evaluate(env)
    return {p.name: values[p.name] for p in block.params}, shown


def _arguments(syntax: CallSyntax, block: Block, ctx: Context) -> tuple[list[Value], dict[str, Value]]:
    """The positional and the named values of a call. Raises E0307 for an unknown argument."""
    positional: list[Value] = []
    named: dict[str, Value] = {}
    names = [p.name for p in block.params]
    for arg in syntax.call.args:
        value = arg.value.evaluate(ctx.env)
        if arg.star:
            if not isinstance(value, tuple):
                raise error("E0307", f"`*` needs a list, not {show(value)}", arg.span)
            positional += value
        elif arg.name is None:
            positional.append(value)
        elif arg.name not in names:
            raise error(
                "E0307",
                f"`{block.name}` has no argument `{arg.name}`",
                arg.span,
                labels=(Label(block.span, "defined here"),),
                help=did_you_mean(arg.name, names) or "it takes no arguments",
            )
        else:
            named[arg.name] = value
    return positional, named


def _by_name(syntax: CallSyntax, block: Block, positional: list[Value], label: str) -> dict[str, Value]:
    """The positional values by name. Raises E0307 for too many values, or an argument that is set twice."""
    names = [p.name for p in block.params]
    defined = (Label(block.span, "defined here"),)
    if len(positional) > len(names):
        takes = f"{len(names)} argument{'' if len(names) == 1 else 's'}" if names else "no arguments"
        raise error(
            "E0307",
            f"`{block.name}` takes {takes}, not {len(positional)}",
            syntax.call.span,
            label=label,
            labels=defined,
        )
    values = dict(zip(names, positional, strict=False))
    twice = next((a for a in syntax.call.args if a.name in values), None)
    if twice is not None:
        raise error(
            "E0307",
            f"the argument `{twice.name}` of `{block.name}` is set twice",
            twice.span,
            labels=defined,
            help=f"the positional values set {', '.join(list(values)[:8])}",
        )
    return values
