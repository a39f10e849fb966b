"""Expands a document into a graph, in one walk in written order: blocks are expanded and shapes inferred as it goes.

`bound` first limits the number of nodes; then the walk (`walk`) names and adds nodes (`place`, `make`, `build`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from archdsl.axes import channels_first, kind_of
from archdsl.diagnostics import ArchError, Diagnostic, Origin, Proposal, Report, TooManyErrors, error
from archdsl.elaborate.bound import Bound, unknown
from archdsl.elaborate.build import SEVERAL, GraphBuilder, Restart, unread
from archdsl.elaborate.expanders import RULES
from archdsl.elaborate.heads import OF_SIZES, without_unfit_heads
from archdsl.elaborate.limits import MAX_ATTEMPTS, MAX_TRIED, OF_JOINS
from archdsl.elaborate.place import Context, LeftOut, Member, Output, ScopePlace, VisibleNames
from archdsl.elaborate.references import resolve
from archdsl.elaborate.spread import check_inputs, useless_preprocessing
from archdsl.elaborate.unused import idle_defaults, unknown_names
from archdsl.elaborate.walk import Walker
from archdsl.graph import AuxHead, FreeSize, Graph, Node, Scope
from archdsl.language import expressions
from archdsl.language.document import Document, InputDecl
from archdsl.language.expressions import OF_INPUT, Env, Value
from archdsl.ops.base import MAX_SIZE
from archdsl.ops.reshape import Input
from archdsl.shapes import Dim, Shape, Symbol, concrete, format_shape
from archdsl.source import collector_paused

if TYPE_CHECKING:
    from archdsl.elaborate.unequal import Trial, Unequal


def elaborate(document: Document, overrides: Mapping[str, Any] = {}) -> Graph:
    """Return the graph of a document, with `overrides` in place of its arguments. Raises ArchError with all errors."""
    graph, problem = known_graph(document, overrides)
    if problem is not None:
        raise problem
    return graph


def known_graph(document: Document, overrides: Mapping[str, Any] = {}) -> tuple[Graph, ArchError | None]:
    """Return what is known of the graph of a document, and the errors that `elaborate` raises; None if there are none.

    A node with errors, and each node that depends on it, has the shape UNKNOWN. The graph has no nodes if there are too
    many of them, or too many errors. An auxiliary head that needs a larger input is left out, with a note. Raises E0212
    for an override of an argument that the document does not have.
    """
    with collector_paused():
        graph, problem = _known(document, overrides, 1)
        if problem is not None:
            fitting = without_unfit_heads(document, problem, lambda other, factor: _known(other, overrides, factor))
            return fitting or (graph, problem)
        return graph, None


@dataclass
class _Sizes:
    """The spatial sizes of the inputs in one attempt, by name, and the reasons of those that are pinned."""

    factor: int
    """How many times larger they are than the spec says."""
    pinned: Mapping[str, str]
    pinned_in_heads: Mapping[str, str]
    resized: Mapping[str, int] | None
    """Sizes in place of those of the spec, for a trial."""
    free: dict[str, Symbol] = field(default_factory=dict)
    unequal: list[Unequal] = field(default_factory=list)


def _known(document: Document, overrides: Mapping[str, Any], factor: int) -> tuple[Graph, ArchError | None]:
    values, problem = document.known_arguments(overrides)
    symbols = Env(document.symbols())
    try:
        nodes = Bound(document, Env(values, symbols, dict.fromkeys(OF_INPUT, unknown))).check()
    except ArchError as e:
        return _nothing(document), _with_problems(document, problem or e)
    graph, report, _ = _attempts(document, values, symbols, factor, None, nodes <= MAX_TRIED)
    if problem is not None:
        return graph, _with_problems(document, problem)
    return graph, ArchError(report.diagnostics()) if report.failed else None


def _attempts(
    document: Document,
    values: Mapping[str, Value],
    symbols: Env,
    factor: int,
    resized: Mapping[str, int] | None,
    trials: bool,
) -> tuple[Graph, Report, _Sizes]:
    """Elaborate until all sizes that must be pinned are. `trials`: whether errors may try other input sizes."""
    pinned: dict[str, str] = {}
    pinned_in_heads: dict[str, str] = {}
    for attempt in count():
        report, sizes = Report(), _Sizes(factor, pinned, pinned_in_heads, resized)
        graph = _nothing(document)
        try:
            graph = _attempt(document, values, symbols, sizes, report, trials)
        except TooManyErrors:
            pass
        except Restart as r:
            symbols_to_pin = r.symbols if attempt < MAX_ATTEMPTS else sizes.free.values()
            known = pinned_in_heads if r.training else pinned
            new = {s.name: r.reason for s in symbols_to_pin if s.name not in known}
            assert new, "a pinned size cannot be pinned again"
            known |= new
            continue
        return graph, report, sizes
    raise AssertionError("unreachable")


def _trial(
    document: Document, values: Mapping[str, Value], symbols: Env, factor: int, resized: Mapping[str, int]
) -> Trial:
    """The network at other input sizes, by name."""
    from archdsl.elaborate.unequal import Trial

    graph, report, sizes = _attempts(document, values, symbols, factor, resized, False)
    wrong = {d.code for d in report.diagnostics()} & (OF_JOINS | OF_SIZES)
    return Trial(None if wrong else graph.sizes, sizes.unequal)


def _nothing(document: Document) -> Graph:
    root = Scope("", None, "net", Origin(document.net_span))
    return Graph(document.name, (), (), {}, {}, root, ())


def _with_problems(document: Document, problem: ArchError) -> ArchError:
    report = Report()
    with suppress(TooManyErrors):
        report.extend((*document.problems, *problem.diagnostics))
    return ArchError(report.diagnostics(), problem.status)


def _attempt(
    document: Document,
    values: Mapping[str, Value],
    symbols: Env,
    sizes: _Sizes,
    report: Report,
    trials: bool,
) -> Graph:
    report.extend(document.problems)
    builder = GraphBuilder(
        report,
        resize=partial(_trial, document, values, symbols, sizes.factor) if trials else None,
        symbols=sizes.free,
        unequal=sizes.unequal,
        pinned_in_heads=frozenset(sizes.pinned_in_heads),
        spread=document.axes.number if document.axes is not None else 0,
    )
    walker = Walker(document, builder, RULES)
    walker.file_env = Env(values, symbols, {"in": walker.channels, "axes": walker.axes})
    root = Scope("", None, "net", Origin(document.net_span), doc=document.doc)
    walker.incoming = "the input of a network has no input channels"
    inputs = _add_inputs(document, walker, root, sizes, report)
    several = len(inputs) != 1
    walker.several = tuple(str(d.name) for d in document.inputs[:4])
    names = {str(d.name): Member(i) for d, i in zip(document.inputs, inputs, strict=False) if d.name}
    frame = VisibleNames(None, {**names, "input": Member(None if several else inputs[0])}, named=True)
    inside = ScopePlace(root, {})
    ctx = Context(frame, walker.file_env)
    last = walker.node(document.net, inside, SEVERAL if several else inputs[0], ctx)
    frame.names = {**frame.names, **inside.inner}
    outputs = _outputs(document, walker, frame, last, builder.report)
    aux = _aux(document, walker, inside, frame, ctx)
    root.end = len(builder.nodes)
    keep = {*outputs.values(), *(head.node for head in aux.values())}
    report.extend(useless_preprocessing(document))
    if not report.failed:
        report.extend((*unread(builder, keep), *unknown_names(document), *idle_defaults(document, walker.maker)))
    return Graph(
        name=document.name,
        nodes=builder.finished(),
        inputs=tuple(inputs),
        outputs=outputs,
        aux=aux,
        root=root,
        sizes=builder.limits.free_sizes(list(sizes.free.values()), sizes.pinned),
        training_sizes=_training_sizes(builder, sizes) if aux else (),
        notes=tuple(d for d in report.diagnostics() if d.severity != "error"),
    )


def _training_sizes(builder: GraphBuilder, sizes: _Sizes) -> tuple[FreeSize, ...]:
    """The sizes that are legal for the network and its auxiliary heads."""
    limits = builder.limits.joined(builder.head_limits)
    return limits.free_sizes(list(sizes.free.values()), {**sizes.pinned_in_heads, **sizes.pinned})


def _add_inputs(document: Document, walker: Walker, root: Scope, sizes: _Sizes, report: Report) -> list[int]:
    builder = walker.builder
    inputs: list[int] = []
    try:
        if document.axes is not None:
            check_inputs(document.inputs, document.axes)
        for decl in document.inputs:
            inputs.append(_add_input(builder, decl, walker.file_env, root, sizes, len(document.inputs)))
            warning = _channels_last_warning(decl, builder.nodes[inputs[-1]].shape)
            report.extend([warning] if warning is not None else [])
    except ArchError as e:
        report.extend(e.diagnostics)
        builder.report = Report()  # of a wrong input, only its own errors are reported
    return inputs


def _add_input(
    builder: GraphBuilder,
    decl: InputDecl,
    env: Env,
    root: Scope,
    sizes: _Sizes,
    count: int,
) -> int:
    shape: list[int | Dim] = []
    name = decl.name or "input"
    for axis, size in enumerate(decl.sizes):
        number = expressions.as_whole(size.expr.evaluate(env), size.expr.span, "an input size")
        if not 1 <= number <= MAX_SIZE:
            message = f"an input size must be between 1 and {MAX_SIZE}, not {number}"
            help_ = "write the channels, then the size of each axis; the batch is always free, and has no size here"
            raise error("E0308", message, size.expr.span, help=help_)
        if axis:
            number *= sizes.factor
            letter = kind_of(decl.sizes).letters[axis - 1]
            symbol = size.symbol or (letter if count == 1 else f"{name}_{letter}")
            number = (sizes.resized or {}).get(symbol, number)
            known = sizes.free.setdefault(symbol, Symbol(symbol, number))
            if known.default != number:
                message = f"`{symbol}` has two values: {known.default} and {number}"
                help_ = "one name is one size: use another name, or the same number"
                raise error("E0308", message, size.expr.span, help=help_)
            shape.append(number if symbol in sizes.pinned else Dim(known))
        else:
            shape.append(number)
    origin = Origin(decl.span)
    builder.claim_path(name, decl.span, origin)
    node = Node(len(builder.nodes), name, Input.model_construct(), (), (), tuple(shape), root, origin)
    builder.nodes.append(node)
    root.members.append(node.id)
    return node.id


def _channels_last_warning(decl: InputDecl, shape: Shape) -> Diagnostic | None:
    """A warning for `224x224x3` and `5000x12`: other tools have the channels last, archdsl has them first."""
    meant = channels_first(concrete(shape))
    if not meant:
        return None
    kind = kind_of(shape)
    sizes = f"{meant[1]} channels of {format_shape(shape[1:])} {kind.point}{'s' if meant[0] > 1 else ''}"
    return Diagnostic(
        "W0214",
        f"this input has {sizes}",
        decl.span,
        severity="warning",
        help=Proposal(
            f"write {' x '.join(('channels', *kind.sizes))}: `{'x'.join(map(str, meant))}`",
            "x".join(map(str, meant)),
            "x".join(map(str, concrete(shape))),
        ),
    )


def _outputs(document: Document, walker: Walker, frame: VisibleNames, last: Output, report: Report) -> dict[str, int]:
    if document.outputs is not None:
        out: dict[str, int] = {}
        for name, ref in document.outputs:
            try:
                out[name] = resolve(walker.builder, ref, frame)
            except ArchError as e:
                report.extend(e.diagnostics)
        return out
    if isinstance(last, LeftOut) or last == SEVERAL:
        empty = isinstance(last, LeftOut)
        message = "the net is empty" if empty else "the net ends with several tensors"
        help_ = "add nodes" if empty else "list the outputs under `outputs:`"
        report.add(Diagnostic("E0422", message, document.net_span, help=help_))
        return {}
    return {"output": last}


def _aux(
    document: Document, walker: Walker, inside: ScopePlace, frame: VisibleNames, ctx: Context
) -> dict[str, AuxHead]:
    heads: dict[str, AuxHead] = {}
    walker.builder.training = True
    for decl in document.aux:
        try:
            source = resolve(walker.builder, decl.source, frame)
            walker.builder.open_path("", decl.name, decl.span, Origin(decl.span))
        except ArchError as e:
            walker.builder.report.extend(e.diagnostics)
            continue
        before = len(inside.scope.members)
        node = walker.node(decl.body, ScopePlace(inside.scope, inside.inner, decl.name), source, ctx)
        for member in inside.scope.members[before:]:
            if isinstance(member, Scope):
                member.role = "aux"
        if not isinstance(node, LeftOut) and node != SEVERAL:
            heads[decl.name] = AuxHead(node, decl.weight)
    walker.builder.training = False
    return heads
