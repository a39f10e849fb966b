"""Adds nodes to a graph in the making: infers each one's shape at once, tells what is wrong with it, and keeps
what was learned about the free sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import lcm
from typing import Any

from archdsl.diagnostics import Diagnostic, Label, Origin, Report, Span
from archdsl.graph import FreeSize, Node, Scope
from archdsl.ops.base import Op, OpError
from archdsl.ops.merge import Merge
from archdsl.ops.reshape import Identity
from archdsl.shapes import Dim, Inexpressible, Shape, Symbol, agree, at, format_shape

MAX_ELEMENTS = 2**62
SEVERAL = -1
"""In place of a node's id: behind a node that gives several tensors, and at the start of a net of several inputs."""


class Restart(Exception):
    """Free sizes that must be pinned to their defaults, with the reason: the elaboration starts again."""

    def __init__(self, symbols: Sequence[Symbol], reason: str) -> None:
        self.symbols, self.reason = symbols, reason


@dataclass
class Builder:
    """The nodes so far. A node that failed has no shape (None), which silences what follows from it."""

    report: Report
    nodes: list[Node] = field(default_factory=list)
    paths: dict[str, Span] = field(default_factory=dict)
    implied: dict[str, int] = field(default_factory=dict)
    least: dict[Symbol, int] = field(default_factory=dict)
    steps: dict[Symbol, int] = field(default_factory=dict)
    training: bool = False

    def shape(self, node: int) -> Shape | None:
        return self.nodes[node].shape

    def claim_path(self, path: str, span: Span, origin: Origin) -> None:
        """Reports E0503 where two nodes or blocks would bear one name."""
        first = self.paths.get(path)
        if first is None:
            self.paths[path] = span
        else:
            self.report.add(Diagnostic(
                "E0503", f"two nodes are named `{path}`", span,
                labels=(Label(first, "the first"),) if first != span else (),
                notes=chain_notes(origin),
                help="the items of a list of branches, and what stands under a `_` key, share the names of their block",
            ))  # fmt: skip

    def implied_path(self, base: str, kind: str) -> str:
        """`layer1.0/add`, the next `layer1.0/add2`."""
        path = f"{base}/{kind}"
        count = self.implied.get(path, 0) + 1
        self.implied[path] = count
        return path if count == 1 else f"{path}{count}"

    def add(self, op: Op, inputs: Sequence[int], path: str, scope: Scope, origin: Origin,
            spans: Mapping[str, Span] | None = None, ends: Sequence[Label] = ()) -> int:  # fmt: skip
        """A new node; `spans` are the places of its fields, `ends` labels for a conflict of its inputs."""
        shapes: Any = tuple(self.nodes[i].shape for i in inputs)
        shape: Any = None
        if None not in shapes:
            shape = self._infer(op, shapes, inputs, origin, spans or {}, ends)
        node = Node(len(self.nodes), path, op, tuple(inputs), shapes, shape, scope, origin, self.training)
        self.nodes.append(node)
        scope.members.append(node.id)
        return node.id

    def fail(self, scope: Scope, origin: Origin) -> int:
        """A placeholder for a node that could not be made."""
        nothing: Any = None
        self.nodes.append(Node(len(self.nodes), "", Identity(), (), (), nothing, scope, origin, self.training))
        return len(self.nodes) - 1

    def _infer(self, op: Op, shapes: tuple[Shape, ...], inputs: Sequence[int], origin: Origin,
               spans: Mapping[str, Span], ends: Sequence[Label]) -> Shape | None:  # fmt: skip
        try:
            shape = op.infer(shapes)
        except OpError as e:
            self.explain(e, inputs, origin, spans, ends)
            return None
        except Inexpressible as e:
            free = {s.symbol for shape in shapes for s in shape if isinstance(s, Dim)} | {e.dim.symbol}
            raise Restart(sorted(free, key=lambda s: s.name), f"`{op.kind}` at line {origin.span.line}") from None
        elements = 1
        for size in shape:
            elements *= size if isinstance(size, int) else size.default
            if isinstance(size, Dim):
                need = size.q * -(-(1 - size.r) // size.m) - size.p
                if need > self.least.get(size.symbol, 1):
                    self.least[size.symbol] = need
        if elements > MAX_ELEMENTS:
            self.explain(OpError("E0306", f"the output of `{op.kind}` would have {elements:,} values"), inputs, origin, spans, ())
            return None
        if isinstance(op, Merge):
            self._constrain(op, shapes, origin)
        return shape

    def _constrain(self, op: Merge, shapes: tuple[Shape, ...], origin: Origin) -> None:
        """Sizes that meet and agree only for some inputs restrict the input; where that cannot be said, pin it."""
        for a, b in op.joined(shapes):
            if a == b:
                continue
            when = agree(a, b)
            if when is None:
                free = sorted({s.symbol for s in (a, b) if isinstance(s, Dim)}, key=lambda s: s.name)
                raise Restart(free, f"`{op.kind}` at line {origin.span.line} joins sizes that agree by chance")
            assert isinstance(a, Dim)
            self.steps[a.symbol] = lcm(self.steps.get(a.symbol, 1), when[0])

    def explain(self, e: OpError, inputs: Sequence[int], origin: Origin, spans: Mapping[str, Span],
                ends: Sequence[Label]) -> None:  # fmt: skip
        """Reports a broken rule: at the field to blame if it was written, with both ends of a shape conflict."""
        span = spans.get(e.field or "", origin.span)
        labels = list(ends)
        text = e.label
        shapes = [self.nodes[i].shape for i in inputs]
        if e.code in ("E0412", "E0413", "E0405") and not ends:
            labels = [self.input_label(i, f"N x {format_shape(s)}") for i, s in zip(inputs, shapes, strict=True)]
            labels = [label for label in labels if label.span != span]
        elif not text and inputs:
            text = f"receives N x {format_shape(shapes[0])}" if len(inputs) == 1 else ""
        self.report.add(Diagnostic(
            e.code, e.message, span, text, labels=tuple(labels), notes=(*e.notes, *chain_notes(origin)), help=e.help,
        ))  # fmt: skip

    def input_label(self, node: int, text: str) -> Label:
        source = self.nodes[node]
        name = f", from `{source.path}`" if source.path else ""
        return Label(source.origin.span, text + name)

    def resized_at(self, node: int, until: int) -> int | None:
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


def chain_notes(origin: Origin) -> tuple[str, ...]:
    """The block calls that led to a node, innermost first."""
    notes: list[str] = []
    call = origin.call
    while call is not None and len(notes) < 6:
        notes.append(f"in {call.path} = {call.text}, called at line {call.span.line}")
        call = call.parent
    return tuple(notes)


def unread(builder: Builder, keep: set[int]) -> list[Diagnostic]:
    """Warnings for nodes with parameters or a name that nothing reads."""
    read = {i for node in builder.nodes for i in node.inputs} | keep
    return [
        Diagnostic("W0901", f"nothing reads `{node.path}`", node.origin.span, severity="warning",
                   notes=chain_notes(node.origin), help="read it with `<-`, list it under `outputs`, or remove it")
        for node in builder.nodes
        if node.id not in read and node.op.kind != "input"
    ]  # fmt: skip


