"""Adds nodes to a graph in the making: infers each one's shape at once, tells what is wrong with it, and keeps
what was learned about the free sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any

from archdsl.diagnostics import CallSite, Diagnostic, Label, Origin, Report, Span, error
from archdsl.elaborate.limits import MAX_ELEMENTS, MAX_MET, MAX_PATH
from archdsl.graph import FreeSize, Node, Scope
from archdsl.language.syntax import FieldValue
from archdsl.ops.base import Op, OpError
from archdsl.ops.merge import Merge
from archdsl.ops.reshape import Identity
from archdsl.shapes import Dim, Inexpressible, Shape, Size, Symbol, agree, at, format_shape

SEVERAL = -1
"""In place of a node's id: behind a node that gives several tensors, and at the start of a net of several inputs."""


class Restart(Exception):
    """Free sizes that must be pinned to their defaults, with the reason: the elaboration starts again."""

    def __init__(self, symbols: Sequence[Symbol], reason: str) -> None:
        self.symbols, self.reason = symbols, reason


@dataclass
class GraphBuilder:
    """The nodes so far. A node that failed has no shape (None), which silences what follows from it."""

    report: Report
    nodes: list[Node] = field(default_factory=list)
    paths: dict[str, Span] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a path exists, where its own text does not show it."""
    implied: dict[str, int] = field(default_factory=dict)
    tensors: dict[str, Node] = field(default_factory=dict)
    """The nodes with tensors by path; of one that runs an earlier one again, that."""
    faulty: set[int] = field(default_factory=set)
    """Nodes that break a rule of their op."""
    opened: dict[str, int] = field(default_factory=dict)
    """Paths that only dotted keys made, and how many numbered parts each has (-1: named ones)."""
    strides: dict[int, Span] = field(default_factory=dict)
    """Where the stride of a node is written."""
    met: set[tuple[Size, Size]] = field(default_factory=set)
    """Different sizes that were joined and must agree."""
    inferred: dict[tuple[int, tuple[Shape, ...]], Shape] = field(default_factory=dict)
    """Outputs by the op's id (the nodes keep it alive) and the inputs' shapes: copies of a node need not be inferred
    again."""
    least: dict[Symbol, int] = field(default_factory=dict)
    steps: dict[Symbol, int] = field(default_factory=dict)
    training: bool = False

    def shape(self, node: int) -> Shape | None:
        return self.nodes[node].shape

    def claim_path(self, path: str, span: Span, origin: Origin, why: str = "") -> None:
        """Reports E0503 where two nodes or blocks would bear one name; `why` says what made this one."""
        if len(path) > MAX_PATH:
            raise error(
                "E0501",
                f"the path `{path[:60]}...` has {len(path)} characters; the limit is {MAX_PATH}",
                span,
                help="shorter names, or fewer levels of blocks",
            )
        first = self.paths.setdefault(path, span)
        if why:
            self.reasons.setdefault(path, why)
        if first is span:
            return
        reason = self.reasons.get(path, "")
        shared = "the items of a list of branches, and what stands under a `_` key, share the names of their block"
        self.report.add(
            Diagnostic(
                "E0503",
                f"two nodes are named `{path}`",
                span,
                label=why,
                labels=(Label(first, (not why and reason) or "the first"),) if first != span else (),
                notes=chain_notes(origin.call),
                help="rename one of them" if reason else shared,
            )
        )

    def open_path(self, around: str, name: str, span: Span, origin: Origin) -> None:
        """Claims what the dotted key `path1.norms.0` lies in. Raises E0501 where numbers do not count from 0."""
        node = self.tensors.get(f"{around}.{name}" if around else name)
        numbered = name.rpartition(".")[2].isdigit() and node is not None and None not in node.in_shapes
        if node is not None and numbered and any(not param.name for param in node.reads):
            raise error("E0501", f"`{node.op.name}` has no module that could be numbered", span, help="give it a name")
        holder, *further = name.split(".")
        holder = f"{around}.{holder}" if around else holder
        for part in further:
            if holder not in self.opened:
                self.claim_path(holder, span, origin, f"`{name}` lies in it")
                self.opened[holder] = 0
            inside = f"{holder}.{part}"
            if inside not in self.opened:
                count = self.opened[holder]
                if (part.isdigit() and int(part) != count) or (not part.isdigit() and count > 0):
                    raise error(
                        "E0501",
                        f"`{part}` cannot be the next in `{holder}`",
                        span,
                        notes=chain_notes(origin.call),
                        help="it holds either names, or numbers that count from 0 in the order they are written",
                    )
                self.opened[holder] = count + 1 if part.isdigit() else -1
            holder = inside

    def implied_path(self, base: str, kind: str) -> str:
        """`layer1.0/add`, the next `layer1.0/add2`."""
        path = f"{base}/{kind}"
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
    ) -> int:
        """A new node; `written` are the fields that its text says, `again` the node whose tensors it uses."""
        shapes: Any = tuple(self.nodes[i].shape for i in inputs)
        shape: Any = None
        if None not in shapes:
            shape = self._infer(op, shapes, inputs, origin, written)
        if "stride" in written:
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
        )
        self.nodes.append(node)
        if op.parametric and not node.implied:
            self.tensors[path] = again or node
        scope.members.append(node.id)
        return node.id

    def fail(self, scope: Scope, origin: Origin) -> int:
        """A placeholder for a node that could not be made."""
        nothing: Any = None
        self.nodes.append(
            Node(len(self.nodes), "", Identity.model_construct(), (), (), nothing, scope, origin, self.training)
        )
        return len(self.nodes) - 1

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
            self.explain(e, inputs, origin, written)
            self.faulty.add(len(self.nodes))
            return e.shape
        except Inexpressible as e:
            free = {s.symbol for shape in shapes for s in shape if isinstance(s, Dim)} | {e.dim.symbol}
            raise Restart(sorted(free, key=lambda s: s.name), f"`{op.name}` at line {origin.span.line}") from None
        elements = 1
        for size in shape:
            elements *= size if isinstance(size, int) else size.default
            self._at_least(size, 1)
        for size, number in op.least(shapes):
            self._at_least(size, number)
        if elements > MAX_ELEMENTS:
            self.explain(
                OpError("E0306", f"the output of `{op.name}` would have {elements:,} values"), inputs, origin, written
            )
            return None
        if isinstance(op, Merge):
            self._constrain(op, shapes, origin)
        self.inferred[key] = shape
        return shape

    def _at_least(self, size: Size, number: int) -> None:
        """The input must be large enough for this size to be so large."""
        if isinstance(size, Dim):
            need = size.q * -(-(number - size.r) // size.m) - size.p
            self.least[size.symbol] = max(need, self.least.get(size.symbol, 1))

    def _constrain(self, op: Merge, shapes: tuple[Shape, ...], origin: Origin) -> None:
        """Sizes that meet and agree only for some inputs restrict the input; where that cannot be said, pin it."""
        for a, b in op.joined(shapes):
            if a == b:
                continue
            self.met.add((a, b))
            when = agree(a, b) if len(self.met) <= MAX_MET else None
            if when is None:
                free = sorted({s.symbol for s in (a, b) if isinstance(s, Dim)}, key=lambda s: s.name)
                raise Restart(free, f"`{op.name}` at line {origin.span.line} joins sizes that agree by chance")
            assert isinstance(a, Dim)
            self.steps[a.symbol] = lcm(self.steps.get(a.symbol, 1), when[0])

    def explain(self, e: OpError, inputs: Sequence[int], origin: Origin, written: Mapping[str, FieldValue]) -> None:
        """Reports a broken rule: at the field to blame if it was written, with both ends of a shape conflict."""
        span = written[e.field].span if e.field and e.field in written else origin.span
        labels: list[Label] = []
        text = e.label
        if e.code in ("E0412", "E0413", "E0405"):
            labels = [self._input_label(i) for i in dict.fromkeys(inputs)]
            labels = [label for label in labels if label.span != span]
        elif len(inputs) == 1:
            text = text or f"receives N x {format_shape(self.nodes[inputs[0]].shape)}"
            labels = self._flattened(inputs[0]) if e.code == "E0401" else []
        self.report.add(
            Diagnostic(
                e.code,
                e.message,
                span,
                text,
                labels=tuple(labels),
                notes=(*e.notes, *chain_notes(origin.call)),
                help=e.help,
            )
        )

    def _input_label(self, node: int) -> Label:
        source = self.nodes[node]
        return Label(source.origin.span, f"N x {format_shape(source.shape)}, from `{source.written_path}`")

    def _flattened(self, node: int) -> list[Label]:
        """Going back along first inputs: where an image became a vector."""
        while self.nodes[node].inputs:
            source = self.nodes[node].inputs[0]
            if len(self.nodes[source].shape) == 3:
                return [Label(self.nodes[node].origin.span, "a vector from here on")]
            node = source
        return []

    def changes(self, node: int, until: int) -> tuple[Label, ...]:
        """Labels for what happened to the shape between `until` and `node`: where the size changed last, and the
        end."""
        resized = self._resized_at(node, until)
        labels = []
        if resized is not None:
            here, before = self.nodes[resized].shape, self.nodes[self.nodes[resized].inputs[0]].shape
            span = self.strides.get(resized, self.nodes[resized].origin.span)
            if span.source.text[span.start - 1 : span.start] == "/":
                span = Span(span.source, span.start - 1, span.end)
            labels.append(Label(span, f"{_how(before, here)} here: N x {format_shape(here)}"))
        last = self.nodes[node]
        if resized is None or last.shape != self.nodes[resized].shape:
            labels = [label for label in labels if label.span != last.origin.span]
            labels.append(Label(last.origin.span, f"N x {format_shape(last.shape)}, from `{last.written_path}`"))
        return tuple(labels)

    def _resized_at(self, node: int, until: int) -> int | None:
        """Going back from `node` to `until` along first inputs: the last node that changed the height or width."""
        while node != until and self.nodes[node].inputs:
            here, before = self.nodes[node].shape, self.nodes[self.nodes[node].inputs[0]].shape
            if here is None or before is None:
                return None
            if [at(s) for s in here[1:]] != [at(s) for s in before[1:]]:
                return node
            node = self.nodes[node].inputs[0]
        return None

    def free_sizes(self, symbols: Sequence[Symbol], pinned: Mapping[str, str]) -> tuple[FreeSize, ...]:
        out = []
        for symbol in symbols:
            step = self.steps.get(symbol, 1)
            least = max(self.least.get(symbol, 1), 1)
            least += (symbol.default - least) % step
            out.append(FreeSize(symbol.name, symbol.default, least, step, pinned.get(symbol.name, "")))
        return tuple(out)


def _how(before: Shape, after: Shape) -> str:
    """What happened to height and width, in a word."""
    factors = {Fraction(at(b), at(a)) for b, a in zip(before[1:], after[1:], strict=False)}
    factor = factors.pop() if len(factors) == 1 and len(before) == len(after) else Fraction(1)
    if factor.denominator == 1 and factor != 1:
        return "halved" if factor == 2 else f"divided by {factor}"
    if factor.numerator == 1 and factor != 1:
        return "doubled" if factor == Fraction(1, 2) else f"{factor.denominator} times as large"
    return "the size changes"


def chain_notes(call: CallSite | None) -> tuple[str, ...]:
    """The block calls that led to a node, innermost first."""
    notes: list[str] = []
    while call is not None and len(notes) < 6:
        notes.append(f"in {call.path} = {call.text}, called at line {call.span.line}")
        call = call.parent
    return tuple(notes)


def unread(builder: GraphBuilder, keep: set[int]) -> list[Diagnostic]:
    """Warnings for nodes with parameters or a name that nothing reads."""
    read = {i for node in builder.nodes for i in node.inputs} | keep
    return [
        Diagnostic(
            "W0901",
            f"nothing reads `{node.path}`",
            node.origin.span,
            severity="warning",
            notes=chain_notes(node.origin.call),
            help="read it with `<-`, list it under `outputs`, or remove it",
        )
        for node in builder.nodes
        if node.id not in read and node.op.name != "input"
    ]
