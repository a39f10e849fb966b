"""Sizes and positions of volumes, plates and captions.

`EXTENTS` is the only place that says which axis of a tensor is which extent of its box. A box is seen from the right
and above: x runs to the right, y down, and depth to the upper right by `DEPTH_X`, `DEPTH_Y` of its length. Its position
is the middle of its left face; the axis of a row is at y = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, sqrt
from typing import NamedTuple

from archdsl.axes import IMAGE, KINDS, MOST, axes_of, sizes_words
from archdsl.drawing.metrics import text_width
from archdsl.drawing.scene import Point
from archdsl.drawing.theme import Look
from archdsl.drawing.volumes.stages import Stage, StageGroup
from archdsl.report.words import TIMES

DEPTH_X, DEPTH_Y = 0.34, 0.29
TALLEST, CROWDED = 108.0, 84.0
"""Height of the tallest map in points: normally, and with many parallel branches."""
LONGEST = 96.0
"""Length of the longest vector."""
THIN = 3.5
"""Thickness of ops that do not set the channels: pools, norms, activations."""
BAR = 5.0
RADIUS = 5.0
GAP = 15.0
BAR_GAP = 9.0
ROW_GAP = 9.0
LANE = 9.0
"""Height of an arc above the stages that it skips."""
LABEL, SMALL = 7.5, 6.5
"""Font sizes below a volume: of the channels and of the kernel."""
PLATE = 5.0
_SAME_CHANNELS: frozenset[Look] = frozenset({"pool", "norm", "act", "other"})
"""Ops that are drawn as thin boxes without a label, if the thickness of a box is its channels."""


class Extents(NamedTuple):
    """How a kind of tensor becomes a box."""

    axes: tuple[int | None, int | None, int | None]
    """The axes (0: the channels) that are the width, height and depth of the box; None: `BAR` points."""
    share: float
    """The height of the largest box, as a share of that of images: a cube is as wide as it is high."""
    words: str
    """What the picture says about it."""


EXTENTS = (
    Extents((None, None, 0), 1.0, "the length of a bar, the units of a vector"),
    Extents(
        (0, 1, None),
        1.0,
        "the height of a strip is the length L of its signal, its thickness the channels, which are the first number "
        "below it, before the window",
    ),
    Extents((0, 1, 2), 1.0, "the height and depth of a box are those of its maps, its thickness the channels"),
    Extents(
        (1, 2, 3),
        0.45,
        "the width, height and depth of a cube are the D, H and W of its volume, the number below it the channels",
    ),
)
"""By the number of axes."""


@dataclass(frozen=True, slots=True)
class VolumeScale:
    """Points per square root of a pixel (by the number of axes), of a channel, and of a vector's unit."""

    sides: tuple[float, ...]
    channel: float
    unit: float


@dataclass(slots=True)
class Spot:
    """A placed stage: the middle of its left face, and its thickness, height and depth in points."""

    stage: Stage
    width: float
    height: float
    depth: float
    x: float = 0.0
    y: float = 0.0
    level: int = 0
    """The number of parallels around it."""
    base: float = 0.0
    """Distance of its labels below the axis."""
    words: str = ""
    """Its kernel, or the name of its block."""
    kernel: str = ""
    """The kernel text below it, at `kernel_x` from its x."""
    kernel_x: float = 0.0
    kernel_y: float = 0.0
    """The baseline of the kernel text, below `base`."""
    line: int = 0
    step: float = 0.0
    """The x of the vertical route from another level; 0 if the stage before is on the same level."""

    @property
    def up(self) -> float:
        return self.height / 2 + self.depth * DEPTH_Y / 2

    @property
    def left(self) -> float:
        """The left end of its silhouette, that of the front face."""
        return self.x - self.depth * DEPTH_X / 2

    @property
    def labelled(self) -> float:
        """The left end of the label of a bar, which is below its front and not below its middle."""
        front = self.x + self.width / 2 - self.depth * DEPTH_X / 2
        return front - text_width(label(self.stage), LABEL) / 2 if is_vector(self.stage.shape) else inf

    @property
    def captioned(self) -> float:
        """The right end of its window, or of the texts below a cube, which may be wider than the volume."""
        if is_vector(self.stage.shape) or self.stage.sign:
            return -inf
        if thick_with_channels(self.stage.shape):
            return self.x + self.kernel_x + text_width(self.kernel, SMALL) / 2
        texts = (self.words, size_of(self.stage))
        middle = self.x + self.width / 2 - self.depth * DEPTH_X / 2
        return middle + max(text_width(words, SMALL) for words in texts) / 2

    @property
    def right(self) -> float:
        return self.x + self.width + self.depth * DEPTH_X / 2

    @property
    def out(self) -> Point:
        """The middle of its right face."""
        return Point(self.x + self.width, self.y)

    @property
    def into(self) -> Point:
        """The point where an incoming arrow along its axis meets its silhouette."""
        if self.depth and is_vector(self.stage.shape):
            return Point(self.x - self.height / 2 * DEPTH_X / DEPTH_Y, self.y)
        return Point(self.left, self.y)

    @property
    def top(self) -> Point:
        """The middle of its top face."""
        return Point(self.x + self.width / 2, self.y - self.height / 2)


