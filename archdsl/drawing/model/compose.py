"""Graph to Drawing: which boxes, frames and arrows there are.

Parts of the graph (see `analysis.parts`) become boxes; a block that is opened becomes a frame with its own parts inside.
Of a run of equal blocks one is drawn. At the top level neighbours of one resolution stand in a frame, a stage.
"""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.analysis.count import count_nodes
from archdsl.analysis.equal_scopes import signatures
from archdsl.analysis.memory import BYTES_PER_VALUE
from archdsl.analysis.parts import Part, Signatures, collapse_runs, inside, split
from archdsl.drawing.model.arrows import arrows, edges
from archdsl.drawing.model.boxes import block_box, frame_title, input_box, node_box, output_box, stage_box
from archdsl.drawing.model.drawing import EVERYTHING, Box, Cost, Drawing, Frame, View
from archdsl.drawing.model.focus import Focus, crossing, focus_on, known, need_path
from archdsl.drawing.model.heading import facts, heading
from archdsl.drawing.model.stages import collapse_nodes, lumps, stages
from archdsl.graph import Graph, Scope
from archdsl.report.words import run_name
from archdsl.shapes import Shape


def compose(graph: Graph, view: View = View(), lumped: bool = False) -> Drawing:
    """The drawing of a graph, as the view says; `lumped`: a few boxes for whatever network.

    Raises E0713 (status 2) for a path that the network has not.
    """
    paths = known(graph)
    for path in (view.focus, *view.unfold):
        if path and path != EVERYTHING:
            need_path(graph.name, paths, path)
    focus = focus_on(graph, view.focus) if view.focus else None
    return _Composer(graph, view, focus).drawing(lumped)


