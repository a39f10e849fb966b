"""The stages of a network drawn as volumes: one for each written node or collapsed block, in groups by block.

A norm and an activation after a convolution are bands of its stage. Ops that do not change values at inference
(dropout, flatten, identity) belong to the stage before them. A run of equal blocks is drawn once, with its xN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from archdsl.analysis.parts import Part, Signatures, head, inside, split
from archdsl.axes import in_short
from archdsl.drawing.model.boxes import look_of
from archdsl.drawing.scene import shorten
from archdsl.drawing.theme import Look
from archdsl.graph import Graph, Node
from archdsl.ops import Concat, Flatten, Identity, Input
from archdsl.report.words import TIMES, kind_of, part_call, part_figure, part_label
from archdsl.shapes import concrete

MOST_LETTERS = 28
"""Characters of a name in the picture; the tooltip has the full name."""
_BANDED: frozenset[Look] = frozenset({"conv", "fc", "merge", "norm", "block", "other"})


@dataclass(slots=True)
class Stage:
    """One volume. `shape` is the output shape of its last copy; `bands` are its norm and activation, in order."""

    number: int
    look: Look
    path: str
    title: str
    shape: tuple[int, ...]
    kernel: str = ""
    sign: str = ""
    """`+` or the multiplication sign: drawn as a circle."""
    bands: tuple[Look, ...] = ()
    words: tuple[str, ...] = ()
    """The kinds of the bands."""
    copies: int = 1
    last: str = ""
    """The path of the last copy, whose output is drawn."""


@dataclass(slots=True)
class StageGroup:
    """An expanded block, or a run of equal blocks; the net itself has no name."""

    name: str
    title: str
    path: str
    copies: int = 1
    members: list[Stage | StageGroup] = field(default_factory=list)

    def stages(self) -> Iterator[Stage]:
        """Return all stages in it, in written order."""
        pending: list[Stage | StageGroup] = [self]
        while pending:
            member = pending.pop()
            if isinstance(member, Stage):
                yield member
            else:
                pending += reversed(member.members)


@dataclass(frozen=True, slots=True)
class Staged:
    """The stages of a network, and the edges between them by number: from a lower to a higher one."""

    root: StageGroup
    edges: tuple[tuple[int, int], ...]
    stage_of: tuple[int, ...]
    """The stage number of each node; -1 for nodes of auxiliary heads."""
    aux: tuple[str, ...] = ()
    name: str = ""


def stage(graph: Graph, same: Signatures | None, level: int, focus: Part | None = None) -> Staged:
    """Return the stages of a network or of one part of it, with `level` levels of blocks expanded (0: none).

    With `same`, a run of equal blocks is collapsed.
    """
    return _Stager(graph, same, level, focus).staged()


class _Stager:
    def __init__(self, graph: Graph, same: Signatures | None, level: int, focus: Part | None) -> None:
        self.graph, self.same, self.level, self.focus = graph, same, level, focus
        self.stages: list[Stage] = []
        self.home: list[StageGroup] = []
        self.stage_of = [-1] * len(graph.nodes)
        self.common = ""
        """The only sequence that contains blocks: names leave it out."""

    def staged(self) -> Staged:
        root = StageGroup("", "", "")
        if self.focus is not None:
            self._outside(self.focus, root)
        top = self._top()
        aux = tuple(part.path for part in top if part.training)
        holders = {
            part.path if part.kind == "sequence" else ""
            for part in top
            if part.kind == "block" or self._holds_blocks(part)
        }
        self.common = holders.pop() if len(holders - {""}) == len(holders) == 1 else ""
        pending: list[tuple[Part, StageGroup, int, str]] = [
            (part, root, 0, "") for part in reversed(top) if not part.training
        ]
        runs: list[Part] = []
        while pending:
            part, group, level, around = pending.pop()
            if part.kind == "node" or part.scope is None or (part.kind == "block" and level >= self.level):
                self._close(part, group, around)
                continue
            into, below = group, level
            if part.kind == "block" and group is not root and len(part.copies) == 1:
                below = level + 1
            elif part.kind == "block":
                name, title = self._words(part, around)
                into = StageGroup(name, title, part.path, len(part.copies))
                group.members.append(into)
                below, around = level + 1, part.path
            runs.append(part)
            pending += [
                (p, into, below, around) for p in reversed(inside(self.graph, part, self.same)) if not p.training
            ]
        for part in reversed(runs):
            for copy in part.copies[1:]:
                first = part.copies[0]
                self.stage_of[copy.start : copy.stop] = self.stage_of[first.start : first.stop]
        self._last_shapes()
        if self.focus is None:
            self._name_ends()
        _drop_empty(root)
        root.members = [_collapsed(member) for member in root.members]
        return Staged(root, self._edges(), tuple(self.stage_of), aux, self.graph.name)

    def _top(self) -> tuple[Part, ...]:
        if self.focus is None:
            return split(self.graph, self.graph.root, self.same)
        return (self.focus,) if self.focus.kind == "node" else inside(self.graph, self.focus, self.same)

    def _outside(self, part: Part, root: StageGroup) -> None:
        """Add the inputs of the focused part as input stages."""
        ids = part.copies[0]
        for number in dict.fromkeys(n for node in part.nodes(self.graph) for n in node.inputs if n not in ids):
            source = self.graph.nodes[number]
            self._add(
                Stage(len(self.stages), "input", source.path, source.path, ()), root, (range(number, number + 1),)
            )

    def _holds_blocks(self, part: Part) -> bool:
        return part.kind == "sequence" and any(inner.kind == "block" for inner in inside(self.graph, part))

    def _close(self, part: Part, group: StageGroup, around: str) -> None:
        if part.kind == "node" or part.scope is None:
            self._node(part, group)
            return
        tail = [self.graph.nodes[n] for n in range(part.scope.end, part.copies[0].stop)]
        name, title = self._words(part, around)
        title = title or name
        times = f" {TIMES}{len(part.copies)}" if len(part.copies) > 1 else ""
        stage = Stage(
            len(self.stages), "block", part.path, title, (), f"{name}{times}", copies=len(part.copies), last=part.last
        )
        self._add(stage, group, part.copies)
        if tail:
            self._merge(stage, tail)

    def _words(self, part: Part, around: str) -> tuple[str, str]:
        """The name of a block in the picture, and its title: its label, or its path and its call."""
        label = part_label(self.graph, part)
        title = part_call(self.graph, part)
        return shorten(label, MOST_LETTERS) if label else _name(part, around or self.common, title), title

    def _merge(self, stage: Stage, tail: Sequence[Node]) -> None:
        """Add the concat after a collapsed layer of a dense block to the layer."""
        stage.words += tuple(node.op.name for node in tail)

    def _node(self, part: Part, group: StageGroup) -> None:
        nodes = part.nodes(self.graph)
        main = head(self.graph, part)
        before = self.stage_of[main.inputs[0]] if main.inputs else -1
        if before >= 0 and all(type(n.op) in (Identity, Flatten) or not n.op.inference for n in nodes):
            self._take(part, before)
        elif before >= 0 and main.op.role and self._follows(nodes[0], group, before):
            self._take(part, before)
            self._band(self.stages[before], nodes)
        else:
            self._add(self._stage(part, main), group, part.copies)

    def _take(self, part: Part, number: int) -> None:
        for copy in part.copies:
            self.stage_of[copy.start : copy.stop] = [number] * len(copy)

    def _follows(self, node: Node, group: StageGroup, before: int) -> bool:
        """Whether a norm or activation of its own is the only reader of the stage before it, and can be its band."""
        stage = self.stages[before]
        if (
            self.home[before] is not group
            or before != len(self.stages) - 1
            or stage.look not in _BANDED
            or stage.copies > 1
        ):
            return False
        source = node.inputs[0]
        return self.graph.consumers[source] == (node.id,) and source not in self.graph.outputs.values()

    def _stage(self, part: Part, main: Node) -> Stage:
        title = part.path if isinstance(main.op, Input) else part_figure(self.graph, part)[0]
        words, sign = (shorten(main.label, MOST_LETTERS), "") if main.label else (_kernel(main), main.op.sign)
        stage = Stage(
            len(self.stages), look_of(main), part.path, title, (), words, sign, copies=len(part.copies), last=part.last
        )
        self._band(stage, [n for n in part.nodes(self.graph) if n.id > main.id and not isinstance(n.op, Flatten)])
        return stage

    def _band(self, stage: Stage, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if node.op.role:
                stage.bands += (look_of(node),)
                stage.words += (node.op.name,)

    def _add(self, stage: Stage, group: StageGroup, copies: Sequence[range]) -> None:
        self.stages.append(stage)
        self.home.append(group)
        group.members.append(stage)
        for ids in copies:
            self.stage_of[ids.start : ids.stop] = [stage.number] * len(ids)

    def _last_shapes(self) -> None:
        """Set the shapes of the stages; a flatten sets one only if it is a stage itself, as after a run of blocks."""
        for node in self.graph.nodes:
            number = self.stage_of[node.id]
            if number >= 0 and (type(node.op) is not Flatten or not self.stages[number].shape):
                self.stages[number].shape = concrete(node.shape)

    def _name_ends(self) -> None:
        """Write the names of several inputs below their stages, and of several outputs below those that give them."""
        graph, named = self.graph, list[tuple[int, str]]()
        if len(graph.inputs) > 1:
            named += [(self.stage_of[node], graph.nodes[node].path) for node in graph.inputs]
        if len(graph.outputs) > 1:
            named += [(self.stage_of[node], f"\u2192 {name}") for name, node in graph.outputs.items()]
        for number, words in named:
            stage = self.stages[number]
            stage.kernel = " ".join(filter(None, (stage.kernel, shorten(words, MOST_LETTERS))))

    def _edges(self) -> tuple[tuple[int, int], ...]:
        edges: dict[tuple[int, int], None] = {}
        for node in self.graph.nodes:
            target = self.stage_of[node.id]
            for source in (self.stage_of[n] for n in node.sources):
                if 0 <= source < target:
                    edges.setdefault((source, target))
        return tuple(edges)


def _drop_empty(root: StageGroup) -> None:
    """Remove groups without a stage: blocks whose ops all belong to the stage before, such as a dropout."""
    pending = [root]
    while pending:
        group = pending.pop()
        group.members = [m for m in group.members if isinstance(m, Stage) or next(m.stages(), None) is not None]
        pending += [m for m in group.members if isinstance(m, StageGroup)]


def _collapsed(member: Stage | StageGroup) -> Stage | StageGroup:
    """Replace a group that contains only a run of equal blocks by the run, under the name of the group."""
    if (
        isinstance(member, StageGroup)
        and len(member.members) == 1
        and isinstance(member.members[0], StageGroup)
        and member.copies == 1
    ):
        inner = member.members[0]
        return StageGroup(member.name, inner.title, member.path, inner.copies, inner.members)
    return member


def _name(part: Part, around: str, title: str) -> str:
    """The name of a part or run, such as `layer1.1`; a number follows its block's name: `bottleneck 5-6`."""
    first, last = (path.removeprefix(f"{around}.") for path in (part.path, part.last))
    end = last.rpartition(".")[2] if last.rpartition(".")[0] == first.rpartition(".")[0] else last
    name = first if first == last else f"{first}\u2013{end}"
    block = title.partition("(")[0]
    return shorten(f"{block} {name}" if name[:1].isdigit() and block else name, MOST_LETTERS)


def _kernel(node: Node) -> str:
    """The kernel of a windowed op, such as `3x3 /2 d=2 g=32` (stride, dilation, groups); empty for other ops."""
    kernel = getattr(node.op, "kernel", None)
    if kernel is None or getattr(node.op, "adaptive", False) or isinstance(node.op, Concat):
        return ""
    stride = getattr(node.op, "steps", None) or getattr(node.op, "stride", None) or ()
    text = TIMES.join(map(str, kernel))
    for mark, steps in ((" /", stride), (" d=", getattr(node.op, "dilation", ()))):
        if any(step != 1 for step in steps):
            text += mark + in_short(steps, TIMES)
    if kind_of(node) == "dwconv":
        return f"dw {text}"
    groups = getattr(node.op, "groups", 1)
    return f"{text} g={groups}" if groups > 1 else text
