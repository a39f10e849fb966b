"""Adds nodes to a growing graph: infers each node's shape, reports its errors and collects limits of the free sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.axes import axes_of
from archdsl.diagnostics import CallSite, Diagnostic, Label, Origin, Report, Span, error
from archdsl.elaborate.limits import MAX_ELEMENTS, MAX_MET, MAX_PATH, OF_JOINS
from archdsl.elaborate.size_limits import SizeLimits
from archdsl.elaborate.strides import Grid, between, extend
from archdsl.graph import Node, Scope, needed_for
from archdsl.language.syntax import FieldValue, SyntaxNode
from archdsl.ops.base import Op, OpError, Sugar
from archdsl.ops.merge import Merge
from archdsl.ops.reshape import Unknown
from archdsl.shapes import UNKNOWN, Dim, Inexpressible, Shape, Size, Symbol, agree, at, format_shape

if TYPE_CHECKING:
    from archdsl.elaborate.unequal import Resize, Unequal

SEVERAL = -1
"""Used instead of a node's id after a node with several outputs, and at the start of a net with several inputs."""
MAX_RESIZED = 8
"""The most pairs of sizes that differ, up to which other input sizes are tried."""


class FirstRun(NamedTuple):
    """A node that was expanded into a scope, and how: `again` expands it once more, at another place."""

    scope: Scope
    expand: Callable[..., Any]
    syntax: SyntaxNode
    ctx: Any
    """The names and values of the first run, a `place.Context`."""


class Restart(Exception):
    """Free sizes must be pinned to their defaults, for this reason: elaboration starts again.

    `training`: in auxiliary heads only.
    """

    def __init__(self, symbols: Sequence[Symbol], reason: str, training: bool) -> None:
        self.symbols, self.reason, self.training = symbols, reason, training


