"""What a drawing shows: boxes, frames around them, and arrows; still without a word of DOT.

Parts of the graph (see `passes.fold`) become boxes; a block that is opened becomes a frame with its own parts inside.
Of a run of equal blocks one is drawn. At the top level neighbours of one resolution stand in a frame, a stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from archdsl.graph import Graph
from archdsl.ops import Add, AvgPool, Concat, Conv, Deconv, Fc, Gap, Input, MaxPool, Mul, Op, Rbf, Subsample
from archdsl.passes.fold import Part, Signatures, head, inside, split
from archdsl.shapes import Shape, concrete, format_shape
from archdsl.views.stages import fold_nodes, lumps, stages
from archdsl.views.theme import Look
from archdsl.views.words import TIMES, part_figure, part_name, run_name

_LOOKS: dict[type[Op], Look] = {
    Input: "input",
    Conv: "conv",
    Deconv: "conv",
    MaxPool: "pool",
    AvgPool: "pool",
    Gap: "pool",
    Subsample: "pool",
    Fc: "fc",
    Rbf: "fc",
    Add: "merge",
    Mul: "merge",
    Concat: "merge",
}
COARSE = -1
"""The depth at which neighbours are lumped together until few boxes are left: for what cannot be drawn otherwise."""
_BETWEEN = f" {TIMES} "
_SIGNS = {"add": "+", "mul": TIMES}


@dataclass(slots=True)
class Box:
    """One thing drawn. `title` says what it is, `tail` what follows in it (`bn relu`), `name` its path."""

    number: int
    look: Look
    title: str
    tail: str = ""
    name: str = ""
    copies: int = 1
    sign: bool = False
    """Drawn as a small circle: an addition or a product."""
    training: bool = False


@dataclass(slots=True)
class Frame:
    """A rounded frame around boxes and frames. `stage` frames group a resolution, others are opened blocks."""

    name: str
    title: str
    stage: bool
    copies: int = 1
    training: bool = False
    members: list[Box | Frame] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Arrow:
    """From box to box by number; `label` is the shape that flows, said once for each box that changes it."""

    source: int
    target: int
    label: str = ""
    training: bool = False


@dataclass(slots=True)
class Drawing:
    members: list[Box | Frame]
    arrows: list[Arrow]

    def boxes(self) -> Iterator[Box]:
        """All boxes, in the order they are drawn."""
        pending = list(reversed(self.members))
        while pending:
            member = pending.pop()
            if isinstance(member, Box):
                yield member
            else:
                pending += reversed(member.members)


def compose(graph: Graph, same: Signatures, depth: int = 1) -> Drawing:
    """The drawing of a graph: blocks opened down to `depth - 1` levels (1: one box for each outermost block).

    Depth 0 opens nothing, not even named sequences; `COARSE` gives a few boxes for whatever network.
    """
    return _Composer(graph, same, depth).drawing()


class _Composer:
    def __init__(self, graph: Graph, same: Signatures, depth: int) -> None:
        self.graph, self.same, self.depth = graph, same, depth
        self.box_of: list[int] = [-1] * len(graph.nodes)
        self.boxes: list[Box] = []
        self.first_node: list[int] = []

    def drawing(self) -> Drawing:
        top = self._top_parts()
        members: list[Box | Frame] = []
        groups = [(top, "")] if self.depth == 0 else lumps(self.graph, top) if self.depth < 0 else stages(self.graph, top)
        for parts, title in groups:
            into = members
            if title:
                frame = Frame(title, "", stage=True)
                members.append(frame)
                into = frame.members
            for part in parts:
                self._place(part, into)
        arrows = self._arrows()
        outputs = self.graph.outputs
        for name, node in outputs.items():
            if len(outputs) > 1 or len(self.graph.nodes[node].shape) > 1:
                self._output(name, node, members, arrows)
        return Drawing(members, arrows)

    def _top_parts(self) -> list[Part]:
        """The parts of the net, its named sequences opened, equal written nodes in a row folded."""
        parts: list[Part] = []
        pending = list(reversed(split(self.graph, self.graph.root, self.same)))
        while pending:
            part = pending.pop()
            if part.kind == "sequence" and part.scope is not None and part.scope.role != "aux" and self.depth > 0:
                pending += reversed(inside(self.graph, part, self.same))
            else:
                parts.append(part)
        return fold_nodes(self.graph, parts)

    def _place(self, part: Part, members: list[Box | Frame]) -> None:
        """Adds a part and, level by level, what is inside of it, if it is opened."""
        pending: list[tuple[Part, list[Box | Frame], int, str]] = [(part, members, 1, "")]
        opened: list[Part] = []
        while pending:
            part, members, level, around = pending.pop()
            if part.scope is None or part.kind == "node" or level >= self.depth:
                self._closed(part, members, around)
                continue
            frame = Frame(run_name(part, " … ", around), self._frame_title(part), False, len(part.copies), part.training)
            members.append(frame)
            opened.append(part)
            parts = fold_nodes(self.graph, self._inside(part))
            pending += [(p, frame.members, level + 1, part.path) for p in reversed(parts)]
        for part in reversed(opened):
            for copy in part.copies[1:]:
                first = part.copies[0]
                self.box_of[copy.start : copy.stop] = self.box_of[first.start : first.stop]

    def _inside(self, part: Part) -> list[Part]:
        """The parts of an opened one, named sequences within it (a branch of two layers) opened as well."""
        parts: list[Part] = []
        pending = list(reversed(inside(self.graph, part, self.same)))
        while pending:
            inner = pending.pop()
            if inner.kind == "sequence":
                pending += reversed(inside(self.graph, inner, self.same))
            else:
                parts.append(inner)
        return parts

    def _closed(self, part: Part, members: list[Box | Frame], around: str) -> None:
        """Adds a part as one box; the concat behind the layers of a dense block is a box of its own."""
        length = part.scope.end - part.scope.first if part.scope is not None else 0
        tails = [range(copy.start + length, copy.stop) for copy in part.copies]
        if part.scope is None or part.kind == "node":
            self._add(self._node_box(part), part.copies, members)
            return
        box = self._block_box(part, around)
        self._add(box, part.copies, members)
        if tails[0]:
            merge = self._node_box(Part(part.path, part.path, "node", (tails[0],), None, part.training))
            self._add(merge, tails, members)

    def _add(self, box: Box, copies: Sequence[range], members: list[Box | Frame]) -> None:
        self.boxes.append(box)
        self.first_node.append(copies[0].start)
        members.append(box)
        for ids in copies:
            self.box_of[ids.start : ids.stop] = [box.number] * len(ids)

    def _block_box(self, part: Part, around: str) -> Box:
        name = run_name(part, " … ", around)
        title = part_name(self.graph, part)
        tail = ""
        if part.path in self.graph.aux:
            tail = f"training only, weight {self.graph.aux[part.path].weight:g}"
        return Box(
            len(self.boxes), "block", title or name, tail, name if title else "", len(part.copies), training=part.training
        )

    def _node_box(self, part: Part) -> Box:
        main = head(self.graph, part)
        title, tail = part_figure(self.graph, part)
        sign = _SIGNS.get(main.op.kind)
        if isinstance(main.op, Input):
            title, tail = part.path, format_shape(main.shape, times=_BETWEEN)
        look: Look = _LOOKS.get(type(main.op)) or main.op.role or "other"
        return Box(
            len(self.boxes), look, sign or title, tail, "", len(part.copies), sign is not None, training=part.training
        )

    def _frame_title(self, part: Part) -> str:
        words = (part_name(self.graph, part), "(training only)" if part.training else "")
        return "  ".join(filter(None, words))

    def _arrows(self) -> list[Arrow]:
        """Arrows between boxes. Those back to an earlier box lead from one copy of a run to the next: left out."""
        arrows: dict[tuple[int, int], Arrow] = {}
        said: set[tuple[int, Shape]] = set()
        for node in self.graph.nodes:
            target = self.box_of[node.id]
            for source in node.inputs:
                start = self.box_of[source]
                if start >= target or (start, target) in arrows:
                    continue
                shape = self.graph.nodes[source].shape
                label = ""
                if (start, shape) not in said and self._changes(start, shape):
                    said.add((start, shape))
                    label = format_shape(shape, times=_BETWEEN)
                arrows[start, target] = Arrow(start, target, label, node.training)
        return list(arrows.values())

    def _changes(self, number: int, shape: Shape) -> bool:
        """Whether a box gives another shape than it receives."""
        if self.boxes[number].look == "input":
            return False
        node = self.graph.nodes[self.first_node[number]]
        return not node.in_shapes or concrete(node.in_shapes[0]) != concrete(shape)

    def _output(self, name: str, node: int, members: list[Box | Frame], arrows: list[Arrow]) -> None:
        box = Box(len(self.boxes), "output", name, tail=format_shape(self.graph.nodes[node].shape, times=_BETWEEN))
        self.boxes.append(box)
        members.append(box)
        arrows.append(Arrow(self.box_of[node], box.number))
