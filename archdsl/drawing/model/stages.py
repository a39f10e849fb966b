"""Group the parts of a drawing into stages of one resolution, runs of equal nodes, or lumps."""

from __future__ import annotations

from collections.abc import Container, Sequence

from archdsl.analysis.parts import Part, head
from archdsl.axes import sizes_words
from archdsl.graph import Graph, Scope
from archdsl.ops import AvgPool, Conv, Deconv, Fc, GlobalPool, Input
from archdsl.report.words import TIMES
from archdsl.shapes import concrete

_FEW = 20
_STEM = 4
"""A stem or a head of so many parts needs no title."""


def stages(graph: Graph, parts: Sequence[Part], boxes: bool) -> list[tuple[list[Part], str]]:
    """Group neighbouring parts of one resolution, each group with the title of its frame or box (empty: neither).

    If a resolution occurs again later (an encoder and its decoder), there are no frames, but `boxes`. Titles are of one
    kind: the names that the groups have in the spec, if most have one and the others have few parts; else resolutions.
    """
    runs: list[tuple[tuple[int, ...], list[Part]]] = []
    for part in parts:
        size = () if part.training else _resolution(graph, part)
        if runs and runs[-1][0] == size:
            runs[-1][1].append(part)
        else:
            runs.append((size, [part]))
    sizes = [size for size, _ in runs if size]
    once = boxes or len(set(sizes)) == len(sizes)
    framed = [once and len(run) > 1 and any(n > 1 for n in size) for size, run in runs]
    names = [
        _common_name(run, parts).rpartition(".")[2] if frame else ""
        for (_, run), frame in zip(runs, framed, strict=True)
    ]
    names = ["" if name.isdigit() else name for name in names]
    nameless = [len(run) for (_, run), name, frame in zip(runs, names, framed, strict=True) if frame and not name]
    if len(nameless) < sum(map(bool, names)) and max(nameless, default=0) <= _STEM:
        return [(run, name) for (_, run), name in zip(runs, names, strict=True)]
    titles = [
        sizes_words((0, *size), f" {TIMES} ") if frame else "" for (size, _), frame in zip(runs, framed, strict=True)
    ]
    return [(run, title) for (_, run), title in zip(runs, titles, strict=True)]


def _resolution(graph: Graph, part: Part) -> tuple[int, ...]:
    """The spatial sizes of a part's output, or of the input of a pool, which belongs to the stage before it."""
    node = graph.nodes[part.ids.stop - 1]
    if type(node.op) is Input or not node.known:
        return ()
    shape = node.in_shapes[0] if node.op.look == "pool" else node.shape
    if isinstance(node.op, GlobalPool) or (isinstance(node.op, AvgPool) and node.op.adaptive):
        return ()
    return concrete(shape)[1:]


def _common_name(run: Sequence[Part], parts: Sequence[Part]) -> str:
    """The longest path prefix that all parts of a stage have, and no other part: `layer1`."""
    split_paths = [part.path.split("/")[0].split(".") for part in run]
    common: list[str] = []
    for words in zip(*split_paths, strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    name = ".".join(common)
    members = sum(part.path == name or part.path.startswith(f"{name}.") for part in parts)
    return name if name and members == len(run) else ""


def collapse_nodes(graph: Graph, parts: Sequence[Part], apart: Container[int] = ()) -> list[Part]:
    """Collapse equal neighbouring written nodes (`3x3 conv, 64` twice); dropout joins the node before it.

    Parts whose first node is in `apart` are not collapsed.
    """
    collapsed: list[Part] = []
    for part in _with_dropout(graph, parts):
        last = collapsed[-1] if collapsed else None
        alone = part.ids.start in apart or (last is not None and last.ids.start in apart)
        if last is not None and not alone and _same_written(graph, last, part):
            collapsed[-1] = Part(last.path, part.path, "node", (*last.copies, *part.copies), last.scope, last.training)
        else:
            collapsed.append(part)
    return collapsed


def _with_dropout(graph: Graph, parts: Sequence[Part]) -> list[Part]:
    """Nodes without effect at inference join the written node before them."""
    out: list[Part] = []
    for part in parts:
        node, last = graph.nodes[part.ids.start], out[-1] if out else None
        alone = part.kind == "node" and len(part.ids) == 1 and not node.op.inference
        if (
            alone
            and last is not None
            and last.kind == "node"
            and len(last.copies) == 1
            and node.inputs == (last.ids.stop - 1,)
        ):
            out[-1] = last._replace(copies=(range(last.ids.start, part.ids.stop),))
        else:
            out.append(part)
    return out


def _same_written(graph: Graph, run: Part, part: Part) -> bool:
    if run.kind != "node" or part.kind != "node" or run.ids.stop != part.ids.start or run.training != part.training:
        return False
    first, second = run.nodes(graph), part.nodes(graph)
    if len(first) != len(second) or second[0].inputs != (run.ids.stop - 1,):
        return False
    if [(n.op, n.shared_with, n.label) for n in first] != [(n.op, n.shared_with, n.label) for n in second]:
        return False  # a node that runs again has no weights of its own
    weighted = type(head(graph, part).op) in (Conv, Deconv, Fc)
    return weighted and concrete(run.shape(graph)) == concrete(part.shape(graph))


def lumps(graph: Graph, parts: Sequence[Part]) -> list[tuple[list[Part], str]]:
    """Merge neighbours into at most about 20 parts."""
    size = -(-len(parts) // _FEW)
    groups = [list(parts[n : n + size]) for n in range(0, len(parts), size)]
    return [([_lump(graph, group)] if len(group) > 1 else group, "") for group in groups]


def _lump(graph: Graph, parts: Sequence[Part]) -> Part:
    """Several parts as one block without a name."""
    ids = range(parts[0].ids.start, parts[-1].ids.stop)
    scope = Scope("", None, "sequence", graph.root.origin, graph.root, first=ids.start, end=ids.stop)
    return Part(parts[0].path, parts[-1].last, "block", (ids,), scope, all(part.training for part in parts))
