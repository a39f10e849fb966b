"""What a drawing shows: boxes, frames around them, and arrows. Plain data, without a word of SVG, DOT or TikZ.

`compose` makes one of a graph; every style of drawing and every format reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from archdsl.diagnostics import Origin
from archdsl.drawing.theme import Look
from archdsl.shapes import Shape

Level: TypeAlias = Literal["network", "block", "layer"]
LEVELS: tuple[Level, ...] = ("network", "block", "layer")
EVERYTHING = "*"
"""As a path to unfold: no two equal things are drawn as one."""


@dataclass(frozen=True, slots=True)
class View:
    """What of a network is shown.

    `network`: a box for each stage. `block`: a box for each outermost block. `layer`: every op, blocks as frames.
    `focus` is the path of the block that alone is drawn. A path in `unfold` is opened, and out of the run of equals
    that it stands in; that of a sequence (`layer3`) has all its members drawn one by one; `*` means all of them.
    """

    level: Level = "block"
    focus: str = ""
    unfold: tuple[str, ...] = ()


class Cost(NamedTuple):
    """Sums over all nodes and copies: trained numbers, MACs of one sample, bytes of the stored outputs (fp32)."""

    params: int
    macs: int
    memory: int

    def plus(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.macs + other.macs, self.memory + other.memory)


NOTHING = Cost(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Box:
    """One thing drawn: a written node, a block, a stage, or an input or output that is drawn beside them.

    `title` says what it is (`3x3 conv, 64, /2`, `bottleneck(64)`), `tail` what follows in it (`bn relu`), `name` is the
    path as it is shown (`layer1.1 … layer1.2`), `lines` what a stage holds.
    """

    number: int
    look: Look
    title: str
    tail: str = ""
    name: str = ""
    lines: tuple[str, ...] = ()
    path: str = ""
    """The whole path of the (first) thing, `last` that of the last copy."""
    last: str = ""
    kind: str = ""
    """The op's kind (`conv`, `maxpool`), or `block`, `stage`, `output`."""
    block: str = ""
    """The name of the user's block, or of the composite."""
    copies: tuple[range, ...] = ()
    """The node ids of each copy: those that the box stands for (within the first copy of the frames around it)."""
    in_shapes: tuple[Shape, ...] = ()
    """What it receives (its first copy does)."""
    shape: Shape = ()
    """What leaves it (its last copy)."""
    cost: Cost = NOTHING
    origin: Origin | None = None
    """Where it was written."""
    sign: str = ""
    """`+` or `x`: drawn as a small circle."""
    training: bool = False

    @property
    def count(self) -> int:
        """How many equal things it stands for: the N of `x N`."""
        return max(len(self.copies), 1)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame around boxes and frames: a block that is opened, or (`stage`) a group of one resolution."""

    name: str
    title: str
    members: tuple[Box | Frame, ...]
    stage: bool = False
    path: str = ""
    last: str = ""
    block: str = ""
    copies: tuple[range, ...] = ()
    """The node ids of each copy. What is inside holds the nodes, and the cost, of the first copy alone."""
    cost: Cost = NOTHING
    origin: Origin | None = None
    training: bool = False

    @property
    def count(self) -> int:
        """How many equal things it stands for."""
        return max(len(self.copies), 1)


@dataclass(frozen=True, slots=True)
class Arrow:
    """From box to box by number; `shape` is what flows.

    `label` says it (`64 x 56 x 56`), once for each box that changes it. `skip`: it passes by at least one box that lies
    on another way between the two, as a shortcut does.
    """

    source: int
    target: int
    shape: Shape
    label: str = ""
    training: bool = False
    skip: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """`name` is the network's, `title` what stands above the picture, `facts` below that."""

    name: str
    title: str
    facts: tuple[str, ...]
    view: View
    members: tuple[Box | Frame, ...]
    arrows: tuple[Arrow, ...]

    def boxes(self) -> Iterator[Box]:
        """All boxes, in the order they are drawn; box number n is the n-th."""
        return (member for member in self.walk() if isinstance(member, Box))

    def frames(self) -> Iterator[Frame]:
        """All frames, each before those inside it."""
        return (member for member in self.walk() if isinstance(member, Frame))

    def walk(self) -> Iterator[Box | Frame]:
        pending = list(reversed(self.members))
        while pending:
            member = pending.pop()
            yield member
            if isinstance(member, Frame):
                pending += reversed(member.members)