@dataclass(slots=True)
class Plate:
    """The background of a group."""

    group: StageGroup
    left: float
    top: float
    right: float
    bottom: float


@dataclass(slots=True)
class Caption:
    """A text below a group or a run: its name, the size of its maps, or its count."""

    text: str
    size: float
    bold: bool
    x: float
    y: float


@dataclass(slots=True)
class Arrangement:
    """Placed spots, plates and captions: from x = 0 to `width`, `up` above and `down` below the axis."""

    width: float = 0.0
    up: float = 0.0
    down: float = 0.0
    spots: list[Spot] = field(default_factory=list)
    plates: list[Plate] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)

    def take(self, other: Arrangement, x: float, y: float) -> None:
        """Move the members of another arrangement into this one, shifted by x, y."""
        for spot in other.spots:
            spot.x, spot.y = spot.x + x, spot.y + y
            spot.step += x if spot.step else 0
        for plate in other.plates:
            plate.left, plate.right = plate.left + x, plate.right + x
            plate.top, plate.bottom = plate.top + y, plate.bottom + y
        for caption in other.captions:
            caption.x, caption.y = caption.x + x, caption.y + y
        self.spots += other.spots
        self.captions += other.captions
        self.plates += other.plates
        self.width = max(self.width, x + other.width)
        self.up, self.down = max(self.up, other.up - y), max(self.down, other.down + y)


def is_vector(shape: Sequence[int]) -> bool:
    """Whether a shape is drawn as a bar: a vector, or maps of one pixel."""
    return all(size == 1 for size in shape[1:])


def kind_drawn(shape: Sequence[int]) -> int:
    """Return the number of axes that a shape is drawn with: 0 for a bar."""
    return 0 if is_vector(shape) else axes_of(shape)


def thick_with_channels(shape: Sequence[int]) -> bool:
    """Whether the thickness of a box is its channels, so that boxes of one size can touch."""
    return EXTENTS[kind_drawn(shape)].axes[0] == 0


def scale_of(
    stages: Iterable[Stage], tallest: float = TALLEST, thickness: float = 1.1, size: float = 1.0
) -> VolumeScale:
    """Return the scale at which the largest map, the most channels and the longest vector have their fixed sizes, each
    times `size`."""
    shapes = [stage.shape for stage in stages]
    largest = [1] * (MOST + 1)
    for shape in shapes:
        axes = kind_drawn(shape)
        largest[axes] = max(largest[axes], 1, *shape[1:])
    channels = max((shape[0] for shape in shapes if not is_vector(shape)), default=1)
    units = max((shape[0] for shape in shapes if is_vector(shape)), default=1)
    sides = tuple(size * kind.share * tallest / sqrt(most) for kind, most in zip(EXTENTS, largest, strict=True))
    return VolumeScale(sides, size * max(thickness, 26 / sqrt(channels)), size * LONGEST / sqrt(max(units, 64)))


def spot_of(stage: Stage, scale: VolumeScale) -> Spot:
    """Return the spot of a stage, sized by its output shape."""
    if stage.sign:
        return Spot(stage, 2 * RADIUS, 2 * RADIUS, 0.0)
    axes = kind_drawn(stage.shape)
    points = (scale.channel if axes else scale.unit, *[scale.sides[axes]] * axes)
    width, height, depth = (
        BAR if axis is None else points[axis] * sqrt(stage.shape[axis]) for axis in EXTENTS[axes].axes
    )
    thin = stage.look in _SAME_CHANNELS and axes and thick_with_channels(stage.shape)
    return Spot(stage, THIN if thin else width, height, depth)


def scale_words(stages: Iterable[Stage]) -> str:
    """Return what the picture says about its scale; without any maps, that of images."""
    kinds = sorted({kind_drawn(stage.shape) for stage in stages if not stage.sign} - {0})
    kinds = kinds or [axes for axes, kind in enumerate(KINDS) if kind is IMAGE]
    own = ", of each kind of tensor its own" if len(kinds) > 1 else ""
    return f"Square-root scale{own}: {'; '.join(EXTENTS[axes].words for axes in (*kinds, 0))}"


def size_of(stage: Stage) -> str:
    """Return the sizes of a stage's maps as text; empty for vectors."""
    return "" if is_vector(stage.shape) else sizes_words(stage.shape, TIMES)


def label(stage: Stage) -> str:
    """Return the label below a volume: its channels or units, if the op sets them, or if only the label shows them."""
    if stage.sign or not stage.shape:
        return ""
    kept = stage.look in _SAME_CHANNELS and not is_vector(stage.shape) and thick_with_channels(stage.shape)
    return "" if kept else str(stage.shape[0])