class _Composer:
    def __init__(self, graph: Graph, view: View, focus: Focus | None) -> None:
        self.graph, self.view, self.focus = graph, view, focus
        self.same: Signatures = signatures(graph, fields=False)
        self.unfold = frozenset(view.unfold) - {EVERYTHING}
        self.all_apart = EVERYTHING in view.unfold
        self.apart: set[int] = set()
        """First nodes of the parts that are not drawn together with others."""
        self.costs = [Cost(c.params, c.macs, c.activations * BYTES_PER_VALUE) for c in count_nodes(graph)]
        self.box_of: dict[int, int] = {}
        self.runs: list[tuple[range, ...]] = []
        """The copies of what is drawn once for several."""
        self.count = 0

    def drawing(self, lumped: bool) -> Drawing:
        sources = self._sources()
        if self.focus is not None:
            inner = self._within(self.focus.part)
            members = [*sources, *self._members(inner, self.focus.part.path)]
        else:
            top = self._top_parts()
            groups = lumps(self.graph, top) if lumped else stages(self.graph, top)
            members = [member for parts, title in groups for member in self._group(parts, title)]
        members, ends = self._with_outputs(members)
        found = arrows(members, edges(self.graph, self.box_of, self.runs), ends)
        return Drawing(
            self.graph.name,
            heading(self.graph, self.focus),
            facts(self.graph, self.focus),
            self.view,
            tuple(members),
            found,
        )

    # --- which parts -------------------------------------------------------------------------------------

    def _opened_here(self, path: str) -> bool:
        """Whether something within the path, or it itself, is to be unfolded."""
        return path in self.unfold or any(inner.startswith(f"{path}.") for inner in self.unfold)

    def _fold(self, parts: Sequence[Part], around: str) -> list[Part]:
        """Equal neighbours as one part; those that are to be unfolded, and what stands in an unfolded sequence,
        alone."""
        if self.all_apart or around in self.unfold:
            self.apart |= {part.ids.start for part in parts}
            return list(parts)
        out: list[Part] = []
        together: list[Part] = []
        for part in parts:
            if self._opened_here(part.path):
                out += [*collapse_runs(self.graph, together, self.same), part]
                together = []
                self.apart.add(part.ids.start)
            else:
                together.append(part)
        return [*out, *collapse_runs(self.graph, together, self.same)]

    def _split(self, scope: Scope) -> list[Part]:
        return self._fold(split(self.graph, scope), scope.path if scope.kind in ("sequence", "repeat") else "/")

    def _inside(self, part: Part) -> list[Part]:
        apart = part.path if part.kind == "sequence" else "/"
        return self._fold(inside(self.graph, part), apart)

    def _top_parts(self) -> list[Part]:
        """The parts of the net, its named sequences opened, equal written nodes in a row collapsed."""
        return self._flat(self._split(self.graph.root), aux=False)

    def _within(self, part: Part) -> list[Part]:
        """The parts of an opened one, named sequences within it (a branch of two layers) opened as well."""
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
        found = [self.costs[i] for ids in copies for i in ids]
        return Cost(sum(c.params for c in found), sum(c.macs for c in found), sum(c.memory for c in found))

    def _group(self, parts: list[Part], title: str) -> list[Box | Frame]:
        """A stage: one box at the level of the network, else a frame; without a title just its members."""
        if not title:
            return self._members(parts, "")
        ids = (range(parts[0].ids.start, parts[-1].ids.stop),)
        if self.view.level == "network" and not any(self._opened_here(part.path) for part in parts):
            box = stage_box(self.graph, self._number(ids), parts, title, self._cost(ids))
            return [box]
        members = tuple(self._members(parts, ""))
        return [Frame(title, "", members, True, parts[0].path, parts[-1].last, "", ids, self._cost(ids))]

    def _members(self, parts: Sequence[Part], around: str) -> list[Box | Frame]:
        return [member for part in parts for member in self._placed(part, around)]

    def _placed(self, part: Part, around: str) -> list[Box | Frame]:
        """A part as a box, or as a frame with its own parts. Blocks hold blocks only as deep as a spec may nest
        them."""
        closed = self.view.level != "layer" and not self._opened_here(part.path)
        if part.scope is None or part.kind == "node" or not part.path or closed:
            return self._closed(part, around)
        before = len(self.runs)
        members = tuple(self._members(self._within(part), part.path))
        self._copy_inside(part.copies, self.runs[before:])
        block = part.scope.block or part.scope.kind
        frame = Frame(
            run_name(part, " … ", around),
            frame_title(self.graph, part),
            members,
            False,
            part.path,
            part.last,
            block,
            part.copies,
            self._cost(part.copies),
            part.scope.origin,
            part.training,
        )
        return [frame]

    def _copy_inside(self, copies: tuple[range, ...], runs: list[tuple[range, ...]]) -> None:
        """Notes that the boxes in the first copy of an opened part, and the `runs` in it, stand for the other copies
        too."""
        for copy in copies[1:]:
            by = copy.start - copies[0].start
            self.box_of.update({first + by: self.box_of[first] for first in copies[0]})
            self.runs += [tuple(range(ids.start + by, ids.stop + by) for ids in run) for run in runs]
        if len(copies) > 1:
            self.runs.append(copies)

    def _closed(self, part: Part, around: str) -> list[Box | Frame]:
        """A part as one box; the concat behind the layers of a dense block is a box of its own."""
        if part.scope is None or part.kind == "node":
            return [node_box(self.graph, self._number(part.copies), part, self._cost(part.copies))]
        length = part.scope.end - part.scope.first
        blocks = tuple(range(copy.start, copy.start + length) for copy in part.copies)
        tails = tuple(range(copy.start + length, copy.stop) for copy in part.copies)
        box = block_box(self.graph, self._number(blocks), part._replace(copies=blocks), around, self._cost(blocks))
        if not tails[0]:
            return [box]
        if len(part.copies) > 1:
            self.runs.append(part.copies)
        merge = Part(part.path, part.path, "node", tails, None, part.training)
        return [box, node_box(self.graph, self._number(tails), merge, self._cost(tails))]

    def _number(self, copies: Sequence[range]) -> int:
        """The next box's number, noted for the nodes that it stands for."""
        for ids in copies:
            self.box_of.update(dict.fromkeys(ids, self.count))
        self.count += 1
        return self.count - 1

    # --- what comes from outside, and what leaves --------------------------------------------------------

    def _sources(self) -> list[Box]:
        if self.focus is None:
            return []
        given = crossing(self.graph, self.focus.part.copies[0])[0]
        boxes = [input_box(self.graph.nodes[i], self._number(()), alone=len(given) == 1) for i in given]
        self.box_of.update({node: box.number for node, box in zip(given, boxes, strict=True)})
        return boxes

    def _with_outputs(self, members: list[Box | Frame]) -> tuple[list[Box | Frame], list[tuple[Shape, int, int]]]:
        """The members with a box for each output that is an image, or one of several; and (shape, from, to) of each."""
        outputs = dict(self.graph.outputs)
        if self.focus is not None:
            found = crossing(self.graph, self.focus.part.copies[0])[1]
            outputs = {"output" if len(found) == 1 else self.graph.nodes[i].written_path: i for i in found}
        boxes: list[Box] = []
        ends: list[tuple[Shape, int, int]] = []
        for name, node in outputs.items():
            if self.focus is not None or len(outputs) > 1 or len(self.graph.nodes[node].shape) > 1:
                box = output_box(self.graph.nodes[node], self._number(()), name)
                ends.append((self.graph.nodes[node].shape, self.box_of[node], box.number))
                boxes.append(box)
        return [*members, *boxes], ends
