"""The heading of a drawing: the name, input and totals of the network or of the focused block."""

from __future__ import annotations

from archdsl.analysis.count import count, count_nodes
from archdsl.analysis.parts import Part, is_block
from archdsl.diagnostics import escape_control
from archdsl.drawing.model.focus import crossing
from archdsl.graph import Graph
from archdsl.report.table import in_short
from archdsl.report.words import TIMES, composite_words, part_call
from archdsl.shapes import format_shape


def heading(graph: Graph, focus: Part | None) -> str:
    """Return the title: `resnet50`, or `resnet50: layer2.0 = bottleneck(w=128, s=2)`."""
    if focus is None:
        return escape_control(graph.name)
    scope = focus.scope
    called = (
        ""
        if scope is None
        else part_call(graph, focus)
        if scope.block or scope.label
        else composite_words(graph, scope)
        if is_block(scope)
        else ""
    )
    return escape_control(f"{graph.name}: {focus.path}" + (f" = {called}" if called else ""))


def facts(graph: Graph, focus: Part | None) -> tuple[str, ...]:
    """Return the facts below it: `input 3 x 224 x 224`, `25.56 M params`, `4.089 GMACs`, `50 layers deep`."""
    if focus is None:
        totals = count(graph)
        size = (f"input {graph.input_spec.replace('x', f' {TIMES} ')}",) if len(graph.inputs) == 1 else ()
        if not graph.complete:
            return (*size, *_at_least(totals.params, totals.macs), f"{len(graph.unknown)} nodes unknown")
        return (
            *size,
            *_costs(totals.params, totals.macs),
            f"{totals.depth} layer{'s' if totals.depth != 1 else ''} deep",
        )
    ids = focus.copies[0]
    counts = count_nodes(graph)[ids.start : ids.stop]
    inputs = crossing(graph, ids)[0]
    size = (f"input {format_shape(graph.nodes[inputs[0]].shape, times=f' {TIMES} ')}",) if len(inputs) == 1 else ()
    costs = _costs if all(node.known for node in graph.nodes[ids.start : ids.stop]) else _at_least
    return (*size, *costs(sum(c.params for c in counts), sum(c.macs for c in counts)))


def _costs(params: int, macs: int) -> tuple[str, str]:
    return f"{in_short(params).rstrip()} params", f"{in_short(macs)}MACs"


def _at_least(params: int, macs: int) -> tuple[str, str]:
    first, second = _costs(params, macs)
    return f"at least {first}", f"at least {second}"
