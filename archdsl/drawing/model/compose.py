"""Graph to Drawing: choose the boxes, frames and arrows.

Parts of the graph (see `analysis.parts`) become boxes. An expanded block becomes a frame around the boxes of its parts.
A run of equal blocks is collapsed: drawn once. At the top level, neighbours of one resolution form a frame, a stage.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from archdsl.analysis.count import count_nodes
from archdsl.analysis.equal_scopes import signatures
from archdsl.analysis.memory import BYTES_PER_VALUE
from archdsl.analysis.parts import Part, Signatures, collapse_runs, inside, rounds, split
from archdsl.axes import axes_of
from archdsl.drawing.model.arrows import arrows, edges
from archdsl.drawing.model.boxes import block_box, frame_title, input_box, node_box, output_box, stage_box
from archdsl.drawing.model.drawing import EVERYTHING, Box, Cost, Drawing, Frame, View
from archdsl.drawing.model.focus import crossing, focus_on
from archdsl.drawing.model.heading import facts, heading
from archdsl.drawing.model.stages import collapse_nodes, lumps, stages
from archdsl.graph import Graph, Scope
from archdsl.report.words import changed_lines, run_name
from archdsl.shapes import Shape


def compose(graph: Graph, view: View = View(), lumped: bool = False, breaks: Collection[int] = ()) -> Drawing:
    """Return the drawing of a graph for a view; `lumped` draws any network with a few boxes.

    Equal parts before and from a node in `breaks` are not collapsed together.

    Raises E0713 (status 2) for a path that the network does not have.
    """
    return _Composer(graph, view, focus_on(graph, view), breaks).drawing(lumped)


class _Composer:
    def __init__(self, graph: Graph, view: View, focus: Part | None, breaks: Collection[int]) -> None:
        self.graph, self.view, self.focus = graph, view, focus
        ends = sorted(breaks)
        self.same: Signatures = {
            scope: number * (len(ends) + 1) + bisect_right(ends, scope.first)
            for scope, number in signatures(graph, fields=False).items()
        }
        self.expand = frozenset(view.expand) - {EVERYTHING}
        self.all_apart = EVERYTHING in view.expand
        self.apart: set[int] = set(breaks)
        """First nodes of the parts that are not collapsed with others."""
        self.costs = [Cost(c.params, c.macs, c.activations * BYTES_PER_VALUE) for c in count_nodes(graph)]
        self.box_of: dict[int, int] = {}
        self.runs: list[tuple[range, ...]] = []
        """The copies of each collapsed part."""
        self.shifts: tuple[int, ...] = (0,)
        """The distances in nodes from the first copy of the frames around to each of their copies."""
        self.count = 0

    def drawing(self, lumped: bool) -> Drawing:
        sources = self._sources()
        if self.focus is not None:
            inner = self._within(self.focus)
            members = [*sources, *self._members(inner, self.focus.path)]
        else:
            top = self._top_parts()
            boxes = self.view.level == "network"
            groups = lumps(self.graph, top) if lumped else stages(self.graph, top, boxes)
            members = [member for parts, title in groups for member in self._group(parts, title)]
        members, ends = self._with_outputs(members)
        drawn = arrows(members, edges(self.graph, self.box_of, self.runs), ends)
        return Drawing(
            self.graph.name,
            heading(self.graph, self.focus),
            facts(self.graph, self.focus),
            self.view,
            tuple(members),
            drawn,
        )

    # --- which parts -------------------------------------------------------------------------------------

    def _is_expanded(self, path: str) -> bool:
        """Whether the path, or a path in it, is to be expanded."""
        return self.all_apart or path in self.expand or any(inner.startswith(f"{path}.") for inner in self.expand)

    def _collapse(self, parts: Sequence[Part], around: str) -> list[Part]:
        """Collapse equal neighbours, except expanded parts and the members of an expanded sequence."""
        if self.all_apart or around in self.expand:
            self.apart |= {part.ids.start for part in parts}
            return list(parts)
        out: list[Part] = []
        together: list[Part] = []
        for part in parts:
            if self._is_expanded(part.path):
                out += [*collapse_runs(self.graph, together, self.same), part]
                together = []
                self.apart.add(part.ids.start)
            else:
                together.append(part)
        return [*out, *collapse_runs(self.graph, together, self.same)]

    def _split(self, scope: Scope) -> list[Part]:
        return self._collapse(split(self.graph, scope), scope.path if scope.kind in ("sequence", "repeat") else "/")

    def _inside(self, part: Part) -> list[Part]:
        apart = part.path if part.kind == "sequence" else "/"
        return self._collapse(inside(self.graph, part), apart)

    def _top_parts(self) -> list[Part]:
        """The parts of the net: named sequences are replaced by their members, equal neighbouring nodes are
        collapsed."""
        return self._flat(self._split(self.graph.root), aux=False)

    def _within(self, part: Part) -> list[Part]:
        """The parts of an expanded part; named sequences in it (a branch of two layers) are replaced by their
        members."""
        return self._flat(self._inside(part), aux=True)

    def _flat(self, parts: Sequence[Part], aux: bool) -> list[Part]:
        out: list[Part] = []
        pending = list(reversed(parts))
        while pending:
            part = pending.pop()
            if part.kind == "sequence" and part.scope is not None and (aux or part.scope.role != "aux"):
                pending += reversed(self._inside(part))
            else:
                out.append(part)
        return collapse_nodes(self.graph, out, self.apart)

    # --- boxes -------------------------------------------------------------------------------------------

    def _cost(self, copies: Sequence[range]) -> Cost:
        """The cost of all nodes that a box or frame stands for: of its copies in all copies of the frames around it."""
        costs = [self.costs[i + by] for by in self.shifts for ids in copies for i in ids]
        return Cost(sum(c.params for c in costs), sum(c.macs for c in costs), sum(c.memory for c in costs))

    def _group(self, parts: list[Part], title: str) -> list[Box | Frame]:
        """A stage: one box at the level `network`, else a frame; without a title only its members."""
        if not title:
            return self._members(parts, "")
        ids = (range(parts[0].ids.start, parts[-1].ids.stop),)
        if self.view.level == "network" and not any(self._is_expanded(part.path) for part in parts):
            box = stage_box(self.graph, self._number(ids), parts, title, self._cost(ids))
            return [box]
        members = tuple(self._members(parts, ""))
        return [Frame(title, "", members, True, parts[0].path, parts[-1].last, "", ids, self._cost(ids))]

    def _members(self, parts: Sequence[Part], around: str) -> list[Box | Frame]:
        """Boxes and frames for parts; blocks that repeat in turn are drawn once, in a frame."""
        apart = self.all_apart or around in self.expand
        groups = [((part,),) for part in parts] if apart else rounds(self.graph, parts, self.same)
        return [member for group in groups for member in self._round(group, around)]

    def _round(self, group: Sequence[Sequence[Part]], around: str) -> list[Box | Frame]:
        if len(group) == 1:
            return [member for part in group[0] for member in self._placed(part, around)]
        copies = tuple(range(parts[0].ids.start, parts[-1].ids.stop) for parts in group)
        whole = group[0][0]._replace(kind="sequence", last=group[-1][-1].last, copies=copies)
        return [self._frame(whole, group[0], around)]

    def _placed(self, part: Part, around: str) -> list[Box | Frame]:
        """A part as a box, or as a frame around its parts. The recursion is as deep as blocks are nested."""
        closed = self.view.level != "layer" and not self._is_expanded(part.path)
        if part.scope is None or part.kind == "node" or not part.path or closed:
            return self._closed(part, around)
        return [self._frame(part, self._within(part), around)]

    def _frame(self, part: Part, inner: Sequence[Part], around: str) -> Frame:
        """A frame that stands for the copies of a block, or of a sequence of blocks, around the first copy's parts."""
        assert part.scope is not None
        block, everywhere = part.kind == "block", self._everywhere(part)
        with self._repeated(part.copies):
            members = tuple(self._members(inner, part.path if block else around))
        return Frame(
            run_name(part, " … ", around),
            frame_title(self.graph, everywhere) if block else "",
            members,
            False,
            part.path,
            part.last,
            (part.scope.block or part.scope.kind) if block else "",
            part.copies,
            self._cost(part.copies),
            part.scope.origin,
            part.training,
            changed_lines(self.graph, everywhere) if block else (),
        )

    def _everywhere(self, part: Part) -> Part:
        """The part with its copies in all copies of the frames around it."""
        copies = (range(ids.start + by, ids.stop + by) for by in self.shifts for ids in part.copies)
        return part._replace(copies=tuple(copies))

    @contextmanager
    def _repeated(self, copies: tuple[range, ...]) -> Iterator[None]:
        """The boxes and runs that are made meanwhile, from the first copy, also represent the other copies."""
        before, around = len(self.runs), self.shifts
        steps = [copy.start - copies[0].start for copy in copies]
        self.shifts = tuple(by + step for by in around for step in steps)
        yield
        self.shifts = around
        runs = self.runs[before:]
        for by in steps[1:]:
            self.box_of.update({first + by: self.box_of[first] for first in copies[0]})
            self.runs += [tuple(range(ids.start + by, ids.stop + by) for ids in run) for run in runs]
        if len(copies) > 1:
            self.runs.append(copies)

    def _closed(self, part: Part, around: str) -> list[Box | Frame]:
        """A part as one box. A layer of a dense block has the concat that follows it beside it, several in a frame."""
        if part.scope is None or part.kind == "node":
            return [self._node_box(part)]
        first, end = part.copies[0], part.copies[0].start + part.scope.end - part.scope.first
        if end == first.stop:
            return [self._block_box(part, around)]
        layer = part._replace(last=part.path, copies=(range(first.start, end),))
        inner = (layer, Part(part.path, part.path, "node", (range(end, first.stop),), None, part.training))
        if len(part.copies) == 1:
            return self._members(inner, around)
        return [self._frame(part._replace(kind="sequence"), inner, around)]

    def _node_box(self, part: Part) -> Box:
        return node_box(self.graph, self._number(part.copies), part, self._cost(part.copies), self._everywhere(part))

    def _block_box(self, part: Part, around: str) -> Box:
        number, cost = self._number(part.copies), self._cost(part.copies)
        return block_box(self.graph, number, part, around, cost, self._everywhere(part))

    def _number(self, copies: Sequence[range]) -> int:
        """Return the next box's number and record it for the nodes of the box."""
        for ids in copies:
            self.box_of.update(dict.fromkeys(ids, self.count))
        self.count += 1
        return self.count - 1

    # --- inputs and outputs ------------------------------------------------------------------------------

    def _sources(self) -> list[Box]:
        if self.focus is None:
            return []
        inputs = crossing(self.graph, self.focus.copies[0])[0]
        boxes = [input_box(self.graph.nodes[i], self._number(()), alone=len(inputs) == 1) for i in inputs]
        self.box_of.update({node: box.number for node, box in zip(inputs, boxes, strict=True)})
        return boxes

    def _with_outputs(self, members: list[Box | Frame]) -> tuple[list[Box | Frame], list[tuple[Shape, int, int]]]:
        """The members with a box for each output that is an image or one of several, and (shape, from, to) of each."""
        outputs = dict(self.graph.outputs)
        if self.focus is not None:
            read_outside = crossing(self.graph, self.focus.copies[0])[1]
            outputs = {
                "output" if len(read_outside) == 1 else self.graph.nodes[i].written_path: i for i in read_outside
            }
        boxes: list[Box] = []
        ends: list[tuple[Shape, int, int]] = []
        for name, node in outputs.items():
            if self.focus is not None or len(outputs) > 1 or axes_of(self.graph.nodes[node].shape) > 0:
                box = output_box(self.graph.nodes[node], self._number(()), name)
                ends.append((self.graph.nodes[node].shape, self.box_of[node], box.number))
                boxes.append(box)
        return [*members, *boxes], ends
