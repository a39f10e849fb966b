"""Pools: maxpool, avgpool (also adaptive), gap, gmp, and LeNet-5's trainable subsample."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import comb, prod
from typing import Any, ClassVar

from pydantic import Field

from archdsl.axes import kind_of
from archdsl.ops.base import (
    ALL_ONE,
    ONES,
    ZEROS,
    Every,
    Example,
    Free,
    Look,
    OpError,
    Param,
    PerAxis,
    Reads,
    Window,
    need_axes,
    need_windows,
    sliding,
    whole,
)
from archdsl.ops.conv import Padding, explicit_pads, reach_of
from archdsl.shapes import Dim, Inexpressible, Pads, Shape, Size, at, format_shape, numel, window

ALL_TWO = Every((2,))
MAX_WINDOWS = 4096
"""The most windows that are checked one by one, in images smaller than the distance between two taps."""
_PADDING = "padding in pixels, one number or those before all axes, then those after; `same` as TensorFlow"
_FLAGS: dict[str, tuple[str, Any]] = {"ceil": ("ceil", True), "same": ("pad", "same"), "valid": ("pad", "valid")}


class Pool(Free):
    """Base of max and average pools: the window, its stride (default: the kernel), padding, ceil."""

    look: ClassVar[Look] = "pool"
    per_axis: ClassVar[tuple[str, ...]] = ("kernel", "stride")
    per_side: ClassVar[tuple[str, ...]] = ("pad",)

    kernel: PerAxis = Field(description="size of the window, one for all axes or one for each")
    stride: PerAxis | None = Field(None, description="step of the window; by default the kernel")
    pad: Padding = Field(0, description=_PADDING)
    ceil: bool = Field(
        False,
        description="the last window may extend past the end; none begins in the padding at the end, as in PyTorch",
    )

    @property
    def steps(self) -> tuple[int, ...]:
        return self.stride or self.kernel

    @property
    def dilations(self) -> tuple[int, ...]:
        return (1,) * len(self.kernel)

    def pads(self, shape: Shape) -> Pads:
        """Return the padding in pixels for an input of this shape, without what `ceil` adds at the end."""
        return explicit_pads(self.pad, shape, self.kernel, self.steps, self.dilations)

    def end_pads(self, shape: Shape, output: Shape) -> Pads:
        """Return the padding with which floor mode has the same windows as `ceil`: the last window is completed.

        Uses the default sizes.
        """
        pads = self.pads(shape)
        if not self.ceil:
            return pads
        axes = zip(shape[1:], output[1:], self.steps, reach_of(self.kernel, self.dilations), pads.begins, strict=True)
        ends = (max((at(out) - 1) * step + reach - begin - at(size), 0) for size, out, step, reach, begin in axes)
        return Pads.of(pads.begins, ends)

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        need_axes(self, shape)
        pads = self.pads(shape)
        axes = zip(shape[1:], self.kernel, self.steps, self.dilations, pads.begins, pads.ends, strict=True)
        output = (shape[0], *(window(s, k, n, d, b, e, self.ceil) for s, k, n, d, b, e in axes))
        reach = reach_of(self.kernel, self.dilations)
        need_windows(self, shape, output, reach, pads.sums)
        for axis, size in enumerate(shape[1:]):
            self._need_pixels(axis, shape, at(output[axis + 1]), pads.begins[axis])
            if isinstance(size, Dim) and pads.ends[axis] >= reach[axis]:  # at some sizes the last window has no pixel
                raise Inexpressible(size)
        return output

    def least(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        """An image is at least as large as the distance between two taps, so that a window does not skip it."""
        return tuple((size, min(d, at(size))) for size, d in zip(inputs[0][1:], self.dilations, strict=True))

    def _need_pixels(self, axis: int, shape: Shape, count: int, begin: int) -> None:
        """Raise E0416 unless every window contains a pixel of the image (frameworks disagree about other windows)."""
        kernel, stride, dilation = self.kernel[axis], self.steps[axis], self.dilations[axis]
        size = at(shape[axis + 1])

        def has_pixel(index: int) -> bool:
            start = index * stride - begin
            tap = max(0, -(start // dilation))  # the first tap at or after the image's first pixel
            return tap < kernel and start + tap * dilation < size

        # The first and the last window contain the fewest pixels, unless the taps are so far apart that they skip the
        # image.
        every = dilation > size and count <= MAX_WINDOWS
        if not all(map(has_pixel, range(count) if every else (0, count - 1))):
            raise OpError(
                "E0416",
                f"a window of `{self.name}` contains only padding",
                field="pad",
                label=f"{size} {kind_of(shape).point}s, kernel {kernel}, stride {stride}, {begin} of padding before",
                help="its value would be undefined; use less padding",
            )

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        return super().resolved(inputs) | {"stride": self.steps, "pad": self.pad}

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        return sliding(reach_of(self.kernel, self.dilations), self.steps, self.pads(inputs[0]))


class MaxPool(Pool):
    """The largest value of each window. Padding counts as minus infinity.

    Shape: `C x S -> C x S'`; by default not padded, and stride = kernel.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector, E0402 a window larger than its input, E0416 a window of padding only.
    Source: Ranzato et al. 2007; overlapping: Krizhevsky et al. 2012, section 3.4.
    """

    name: ClassVar[str] = "maxpool"
    example: ClassVar[Example] = Example("64x112x112", "3x3 maxpool /2 pad=1")
    further: ClassVar[tuple[Example, ...]] = (Example("64x16x112x112", "1x3x3 maxpool /1x2x2 pad=[0,1,1,0,1,1]"),)
    elsewhere: ClassVar[str] = "maxpooling pool"
    label: ClassVar[str] = "max pool"
    flags: ClassVar[dict[str, tuple[str, Any]]] = _FLAGS

    per_axis: ClassVar[tuple[str, ...]] = (*Pool.per_axis, "dilation")

    dilation: PerAxis = Field(ALL_ONE, description="distance between the taps of the window")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 0.0

    @property
    def dilations(self) -> tuple[int, ...]:
        return self.dilation


class AvgPool(Pool):
    """The mean of each window. Padding counts as zeros in the mean unless `inside` is set.

    Shape: `C x S -> C x S'`; with `adaptive`, `C x kernel` for any input size.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector, E0402 a window larger than its input (than a volume without its padding), E0407 `adaptive`
        with stride, padding, ceil or inside, E0416 a window of padding only.
    Source: LeCun et al. 1998; adaptive: He et al. 2014 (SPP), arXiv 1406.4729, section 2.2.
    """

    name: ClassVar[str] = "avgpool"
    example: ClassVar[Example] = Example("512x14x14", "7x7 avgpool adaptive")
    elsewhere: ClassVar[str] = "avgpooling averagepool averagepooling adaptiveavgpool"
    label: ClassVar[str] = "avg pool"
    flags: ClassVar[dict[str, tuple[str, Any]]] = {
        **_FLAGS,
        "inside": ("inside", True),
        "adaptive": ("adaptive", True),
    }

    excludes: ClassVar[Mapping[str, tuple[str, ...]]] = {"adaptive": ("stride", "pad", "ceil", "inside")}

    inside: bool = Field(False, description="divide by the number of pixels inside the input")
    adaptive: bool = Field(False, description="the kernel is the size of the output")

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        if not self.adaptive:
            output = super().infer(inputs)
            self._need_pixels_to_average(inputs[0])
            return output
        for name in self.excludes["adaptive"]:
            if getattr(self, name):
                raise OpError(
                    "E0407", f"an adaptive pool cannot have `{name}`: its windows follow from the sizes", field=name
                )
        need_axes(self, inputs[0])
        return (inputs[0][0], *self.kernel)

    def least(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        limits = () if self.adaptive else super().least(inputs)
        if self.adaptive or kind_of(inputs[0]).averages_beyond:
            return limits
        return (*limits, *zip(inputs[0][1:], self.kernel, strict=True))

    def _need_pixels_to_average(self, shape: Shape) -> None:
        """Raise E0402 for a window of a volume that is larger than the volume: PyTorch refuses it even with padding."""
        kind = kind_of(shape)
        for extent, size, taps in zip(kind.extents, map(at, shape[1:]), self.kernel, strict=True):
            if size < taps and not kind.averages_beyond:
                raise OpError(
                    "E0402",
                    f"the window of `{self.name}` is {taps} {kind.point}s {extent}, but its input only {size}",
                    field="kernel",
                    label=f"receives {format_shape(shape, batch='N')}",
                    notes=(f"PyTorch averages no window that is larger than the {kind.bare} before padding",),
                    help="use a larger input, a smaller kernel, or fewer strides before this node",
                )

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        sizes = self.kernel
        if self.adaptive:
            sizes = tuple(-(-at(size) // k) + 1 for size, k in zip(inputs[0][1:], self.kernel, strict=True))
        return prod(sizes) + 1.0

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        return {} if self.adaptive else super().resolved(inputs)

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        if not self.adaptive:
            return super().window(inputs)
        if set(self.kernel) == {1}:
            return whole(inputs[0])
        # From the pixel in which the n-th part of the image starts to the pixel in which it ends.
        return tuple(Reads(at(s), k, 0, at(s) - 1) for s, k in zip(inputs[0][1:], self.kernel, strict=True))


class GlobalPool(Free):
    """Base of the pools whose window is the whole input."""

    look: ClassVar[Look] = "pool"
    example: ClassVar[Example] = Example("512x7x7")

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        need_axes(self, inputs[0])
        return (inputs[0][0], *(1 for _ in inputs[0][1:]))

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        return whole(inputs[0])


class Gap(GlobalPool):
    """Global average pool: one mean per channel.

    Shape: `C x S -> C x 1`, with 1 on each axis.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector.
    Source: Lin et al. 2013 (Network in Network), arXiv 1312.4400, section 3.2.
    """

    name: ClassVar[str] = "gap"
    elsewhere: ClassVar[str] = "globalpool globalavgpool globalaveragepool globalaveragepooling"
    label: ClassVar[str] = "global avg pool"
    hint: ClassVar[str] = "its window is the whole input; write `7x7 avgpool` for a smaller one"

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return numel(inputs[0]) / at(inputs[0][0]) + 1


class Gmp(GlobalPool):
    """Global max pool: the largest value of each channel.

    Shape: `C x S -> C x 1`, with 1 on each axis.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector.
    Source: Oquab et al. 2015, "Is object localization for free?".
    """

    name: ClassVar[str] = "gmp"
    elsewhere: ClassVar[str] = "globalmaxpool globalmaxpooling"
    label: ClassVar[str] = "global max pool"
    hint: ClassVar[str] = "its window is the whole input; write `7x7 maxpool` for a smaller one"

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 0.0


class BlurPool(Free):
    """Each channel blurred with a fixed binomial filter, then every stride-th pixel: subsampling without aliasing.

    Shape: `C x S -> C x S'`, padded by `(stride + k - 2)//2` pixels on each side, in which the input is reflected.
    Parameters: none (the filter is the outer product of the binomial coefficients of each axis, with the sum 1).
    MACs: 0 (a pool).
    Errors: E0401 a vector, E0402 a window larger than its input, or an input too small to be reflected.
    Source: Zhang 2019, arXiv 1904.11486, section 3.
    """

    name: ClassVar[str] = "blurpool"
    look: ClassVar[Look] = "pool"
    example: ClassVar[Example] = Example("64x112x112", "3x3 blurpool /2")
    further: ClassVar[tuple[Example, ...]] = (Example("64x16x56x56", "1x3x3 blurpool /1x2x2"),)
    label: ClassVar[str] = "blur pool"
    per_axis: ClassVar[tuple[str, ...]] = ("kernel", "stride")

    kernel: PerAxis = Field(description="size of the window, one for all axes or one for each")
    stride: PerAxis = Field(ALL_TWO, description="step of the window")

    def pads(self) -> Pads:
        sides = [(step + taps - 2) // 2 for step, taps in zip(self.stride, self.kernel, strict=True)]
        return Pads.of(sides, sides)

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        need_axes(self, shape)
        pads = self.pads()
        kind = kind_of(shape)
        for size, side, extent in zip(map(at, shape[1:]), pads.begins, kind.extents, strict=True):
            if size <= side:
                raise OpError(
                    "E0402",
                    f"`{self.name}` reflects {side} {kind.point}s, but its input is only {size} {extent}",
                    field="kernel",
                    label=f"receives {format_shape(shape, batch='N')}",
                    help="use a larger input, a smaller kernel, or fewer strides before this node",
                )
        axes = zip(shape[1:], self.kernel, self.stride, pads.begins, strict=True)
        output = (shape[0], *(window(size, taps, step, 1, pad) for size, taps, step, pad in axes))
        need_windows(self, shape, output, self.kernel, pads.sums)
        return output

    def least(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        return tuple((size, pad + 1) for size, pad in zip(inputs[0][1:], self.pads().begins, strict=True))

    def filter(self) -> tuple[float, ...]:
        """Return the filter, row by row."""
        taps = ([comb(size - 1, tap) / 2 ** (size - 1) for tap in range(size)] for size in self.kernel)
        return tuple(map(prod, product(*taps)))

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return float(prod(self.kernel))

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        return super().resolved(inputs) | {"stride": self.stride}

    def window(self, inputs: Sequence[Shape]) -> Window:
        return sliding(self.kernel, self.stride, self.pads())


class Subsample(Free):
    """LeNet-5's trainable subsampling: the sum of each window times a coefficient plus a bias, per channel.

    Shape: `C x S -> C x S'`; stride = kernel by default.
    Parameters: `weight` (C), `bias` (C).
    MACs: 0 (a pool; the paper counts its connections separately).
    Errors: E0401 a vector, E0402 a window larger than its input.
    Source: LeCun et al. 1998, section II.B, layers S2 and S4.
    """

    name: ClassVar[str] = "subsample"
    look: ClassVar[Look] = "pool"
    example: ClassVar[Example] = Example("6x28x28", "2x2 subsample")
    parametric: ClassVar[bool] = True
    per_axis: ClassVar[tuple[str, ...]] = ("kernel", "stride")

    kernel: PerAxis = Field(description="size of the window, one for all axes or one for each")
    stride: PerAxis | None = Field(None, description="step of the window; by default the kernel")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return prod(self.kernel) + 1.0

    @property
    def steps(self) -> tuple[int, ...]:
        return self.stride or self.kernel

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        need_axes(self, shape)
        output = (shape[0], *map(window, shape[1:], self.kernel, self.steps))
        need_windows(self, shape, output, self.kernel, [0] * len(self.kernel))
        return output

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        channels = at(inputs[0][0])
        return Param("weight", (channels,), ONES), Param("bias", (channels,), ZEROS)

    def window(self, inputs: Sequence[Shape]) -> Window:
        return sliding(self.kernel, self.steps)
