"""The boxes in space: how large a stage is drawn, and things put together at their places.

A volume is seen from the right and above: x runs to the right, y down, and depth to the upper right by `DEPTH_X`,
`DEPTH_Y` of its length. Its place is the middle of its left face; the axis of a row is at y = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt

from archdsl.drawing.scene import Point
from archdsl.drawing.volumes.stages import Stage, StageGroup
from archdsl.report.words import TIMES

DEPTH_X, DEPTH_Y = 0.34, 0.29
TALLEST, CROWDED = 108.0, 84.0
"""Height of the tallest map, in points; where many branches stand one above the other, the second."""
LONGEST = 96.0
"""Length of the longest vector."""
THIN = 3.5
"""Thickness of what makes no channels: pools, norms, activations."""
BAR = 5.0
RADIUS = 5.0
GAP = 15.0
BAR_GAP = 9.0
ROW_GAP = 9.0
LANE = 9.0
"""Height that an arc takes above what it leads past."""
LABEL, SMALL = 7.5, 6.5
"""Sizes of the letters under a volume: channels, and kernel."""
PLATE = 5.0


@dataclass(frozen=True, slots=True)
class VolumeScale:
    """Points per square root of a pixel, of a channel, and of a vector's unit."""

    side: float
    channel: float
    unit: float


@dataclass(slots=True)
class Spot:
    """A stage's box: the middle of its left face, its thickness, height and depth in points."""

    stage: Stage
    width: float
    height: float
    depth: float
    x: float = 0.0
    y: float = 0.0
    level: int = 0
    """How many parallels it is in."""
    base: float = 0.0
    """Where its labels begin, below the axis."""
    kernel: str = ""
    """The kernel to be written below it, at `kernel_x` from its x."""
    kernel_x: float = 0.0
    kernel_y: float = 0.0
    """Its baseline, below `base`."""
    line: int = 0
    step: float = 0.0
    """Where the route from another level rises or falls to it; 0: it stands on the level of the one before."""

    @property
    def up(self) -> float:
        return self.height / 2 + self.depth * DEPTH_Y / 2

    @property
    def left(self) -> float:
        """The left end of its silhouette: the front face's."""
        return self.x - self.depth * DEPTH_X / 2

    @property
    def right(self) -> float:
        return self.x + self.width + self.depth * DEPTH_X / 2

    @property
    def out(self) -> Point:
        """The middle of its right face."""
        return Point(self.x + self.width, self.y)

    @property
    def into(self) -> Point:
        """Where an arrow that arrives along its axis meets its silhouette."""
        if self.depth and is_vector(self.stage.shape):
            return Point(self.x - self.height / 2 * DEPTH_X / DEPTH_Y, self.y)
        return Point(self.left, self.y)

    @property
    def top(self) -> Point:
        """The middle of its top face."""
        return Point(self.x + self.width / 2, self.y - self.height / 2)


@dataclass(slots=True)
class Plate:
    """The ground that a group stands on."""

    group: StageGroup
    left: float
    top: float
    right: float
    bottom: float


@dataclass(slots=True)
class Caption:
    """Words below a group or a run: what it is called, how large its maps are, how often it comes."""

    text: str
    size: float
    bold: bool
    x: float
    y: float


@dataclass(slots=True)
class Arrangement:
    """Things placed: from x = 0 to `width`, `up` above and `down` below the axis."""

    width: float = 0.0
    up: float = 0.0
    down: float = 0.0
    spots: list[Spot] = field(default_factory=list)
    plates: list[Plate] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)

    def take(self, other: Arrangement, x: float, y: float) -> None:
        """Puts another block's things at x, y into this one."""
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
    """Whether a stage is drawn as a bar: a vector, or maps of one pixel."""
    return len(shape) != 3 or shape[1] == shape[2] == 1


def scale_of(stages: Iterable[Stage], tallest: float = TALLEST, thickness: float = 1.1) -> VolumeScale:
    """The scale at which the largest map, the most channels and the longest vector have their set sizes."""
    shapes = [stage.shape for stage in stages]
    side = max((max(shape[1:]) for shape in shapes if not is_vector(shape)), default=1)
    channels = max((shape[0] for shape in shapes if not is_vector(shape)), default=1)
    units = max((shape[0] for shape in shapes if is_vector(shape)), default=1)
    return VolumeScale(tallest / sqrt(side), max(thickness, 26 / sqrt(channels)), LONGEST / sqrt(max(units, 64)))


def spot_of(stage: Stage, scale: VolumeScale) -> Spot:
    """The box of a stage, from the shape that leaves it."""
    if stage.sign:
        return Spot(stage, 2 * RADIUS, 2 * RADIUS, 0.0)
    if is_vector(stage.shape):
        return Spot(stage, BAR, BAR, scale.unit * sqrt(stage.shape[0]))
    channels, height, width = stage.shape
    thick = scale.channel * sqrt(channels) if stage.look not in ("pool", "norm", "act", "other") else THIN
    return Spot(stage, thick, scale.side * sqrt(height), scale.side * sqrt(width))


def size_of(stage: Stage) -> str:
    """Height and width of a stage's maps; nothing for vectors."""
    return "" if is_vector(stage.shape) else f"{stage.shape[1]}{TIMES}{stage.shape[2]}"


def label(stage: Stage) -> str:
    """The number under a volume: channels or units, where it makes new ones."""
    if stage.sign or not stage.shape or (stage.look in ("pool", "norm", "act", "other") and not is_vector(stage.shape)):
        return ""
    return str(stage.shape[0])
