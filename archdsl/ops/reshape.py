"""Ops that move values without computing: input, flatten, slice, shuffle, upsample, pad, identity."""

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archdsl.axes import IMAGE, axes_of, kind_of
from archdsl.diagnostics import Proposal
from archdsl.ops.base import (
    LIKE,
    MAX_SIZE,
    PER_SIDE,
    Exact,
    Example,
    Free,
    Look,
    Name,
    Natural,
    Number,
    Op,
    OpError,
    PerAxis,
    Positive,
    Reads,
    Sugar,
    Window,
    divisors,
    need_axes,
    need_same_axes,
    whole,
)
from archdsl.shapes import (
    Dim,
    Inexpressible,
    Pads,
    Shape,
    Size,
    at,
    concrete,
    format_shape,
    from_on,
    numel,
    plus,
    times,
)


class Input(Exact):
    """An input tensor of the network. Created from the spec's `input`, never written as a node."""

    name: ClassVar[str] = "input"
    look: ClassVar[Look] = "input"
    example: ClassVar[Example] = Example()
    arity: ClassVar[tuple[int, int | None]] = (0, 0)


class Identity(Exact):
    """Returns its input.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: none.
    """

    name: ClassVar[str] = "identity"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example()
    inference: ClassVar[bool] = False
    stored: ClassVar[bool] = False


class Unknown(Exact):
    """A node with errors, in the graph of an incomplete network; `text` is what is written."""

    name: ClassVar[str] = "unknown"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example()
    stored: ClassVar[bool] = False
    text: str = ""


class Flatten(Exact):
    """The input as one vector, channel by channel. Inserted automatically before `fc`.

    Shape: `C x S -> C*S`; fixes the free sizes.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: none.
    """

    name: ClassVar[str] = "flatten"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example()
    stored: ClassVar[bool] = False

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        for size in inputs[0]:
            if isinstance(size, Dim):
                raise Inexpressible(size)
        return (numel(inputs[0]),)

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        return whole(inputs[0])


class Slice(Exact):
    """The channels from `start` up to, not including, `end`.

    Shape: `C x S -> end-start x S`; vectors likewise.
    Parameters: none.
    MACs: 0.
    Errors: E0418 a range outside the channels.
    Source: none.
    """

    name: ClassVar[str] = "slice"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example("64x28x28", "slice 0 16")
    label_values: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("start", "end")

    start: Natural = Field(description="first channel")
    end: Positive | None = Field(None, description="the channel after the last one; by default all up to the end")

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        channels = at(inputs[0][0])
        end = channels if self.end is None else self.end
        if not self.start < end <= channels:
            over = self.end is not None and self.end > channels > self.start
            help_ = f"`slice a b` selects channels a to b - 1; the last channel is {channels - 1}"
            raise OpError(
                "E0418",
                f"channels {self.start} up to {end} of {channels}: the range {'is too long' if over else 'is empty'}",
                field="end" if over else "start",
                help=Proposal(help_, str(channels)) if over else help_,
            )
        return (end - self.start, *inputs[0][1:])


class Split(Sugar):
    """Equal parts of the channels. In the graph it becomes one `slice` node per part, `x.0`, `x.1`, ...

    Shape: `C x S ->` one `C/parts x S` per part.
    Parameters: none.
    MACs: 0.
    Errors: E0403 parts that do not divide the channels.
    Source: none.
    """

    name: ClassVar[str] = "split"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example("64x28x28", "split 2", after="  z: concat <- y.0, y.1\n")
    positional: ClassVar[tuple[str, ...]] = ("parts",)

    parts: Annotated[int, Field(ge=2, le=4096)] = Field(description="number of equal parts")


class Shuffle(Exact):
    """Channel shuffle: channel `g*n + i`, with n channels per group, moves to `i*groups + g`.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector, E0403 groups that do not divide the channels.
    Source: Zhang et al. 2017 (ShuffleNet), arXiv 1707.01083, section 3.1.
    """

    name: ClassVar[str] = "shuffle"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example("116x28x28", "shuffle 2")
    elsewhere: ClassVar[str] = "channelshuffle"
    positional: ClassVar[tuple[str, ...]] = ("groups",)

    groups: Positive = Field(description="groups of channels")

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        need_axes(self, inputs[0])
        if at(inputs[0][0]) % self.groups:
            raise OpError(
                "E0403",
                f"{at(inputs[0][0])} channels cannot be divided into {self.groups} groups",
                field="groups",
                help=divisors(at(inputs[0][0])),
                shape=inputs[0],
            )
        return inputs[0]