@dataclass
class GraphBuilder:
    """The nodes added so far. A node that failed has the shape None, which suppresses follow-up errors."""

    report: Report
    nodes: list[Node] = field(default_factory=list)
    paths: dict[str, Span] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a path exists, if it is not written in the spec."""
    implied: dict[str, int] = field(default_factory=dict)
    tensors: dict[str, Node] = field(default_factory=dict)
    """The nodes with weights by path; for an `again`, the node whose weights it reuses."""
    first_runs: dict[str, FirstRun] = field(default_factory=dict)
    """The nodes with a scope of their own, by path: what `again` expands once more."""
    again_scopes: dict[str, str] = field(default_factory=dict)
    """The paths of the first runs of scopes that run again, by the paths of the latter."""
    running_again: list[tuple[str, str]] = field(default_factory=list)
    """The scopes that are being run again, with the paths of their first runs; the innermost is the last."""
    faulty: set[int] = field(default_factory=set)
    """Nodes that violate a rule of their op."""
    misnamed: set[str] = field(default_factory=set)
    """Paths that two nodes have, or that are invalid."""
    opened: set[str] = field(default_factory=set)
    """Paths that dotted keys created."""
    strides: dict[int, Span] = field(default_factory=dict)
    """The spans of written strides, by node."""
    grids: list[Grid] = field(default_factory=list)
    """The strides of the first nodes, as far as a shortcut needed them."""
    met: set[tuple[Size, Size]] = field(default_factory=set)
    """Pairs of different sizes that a merge joined, and that must be equal."""
    inferred: dict[tuple[int, tuple[Shape, ...]], Shape] = field(default_factory=dict)
    """Output shapes by the op's id (the nodes keep it alive) and input shapes, so that copies are inferred once."""
    settled_ops: dict[tuple[int, object], tuple[Op, Op]] = field(default_factory=dict)
    """Ops as written and as settled, by the id of the first, which the entry keeps alive, and its number of axes."""
    limits: SizeLimits = field(default_factory=SizeLimits)
    head_limits: SizeLimits = field(default_factory=SizeLimits)
    """The limits that auxiliary heads add."""
    training: bool = False
    """The nodes that are added belong to an auxiliary head."""
    resize: Resize | None = None
    """Elaborates the network at other input sizes, to see whether inputs of a merge fit there."""
    symbols: Mapping[str, Symbol] = field(default_factory=dict)
    """The sizes of the inputs, also the pinned ones."""
    unequal: list[Unequal] = field(default_factory=list)
    """Sizes that a merge joined although they differ."""
    pinned_in_heads: Set[str] = frozenset()
    """Sizes that are free, except in auxiliary heads."""
    spread: int = 0
    """The number of axes that the spec spreads its windows over; 0 if it does not."""

    def shape(self, node: int) -> Shape | None:
        """Return the output shape of a node; None if the node failed."""
        return self.nodes[node].shape

    def stride(self, first: int, last: int) -> tuple[int, ...] | None:
        """Return the strides from one node to a later one; None if there are no whole ones."""
        extend(self.grids, self.nodes)
        return between(self.grids[first], self.grids[last])

    def settled(self, op: Op, shapes: Sequence[Shape]) -> Op:
        """Return the op for inputs of these shapes, the same object for equal inputs. Raises `OpError`."""
        key = (id(op), tuple(shapes) if isinstance(op, Sugar) else axes_of(shapes[0]) if shapes else 0)
        known = self.settled_ops.get(key)
        if known is None:
            known = self.settled_ops[key] = (op, op.settle(shapes))
        return known[1]

    def claim_path(self, path: str, span: Span, origin: Origin, why: str = "") -> None:
        """Report E0503 if the path is already used. `why` is the reason for a path that is not written in the spec."""
        if len(path) > MAX_PATH:
            raise error(
                "E0501",
                f"the path `{path[:60]}...` has {len(path)} characters; the limit is {MAX_PATH}",
                span,
                help="use shorter names or fewer levels of blocks",
            )
        first = self.paths.setdefault(path, span)
        if why:
            self.reasons.setdefault(path, why)
        if first is span:
            return
        self.misnamed.add(path)
        reason = self.reasons.get(path, "")
        shared = "a list of branches and keys that start with `_` add nothing to the path: give the branches names"
        self.report.add(
            Diagnostic(
                "E0503",
                f"two nodes are named `{path}`",
                span,
                label=why,
                labels=(Label(first, (not why and reason) or "first used here"),) if first != span else (),
                notes=chain_notes(origin.call),
                help="rename one of them" if reason else shared,
            )
        )

    def open_path(self, around: str, name: str, span: Span, origin: Origin) -> None:
        """Claim the parents of the dotted key `path1.norms.0`."""
        holder, *further = name.split(".")
        holder = f"{around}.{holder}" if around else holder
        for part in further:
            if holder not in self.opened:
                self.claim_path(holder, span, origin, f"`{name}` creates it")
                self.opened.add(holder)
            holder = f"{holder}.{part}"

    def implied_path(self, base: str, op: str) -> str:
        """The path of an implied node: `layer1.0/add`, then `layer1.0/add2`."""
        path = f"{base}/{op}"
        count = self.implied.get(path, 0) + 1
        self.implied[path] = count
        return path if count == 1 else f"{path}{count}"

    def add(
        self,
        op: Op,
        inputs: Sequence[int],
        path: str,
        scope: Scope,
        origin: Origin,
        written: Mapping[str, FieldValue] = {},
        again: Node | None = None,
        label: str = "",
    ) -> int:
        """Add a node and return its id. `written`: the fields in its text; `again`: the node whose weights it uses."""
        shapes: Any = tuple(self.nodes[i].shape for i in inputs)
        shape: Any = None
        if self.training and self.pinned_in_heads:
            shapes = tuple(known and self._pinned(known) for known in shapes)
        if None not in shapes:
            shape = self._infer(op, shapes, inputs, origin, written)
        if "stride" in written and not written["stride"].default:
            self.strides[len(self.nodes)] = written["stride"].span
        shared_with = again.path if again is not None else ""
        node = Node(
            len(self.nodes),
            path,
            op,
            tuple(inputs),
            shapes,
            shape,
            scope,
            origin,
            self.training,
            shared_with=shared_with,
            label=label,
        )
        self.nodes.append(node)
        if op.parametric and not node.implied:
            self.tensors[path] = again or node
        scope.members.append(node.id)
        return node.id

    def unknown(self, path: str, inputs: Sequence[int], scope: Scope, origin: Origin) -> int:
        """Add a placeholder for a node with errors, and return its id."""
        shapes: Any = tuple(self.nodes[i].shape for i in inputs)
        nothing: Any = None
        op = Unknown.model_construct(text=beginning(origin.span))
        node = Node(len(self.nodes), path, op, tuple(inputs), shapes, nothing, scope, origin, self.training)
        self.nodes.append(node)
        scope.members.append(node.id)
        return node.id

    def finished(self) -> tuple[Node, ...]:
        """Return all nodes; one that has errors, or depends on one that has, gets the shape UNKNOWN."""
        if not self.report.failed and all(node.shape is not None for node in self.nodes):
            return tuple(self.nodes)
        nodes: list[Node] = []
        for node in self.nodes:
            failed = node.shape is None or node.id in self.faulty or node.path in self.misnamed
            shapes = tuple(nodes[i].shape for i in node.inputs)
            shape = UNKNOWN if failed or UNKNOWN in shapes else node.shape
            nodes.append(replace(node, in_shapes=shapes, shape=shape))
        return tuple(nodes)

    def _infer(
        self,
        op: Op,
        shapes: tuple[Shape, ...],
        inputs: Sequence[int],
        origin: Origin,
        written: Mapping[str, FieldValue],
    ) -> Shape | None:
        key = (id(op), shapes)
        known = self.inferred.get(key)
        if known is not None:
            return known
        try:
            shape = op.infer(shapes)
        except OpError as e:
            if e.code in OF_JOINS and not op.measured:
                e.help = self.remedy(op, inputs) or e.help
            if e.code == "E0401" and not self._flattened(inputs[0]):
                from archdsl.elaborate.repair import input_with_axes

                e.help = input_with_axes(op, self.nodes, inputs[0], self.spread) or e.help
            self.explain(e, inputs, origin, written)
            self.faulty.add(len(self.nodes))
            return e.shape
        except Inexpressible as e:
            free = {s.symbol for shape in shapes for s in shape if isinstance(s, Dim)} | {e.dim.symbol}
            names = sorted(free, key=lambda s: s.name)
            raise Restart(names, f"`{op.name}` at line {origin.span.line}", self.training) from None
        elements = 1
        limits = self.head_limits if self.training else self.limits
        for size in shape:
            elements *= size if isinstance(size, int) else size.default
            limits.at_least(size, 1)
        for size, number in op.least(shapes):
            limits.at_least(size, number)
        for size, number in op.multiples(shapes):
            limits.multiple(size, number)
        if elements > MAX_ELEMENTS:
            self.explain(
                OpError("E0306", f"the output of `{op.name}` would have {elements:,} elements; the limit is 2^62"),
                inputs,
                origin,
                written,
            )
            return None
        if isinstance(op, Merge):
            self._constrain(op, shapes, origin, limits)
        self.inferred[key] = shape
        return shape

    def _pinned(self, shape: Shape) -> Shape:
        """The shape as an auxiliary head reads it."""
        names = self.pinned_in_heads
        return tuple(s.default if isinstance(s, Dim) and s.symbol.name in names else s for s in shape)

    def _constrain(self, op: Merge, shapes: tuple[Shape, ...], origin: Origin, limits: SizeLimits) -> None:
        """Restrict the input size to values for which joined sizes are equal; pin it if these have no closed form."""
        for a, b in op.joined(shapes):
            if a == b:
                continue
            self.met.add((a, b))
            when = agree(a, b) if len(self.met) <= MAX_MET else None
            if when is None:
                free = sorted({s.symbol for s in (a, b) if isinstance(s, Dim)}, key=lambda s: s.name)
                how = "joins sizes that are equal" if at(a) == at(b) else "broadcasts a size that is 1"
                reason = f"`{op.name}` at line {origin.span.line} {how} by chance"
                raise Restart(free, reason, self.training)
            assert isinstance(a, Dim)
            limits.in_steps(a.symbol, when[0])

    def explain(self, e: OpError, inputs: Sequence[int], origin: Origin, written: Mapping[str, FieldValue]) -> None:
        """Report a violated rule, at the wrong field if it is written; a shape conflict labels both inputs.

        A field under `defaults` is the place of the error, and the node has a label.
        """
        value = written.get(e.field or "")
        span = value.span if value is not None else origin.span
        labels: list[Label] = []
        text = e.label
        if e.code in OF_JOINS:
            labels = [self._input_label(i) for i in dict.fromkeys(inputs)]
            labels = [label for label in labels if label.span != span]
        elif len(inputs) == 1:
            text = text or f"its input is N x {format_shape(self.nodes[inputs[0]].shape)}"
            labels = self._flattened(inputs[0]) if e.code == "E0401" else []
        if value is not None and value.default:
            labels.append(Label(origin.span, text))
            text = ""
        self.report.add(
            Diagnostic(
                e.code,
                e.message,
                span,
                text,
                labels=tuple(labels),
                notes=(*e.notes, *chain_notes(origin.call)),
                help=e.help,
                fixes=e.fixes,
            )
        )

    def remedy(self, op: Op | None, inputs: Sequence[int]) -> str:
        """Return what makes the inputs of a merge equal; empty if nothing is known."""
        from archdsl.elaborate.unequal import remedy, unequal

        self.unequal += unequal([self.nodes[i].shape for i in inputs])
        resize = self.resize if len(self.unequal) <= MAX_RESIZED else None
        return remedy(self.nodes, inputs, op, resize, [*self.symbols.values()])

    def _input_label(self, node: int) -> Label:
        source = self.nodes[node]
        return Label(source.origin.span, f"N x {format_shape(source.shape)}, from `{source.written_path}`")

    def _flattened(self, node: int) -> list[Label]:
        """A label for the nearest node before this one that made a vector."""
        while self.nodes[node].inputs:
            source = self.nodes[node].inputs[0]
            if axes_of(self.nodes[source].shape):
                return [Label(self.nodes[node].origin.span, "becomes a vector here")]
            node = source
        return []

    def changes(self, node: int, until: int) -> tuple[Label, ...]:
        """Labels for the last change of a size between `until` and `node`, and for the output of `node`."""
        resized = self._resized_at(node, until)
        labels = []
        if resized is not None:
            here, before = self.nodes[resized].shape, self.nodes[self.nodes[resized].inputs[0]].shape
            span = self.strides.get(resized, self.nodes[resized].origin.span)
            if span.source.text[span.start - 1 : span.start] == "/":
                span = Span(span.source, span.start - 1, span.end)
            labels.append(Label(span, f"{_resizing(before, here)} here: N x {format_shape(here)}"))
        last = self.nodes[node]
        if resized is None or last.shape != self.nodes[resized].shape:
            labels = [label for label in labels if label.span != last.origin.span]
            labels.append(Label(last.origin.span, f"N x {format_shape(last.shape)}, from `{last.written_path}`"))
        return tuple(labels)

    def _resized_at(self, node: int, until: int) -> int | None:
        """The last node between `until` and `node` (along first inputs) that changed a size."""
        while node != until and self.nodes[node].inputs:
            here, before = self.nodes[node].shape, self.nodes[self.nodes[node].inputs[0]].shape
            if here is None or before is None:
                return None
            if [at(s) for s in here[1:]] != [at(s) for s in before[1:]]:
                return node
            node = self.nodes[node].inputs[0]
        return None


