"""The content of a drawing: boxes, frames around them, and arrows, independent of SVG, DOT and TikZ.

`compose` creates it from a graph; the formats of the style `graph` read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from archdsl.diagnostics import Origin
from archdsl.drawing.theme import Look
from archdsl.shapes import Shape

Level: TypeAlias = Literal["network", "block", "layer"]
LEVELS: tuple[Level, ...] = ("network", "block", "layer")
EVERYTHING = "*"
"""As a path to expand: every block, at any level of detail."""


@dataclass(frozen=True, slots=True)
class View:
    """The part of a network that is drawn, and its level of detail.

    The level `network` draws a box for each stage, `block` a box for each outermost block, `layer` every op, with
    blocks as frames. `focus` is the path of the only block that is drawn. Each block in `expand` is drawn as a frame,
    apart from the run of equal blocks that it belongs to. The members of a sequence in it (`layer3`) are drawn one by
    one. With `*` every block is a frame, and nothing is collapsed.
    """

    level: Level = "block"
    focus: str = ""
    expand: tuple[str, ...] = ()


class Cost(NamedTuple):
    """Sums over all nodes and copies, in all copies of the frames around too: parameters, MACs of one sample, bytes of
    the stored outputs (fp32)."""

    params: int
    macs: int
    memory: int

    def plus(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.macs + other.macs, self.memory + other.memory)


NOTHING = Cost(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Box:
    """A box: a written node, a block, a stage, an input or an output.

    `title` is the op or call (`3x3 conv, 64, /2`, `bottleneck(64)`), `tail` lists the ops after the main one (`bn
    relu`), `name` is the path as shown (`layer1.1 … layer1.2`), `lines` list the content of a stage, or what differs in
    the copies.
    """

    number: int
    look: Look
    title: str
    tail: str = ""
    name: str = ""
    lines: tuple[str, ...] = ()
    path: str = ""
    """The full path of the first copy; `last` is that of the last copy."""
    last: str = ""
    kind: str = ""
    """The op's kind (`conv`, `maxpool`), or `block`, `stage`, `output`."""
    block: str = ""
    """The name of the user's block, or of the composite."""
    copies: tuple[range, ...] = ()
    """The node ids of each copy, within the first copy of the frames around the box."""
    in_shapes: tuple[Shape, ...] = ()
    """The input shapes of the first copy."""
    shape: Shape = ()
    """The output shape of the last copy."""
    cost: Cost = NOTHING
    origin: Origin | None = None
    """The place in the spec."""
    sign: str = ""
    """`+` or `x`: drawn as a small circle."""
    training: bool = False
    wrap: float = 0.0
    """The width in points at which its lines are broken; 0: they are not."""
    upper: Box | None = None
    """The box whose content is drawn as the upper half: what was there in the first of two networks."""

    everywhere: tuple[range, ...] = ()
    """The node ids of each part that it stands for: its `copies` in each copy of the frames around it."""

    @property
    def count(self) -> int:
        """The number of equal parts that the box represents: the N of `x N`."""
        return max(len(self.copies), 1)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame around boxes and frames: an expanded block, or (`stage`) a group of one resolution."""

    name: str
    title: str
    members: tuple[Box | Frame, ...]
    stage: bool = False
    path: str = ""
    last: str = ""
    block: str = ""
    copies: tuple[range, ...] = ()
    """The node ids of each copy. The members have the nodes of the first copy, and the cost of all copies."""
    cost: Cost = NOTHING
    origin: Origin | None = None
    training: bool = False
    lines: tuple[str, ...] = ()
    """What differs in the copies."""

    @property
    def count(self) -> int:
        """The number of equal parts that the frame represents."""
        return max(len(self.copies), 1)

    def boxes(self) -> Iterator[Box]:
        """Return the boxes in the frame and in the frames in it, in drawing order."""
        return (member for member in walk(self.members) if isinstance(member, Box))


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow between two boxes, by number; `shape` is the shape of the tensor.

    `label` is that shape as text (`64 x 56 x 56`), once for each box that changes the shape. `skip`: a longer route
    leads to the same box, as beside a shortcut.
    """

    source: int
    target: int
    shape: Shape
    label: str = ""
    training: bool = False
    skip: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole drawing: `name` is the network's name, `title` the line above the picture, `facts` the line below it."""

    name: str
    title: str
    facts: tuple[str, ...]
    view: View
    members: tuple[Box | Frame, ...]
    arrows: tuple[Arrow, ...]

    def boxes(self) -> Iterator[Box]:
        """Return all boxes in drawing order; box number n is the n-th."""
        return (member for member in self.walk() if isinstance(member, Box))

    def frames(self) -> Iterator[Frame]:
        """Return all frames, each before the frames in it."""
        return (member for member in self.walk() if isinstance(member, Frame))

    def mapped(self, change: Callable[[Box], Box]) -> Drawing:
        """Return the drawing with each box changed by a function."""

        def changed(member: Box | Frame) -> Box | Frame:
            if isinstance(member, Frame):
                return replace(member, members=tuple(map(changed, member.members)))
            return change(member)

        return replace(self, members=tuple(map(changed, self.members)))

    def walk(self) -> Iterator[Box | Frame]:
        return walk(self.members)


def walk(members: Sequence[Box | Frame]) -> Iterator[Box | Frame]:
    """Return the boxes and frames, each frame before its members."""
    pending = list(reversed(members))
    while pending:
        member = pending.pop()
        yield member
        if isinstance(member, Frame):
            pending += reversed(member.members)
