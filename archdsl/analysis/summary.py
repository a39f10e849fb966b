"""The rows of a report: output shape, costs and receptive field of each part of a network."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.analysis.count import NodeCount, Totals, convention, count, count_nodes
from archdsl.analysis.memory import Peak, peak_memory
from archdsl.analysis.parts import Part, Signatures, collapse_runs, inside, node_part, split
from archdsl.analysis.receptive_field import ReceptiveField, receptive_fields
from archdsl.graph import Graph
from archdsl.shapes import Shape


class Row(NamedTuple):
    """One part of the network. `params` and `macs` are sums over all its nodes and copies."""

    part: Part
    shape: Shape
    params: int
    macs: int
    field: ReceptiveField | None
    """Receptive field of the part's output; None: the whole image."""
    known: bool = True
    """Whether all its nodes are known, so that the sums are exact."""


class Summary(NamedTuple):
    """Rows in written order, whose params and MACs sum to the totals; auxiliary heads have separate rows."""

    graph: Graph
    batch: int
    rows: tuple[Row, ...]
    aux_rows: tuple[Row, ...]
    totals: Totals
    peak: Peak
    convention: str


def summarize(graph: Graph, depth: int = 1, every_node: bool = False, batch: int = 1) -> Summary:
    """Return the report of a network; MACs (and totals, see `count`) are for `batch` samples.

    `depth`: levels of nested blocks with rows of their own. 0: one row for each member of `net`; 1: one for each
    outermost block and each node outside of blocks; 2: also for blocks inside of blocks; and so on. Runs of equal
    blocks share a row. With `every_node` each node has a row instead.
    """
    counts = count_nodes(graph)
    fields = receptive_fields(graph)
    parts = list(map(node_part, graph.nodes)) if every_node else _opened(graph, depth)
    rows = [_row(graph, part, counts, fields, batch) for part in parts]
    return Summary(
        graph=graph,
        batch=batch,
        rows=tuple(row for row in rows if not row.part.training),
        aux_rows=tuple(row for row in rows if row.part.training),
        totals=count(graph, batch, counts),
        peak=peak_memory(graph, batch),
        convention=convention(batch),
    )


def _opened(graph: Graph, depth: int) -> list[Part]:
    """The parts of `net`: sequences, and blocks down to `depth` levels, are split; runs of equal blocks collapsed."""
    parts: list[Part] = []
    pending = [(part, 1) for part in reversed(split(graph, graph.root))]
    while pending:
        part, level = pending.pop()
        is_block = part.kind == "block"
        if part.scope is None or part.kind == "node" or depth < 1 or (is_block and level >= depth):
            parts.append(part)
        else:
            pending += [(below, level + is_block) for below in reversed(inside(graph, part))]
    return list(collapse_runs(graph, parts, _signatures(graph)))


def _signatures(graph: Graph) -> Signatures:
    from archdsl.analysis.equal_scopes import signatures

    return signatures(graph, fields=False)


def _row(
    graph: Graph, part: Part, counts: tuple[NodeCount, ...], fields: tuple[ReceptiveField | None, ...], batch: int
) -> Row:
    own = counts[part.ids.start : part.ids.stop]
    return Row(
        part=part,
        shape=part.shape(graph),
        params=sum(c.params for c in own),
        macs=batch * sum(c.macs for c in own),
        field=fields[part.ids.stop - 1],
        known=all(node.known for node in graph.nodes[part.ids.start : part.ids.stop]),
    )