def _resizing(before: Shape, after: Shape) -> str:
    """The change of the sizes as a participle: halved, doubled, resized."""
    factors = {Fraction(at(b), at(a)) for b, a in zip(before[1:], after[1:], strict=False)}
    factor = factors.pop() if len(factors) == 1 and len(before) == len(after) else Fraction(1)
    if factor.denominator == 1 and factor != 1:
        return "halved" if factor == 2 else f"divided by {factor}"
    if factor.numerator == 1 and factor != 1:
        return "doubled" if factor == Fraction(1, 2) else f"multiplied by {factor.denominator}"
    return "resized"


def beginning(span: Span, limit: int = 40) -> str:
    """Return the first characters of a span in one line."""
    text = span.source.text[span.start : min(span.end, span.start + 4 * limit)]
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def chain_notes(call: CallSite | None) -> tuple[str, ...]:
    """Return notes on the block calls around a node, innermost first; at most six."""
    notes: list[str] = []
    while call is not None and len(notes) < 6:
        notes.append(f"in {call.path} = {call.text}, called at line {call.span.line}")
        call = call.parent
    return tuple(notes)


def unread(builder: GraphBuilder, keep: set[int]) -> list[Diagnostic]:
    """Return a warning (W0901) for each node whose output nothing reads, with the nodes that only it depends on."""
    nodes = builder.nodes
    read = {i for node in nodes for i in node.inputs} | keep
    needed = needed_for(nodes, keep) | {node.id for node in nodes if node.op.name == "input"}
    return [
        Diagnostic(
            "W0901",
            f"nothing reads `{node.path}`",
            node.origin.span,
            severity="warning",
            notes=(*_useless(nodes, node, needed), *chain_notes(node.origin.call)),
            help="read it with `<-`, list it under `outputs`, or remove it",
        )
        for node in nodes
        if node.id not in read and node.op.name != "input"
    ]


def _useless(nodes: Sequence[Node], last: Node, done: set[int]) -> tuple[str, ...]:
    """A note on the written nodes that `last` depends on, apart from those in `done`, to which they are added."""
    pending, before = [last.id], set[int]()
    while pending:
        sources = set(nodes[pending.pop()].inputs) - done
        pending += sources
        before |= sources
        done |= sources
    written = {nodes[i].origin: nodes[i].written_path for i in sorted(before) if nodes[i].origin is not last.origin}
    if not written:
        return ()
    shown = ", ".join(f"`{path}`" for path in [*written.values()][-3:])
    more = f" and {len(written) - 3} before them" if len(written) > 3 else ""
    return (f"no output depends on {shown}{more} either",)