class Upsample(Free):
    """Resizes to another number of pixels: by a factor, or to the sizes of another node. Nearest takes the pixel
    `floor(n * size / new size)`, linear and cubic (a = -0.75) weigh the pixels around the half-pixel centre, or with
    `align_corners` around the place that puts the first and last pixels on each other; edges are clamped.

    Shape: `C x S -> C x scale*S`, or with `like` C x the sizes of that node.
    Parameters: none.
    MACs: 0.
    Errors: E0308 cubic on other than two axes, E0311 neither `scale` nor `like`, E0401 a vector, E0405 a node with
        other axes, E0407 both, or `align_corners` with nearest.
    Source: Odena et al. 2016, distill.pub/2016/deconv-checkerboard; Keys 1981 (cubic).
    """

    name: ClassVar[str] = "upsample"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example("256x14x14", "upsample 2 linear")
    further: ClassVar[tuple[Example, ...]] = (
        Example("64x24x24x24", "upsample [1,2,2]"),
        Example("64x27x27", "upsample like=input linear", before="  x: 2x2 maxpool\n"),
    )
    elsewhere: ClassVar[str] = "upsampling interpolate resize"
    label_values: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("scale",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {
        "nearest": ("mode", "nearest"),
        "linear": ("mode", "linear"),
        "cubic": ("mode", "cubic"),
        "align_corners": ("align_corners", True),
    }
    per_axis: ClassVar[tuple[str, ...]] = ("scale",)
    references: ClassVar[frozenset[str]] = frozenset(("like",))
    excludes: ClassVar[Mapping[str, tuple[str, ...]]] = {"like": ("scale",)}

    scale: PerAxis | None = Field(None, description="factor of the sizes, one for all axes or one for each")
    like: Name | None = Field(None, description="an earlier node, whose sizes the output has")
    mode: Literal["nearest", "linear", "cubic"] = Field("nearest", description="interpolation between pixels")
    align_corners: bool = Field(False, description="the centres of the corner pixels stay where they are")

    @property
    def measured(self) -> int:
        return int(self.like is not None)

    def settle(self, inputs: Sequence[Shape]) -> Op:
        if self.scale is None and self.like is None:
            help_ = "e.g. `upsample 2`, or `upsample like=conv1` for the sizes of another node"
            raise OpError("E0311", "`upsample` needs `scale` or `like`", help=help_)
        if self.scale is not None and self.like is not None:
            help_ = "write the factor, or the node whose sizes the output has"
            raise OpError("E0407", "`upsample` cannot have both `scale` and `like`", field="like", help=help_)
        if self.align_corners and self.mode == "nearest":
            message = "nearest interpolation has no `align_corners`: it takes the value of one pixel"
            raise OpError("E0407", message, field="align_corners", help="write `linear`, or leave out `align_corners`")
        settled = super().settle(inputs)
        return settled if self.like is None else settled.model_copy(update={"like": LIKE})

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        need_axes(self, inputs[0])
        if self.mode == "cubic" and kind_of(inputs[0]) is not IMAGE:
            message = f"cubic interpolation is for images; the input is {kind_of(inputs[0]).noun}"
            raise OpError(
                "E0308",
                message,
                field="mode",
                help=Proposal("write `linear`, which is for all axes", "linear", "cubic"),
            )
        channels, *sizes = inputs[0]
        if self.scale is None:
            return (channels, *need_same_axes(self, inputs)[1:])
        return (channels, *map(times, sizes, self.scale))

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        """The neighbours on each axis, weighted by distances with an error relative to the position unless the steps
        from pixel to pixel are powers of 2."""
        if self.mode == "nearest":
            return 0.0
        steps = self._steps(inputs[0], output)
        neighbours = (2.0 if self.mode == "linear" else 4.0) ** len(steps)
        if all(size & (size - 1) == 0 for step in steps for size in step):
            return neighbours
        return neighbours + max(at(size) for size in (*inputs[0][1:], *output[1:])) ** 2

    def window(self, inputs: Sequence[Shape]) -> Window:
        return tuple(self._reads(*step) for step in self._steps(inputs[0], self.infer(inputs)))

    def _steps(self, before: Shape, after: Shape) -> list[tuple[int, int]]:
        """Return for each axis a fraction: how many pixels of the input lie between neighbours of the output."""
        if self.scale and not self.align_corners:
            return [(1, factor) for factor in self.scale]
        steps = []
        for size, new in zip(concrete(before[1:]), concrete(after[1:]), strict=True):
            spaces = (size - 1, new - 1) if self.align_corners and min(size, new) > 1 else (size, new)
            steps.append((spaces[0] // gcd(*spaces), spaces[1] // gcd(*spaces)))
        return steps

    def _reads(self, step: int, per: int) -> Reads:
        """Return the pixels around ``(n + 0.5) * step / per - 0.5``, or around ``n * step / per``."""
        if self.mode == "nearest":
            return Reads(step, per)
        shift = 0 if self.align_corners else step - per
        apart = 1 if self.align_corners else 2
        if step * apart % (per * apart) == 0 and shift % (per * apart) == 0:  # all of them are pixels
            return Reads(step, per, shift // apart, shift // apart)
        more = per * apart * (self.mode == "cubic")
        return Reads(step * apart, per * apart, shift - more, shift + per * apart - 1 + more)


Signed = Annotated[int, Field(ge=-MAX_SIZE, le=MAX_SIZE)]


class Pad(Exact):
    """Adds pixels and channels around the input; negative numbers crop, before others add. The new pixels have one
    value, or are those of the image: mirrored at its edge (`reflect`), that of the edge (`replicate`), or those of its
    other end (`wrap`).

    Shape: `C x S -> C+channels x before+S+after`, or with `like` C x the sizes of that node, with pixels at the end.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector, E0405 a node with other axes, E0407 `like` with `pixels`, or a mode with `value`, `channels`
        or a crop, E0409 a crop that leaves no pixel, more pixels than the image has, or a smaller node.
    Source: none.
    """

    name: ClassVar[str] = "pad"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example("16x32x32", "pad 1")
    further: ClassVar[tuple[Example, ...]] = (
        Example("16x32x32", "pad 3 reflect"),
        Example("16x13x13", "pad like=input replicate", before="  x: 2x2 maxpool\n  up: upsample 2\n"),
    )
    elsewhere: ClassVar[str] = (
        "padding zeropad zeropadding reflectionpad reflectpad replicationpad circularpad constantpad"
    )
    positional: ClassVar[tuple[str, ...]] = ("pixels",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {
        mode: ("mode", mode) for mode in ("constant", "reflect", "replicate", "wrap")
    }
    per_side: ClassVar[tuple[str, ...]] = ("pixels",)
    references: ClassVar[frozenset[str]] = frozenset(("like",))
    excludes: ClassVar[Mapping[str, tuple[str, ...]]] = {"like": ("pixels", "before", "after")}

    pixels: Signed | Annotated[tuple[Signed, ...], PER_SIDE] = Field(
        0, description="one number for all sides, or those before all axes, then those after"
    )
    before: Signed = Field(0, description="more pixels before every axis")
    after: Signed = Field(0, description="more pixels after every axis")
    like: Name | None = Field(None, description="an earlier node: pixels after every axis, up to its sizes")
    mode: Literal["constant", "reflect", "replicate", "wrap"] = Field("constant", description="what the new pixels are")
    channels: tuple[Natural, Natural] = Field((0, 0), description="channels before and after")
    value: Number = Field(0.0, description="value of the added pixels")

    @property
    def measured(self) -> int:
        return int(self.like is not None)

    def settle(self, inputs: Sequence[Shape]) -> Op:
        numbers = [name for name in self.excludes["like"] if name in self.model_fields_set]
        if self.like is not None and numbers:
            help_ = "write the numbers of pixels, or the node whose sizes the output has"
            raise OpError("E0407", f"`pad` cannot have both `{numbers[0]}` and `like`", field="like", help=help_)
        wrong = [name for name in ("value", "channels") if getattr(self, name) != type(self).model_fields[name].default]
        if self.mode != "constant" and wrong:
            message = f"`{wrong[0]}` has no effect on pixels that are those of the image (`{self.mode}`)"
            raise OpError("E0407", message, field=wrong[0], help=f"leave out `{wrong[0]}` or `{self.mode}`")
        settled = super().settle(inputs)
        return settled if self.like is None else settled.model_copy(update={"like": LIKE})

    def sides(self, shape: Shape) -> Pads:
        """Return the pixels added to an input of this shape, on each side; without those up to the sizes of a node."""
        axes = axes_of(shape)
        listed = (self.pixels,) * (2 * axes) if isinstance(self.pixels, int) else self.pixels
        more = (self.before,) * axes + (self.after,) * axes
        return Pads(map(sum, zip(listed, more, strict=True)))

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        need_axes(self, inputs[0])
        channels, *sizes = inputs[0]
        if self.like is None:
            self._check_sides(inputs[0])
            return (at(channels) + sum(self.channels), *map(plus, sizes, self.sides(inputs[0]).sums))
        new = need_same_axes(self, inputs)[1:]
        for before, after in zip(sizes, new, strict=True):
            self._check_like(inputs, before, after)
        return (at(channels) + sum(self.channels), *new)

    def least(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        """A pixel of the image remains after a crop (torch cannot crop more than there is and add pixels to that), and
        the new pixels are in the image."""
        if self.like is None:
            sides = self.sides(inputs[0])
            axes = zip(inputs[0][1:], sides.begins, sides.ends, strict=True)
            return tuple((size, self._needed(begin, end)) for size, begin, end in axes)
        pairs = zip(inputs[0][1:], inputs[1][1:], strict=True)
        return tuple(limit for size, new in pairs for limit in self._limits(size, new))

    def window(self, inputs: Sequence[Shape]) -> Window:
        return tuple(Reads(first=-side, last=-side) for side in self.sides(inputs[0]).begins)

    def _needed(self, begin: int, end: int) -> int:
        """Return how many pixels an axis needs."""
        if self.mode == "constant":
            return max(-begin, 0) + max(-end, 0) + 1
        return max(begin, end, 0) + (self.mode == "reflect") if self.mode != "replicate" else 1

    def _check_sides(self, shape: Shape) -> None:
        sides = self.sides(shape)
        if self.mode != "constant" and min(sides) < 0:
            message = f"negative numbers crop, and a pad that crops has no mode `{self.mode}`"
            raise OpError("E0407", message, field="mode", help="crop with a `pad` of its own before this one")
        for size, begin, end in zip(map(at, shape[1:]), sides.begins, sides.ends, strict=True):
            if size >= self._needed(begin, end):
                continue
            if self.mode == "constant":
                message = f"cropping leaves nothing of {format_shape(shape)}"
                help_ = "negative numbers crop the input before positive ones add pixels: crop less"
                raise OpError("E0409", message, field="pixels", help=help_)
            raise self._too_many(max(begin, end), size, "pixels")

    def _check_like(self, inputs: Sequence[Shape], size: Size, new: Size) -> None:
        """Raise E0409 for a node that is smaller, or too large; `Inexpressible` if it is at some sizes of the input."""
        if at(new) < at(size):
            message = (
                f"the node that `like` names is smaller, {format_shape(inputs[1])}, than {format_shape(inputs[0])}"
            )
            help_ = "`upsample like=...` makes the input smaller, too; `pad -1` crops it"
            raise OpError("E0409", message, field="like", help=help_)
        if at(size) < self._needed(0, at(new) - at(size)):
            raise self._too_many(at(new) - at(size), at(size), "like")
        self._limits(size, new)

    def _limits(self, size: Size, new: Size) -> list[tuple[Size, int]]:
        """Return the lower bounds of the input's size. Raises `Inexpressible` if the sizes do not fit above any."""
        limits = [from_on(size, new)]
        if self.mode in ("reflect", "wrap"):
            limits.append(from_on(plus(new, int(self.mode == "reflect")), times(size, 2)))
        return [limit for limit in limits if limit is not None]

    def _too_many(self, pixels: int, size: int, field: str) -> OpError:
        return OpError(
            "E0409",
            f"`{self.mode}` cannot add {pixels} pixels to {size}: the image has too few",
            field=field,
            help=f"add at most {size - (self.mode == 'reflect')} on each side, or write `replicate`",
        )
