"""Sizes and positions of volumes, plates and captions.

A volume is seen from the right and above: x runs to the right, y down, and depth to the upper right by `DEPTH_X`,
`DEPTH_Y` of its length. Its position is the middle of its left face; the axis of a row is at y = 0.
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
"""Height of the tallest map in points: normally, and with many parallel branches."""
LONGEST = 96.0
"""Length of the longest vector."""
THIN = 3.5
"""Thickness of ops that do not change the channels: pools, norms, activations."""
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


@dataclass(frozen=True, slots=True)
class VolumeScale:
    """Points per square root of a pixel, of a channel, and of a vector's unit."""

    side: float
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
    return len(shape) != 3 or shape[1] == shape[2] == 1


def scale_of(stages: Iterable[Stage], tallest: float = TALLEST, thickness: float = 1.1) -> VolumeScale:
    """Return the scale at which the largest map, the most channels and the longest vector have their fixed sizes."""
    shapes = [stage.shape for stage in stages]
    side = max((max(shape[1:]) for shape in shapes if not is_vector(shape)), default=1)
    channels = max((shape[0] for shape in shapes if not is_vector(shape)), default=1)
    units = max((shape[0] for shape in shapes if is_vector(shape)), default=1)
    return VolumeScale(tallest / sqrt(side), max(thickness, 26 / sqrt(channels)), LONGEST / sqrt(max(units, 64)))


def spot_of(stage: Stage, scale: VolumeScale) -> Spot:
    """Return the spot of a stage, sized by its output shape."""
    if stage.sign:
        return Spot(stage, 2 * RADIUS, 2 * RADIUS, 0.0)
    if is_vector(stage.shape):
        return Spot(stage, BAR, BAR, scale.unit * sqrt(stage.shape[0]))
    channels, height, width = stage.shape
    thick = scale.channel * sqrt(channels) if stage.look not in ("pool", "norm", "act", "other") else THIN
    return Spot(stage, thick, scale.side * sqrt(height), scale.side * sqrt(width))


def size_of(stage: Stage) -> str:
    """Return height and width of a stage's maps as text; empty for vectors."""
    return "" if is_vector(stage.shape) else f"{stage.shape[1]}{TIMES}{stage.shape[2]}"


def label(stage: Stage) -> str:
    """Return the label below a volume: its channels or units, if the op sets them."""
    if stage.sign or not stage.shape or (stage.look in ("pool", "norm", "act", "other") and not is_vector(stage.shape)):
        return ""
    return str(stage.shape[0])
