"""A block's layers in one line, as papers print them: `[1x1, 64; 3x3, 64; 1x1, 256]`."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.analysis.parts import Part, head, inside, split
from archdsl.diagnostics import escape_control
from archdsl.graph import Graph, Scope
from archdsl.ops import Add, Conv, Deconv
from archdsl.report.words import TIMES, figure

_ITEMS, _LONGEST = (2, 5), 48


def contents(graph: Graph, scope: Scope, strides: bool = True) -> str:
    """Return the layers of a block in brackets; empty if they are no chain with a shortcut, or too many for a line.

    Norms, activations, sums and layers on the shortcut are left out, and what changes nothing at inference.
    """
    parts = _flat(graph, scope)
    if not parts or any(part.training for part in parts):
        return ""
    chain = _chain(graph, parts)
    items = [item for number in chain if (item := _item(graph, parts[number], strides))]
    convs = sum(parts[n].kind == "node" and isinstance(head(graph, parts[n]).op, Conv | Deconv) for n in chain)
    text = f"[{'; '.join(items)}]"
    fits = _ITEMS[0] <= len(items) <= _ITEMS[1] and len(text) <= _LONGEST
    return text if convs > 1 and fits else ""


def _flat(graph: Graph, scope: Scope) -> list[Part]:
    """The parts of a scope, with the members of its sequences."""
    parts: list[Part] = []
    pending = list(reversed(split(graph, scope)))
    while pending:
        part = pending.pop()
        if part.kind == "sequence":
            pending += reversed(inside(graph, part))
        else:
            parts.append(part)
    return parts


def _chain(graph: Graph, parts: Sequence[Part]) -> list[int]:
    """The parts on the longest way through a block; nothing if other ways are more than shortcuts."""
    owner = {node: number for number, part in enumerate(parts) for node in part.ids}
    reads = [
        {owner.get(source, -1) for node in part.nodes(graph) for source in node.sources if source not in part.ids}
        for part in parts
    ]
    depth = {-1: 0}
    for number, sources in enumerate(reads):
        depth[number] = 1 + max((depth[source] for source in sources), default=0)
    chain = [len(parts) - 1]
    while (before := max(reads[chain[-1]], key=lambda n: (depth[n], n), default=-1)) >= 0:
        chain.append(before)
    merges = {n for n, part in enumerate(parts) if head(graph, part).op.sign}
    aside = set(range(len(parts))) - set(chain)
    outside = {source for part in parts for node in part.nodes(graph) for source in node.sources if source not in owner}
    shortcuts = all(reads[n] <= aside | {-1} and n not in merges for n in aside)
    single = all(len(reads[n]) <= 1 or n in merges for n in chain)
    summed = all(isinstance(head(graph, parts[n]).op, Add) for n in merges if reads[n] & aside)
    return chain[::-1] if shortcuts and single and summed and len(outside) <= 1 else []


def _item(graph: Graph, part: Part, strides: bool) -> str:
    """A part in the line; empty for what is left out."""
    if part.scope is not None and part.kind != "node":
        return escape_control(part.scope.label or part.scope.block or part.scope.kind)
    main = head(graph, part)
    if main.label:
        return main.label
    if main.op.role or main.op.sign or not main.op.inference:
        return ""
    words = figure(main.op, main.in_shapes).replace(" conv,", ",").split(", ")
    return ", ".join(word for word in words if strides or not word.startswith("/")).replace(f" {TIMES} ", TIMES)
